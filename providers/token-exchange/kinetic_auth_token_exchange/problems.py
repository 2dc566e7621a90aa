"""Problems as records, which are returned as values and raised only where no token is in scope."""

import attrs

from kinetic_auth_core.plugins import KeyLoadError, Reference


@attrs.frozen
class Problem:
    """Why there is no subject token.

    Attributes:
        what: The rest of a sentence whose subject is the reference.
        remedy: What to do.
        retryable: Whether asking again may help.
    """

    what: str
    remedy: str
    retryable: bool = False

    def error(self, reference: Reference) -> KeyLoadError:
        """The error to raise for a reference."""
        return KeyLoadError(f"{reference}: {self.what}.", remedy=self.remedy)
