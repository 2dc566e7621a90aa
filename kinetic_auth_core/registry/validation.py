"""Checks of plugins: of a class when it is loaded, and of its instances once their constructors have returned."""

import abc
import functools
import inspect
import types
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

import attrs

from kinetic_auth_core.errors import ConfigurationError, suggest
from kinetic_auth_core.locations import parse_reference
from kinetic_auth_core.redaction import mask, secret_boundary
from kinetic_auth_core.registry.hookspecs import PROJECT
from kinetic_auth_core.settings.fields import command_setting, construction, deferred, setting
from kinetic_auth_core.settings.hosts import login_url_setting, url_setting
from kinetic_auth_core.settings.schema import LiteralText, exactly_one_of, group_problem, schema, texts_in

T = TypeVar("T")

_MARK = f"{PROJECT}_impl"
_CORE = "kinetic_auth_core."
#: How the names of settings end whose value is usually a secret.
_SECRET_ENDS = ("_password", "_secret", "_token", "_private_key", "_passphrase")


def marked(plugin: object) -> dict[str, Any]:
    """The hook implementations of a plugin's class, object or module: each name with what is there, not bound."""
    found = {}
    for name in dir(plugin):
        raw = None if name.startswith("__") else inspect.getattr_static(plugin, name, None)
        if _options(raw) is not None:
            found[name] = raw
    return found


def hook_mistake(hooks: Mapping[str, Any]) -> str | None:
    """What is wrong with hooks, as `marked` finds them, as the end of a sentence; None if nothing is."""
    for name, raw in hooks.items():
        options = _options(raw) or {}
        may_yield = bool(options.get("wrapper") or options.get("hookwrapper"))
        if mistake := _mistake(name, raw, "a hook", may_yield=may_yield):
            return mistake
    return None


def spec_mistake(plugin: object, found: Mapping[str, Any], *specs: type) -> str | None:
    """Which hook, or which argument of a hook, the hookspecs do not have, as the end of a sentence; None if they do.

    Args:
        plugin: The plugin's class, object or module.
        found: Its hooks, as `marked` finds them.
        specs: The classes of the hookspecs.
    """
    hooks = {
        name: list(inspect.signature(function).parameters)[1:]
        for spec in specs
        for name, function in vars(spec).items()
        if hasattr(function, f"{PROJECT}_spec")
    }
    for name, raw in found.items():
        options = _options(raw) or {}
        hook = options.get("specname") or name
        if hook in hooks:
            arguments = _arguments(plugin, name)
            if by_keyword := [each.name for each in arguments if each.kind is each.KEYWORD_ONLY]:
                what = " and ".join(map(repr, by_keyword))
                return f"does not fit the hookspec: {hook} is called by position: write {what} without the * before it"
            if wrong := [each.name for each in arguments if each.name not in hooks[hook]]:
                what = " and ".join(map(repr, wrong))
                return f"does not fit the hookspec: {hook} has no argument {what}; it has: {', '.join(hooks[hook])}"
        elif not options.get("optionalhook"):
            unknown = f"unknown hook {hook!r}{suggest(hook, hooks)}"
            return f"does not fit the hookspec: {unknown}; the hooks are: {', '.join(hooks)}"
    return None


def _arguments(plugin: object, name: str) -> list[inspect.Parameter]:
    """The arguments that an implementation of a hook wants: those without a default."""
    try:
        parameters = list(inspect.signature(getattr(plugin, name)).parameters.values())
    except (TypeError, ValueError):  # a callable without a signature
        return []
    own = parameters[1:] if inspect.isclass(plugin) else parameters  # a class's function has `self` as well
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)  # of a decorator, which gets nothing
    return [each for each in own if each.kind not in kinds and each.default is each.empty]


def settings_mistake(cls: type) -> str | None:
    """What is wrong with the declaration of a class's settings, as the end of a sentence; None if nothing is."""
    try:
        return _settings_mistake(cls)
    except ConfigurationError as error:
        return f"has unusable settings: {error.message}"


