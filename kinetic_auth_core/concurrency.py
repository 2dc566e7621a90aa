"""What threads and forks need: values that are made once, and objects that renew themselves in the child of a fork."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Forkable(Protocol):
    """Something that renews itself in the child."""

    def _after_fork(self) -> None: ...


_forkables: "weakref.WeakSet[Forkable]" = weakref.WeakSet()


def reset_after_fork(forkable: Forkable) -> None:
    """Have `_after_fork` called in the child of each `fork`, as long as the object lives."""
    _forkables.add(forkable)


def _reset_all() -> None:
    for forkable in list(_forkables):
        forkable._after_fork()  # noqa: SLF001 - the protocol of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


class Lazy(Generic[T]):
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
                raise RuntimeError("a value was requested by the function that makes it")
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
        """Remove and return the value; the next `get` makes another."""
        with self._lock:
            value, self._value = self._value, None
            return value

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock, self._maker = threading.Lock(), None


Once = Lazy  #: The public name.
