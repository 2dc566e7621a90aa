"""The schema that is read off a plugin's class: its settings, and which of them exclude each other."""

import functools
import typing
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.settings import METADATA_KEY, Setting

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
