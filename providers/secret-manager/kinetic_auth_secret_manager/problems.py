"""Problems as records, which are returned as values and raised only where no secret is in scope.

An SDK's own exception is never chained: it holds the request, and with it tokens. Its text is kept.
"""

from typing import Self

import attrs

from kinetic_auth_core import KeyLoadError, Reference


class SdkError(Exception):
    """Type and message of an SDK's error."""


@attrs.frozen
class Problem:
    """Why there is no value or no signature.

    Attributes:
        what: The rest of a sentence whose subject is the reference.
        remedy: What to do.
        outage: The vault or the network is down, so a value that was read earlier may still be used.
        cause: The text of the SDK's error.
    """

    what: str
    remedy: str
    outage: bool = False
    cause: str = ""

    def caused_by(self, error: BaseException) -> Self:
        """The same problem, with the text of the SDK's error."""
        kind = type(error)
        return attrs.evolve(self, cause=f"{kind.__module__}.{kind.__qualname__}: {error}")

    def error(self, reference: Reference | str) -> KeyLoadError:
        """The error to raise for a reference."""
        raised = KeyLoadError(f"{reference}: {self.what}.", remedy=self.remedy)
        raised.__cause__ = SdkError(self.cause) if self.cause else None
        return raised


@attrs.frozen
class Secret:
    """A value from a vault, kept out of reprs and of the locals that a traceback shows."""

    value: bytes = attrs.field(repr=False)
