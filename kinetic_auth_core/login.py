"""One login: references to values, values to a provider's instance, its hook to a session, and the observers told.

Whether a login is needed at all, and who shares its session, is the source's affair.
"""

import logging
import threading
import time
from typing import Any

import attrs

from kinetic_auth_core.budget import LoginBudget
from kinetic_auth_core.catalogue import Blames, blamed_by
from kinetic_auth_core.commons import Commons
from kinetic_auth_core.credentials import Credentials, Values
from kinetic_auth_core.errors import (
    AuthenticationError,
    CredentialsRejectedError,
    KeyLoadError,
    KineticAuthError,
    SessionRejectedError,
    mask,
    safe_cause,
    told,
)
from kinetic_auth_core.events import LoginEvent, LoginTally, tallied
from kinetic_auth_core.forking import reset_after_fork
from kinetic_auth_core.grant import GrantAuthenticator
from kinetic_auth_core.hookspecs import LoginHooks
from kinetic_auth_core.lockout import Credential, HeldBackError, LockoutGuard
from kinetic_auth_core.observers import load_observers
from kinetic_auth_core.once import Once
from kinetic_auth_core.plan import Plan, make_instance
from kinetic_auth_core.schema import secret_texts
from kinetic_auth_core.secrets import SecretLoader
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings import ExplainedSetting
from kinetic_auth_core.trial import Trial

logger = logging.getLogger(__name__)

#: While the guard holds a credential back, its secrets are not fetched anew more often than this.
_FRESH_PAUSE_S = 5.0


@attrs.frozen
class _Made:
    """An instance, the values that it was made from, its hooks, and who tries it first."""

    values: Values
    instance: Any
    hooks: LoginHooks
    trial: Trial = attrs.field(factory=Trial)
    credential: Credential = attrs.field(
        init=False, default=attrs.Factory(lambda self: Credential(self.instance), takes_self=True)
    )


