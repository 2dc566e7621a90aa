"""The provider's instances, as a source uses them: made once for each set of values, and asked for a session.

Each is called inside the observers' wrappers, and what it returns or raises is checked.
"""

import logging
import os
import threading
import time
from typing import Any

import attrs

from kinetic_auth_core.concurrency import raise_interruption, reset_after_fork
from kinetic_auth_core.config.construct import with_place
from kinetic_auth_core.errors import AuthenticationError, KineticAuthError, SessionRejectedError
from kinetic_auth_core.events import LoginRequest
from kinetic_auth_core.login.credentials import Values
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.limits import SharedResources
from kinetic_auth_core.login.refusals import Credential
from kinetic_auth_core.login.spec import LoginSpec, make_instance
from kinetic_auth_core.redaction import describe, mask, redact_chain, redacted_cause
from kinetic_auth_core.registry.hookspecs import LoginHooks
from kinetic_auth_core.registry.loading import are_loading
from kinetic_auth_core.session import InvalidSessionError, SalesforceSession, jwt_times
from kinetic_auth_core.settings.schema import secret_texts

logger = logging.getLogger(__name__)


@attrs.define(eq=False, repr=False, match_args=False)
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
        self._guards = spec.guards
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
            failure = with_place(error, self._spec.rows)
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
        spec = self._spec
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
        if refusal := self._guards.refusal(session):
            raise SessionRejectedError(
                mask(f"{self._spec.label} succeeded, and its session is refused: {refusal.what}", secrets),
                remedy=refusal.remedy,
                provider=self._spec.provider,
                host=self._spec.host,
                username=session.username or self._spec.displayed("username"),
            )

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


def _with_end(session: SalesforceSession) -> SalesforceSession:
    """A session that says when its token ends, where the token does and the provider has not said so."""
    times = jwt_times(session.access_token) if session.expires_at is None else None
    if times is None:
        return session
    (issued, expires), now = times, time.time()
    lives_s = [life_s for life_s in (expires - now, expires - (issued or now)) if life_s > 0]
    return attrs.evolve(session, expires_at=now + min(lives_s)) if lives_s else session
