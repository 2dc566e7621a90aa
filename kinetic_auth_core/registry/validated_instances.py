"""A class that checks its instances, once their constructors have returned; for providers that hold secrets."""

import abc
import inspect
from typing import Any

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.registry.discovery import KEY_LOADERS, installed
from kinetic_auth_core.registry.references import parse_reference
from kinetic_auth_core.settings.schema import (
    LiteralText,
    construction,
    deferred,
    exactly_one_of,
    group_problem,
    schema,
)

_FIELD = type(attrs.field())  # what a class has for a field until attrs has made it an attrs class


class ValidatedMeta(abc.ABCMeta):
    """Checks an instance once its constructor has returned.

    All problems are reported at once, and no traceback has the constructor's frame, whose locals are the secrets.
    """

    validates_after_init = True

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        """Make the class. All validators of its fields, `@field.validator` as well, run after the constructor."""
        for field in namespace.values():
            if isinstance(field, _FIELD) and field._validator is not None:  # noqa: SLF001 - attrs has no other way
                field._validator = deferred(field._validator)  # noqa: SLF001
        return super().__new__(mcs, name, bases, namespace, **options)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's, for `help()` and editors: `__call__` below would hide it."""
        whole = inspect.signature(type.__getattribute__(cls, "__init__"))
        return whole.replace(parameters=list(whole.parameters.values())[1:], return_annotation=whole.empty)

    @secret_boundary
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the instance, then check it."""
        with construction(True):
            instance = super().__call__(*args, **kwargs)
        with construction(False):
            _check(instance)
        return instance


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
            problems.append(f"{each.name}: {getattr(error, 'message', None) or error}")
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
    schemes = {plugin.name for plugin in installed(KEY_LOADERS)}
    if parse_reference(value, schemes) is None:
        return None
    return "is a reference, and references are for kinetic_auth_core.resolve(...); give the value itself"
