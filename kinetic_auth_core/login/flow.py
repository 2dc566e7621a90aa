"""One login, from the request that says why it is made to the event of how it went; and the budget of logins.

The credentials are offered, and the provider is called, in `login.guarded`. Whether a login is needed at all, and who
shares its session, is decided in `sessions`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.concurrency import notice_fork, raise_interruption, reset_after_fork
from kinetic_auth_core.config.construct import name_places
from kinetic_auth_core.errors import AuthenticationError, KineticAuthError, LoginBudgetError
from kinetic_auth_core.login.credentials import Credentials, references
from kinetic_auth_core.login.guarded import GuardedLogins, ProviderInstance, ProviderInstances
from kinetic_auth_core.login.lockout import LoginGuard
from kinetic_auth_core.login.single_use import States
from kinetic_auth_core.login.spec import LoginSpec, SharedResources
from kinetic_auth_core.login.state import Record
from kinetic_auth_core.registry.hookspecs import LoginEvent, LoginRequest, Reason
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.schema import ExplainedSetting
from kinetic_auth_core.transport.connections import LoginTally, tallied

logger = logging.getLogger(__name__)

WINDOW_S = 3600.0
_WARN_AT = 0.8


class LoginBudget:
    """Counts the logins of one source within the last hour that may have reached Salesforce.

    Args:
        limit: How many there may be.
        label: What messages call the login.
        details: `provider`, `host` and `username`, for errors.
        clocks: Functions that give seconds; an age is the largest by any of them: the monotonic clock stands still
            while a machine sleeps.
    """

    def __init__(
        self,
        limit: int,
        label: str,
        details: Mapping[str, Any],
        clocks: tuple[Callable[[], float], ...] = (time.monotonic, time.time),
    ) -> None:
        self._limit = limit
        self._label = label
        self._details = details
        self._clocks = clocks
        self._spent: deque[tuple[float, ...]] = deque()
        self._warned = False
        self._last_failure = ""
        self._lock = threading.RLock()
        reset_after_fork(self)

    def spend(self) -> tuple[float, ...]:
        """Count a login that is about to be made.

        Returns:
            What `failed` takes back.

        Raises:
            LoginBudgetError: There were too many within the last hour; it names the last failure.
        """
        with self._lock:
            now = tuple(clock() for clock in self._clocks)
            while self._spent and self._age(now, self._spent[0]) >= WINDOW_S:
                self._spent.popleft()
            spent = len(self._spent)
            if spent >= self._limit:
                wait = WINDOW_S - self._age(now, self._spent[0])
                error = LoginBudgetError(
                    f"{self._label}: {spent} logins within the last hour are all that login_budget allows; the next "
                    f"one in {wait:.0f} s.{self._last_failure}",
                    remedy="Find out which code discards sessions: share one source, and call invalidate() only with a "
                    "session that was refused. Or raise login_budget; Salesforce stops a user at 3,600 an hour.",
                    **self._details,
                )
                error.retry_after_s = wait
                raise error
            self._spent.append(now)
            was_warned, self._warned = self._warned, spent + 1 >= self._limit * _WARN_AT
            is_first_warning = self._warned and not was_warned
        if is_first_warning:
            logger.warning(
                "%s: %d of %d logins of this hour's login_budget are spent", self._label, spent + 1, self._limit
            )
        return now

    def failed(self, spent: tuple[float, ...], error: KineticAuthError, *, counts: bool) -> None:
        """Note that a login failed.

        Args:
            spent: What `spend` returned.
            error: Its error.
            counts: Whether it may have reached Salesforce; otherwise it is not counted.
        """
        with self._lock:
            self._last_failure = f" The last failure: {error.message}"
            if not counts and spent in self._spent:
                self._spent.remove(spent)

    def spent(self) -> list[float]:
        """The seconds since each login that was counted within the last hour, the oldest first."""
        with self._lock:
            now = tuple(clock() for clock in self._clocks)
            return [age for each in self._spent if (age := self._age(now, each)) < WINDOW_S]

    def is_idle(self) -> bool:
        """Whether no login was counted within the last hour."""
        with self._lock:
            now = tuple(clock() for clock in self._clocks)
            return not self._spent or self._age(now, self._spent[-1]) >= WINDOW_S

    @staticmethod
    def _age(now: tuple[float, ...], then: tuple[float, ...]) -> float:
        return max(new - old for new, old in zip(now, then, strict=True))

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock = threading.RLock()


class LoginFlow:
    """Logs in by one spec.

    Args:
        spec: What to log in with.
        guard: Stops a credential that was refused just now, and a user who has met Salesforce's limit.
        budget: Stops too many logins.
        resources: What it may share with other sources.
        states: Gives what the provider keeps from login to login.
    """

    def __init__(
        self,
        spec: LoginSpec,
        guard: LoginGuard,
        budget: LoginBudget,
        resources: SharedResources,
        states: Callable[[], States],
    ) -> None:
        self.spec = spec
        self._states = states
        self._guard = guard
        self._budget = budget
        self._credentials = Credentials(spec.values, spec.loader, spec.binary, spec.rows)
        self._instances = ProviderInstances(spec, resources)
        self._logins = GuardedLogins(
            spec, self._credentials, self._instances, guard=guard, budget=budget, states=states
        )
        self._host, self._username = spec.host, spec.displayed("username")
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
            host=self._host,
            username=self._username,
            reason=reason,
            rejected=rejected,
            interactive=interactive,
        )
        with tallied() as tally:
            try:
                session = self._logins.session(request, tried, has_live)
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
            "%s: org %s at %s, %.3f s, %d request(s)",
            *(_login_of(event), event.org_id, session.instance_url, event.duration_s, event.attempts),
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
            return self._states().single_use(self.instance()).has_to_wait(has_live=has_live)
        except KineticAuthError as error:  # the login will say so
            logger.debug("cannot tell whether another login is under way: %s", error)
            return False

    def newest_token(self) -> str | None:
        """The token of its own that the provider would present at the next login; None if it keeps none.

        Raises:
            KineticAuthError: The store failed.
        """
        return self._states().newest(self.instance())

    def file_in_clear(self) -> Path | None:
        """The file that holds the token of the provider in clear; None: there is no such file.

        Raises:
            KineticAuthError: The store failed.
        """
        return self._states().file_in_clear(self.instance()) if self.spec.is_single_use else None

    def forget_state(self) -> bool:
        """Delete what the provider has kept.

        Returns:
            Whether there was anything.

        Raises:
            KineticAuthError: The store failed.
        """
        return self._states().forget(self.instance())

    def instance(self) -> Any:
        """The provider's instance, as the next login would use it.

        Raises:
            KeyLoadError: A reference cannot be resolved.
        """
        notice_fork()
        number = self._credentials.order()[0]
        return self._instances.get(number, self._credentials.load(number)).instance

    def known_instance(self) -> ProviderInstance | None:
        """The provider's instance, where no key loader has to be asked for a secret; else None."""
        number = self._credentials.order()[0]
        if not self._credentials.is_local:
            return self._instances.known(number)
        try:
            return self._instances.get(number, self._credentials.load(number))
        except KineticAuthError as error:  # the login will say so
            logger.debug("%s", error)
            return None

    def pauses(self) -> list[tuple[AuthenticationError, float]]:
        """Why no login would be made now, each with the Unix seconds until which; nothing is sent.

        The refusal of a credential is found only where its secrets are known already.
        """
        known = self.known_instance()
        return [] if known is None else self._guard.stops(known.credential)

    def grant_record(self) -> Record | None:
        """What the store has of the secret that the provider can present once; None where that is not known.

        Raises:
            KineticAuthError: The store failed.
        """
        known = self.known_instance() if self.spec.is_single_use else None
        return None if known is None else self._states().record(known.instance)

    def logins(self) -> list[float]:
        """The seconds since each login that was counted within the last hour, the oldest first."""
        return self._budget.spent()

    def close(self) -> None:
        """Close the provider's connections, if it has a `close`."""
        self._instances.close()

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
            host=self._host,
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
            logger.info("%s: %s", _login_of(event), in_use)


def _login_of(event: LoginEvent) -> str:
    """Whose login it was, for the log; not every provider knows its user."""
    return f"{event.provider} login" + (f" of {event.username}" if event.username else "")


def import_modules(spec: LoginSpec, resources: SharedResources) -> None:
    """Import all that a login needs, with the key loaders and the installed observers.

    So no thread, fork or signal meets a module that is half imported.

    Args:
        spec: What to log in with.
        resources: Take in the observers.
    """
    spec.import_modules()
    for _, reference in references(spec.values):
        spec.loader.import_modules(reference)
    resources.observers_of(spec.observers, spec.allowed)
