"""One session for all threads and tasks of a process: one of them obtains it, and the others wait for its result.

Where it comes from is in `sessions.refresh`.
"""

import contextvars
import copy
import logging
import random
import threading
import time
from concurrent.futures import Future

from kinetic_auth_core.concurrency import (
    current_runner,
    is_current_runner,
    notice_fork,
    pause_runner,
    raise_interruption,
    reset_after_fork,
)
from kinetic_auth_core.errors import AuthenticationError, ConfigurationError, KineticAuthError
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.session import CachedSession, Freshness, SalesforceSession
from kinetic_auth_core.sessions.refresh import Refresher
from kinetic_auth_core.transport.connections import Redirection

logger = logging.getLogger(__name__)


_Outcome = CachedSession | KineticAuthError | None

#: How long to wait after a refresh that failed, and at most after many.
_BACK_OFF_S, _LONGEST_BACK_OFF_S = 5.0, 300.0
#: How long to wait while another process refreshes; and after which a caller looks whether the login it waits for still
#: has an owner.
_LOOK_AGAIN_S = 1.0
#: How long a greenlet waits between looks for the result of another one in its thread.
_LOOK_S = 0.02


class _Flight:
    """A login (or a look into the store) that is under way.

    Args:
        owner: Who runs it; None until a background thread has started.
        starter: Who is about to start that thread; None once it is started.

    Attributes:
        is_over: Whether its owner has left it. The result may be missing then: a signal handler raised before it was
            set.
        result: Its result: the session, the error, or None where it was interrupted and another caller has to run it.
    """

    def __init__(self, owner: tuple[int, object] | None, starter: tuple[int, object] | None = None) -> None:
        self.owner = owner
        self.starter = starter
        self.is_over = False
        self.result: Future[_Outcome] = Future()
        self.result.set_running_or_notify_cancel()  # so that a cancelled task does not cancel the login of the others


class SingleFlight:
    """Gives one session to all threads and tasks, and obtains the next one once for all of them.

    Args:
        refresher: Finds or makes the next session.
        redirection: The one under which its source was resolved. Here `session()` reads it faster than in the source.

    Attributes:
        cached: The session that was live at the last look, fresh or not; None if there was none.
    """

    def __init__(self, refresher: Refresher, redirection: Redirection | None = None) -> None:
        self._refresher = refresher
        self.redirection = redirection
        self.cached: CachedSession | None = None  # one frozen value: no caller sees a token with another login's URL
        self._flight: _Flight | None = None
        self._refresh_not_before = 0.0
        self._failures = 0
        self._lock = threading.RLock()
        reset_after_fork(self)

    @secret_boundary
    def get(self) -> SalesforceSession:
        """The live session. If there is none, one caller logs in and all others wait.

        Raises:
            KineticAuthError: The login failed; all callers that waited get that error.
        """
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
        cached = self.cached
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
            mine = _Flight(None, starter=current_runner())
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

    def drop(
        self, session: SalesforceSession, *, is_rejected: bool = False, is_left_in_store: bool = False
    ) -> tuple[bool, bool]:
        """Discard a dead session. If another one is live already, nothing is discarded.

        Args:
            session: The session.
            is_rejected: Whether it was reported as refused; otherwise it was revoked.
            is_left_in_store: Whether other processes may go on with it, until the next one takes its place there.

        Returns:
            Whether it was the live one, and whether it is reported dead for the first time.
        """
        notice_fork()
        with self._lock:
            is_news = self._refresher.mark_dead(session)
            if is_rejected:
                self._refresher.note_refused(session)
            is_live = self.cached is not None and self.cached.session.access_token == session.access_token
            if is_live or (is_news and self.cached is None):
                self._refresher.note_end(session if is_rejected else None)
                self.cached = None
        if is_news and not is_left_in_store:
            self._refresher.forget(session)
        return is_live, is_news

    def _current(self) -> SalesforceSession | None:
        """The live session, unless it has expired. A stale one is refreshed in the background."""
        cached = self.cached
        if cached is None:
            return None
        freshness = cached.freshness()
        if freshness is Freshness.EXPIRED:
            with self._lock:
                if self.cached is cached:
                    self.cached = None
            return None
        if freshness is Freshness.STALE:
            self._refresh(cached)
        return cached.session

    def _refresh(self, cached: CachedSession) -> None:
        """Start one thread that refreshes a session, which stays in use meanwhile."""
        if (self._flight is not None and not self._flight.is_over) or time.monotonic() < self._refresh_not_before:
            return
        mine = _Flight(None, starter=current_runner())
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
            if self.cached is not instead_of:
                return None
            if self._flight is None or self._flight.is_over:
                self._flight = mine
            under_way = self._flight
            if under_way is not mine and (
                # A signal handler's call in the middle of starting the thread would wait for it for ever.
                is_current_runner(under_way.owner) or is_current_runner(under_way.starter)
            ):
                raise ConfigurationError(
                    "session() was called from within the login that makes the session.",
                    remedy="Observers and plugins must not use the source that logs in; use the hook's arguments.",
                )
            return under_way

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
            flight.starter = None
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
                    self.cached = outcome
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
            pause_runner(_LOOK_S)
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