@functools.cache
def _settings_mistake(cls: Any) -> str | None:
    if any(isinstance(value, _FIELD) for value in vars(cls).values()):
        return "has settings of its own but no decorator: decorate it with @attrs.frozen"
    for each in schema(cls):
        if mistake := each.mistake():
            return f"has an unusable setting {each.name!r}: {mistake}"
    return _group_mistake(cls, [each.name for each in schema(cls)])


def _group_mistake(cls: Any, names: Collection[str]) -> str | None:
    groups = getattr(cls, "exactly_one_of", ())
    if not isinstance(groups, Collection) or any(isinstance(each, str) for each in groups):
        what = "write each group as a tuple of names, (('key', 'key_path'),)"
    elif unknown := [name for group in exactly_one_of(cls) for name in group if name not in names]:
        what = f"{unknown[0]!r} is not one of its settings{suggest(unknown[0], names)}"
    else:
        return None
    return f"has an unusable exactly_one_of: {what}"


def settings_not_declared_secret(cls: type) -> list[str]:
    """The settings of a class that are called like a secret, take text, and are not declared with `secret=True`."""
    names = [each.name for each in schema(cls) if each.takes_text and not each.secret]
    return [name for name in names if f"_{name.lower()}".endswith(_SECRET_ENDS)]


def method_mistake(cls: type) -> str | None:
    """What is wrong with a method that a class has in place of one of the core's base classes; None if nothing is."""
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        return f"lacks {' and '.join(f'{name}()' for name in missing)}, which its base class leaves to it"
    for base in cls.__mro__[1:]:
        if not f"{base.__module__}.".startswith(_CORE):
            continue
        methods = {name: each for name, each in vars(base).items() if inspect.isfunction(each) and name[:2] != "__"}
        for name, function in methods.items():
            raw = inspect.getattr_static(cls, name, None)
            if raw is function:
                continue
            if mistake := _mistake(name, raw, "it", may_yield=inspect.isgeneratorfunction(function)):
                return mistake
            if _options(raw) is None and (mistake := _argument_mistake(name, raw, function)):
                return mistake
    return None


def _options(raw: Any) -> dict[str, Any] | None:
    """The options of a hook's mark; None without one. The mark is on a static method or on the function in it."""
    if isinstance(raw, staticmethod | classmethod | types.MethodType) and (options := _options(raw.__func__)):
        return options
    options = None if raw is None else inspect.getattr_static(raw, _MARK, None)
    return options if isinstance(options, dict) else None


def _mistake(name: str, raw: Any, what: str, *, may_yield: bool) -> str | None:
    if isinstance(raw, staticmethod | classmethod):
        kind = "static" if isinstance(raw, staticmethod) else "class"
        return f"has {name}() as a {kind} method, but {what} is called on the instance: remove @{kind}method"
    if not callable(raw):
        return f"has {name} as {type(raw).__name__}, but it is a method"
    if inspect.iscoroutinefunction(raw) or inspect.isasyncgenfunction(raw):
        return f"has {name}() as an async function, but {what} is called without an event loop: write it without async"
    if inspect.isgeneratorfunction(raw) and not may_yield:
        wrapper = ", or mark it with @hookimpl(wrapper=True)" if what == "a hook" else ""
        return f"has {name}() as a generator: return the value instead of yield{wrapper}"
    return None


