"""The faults and rejections that a test has injected, in their order."""

from __future__ import annotations

import fnmatch
import threading
from typing import Generic, TypeVar

import attrs

from kinetic_auth_core.testing.emulator.error_rows import OAuthError
from kinetic_auth_core.testing.emulator.faults import Fault, Stage

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path

Ordered = TypeVar("Ordered")


@attrs.define(eq=False)
class _Order(Generic[Ordered]):
    what: Ordered
    path: str
    left: int | None


class FaultPlan:
    """The pending faults and rejections. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[_Order[Fault]] = []
        self._refusals: list[_Order[tuple[str, str, int]]] = []

    def add(self, fault: Fault, times: int | None, path: str) -> None:
        """Add a fault.

        Args:
            fault: The fault.
            times: How many requests; None for all until `clear`.
            path: Which requests: a path, or a pattern of `fnmatch`.

        Raises:
            ValueError: `times` is less than 1.
        """
        _check_times(times)
        with self._lock:
            self._orders.append(_Order(fault, path, times))

    def refuse(self, error: str, description: str, status: int, times: int | None) -> None:
        """Add a rejection of token requests.

        Args:
            error: The error code.
            description: The text that goes with it.
            status: The HTTP status code.
            times: How many requests; None for all until `clear`.

        Raises:
            ValueError: `times` is less than 1.
        """
        _check_times(times)
        with self._lock:
            self._refusals.append(_Order((error, description, status), TOKEN_PATH, times))

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._orders.clear()
            self._refusals.clear()

    def take(self, stage: Stage, path: str | None = None) -> Fault | None:
        """The fault that applies now, or None.

        Args:
            stage: The stage of a request or connection.
            path: The path of the request; None while it is not known.
        """
        if not self._orders:
            return None
        with self._lock:
            for order in self._orders:
                if order.what.stage == stage and (path is None or fnmatch.fnmatchcase(path, order.path)):
                    _count_down(self._orders, order)
                    return order.what
        return None

    def take_refusal(self) -> OAuthError | None:
        """The rejection for the current token request, or None."""
        with self._lock:
            for refusal in self._refusals:
                _count_down(self._refusals, refusal)
                return OAuthError(*refusal.what)
        return None


def _check_times(times: int | None) -> None:
    if times is not None and times < 1:
        raise ValueError("times is a number of requests, 1 or more, or None for all")


def _count_down(plan: list[_Order[Ordered]], entry: _Order[Ordered]) -> None:
    if entry.left is not None:
        entry.left -= 1
        if entry.left == 0:
            plan.remove(entry)
