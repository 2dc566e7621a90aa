"""The next session: the one in the store, or one from a login for all processes that share the store.

Some sessions are refused as soon as they are made, such as those that an org locks to another IP address, and another
login cures none of these. So after three of them in a row the source stops logging in for a while, and hands out the
session that was refused: its caller sees Salesforce's own 401.
"""

import contextlib
import logging
import os
import random
import threading
import time
from collections import deque
from typing import ClassVar

from kinetic_auth_core.concurrency import (
    LONGEST_CONSENT_S,
    pause_runner,
    repeated,
    reset_after_fork,
)
from kinetic_auth_core.errors import AuthenticationError
from kinetic_auth_core.login.flow import LoginFlow
from kinetic_auth_core.login.single_use import TokenHeldError
from kinetic_auth_core.registry.hookspecs import Reason, may_ask_a_person
from kinetic_auth_core.session import CachedSession, Freshness, SalesforceSession
from kinetic_auth_core.stores.session_cache import Lease, SessionCache

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
            cached.stale_monotonic, cached.stale_wall = cached.expired_monotonic, cached.expired_wall
            return cached  # without a refresh in the background

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


#: Between looks for another process's login: each pause is longer by a fifth, so that what it finds is not much older.
_FIRST_WAIT_S, _LONGEST_WAIT_S, _GROWTH = 0.02, 0.5, 1.2


_REMEMBERED = 32  # tokens


