"""The credentials of one login in turn, each within the guards, its mark and the budget, by one deadline.

The guards are asked first, the mark of a token that can be used once is set next, and the budget is spent last: what
one of them stops sends nothing. Then the provider's instance is called inside the observers' wrappers, and what it
returns or raises is checked; there is one instance for each set of values.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from kinetic_auth_core.concurrency import raise_interruption, reset_after_fork, uninterrupted
from kinetic_auth_core.config.construct import with_place
from kinetic_auth_core.errors import (
    AuthenticationError,
    CredentialsRejectedError,
    InteractionRequiredError,
    KineticAuthError,
    RateLimitedError,
    TransportError,
)
from kinetic_auth_core.login.credentials import Credentials, Values
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.lockout import Credential, HeldBackError, LoginGuard, first_tries
from kinetic_auth_core.login.single_use import LostGrantError, MarkedState, SingleUse, States
from kinetic_auth_core.login.spec import LoginSpec, SharedResources, make_instance
from kinetic_auth_core.login.state import OpenState, OwnState
from kinetic_auth_core.oauth.error_codes import culprit_of, is_the_end
from kinetic_auth_core.redaction import describe, redact_chain, redact_error, redacted_cause, secret_boundary
from kinetic_auth_core.registry.hookspecs import LoginHooks, LoginRequest, ProviderState
from kinetic_auth_core.registry.loading import are_loading
from kinetic_auth_core.session import InvalidSessionError, SalesforceSession, jwt_times
from kinetic_auth_core.transport.connections import Deadline, current_tally

if TYPE_CHECKING:
    from kinetic_auth_core.login.flow import LoginBudget  # which logs in by this module

logger = logging.getLogger(__name__)

#: How long a thread waits at most for the first login of another one with the same credential.
_FIRST_TRY_S = 600.0
#: How long a refresh in the background waits for another login that presents the same secret.
_WAIT_IN_BACKGROUND_S = 5.0


class ProviderInstance:
    """A provider's instance as a source uses it.

    Attributes:
        values: What it was made from.
        instance: The instance.
        hooks: The observers, around it.
        credential: What the guards know it by.
    """

    def __init__(self, values: Values, instance: Any, hooks: LoginHooks) -> None:
        self.values = values
        self.instance = instance
        self.hooks = hooks
        self.credential = Credential(instance)


class ProviderInstances:
    """The instance for each set of credentials.

    Args:
        spec: What class they are of, and with which settings.
        resources: What they may share with other sources.
    """

    def __init__(self, spec: LoginSpec, resources: SharedResources) -> None:
        self._spec = spec
        self._resources = resources
        self._by_number: dict[int, ProviderInstance] = {}
        self._lock = threading.RLock()  # a provider whose constructor asks its own source fails, and does not hang
        reset_after_fork(self)

    def get(self, number: int, values: Values) -> ProviderInstance:
        """The instance for a set of credentials; one that was made for other values is closed.

        Args:
            number: Which set, from 0.
            values: The set's values, as they are now.
        """
        observers = self._observers()  # not under the lock: one that logs in while it is made may wait for it
        with self._lock:
            before = self._by_number.get(number)
            if before is not None and (before.values is values or before.values == values):
                return before
            instance = self._kept(number)
            if instance is None:
                instance = make_instance(self._spec.provider, self._spec.make, self._spec.rows, values)
            if isinstance(instance, GrantAuthenticator) and not self._spec.is_by_hand:
                instance.share(self._resources.transports)
            provider = ProviderInstance(values, instance, LoginHooks(instance, observers))
            if are_loading():
                return provider  # not to be kept, as it is without its observers
            self._by_number[number] = provider
        if before is not None:
            _close_quietly(before.instance)
        return provider

    def known(self, number: int) -> ProviderInstance | None:
        """The instance for a set of credentials, where there is one already; else None.

        Args:
            number: Which set, from 0.
        """
        with self._lock:
            return self._by_number.get(number)

    def hooks(self, instance: Any) -> LoginHooks:
        """The observers, around an instance.

        Args:
            instance: The provider's instance; None where it could not even be made.
        """
        return LoginHooks(instance, self._observers())

    def _observers(self) -> list[tuple[str, object]]:
        return self._resources.observers_of(self._spec.observers, self._spec.allowed)

    def authenticate(self, provider: ProviderInstance, request: LoginRequest) -> SalesforceSession:
        """Call the provider's `authenticate` inside the observers' wrappers, and check what it returns.

        Args:
            provider: The instance, with its observers.
            request: What the login is made for.

        Raises:
            SessionRejectedError: A guard refuses the session.
            AuthenticationError: The plugin raised something else, or returned an invalid session; or what it raised.
        """
        hooks, cause, remedy = provider.hooks, None, "Report this to the plugin's authors."
        what, failure = "", None
        try:
            session = hooks.authenticate(request)
        except InvalidSessionError as error:
            raise_interruption(error)
            what = f"returned an invalid session: {'; '.join(error.problems)}."
        except KineticAuthError as error:
            raise_interruption(error)
            # The messages of our own logins are masked already, and have words that a weak password may be.
            is_foreign = not isinstance(provider.instance, GrantAuthenticator) or hooks.wrappers
            (redact_error if is_foreign else redact_chain)(error, hooks.secrets)
            failure = with_place(error, self._spec.rows)
            if failure is error:
                raise
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            raise_interruption(error)
            cause = redacted_cause(error, hooks.secrets)
            what = f"raised {describe(cause).rstrip('.')}."
        else:
            if isinstance(session, SalesforceSession) and _can_be_sent(session.access_token):
                self._spec.check(session, hooks.secrets)
                return _with_end(session)
            if isinstance(session, SalesforceSession):
                wrong = "it has no access_token"
                if session.access_token:
                    wrong = "its access_token has a line break or another control character in it"
                what = f"returned an invalid session: {wrong}."
            else:
                what = f"returned {type(session).__name__} instead of a SalesforceSession."
                remedy += " If it is yours, end its authenticate() with: return kinetic.SalesforceSession(...)"
        if failure is not None:
            raise failure  # outside of the except block, so that it is not chained to its other self
        spec = self._spec
        label = f"{spec.provider!r} ({spec.distribution})" if spec.distribution else repr(spec.provider)
        around = (
            f", or an observer around it ({', '.join(provider.hooks.wrappers)})," if provider.hooks.wrappers else ""
        )
        raise AuthenticationError(
            f"the plugin {label}{around} {what}", remedy=remedy, provider=spec.provider
        ) from cause

    def close(self) -> None:
        """Close the provider's connections, if it has a `close`."""
        for provider in list(self._by_number.values()):
            _close_quietly(provider.instance)

    def _kept(self, number: int) -> Any:
        """The instance that `resolve` made to check the settings; not across a fork, as it may hold connections."""
        return self._spec.instances[number] if self._spec.instances and os.getpid() == self._spec.pid else None

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held; its instances stay its own.

        Those may hold connections. They are not closed: over TLS that would end the parent's connection.
        """
        self._lock = threading.RLock()
        self._by_number = {}


def _close_quietly(instance: Any) -> None:
    """Call a provider's `close`, if it has one. One that raises breaks nothing."""
    close = getattr(instance, "close", None)
    if close is not None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            logger.warning("close() of %s raised %s", type(instance).__name__, type(error).__name__)


