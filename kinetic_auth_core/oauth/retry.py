"""Retries of a login: after transient errors, with random pauses, within the deadline; and clock skew.

A login looks at the server's clock only after a rejected assertion. So a wrong `Date` from a proxy breaks no login that
would work, and a clock that is wrong is corrected by one more request.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import ClassVar, TypeVar

from kinetic_auth_core.errors import AuthenticationError, TransportError
from kinetic_auth_core.oauth.error_codes import EXPIRED_ASSERTION
from kinetic_auth_core.transport.client import TokenResponse
from kinetic_auth_core.transport.connections import current_tally, remaining_s

logger = logging.getLogger(__name__)


def answered_at(headers: Mapping[str, str]) -> float | None:
    """When the answer was made, by the server's clock (RFC 9110, section 6.6.1).

    Args:
        headers: The answer's, names in any case.

    Returns:
        Unix seconds, whole ones; None where `Date` is missing or cannot be parsed.
    """
    return _seconds(headers.get("Date"))


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """How long the server asks to wait (RFC 9110, section 10.2.3).

    Args:
        headers: The answer's, names in any case.
        now: Unix seconds, for a date where the answer has no `Date` of its own.

    Returns:
        Seconds, 0 for a date that has passed; None where `Retry-After` is missing or cannot be parsed.
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked[:10])
    date = _seconds(asked)
    return None if date is None else max(date - (answered_at(headers) or now), 0.0)


def _seconds(date: str | None) -> float | None:
    try:
        parsed = parsedate_to_datetime(date or "")
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


#: A difference up to this may be the network's.
TOLERATED_S = 5.0
#: A larger difference is not believed: an attacker who caused it could keep and use an assertion that is good for days.
LARGEST_S = 24 * 3600.0
_HALF_A_SECOND = 0.5  # a Date has whole seconds, truncated


class ServerClock:
    """The known skew of the server's clock, kept from login to login.

    Attributes:
        skew_s: Seconds by which it is ahead of ours; 0 until an assertion was accepted that was signed by it.
    """

    def __init__(self) -> None:
        self.skew_s = 0.0


class LoginClock:
    """The time by which the assertions of one login are signed; corrected once at most.

    Args:
        server: The skew that earlier logins measured; later ones use it.
        host: The server's name, for messages.
    """

    def __init__(self, server: ServerClock, host: str) -> None:
        self._server = server
        self._host = host
        self._skew_s = server.skew_s
        self._measured_s: float | None = None
        self._is_corrected = False

    def now(self) -> float:
        """Unix seconds, by the server's clock as far as known."""
        return time.time() + self._skew_s

    def learn(self, response: TokenResponse) -> None:
        """Measure the skew by the `Date` of Salesforce's answer."""
        server_s = answered_at(response.headers)
        skew_s = None if server_s is None else server_s + _HALF_A_SECOND - response.at
        self._measured_s = skew_s if skew_s is not None and abs(skew_s) <= LARGEST_S else None

    def cures(self, error: AuthenticationError) -> bool:
        """Whether a new assertion by the server's clock can cure a rejection; if so, that clock is used from now on."""
        measured_s = self._measured_s
        if self._is_corrected or measured_s is None or not EXPIRED_ASSERTION.fits(error.error or "", error.description):
            return False
        if abs(measured_s - self._skew_s) <= TOLERATED_S:
            return False
        self._is_corrected = True
        self._skew_s = _worth_it(measured_s)
        if self._skew_s:
            how = "behind" if measured_s > 0 else "ahead of"
            logger.warning(
                "This machine's clock is %.0f s %s that of %s, so the assertion was rejected; signing it again by the "
                "server's. Set the clock by NTP.",
                *(abs(measured_s), how, self._host),
            )
        else:
            logger.info("This machine's clock is right again; signing by it for %s.", self._host)
        return True

    def confirm(self) -> None:
        """Keep the skew for later logins, as the server has accepted an assertion."""
        if self._is_corrected or self._skew_s:
            self._server.skew_s = self._skew_s if self._measured_s is None else _worth_it(self._measured_s)


