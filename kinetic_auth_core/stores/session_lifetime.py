"""Whether a session is still fresh: its lifetime by two clocks."""

import enum
import random
import time
from typing import Self

import attrs

from kinetic_auth_core.session import SalesforceSession

#: The part of the lifetime after which one caller refreshes in the background, before jitter.
ADVISORY_FROM = 0.75
#: The refreshes of a fleet that started together spread over this part of the lifetime.
JITTER = 0.1


class Freshness(enum.Enum):
    """How old a session is, compared with its lifetime."""

    FRESH = "fresh"  #: to be used
    STALE = "stale"  #: to be used, and to be refreshed in the background
    EXPIRED = "expired"  #: not to be used


@attrs.frozen
class CachedSession:
    """A session, and when it becomes stale and expires, by the monotonic clock and by the wall clock.

    The monotonic clock stands still while a function is frozen or a laptop sleeps; the wall clock can be set back. The
    one that is further decides.

    Attributes:
        session: The session.
        born_at: When the login was made: Unix seconds.
        stale_monotonic: When it becomes stale, in seconds of the monotonic clock; the next three accordingly.
        stale_wall: See there; Unix seconds.
        expired_monotonic: See there.
        expired_wall: See there.
    """

    session: SalesforceSession
    born_at: float
    stale_monotonic: float
    stale_wall: float
    expired_monotonic: float
    expired_wall: float

    @classmethod
    def of(cls, session: SalesforceSession, lifetime_s: float, *, born_at: float | None = None) -> Self:
        """A session that was logged in just now, or at `born_at` by another process.

        Args:
            session: The session.
            lifetime_s: Its assumed lifetime, in seconds; it lives no longer than its `expires_at`.
            born_at: Unix seconds.
        """
        now, monotonic = time.time(), time.monotonic()
        born = now if born_at is None else min(born_at, now)  # another machine's clock may be ahead
        if session.expires_at is not None:
            lifetime_s = max(min(lifetime_s, session.expires_at - born), 0.0)
        jitter = random.uniform(0, JITTER)  # noqa: S311 - spreads load, hides nothing
        expired_in = born + lifetime_s - now
        stale_in = expired_in - (1 - ADVISORY_FROM - jitter) * lifetime_s
        return cls(session, born, monotonic + stale_in, now + stale_in, monotonic + expired_in, now + expired_in)

    def freshness(self, at: tuple[float, float] | None = None) -> Freshness:
        """How old it is, compared with its lifetime.

        Args:
            at: When: seconds of the monotonic and of the wall clock; None: now.
        """
        monotonic, now = at or (time.monotonic(), time.time())
        if monotonic < self.stale_monotonic and now < self.stale_wall:
            return Freshness.FRESH
        return Freshness.STALE if monotonic < self.expired_monotonic and now < self.expired_wall else Freshness.EXPIRED
