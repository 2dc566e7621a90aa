"""The deadline of a login or a request: everything that its thread sends inside of it ends by then."""

import math
import threading
import time
from types import TracebackType


class _Current(threading.local):
    ends_at: float | None = None  # seconds, by the monotonic clock


_current = _Current()


class Deadline:
    """Bounds all that this thread sends while it is entered. An outer deadline that ends earlier still holds.

    It may be entered several times, one after the other: the time begins to run when it is entered first, and goes on
    between.

    Args:
        seconds: How long; None: no bound.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends_at: float | None = None
        self._outer: float | None = None

    @property
    def has_passed(self) -> bool:
        """Whether it was entered and its time is over."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def __enter__(self) -> None:
        """Bound what this thread sends from now on."""
        self._outer = _current.ends_at
        if self._seconds is None:
            return
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._seconds
        _current.ends_at = self._ends_at if self._outer is None else min(self._ends_at, self._outer)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Go back to the deadline around it, if there is one."""
        _current.ends_at = self._outer


def remaining_s() -> float:
    """Seconds until this thread's deadline, 0 once it has passed; infinite where there is none."""
    return math.inf if _current.ends_at is None else max(_current.ends_at - time.monotonic(), 0.0)


def bounded_timeout_s(timeout_s: float | None) -> float | None:
    """A timeout in seconds (None: endless), shortened to what remains until this thread's deadline.

    Raises:
        TimeoutError: The deadline has passed.
    """
    remaining = remaining_s()
    if not remaining:
        raise TimeoutError("the deadline has passed")
    if timeout_s is None:
        return None if remaining == math.inf else remaining
    return min(timeout_s, remaining)
