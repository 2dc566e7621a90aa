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
from kinetic_auth_core.login import Logins, Plan, plan_for
from kinetic_auth_core.registry import authenticator_problem
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings import ExplainedSetting


class _Abandoned(Exception):  # noqa: N818 - a signal to those who wait, never seen outside
    """The login was interrupted; somebody else has to make it."""


@attrs.define(eq=False)
class _Flight:
    """A login that is under way, and the thread that makes it."""

    landing: "Future[SalesforceSession]" = attrs.field(factory=Future)
    pilot: int | None = None

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
            live = self._live
            if live is not None:
                return live
            flight, is_pilot = self._board()
            if is_pilot and flight is not None:
                return self._fly(flight)
            if flight is not None:
                try:
                    return flight.landing.result()
                except _Abandoned:
                    continue
                except KineticAuthError as error:
                    raise _own(error) from error.__cause__

    async def asession(self) -> SalesforceSession:
        """As `session`, for asyncio: the login runs in a thread, and the event loop goes on.

        Raises:
            KineticAuthError: The login failed; all who waited get that error.
        """
        import asyncio

        while True:
            live = self._live
            if live is not None:
                return live
            flight, is_pilot = self._board()
            if is_pilot and flight is not None:
                return await asyncio.to_thread(self._fly, flight)
            if flight is not None:
                try:
                    return await asyncio.wrap_future(flight.landing)
                except _Abandoned:
                    continue
                except KineticAuthError as error:
                    raise _own(error) from error.__cause__

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
        return self._logins.plan.rows

    def close(self) -> None:
        """Give connections back. The source stays usable: the next login opens new ones."""
        self._logins.close()

    def _board(self) -> tuple[_Flight | None, bool]:
        """Join the login that is under way, or become the one who makes it; (None, False) if it has just landed."""
        with self._lock:
            if self._live is not None:
                return None, False
            if self._flight is None:
                self._flight = _Flight()
                return self._flight, True
            if self._flight.pilot == threading.get_ident():
                raise ConfigurationError(
                    "session() was called from within the login that makes the session.",
                    remedy="Observers and plugins must not ask the source that is logging in; use what the hook gives.",
                )
            return self._flight, False

    def _fly(self, flight: _Flight) -> SalesforceSession:
        """Make the login for all who wait."""
        flight.pilot = threading.get_ident()
        try:
            session = self._logins.login()
        except BaseException as error:
            with self._lock:
                self._flight = None
            flight.landing.set_exception(error if isinstance(error, KineticAuthError) else _Abandoned())
            raise
        with self._lock:
            self._live, self._flight = session, None
        flight.landing.set_result(session)
        return session

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


def _own(error: KineticAuthError) -> KineticAuthError:
    """A copy for one of those who waited: an exception that many threads raise would collect all their tracebacks."""
    return copy.copy(error)
