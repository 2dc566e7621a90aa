"""How a login connects: connections shared by their settings, and the deadline of all that a login sends.

The part of the transport that loads no HTTP library.
"""

import contextlib
import math
import time
import weakref
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kinetic_auth_core.concurrency import Lazy
from kinetic_auth_core.events import tallied
from kinetic_auth_core.redaction import secret_boundary

if TYPE_CHECKING:
    from kinetic_auth_core.transport.client import Transport


# A context variable, not a thread's: greenlets share their thread, and each has a context of its own.
# Weak: a signal may keep `__exit__` from resetting it. Then the deadline ends with the frames that hold it.
_current: "ContextVar[weakref.ref[Deadline] | None]" = ContextVar("kinetic_auth_deadline", default=None)


class Deadline:
    """Bounds all that this thread, greenlet or task sends while it is entered.

    An outer deadline that ends earlier still holds. It may be entered several times, one after the other: the time
    begins to run when it is entered first, and goes on between.

    Args:
        seconds: How long; None: no bound.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends_at: float | None = None
        self._outer: Deadline | None = None

    @property
    def has_passed(self) -> bool:
        """Whether it was entered and its time is over."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def __enter__(self) -> None:
        """Bound what is sent from now on."""
        self._outer = _current_deadline()
        if self._seconds is not None and self._ends_at is None:
            self._ends_at = time.monotonic() + self._seconds
        _current.set(weakref.ref(self))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Go back to the deadline around it, if there is one."""
        outer, self._outer = self._outer, None
        _current.set(None if outer is None else weakref.ref(outer))

    def extend(self, seconds: float) -> None:
        """Let it, and those around it, end that many seconds later."""
        if self._ends_at is not None:
            self._ends_at += seconds
        if self._outer is not None:
            self._outer.extend(seconds)

    def ends_at(self) -> float:
        """When it ends, or the one around it if that is earlier: seconds of the monotonic clock; infinite if never."""
        own = math.inf if self._ends_at is None else self._ends_at
        return own if self._outer is None else min(own, self._outer.ends_at())


def _current_deadline() -> Deadline | None:
    current = _current.get()
    return None if current is None else current()


@contextlib.contextmanager
def not_counted() -> Iterator[None]:
    """Do not count the time inside towards this thread's deadlines: a person was asked."""
    began, deadline = time.monotonic(), _current_deadline()
    try:
        yield
    finally:
        if deadline is not None:
            deadline.extend(time.monotonic() - began)


def remaining_s() -> float:
    """Seconds until the deadline, 0 once it has passed; infinite where there is none."""
    deadline = _current_deadline()
    return math.inf if deadline is None else max(deadline.ends_at() - time.monotonic(), 0.0)


def bounded_timeout_s(timeout_s: float | None) -> float | None:
    """A timeout in seconds (None: endless), shortened to what remains until the deadline.

    Raises:
        TimeoutError: The deadline has passed.
    """
    remaining = remaining_s()
    if not remaining:
        raise TimeoutError("the deadline has passed")
    if timeout_s is None:
        return None if remaining == math.inf else remaining
    return min(timeout_s, remaining)


#: How providers connect that have no settings for it.
DEFAULT_CONNECTION = {"connect_timeout": 5.0, "read_timeout": 30.0, "deadline": 60.0}
#: How many are kept: each holds connections, and tenants may each have a proxy of their own.
MOST = 64


class Transports:
    """One transport for each combination of time-outs, proxy and CA bundle, opened at first use; `MOST` at a time."""

    def __init__(self) -> None:
        self._by_connection: dict[tuple[tuple[str, Any], ...], Lazy[Transport]] = {}

    def get(self, **connection: Any) -> "Transport":
        """The transport for these arguments of `Transport`."""
        from kinetic_auth_core.transport.client import Transport

        lazy = self._by_connection.setdefault(tuple(sorted(connection.items())), Lazy())  # atomic
        while len(connections := list(self._by_connection)) > MOST:  # the oldest goes; a thread that uses it can go on
            if (oldest := self._by_connection.pop(connections[0], None)) and (transport := oldest.take()):
                transport.close()
        return lazy.get(lambda: Transport(**connection))

    def close(self) -> None:
        """Close the connections. The next use opens new ones."""
        for lazy in list(self._by_connection.values()):
            if transport := lazy.take():
                transport.close()


@secret_boundary
def http_get(url: str, headers: Mapping[str, str], *, deadline_s: float = 10.0) -> tuple[int, bytes]:
    """Ask a service for a secret, once, with the same care as a login: for key loaders.

    Bounded in time and size; https, or http on the loopback interface; no redirect is followed, `~/.netrc` is not
    read, no cookie is kept. Proxies and CA certificates are those of the environment. The request does not count as a
    try of the login during which it is sent.

    Args:
        url: Of the resource, with its query.
        headers: To send; their values are secrets and in no message.
        deadline_s: Seconds for the whole request; an earlier deadline of the login holds as well.

    Returns:
        The HTTP status, and the body.

    Raises:
        TransportError: No usable answer, or a redirect.
        ConfigurationError: The URL is plain http, or the CA certificates of the environment cannot be used.
    """
    from kinetic_auth_core.transport.client import TokenRequest, Transport

    transport = Transport(connect_timeout=min(deadline_s, 5.0), read_timeout=deadline_s, deadline=deadline_s)
    try:
        with tallied():
            response = transport.get(url, TokenRequest(headers))
    finally:
        transport.close()
    return response.status, response.body
