"""One open store for all sources of a pool whose stores are configured alike, as a pool may have thousands."""

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import attrs

from kinetic_auth_core.concurrency import raise_interruption, reset_after_fork
from kinetic_auth_core.settings.schema import schema
from kinetic_auth_core.stores.base import SessionStore

logger = logging.getLogger(__name__)


class _OpenStore:
    """A store, and the users that have not closed it."""

    def __init__(self, store: SessionStore, configured: Any) -> None:
        self.store = store
        self.configured = configured
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()


class SharedStores:
    """The stores that are open. The last user of one closes it."""

    def __init__(self) -> None:
        self._open: list[_OpenStore] = []
        self._lock = threading.RLock()
        reset_after_fork(self)

    def open(self, user: object, make: Callable[[], SessionStore]) -> SessionStore:
        """A store, which is the one of others where theirs is of the same class and has the same settings.

        Args:
            user: Who uses it until `close`.
            make: Makes it; nothing is sent yet.

        Raises:
            Exception: What `make` raised.
        """
        store = make()
        configured = _configured(store)
        with self._lock:
            unused = [each for each in self._open if not each.users]  # their users were not closed, and are gone
            self._open = [each for each in self._open if each.users]
            alike = (each for each in self._open if configured is not None and each.configured == configured)
            found = next(alike, None) or _OpenStore(store, configured)
            found.users.add(user)
            if found not in self._open:
                self._open.append(found)
        _close(unused)
        return found.store

    def close(self, user: object) -> None:
        """End the use of a store; the next `open` opens one again.

        Args:
            user: Who used it; one that uses none is ignored.
        """
        with self._lock:
            used = [each for each in self._open if user in each.users]
            for each in used:
                each.users.discard(user)
            unused = [each for each in used if not each.users]
            self._open = [each for each in self._open if each not in unused]
        _close(unused)

    def close_all(self) -> None:
        """Close all stores, also those of users that go on: the next call of a store opens its connections again."""
        with self._lock:
            stores, self._open = self._open, []
        _close(stores)

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock = threading.RLock()


def _configured(store: SessionStore) -> tuple[type, list[Any]] | None:
    """What makes two stores alike; None for one whose class does not say what its settings are."""
    cls = type(store)
    return (cls, [each.value_of(store) for each in schema(cls)]) if attrs.has(cls) else None


def _close(unused: list[_OpenStore]) -> None:
    for each in unused:
        try:
            each.store.close()
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            logger.warning("close() of %s raised %s", type(each.store).__name__, type(error).__name__)