class Refresher:
    """Finds or makes the next session.

    Args:
        cache: Where the session is kept for others.
        flow: Logs in.
        lifetime_s: The assumed lifetime of a session, in seconds.
    """

    def __init__(self, cache: SessionCache, flow: LoginFlow, lifetime_s: float) -> None:
        self._cache = cache
        self._flow = flow
        self._lifetime_s = lifetime_s
        self._dead: deque[str] = deque(maxlen=_REMEMBERED)
        self._made_here: deque[str] = deque(maxlen=_REMEMBERED)
        self._rejected: SalesforceSession | None = None
        self._had_one = False
        self._refused = RefusedSessions(flow.spec.label)
        self._holder = os.urandom(16).hex()  # for all its logins: one that was interrupted leaves its lease to it
        reset_after_fork(self)

    def mark_dead(self, session: SalesforceSession) -> bool:
        """Mark a session as dead, so that it is not read from the store again.

        Returns:
            True the first time.
        """
        is_news = session.access_token not in self._dead
        if is_news:
            self._dead.append(session.access_token)
        return is_news

    def note_end(self, rejected: SalesforceSession | None) -> None:
        """Note why the next login is made.

        Args:
            rejected: The session that was reported dead; None: it was revoked, and there is none now.
        """
        self._rejected, self._had_one = rejected, False

    @property
    def refused(self) -> RefusedSessions:
        """The fresh sessions that were refused."""
        return self._refused

    def note_refused(self, session: SalesforceSession) -> None:
        """Note that a session was reported dead, for the pause after too many fresh ones."""
        self._refused.note_refused(session)

    def note_taken(self, session: SalesforceSession) -> None:
        """Note that Salesforce has answered a call with a session."""
        self._refused.note_taken(session)

    def forget(self, session: SalesforceSession) -> None:
        """Delete a dead session from the store, so that no other process finds it there."""
        self._cache.forget(session)

    def next_session(self) -> CachedSession:
        """A session that is neither dead nor expired: the one in the store, else a new one.

        While another process logs in, this waits for its result, but no longer than a lease lasts, or than a person may
        take.

        Raises:
            KineticAuthError: The login failed.
        """
        pause_s = _FIRST_WAIT_S
        self._cache.find_name()
        patience_s = LONGEST_CONSENT_S if self._flow.spec.asks_a_person else self._cache.lease_s
        give_up_at = time.monotonic() + patience_s + _LONGEST_WAIT_S
        while True:
            if cached := self.cached():
                return self._found(cached)
            if held := self._refused.held():
                return held
            if self._flow.has_to_wait():
                give_up_at = time.monotonic() + patience_s + _LONGEST_WAIT_S
            elif (lease := self._cache.acquire(self._holder)) is not None:
                return self._under_lease(lease, stale=None)
            if time.monotonic() >= give_up_at:  # others fail one after the other, or the store frees no lease
                logger.warning("waited %.0f s for another process's login; logging in without the lease", patience_s)
                return self._log_in(stale=None)
            pause_runner(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads load, hides nothing
            pause_s = min(pause_s * _GROWTH, _LONGEST_WAIT_S)

    def refresh(self, stale: CachedSession) -> CachedSession | None:
        """A session younger than a stale one; None while another process is refreshing it.

        Raises:
            KineticAuthError: The login failed.
        """
        self._cache.find_name()
        if cached := self.cached(younger_than=stale):
            return cached
        if self._flow.has_to_wait(has_live=True):
            return None
        lease = self._cache.acquire(self._holder)
        try:
            return self._under_lease(lease, stale) if lease else None
        except TokenHeldError:  # callers whose session has ended meanwhile wait for the other login
            return None

    def was_made_here(self, session: SalesforceSession) -> bool:
        """Whether a session comes from a login of this source and not from the store."""
        return session.access_token in self._made_here

    def _under_lease(self, lease: Lease, stale: CachedSession | None) -> CachedSession:
        try:
            if cached := self.cached(younger_than=stale):  # it may be stored between the look and the lease
                return self._found(cached)
            if stale is None and self._flow.spec.asks_a_person and may_ask_a_person():
                with repeated(lambda: self._cache.extend(lease), self._cache.lease_s / 3):
                    return self._log_in(stale)
            return self._log_in(stale)
        finally:
            try:
                self._cache.release(lease)
            except BaseException:  # a signal handler raised in the middle of it
                self._cache.release(lease)
                raise

    def _found(self, cached: CachedSession) -> CachedSession:
        """A session that the callers get: what ended the one before it is over."""
        self._rejected, self._had_one = None, True
        self._refused.note_got(cached)
        return cached

    def _log_in(self, stale: CachedSession | None) -> CachedSession:
        """Log in; in the background if there is a session that is stale."""
        rejected = self._rejected if stale is None else None
        reason: Reason = "rejected" if rejected else "refresh" if self._had_one or stale is not None else "first"
        began = time.time()  # the session's birth: while this process is stopped in mid-login, others get younger ones
        try:
            session = self._flow.login(
                reason,
                rejected,
                interactive=stale is None and may_ask_a_person(),
                has_live=lambda: stale is not None,
            )
        except AuthenticationError:  # such as the deadline, when a process that was stopped in mid-login goes on
            if stale is None and (cached := self.cached()):
                return self._found(cached)
            raise
        made = self._found(CachedSession.of(session, self._lifetime_s, born_at=began))
        token = made.session.access_token
        self._made_here.append(token)
        if token in self._dead:  # the very one that was refused: other processes are spared it
            with contextlib.suppress(ValueError):
                self._dead.remove(token)
            self._refused.note_given_back(made)
            return made
        return self._cache.write(made, self._dead) or made

    def _after_fork(self) -> None:
        """In the child: the parent's lease is not ours."""
        self._holder = os.urandom(16).hex()

    def peek(self) -> CachedSession | None:
        """The session in the store that `next_session` would give; without a login."""
        self._cache.find_name()
        return self.cached()

    def cached(self, younger_than: CachedSession | None = None) -> CachedSession | None:
        """The session in the store, if it can be used; without a login.

        Args:
            younger_than: It must be younger than this one, and fresh.
        """
        cached = self._cache.read()
        if cached is None or cached.freshness() is Freshness.EXPIRED or cached.session.access_token in self._dead:
            return None
        if younger_than is not None and (
            cached.freshness() is Freshness.STALE or cached.born_at <= younger_than.born_at
        ):
            return None
        return cached
