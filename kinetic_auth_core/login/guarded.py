"""The credentials of one login in turn, each within the guards, its mark and the budget, by one deadline.

The guards are asked first, the mark of a token that can be used once is set next, and the budget is spent last: what
one of them stops sends nothing.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs

from kinetic_auth_core.concurrency import uninterrupted
from kinetic_auth_core.errors import (
    AuthenticationError,
    CredentialsRejectedError,
    InteractionRequiredError,
    KeyLoadError,
    KineticAuthError,
    RateLimitedError,
    TransportError,
)
from kinetic_auth_core.events import LoginRequest, ProviderState, current_tally
from kinetic_auth_core.login.credentials import Credentials, Values
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.instances import ProviderInstance, ProviderInstances
from kinetic_auth_core.login.limits import LoginBudget
from kinetic_auth_core.login.refusals import HeldBackError, LoginGuard, first_tries
from kinetic_auth_core.login.single_use import LostGrantError, MarkedState, SingleUse, States
from kinetic_auth_core.login.spec import LoginSpec
from kinetic_auth_core.login.state import OpenState
from kinetic_auth_core.oauth.error_codes import culprit_of, is_the_end
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.transport.connections import Deadline

logger = logging.getLogger(__name__)

#: While the guard holds a credential back, its secrets are not fetched again more often than this.
_FETCH_PAUSE_S = 5.0
#: How long a thread waits at most for the first login of another one with the same credential.
_FIRST_TRY_S = 600.0
#: How long a refresh in the background waits for another login that presents the same secret.
_WAIT_IN_BACKGROUND_S = 5.0


@attrs.frozen(eq=False, repr=False, match_args=False)
class _Login:
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
        budget: LoginBudget,
        states: Callable[[], States],
    ) -> None:
        self._spec = spec
        self._credentials = credentials
        self._instances = instances
        self._guard = guard
        self._budget = budget
        self._states = states
        self._own_state: list[str] = []  # of a provider that may present its secret more than once
        self._deadline_s = spec.deadline_s
        self._fetched_at: dict[int, float] = {}  # by set of credentials; seconds of the monotonic clock

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
            changed = self._changed(number, values, error, login.deadline)
            if changed is None:
                raise
            logger.warning("%s Its secrets have changed in their place; trying the new ones.", error.message)
        return self._log_in_with(number, changed, login)

    def _changed(
        self, number: int, values: Values, error: CredentialsRejectedError, deadline: Deadline
    ) -> Values | None:
        """The values of a refused set, where they have changed since they were fetched; else None."""
        if culprit_of(error.error, error.description) is None or deadline.has_passed:
            return None
        now = time.monotonic()
        if (
            isinstance(error, HeldBackError | LostGrantError)
            and now - self._fetched_at.get(number, -_FETCH_PAUSE_S) < _FETCH_PAUSE_S
        ):
            return None
        self._fetched_at[number] = now
        try:
            fetched = self._credentials.load(number, fresh=True)
        except KeyLoadError as failure:
            logger.warning("%s Its secrets could not be fetched again: %s", error.message, failure)
            return None
        return None if fetched == values else fetched

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
