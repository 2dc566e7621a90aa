"""What observers are told of a login, and how its parts report the facts of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs


@attrs.frozen
class LoginEvent:
    """The facts of one login, without a secret.

    Attributes:
        plugin: The provider's entry-point name; its class name if it was made by hand.
        distribution: The package that brought it, as `name version`; None if it was made by hand.
        host: The host that was asked, where the provider has a `login_url`.
        username: The Salesforce user, where the provider knows.
        org_id: The org that was reached; None if the login failed.
        attempts: Requests to the token endpoint; 0 if none was sent, or the plugin sends its own.
        duration_s: Seconds, by the monotonic clock.
        waited_s: Seconds of it that were pauses between requests.
        key_fingerprint: SHA-256 of the public key that signed (SubjectPublicKeyInfo, DER), as hex; None if none did.
    """

    plugin: str
    distribution: str | None = None
    host: str | None = None
    username: str | None = None
    org_id: str | None = None
    attempts: int = 0
    duration_s: float = 0.0
    key_fingerprint: str | None = None
    waited_s: float = 0.0


@attrs.define
class LoginTally:
    """Counts what happens during one login; filled by whoever does it."""

    attempts: int = 0
    key_fingerprint: str | None = None
    waited_s: float = 0.0


_tally: ContextVar[LoginTally | None] = ContextVar("kinetic_auth_login_tally", default=None)


@contextmanager
def tallied() -> Iterator[LoginTally]:
    """Collect the facts of the login that runs inside."""
    tally = LoginTally()
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)


def current_tally() -> LoginTally:
    """The tally of the login that runs now; one that nobody reads, outside of any."""
    return _tally.get() or LoginTally()
