"""One login: the credentials in turn, each within the guards and inside the observers' hooks, by one deadline.

The provider's instances are made from a login's values and kept while those stay the same, so a key is prepared once.
Whether a login is needed at all, and who shares its session, is decided in `sessions`.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.concurrency import notice_fork, raise_interruption, reset_after_fork, uninterrupted
from kinetic_auth_core.config.merge import with_place
from kinetic_auth_core.errors import (
    AuthenticationError,
    CredentialsRejectedError,
    InteractionRequiredError,
    KeyLoadError,
    KineticAuthError,
    RateLimitedError,
    SessionRejectedError,
    TransportError,
)
from kinetic_auth_core.events import (
    LoginEvent,
    LoginRequest,
    LoginTally,
    ProviderState,
    Reason,
    current_tally,
    tallied,
)
from kinetic_auth_core.login.credentials import Credentials, SecretLoader, Values
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.limits import LoginBudget, SharedResources
from kinetic_auth_core.login.places import name_places
from kinetic_auth_core.login.refusals import Credential, HeldBackError, LoginGuard, first_tries
from kinetic_auth_core.login.single_use import LostGrantError, MarkedState, SingleUse, States, is_the_end
from kinetic_auth_core.login.spec import LoginSpec, make_instance
from kinetic_auth_core.oauth.error_codes import culprit_of
from kinetic_auth_core.redaction import describe, mask, redact_chain, redacted_cause, secret_boundary
from kinetic_auth_core.registry.hookspecs import LoginHooks
from kinetic_auth_core.registry.loading import are_loading
from kinetic_auth_core.session import InvalidSessionError, SalesforceSession, jwt_times
from kinetic_auth_core.settings.schema import ExplainedSetting, secret_texts
from kinetic_auth_core.transport.connections import Deadline

logger = logging.getLogger(__name__)


@attrs.define(eq=False)
class ProviderInstance:
    """A provider's instance as a source uses it.

    Attributes:
        values: What it was made from.
        instance: The instance.
        hooks: The observers, around it.
        credential: What the guards know it by.
    """

    values: Values
    instance: Any
    hooks: LoginHooks
    credential: Credential = attrs.field(
        init=False, default=attrs.Factory(lambda self: Credential(self.instance), takes_self=True)
    )


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
        self._pid = os.getpid()
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
            if before is not None and before.values == values:
                return before
            instance = self._kept(number)
            if instance is None:
                instance = make_instance(self._spec, values)
            if isinstance(instance, GrantAuthenticator) and not self._spec.is_by_hand:
                instance.share(self._resources.transports)
            provider = ProviderInstance(values, instance, LoginHooks(instance, observers))
            if are_loading():
                return provider  # not to be kept, as it is without its observers
            self._by_number[number] = provider
        if before is not None:
            _close_quietly(before.instance)
        return provider

    def hooks(self, instance: Any) -> LoginHooks:
        """The observers, around an instance.

        Args:
            instance: The provider's instance; None where it could not even be made.
        """
        return LoginHooks(instance, self._observers())

    def _observers(self) -> list[tuple[str, object]]:
        if are_loading():
            return []
        return self._resources.observers.get(lambda: self._spec.observers.with_installed(self._spec.allowed))

    def close(self) -> None:
        """Close the provider's connections, if it has a `close`."""
        for provider in list(self._by_number.values()):
            _close_quietly(provider.instance)

    def _kept(self, number: int) -> Any:
        """The instance that `resolve` made to check the settings; not across a fork, as it may hold connections."""
        return self._spec.instances[number] if self._spec.instances and os.getpid() == self._pid else None

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


#: While the guard holds a credential back, its secrets are not fetched again more often than this.
_FETCH_PAUSE_S = 5.0
#: How long a thread waits at most for the first login of another one with the same credential.
_FIRST_TRY_S = 600.0
#: How long a refresh in the background waits for another login that presents the same secret.
_WAIT_IN_BACKGROUND_S = 5.0


@attrs.frozen
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


