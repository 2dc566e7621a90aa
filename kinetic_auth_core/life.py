"""The life of a session, as far as it can be assumed: fresh, due for a refresh in the background, over.

Salesforce never says when a token dies. `session_lifetime` is the assumption; a 401 is the truth.
"""

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


class Phase(enum.Enum):
    """Where in its life a session is."""

    FRESH = "fresh"  #: to be used
    DUE = "due"  #: to be used; somebody refreshes it meanwhile
    OVER = "over"  #: not to be used


@attrs.frozen
class LiveSession:
    """A session, and when it is to be replaced, by the monotonic clock and by the wall clock.

    The monotonic clock stands still while a function is frozen or a laptop sleeps; the wall clock can be set back. The
    one that is further decides.

    Attributes:
        session: The session.
        born_at: When the login was made: Unix seconds.
        due_monotonic: From when on it is due, by the monotonic clock, in seconds; the next three accordingly.
        due_wall: See there; Unix seconds.
        over_monotonic: See there.
        over_wall: See there.
    """

    session: SalesforceSession
    born_at: float
    due_monotonic: float
    due_wall: float
    over_monotonic: float
    over_wall: float

    @classmethod
    def of(cls, session: SalesforceSession, lifetime_s: float, *, born_at: float | None = None) -> Self:
        """A session that was logged in just now, or at `born_at` by whoever stored it.

        Args:
            session: The session.
            lifetime_s: How long it is taken to live, in seconds.
            born_at: Unix seconds.
        """
        now, monotonic = time.time(), time.monotonic()
        born = now if born_at is None else min(born_at, now)  # another machine's clock may be ahead
        jitter = random.uniform(0, JITTER)  # noqa: S311 - spreads load, hides nothing
        over_in = born + lifetime_s - now
        due_in = over_in - (1 - ADVISORY_FROM - jitter) * lifetime_s
        return cls(session, born, monotonic + due_in, now + due_in, monotonic + over_in, now + over_in)

    def phase(self, at: tuple[float, float] | None = None) -> Phase:
        """Where in its life it is.

        Args:
            at: When: seconds of the monotonic and of the wall clock; None: now.
        """
        monotonic, now = at or (time.monotonic(), time.time())
        if monotonic < self.due_monotonic and now < self.due_wall:
            return Phase.FRESH
        return Phase.DUE if monotonic < self.over_monotonic and now < self.over_wall else Phase.OVER
