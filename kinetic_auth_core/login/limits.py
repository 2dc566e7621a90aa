"""The login budget, our own limit on the number of logins; and what the sources of a pool share."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from kinetic_auth_core.concurrency import Lazy, reset_after_fork
from kinetic_auth_core.errors import KineticAuthError, LoginBudgetError
from kinetic_auth_core.registry.discovery import AllowedPlugins
from kinetic_auth_core.registry.loading import Named, Observers, are_loading
from kinetic_auth_core.transport.connections import Transports

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
                raise LoginBudgetError(
                    f"{self._label}: {spent} logins within the last hour are all that login_budget allows; the next "
                    f"one in {wait:.0f} s.{self._last_failure}",
                    remedy="Find out which code discards sessions: share one source, and call invalidate() only with a "
                    "session that was refused. Or raise login_budget; Salesforce stops a user at 3,600 an hour.",
                    **self._details,
                )
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


_BUDGETS_KEPT = 10_000


@attrs.frozen(eq=False, repr=False, match_args=False)
class SharedResources:
    """Shared by the sources of a pool; a source that is alone has one of its own.

    Attributes:
        transports: The connections.
    """

    transports: Transports = attrs.field(factory=Transports)
    _observers: Lazy[list[Named]] = attrs.field(factory=Lazy)
    _budgets: dict[str, LoginBudget] = attrs.field(factory=dict)

    def observers_of(self, observers: Observers, allowed: AllowedPlugins) -> list[Named]:
        """All observers, each with its name; loaded at the first call.

        Args:
            observers: Those that do not have to be loaded.
            allowed: The plugins that may be loaded.
        """
        return [] if are_loading() else self._observers.get(lambda: observers.with_installed(allowed))

    def budget(self, key: str, make: Callable[[], LoginBudget]) -> LoginBudget:
        """The login budget of the source with this name in a store; it outlives the source."""
        if len(self._budgets) > _BUDGETS_KEPT:
            for name in [name for name, budget in list(self._budgets.items()) if budget.is_idle()]:
                self._budgets.pop(name, None)
        return self._budgets.setdefault(key, make())
