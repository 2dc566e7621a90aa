"""A session that is logged in once and shared: who has it, who waits for it, and when it is dropped.

How a login is made is in `login`.
"""

import copy
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import NoReturn, Self

import attrs

from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.forking import reset_after_fork
from kinetic_auth_core.login import Logins
from kinetic_auth_core.plan import Plan, plan_for
from kinetic_auth_core.registry import authenticator_problem
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings import ExplainedSetting

_Outcome = SalesforceSession | KineticAuthError | None


@attrs.define(eq=False)
class _Flight:
    """A login that is under way.

    Attributes:
        pilot: The thread that makes it; None until an asynchronous one has started.
        landing: What came of it: the session, the error, or None where it was interrupted and somebody else has to.
    """

    pilot: int | None
    landing: "Future[_Outcome]" = attrs.field(factory=Future)

    def __attrs_post_init__(self) -> None:
        self.landing.set_running_or_notify_cancel()  # so that a cancelled task cannot cancel the login of all


class SessionSource:
    """The live session of one provider. Safe for threads and after `fork`.

    Made by `resolve`, or by hand around an authenticator:

        source = SessionSource(JWTAuthenticator.from_env())
        session = source.session()

    Args:
        authenticator: An instance of an authenticator's class.

    Raises:
        ConfigurationError: It is no authenticator.
    """

    def __init__(self, authenticator: object) -> None:
        if isinstance(authenticator, type):
            raise ConfigurationError(f"{authenticator.__name__} is a class: give an instance of it.")
        if problem := authenticator_problem(type(authenticator)):
            raise ConfigurationError(f"{type(authenticator).__name__} {problem}.")
        self._start(plan_for(authenticator))

    @classmethod
    def _of(cls, plan: Plan) -> Self:
        source = cls.__new__(cls)
        source._start(plan)  # noqa: SLF001 - its own class
        return source

    def _start(self, plan: Plan) -> None:
        self._logins = Logins(plan)
        self._live: SalesforceSession | None = None
        self._flight: _Flight | None = None
        self._lock = threading.Lock()
        reset_after_fork(self)

    @property
    def provider(self) -> str:
        """The provider's entry-point name; the class name of an instance made by hand."""
        return self._logins.plan.provider

    @property
    def environment(self) -> str | None:
        """The environment of the config file, or None."""
        return self._logins.plan.environment

    def authenticate(self) -> SalesforceSession:
        """Log in, always; the live session is left alone.

        Returns:
            A session of the caller's own.

        Raises:
            KineticAuthError: It failed.
        """
        return self._logins.login()

    def session(self) -> SalesforceSession:
        """The live session. If there is none, one caller logs in and all others wait for it.

        Raises:
            KineticAuthError: The login failed; all who waited get that error.
        """
        while True:
            if (live := self._live) is not None:
                return live
            mine = _Flight(threading.get_ident())
            try:
                flight = self._join(mine)
                if flight is mine:
                    return self._fly(mine)
            finally:
                self._land(mine, None)  # interrupted anywhere in between, it must not keep the others waiting
            if flight is not None and (session := _session_of(flight.landing.result())) is not None:
                return session

    async def asession(self) -> SalesforceSession:
        """As `session`, for asyncio: the login runs in a thread of its own, and the event loop goes on.

        Raises:
            KineticAuthError: The login failed; all who waited get that error.
        """
        import asyncio

        while True:
            if (live := self._live) is not None:
                return live
            mine = _Flight(None)
            flight = self._join(mine)
            if flight is mine:
                self._fly_apart(mine)
            if flight is not None:
                session = _session_of(await asyncio.wrap_future(flight.landing))
                if session is not None:
                    return session

    def invalidate(self, session: SalesforceSession) -> None:
        """Say that a session is dead, typically after a 401.

        If another one is live already, nothing is thrown away: any number of callers cost one new login.

        Args:
            session: The session that was refused.
        """
        with self._lock:
            if self._live is not None and self._live.access_token == session.access_token:
                self._live = None

    def explain(self) -> tuple[ExplainedSetting, ...]:
        """A row for every setting: its value, masked where secret, and where it came from."""
        return self._logins.rows()

    def close(self) -> None:
        """Give connections back. The source stays usable: the next login opens new ones."""
        self._logins.close()

    def _join(self, mine: _Flight) -> _Flight | None:
        """The login that is under way, which is `mine` if there was none; None if a session is live by now."""
        with self._lock:
            if self._live is not None:
                return None
            if self._flight is None:
                self._flight = mine
            if self._flight is not mine and self._flight.pilot == threading.get_ident():
                raise ConfigurationError(
                    "session() was called from within the login that makes the session.",
                    remedy="Observers and plugins must not ask the source that is logging in; use what the hook gives.",
                )
            return self._flight

    def _fly(self, flight: _Flight) -> SalesforceSession:
        """Make the login for all who wait."""
        try:
            session = self._logins.login()
        except KineticAuthError as error:
            self._land(flight, error)
            raise
        self._land(flight, session)
        return session

    def _fly_apart(self, flight: _Flight) -> None:
        """Make the login in a thread of its own: one of a pool might never get its turn."""

        def fly() -> None:
            flight.pilot = threading.get_ident()
            try:
                self._fly(flight)
            except KineticAuthError:
                pass  # those who wait get it
            finally:
                self._land(flight, None)

        try:
            threading.Thread(target=fly, name="kinetic-auth login", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._land(flight, None)
            raise

    def _land(self, flight: _Flight, outcome: _Outcome) -> None:
        """End a login that is under way; does nothing to one that has ended or never began."""
        with self._lock:
            if self._flight is not flight:
                return
            if isinstance(outcome, SalesforceSession):
                self._live = outcome
            self._flight = None
        flight.landing.set_result(outcome)

    def _after_fork(self) -> None:
        """In the child: the thread that was logging in is not here."""
        self._lock = threading.Lock()
        self._flight = None

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Provider and environment; nothing of the session."""
        return f"SessionSource(provider={self.provider!r}, environment={self.environment!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds secrets and connections."""
        raise TypeError("a SessionSource holds secrets and connections and is not pickled; resolve it in the worker")


def _session_of(outcome: _Outcome) -> SalesforceSession | None:
    """The session of a login by another; None where that one was interrupted.

    Raises:
        KineticAuthError: A copy of that login's error: one that many threads raise would collect all their tracebacks.
    """
    if isinstance(outcome, KineticAuthError):
        raise copy.copy(outcome) from outcome.__cause__
    return outcome
