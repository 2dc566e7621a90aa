"""Settings of a plugin: the attrs fields of its class, and the one schema that is read off them.

The constructor, `from_env`, the config file, the CLI and the docs' tables all use that schema. This module knows what a
setting is and which values it takes; where values come from is handled by the `config` package.
"""

import functools
import typing
from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import attrs

from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.redaction import MASK
from kinetic_auth_core.settings.coercion import arms, coerce, is_list_type, is_path_type, item_types

METADATA_KEY = "kinetic_auth_core.setting"


class LiteralText(str):
    """A secret that is meant as it stands, even where it looks like a reference."""

    __slots__ = ()


@attrs.frozen
class KeyList:
    """Values of one setting of which Salesforce takes one: the key in use and the next.

    Attributes:
        items: The values, some of them references, in the order in which they are tried.
    """

    items: tuple[Any, ...] = attrs.field(repr=False)


def setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,  # noqa: A002 - the name that argparse and click use for it
    env: str | None = None,
    secret: bool = False,
    converter: Callable[[Any], Any] | None = None,
    validator: Any = None,
    kw_only: bool = False,
    derived: Callable[[Any], Any] | None = None,
) -> Any:
    """Declare a field of an attrs class as a setting.

    Args:
        default: Its default, or an `attrs.Factory`. Left out: the setting is required.
        help: One line for people: what it is, in which unit or form.
        env: Its environment variable. Default: `SF_` and the name in upper case.
        secret: Keeps it out of `repr`, logs and `explain()`, and lets it be a reference (`env://NAME`).
        converter: As in attrs: brings the value into its final form. Raises ValueError for a bad one.
        validator: As in attrs: called with instance, attribute and value. The instance is None when a value is
            checked before the class is made.
        kw_only: As in attrs.
        derived: For a setting whose default is None: what None comes to, given the instance; for `explain()`.

    Returns:
        The attrs field.
    """
    options: dict[str, Any] = {"kw_only": True} if kw_only else {}  # False would undo a class's own kw_only
    return attrs.field(
        default=default,
        repr=not secret,
        converter=converter,
        validator=None if validator is None else _unless_checked_later(validator),
        metadata={METADATA_KEY: (help, env, secret, derived)},
        **options,
    )


def _unless_checked_later(validator: Any) -> Callable[[Any, Any, Any], None]:
    """The validator, silent while a class that checks its instances itself runs its constructor."""
    run = attrs.validators.and_(*validator) if isinstance(validator, list | tuple) else validator

    def validate(instance: Any, attribute: Any, value: Any) -> None:
        run(instance, attribute, value)

    def at_init(instance: Any, attribute: Any, value: Any) -> None:
        if not getattr(type(instance), "validates_after_init", False):
            run(instance, attribute, value)

    at_init.validate = validate  # type: ignore[attr-defined]  # read by Setting
    return at_init


