"""A brake on the number of logins, long before Salesforce's own: 3,600 for each user and hour."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from kinetic_auth_core.concurrency import reset_after_fork
from kinetic_auth_core.errors import LoginBudgetError

WINDOW_S = 3600.0
_WARN_AT = 0.8

logger = logging.getLogger(__name__)


class LoginBudget:
    """Counts the logins of one source within the last hour.

    Args:
        limit: How many there may be.
        called: What messages call the login.
        details: `provider`, `host` and `username`, for errors.
        clocks: Functions that give seconds; an age is the largest by any of them: the monotonic clock stands still
            while a machine sleeps.
    """

    def __init__(
        self,
        limit: int,
        called: str,
        details: Mapping[str, Any],
        clocks: tuple[Callable[[], float], ...] = (time.monotonic, time.time),
    ) -> None:
        self._limit = limit
        self._called = called
        self._details = details
        self._clocks = clocks
        self._spent: deque[tuple[float, ...]] = deque()
        self._warned = False
        self._lock = threading.Lock()
        reset_after_fork(self)

    def spend(self) -> None:
        """Count a login that is about to be made.

        Raises:
            LoginBudgetError: There were too many within the last hour.
        """
        with self._lock:
            now = tuple(clock() for clock in self._clocks)
            while self._spent and self._age(now, self._spent[0]) >= WINDOW_S:
                self._spent.popleft()
            spent = len(self._spent)
            if spent >= self._limit:
                wait = WINDOW_S - self._age(now, self._spent[0])
                raise LoginBudgetError(
                    f"{self._called}: {spent} logins within the last hour are all that login_budget allows; the next "
                    f"one in {wait:.0f} s.",
                    remedy="Find out who throws sessions away: share one source, and call invalidate() only with a "
                    "session that was refused. Or raise login_budget; Salesforce stops a user at 3,600 an hour.",
                    **self._details,
                )
            self._spent.append(now)
            was_warned, self._warned = self._warned, spent + 1 >= self._limit * _WARN_AT
        if self._warned and not was_warned:
            logger.warning(
                "%s: %d of %d logins of this hour's login_budget are spent", self._called, spent + 1, self._limit
            )

    def is_idle(self) -> bool:
        """Whether no login was counted within the last hour."""
        with self._lock:
            now = tuple(clock() for clock in self._clocks)
            return not self._spent or self._age(now, self._spent[-1]) >= WINDOW_S

    @staticmethod
    def _age(now: tuple[float, ...], then: tuple[float, ...]) -> float:
        return max(new - old for new, old in zip(now, then, strict=True))

    def _after_fork(self) -> None:
        """In the child nobody holds the lock that another thread of the parent held."""
        self._lock = threading.Lock()
