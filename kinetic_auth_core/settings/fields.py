"""A field of a plugin's class: how it is declared as a setting, and which values it takes, by its type and validators.

Values come from TOML, keywords and environment variables. Messages about one of the wrong type name types only: a value
may be a secret. `settings.schema` reads what was declared; settings that are URLs are in `settings.hosts`.
"""

import contextlib
import dis
import enum
import functools
import logging
import os
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import is_key_text, proxy_problem
from kinetic_auth_core.session import (
    DEFAULT_API_VERSION,
    FIRST_LASTING_API_VERSION,
    default_api_version,
    is_retired,
    normal_api_version,
    retires_soon,
)

logger = logging.getLogger(__name__)

METADATA_KEY = "kinetic_auth_core.setting"
FOUND_FILES_KEY = "kinetic_auth_core.not_from_found_files"

P = ParamSpec("P")
T = TypeVar("T")


def with_help(declare: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that declares a setting: without `help=` the error names the setting, its file and its line.

    Args:
        declare: The function.
    """

    @functools.wraps(declare)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if "help" not in kwargs:
            frame = sys._getframe(1)  # noqa: SLF001 - the class body; inspect's own way reads the source, too
            stored = (each for each in dis.get_instructions(frame.f_code) if each.offset > frame.f_lasti)
            name = next((repr(each.argval) for each in stored if each.opname.startswith("STORE_")), "")
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            raise TypeError(f'the setting {name} ({place}) has no help: write setting(..., help="What it is.")')
        return declare(*args, **kwargs)

    return wrapper


@with_help
def setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,  # noqa: A002 - the name that argparse and click use for it
    env: str | None = None,
    secret: bool = False,
    identity: bool = True,
    converter: Callable[[Any], Any] | None = None,
    validator: Any = None,
    kw_only: bool = False,
    derived: Callable[[Any], Any] | None = None,
) -> Any:
    """Declare a field of an attrs class as a setting.

    Args:
        default: Its default, or an `attrs.Factory`. Without one the setting is required.
        help: One line: what it is, with its unit or format.
        env: Its environment variable. Default: `SF_` and the name in upper case.
        secret: Keeps it out of `repr`, logs and `explain()`, and allows a reference (`env://NAME`).
        identity: Whether it may tell two users apart: only sources with the same value share a session. False for what
            a user has beside a name, such as a key; a secret that is given as text counts nevertheless.
        converter: As in attrs: converts the value. Raises ValueError for an invalid one.
        validator: As in attrs: called with instance, attribute and value; or a list of them. attrs' own
            `@field.validator` adds to it. Where other settings are missing or wrong, or are references, the instance
            lacks them: a validator that reads one of those is called again once they are there.
        kw_only: As in attrs.
        derived: For a setting whose default is None: computes its effective value from the instance, for `explain()`.

    Returns:
        The attrs field.
    """
    options: dict[str, Any] = {"kw_only": True} if kw_only else {}  # False would undo a class's own kw_only
    return attrs.field(
        default=default,
        repr=not secret,
        converter=converter,
        validator=None if validator is None else deferred(validator),
        metadata={METADATA_KEY: (help, env, secret, derived, identity)},
        **options,
    )


def not_from_found_files(field: Any, problem: Callable[[Any], str | None]) -> Any:
    """Mark a setting that decides who gets credentials, or what is run: files found by searching must not decide that.

    A project that somebody cloned may have brought such a file.

    Args:
        field: What `setting` returned.
        problem: Says of a value why such a file must not set it, as the end of a sentence; None if it may.

    Returns:
        The field.
    """
    field.metadata = {**field.metadata, FOUND_FILES_KEY: problem}
    return field


#: Whether the constructor of a class is running that checks its instances afterwards.
_under_construction: ContextVar[bool] = ContextVar("kinetic_auth_under_construction", default=False)


@contextlib.contextmanager
def construction(runs: bool) -> Iterator[None]:
    """While a constructor runs whose class checks its instances afterwards, `deferred` validators do nothing.

    Args:
        runs: Whether it runs; False for the check, also where it happens inside of another constructor.
    """
    token = _under_construction.set(runs)
    try:
        yield
    finally:
        _under_construction.reset(token)


def deferred(validator: Any) -> Callable[[Any, Any, Any], None]:
    """The validator, which does nothing in the constructor of a class that checks its instances afterwards.

    Args:
        validator: As in attrs: a validator, or a list of them.
    """
    run = attrs.validators.and_(*validator) if isinstance(validator, list | tuple) else validator

    def validate(instance: Any, attribute: Any, value: Any) -> None:
        if not (_under_construction.get() and getattr(type(instance), "validates_after_init", False)):
            run(instance, attribute, value)

    validate.validators = validator if isinstance(validator, list | tuple) else (validator,)  # type: ignore[attr-defined]
    return validate


def coerce(value: Any, expected: Any, *, text: bool = False) -> Any:
    """Convert a value to the type of an annotation.

    Args:
        value: The value.
        expected: A type, a union of types, or `Any`.
        text: Read numbers, truth values and comma-separated lists from text.

    Raises:
        ValueError: It does not fit. The text names types only, not the value.
    """
    if isinstance(value, str) and not is_encodable(value):
        raise ValueError("is not valid text: some of its bytes were not UTF-8")
    if not text and type(value) in _unchanged_types(expected):
        return value
    for arm in arms(expected):
        choices = _choices(arm)
        fits, result = _fit(value, arm, text) if choices is None else _fit_choice(value, choices, text)
        if fits:
            return result
    if isinstance(value, list | tuple) and (fitting := [item for arm in arms(expected) for item in item_types(arm)]):
        for item in value:
            coerce(item, typing.Union[tuple(fitting)], text=text)  # noqa: UP007 - from a tuple
    wanted = " or ".join(dict.fromkeys(_describe_type(arm) for arm in arms(expected) if arm is not types.NoneType))
    raise ValueError(f"expected {wanted}, got {_describe_value(value)}")


_SIMPLE = frozenset({str, bytes, int, float, bool, types.NoneType})


def _unchanged_types(expected: Any) -> frozenset[type]:
    """The types of which every value fits an annotation and is not converted, unless it is read from text."""
    try:
        return _unchanged_types_of(expected)
    except TypeError:  # an annotation that cannot be hashed
        return frozenset()


@functools.lru_cache(maxsize=1024, typed=True)
def _unchanged_types_of(expected: Any) -> frozenset[type]:
    all_arms = arms(expected)
    first_other = next((number for number, arm in enumerate(all_arms) if arm not in _SIMPLE), len(all_arms))
    simple = set(all_arms[:first_other])  # of those behind another arm, that one may convert a value
    return frozenset(simple | ({types.NoneType} & set(all_arms)))


def is_encodable(text: str) -> bool:
    """Whether text can be sent: lone surrogates, which come from bytes that are not UTF-8, cannot."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def arms(expected: Any) -> tuple[Any, ...]:
    """The members of a union; otherwise the annotation itself. `NewType` and `type` aliases count as what they name."""
    while (named := getattr(expected, "__supertype__", None) or getattr(expected, "__value__", None)) is not None:
        expected = named
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return tuple(arm for member in typing.get_args(expected) for arm in arms(member))
    return (expected,)


def is_path_type(arm: Any) -> bool:
    """Whether an annotation means a path: `os.PathLike` or `pathlib.Path`."""
    origin = typing.get_origin(arm) or arm
    return isinstance(origin, type) and (origin is os.PathLike or issubclass(origin, Path))


def is_list_type(arm: Any) -> bool:
    """Whether an annotation means a list, tuple, set or sequence."""
    return (typing.get_origin(arm) or arm) in _LISTS


def item_types(arm: Any) -> tuple[Any, ...]:
    """The types of the items of a list; empty if the annotation is not a list."""
    return tuple(each for arg in typing.get_args(arm) for each in arms(arg)) if is_list_type(arm) else ()


_LISTS = (list, tuple, set, frozenset, Sequence, Collection)
_TRUTH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def _fit(value: Any, arm: Any, text: bool) -> tuple[bool, Any]:
    """Whether a value fits one arm of a union, and the value converted to it."""
    origin = typing.get_origin(arm) or arm
    read = value.strip() if text and isinstance(value, str) else None
    if origin is Any or not isinstance(origin, type):
        return True, value
    if origin is bool:
        return (True, _TRUTH[read.lower()]) if read and read.lower() in _TRUTH else (isinstance(value, bool), value)
    if origin in (int, float):
        return _fit_number(value if read is None else read, origin, text)
    if is_path_type(arm):
        if isinstance(value, str) and origin is not os.PathLike:  # a plain str has no methods of Path
            return True, origin(value)
        return isinstance(value, str | os.PathLike), value
    if origin in _LISTS:
        if read is not None:
            value = [item.strip() for item in read.split(",") if item.strip()]
        return _fit_items(value, arm, text)
    if origin in (dict, Mapping) or typing.is_typeddict(origin):
        return isinstance(value, Mapping), value
    try:
        return isinstance(value, origin), value
    except TypeError:  # a protocol that is not runtime_checkable
        return True, value


def _choices(arm: Any) -> list[tuple[Any, Any]] | None:
    """What a `Literal` or an `Enum` offers: how each choice is written, and the choice; None for other annotations."""
    if typing.get_origin(arm) is typing.Literal:
        return [(each, each) for each in typing.get_args(arm)]
    if isinstance(arm, type) and issubclass(arm, enum.Enum):
        return [(each.value, each) for each in arm]
    return None


def _fit_choice(value: Any, choices: list[tuple[Any, Any]], text: bool) -> tuple[bool, Any]:
    """Whether a value is one of several, and which; text from a variable may stand for a number or truth value."""
    read = value.strip().lower() if text and isinstance(value, str) else None
    for written, choice in choices:
        is_read = read is not None and not isinstance(written, str) and read == str(written).lower()
        if value is choice or value == written or is_read:
            return True, choice
    return False, value


def _fit_number(value: Any, origin: type[int] | type[float], text: bool) -> tuple[bool, Any]:
    if text and isinstance(value, str):
        try:
            return True, origin(value)
        except ValueError:
            return False, value
    return isinstance(value, int if origin is int else int | float) and not isinstance(value, bool), value


def _fit_items(value: Any, arm: Any, text: bool) -> tuple[bool, Any]:
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        return False, value
    args = typing.get_args(arm) or (Any,)
    is_record = typing.get_origin(arm) is tuple and args[-1] is not Ellipsis  # tuple[str, int]: a type for each item
    if is_record and len(value) != len(args):
        return False, value
    item_types = args if is_record else args[:1] * len(value)
    try:
        items = [coerce(item, item_type, text=text) for item, item_type in zip(value, item_types, strict=True)]
    except ValueError:
        return False, value
    origin = typing.get_origin(arm) or arm
    return True, items if origin in (Sequence, Collection) else origin(items)


_TYPE_NAMES: Mapping[Any, str] = {
    str: "text",
    bytes: "bytes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    tuple: "a list",
    Sequence: "a list",
    dict: "a table",
    types.NoneType: "nothing",
}


def _describe_type(arm: Any) -> str:
    if (choices := _choices(arm)) is not None:
        return " or ".join(repr(written) for written, _ in choices)
    if is_path_type(arm):
        return "a path"
    if typing.get_origin(arm) is tuple and Ellipsis not in (items := typing.get_args(arm)):
        return f"a list of {' and '.join(_describe_type(each) for each in items)}"
    origin = typing.get_origin(arm) or arm
    return _TYPE_NAMES.get(origin) or str(getattr(origin, "__name__", arm))


def _describe_value(value: Any) -> str:
    return "text" if isinstance(value, str) else _TYPE_NAMES.get(type(value)) or type(value).__name__


def check_proxy(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a proxy's URL, or None.

    Raises:
        ConfigurationError: Its scheme is not supported, or the address is malformed; it is not quoted.
    """
    if value is None:
        return
    if not str(value).lower().startswith(("http://", "https://", "socks5://", "socks5h://")):
        raise ConfigurationError("must begin with http://, https:// or socks5h://")
    if problem := proxy_problem(str(value)):
        raise ConfigurationError(problem)


def single_line(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a name that appears in messages and logs.

    Raises:
        ConfigurationError: It is blank, or has surrounding blanks or control characters such as a line break.
    """
    if isinstance(value, str) and (not value or value != value.strip() or not value.isprintable()):
        raise ConfigurationError("is blank, has blanks around it, or a line break or another control character in it")


def check_path(_instance: object, _attribute: object, value: object) -> None:
    """Validator for the path of a key or certificate, or None.

    Raises:
        ConfigurationError: It is the key or certificate itself, which is not quoted.
    """
    if is_key_text(value):
        raise ConfigurationError("is the key or certificate itself, not a path: write it to a file, and give its path")


_MAX_SECONDS = 86_400  # a day


def check_seconds(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a length of time.

    Raises:
        ConfigurationError: It is not a number, not above 0, or more than a day.
    """
    if not isinstance(value, int | float) or not 0 < value <= _MAX_SECONDS:
        raise ConfigurationError(f"must be a number of seconds above 0, up to {_MAX_SECONDS}")


def program_problem(_value: object) -> str:
    """Why a file that nobody named may not set a program, whichever it is."""
    return "is a program that would be run"


def command_setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,  # noqa: A002 - as in `setting`
    **options: Any,
) -> Any:
    """A setting that names a program to run: a file that was found by searching, instead of named, must not set it.

    Args:
        default: As for `setting`.
        help: As for `setting`.
        **options: The other arguments of `setting`.
    """
    return not_from_found_files(setting(default, help=help, **options), program_problem)


def api_version_text(value: Any) -> Any:
    """Converter for an API version: TOML may have a number, `api_version = 61.0`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return default_api_version() if value is None else value


def check_api_version(_instance: object, _attribute: object, value: str) -> None:
    """Validator for an API version.

    Raises:
        ConfigurationError: It is not an API version.
    """
    version = normal_api_version(value)
    if is_retired(version):
        _warn_of_end(f"Salesforce has retired {version}: each REST call is answered by HTTP 410")
    elif retires_soon(version):
        _warn_of_end(f"Salesforce ends {version} with Summer '28")


@functools.cache
def _warn_of_end(what: str) -> None:
    """Warn once in a process."""
    logger.warning(
        "api_version: %s; write v%d.0 or newer, such as %s", what, FIRST_LASTING_API_VERSION, DEFAULT_API_VERSION
    )


def ca_bundle_setting() -> Any:
    """The `ca_bundle` setting: keyword-only. Without a grant it counts for what the source itself asks."""
    return setting(
        default=None,
        help="File or folder of CA certificates; default: REQUESTS_CA_BUNDLE, else certifi's.",
        identity=False,
        validator=check_path,
        kw_only=True,
    )


def api_version_setting() -> Any:
    """The `api_version` setting: keyword-only; default: `SF_API_VERSION`, else v62.0. For providers without a grant."""
    return setting(
        attrs.Factory(default_api_version),
        help="REST API version of the sessions, such as v62.0.",
        identity=False,
        converter=api_version_text,
        validator=check_api_version,
        kw_only=True,
    )