class Logins:
    """Makes logins by one plan. An instance is kept while its values stay the same, so a key is prepared once.

    Args:
        plan: What to log in with.
        guard: Stops a credential that was refused just now.
        budget: Stops too many logins.
        commons: What it may share with other sources.
    """

    def __init__(self, plan: Plan, guard: LockoutGuard, budget: LoginBudget, commons: Commons) -> None:
        self.plan = plan
        self._guard = guard
        self._budget = budget
        self._commons = commons
        self._fetched_anew: dict[int, float] = {}
        self._guards = plan.guards
        self._credentials = Credentials(plan.values, SecretLoader(plan.lookup, plan.allowed), plan.binary)
        self._observers: Once[list[tuple[str, object]]] = commons.observers
        self._made: dict[int, _Made] = {}
        self._in_use = ""
        self._lock = threading.Lock()
        reset_after_fork(self)

    def login(self) -> SalesforceSession:
        """Log in, now, and tell the observers.

        Raises:
            KineticAuthError: It failed.
        """
        began = time.monotonic()
        last: list[_Made] = []  # the instance that was tried last
        with tallied() as tally:
            try:
                session = self._in_turn(last)
            except KineticAuthError as error:
                logger.warning("%s", error)
                hooks = last[0].hooks if last else LoginHooks(None, self._observers.get(self._load_observers))
                event = self._event(last[0] if last else None, None, tally, began)
                hooks.authentication_failed(self.plan.provider, error, event)
                raise
        event = self._event(last[0], session, tally, began)
        self._note_key_in_use(event)
        logger.info(
            "%s login of %s: org %s at %s, %.3f s, %d request(s)",
            *(event.plugin, event.username, event.org_id, session.instance_url, event.duration_s, event.attempts),
        )
        last[0].hooks.session_issued(self.plan.provider, session, event)
        return session

    def rows(self) -> tuple[ExplainedSetting, ...]:
        """The plan's rows; a list of keys says which of them was accepted last."""
        return tuple(
            attrs.evolve(row, note="; ".join(filter(None, (self._in_use, row.note))))
            if row.name in self._credentials.lists
            else row
            for row in self.plan.rows
        )

    def instance(self) -> Any:
        """The provider's instance, as the next login would use it.

        Raises:
            KeyLoadError: A reference cannot be resolved.
        """
        number = self._credentials.order()[0]
        return self._instance(number, self._credentials.load(number)).instance

    def close(self) -> None:
        """Give the provider's connections back, if it has a `close`."""
        for made in list(self._made.values()):
            _close_quietly(made.instance)

    def _event(
        self, made: _Made | None, session: SalesforceSession | None, tally: LoginTally, began: float
    ) -> LoginEvent:
        instance = made.instance if made else None
        return LoginEvent(
            plugin=self.plan.provider,
            distribution=self.plan.distribution,
            host=self.plan.host,
            username=(session.username if session else None) or getattr(instance, "username", None),
            org_id=session.org_id if session else None,
            attempts=tally.attempts,
            duration_s=time.monotonic() - began,
            key_fingerprint=tally.key_fingerprint,
            waited_s=tally.waited_s,
        )

    def _call(self, made: _Made) -> SalesforceSession:
        cause: BaseException | None = None
        try:
            session = made.hooks.authenticate()
            what = f"gave {type(session).__name__} instead of a SalesforceSession."
        except KineticAuthError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            session, cause = None, safe_cause(error, secret_texts(made.instance))
            what = f"raised {told(cause)}"
        if isinstance(session, SalesforceSession):
            self._check(session, made.instance)
            return session
        around = f", or an observer around it ({', '.join(made.hooks.wrappers)})," if made.hooks.wrappers else ""
        raise AuthenticationError(
            f"the plugin {self._called()}{around} {what}", remedy="Ask its authors.", provider=self.plan.provider
        ) from cause

    def _check(self, session: SalesforceSession, instance: Any) -> None:
        """See that a session is one that the deployment wants.

        Raises:
            SessionRejectedError: A guard refuses it.
        """
        if refusal := self._guards.refusal(session):
            raise SessionRejectedError(
                mask(
                    f"{self.plan.called} succeeded, and its session is refused: {refusal.what}", secret_texts(instance)
                ),
                remedy=refusal.remedy,
                provider=self.plan.provider,
                host=self.plan.host,
                username=session.username or self.plan.shown("username"),
            )

    def _called(self) -> str:
        return (
            f"{self.plan.provider!r} ({self.plan.distribution})" if self.plan.distribution else repr(self.plan.provider)
        )

    def _in_turn(self, last: list[_Made]) -> SalesforceSession:
        """Offer one set of credentials after the other, as long as it is the key that is refused or cannot be had.

        Raises:
            KineticAuthError: No set was accepted; the error is that of the first.
        """
        first: KineticAuthError | None = None
        for number in self._credentials.order():
            if first is not None:
                logger.warning("%s Trying %s.", first.message, self._credentials.called(number))
            try:
                session = self._with_set(number, last)
            except KineticAuthError as error:
                first = first or error
                if not _is_about_the_key(error):
                    break
            else:
                self._credentials.accepted = number
                return session
        assert first is not None  # noqa: S101 - there is at least one set
        raise first

    def _with_set(self, number: int, last: list[_Made]) -> SalesforceSession:
        """Log in with one set; where it is refused as wrong and its secrets have changed since, with the new ones.

        Nothing is offered twice: a wrong password that is repeated locks the user out.
        """
        values = self._credentials.load(number)
        try:
            return self._with(number, values, last)
        except CredentialsRejectedError as error:
            if blamed_by(error.error, error.description) is None:
                raise
            refusal = error
        if isinstance(refusal, HeldBackError) and self._fetched_anew_within(number, _FRESH_PAUSE_S):
            raise refusal
        self._fetched_anew[number] = time.monotonic()
        try:
            anew = self._credentials.load(number, fresh=True)
        except KeyLoadError as error:
            logger.warning("%s Its secrets could not be fetched anew: %s", refusal.message, error)
            raise refusal from refusal.__cause__
        if anew == values:
            raise refusal from refusal.__cause__
        logger.warning("%s Its secrets have changed in their place; trying the new ones.", refusal.message)
        return self._with(number, anew, last)

    def _with(self, number: int, values: Values, last: list[_Made]) -> SalesforceSession:
        made = self._instance(number, values)
        last[:] = [made]
        with made.trial:
            self._guard.check(made.credential)
            self._budget.spend()
            try:
                return self._call(made)
            except CredentialsRejectedError as error:
                self._guard.remember(made.credential, error)
                raise

    def _fetched_anew_within(self, number: int, seconds: float) -> bool:
        return time.monotonic() - self._fetched_anew.get(number, -seconds) < seconds

    def _instance(self, number: int, values: Values) -> _Made:
        """The instance for a set of credentials."""
        with self._lock:
            before = self._made.get(number)
            if before is not None and before.values == values:
                return before
            instance = make_instance(self.plan, values)
            if isinstance(instance, GrantAuthenticator) and not self.plan.is_by_hand:
                instance.share(self._commons.transports)
            hooks = LoginHooks(instance, self._observers.get(self._load_observers))
            made = self._made[number] = _Made(values, instance, hooks)
        if before is not None:
            _close_quietly(before.instance)
        return made

    def _note_key_in_use(self, event: LoginEvent) -> None:
        accepted = self._credentials.called(self._credentials.accepted or 0)
        if not accepted:
            return
        in_use = f"{accepted} is in use" + (f", key {event.key_fingerprint[:16]}" if event.key_fingerprint else "")
        if in_use != self._in_use:
            self._in_use = in_use
            logger.info("%s login of %s: %s", event.plugin, event.username, in_use)

    def _load_observers(self) -> list[tuple[str, object]]:
        return load_observers(self.plan.allowed)

    def _after_fork(self) -> None:
        """In the child nobody holds the lock that another thread of the parent held."""
        self._lock = threading.Lock()


def _is_about_the_key(error: KineticAuthError) -> bool:
    """Whether another key may do: this one is refused, or cannot be had."""
    if isinstance(error, CredentialsRejectedError):
        return blamed_by(error.error, error.description) is Blames.KEY
    return isinstance(error, KeyLoadError)


def _close_quietly(instance: Any) -> None:
    """Call a provider's `close`, if it has one. One that raises breaks nothing."""
    close = getattr(instance, "close", None)
    if close is not None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - other people's classes
            logger.warning("close() of %s raised %s", type(instance).__name__, type(error).__name__)
