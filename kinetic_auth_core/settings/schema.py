"""Settings of a plugin, as they are derived from the attrs fields of its class: the schema.

The constructor, `from_env`, the config file, the CLI and the docs' tables all use that schema. `settings.fields` has
how a setting is declared; the `config` package reads the values.
"""

import copy
import enum
import functools
import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.locations import is_key_text
from kinetic_auth_core.redaction import MASK
from kinetic_auth_core.settings.fields import (
    FOUND_FILES_KEY,
    METADATA_KEY,
    arms,
    coerce,
    is_list_type,
    is_path_type,
    item_types,
    program_problem,
)


class LiteralText(str):
    """A secret that is used literally, even if it looks like a reference."""

    __slots__ = ()


class KeyList:
    """Values of one setting of which Salesforce accepts one: the current key and the next.

    Attributes:
        items: The values, some of them references, in the order in which they are tried.
    """

    def __init__(self, items: tuple[Any, ...]) -> None:
        self.items = items


def _single(validator: Any) -> Iterator[Any]:
    """The validators that a field's validator is made of; attrs joins several, and `deferred` wraps them."""
    parts = getattr(validator, "validators", None) or getattr(validator, "_validators", None)
    if isinstance(parts, list | tuple):
        for part in parts:
            yield from _single(part)
    elif validator is not None:
        yield validator


def _arms_and_items(type_: Any) -> list[Any]:
    """The members of a union, and the types of the items of those that are lists."""
    return [each for arm in arms(type_) for each in (arm, *item_types(arm))]


