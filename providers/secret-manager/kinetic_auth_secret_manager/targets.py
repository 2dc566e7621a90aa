"""Parses references: the cloud, the name there, and the options, checked before any SDK is imported."""

import math
from collections.abc import Collection, Hashable, Mapping

import attrs

from kinetic_auth_core import KeyLoadError, Reference
from kinetic_auth_core.plugins import suggest, url_problem
from kinetic_auth_secret_manager.cache import DEFAULT_LIFETIME_S


@attrs.frozen
class Target:
    """A parsed reference.

    Attributes:
        reference: The reference, for messages.
        source: `aws`, `aws-ssm` or `azure`.
        name: The rest: a secret, a parameter, a key, or `vault/name`.
        options: The options after `?`.
        lifetime_s: How long a value may be used, in seconds.
    """

    reference: Reference
    source: str
    name: str
    options: Mapping[str, str]
    lifetime_s: float

    @property
    def key(self) -> Hashable:
        """Equal for all references to one value, whatever their fields."""
        asked = tuple(sorted((name, value) for name, value in self.options.items() if name != "cache"))
        return self.reference.scheme, self.source, self.name, asked

    @property
    def label(self) -> str:
        """The reference without its field."""
        return str(self.reference).partition("#")[0]


def target_of(reference: Reference, options: Mapping[str, Collection[str]]) -> Target:
    """Parse a reference.

    Args:
        reference: The reference.
        options: The sources of its scheme, each with its options.

    Raises:
        KeyLoadError: It is malformed.
    """
    source, _, name = reference.rest.partition("/")
    if source not in options:
        raise KeyLoadError(
            f"{reference}: {source!r} is not a source of {reference.scheme}://{suggest(source, options)}.",
            remedy=f"Write one of {', '.join(f'{reference.scheme}://{each}/...' for each in options)}.",
        )
    if not name.strip("/"):
        raise KeyLoadError(
            f"{reference}: nothing follows {source}/.", remedy=f"Write {_form(reference.scheme, source)}."
        )
    known = sorted({*options[source], "cache"})
    if unknown := [each for each in reference.query if each not in known]:
        raise KeyLoadError(
            f"{reference}: {source} has no option {unknown[0]!r}{suggest(unknown[0], known)}.",
            remedy=f"Its options are {', '.join(known)}.",
        )
    if empty := [each for each, value in reference.query.items() if not value]:
        raise KeyLoadError(f"{reference}: the option {empty[0]!r} is empty.", remedy="Give it a value, or omit it.")
    if reference.scheme == "kms" and reference.field is not None:
        raise KeyLoadError(f"{reference}: a key has no fields.", remedy="Omit #... at the end of the reference.")
    if "endpoint" in reference.query and (problem := url_problem(reference.query["endpoint"])):
        raise KeyLoadError(f"{reference}: its endpoint {problem}.", remedy="Correct endpoint=, or omit it.")
    return Target(reference, source, name, reference.query, _lifetime(reference))


def _form(scheme: str, source: str) -> str:
    thing = "key" if scheme == "kms" else "parameter" if source == "aws-ssm" else "secret"
    return f"{scheme}://{source}/<vault>/<{thing}>" if source == "azure" else f"{scheme}://{source}/<{thing}>"


def _lifetime(reference: Reference) -> float:
    text = reference.query.get("cache")
    if text is None:
        return DEFAULT_LIFETIME_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise KeyLoadError(
            f"{reference}: cache={text} is not a number of seconds.", remedy="Write, for example, cache=60."
        )
    return seconds
