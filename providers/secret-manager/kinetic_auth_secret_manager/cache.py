"""What was read is kept for a time; one caller reads while others wait; the last good value bridges an outage.

What is kept stays in this process's memory: it is written nowhere.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import attrs

from kinetic_auth_core.plugins import reset_after_fork
from kinetic_auth_secret_manager.problems import Problem

#: How long a value serves before the vault is asked again.
DEFAULT_LIFETIME_S = 300.0
#: How long the last good value serves in an outage before the vault is tried again.
OUTAGE_PAUSE_S = 30.0

#: How many values are kept: each is a secret in memory, and tenants come and go.
MOST = 1000

T = TypeVar("T")
Clocks = tuple[Callable[[], float], ...]

#: The monotonic clock stands still while a machine sleeps or a function is frozen, the wall clock can be set back.
CLOCKS: Clocks = (time.monotonic, time.time)

logger = logging.getLogger(__name__)


class Nothing:
    """No value was read yet."""


@attrs.define(eq=False)
class _Entry:
    """What is known under one key. `flights` counts the answers, so that who waited for one knows that it came."""

    lock: threading.Lock = attrs.field(factory=threading.Lock)
    flights: int = 0
    good: Any = attrs.field(default=Nothing, repr=False)
    read_at: tuple[float, ...] = ()
    tried_at: tuple[float, ...] = ()
    problem: Problem | None = None


class Cache(Generic[T]):
    """Values by key, shared by all threads; safe after `fork`.

    Args:
        clocks: Functions that give seconds; an age is the largest by any of them.
    """

    def __init__(self, clocks: Clocks = CLOCKS) -> None:
        self._clocks = clocks
        self._entries: dict[Hashable, _Entry] = {}
        reset_after_fork(self)

    def get(
        self, key: Hashable, read: Callable[[], T | Problem], *, lifetime_s: float, fresh: bool, called: str
    ) -> T | Problem:
        """The value under a key.

        Args:
            key: What is read, and from where.
            read: Asks the vault.
            lifetime_s: How old a value may be, in seconds.
            fresh: Ask the vault even so. Whoever waits while another caller asks, shares that answer.
            called: What the log calls it.

        Returns:
            The value; in an outage the last good one, if there is any, else what is wrong.
        """
        entry = self._entries.setdefault(key, _Entry())  # atomic
        if len(self._entries) > MOST:
            for oldest in list(self._entries)[:-MOST]:  # whoever waits for one of them gets it all the same
                self._entries.pop(oldest, None)
        flights = entry.flights
        with entry.lock:
            if entry.flights == flights and (fresh or not self._serves(entry, lifetime_s)):
                self._ask(entry, read, called)
            answer: T | Problem = self._answer(entry)
            return answer

    def _serves(self, entry: _Entry, lifetime_s: float) -> bool:
        if entry.good is Nothing:
            return False
        if entry.problem is not None:
            return entry.problem.outage and self._age(entry.tried_at) < OUTAGE_PAUSE_S
        return self._age(entry.read_at) < lifetime_s

    def _ask(self, entry: _Entry, read: Callable[[], T | Problem], called: str) -> None:
        answer = read()
        now = tuple(clock() for clock in self._clocks)
        in_outage = entry.problem is not None and entry.problem.outage
        if isinstance(answer, Problem):
            entry.problem, entry.tried_at = answer, now
            if answer.outage and not in_outage and entry.good is not Nothing:
                age = self._age(entry.read_at)
                logger.warning(
                    "%s: %s; the value read %.0f s ago goes on serving. %s", called, answer.what, age, answer.remedy
                )
        else:
            entry.good, entry.read_at, entry.problem = answer, now, None
            if in_outage:
                logger.info("%s: the vault answers again", called)
        entry.flights += 1

    @staticmethod
    def _answer(entry: _Entry) -> Any:
        """The value, or what is wrong. Only an outage is bridged: who was refused must not go on."""
        if entry.problem is None or (entry.problem.outage and entry.good is not Nothing):
            return entry.good
        return entry.problem

    def _age(self, since: tuple[float, ...]) -> float:
        return max(clock() - then for clock, then in zip(self._clocks, since, strict=True))

    def _after_fork(self) -> None:
        """In the child nobody asks the vault for a thread of the parent."""
        for entry in self._entries.values():
            entry.lock = threading.Lock()