class Setting:
    """One setting of a class.

    Args:
        attribute: The field that declares it.
        annotation: Its annotation, resolved.

    Attributes:
        name: The keyword of the constructor, and the key in a config file.
        type: The annotation.
        default: The default; an `attrs.Factory`; or `attrs.NOTHING` for a required one.
        help: One line of description.
        env: The environment variable without an environment's prefix.
        secret: Whether its value must not be displayed.
        derived: Computes the value that None stands for from the other settings; None if there is none.
        identity: Whether only sources with the same value share a session.
        required: Whether it has no default.
        is_path: Whether it is a path: a relative one in a config file is relative to that file.
        takes_list: Whether it takes a list.
        takes_key_list: Whether it takes one value or a list, such as the current key and the next, of which each may be
            accepted.
        takes_bytes: Whether it takes bytes, or a list of bytes.
        takes_text: Whether it takes text or bytes, or a list of them.
        default_row: The row of `explain()` for its default; None where the default is computed, or there is none.
    """

    def __init__(self, attribute: "attrs.Attribute[Any]", annotation: Any) -> None:
        self._attribute = attribute
        self.name: str = attribute.alias or attribute.name
        self.type = annotation
        self.default: Any = attribute.default
        declared = attribute.metadata.get(METADATA_KEY, ("", None, False, None, True))
        self.help: str
        self.secret: bool
        self.derived: Callable[[Any], Any] | None
        self.identity: bool
        self.help, env, self.secret, self.derived, self.identity = declared
        self.env: str = env or f"SF_{self.name.upper()}"
        # What follows from the type and the default: computed once, as each source asks for all of it.
        one_of, with_items = arms(annotation), _arms_and_items(annotation)
        self.required = self.default is attrs.NOTHING
        self.is_path = any(map(is_path_type, one_of))
        self.takes_list = any(map(is_list_type, one_of))
        self.takes_key_list = self.takes_list and any(arm in (str, bytes) for arm in one_of)
        self.takes_bytes = bytes in with_items
        self.takes_text = self.takes_bytes or any(each in (str, Any) for each in with_items)
        self.default_row = self._default_row()
        self._is_good_by_default = self._needs_no_check()

    def __repr__(self) -> str:
        """Its name and type."""
        return f"Setting({self.name!r}, {self.type!r})"

    def of_store(self) -> "Setting":
        """The same as a setting of the session store, whose variables begin with `SF_STORE_`."""
        other = copy.copy(self)
        other.env = f"SF_STORE_{self.name.upper()}"
        return other

    def declared_with(self, other: "Setting") -> bool:
        """Whether it is the other one, inherited from the class that declares it.

        Args:
            other: A setting of that class.
        """
        mine, others = (each._attribute.metadata.get(METADATA_KEY) for each in (self, other))  # noqa: SLF001
        return mine is not None and mine is others

    def problem_in_found_file(self, value: Any) -> str | None:
        """Why a file that was found by searching must not set it to a value; None if it may.

        Args:
            value: The value.
        """
        problem: Callable[[Any], str | None] | None = self._attribute.metadata.get(FOUND_FILES_KEY)
        return None if problem is None else problem(value)

    def default_value(self, instance: Any) -> Any:
        """The default, computed from other settings if it is derived; None for a required setting.

        Args:
            instance: An object with the settings before this one.
        """
        if self.derived is not None:
            return self.derived(instance)
        if not isinstance(self.default, attrs.Factory):  # type: ignore[arg-type]  # a class, whatever its stub says
            return None if self.required else self.default
        return self.default.factory(instance) if self.default.takes_self else self.default.factory()

    def accept(self, value: Any, *, text: bool = False) -> Any:
        """Check one value by type and converter; `check` and `config.construct.refusals` apply its validators.

        Args:
            value: The value.
            text: It comes from an environment variable, so numbers and the like are read from text.

        Returns:
            The value for the constructor (which applies the converter again).

        Raises:
            ValueError: It is invalid; the text says why, without the secret.
        """
        convert: Any = self._attribute.converter
        try:
            value = coerce(value, self.type, text=text)
        except ValueError:
            if convert is None:
                raise
        if self.required and value == "":
            raise ValueError("is empty")
        if convert is not None and not isinstance(convert, attrs.Converter):  # the latter may need the instance
            coerce(self.converted(value), self.type)
        return value

    def converted(self, value: Any) -> Any:
        """A value as attrs converts it in the constructor.

        Raises:
            ValueError: The converter refuses it; the text says why, without the secret.
        """
        convert: Any = self._attribute.converter
        if convert is None or isinstance(convert, attrs.Converter):  # as above
            return value
        return self._guarded(convert, value)

    def mistake(self) -> str | None:
        """What is wrong with its declaration, as the end of a sentence; None if nothing is."""
        for validator in _single(self._attribute.validator):
            try:
                signature = inspect.signature(validator)
            except (TypeError, ValueError):  # a callable without a signature
                continue
            try:
                signature.bind(None, None, None)
            except TypeError:
                name = getattr(validator, "__name__", type(validator).__name__)
                return f"its validator is {name}{signature}, but it is called as {name}(instance, attribute, value)"
        is_computed = isinstance(self.default, attrs.Factory) or isinstance(self._attribute.converter, attrs.Converter)  # type: ignore[arg-type]  # as above
        if self.default is None or self.required or is_computed:
            return None
        try:
            self.accept(self.default)
        except ValueError as error:
            return f"its default does not fit its type: {error}"
        return None

    def check(self, instance: Any) -> None:
        """Check the value of a complete instance, by type and validator.

        Raises:
            ValueError: It is invalid; the text says why, without the secret.
        """
        value = self.value_of(instance)
        if value is self.default and self._is_good_by_default:
            return
        if isinstance(member := coerce(value, self.type), enum.Enum) and member is not value:
            raise ValueError(f"expected {type(member).__name__}.{member.name}")  # a constructor converts nothing
        if self.required and value == "":
            raise ValueError("is empty")
        self.validate(instance, value)
        if self.takes_key_list and isinstance(value, list | tuple) and not value:
            raise ValueError("is empty")

    def _default_row(self) -> "ExplainedSetting | None":
        if self.required or self.derived is not None or isinstance(self.default, attrs.Factory):  # type: ignore[arg-type]  # as above
            return None
        return ExplainedSetting(self.name, self.displayed(self.default), "default", self.secret)

    def _needs_no_check(self) -> bool:
        """Whether `check` accepts the default whatever the other settings are."""
        if self.required or self.takes_key_list or self._attribute.validator is not None:
            return False
        try:
            coerce(self.default, self.type)
        except ValueError:
            return False
        return True

    @property
    def attribute_name(self) -> str:
        """The name of its attribute, which may begin with an underscore that the setting's own has not."""
        return self._attribute.name

    def value_of(self, instance: Any) -> Any:
        """The value of an instance."""
        return getattr(instance, self._attribute.name)

    def validate(self, instance: Any, value: Any) -> None:
        """Apply the validators to a value of an instance.

        Raises:
            ValueError: One refuses it; the text says why, without the secret.
        """
        if (validator := self._attribute.validator) is not None:
            self._guarded(validator, instance, self._attribute, value)

    def _guarded(self, function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except KineticAuthError as error:
            raise ValueError(error.message) from None
        except Exception as error:
            raise_interruption(error)
            if self.secret:  # the text of the error may quote the value
                raise ValueError(f"was refused ({type(error).__name__})") from None
            is_of_attrs = len(error.args) > 1 and isinstance(error.args[1], attrs.Attribute)  # its text is the first
            raise ValueError(str(error.args[0] if is_of_attrs else error) or type(error).__name__) from error

    def displayed(self, value: Any) -> Any:
        """The value as `explain()` and the CLI display it."""
        if self.is_path and is_key_text(value):  # a validator refuses it
            return MASK
        if not self.secret or value in (None, "", (), []):
            return value
        return (MASK,) * len(value) if isinstance(value, list | tuple) else MASK


@attrs.frozen
class ExplainedSetting:
    """A row of `explain()`.

    Attributes:
        name: The setting.
        value: Its value; masked if it is secret; a reference is displayed unchanged.
        source: `keyword`, `<file>:<key>`, the variable (and its `.env`), `default`, or `constructor` for an instance
            that the application made.
        secret: Whether the setting is secret.
        note: Which package loads the secret that a reference names, which item of a list of keys is in use, and which
            variables are set and passed over.
    """

    name: str
    value: Any
    source: str
    secret: bool
    note: str = ""


def schema(cls: type) -> tuple[Setting, ...]:
    """The settings of an attrs class, in the order of the constructor's arguments.

    Raises:
        ConfigurationError: It is not an attrs class, or an annotation does not resolve.
    """
    return _schema(cls)


@functools.cache
def _schema(cls: Any) -> tuple[Setting, ...]:
    if not attrs.has(cls):
        raise ConfigurationError(f"{cls.__qualname__} is not an attrs class, so it has no settings")
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:
        raise_interruption(error)
        what = f"an annotation of {cls.__qualname__} does not resolve at run time: {error}"
        raise ConfigurationError(what) from error
    fields = sorted(attrs.fields(cls), key=lambda each: each.kw_only)
    return tuple(Setting(each, hints.get(each.name, Any)) for each in fields if each.init)


def names_a_program(setting: Setting) -> bool:
    """Whether a setting was declared by `command_setting`."""
    return setting.problem_in_found_file("") == program_problem("")


@functools.cache
def names_of_bytes(cls: Any) -> frozenset[str]:
    """The settings of a class that take bytes."""
    return frozenset(each.name for each in schema(cls) if each.takes_bytes)


def secret_texts(instance: Any) -> list[str]:
    """The texts in the secret settings of an instance, which messages must not contain.

    Args:
        instance: A plugin; one that is not an instance of an attrs class has no settings.
    """
    if not attrs.has(type(instance)):
        return []
    return [text for each in schema(type(instance)) if each.secret for text in texts_in(each.value_of(instance))]


def texts_in(value: Any) -> Iterator[str]:
    """The texts that a value of a setting holds, also those in a table or list, and those of numbers.

    Args:
        value: The value; of pydantic's `SecretStr` and its like, what it hides.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield value.decode("utf-8", "ignore")
    elif isinstance(value, Mapping | list | tuple | set | frozenset):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from texts_in(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif (reveal := getattr(type(value), "get_secret_value", None)) is not None:
        yield from texts_in(reveal(value))


def text_of(value: Any) -> str | None:
    """The text that a setting holds, also as bytes or pydantic's `SecretStr`; None if it holds none.

    Args:
        value: The value.
    """
    return next(texts_in(value), None)


def exactly_one_of(cls: type) -> tuple[tuple[str, ...], ...]:
    """The groups of settings of which a class needs exactly one: its attribute `exactly_one_of`, if it has one."""
    return tuple(tuple(group) for group in getattr(cls, "exactly_one_of", ()))


def group_problem(
    settings: Iterable[Setting], group: Sequence[str], given: Collection[str], prefix: str = ""
) -> str | None:
    """Why the given members of an exactly-one-of group are wrong; None if exactly one is given."""
    if len(given) > 1:
        return f"{' and '.join(group)} exclude each other: give one of them"
    variables = " or ".join(prefix + each.env for each in settings if each.name in group)
    return None if given else f"one of {' or '.join(group)} is needed (as variable: {variables})"
