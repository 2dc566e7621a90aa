"""References to secrets: `scheme://<rest>?<query>#<field>`, which values are references, and how they are resolved.

The core itself resolves `env://NAME` and `file://PATH`; installed key loaders resolve the other schemes. Nothing is
fetched before a login.
"""

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

import attrs

from kinetic_auth_core._published import NAMES
from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError
from kinetic_auth_core.locations import expanded, read_file

#: Resolved by the core itself.
BUILTIN_SCHEMES = frozenset({"file", "env"})
#: Always references; if the key loader is missing, the error names the package that has it.
KNOWN_SCHEMES = frozenset({*BUILTIN_SCHEMES, *NAMES["kinetic_auth.key_loaders"]})

_URI = re.compile(r"(?P<scheme>[^:/?#\s]+)://(?P<rest>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<field>.*))?", re.DOTALL)


@attrs.frozen
class Reference:
    """The place of a secret, not the secret itself. `str()` returns the URI as it was written.

    Attributes:
        scheme: The key loader: `secret-manager`, `env`, ...
        rest: The part after `://`, unchanged: it may be an ARN with colons.
        query: The options after `?`.
        field: The part after `#`, such as a field of a JSON secret; None if there is none.
        fresh: The value must be fetched again: a key loader must not return a cached one.
    """

    scheme: str
    rest: str
    query: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}), hash=False)
    field: str | None = None
    fresh: bool = attrs.field(default=False, kw_only=True, eq=False)
    _uri: str = attrs.field(default="", repr=False, alias="uri")

    def __str__(self) -> str:
        """The URI."""
        return self._uri


def parse_reference(text: str, schemes: Collection[str]) -> Reference | None:
    """Parse a secret's value as a reference.

    Args:
        text: The value.
        schemes: The schemes of the installed key loaders.

    Returns:
        The reference; None if the text does not start with a known scheme, so that it is the secret itself.

    Raises:
        ConfigurationError: It starts with a known scheme, but the reference is incomplete.
    """
    match = _URI.fullmatch(text.strip())
    if match is None or match["scheme"] not in KNOWN_SCHEMES.union(schemes):
        return None
    if not match["rest"]:
        raise ConfigurationError(f"the reference {text.strip()!r} names nothing after {match['scheme']}://")
    if match["query"] is not None and match["scheme"] in BUILTIN_SCHEMES:
        raise ConfigurationError(
            f"the reference {text.strip()!r} has a ?query, which {match['scheme']}:// does not accept"
        )
    query = MappingProxyType(dict(parse_qsl(match["query"] or "", keep_blank_values=True)))
    return Reference(match["scheme"], match["rest"], query, match["field"], uri=text.strip())


def load_builtin(reference: Reference, lookup: Callable[[str], str | None] = os.environ.get) -> bytes:
    """Resolve `env://NAME` or `file://PATH`; with a `#field`, that field of the JSON object there.

    Args:
        reference: The reference to resolve.
        lookup: Returns the value of an environment variable.

    Raises:
        KeyLoadError: The variable is not set, the file cannot be read, or the field does not exist.
    """
    raw = _variable(reference, lookup) if reference.scheme == "env" else _file(reference)
    if reference.field is None:
        return raw
    value = _json_field(raw, reference.field)
    if value is None:
        what = f"{reference}: there is no JSON object with a text field {reference.field!r}."
        raise KeyLoadError(what, remedy="Correct the field, or leave #... out to use the whole value.")
    return value


def _variable(reference: Reference, lookup: Callable[[str], str | None]) -> bytes:
    if value := lookup(reference.rest):
        return os.fsencode(value)
    what = f"{reference}: the environment variable {reference.rest} is not set."
    raise KeyLoadError(what, remedy="Set it, or correct the name.")


def _file(reference: Reference) -> bytes:
    try:
        return read_file(expanded(reference.rest))
    except (OSError, ValueError) as error:  # ValueError: an unknown home, or a NUL in the path
        raise_interruption(error)
        raise KeyLoadError(
            f"{reference}: {reference.rest} cannot be read: {getattr(error, 'strerror', None) or error}.",
            remedy="Correct the path or its permissions.",
        ) from error


def _json_field(raw: bytes, field: str) -> bytes | None:
    try:
        value = json.loads(raw)[field]
        return value.encode() if isinstance(value, str) else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
