"""Sessions that are refused as soon as they are made, such as those that an org locks to another IP address.

Another login cures none of these. So after three of them in a row the source stops logging in for a while, and hands
out the session that was refused: its caller sees Salesforce's own 401.
"""

import logging
import threading
import time
from typing import ClassVar

import attrs

from kinetic_auth_core.concurrency import reset_after_fork
from kinetic_auth_core.session import CachedSession, SalesforceSession

logger = logging.getLogger(__name__)

#: So many fresh ones in a row begin a pause.
IN_A_ROW = 3
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 1800.0

#: Why sessions are refused as soon as they are made, for people.
CAUSES = (
    "Usual causes: sessions that are locked to the IP address of their login (Session Settings in Setup), a user "
    "without the permission API Enabled, API Access Control, a token without the scope api, an expired password"
)


class RefusedSessions:
    """Counts the fresh sessions in a row that were refused, and decides when the next login may be made.

    Args:
        label: What messages call the login.

    Attributes:
        fresh_s: A session that is refused within these seconds of its login is a fresh one.
    """

    fresh_s: ClassVar[float] = 60.0

    def __init__(self, label: str) -> None:
        self._label = label
        self._born_at: dict[str, float] = {}  # by token: Unix seconds
        self._in_a_row = 0
        self._last: SalesforceSession | None = None
        self._paused_at = (0.0, 0.0)  # seconds of the monotonic and of the wall clock
        self._pause_s = 0.0
        self._lock = threading.RLock()
        reset_after_fork(self)

    def note_got(self, cached: CachedSession) -> None:
        """Note a session that is handed out from now on."""
        token = cached.session.access_token
        with self._lock:
            if any(time.time() - born_at >= self.fresh_s for born_at in self._born_at.values()):
                self._in_a_row = 0  # the one before has lived for a while
            self._born_at.clear()
            self._born_at[token] = cached.born_at

    def note_taken(self, session: SalesforceSession) -> None:
        """Note that Salesforce has answered a call with a session: if it is refused later, it is not fresh."""
        if session.access_token in self._born_at:
            with self._lock:
                self._born_at.pop(session.access_token, None)
                self._in_a_row = 0

    def note_refused(self, session: SalesforceSession) -> None:
        """Note that a session was refused; each counts once."""
        with self._lock:
            born_at = self._born_at.pop(session.access_token, None)
            if born_at is None:
                return
            if time.time() - born_at >= self.fresh_s:
                self._in_a_row = 0
            else:
                self._count(session)

    def note_given_back(self, cached: CachedSession) -> None:
        """Note that a login gave back the very token that was refused: it counts as refused again."""
        with self._lock:
            self._born_at.clear()
            self._count(cached.session)

    def held(self) -> CachedSession | None:
        """The refused session, for as long as no login may be made; None: the next login may be made."""
        with self._lock:
            left_s = self.left_s()
            if self._last is None or left_s <= 0:
                return None
            cached = CachedSession.of(self._last, left_s)
            return attrs.evolve(
                cached, stale_monotonic=cached.expired_monotonic, stale_wall=cached.expired_wall
            )  # no refresh in the background

    def left_s(self) -> float:
        """For how many seconds no login may be made; 0 or less: it may."""
        return self._pause_s - max(time.monotonic() - self._paused_at[0], time.time() - self._paused_at[1])

    def why(self) -> str:
        """Why no login may be made, as a sentence."""
        return f"{self._in_a_row} sessions in a row were refused right after their login. {CAUSES}."

    def _count(self, session: SalesforceSession) -> None:
        self._in_a_row += 1
        self._last = session
        if self._in_a_row < IN_A_ROW:
            return
        self._pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._in_a_row - IN_A_ROW, 60), LONGEST_PAUSE_S)
        self._paused_at = time.monotonic(), time.time()
        logger.warning(
            "%s: %d sessions in a row were refused right after their login; the next login is made in %.0f s, and "
            "until then callers get the session that was refused. %s.",
            *(self._label, self._in_a_row, self._pause_s, CAUSES),
        )

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock = threading.RLock()