def _worth_it(skew_s: float) -> float:
    return skew_s if abs(skew_s) > TOLERATED_S else 0.0


MAX_TRIES = 4
#: The longest that the first pause can be, and by how much each next one can be longer: 0.2 s, 0.6 s, 1.8 s. The
#: pauses are random ("full jitter"), so that clients which failed together do not retry together.
FIRST_PAUSE_S, GROWTH = 0.2, 3


T = TypeVar("T")


class Tries:
    """The tries of one login, within the `Deadline` of its thread.

    Args:
        deadline_s: The seconds of that deadline, for messages.
        is_cured: Whether a refusal is cured by another try at once; asked of those that do not pass by themselves.
        may_repeat_unanswered: Whether a request that may have arrived is sent again. Not one with a password: each
            counts as a failed login if it is wrong (docs/adr/0013-what-is-tried-again.md).
        only_unsent: Whether a request is repeated only if it provably did not leave.

    Attributes:
        first_pause_s: The longest that the first pause can be.
    """

    first_pause_s: ClassVar[float] = FIRST_PAUSE_S

    def __init__(
        self,
        deadline_s: float,
        is_cured: Callable[[AuthenticationError], bool],
        *,
        may_repeat_unanswered: bool,
        only_unsent: bool = False,
    ) -> None:
        self._deadline_s = deadline_s
        self._is_cured = is_cured
        self._may_repeat_unanswered = may_repeat_unanswered
        self._only_unsent = only_unsent

    def run(self, attempt: Callable[[], T]) -> T:
        """Make the login.

        Args:
            attempt: One try.

        Returns:
            The result of the first try that did not fail.

        Raises:
            AuthenticationError: That of the last try. It has the number of tries in `attempts` and the pauses between
                them in `waited_s`.
            KineticAuthError: Whatever else a try raised, at once.
        """
        started, number, waited_s = time.monotonic(), 1, 0.0
        while True:
            try:
                return attempt()
            except AuthenticationError as error:
                error.attempts, error.waited_s = number, waited_s
                if not self._is_worth_another(error):
                    raise
                pause_s = self._pause_s(error, number)
                if number == MAX_TRIES or pause_s >= remaining_s():
                    self._give_up(error, time.monotonic() - started)
                    raise
                logger.info("%s Trying again in %.1f s, %d of %d.", error.message, pause_s, number + 1, MAX_TRIES)
            waited_s += pause_s
            current_tally().waited_s += pause_s
            time.sleep(pause_s)
            number += 1

    def _is_worth_another(self, error: AuthenticationError) -> bool:
        if self._only_unsent:
            return isinstance(error, TransportError) and error.is_unsent and error.retryable
        if isinstance(error, TransportError) and error.unanswered and not self._may_repeat_unanswered:
            return False
        return error.retryable or self._is_cured(error)

    def _pause_s(self, error: AuthenticationError, number: int) -> float:
        """The seconds before the try that follows number `number`."""
        if not error.retryable:
            return 0.0
        return (error.retry_after_s or 0.0) + random.uniform(0, self.first_pause_s * GROWTH ** (number - 1))  # noqa: S311

    def _give_up(self, error: AuthenticationError, seconds: float) -> None:
        """Let the last error say why no other try follows."""
        count = error.attempts
        tries = f"{count} tries within {seconds:.1f} s" if count > 1 else "1 try"
        why = ""
        if count < MAX_TRIES and error.retry_after_s:
            why = f": the server asks to wait {error.retry_after_s:.0f} s, and the deadline is {self._deadline_s:g} s"
        elif 1 < count < MAX_TRIES:
            why = f": the deadline of {self._deadline_s:g} s leaves no time for another"
        if count > 1 or why:
            error.message = f"{error.message} Given up after {tries}{why}."
            error.args = (error.message,)
