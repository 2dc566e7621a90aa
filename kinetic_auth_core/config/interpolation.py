"""`${VAR}` and `${VAR:-default}` in values of a config file."""

import re
from collections.abc import Callable
from typing import Any

_REFERENCE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")


def has_references(value: Any) -> bool:
    """Whether a value, or something inside a list or table, has a `${`."""
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(has_references(item) for item in value.values())
    return isinstance(value, list) and any(has_references(item) for item in value)


def interpolate(value: Any, lookup: Callable[[str], str | None]) -> Any:
    """Put the variables' values in. What comes out of a variable is not looked at again.

    Args:
        value: Text, or a list or table with text in it; anything else is returned as it is.
        lookup: Gives a variable's value, or None where it is not set.

    Raises:
        ValueError: A variable is not set and has no default, or a `${` is not a reference.
    """
    if isinstance(value, dict):
        return {key: interpolate(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, lookup) for item in value]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None or "${" in (default or ""):
            raise ValueError('has a "${" that is no ${VARIABLE}; for text as it stands write { value = "..." }')
        found = lookup(name)
        if found is None and default is None:
            raise ValueError(f"the variable {name} is not set; set it, or give a default: ${{{name}:-...}}")
        return default if found is None or (found == "" and default is not None) else found

    return _REFERENCE.sub(replacement, value)
