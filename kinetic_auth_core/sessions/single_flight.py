"""One session for all threads and tasks of a process: one of them obtains it, and the others wait for its result.

It comes from the store, or from one login for all processes that share the store.
"""

import contextlib
import contextvars
import copy
import logging
import random
import threading
import time
import uuid
from collections import deque
from concurrent.futures import Future

from kinetic_auth_core.concurrency import (
    LONGEST_CONSENT_S,
    current_runner,
    is_current_runner,
    notice_fork,
    pause_runner,
    raise_interruption,
    repeated,
    reset_after_fork,
)
from kinetic_auth_core.errors import AuthenticationError, ConfigurationError, KineticAuthError
from kinetic_auth_core.events import Reason, may_ask_a_person
from kinetic_auth_core.login.flow import LoginFlow
from kinetic_auth_core.login.single_use import TokenHeldError
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.session import CachedSession, Freshness, SalesforceSession
from kinetic_auth_core.sessions.refused_sessions import RefusedSessions
from kinetic_auth_core.stores.session_cache import Lease, SessionCache

logger = logging.getLogger(__name__)

#: Between looks for another process's login: each pause is longer by a third, so that what it finds is not much older.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _GROWTH = 0.02, 0.5, 1.33
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
        self._holder = uuid.uuid4().hex  # the same for all its logins: one that was interrupted leaves its lease to it
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
        pause_s = _FIRST_PAUSE_S
        self._cache.find_name()
        patience_s = LONGEST_CONSENT_S if self._flow.spec.asks_a_person else self._cache.lease_s
        give_up_at = time.monotonic() + patience_s + _LONGEST_PAUSE_S
        while True:
            if cached := self.cached():
                return self._found(cached)
            if held := self._refused.held():
                return held
            if self._flow.has_to_wait():
                give_up_at = time.monotonic() + patience_s + _LONGEST_PAUSE_S
            elif (lease := self._cache.acquire(self._holder)) is not None:
                return self._under_lease(lease, stale=None)
            if time.monotonic() >= give_up_at:  # others fail one after the other, or the store frees no lease
                logger.warning("waited %.0f s for another process's login; logging in without the lease", patience_s)
                return self._log_in(stale=None)
            pause_runner(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads load, hides nothing
            pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)

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
        session = self._flow.login(
            reason,
            rejected,
            interactive=stale is None and may_ask_a_person(),
            has_live=lambda: stale is not None,
        )
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
        self._holder = uuid.uuid4().hex

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


_Outcome = CachedSession | KineticAuthError | None

#: How long to wait after a refresh that failed, and at most after many.
_BACK_OFF_S, _LONGEST_BACK_OFF_S = 5.0, 300.0
#: How long to wait while another process refreshes; and after which a caller looks whether the login it waits for still
#: has an owner.
_LOOK_AGAIN_S = 1.0


class _Flight:
    """A login (or a look into the store) that is under way.

    Args:
        owner: Who runs it; None until a background thread has started.

    Attributes:
        is_over: Whether its owner has left it. The result may be missing then: a signal handler raised before it was
            set.
        result: Its result: the session, the error, or None where it was interrupted and another caller has to run it.
    """

    def __init__(self, owner: tuple[int, object] | None) -> None:
        self.owner = owner
        self.is_over = False
        self.result: Future[_Outcome] = Future()
        self.result.set_running_or_notify_cancel()  # so that a cancelled task does not cancel the login of the others