def _argument_mistake(name: str, raw: Any, base: Any) -> str | None:
    parameters = inspect.signature(base).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wanted = [each.name for each in parameters if each.kind in kinds]
    by_name = {each.name: None for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
    try:
        inspect.signature(raw).bind(*wanted, **by_name)
    except (TypeError, ValueError) as error:
        if isinstance(error, ValueError):  # a callable without a signature
            return None
        called = ", ".join([*wanted[1:], *(f"{each}=..." for each in by_name)])
        return f"has {name}{inspect.signature(raw)}, but it is called as {name}({called})"
    return None


_FIELD = type(attrs.field())  # what a class has for a field until attrs has made it an attrs class


@dataclass_transform(
    frozen_default=True, field_specifiers=(setting, url_setting, login_url_setting, command_setting, attrs.field)
)
class ValidatedMeta(abc.ABCMeta):
    """Checks an instance once its constructor has returned.

    Type checkers take its classes for dataclasses (PEP 681), so that they know the constructor: a setting without
    `default=` is required. `kw_only=True` beside the metaclass says that of all fields, as the decorator does to attrs.

    All problems are reported at once, and no traceback has the constructor's frame, whose locals are the secrets.
    """

    validates_after_init = True

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        kw_only: bool = False,  # noqa: ARG004 - for type checkers
        **options: Any,
    ) -> Any:
        """Make the class. All validators of its fields, `@field.validator` as well, run after the constructor."""
        for field in namespace.values():
            if isinstance(field, _FIELD) and field._validator is not None:  # noqa: SLF001 - attrs has no other way
                field._validator = deferred(field._validator)  # noqa: SLF001
        return super().__new__(mcs, name, bases, namespace, **options)

    def __init__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        kw_only: bool = False,  # noqa: ARG002 - as above
        **options: Any,
    ) -> None:
        """Do nothing with what is for type checkers."""
        super().__init__(name, bases, namespace, **options)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's, for `help()` and editors: `__call__` below would hide it."""
        whole = inspect.signature(type.__getattribute__(cls, "__init__"))
        return whole.replace(parameters=list(whole.parameters.values())[1:], return_annotation=whole.empty)

    if not TYPE_CHECKING:  # a type checker would take its arguments for those of the constructor

        @secret_boundary
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            """Make the instance, then check it."""
            if mistake := settings_mistake(cls):
                raise ConfigurationError(f"{cls.__name__} {mistake}.")
            with construction(True):
                instance = super().__call__(*args, **kwargs)
            with construction(False):
                _check(instance)
            return instance


def frozen(cls: type[T]) -> type[T]:
    """Decorate a class of `ValidatedMeta` whose constructor is written out for type checkers.

    At run time it is `attrs.frozen`. mypy puts a constructor of its own over that of a class under `attrs.frozen`.

    Args:
        cls: The class.
    """
    return attrs.frozen(cls)


def _check(instance: Any) -> None:
    """Check an instance against its schema: types, validators, references, exactly-one-of.

    Raises:
        ConfigurationError: All that is wrong.
    """
    cls = type(instance)
    problems = []
    for each in schema(cls):
        try:
            each.check(instance)
            if each.secret and (problem := reference_problem(each.value_of(instance))):
                problems.append(f"{each.name}: {problem}")
        except ValueError as error:
            others = [other.value_of(instance) for other in schema(cls) if other.secret and other is not each]
            what = mask(getattr(error, "message", None) or str(error), texts_in(others))  # it may quote another setting
            problems.append(f"{each.name}: {what}")
    for group in exactly_one_of(cls):
        given = [name for name in group if getattr(instance, name) not in (None, "")]
        if problem := group_problem(schema(cls), group, given):
            problems.append(problem)
    if problems:
        raise ConfigurationError.of(f"Cannot make {cls.__name__}", problems)


def reference_problem(value: object) -> str | None:
    """What is wrong with a secret of an instance made by hand: it is a reference, which would not be resolved."""
    if isinstance(value, list | tuple):
        return next(filter(None, map(reference_problem, value)), None)
    if not isinstance(value, str) or isinstance(value, LiteralText) or "://" not in value:
        return None
    from kinetic_auth_core.registry.discovery import KEY_LOADERS, installed

    schemes = {plugin.name for plugin in installed(KEY_LOADERS, value.strip().partition("://")[0])}
    if parse_reference(value, schemes) is None:
        return None
    return "is a reference, and references are for kinetic_auth_core.resolve(...); give the value itself"


#: Names that belong to the source or to `resolve` itself. A plugin's class may not use them, nor those that begin with
#: `RESERVED_PREFIX`: their variables are those of the store's settings.
RESERVED_NAMES = frozenset(
    {
        *("session_lifetime", "lockout_guard", "login_budget", "expected_org_id", "allowed_instance_hosts", "store"),
        *("provider", "environment", "config", "env_file", "observers"),
    }
)
RESERVED_PREFIX = "store_"


def reserved_names_of(cls: type) -> list[str]:
    """The settings of a class whose names are reserved for the source or `resolve`."""
    names = [each.name for each in schema(cls)]
    return sorted(name for name in names if name in RESERVED_NAMES or name.startswith(RESERVED_PREFIX))
