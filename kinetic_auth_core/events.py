"""What plugins get of a login: the request that says why it is made, the event that says how it went, and its tally."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol, runtime_checkable

import attrs

from kinetic_auth_core.session import SalesforceSession

#: Why a login is made.
Reason = Literal["first", "refresh", "rejected", "asked"]
#: `1`: a person may be asked, even without a terminal; `0`: nobody may. Read from the process alone.
INTERACTIVE_VARIABLE = "KINETIC_AUTH_INTERACTIVE"


class ProviderState(Protocol):
    """A secret that a provider keeps from login to login, such as a refresh token that rotates.

    It is kept in the source's store, apart from the session and encrypted where the store encrypts, until 400 days
    after its last change. The provider, the login URL, the client id and the configured seed are its name.
    """

    def get(self) -> str | None:
        """The secret; None if there is none yet: the configured one is to be used."""

    def replace(self, value: str) -> None:
        """Keep another one from now on; a newer one is not overwritten.

        It returns when the store has it for good. Where the store cannot take it, the process keeps it, goes on
        trying, and warns.
        """


@runtime_checkable
class AcceptedState(Protocol):
    """A state that asks to be notified of a good answer."""

    def note_accepted(self) -> None:
        """Note that there was a good answer: a secret that it did not replace can be used again."""


class InstanceState:
    """A state in memory: that of an authenticator which is used without a source."""

    def __init__(self) -> None:
        self._value: str | None = None

    def get(self) -> str | None:
        """The secret; None if there is none yet."""
        return self._value

    def replace(self, value: str) -> None:
        """Keep another one from now on."""
        self._value = value


@attrs.frozen(kw_only=True)
class LoginRequest:
    """One login, as the source asks for it.

    Attributes:
        provider: The provider's entry-point name; the class name of an instance made by hand.
        environment: The environment of the config file, or None.
        host: The login host, if the provider has a `login_url`.
        username: The Salesforce user, if the provider has that setting.
        reason: `first`: there was no session; `refresh`: the lifetime of the session ends or has ended; `rejected`:
            `invalidate` reported a 401; `asked`: `authenticate()` was called.
        rejected: The session that was reported; with the reason `rejected` only. It holds the token.
        interactive: Whether a person may be asked. Never in a background refresh; otherwise where stdin is a terminal,
            or as the variable KINETIC_AUTH_INTERACTIVE says. A login that needs a person where this is False raises an
            `InteractionRequiredError`.
        now: Unix seconds, by the server's clock as far as known.
        attempt: Which try of this login it is, from 1.
        state: What the provider keeps from login to login.
    """

    provider: str = ""
    environment: str | None = None
    host: str | None = None
    username: str | None = None
    reason: Reason = "asked"
    rejected: SalesforceSession | None = None
    interactive: bool = False
    now: float = attrs.field(factory=time.time)
    attempt: int = 1
    state: ProviderState = attrs.field(factory=InstanceState, repr=False, eq=False)


def may_ask_a_person() -> bool:
    """Whether a login in the foreground may ask a person."""
    wanted = os.environ.get(INTERACTIVE_VARIABLE, "").strip()
    if wanted in ("0", "1"):
        return wanted == "1"
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something else
        return False


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
    """Counts the requests and pauses of one login; filled by the code that makes them.

    Attributes:
        attempts: Requests that were tried.
        arrived: Those of them that may have reached the server.
        asked: How often the provider's own `authenticate` was called: a wrapper may have refused the login before.
        key_fingerprint: SHA-256 of the signing key's public key, as hex; None without one.
        waited_s: Seconds of pauses.
    """

    attempts: int = 0
    arrived: int = 0
    asked: int = 0
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