class SingleFlight:
    """Gives one session to all threads and tasks, and obtains the next one once for all of them.

    Args:
        refresher: Finds or makes the next session.
    """

    def __init__(self, refresher: Refresher) -> None:
        self._refresher = refresher
        self._cached: CachedSession | None = None  # one frozen value: no caller sees a token with another login's URL
        self._flight: _Flight | None = None
        self._refresh_not_before = 0.0
        self._failures = 0
        self._lock = threading.RLock()
        reset_after_fork(self)

    def get(self) -> SalesforceSession:
        """The live session. If there is none, one caller logs in and all others wait.

        Raises:
            KineticAuthError: The login failed; all callers that waited get that error.
        """
        cached = self._cached
        if cached is not None and time.monotonic() < cached.stale_monotonic and time.time() < cached.stale_wall:
            return cached.session  # nearly always: no lock, no call but the two clocks
        return self._wait_or_log_in()

    @secret_boundary
    def _wait_or_log_in(self) -> SalesforceSession:
        """As `get`, where there is no session that is fresh."""
        notice_fork()
        while True:
            if (session := self._current()) is not None:
                return session
            mine = _Flight(current_runner())
            try:
                flight = self._join(mine)
                if flight is mine:
                    return self._run(mine).session
            except BaseException:
                self._finish(mine, None)  # the next caller that waits takes over
                raise
            finally:
                mine.is_over = True  # one store, so no signal comes between: no other caller waits for ever
            if flight is not None and (cached := _cached_of(_outcome(flight))) is not None:
                return cached.session

    def peek(self) -> SalesforceSession | None:
        """The session that `get` would give without a login, or None."""
        cached = self.peek_cached()
        return cached.session if cached else None

    def peek_cached(self) -> CachedSession | None:
        """The same with its times."""
        notice_fork()
        cached = self._cached
        if cached is None or cached.freshness() is Freshness.EXPIRED:
            cached = self._refresher.peek()
        return cached

    async def aget(self) -> SalesforceSession:
        """As `get`, for asyncio: the login runs in a thread of its own, and the event loop goes on.

        Raises:
            KineticAuthError: The login failed; all callers that waited get that error.
        """
        notice_fork()
        while True:
            if (session := self._current()) is not None:
                return session
            mine = _Flight(None)
            is_started = False
            try:
                flight = self._join(mine)
                if flight is mine:
                    self._run_in_thread(mine, None)
                is_started = True
            finally:
                mine.is_over = not is_started
            if flight is not None and (cached := _cached_of(await _aoutcome(flight))) is not None:
                return cached.session

    def drop(self, session: SalesforceSession, *, is_rejected: bool = False) -> tuple[bool, bool]:
        """Discard a dead session. If another one is live already, nothing is discarded.

        Args:
            session: The session.
            is_rejected: Whether it was reported as refused; otherwise it was revoked.

        Returns:
            Whether it was the live one, and whether it is reported dead for the first time.
        """
        notice_fork()
        with self._lock:
            is_news = self._refresher.mark_dead(session)
            if is_rejected:
                self._refresher.note_refused(session)
            is_live = self._cached is not None and self._cached.session.access_token == session.access_token
            if is_live or (is_news and self._cached is None):
                self._refresher.note_end(session if is_rejected else None)
                self._cached = None
        if is_news:
            self._refresher.forget(session)
        return is_live, is_news

    def _current(self) -> SalesforceSession | None:
        """The live session, unless it has expired. A stale one is refreshed in the background."""
        cached = self._cached
        if cached is None:
            return None
        freshness = cached.freshness()
        if freshness is Freshness.EXPIRED:
            with self._lock:
                if self._cached is cached:
                    self._cached = None
            return None
        if freshness is Freshness.STALE:
            self._refresh(cached)
        return cached.session

    def _refresh(self, cached: CachedSession) -> None:
        """Start one thread that refreshes a session, which stays in use meanwhile."""
        if (self._flight is not None and not self._flight.is_over) or time.monotonic() < self._refresh_not_before:
            return
        mine = _Flight(None)
        is_started = False
        try:
            if self._join(mine, instead_of=cached) is mine:
                self._run_in_thread(mine, cached)
            is_started = True
        except AuthenticationError as error:  # the session stays in use
            logger.debug("no refresh in the background: %s", error)
            self._refresh_not_before = time.monotonic() + _LOOK_AGAIN_S
        finally:
            mine.is_over = not is_started

    def _join(self, mine: _Flight, instead_of: CachedSession | None = None) -> _Flight | None:
        """The flight that is under way, `mine` if there was none; None if another session is live by now."""
        with self._lock:
            if self._cached is not instead_of:
                return None
            if self._flight is None or self._flight.is_over:
                self._flight = mine
            if self._flight is not mine and is_current_runner(self._flight.owner):
                raise ConfigurationError(
                    "session() was called from within the login that makes the session.",
                    remedy="Observers and plugins must not use the source that logs in; use the hook's arguments.",
                )
            return self._flight

    def _run(self, flight: _Flight) -> CachedSession:
        """Obtain the session for all callers that wait."""
        try:
            cached = self._refresher.next_session()
        except KineticAuthError as error:
            self._finish(flight, error)
            raise
        self._finish(flight, cached)
        return cached

    def _run_in_thread(self, flight: _Flight, stale: CachedSession | None) -> None:
        """Obtain it in a new thread: a pool might never run it. The thread does not keep the process alive.

        Where callers wait, the login sees the context variables of the one that began it, as in `session`; a refresh
        in the background belongs to no caller.

        Args:
            flight: The login.
            stale: The stale session to refresh; None where callers wait for a new one.
        """

        def run() -> None:
            flight.owner = current_runner()
            try:
                if stale is None:
                    self._run(flight)
                else:
                    self._run_ahead(flight, stale)
            except KineticAuthError:
                pass  # the callers that wait get it
            except BaseException as error:  # noqa: BLE001 - no caller of this thread would see it
                self._finish(flight, AuthenticationError(f"the login ended with {type(error).__name__}."))
            finally:
                flight.is_over = True

        try:
            context = contextvars.copy_context() if stale is None else contextvars.Context()
            threading.Thread(target=context.run, args=(run,), name="kinetic-auth login", daemon=True).start()
        except RuntimeError as error:  # no more threads, or the interpreter is ending
            failure = AuthenticationError(f"no thread could be started for the login: {error}.")
            self._finish(flight, failure)
            raise failure from error

    def _run_ahead(self, flight: _Flight, stale: CachedSession) -> None:
        """Refresh a session that is still in use; after a failure, try again later."""
        pause_s = _LOOK_AGAIN_S
        try:
            self._finish(flight, self._refresher.refresh(stale))
            self._failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the session stays in use
            pause_s = min(_BACK_OFF_S * 2**self._failures, _LONGEST_BACK_OFF_S)
            self._failures += 1
            logger.warning(
                "the session could not be refreshed; it stays in use, and the next attempt is in %.0f s at most: %s",
                *(pause_s, error.message if isinstance(error, KineticAuthError) else type(error).__name__),
            )
            self._finish(flight, error if isinstance(error, KineticAuthError) else None)
        finally:
            spread = random.uniform(0.5, 1)  # noqa: S311 - spreads load, hides nothing
            self._refresh_not_before = time.monotonic() + pause_s * spread

    def _finish(self, flight: _Flight, outcome: _Outcome) -> None:
        """End a flight with its result; does nothing to one that has ended or never began."""
        with self._lock:
            if self._flight is flight:
                if isinstance(outcome, CachedSession):
                    self._cached = outcome
                self._flight = None
            if not flight.result.done():
                flight.result.set_result(outcome)

    def _after_fork(self) -> None:
        """In the child: the thread that was logging in is not here."""
        self._lock = threading.RLock()
        self._flight = None


