"""Keeps values for a time; one caller reads while others wait; the last good value serves during an outage.

Values stay in this process's memory.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import attrs

from kinetic_auth_core.plugins import reset_after_fork
from kinetic_auth_secret_manager.problems import Problem

#: Age in seconds at which a value is read again.
DEFAULT_LIFETIME_S = 300.0
#: Seconds between attempts during an outage.
OUTAGE_PAUSE_S = 30.0

#: How many values are kept: each is a secret in memory, and tenants change.
MAX_VALUES = 1000

T = TypeVar("T")
Clocks = tuple[Callable[[], float], ...]

#: The monotonic clock stands still while a machine sleeps or a function is frozen, the wall clock can be set back.
CLOCKS: Clocks = (time.monotonic, time.time)

logger = logging.getLogger(__name__)


class Nothing:
    """No value was read yet."""


@attrs.define(eq=False)
class _Entry:
    """The value and the last problem of one key. `reads` counts the reads, so that waiting callers see a new one."""

    lock: Any = attrs.field(factory=threading.RLock)  # a signal handler may come here, too
    reads: int = 0
    good: Any = attrs.field(default=Nothing, repr=False)
    read_at: tuple[float, ...] = ()
    tried_at: tuple[float, ...] = ()
    problem: Problem | None = None


class Cache(Generic[T]):
    """Values by key, shared by all threads; safe after `fork`.

    Args:
        clocks: Functions that return seconds; an age is the largest by any of them.
    """

    def __init__(self, clocks: Clocks = CLOCKS) -> None:
        self._clocks = clocks
        self._entries: dict[Hashable, _Entry] = {}
        reset_after_fork(self)

    def get(
        self, key: Hashable, read: Callable[[], T | Problem], *, lifetime_s: float, fresh: bool, label: str
    ) -> T | Problem:
        """The value under a key.

        Args:
            key: Identifies the value.
            read: Reads it from the vault.
            lifetime_s: How old a value may be, in seconds.
            fresh: Read it again in any case. Callers who wait for another's read share its result.
            label: What the log calls it.

        Returns:
            The value; during an outage the last good one, if there is one; else the problem.
        """
        entry = self._entries.setdefault(key, _Entry())  # atomic
        if len(self._entries) > MAX_VALUES:
            for oldest in list(self._entries)[:-MAX_VALUES]:  # callers who wait for one of them still get it
                self._entries.pop(oldest, None)
        reads = entry.reads
        with entry.lock:
            if entry.reads == reads and (fresh or not self._serves(entry, lifetime_s)):
                self._ask(entry, read, label)
            answer: T | Problem = self._answer(entry)
            return answer

    def _serves(self, entry: _Entry, lifetime_s: float) -> bool:
        if entry.good is Nothing:
            return False
        if entry.problem is not None:
            return entry.problem.outage and self._age(entry.tried_at) < OUTAGE_PAUSE_S
        return self._age(entry.read_at) < lifetime_s

    def _ask(self, entry: _Entry, read: Callable[[], T | Problem], label: str) -> None:
        answer = read()
        now = tuple(clock() for clock in self._clocks)
        in_outage = entry.problem is not None and entry.problem.outage
        if isinstance(answer, Problem):
            entry.problem, entry.tried_at = answer, now
            if answer.outage and not in_outage and entry.good is not Nothing:
                age = self._age(entry.read_at)
                logger.warning(
                    "%s: %s; the value read %.0f s ago is still used. %s", label, answer.what, age, answer.remedy
                )
        else:
            entry.good, entry.read_at, entry.problem = answer, now, None
            if in_outage:
                logger.info("%s: the vault responds again", label)
        entry.reads += 1

    @staticmethod
    def _answer(entry: _Entry) -> Any:
        """The value, or the problem. Only an outage is bridged, not a rejection."""
        if entry.problem is None or (entry.problem.outage and entry.good is not Nothing):
            return entry.good
        return entry.problem

    def _age(self, since: tuple[float, ...]) -> float:
        return max(clock() - then for clock, then in zip(self._clocks, since, strict=True))

    def _after_fork(self) -> None:
        """In the child no thread of the parent is reading."""
        for entry in self._entries.values():
            entry.lock = threading.RLock()
