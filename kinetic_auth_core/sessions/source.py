"""`SessionSource`, the object that applications hold: it puts together sharing, refreshing and logging in."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.concurrency import Lazy, LazyAttribute
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.login.flow import LoginBudget, LoginFlow, import_modules
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.lockout import LoginGuard
from kinetic_auth_core.login.single_use import States
from kinetic_auth_core.login.spec import LoginSpec, SharedResources, SourceOptions, spec_for
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.registry.hookspecs import may_ask_a_person
from kinetic_auth_core.registry.loading import Observers, authenticator_problem, given_observers
from kinetic_auth_core.session import Introspection, SalesforceSession
from kinetic_auth_core.sessions.refresh import Refresher
from kinetic_auth_core.sessions.single_flight import SingleFlight
from kinetic_auth_core.settings.schema import ExplainedSetting
from kinetic_auth_core.stores.base import SessionStore, process_key
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.transport import connections

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from kinetic_auth_core.oauth.endpoints import RequestContext
    from kinetic_auth_core.sessions.status import SourceStatus
    from kinetic_auth_core.transport.client import Transport


def _refuse_without_asyncio() -> None:
    """Refuse a task of trio or of no event loop, before a login begins that nobody would wait for.

    Raises:
        ConfigurationError: No event loop of asyncio runs here, or this is a task of trio.
    """
    try:
        sys.modules["asyncio"].get_running_loop()
    except (KeyError, RuntimeError):
        loop = ""
    else:
        loop = "asyncio"
    if (trio := sys.modules.get("trio")) is not None:
        with contextlib.suppress(RuntimeError):
            trio.lowlevel.current_task()
            loop = "trio"
    if loop == "asyncio":
        return
    if not loop:
        raise ConfigurationError(
            "asession() needs an event loop of asyncio, and none runs here.",
            remedy="Call session(), or asyncio.run() with a coroutine that awaits asession().",
        )
    raise ConfigurationError(
        "asession() needs an event loop of asyncio, and this task is trio's.",
        remedy="Call session() in a thread: await trio.to_thread.run_sync(source.session); or run it with asyncio.",
    )


class SessionSource:
    """The live session of one provider. Safe for threads and after `fork`.

    Made by `resolve`, or by hand around an authenticator:

        source = SessionSource(JWTAuthenticator.from_env())
        session = source.session()

    Args:
        authenticator: An instance of an authenticator's class.
        store: Where the session is kept for other processes, such as a `FileStore`. Left out: in this process alone.
            The source does not close it.
        observers: Observers of its logins, beside those that are installed: instances.
        **options: `session_lifetime`, `lockout_guard`, `login_budget`, `expected_org_id`, `allowed_instance_hosts`; see
            the page on configuration.

    Raises:
        ConfigurationError: It is not an authenticator, the store is not a `SessionStore`, an observer does not fit, or
            an option is wrong.
    """

    @secret_boundary
    def __init__(
        self,
        authenticator: object,
        *,
        store: SessionStore | None = None,
        observers: Iterable[object] = (),
        **options: Any,
    ) -> None:
        if isinstance(authenticator, type):
            raise ConfigurationError(f"{authenticator.__name__} is a class: pass an instance of it.")
        if problem := authenticator_problem(type(authenticator)):
            raise ConfigurationError(f"{type(authenticator).__name__} {problem}.")
        spec = spec_for(authenticator, SourceOptions.of(options), store)
        self._start(attrs.evolve(spec, observers=Observers(given=given_observers(observers))))

    @classmethod
    def _of(cls, spec: LoginSpec, resources: SharedResources | None = None) -> Self:
        source = cls.__new__(cls)
        source._start(spec, resources)  # noqa: SLF001 - its own class
        return source

    def _start(self, spec: LoginSpec, resources: SharedResources | None = None) -> None:
        self._spec = spec
        self._redirection = connections.current_redirection()
        self._owns_resources = resources is None
        self._resources = resources or SharedResources()
        process_key()  # which the children of this process are to have as well
        import_modules(spec, self._resources)

    # Made at the first use: of thousands of tenants, few log in.

    @LazyAttribute
    def _cache(self) -> SessionCache:
        spec = self._spec
        return SessionCache(
            spec.identity,
            None if spec.never_stored else spec.store,
            spec.options.session_lifetime,
            spec.displayed("api_version") if spec.is_grant else None,
            guards=spec.guards,
            username=spec.displayed("username"),
            stores=self._resources.stores,
        )

    @LazyAttribute
    def _flow(self) -> LoginFlow:
        spec, options, cache = self._spec, self._spec.options, self._cache
        states = Lazy[States]()  # few providers keep anything from login to login
        details = {"provider": spec.provider, "host": spec.host, "username": spec.displayed("username")}
        guard = LoginGuard(cache, options.lockout_guard, spec.label, details)
        here = spec.identity.name_here(process_key())
        budget = self._resources.budget(here, lambda: LoginBudget(options.login_budget, spec.label, details))
        return LoginFlow(spec, guard, budget, self._resources, lambda: states.get(lambda: States(spec, cache)))

    @LazyAttribute
    def _refresher(self) -> Refresher:
        return Refresher(self._cache, self._flow, self._spec.options.session_lifetime)

    @LazyAttribute
    def _single_flight(self) -> SingleFlight:
        return SingleFlight(self._refresher, self._redirection)

    @property
    def provider(self) -> str:
        """The provider's entry-point name; the class name of an instance made by hand."""
        return self._spec.provider

    @property
    def environment(self) -> str | None:
        """The environment of the config file, or None."""
        return self._spec.environment

    @property
    def distribution(self) -> str | None:
        """The package that brought the provider, as `name version`; None for an instance made by hand."""
        return self._spec.distribution

    @secret_boundary
    def authenticate(self) -> SalesforceSession:
        """Log in, always; the live session and the store are left alone, the guards are obeyed.

        Returns:
            A session of the caller's own.

        Raises:
            KineticAuthError: It failed.
        """
        connections.check_source(self._redirection)
        has_live = lambda: self._single_flight.peek() is not None  # noqa: E731 - one use
        return self._flow.login(interactive=may_ask_a_person(), has_live=has_live)

    def session(self) -> SalesforceSession:
        """The live session: from memory, then the store, else one login for all callers that wait.

        When three quarters of `session_lifetime` have passed, the session is refreshed in the background, and no
        caller waits; when all of it has passed, all callers wait for the one that logs in.

        After three sessions in a row that were reported dead within a minute of their login, no login is made for a
        minute and more: until then this returns the session that was refused.

        Raises:
            KineticAuthError: The login failed; all callers that waited get that error.
        """
        flight = self._single_flight
        cached = flight.cached
        if (
            cached is not None
            and time.monotonic() < cached.stale_monotonic
            and time.time() < cached.stale_wall
            and flight.redirection is connections.active_redirection
        ):
            return cached.session  # nearly always: no lock, no call but the two clocks
        connections.check_source(self._redirection)
        return flight.get()

    def _replaced_session(self) -> SalesforceSession:
        """A new session in place of the live one, which is not revoked, and stays in the store if the login fails.

        Raises:
            KineticAuthError: The login failed.
        """
        if (session := self.peek()) is not None:
            self._single_flight.drop(session, is_left_in_store=True)
        return self.session()

    async def asession(self) -> SalesforceSession:
        """As `session`, for asyncio: the login runs in a thread of its own, and the event loop goes on.

        Raises:
            ConfigurationError: It is awaited by a task of trio, or without an event loop. Nothing is sent.
            KineticAuthError: The login failed; all callers that waited get that error.
        """
        connections.check_source(self._redirection)
        _refuse_without_asyncio()
        return await self._single_flight.aget()

    @secret_boundary
    def peek(self) -> SalesforceSession | None:
        """The session that `session` would give without a login, from memory or the store; None if there is none."""
        connections.check_source(self._redirection)
        return self._single_flight.peek()

    @secret_boundary
    def status(self) -> "SourceStatus":
        """What is live, until when no login is made and why. Nothing is sent: memory and the store are read."""
        from kinetic_auth_core.sessions.status import status_of  # no login needs it

        connections.check_source(self._redirection)
        cached = self._single_flight.peek_cached()
        return status_of(self._flow, cached, self._refresher.refused, is_down=self._cache.is_down)

    @property
    def store_is_down(self) -> bool:
        """Whether the session store has failed and not answered since; this process then uses its own memory."""
        return self._cache.is_down

    def opened_store(self) -> SessionStore | None:
        """The session store itself; None: this process's memory.

        Raises:
            Exception: It could not be opened, for whatever reason.
        """
        return self._cache.opened_store()

    def stored_name(self) -> str:
        """The name of the session in the store; it tells nothing."""
        return self._cache.find_name()

    def was_stored(self, session: SalesforceSession) -> bool:
        """Whether a session came out of the store: if it turns out dead at once, a login of our own may do better."""
        return not self._refresher.was_made_here(session)

    def note_taken(self, session: SalesforceSession) -> None:
        """Note that Salesforce has answered a call with a session, as the adapters do: it was not refused at once."""
        self._refresher.note_taken(session)

    @secret_boundary
    def invalidate(self, session: SalesforceSession) -> None:
        """Report that a session is dead, typically after a 401.

        If another one is live already, nothing is thrown away: any number of callers cost one new login. The session
        goes out of the store as well, if it is still there; the first caller does that, and no other waits. Observers
        are called once for each session.

        Args:
            session: The session that was refused.
        """
        connections.check_source(self._redirection)
        was_live, is_news = self._single_flight.drop(session, is_rejected=True)
        if was_live and is_news:
            logger.info("%s: session rejected (401); it is discarded", self._spec.label)
        if is_news:
            self._flow.notify_of_dead(session)

    @secret_boundary
    def revoke(self, session: SalesforceSession) -> bool:
        """Revoke a session. All who use the same token lose it too.

        Salesforce may hand the same session to several logins of a user, and a store shares one among processes. So
        nothing else is revoked than the session that is passed.

        Args:
            session: The session to revoke.

        Returns:
            True; False if it was dead already.

        Raises:
            AuthenticationError: It could not be revoked.
        """
        from kinetic_auth_core.oauth import endpoints

        revoked = endpoints.revoke(self._connection(), session, self._request("revocation", session))
        self._single_flight.drop(session)
        return revoked

    @property
    def keeps_token(self) -> bool:
        """Whether the provider keeps a token of its own from login to login, such as a refresh token that rotates."""
        return self._spec.is_single_use

    def token_in_clear(self) -> Path | None:
        """The file that holds a token of the provider in clear, which lives longer than a session; None: no file does.

        Raises:
            KineticAuthError: The store failed.
        """
        return self._flow.file_in_clear()

    @secret_boundary
    def end_grant(self, *, revokes: bool = True) -> bool:
        """Delete what the provider keeps from login to login, such as a refresh token: the next login begins again.

        A provider whose configured token has been replaced since needs a new one then.

        Args:
            revokes: Revoke that token first, with all sessions that came from it.

        Returns:
            Whether a token was revoked; False as well if it was dead already.

        Raises:
            KineticAuthError: It could not be revoked, or the store failed; nothing was deleted.
        """
        from kinetic_auth_core.oauth import endpoints
        from kinetic_auth_core.oauth.endpoints import RequestContext

        instance = self._flow.instance()
        token = self._flow.newest_token() if revokes and isinstance(instance, GrantAuthenticator) else None
        revoked = False
        if token is not None:
            host = urlsplit(instance.login_url).netloc
            context = RequestContext(self.provider, host, self._spec.displayed("username"), "revocation")
            revoked = endpoints.revoke_token(instance.connection(), instance.login_url, token, context)
        self._flow.forget_state()
        return revoked

    def drop(self, session: SalesforceSession) -> None:
        """Forget a session, here and in the store, without revoking it: other holders of it go on."""
        self._single_flight.drop(session)

    @secret_boundary
    def is_alive(self, session: SalesforceSession) -> bool:
        """Ask the REST API whether it takes a session. Nothing is thrown away; see `invalidate`.

        Args:
            session: The session to ask about.

        Raises:
            TransportError: There was no answer, or one that does not say.
        """
        from kinetic_auth_core.oauth import endpoints

        return endpoints.is_alive(self._connection(), session, self._request("check of the session", session))

    @secret_boundary
    def introspect(self, session: SalesforceSession) -> Introspection:
        """Ask Salesforce about a session's token: whether it is alive, and until when.

        Args:
            session: The session to ask about.

        Raises:
            ConfigurationError: The provider has no `client_secret` to authenticate the app with.
            AuthenticationError: Salesforce refused, or there was no usable answer.
        """
        from kinetic_auth_core.oauth import endpoints

        instance = self._flow.instance()
        names = ("login_url", "client_id", "client_secret")
        if missing := [name for name in names if not getattr(instance, name, None)]:
            raise ConfigurationError(
                f"{self.provider}: introspection needs {' and '.join(missing)}.",
                remedy="Set it: Salesforce answers introspection only to an app that sends its secret.",
            )
        return endpoints.introspect(self._connection(), session, self._request("introspection", session), instance)

    def _connection(self) -> "Transport":
        try:
            instance = self._flow.instance()
        except KineticAuthError as error:  # a session can be revoked while the vault is down
            logger.warning("connecting with default settings, as the provider's cannot be loaded: %s", error.message)
            instance = None
        if isinstance(instance, GrantAuthenticator):
            return instance.connection()
        return self._resources.transports.without_grant(instance)

    def _request(self, what: str, session: SalesforceSession) -> "RequestContext":
        from kinetic_auth_core.oauth.endpoints import RequestContext

        host = urlsplit(session.instance_url).netloc.rpartition("@")[2]  # one made by hand may have credentials there
        return RequestContext(self.provider, host, session.username or self._spec.displayed("username"), what)

    def explain(self) -> tuple[ExplainedSetting, ...]:
        """A row for every setting: its value, masked where secret, and where it came from."""
        return self._flow.rows()

    def close(self) -> None:
        """Close the connections. The source stays usable: the next login opens new ones."""
        if "_cache" in vars(self):
            self._cache.close()
        if "_flow" in vars(self):
            self._flow.close()
        if self._owns_resources:
            self._resources.transports.close()

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
        if not hasattr(self, "_spec"):
            return "SessionSource(not made yet)"  # its constructor has raised, and a traceback shows it
        return f"SessionSource(provider={self.provider!r}, environment={self.environment!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds secrets and connections."""
        raise TypeError("a SessionSource holds secrets and connections and is not pickled; resolve it in the worker")
