"""Clock skew: the server's time, and when an assertion is signed again by it.

A login looks at the server's clock only after a rejected assertion. So a wrong `Date` from a proxy breaks no login that
works.
"""

import logging
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from kinetic_auth_core.errors import AuthenticationError
from kinetic_auth_core.oauth.error_codes import EXPIRED_ASSERTION
from kinetic_auth_core.transport.client import TokenResponse

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
