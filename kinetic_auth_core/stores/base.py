"""The contract of a session store, the default store in this process's memory, and stores that sources share.

The contract: opaque bytes under opaque keys, generations, and a lease with an expiry.

`session_cache` decides what is stored, in which format, and what happens while a store is down.
"""

import abc
import functools
import itertools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import attrs

from kinetic_auth_core.concurrency import raise_interruption, reset_after_fork
from kinetic_auth_core.settings.schema import schema

logger = logging.getLogger(__name__)

#: How the key of a provider's state ends. A damaged one does not count as missing: a token that was spent long ago
#: would be presented in its place, which revokes the grant with all its sessions.
STATE_SUFFIX = ".state"


@attrs.frozen
class StoredValue:
    """The value of a key.

    Attributes:
        value: The bytes that were stored.
        generation: The number of the value under this key, from 1. `put` and `delete` compare it.
    """

    value: bytes = attrs.field(repr=False)
    generation: int


class SessionStore(abc.ABC):
    """Base class of a session store: group `kinetic_auth.session_stores`, an attrs class whose settings are its fields.

    Keys are up to 100 characters out of `A-Z a-z 0-9 . _ -`. Every call returns within a bounded time. A store may
    raise any error if it cannot be reached or is full: the source logs a warning and continues with its own memory. A
    damaged value counts as missing. A constructor does no I/O. `kinetic_auth_core.testing.SessionStoreContract`
    is the test suite of this contract.

    Attributes:
        durable: Whether what `put` has stored is there for good when it returns: it outlives this process, and as far
            as the operator has configured it, a crash. A provider whose token rotates needs such a store. There, a
            damaged value whose key ends in `.state` does not count as missing: `get` raises, or `put` with generation 0
            stores nothing.
    """

    durable: ClassVar[bool] = False

    @abc.abstractmethod
    def get(self, key: str) -> StoredValue | None:
        """The value of a key; None if there is none, or it has expired."""

    @abc.abstractmethod
    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        """Store a value, atomically.

        Args:
            key: The key.
            value: The value.
            expires_in_s: Seconds until it expires.
            generation: The generation that it replaces; 0: there must be no value; None: any.

        Returns:
            Its generation; None if the key has another generation, so that nothing was stored.
        """

    @abc.abstractmethod
    def delete(self, key: str, *, generation: int | None = None) -> bool:
        """Delete a value.

        Args:
            key: The key.
            generation: Delete only this generation; None: any.

        Returns:
            Whether a value was deleted.
        """

    @abc.abstractmethod
    def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
        """Acquire the lease of a key. It is independent of the key's value: others may still store one.

        Args:
            key: The key.
            holder: The name of the holder, who may acquire it again to extend it.
            expires_in_s: Seconds until another holder may acquire it.

        Returns:
            Whether `holder` holds it now.
        """

    @abc.abstractmethod
    def release(self, key: str, holder: str) -> None:
        """Release the lease, if `holder` still holds it."""

    @classmethod  # noqa: B027 - a store may need none
    def import_modules(cls) -> None:
        """Import the modules that the store needs at its first use, such as a client library.

        It is called when a source is made, so that no login imports: a fork, another thread or a signal would meet
        modules that are half there.
        """

    def naming_key(self) -> bytes | None:
        """A secret key for the names of sessions, the same for all processes that share them; None: it has none.

        Names are made of what tells users apart, which may be a secret alone. So the key must not be among the data
        that the store keeps: someone who has these could guess at the secrets. Without a key, sources whose secrets
        count share no session.
        """
        return None

    def durability_problems(self) -> Sequence[str]:
        """What in its configuration may lose a value that it has confirmed, as far as it can find out.

        A source of a provider whose token rotates asks once, and warns of each.

        Returns:
            Ends of sentences that begin with "the session store: ".
        """
        return ()

    def key_problems(self) -> Sequence[str]:
        """Why its key looks like another one than what it holds was written with, as far as it can find out.

        `kinetic-auth doctor` asks, and a source does not: a store whose names are made with its key looks empty with
        another one.

        Returns:
            Ends of sentences that begin with "the session store: ".
        """
        return ()

    def close(self) -> None:  # noqa: B027 - a store may have nothing to close
        """Close connections. The next call opens new ones."""

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: its settings may hold a secret, such as the key that encrypts what is stored."""
        raise TypeError(
            f"a {type(self).__name__} may hold secrets and connections and is not pickled; make one in the worker"
        )


_SWEEP_EVERY = 64  # puts


@functools.cache
def process_key() -> bytes:
    """A random key of this process and its children."""
    return os.urandom(32)


@functools.cache
def process_notes() -> "MemoryStore":
    """What this process and its children keep of refused logins, for all sources."""
    return MemoryStore()


def naming_key_of(store: SessionStore) -> bytes | None:
    """The key of a store for the names of sessions; None: it has none.

    Raises:
        TypeError: The store returned something else.
    """
    naming_key: object = store.naming_key()
    if naming_key is None or isinstance(naming_key, bytes):
        return naming_key
    raise TypeError(f"naming_key() of {type(store).__name__} returned {type(naming_key).__name__} instead of bytes")


class _Entry(NamedTuple):
    stored: StoredValue
    expires_at: float


class _Lease(NamedTuple):
    holder: str
    expires_at: float


@attrs.define(eq=False, repr=False, weakref_slot=True)
class MemoryStore(SessionStore):
    """Keeps values in a dictionary. Safe for threads; after `fork` the child has its own copy, without leases."""

    _values: dict[str, _Entry] = attrs.field(init=False, factory=dict)
    _leases: dict[str, _Lease] = attrs.field(init=False, factory=dict)
    _generations: Any = attrs.field(init=False, factory=lambda: itertools.count(1))
    _lock: Any = attrs.field(init=False, factory=threading.RLock)  # a signal handler may use the store, too

    def __attrs_post_init__(self) -> None:
        reset_after_fork(self)

    def get(self, key: str) -> StoredValue | None:
        """The value of a key; None if there is none, or it has expired."""
        with self._lock:
            return self._get(key)

    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        """Store a value; see `SessionStore.put`."""
        with self._lock:
            stored = self._get(key)
            if generation is not None and generation != (stored.generation if stored else 0):
                return None
            following: int = next(self._generations)
            if following % _SWEEP_EVERY == 0:
                self._delete_expired()
            self._values[key] = _Entry(StoredValue(bytes(value), following), time.monotonic() + expires_in_s)
            return following

    def delete(self, key: str, *, generation: int | None = None) -> bool:
        """Delete a value; see `SessionStore.delete`."""
        with self._lock:
            stored = self._get(key)
            if stored is None or (generation is not None and generation != stored.generation):
                return False
            self._values.pop(key, None)
            return True

    def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
        """Acquire the lease of a key; see `SessionStore.acquire`."""
        with self._lock:
            now = time.monotonic()
            lease = self._leases.get(key)
            if lease is not None and lease.holder != holder and now < lease.expires_at:
                return False
            self._leases[key] = _Lease(holder, now + expires_in_s)
            return True

    def release(self, key: str, holder: str) -> None:
        """Release the lease, if `holder` still holds it."""
        with self._lock:
            if (lease := self._leases.get(key)) is not None and lease.holder == holder:
                self._leases.pop(key, None)

    def naming_key(self) -> bytes:
        """A key of this process."""
        return process_key()

    def _get(self, key: str) -> StoredValue | None:
        entry = self._values.get(key)
        return entry.stored if entry is not None and time.monotonic() < entry.expires_at else None

    def _delete_expired(self) -> None:
        """Keep a store of many keys from growing without limit."""
        now = time.monotonic()
        for key in [key for key, entry in list(self._values.items()) if entry.expires_at <= now]:
            self._values.pop(key, None)

    def _after_fork(self) -> None:
        """In the child, the threads that held the lock or a lease do not exist."""
        self._lock = threading.RLock()
        self._leases.clear()


class _OpenStore:
    """A store, and the users that have not closed it."""

    def __init__(self, store: SessionStore, configured: Any) -> None:
        self.store = store
        self.configured = configured
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()


class SharedStores:
    """One open store for all sources of a pool whose stores are configured alike; the last user of one closes it."""

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
