"""The event that observers receive for a login or a dead session, and the tally that collects its facts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs


@attrs.frozen
class LoginEvent:
    """The facts of one login, or of a session that was reported dead; without a secret.

    Attributes:
        provider: The provider's entry-point name; its class name if the application made the instance.
        distribution: The provider's package, as `name version`; None if the application made the instance.
        environment: The environment of the config file, or None.
        host: The login host, if the provider has a `login_url`.
        username: The Salesforce user, if the provider knows.
        org_id: The org of the session; None if the login failed.
        reason: Why there was a login: `first`, `refresh` before the end, `rejected` after a 401, `asked` by
            `authenticate()`. Of a session that was reported dead: `rejected`.
        attempts: Requests to the token endpoint; 0 if none was sent, or the plugin sends its own.
        duration_s: Seconds, by the monotonic clock.
        waited_s: Seconds of it that were pauses between requests.
        key_fingerprint: SHA-256 of the signing key's public key (SubjectPublicKeyInfo, DER), as hex; None without one.
    """

    provider: str
    distribution: str | None = None
    environment: str | None = None
    host: str | None = None
    username: str | None = None
    org_id: str | None = None
    reason: str = "first"
    attempts: int = 0
    duration_s: float = 0.0
    key_fingerprint: str | None = None
    waited_s: float = 0.0


@attrs.define
class LoginTally:
    """Counts the requests and pauses of one login; filled by the code that makes them."""

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
    """The tally of the current login; outside of a login, one that is discarded."""
    return _tally.get() or LoginTally()
