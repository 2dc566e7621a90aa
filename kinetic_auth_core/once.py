"""A value that is made at first use, by one thread, and kept; safe after `fork`."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from kinetic_auth_core.forking import reset_after_fork

T = TypeVar("T")


class Once(Generic[T]):
    """Holds a value that is made once. Others who ask meanwhile wait; if making it fails, the next one tries."""

    __slots__ = ("__weakref__", "_lock", "_maker", "_value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maker: int | None = None
        self._value: T | None = None
        reset_after_fork(self)

    def get(self, make: Callable[[], T]) -> T:
        """The value; made by `make` if there is none yet.

        Raises:
            RuntimeError: `make` leads back here, where it would wait for itself.
        """
        if self._value is None:
            if self._maker == threading.get_ident():
                raise RuntimeError("what is just being made was asked for by that which makes it")
            with self._lock:
                if self._value is None:
                    self._maker = threading.get_ident()
                    try:
                        self._value = make()
                    finally:
                        self._maker = None
                return self._value
        return self._value

    def peek(self) -> T | None:
        """The value, if it was made."""
        return self._value

    def take(self) -> T | None:
        """Give the value away; the next `get` makes another."""
        with self._lock:
            value, self._value = self._value, None
            return value

    def _after_fork(self) -> None:
        """In the child nobody holds the lock that another thread of the parent held."""
        self._lock, self._maker = threading.Lock(), None
