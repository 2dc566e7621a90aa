"""One login, from a plan to a session, and the observers told of it.

Whether a login is needed at all, and who shares its session, is the source's affair; which credentials are offered, the
turns'.
"""

import contextlib
import logging
import time
from typing import Any

import attrs

from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.events import LoginEvent, LoginTally, tallied
from kinetic_auth_core.login.credentials import Credentials, SecretLoader
from kinetic_auth_core.login.instances import Instances, Made
from kinetic_auth_core.login.limits import Commons, LockoutGuard, LoginBudget
from kinetic_auth_core.login.spec import Plan
from kinetic_auth_core.login.turns import Turns
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.schema import ExplainedSetting

logger = logging.getLogger(__name__)


class Logins:
    """Makes logins by one plan.

    Args:
        plan: What to log in with.
        guard: Stops a credential that was refused just now.
        budget: Stops too many logins.
        commons: What it may share with other sources.
    """

    def __init__(self, plan: Plan, guard: LockoutGuard, budget: LoginBudget, commons: Commons) -> None:
        self.plan = plan
        self._credentials = Credentials(plan.values, SecretLoader(plan.lookup, plan.allowed), plan.binary, plan.rows)
        self._instances = Instances(plan, commons)
        self._turns = Turns(plan, self._credentials, self._instances, guard, budget)
        self._in_use = ""

    def login(self) -> SalesforceSession:
        """Log in, now, and tell the observers.

        Raises:
            KineticAuthError: It failed.
        """
        began = time.monotonic()
        tried: list[Made] = []
        with tallied() as tally:
            try:
                session = self._turns.take(tried)
            except KineticAuthError as error:
                logger.warning("%s", error)
                hooks = tried[-1].hooks if tried else self._instances.hooks(None)
                event = self._event(tried[-1] if tried else None, None, tally, began)
                hooks.authentication_failed(self.plan.provider, error, event)
                raise
        event = self._event(tried[-1], session, tally, began)
        self._note_key_in_use(event)
        logger.info(
            "%s login of %s: org %s at %s, %.3f s, %d request(s)",
            *(event.plugin, event.username, event.org_id, session.instance_url, event.duration_s, event.attempts),
        )
        tried[-1].hooks.session_issued(self.plan.provider, session, event)
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
        return self._instances.get(number, self._credentials.load(number)).instance

    def close(self) -> None:
        """Give the provider's connections back, if it has a `close`."""
        self._instances.close()

    def _event(
        self, made: Made | None, session: SalesforceSession | None, tally: LoginTally, began: float
    ) -> LoginEvent:
        username = session.username if session else None
        if not username and made is not None:
            with contextlib.suppress(Exception):  # other people's property
                username = getattr(made.instance, "username", None)
        return LoginEvent(
            plugin=self.plan.provider,
            distribution=self.plan.distribution,
            host=self.plan.host,
            username=username,
            org_id=session.org_id if session else None,
            attempts=tally.attempts,
            duration_s=time.monotonic() - began,
            key_fingerprint=tally.key_fingerprint,
            waited_s=tally.waited_s,
        )

    def _note_key_in_use(self, event: LoginEvent) -> None:
        accepted = self._credentials.called(self._credentials.accepted or 0)
        if not accepted:
            return
        in_use = f"{accepted} is in use" + (f", key {event.key_fingerprint[:16]}" if event.key_fingerprint else "")
        if in_use != self._in_use:
            self._in_use = in_use
            logger.info("%s login of %s: %s", event.plugin, event.username, in_use)