def _outcome(flight: _Flight) -> _Outcome:
    """Wait for the result of another caller's login; None where a signal handler took that caller out of it."""
    shares_thread = flight.owner is not None and flight.owner[0] == current_runner()[0]
    while not flight.is_over:
        if shares_thread:  # another greenlet's: waiting for a lock would stop it, too
            if flight.result.done():
                break
            pause_runner(_FIRST_PAUSE_S)
        else:
            try:
                return flight.result.result(timeout=_LOOK_AGAIN_S)
            except TimeoutError as error:
                raise_interruption(error)
    return flight.result.result() if flight.result.done() else None


async def _aoutcome(flight: _Flight) -> _Outcome:
    """As `_outcome`, for asyncio."""
    import asyncio

    result = asyncio.wrap_future(flight.result)
    try:
        while not (await asyncio.wait([result], timeout=_LOOK_AGAIN_S))[0]:
            if flight.is_over and not flight.result.done():
                return None
        return result.result()
    finally:
        result.cancel()  # a loop that ends now gets no result any more; the login of the others goes on


def _cached_of(outcome: _Outcome) -> CachedSession | None:
    """The session that another caller obtained; None where that one was interrupted.

    Raises:
        KineticAuthError: A copy of that login's error: one that many threads raise would collect all their tracebacks.
    """
    if isinstance(outcome, KineticAuthError):
        raise copy.copy(outcome) from outcome.__cause__
    return outcome