@attrs.frozen
class Setting:
    """One setting, as read off its class.

    Attributes:
        name: The keyword of the constructor, and the key in a config file.
        type: The annotation of the field, resolved.
        default: The default; an `attrs.Factory`; or `attrs.NOTHING` for a required one.
        help: One line for people.
        env: The environment variable without an environment's prefix.
        secret: Whether its value must never be shown.
        derived: What None comes to, from the other settings; None where there is no such thing.
    """

    name: str
    type: Any
    default: Any = attrs.field(repr=False)
    help: str
    env: str
    secret: bool
    derived: Callable[[Any], Any] | None = attrs.field(repr=False)
    _attribute: "attrs.Attribute[Any]" = attrs.field(repr=False, alias="attribute")

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is attrs.NOTHING

    @property
    def is_path(self) -> bool:
        """Whether it takes a path, so that a relative one in a config file is relative to that file."""
        return any(is_path_type(arm) for arm in arms(self.type))

    @property
    def takes_list(self) -> bool:
        """Whether it takes a list."""
        return any(is_list_type(arm) for arm in arms(self.type))

    @property
    def takes_key_list(self) -> bool:
        """Whether it takes one value or a list of them, as a key and the next: each item of the list will do."""
        return self.takes_list and any(arm in (str, bytes) for arm in arms(self.type))

    @property
    def takes_bytes(self) -> bool:
        """Whether it takes bytes, by itself or in a list."""
        return bytes in (*arms(self.type), *(item for arm in arms(self.type) for item in item_types(arm)))

    def default_value(self, instance: Any) -> Any:
        """The default, or what it comes to where it is derived from other settings; None for a required one.

        Args:
            instance: Something that has the settings before this one.
        """
        if self.derived is not None:
            return self.derived(instance)
        if not isinstance(self.default, attrs.Factory):  # type: ignore[arg-type]  # a class, whatever its stub says
            return None if self.required else self.default
        return self.default.factory(instance) if self.default.takes_self else self.default.factory()

    def accept(self, value: Any, *, text: bool = False) -> Any:
        """Check one value by type, converter and validator.

        Args:
            value: What was given.
            text: It comes from an environment variable, so numbers and the like are to be read from text.

        Returns:
            The value for the constructor (the constructor applies the converter again).

        Raises:
            ValueError: It does not fit; the text says why and holds no secret.
        """
        convert = self._attribute.converter
        try:
            value = coerce(value, self.type, text=text)
        except ValueError:
            if convert is None:
                raise
        if self.required and value == "":
            raise ValueError("is empty")
        converted = value if convert is None else coerce(self._guarded(convert, value), self.type)
        self._validate(None, converted)
        return value

    def check(self, instance: Any) -> None:
        """Check the value that a finished instance has, by type and validator.

        Raises:
            ValueError: It does not fit; the text says why and holds no secret.
        """
        value = self.value_of(instance)
        coerce(value, self.type)
        if self.required and value == "":
            raise ValueError("is empty")
        self._validate(instance, value)

    def value_of(self, instance: Any) -> Any:
        """The value that an instance has."""
        return getattr(instance, self._attribute.name)

    def _validate(self, instance: Any, value: Any) -> None:
        if (validator := self._attribute.validator) is not None:
            self._guarded(getattr(validator, "validate", validator), instance, self._attribute, value)

    def _guarded(self, function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except KineticAuthError as error:
            raise ValueError(error.message) from None
        except Exception as error:
            if self.secret:  # other people's texts quote the value
                raise ValueError(f"was refused ({type(error).__name__})") from None
            raise ValueError(str(error) or type(error).__name__) from error

    def displayed(self, value: Any) -> Any:
        """The value as `explain()` and the CLI may show it."""
        if not self.secret or value in (None, "", (), []):
            return value
        return (MASK,) * len(value) if isinstance(value, list | tuple) else MASK


@attrs.frozen
class ExplainedSetting:
    """A row of `explain()`.

    Attributes:
        name: The setting.
        value: Its value; masked where it is secret, except that a reference is shown as it is written.
        source: `keyword`, `<file>:<key>`, the variable (and its `.env`), `default`, or `constructor` for an instance
            that was made by hand.
        secret: Whether the setting is secret.
        note: What else there is to say: which package loads what a reference names, and which item of a list of keys is
            in use.
    """

    name: str
    value: Any
    source: str
    secret: bool
    note: str = ""


#: Names that belong to the source or to `resolve` itself. A plugin's class may not use them.
RESERVED_NAMES = frozenset(
    {
        *("session_lifetime", "lockout_guard", "login_budget", "expected_org_id", "allowed_instance_hosts", "store"),
        *("provider", "environment", "config", "env_file"),
    }
)


def schema(cls: type) -> tuple[Setting, ...]:
    """Read the settings off an attrs class, in the order of the constructor's arguments.

    Raises:
        ConfigurationError: It is no attrs class, an annotation does not resolve, or a reserved name is used.
    """
    return _schema(cls)


@functools.cache
def _schema(cls: Any) -> tuple[Setting, ...]:
    if not attrs.has(cls):
        raise ConfigurationError(f"{cls.__qualname__} is not an attrs class, so it has no settings")
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:
        what = f"an annotation of {cls.__qualname__} does not resolve at run time: {error}"
        raise ConfigurationError(what) from error
    found = []
    for attribute in sorted(attrs.fields(cls), key=lambda each: each.kw_only):
        if not attribute.init:
            continue
        name = attribute.alias or attribute.name
        help_, env, secret, derived = attribute.metadata.get(METADATA_KEY, ("", None, False, None))
        found.append(
            Setting(
                name=name,
                type=hints.get(attribute.name, Any),
                default=attribute.default,
                help=help_,
                env=env or f"SF_{name.upper()}",
                secret=secret,
                derived=derived,
                attribute=attribute,
            )
        )
    return tuple(found)


def reserved_names_of(cls: type) -> list[str]:
    """The settings of a class whose names belong to the source or to `resolve`."""
    return sorted(RESERVED_NAMES.intersection(each.name for each in schema(cls)))


def secret_texts(instance: Any) -> list[str]:
    """The secret settings of an instance that are text, to be kept out of messages."""
    values = [each.value_of(instance) for each in schema(type(instance)) if each.secret]
    items = [item for value in values for item in (value if isinstance(value, list | tuple) else [value])]
    return [item for item in items if isinstance(item, str)]


def exactly_one_of(cls: type) -> tuple[tuple[str, ...], ...]:
    """The groups of settings of which a class wants exactly one: its `exactly_one_of`, if it has that attribute."""
    return tuple(tuple(group) for group in getattr(cls, "exactly_one_of", ()))


def group_problem(
    settings: Iterable[Setting], group: Sequence[str], given: Collection[str], prefix: str = ""
) -> str | None:
    """What is wrong with the members of an exactly-one-of group that were given; None if nothing."""
    if len(given) > 1:
        return f"{' and '.join(group)} exclude each other: give one of them"
    variables = " or ".join(prefix + each.env for each in settings if each.name in group)
    return None if given else f"one of {' or '.join(group)} is needed (as variable: {variables})"


def near(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the known name nearest to a misspelt one, or nothing."""
    match = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {match[0]!r}?)" if match else ""
