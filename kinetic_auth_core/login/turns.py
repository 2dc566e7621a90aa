"""The credentials of one login, in their turn: the next one only where the key is at fault, and none of them twice.

A set of credentials that is refused as wrong is fetched anew once, as it may have been changed in its vault. The guard
and the budget are asked before anything is sent.
"""

import contextlib
import logging
import time
from collections.abc import Iterator

from kinetic_auth_core.errors import CredentialsRejectedError, KeyLoadError, KineticAuthError
from kinetic_auth_core.login.attempt import attempt
from kinetic_auth_core.login.credentials import Credentials, Values
from kinetic_auth_core.login.instances import Instances, Made
from kinetic_auth_core.login.limits import HeldBackError, LockoutGuard, LoginBudget
from kinetic_auth_core.login.spec import Plan
from kinetic_auth_core.oauth.error_codes import Blames, blamed_by
from kinetic_auth_core.session import SalesforceSession

logger = logging.getLogger(__name__)

#: While the guard holds a credential back, its secrets are not fetched anew more often than this.
_FRESH_PAUSE_S = 5.0


class Turns:
    """Offers a plan's credentials, one set after the other.

    Args:
        plan: What to log in with.
        credentials: Its sets.
        instances: Makes the provider's instance for a set.
        guard: Stops a credential that was refused just now.
        budget: Stops too many logins.
    """

    def __init__(
        self, plan: Plan, credentials: Credentials, instances: Instances, guard: LockoutGuard, budget: LoginBudget
    ) -> None:
        self._plan = plan
        self._credentials = credentials
        self._instances = instances
        self._guard = guard
        self._budget = budget
        self._fetched_anew: dict[int, float] = {}

    def take(self, tried: list[Made]) -> SalesforceSession:
        """Offer one set after the other, as long as it is the key that is refused or cannot be had.

        Args:
            tried: Takes in each instance as it is tried.

        Raises:
            KineticAuthError: No set was accepted; the error is that of the first.
        """
        first: KineticAuthError | None = None
        clock = _Clock(self._plan.deadline_s)
        for number in self._credentials.order():
            if first is not None:
                if clock.is_over():
                    break
                logger.warning("%s Trying %s.", first.message, self._credentials.called(number))
            try:
                session = self._with_set(number, tried, clock)
            except KineticAuthError as error:
                first = first or error
                if not _is_about_the_key(error):
                    break
            else:
                self._credentials.accepted = number
                return session
        assert first is not None  # noqa: S101 - there is at least one set
        raise first

    def _with_set(self, number: int, tried: list[Made], clock: "_Clock") -> SalesforceSession:
        """Log in with one set; where it is refused as wrong and its secrets have changed since, with the new ones.

        Nothing is offered twice: a wrong password that is repeated locks the user out.
        """
        values = self._credentials.load(number)
        try:
            return self._with(number, values, tried, clock)
        except CredentialsRejectedError as error:
            if blamed_by(error.error, error.description) is None:
                raise
            refusal = error
        if clock.is_over():
            raise refusal from refusal.__cause__
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
        return self._with(number, anew, tried, clock)

    def _with(self, number: int, values: Values, tried: list[Made], clock: "_Clock") -> SalesforceSession:
        made = self._instances.get(number, values)
        tried.append(made)
        with made.trial:
            self._guard.check(made.credential)
            self._budget.spend()
            try:
                with clock.bounds():
                    return attempt(self._plan, made)
            except CredentialsRejectedError as error:
                self._guard.remember(made.credential, error)
                raise

    def _fetched_anew_within(self, number: int, seconds: float) -> bool:
        return time.monotonic() - self._fetched_anew.get(number, -seconds) < seconds


class _Clock:
    """The deadline of one login, whatever it offers one after the other. It begins when the first is sent.

    Args:
        deadline_s: Seconds; None: the provider has none.
    """

    def __init__(self, deadline_s: float | None) -> None:
        self._deadline_s = deadline_s
        self._ends_at: float | None = None

    def is_over(self) -> bool:
        """Whether no time is left to offer another one."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    @contextlib.contextmanager
    def bounds(self) -> Iterator[None]:
        """Inside, what is sent ends with the deadline."""
        if self._deadline_s is None:
            yield
            return
        from kinetic_auth_core.transport import limits  # brings urllib3

        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._deadline_s
        with limits.deadline(max(self._ends_at - time.monotonic(), 0.0)):
            yield


def _is_about_the_key(error: KineticAuthError) -> bool:
    """Whether another key may do: this one is refused, or cannot be had."""
    if isinstance(error, CredentialsRejectedError):
        return blamed_by(error.error, error.description) is Blames.KEY
    return isinstance(error, KeyLoadError)