class LoginFlow:
    """Logs in by one spec.

    Args:
        spec: What to log in with.
        guard: Stops a credential that was refused just now, and a user who has met Salesforce's limit.
        budget: Stops too many logins.
        resources: What it may share with other sources.
        states: What the provider keeps from login to login.
    """

    def __init__(
        self,
        spec: LoginSpec,
        guard: LoginGuard,
        budget: LoginBudget,
        resources: SharedResources,
        states: States,
    ) -> None:
        self.spec = spec
        self._states = states
        self._credentials = Credentials(spec.values, SecretLoader(spec.lookup, spec.allowed), spec.binary, spec.rows)
        self._instances = ProviderInstances(spec, resources)
        self._guard = guard
        self._budget = budget
        self._fetched_at: dict[int, float] = {}  # by set of credentials; seconds of the monotonic clock
        self._in_use = ""

    def login(
        self,
        reason: Reason = "asked",
        rejected: SalesforceSession | None = None,
        *,
        interactive: bool = False,
        has_live: Callable[[], bool] = lambda: False,
    ) -> SalesforceSession:
        """Log in now, and call the observers.

        Args:
            reason: Why.
            rejected: The session that was reported, with the reason `rejected`.
            interactive: Whether a person may be asked.
            has_live: Whether there is a live session meanwhile.

        Raises:
            KineticAuthError: No set of credentials was accepted; the error is that of the first.
        """
        notice_fork()
        began = time.monotonic()
        tried: list[ProviderInstance] = []
        request = LoginRequest(
            provider=self.spec.provider,
            environment=self.spec.environment,
            host=self.spec.host,
            username=self.spec.displayed("username"),
            reason=reason,
            rejected=rejected,
            interactive=interactive,
        )
        with tallied() as tally:
            try:
                session = self._session(request, tried, has_live)
            except KineticAuthError as error:
                name_places(error, self.spec.rows)
                logger.info("%s failed: %s", self.spec.label, type(error).__name__)  # its caller gets all of it
                hooks = tried[-1].hooks if tried else self._instances.hooks(None)
                event = self._event(tried[-1] if tried else None, None, tally, began, reason)
                hooks.authentication_failed(self.spec.provider, error, event)
                raise
        event = self._event(tried[-1], session, tally, began, reason)
        self._note_key_in_use(event)
        logger.info(
            "%s login of %s: org %s at %s, %.3f s, %d request(s)",
            *(event.provider, event.username, event.org_id, session.instance_url, event.duration_s, event.attempts),
        )
        tried[-1].hooks.session_issued(self.spec.provider, session, event)
        return session

    def notify_of_dead(self, session: SalesforceSession) -> None:
        """Call the observers for a session that was reported dead."""
        event = self._event(None, session, LoginTally(), time.monotonic(), "rejected")
        self._instances.hooks(None).session_invalidated(self.spec.provider, session, event)

    def rows(self) -> tuple[ExplainedSetting, ...]:
        """The spec's rows; the note on a list of keys says which of them was accepted last."""
        return tuple(
            attrs.evolve(row, note="; ".join(filter(None, (self._in_use, row.note))))
            if row.name in self._credentials.lists
            else row
            for row in self.spec.rows
        )

    def has_to_wait(self, *, has_live: bool = False) -> bool:
        """Whether another login presents a secret that can be used once, so that its session is worth waiting for.

        Args:
            has_live: Whether there is a live session. Then the retry of a login without an answer waits, too.
        """
        if not self.spec.is_single_use:
            return False
        try:
            secret = self._states.single_use(self.instance())
            return secret is not None and secret.has_to_wait(has_live=has_live)
        except KineticAuthError as error:  # the login will say so
            logger.debug("cannot tell whether another login is under way: %s", error)
            return False

    def newest_token(self) -> str | None:
        """The token of its own that the provider would present at the next login; None if it keeps none.

        Raises:
            KineticAuthError: The store failed.
        """
        return self._states.newest(self.instance())

    def file_in_clear(self) -> Path | None:
        """The file that holds the token of the provider in clear; None: there is no such file.

        Raises:
            KineticAuthError: The store failed.
        """
        return self._states.file_in_clear(self.instance()) if self.spec.is_single_use else None

    def forget_state(self) -> bool:
        """Delete what the provider has kept.

        Returns:
            Whether there was anything.

        Raises:
            KineticAuthError: The store failed.
        """
        return self._states.forget(self.instance())

    def instance(self) -> Any:
        """The provider's instance, as the next login would use it.

        Raises:
            KeyLoadError: A reference cannot be resolved.
        """
        notice_fork()
        number = self._credentials.order()[0]
        return self._instances.get(number, self._credentials.load(number)).instance

    def import_modules(self) -> None:
        """Import all that a login needs, with the key loaders and the installed observers.

        So no thread, fork or signal meets a module that is half imported.
        """
        self.spec.import_modules()
        self._credentials.import_modules()
        self._instances.hooks(None)

    def close(self) -> None:
        """Close the provider's connections, if it has a `close`."""
        self._instances.close()

    @secret_boundary  # the observers and the log get errors without frames, too
    def _session(
        self, request: LoginRequest, tried: list[ProviderInstance], has_live: Callable[[], bool]
    ) -> SalesforceSession:
        """Offer the credentials. `tried` takes in each instance as it is tried."""
        deadline = Deadline(self.spec.deadline_s)  # its time begins when the first request is sent
        return self._credentials.offer(
            lambda number: self._log_in_with_set(number, _Login(request, tried, deadline, has_live)), deadline
        )

    def _log_in_with_set(self, number: int, login: "_Login") -> SalesforceSession:
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

    def _log_in_with(self, number: int, values: Values, login: "_Login") -> SalesforceSession:
        provider = self._instances.get(number, values)
        login.tried.append(provider)
        if (lock := first_tries().lock_of(provider.credential)) is not None:
            try:
                # Of many threads one sends a password that may be wrong; the others wait for the outcome. Not for ever:
                # that thread may wait for what the main one holds, while a signal handler runs there and comes here.
                lock.acquire(timeout=min(self.spec.deadline_s or _FIRST_TRY_S, _FIRST_TRY_S))
                if first_tries().lock_of(provider.credential) is not None:
                    return self._first_try(provider, login)
            finally:
                with contextlib.suppress(RuntimeError):  # it was not acquired
                    lock.release()
        return self._guarded(provider, login)

    def _first_try(self, provider: ProviderInstance, login: "_Login") -> SalesforceSession:
        if not provider.credential.locks_out:
            return self._guarded(provider, login)
        self._guard.check(provider.credential)
        lease = self._guard.turn(provider.credential)
        try:
            return self._guarded(provider, login)
        finally:
            if lease is not None:
                self._guard.give_back(lease)

    def _guarded(self, provider: ProviderInstance, login: "_Login") -> SalesforceSession:
        was_refused = self._guard.check(provider.credential)
        session = self._with_state(provider, login)
        first_tries().note(provider.credential, is_refused=False)
        if was_refused:
            self._guard.forget(provider.credential)
        return session

    def _with_state(self, provider: ProviderInstance, login: "_Login") -> SalesforceSession:
        """Log in with what the provider keeps; what can be presented once only is marked before."""
        secret = self._states.single_use(provider.instance)
        if secret is None:
            return self._within_budget(provider, login, self._states.open(provider.instance))
        marked = self._mark(secret, login)
        try:
            if threading.current_thread().daemon and marked.presents_a_secret:  # nobody could tell what became of it
                return uninterrupted(lambda: self._marked(secret, marked, provider, login))
            return self._marked(secret, marked, provider, login)
        except AuthenticationError as error:
            if not (secret.is_over(error) and marked.before.value):
                raise
            logger.warning("%s", error)
        return self._marked(secret, self._mark(secret, login), provider, login)  # by a consent

    @staticmethod
    def _mark(secret: SingleUse, login: "_Login") -> MarkedState:
        in_background = login.request.reason == "refresh" and login.has_live()
        return secret.mark(login.has_live, wait_s=_WAIT_IN_BACKGROUND_S if in_background else None)

    def _marked(
        self, secret: SingleUse, marked: MarkedState, provider: ProviderInstance, login: "_Login"
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
            was_read = marked.was_read and not self.spec.is_grant  # a grant's requests are counted
            secret.settle(marked, error, was_sent=was_read or tally.attempts > before)
            del error

    def _within_budget(self, provider: ProviderInstance, login: "_Login", state: ProviderState) -> SalesforceSession:
        spent, began = self._budget.spend(), time.time()
        sent = _Sent(provider.instance)
        try:
            with login.deadline:
                return self._authenticate(provider, login.next_request(state))
        except KineticAuthError as error:
            self._budget.failed(spent, error, counts=sent.may_have_arrived(error))
            if sent.was_asked:  # otherwise a wrapper has refused the login, which says nothing of the credential
                first_tries().note(provider.credential, is_refused=isinstance(error, CredentialsRejectedError))
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
        if not isinstance(error, CredentialsRejectedError) or self.spec.never_stored:
            return False
        return not (self.spec.is_single_use and is_the_end(error))

    def _authenticate(self, provider: ProviderInstance, request: LoginRequest) -> SalesforceSession:
        """Call the provider's `authenticate` inside the observers' wrappers, and check what it returns.

        Raises:
            SessionRejectedError: A guard refuses the session.
            AuthenticationError: The plugin raised something else, or returned an invalid session; or what it raised.
        """
        secrets, cause, remedy = secret_texts(provider.instance), None, "Report this to the plugin's authors."
        what, failure = "", None
        try:
            session = provider.hooks.authenticate(request)
        except InvalidSessionError as error:
            raise_interruption(error)
            what = f"returned an invalid session: {'; '.join(error.problems)}."
        except KineticAuthError as error:
            raise_interruption(error)
            redact_chain(error, secrets)
            failure = with_place(error, self.spec.rows)
            if failure is error:
                raise
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            raise_interruption(error)
            cause = redacted_cause(error, secrets)
            what = f"raised {describe(cause)}"
        else:
            if isinstance(session, SalesforceSession) and session.access_token:
                self._check(session, secrets)
                return _with_end(session)
            if isinstance(session, SalesforceSession):
                what = "returned an invalid session: it has no access_token."
            else:
                what = f"returned {type(session).__name__} instead of a SalesforceSession."
                remedy += " If it is yours, end its authenticate() with: return kinetic.SalesforceSession(...)"
        if failure is not None:
            raise failure  # outside of the except block, so that it is not chained to its other self
        spec = self.spec
        label = f"{spec.provider!r} ({spec.distribution})" if spec.distribution else repr(spec.provider)
        around = (
            f", or an observer around it ({', '.join(provider.hooks.wrappers)})," if provider.hooks.wrappers else ""
        )
        raise AuthenticationError(
            f"the plugin {label}{around} {what}", remedy=remedy, provider=spec.provider
        ) from cause

    def _check(self, session: SalesforceSession, secrets: list[str]) -> None:
        """Check that a session is one that the deployment wants.

        Raises:
            SessionRejectedError: A guard refuses it.
        """
        if refusal := self.spec.guards.refusal(session):
            raise SessionRejectedError(
                mask(f"{self.spec.label} succeeded, and its session is refused: {refusal.what}", secrets),
                remedy=refusal.remedy,
                provider=self.spec.provider,
                host=self.spec.host,
                username=session.username or self.spec.displayed("username"),
            )

    def _event(
        self,
        provider: ProviderInstance | None,
        session: SalesforceSession | None,
        tally: LoginTally,
        began: float,
        reason: Reason,
    ) -> LoginEvent:
        username = session.username if session else None
        if not username and provider is not None:
            try:
                username = getattr(provider.instance, "username", None)
            except Exception as error:  # noqa: BLE001 - a plugin's property
                raise_interruption(error)
        return LoginEvent(
            provider=self.spec.provider,
            distribution=self.spec.distribution,
            environment=self.spec.environment,
            host=self.spec.host,
            username=username,
            org_id=session.org_id if session else None,
            reason=reason,
            attempts=tally.attempts,
            duration_s=time.monotonic() - began,
            key_fingerprint=tally.key_fingerprint,
            waited_s=tally.waited_s,
        )

    def _note_key_in_use(self, event: LoginEvent) -> None:
        accepted = self._credentials.label(self._credentials.accepted or 0)
        if not accepted:
            return
        in_use = f"{accepted} is in use" + (f", key {event.key_fingerprint[:16]}" if event.key_fingerprint else "")
        if in_use != self._in_use:
            self._in_use = in_use
            logger.info("%s login of %s: %s", event.provider, event.username, in_use)


class _Sent:
    """What was sent since it was made, by the tally of the login that is under way.

    Args:
        instance: The provider's instance.
    """

    def __init__(self, instance: Any) -> None:
        self._sends_by_us = getattr(type(instance), "authenticate", None) is GrantAuthenticator.authenticate
        self._before = attrs.evolve(current_tally())

    @property
    def was_asked(self) -> bool:
        """Whether the provider's own `authenticate` was called."""
        return current_tally().asked > self._before.asked

    def may_have_arrived(self, error: KineticAuthError) -> bool:
        """Whether a login that failed may have reached Salesforce.

        A plugin that sends its own requests is believed where its error says that there was no connection.
        """
        tally, before = current_tally(), self._before
        if self._sends_by_us or tally.attempts > before.attempts:
            return tally.arrived > before.arrived
        if not isinstance(error, AuthenticationError) or isinstance(error, InteractionRequiredError):
            return False
        has_no_connection = isinstance(error, TransportError) and not error.unanswered and error.status is None
        return self.was_asked and not has_no_connection


def _with_end(session: SalesforceSession) -> SalesforceSession:
    """A session that says when its token ends, where the token does and the provider has not said so."""
    times = jwt_times(session.access_token) if session.expires_at is None else None
    if times is None:
        return session
    (issued, expires), now = times, time.time()
    lives_s = [life_s for life_s in (expires - now, expires - (issued or now)) if life_s > 0]
    return attrs.evolve(session, expires_at=now + min(lives_s)) if lives_s else session
