"""What a reference asks for: the cloud, the name there, and the options, checked before any SDK is imported."""

import math
from collections.abc import Collection, Hashable, Mapping

import attrs

from kinetic_auth_core import KeyLoadError, Reference
from kinetic_auth_core.plugins import suggest, url_problem
from kinetic_auth_secret_manager.cache import DEFAULT_LIFETIME_S


@attrs.frozen
class Target:
    """What to read.

    Attributes:
        reference: As it was written, for messages.
        source: `aws`, `aws-ssm` or `azure`.
        name: What follows it in the reference: a secret, a parameter, a key, or `vault/name`.
        options: The query, every name of it known.
        lifetime_s: How long what was read may serve, in seconds.
    """

    reference: Reference
    source: str
    name: str
    options: Mapping[str, str]
    lifetime_s: float

    @property
    def key(self) -> Hashable:
        """The same for all references that one request answers, whatever their fields."""
        asked = tuple(sorted((name, value) for name, value in self.options.items() if name != "cache"))
        return self.reference.scheme, self.source, self.name, asked

    @property
    def called(self) -> str:
        """The reference without its field."""
        return str(self.reference).partition("#")[0]


def target_of(reference: Reference, options: Mapping[str, Collection[str]]) -> Target:
    """Read a reference.

    Args:
        reference: What the configuration says.
        options: The sources that its scheme knows, each with the options that it takes.

    Raises:
        KeyLoadError: It is malformed.
    """
    source, _, name = reference.rest.partition("/")
    if source not in options:
        raise KeyLoadError(
            f"{reference}: {source!r} is no place that {reference.scheme}:// knows{suggest(source, options)}.",
            remedy=f"Write one of {', '.join(f'{reference.scheme}://{each}/...' for each in options)}.",
        )
    if not name.strip("/"):
        raise KeyLoadError(
            f"{reference}: it names nothing behind {source}/.", remedy=f"Write {_form(reference.scheme, source)}."
        )
    known = sorted({*options[source], "cache"})
    if unknown := [each for each in reference.query if each not in known]:
        raise KeyLoadError(
            f"{reference}: {source} takes no option {unknown[0]!r}{suggest(unknown[0], known)}.",
            remedy=f"Its options are {', '.join(known)}.",
        )
    if empty := [each for each, value in reference.query.items() if not value]:
        raise KeyLoadError(
            f"{reference}: the option {empty[0]!r} is empty.", remedy="Give it a value, or leave it out."
        )
    if reference.scheme == "kms" and reference.field is not None:
        raise KeyLoadError(
            f"{reference}: a key that signs has no fields.", remedy="Leave out #... at the end of the reference."
        )
    if "endpoint" in reference.query and (problem := url_problem(reference.query["endpoint"])):
        raise KeyLoadError(f"{reference}: its endpoint {problem}.", remedy="Correct endpoint=, or leave it out.")
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
            f"{reference}: cache={text} is no number of seconds.", remedy="Write, for example, cache=60."
        )
    return seconds
