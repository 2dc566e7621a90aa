"""An object that a child of `fork` must not share with its parent, such as a client with open connections."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from kinetic_auth_core.plugins import reset_after_fork

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Holds an object; the child of a `fork` makes its own.

    Args:
        make: Makes the object.
    """

    __slots__ = ("__weakref__", "_lock", "_make", "_value")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._value: T | None = None
        reset_after_fork(self)

    def get(self) -> T:
        """This process's object."""
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._value = None