def _can_be_sent(access_token: str) -> bool:
    """Whether a header can have it; what was read from a file may end in a line break."""
    return bool(access_token) and access_token.isprintable()


def _with_end(session: SalesforceSession) -> SalesforceSession:
    """A session that says when its token ends, where the token does and the provider has not said so."""
    times = jwt_times(session.access_token) if session.expires_at is None else None
    if times is None:
        return session
    (issued, expires), now = times, time.time()
    lives_s = [life_s for life_s in (expires - now, expires - (issued or now)) if life_s > 0]
    return attrs.evolve(session, expires_at=now + min(lives_s)) if lives_s else session


class _Login(NamedTuple):
    """One login that is under way.

    Attributes:
        request: What it is made for.
        tried: Takes in each instance as it is tried.
        deadline: Until when.
        has_live: Whether there is a live session meanwhile.
    """

    request: LoginRequest
    tried: list[ProviderInstance]
    deadline: Deadline
    has_live: Callable[[], bool]

    def next_request(self, state: ProviderState) -> LoginRequest:
        """The request for the instance that is tried next; the tries of those before it count.

        Args:
            state: What the provider keeps from login to login.
        """
        attempt = max(len(self.tried), current_tally().attempts + 1)
        return attrs.evolve(self.request, now=time.time(), attempt=attempt, state=state)


