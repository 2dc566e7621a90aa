"""Coercion of values from TOML, keywords and environment variables to type annotations.

Messages name types only: a value may be a secret.
"""

import functools
import os
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any


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
        fits, result = _fit(value, arm, text)
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
    """The members of a union; otherwise the annotation itself."""
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return typing.get_args(expected)
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
        return (value in typing.get_args(arm), value) if origin is typing.Literal else (True, value)
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
    if typing.get_origin(arm) is typing.Literal:
        return " or ".join(repr(choice) for choice in typing.get_args(arm))
    if is_path_type(arm):
        return "a path"
    if typing.get_origin(arm) is tuple and Ellipsis not in (items := typing.get_args(arm)):
        return f"a list of {' and '.join(_describe_type(each) for each in items)}"
    origin = typing.get_origin(arm) or arm
    return _TYPE_NAMES.get(origin) or str(getattr(origin, "__name__", arm))


def _describe_value(value: Any) -> str:
    return _TYPE_NAMES.get(type(value)) or type(value).__name__