class GuardedLogins:
    """Offers the credentials of a spec.

    Args:
        spec: What to log in with.
        credentials: Its values, one set after the other.
        instances: The provider's instances.
        guard: Stops a credential that was refused just now, and a user who has met Salesforce's limit.
        budget: Stops too many logins.
        states: Gives what the provider keeps from login to login.
    """

    def __init__(
        self,
        spec: LoginSpec,
        credentials: Credentials,
        instances: ProviderInstances,
        *,
        guard: LoginGuard,
        budget: "LoginBudget",
        states: Callable[[], States],
    ) -> None:
        self._spec = spec
        self._credentials = credentials
        self._instances = instances
        self._guard = guard
        self._budget = budget
        self._states = states
        self._own_state = OwnState()  # of a provider that may present its secret more than once
        self._deadline_s = spec.deadline_s

    @secret_boundary  # the observers and the log get errors without frames, too
    def session(
        self, request: LoginRequest, tried: list[ProviderInstance], has_live: Callable[[], bool]
    ) -> SalesforceSession:
        """Log in.

        Args:
            request: What the login is made for.
            tried: Takes in each instance as it is tried.
            has_live: Whether there is a live session meanwhile.

        Raises:
            KineticAuthError: No set of credentials was accepted; the error is that of the first.
        """
        deadline = Deadline(self._deadline_s)  # its time begins when the first request is sent
        return self._credentials.offer(
            lambda number: self._log_in_with_set(number, _Login(request, tried, deadline, has_live)), deadline
        )

    def _log_in_with_set(self, number: int, login: _Login) -> SalesforceSession:
        """Log in with one set; where it is refused as wrong and its secrets have changed since, with the new ones.

        Nothing is offered twice: a wrong password that is repeated locks the user out.
        """
        values = self._credentials.load(number)
        try:
            return self._log_in_with(number, values, login)
        except CredentialsRejectedError as error:
            if culprit_of(error.error, error.description) is None or login.deadline.has_passed:
                raise
            was_sent = not isinstance(error, HeldBackError | LostGrantError)
            if (changed := self._credentials.changed(number, values, error, was_sent=was_sent)) is None:
                raise
            logger.warning("%s Its secrets have changed in their place; trying the new ones.", error.message)
        return self._log_in_with(number, changed, login)

    def _log_in_with(self, number: int, values: Values, login: _Login) -> SalesforceSession:
        provider = self._instances.get(number, values)
        login.tried.append(provider)
        if (lock := first_tries().lock_of(provider.credential)) is not None:
            try:
                # Of many threads one sends a password that may be wrong; the others wait for the outcome. Not for ever:
                # that thread may wait for what the main one holds, while a signal handler runs there and comes here.
                lock.acquire(timeout=min(self._deadline_s or _FIRST_TRY_S, _FIRST_TRY_S))
                if first_tries().lock_of(provider.credential) is not None:
                    return self._first_try(provider, login)
            finally:
                with contextlib.suppress(RuntimeError):  # it was not acquired
                    lock.release()
        return self._guarded(provider, login)

    def _first_try(self, provider: ProviderInstance, login: _Login) -> SalesforceSession:
        if not provider.credential.locks_out:
            return self._guarded(provider, login)
        self._guard.check(provider.credential)
        lease = self._guard.turn(provider.credential)
        try:
            return self._guarded(provider, login)
        finally:
            if lease is not None:
                self._guard.give_back(lease)

    def _guarded(self, provider: ProviderInstance, login: _Login) -> SalesforceSession:
        was_refused = self._guard.check(provider.credential)
        session = self._with_state(provider, login)
        first_tries().note(provider.credential, None)
        if was_refused:
            self._guard.forget(provider.credential)
        return session

    def _with_state(self, provider: ProviderInstance, login: _Login) -> SalesforceSession:
        """Log in with what the provider keeps; what can be presented once only is marked before."""
        if not self._spec.is_single_use:
            state = OpenState(lambda: self._states().entry(provider.instance), self._own_state)
            return self._within_budget(provider, login, state)
        secret = self._states().single_use(provider.instance)
        held: list[MarkedState] = []

        def present() -> SalesforceSession | None:
            """Mark and present it; None if a person has to consent first, whom the program's end does not wait for."""
            held.append(marked := self._mark(secret, login))
            return self._marked(secret, marked, provider, login) if marked.presents_a_secret else None

        try:
            # A daemon thread ends with the program: nobody could tell what became of what it has marked.
            session = uninterrupted(present) if threading.current_thread().daemon else present()
            return session if session is not None else self._marked(secret, held[0], provider, login)
        except AuthenticationError as error:
            if not (held and secret.is_over(error) and held[0].before.value):
                raise
            logger.warning("%s", error)
        return self._marked(secret, self._mark(secret, login), provider, login)  # by a consent

    @staticmethod
    def _mark(secret: SingleUse, login: _Login) -> MarkedState:
        in_background = login.request.reason == "refresh" and login.has_live()
        return secret.mark(login.has_live, wait_s=_WAIT_IN_BACKGROUND_S if in_background else None)

    def _marked(
        self, secret: SingleUse, marked: MarkedState, provider: ProviderInstance, login: _Login
    ) -> SalesforceSession:
        """Log in with a secret that this login alone may present, and note what has become of it."""
        tally = current_tally()
        before = tally.attempts
        error: BaseException | None = None
        try:
            with secret.renewed(marked):
                return self._within_budget(provider, login, marked)
        except BaseException as failure:
            error = failure
            raise
        finally:
            was_read = marked.was_read and not self._spec.is_grant  # a grant's requests are counted
            secret.settle(marked, error, was_sent=was_read or tally.attempts > before)
            del error

    def _within_budget(self, provider: ProviderInstance, login: _Login, state: ProviderState) -> SalesforceSession:
        spent, began = self._budget.spend(), time.time()
        sent = _Sent(provider.instance)
        try:
            with login.deadline:
                return self._instances.authenticate(provider, login.next_request(state))
        except KineticAuthError as error:
            self._budget.failed(spent, error, counts=sent.may_have_arrived(error))
            if sent.was_asked:  # otherwise a wrapper has refused the login, which says nothing of the credential
                first_tries().note(provider.credential, error)
                if isinstance(error, AuthenticationError) and self._is_to_be_remembered(error):
                    self._guard.remember(provider.credential, error, began)
            raise

    def _is_to_be_remembered(self, error: AuthenticationError) -> bool:
        """Whether the guard is to hold back the next login with this credential.

        A provider whose sessions are never stored sends no credential that could be sent again; the end of a token that
        can be used once is remembered by its state, for good.
        """
        if isinstance(error, RateLimitedError):
            return True
        if not isinstance(error, CredentialsRejectedError) or self._spec.never_stored:
            return False
        return not (self._spec.is_single_use and is_the_end(error))


class _Sent:
    """What was sent since it was made, by the tally of the login that is under way.

    Args:
        instance: The provider's instance.
    """

    def __init__(self, instance: Any) -> None:
        self._sends_by_us = getattr(type(instance), "authenticate", None) is GrantAuthenticator.authenticate
        tally = current_tally()
        self._asked, self._attempts, self._arrived = tally.asked, tally.attempts, tally.arrived

    @property
    def was_asked(self) -> bool:
        """Whether the provider's own `authenticate` was called."""
        return current_tally().asked > self._asked

    def may_have_arrived(self, error: KineticAuthError) -> bool:
        """Whether a login that failed may have reached Salesforce.

        A plugin that sends its own requests is believed where its error says that there was no connection.
        """
        tally = current_tally()
        if self._sends_by_us or tally.attempts > self._attempts:
            return tally.arrived > self._arrived
        if not isinstance(error, AuthenticationError) or isinstance(error, InteractionRequiredError):
            return False
        return self.was_asked and not (isinstance(error, TransportError) and error.is_unsent)
