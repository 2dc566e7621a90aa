"""Sessions in the memory of this process: the default store."""

import functools
import itertools
import os
import threading
import time
from typing import Any

import attrs

from kinetic_auth_core.concurrency import reset_after_fork
from kinetic_auth_core.stores.base import SessionStore, StoredValue

_SWEEP_EVERY = 64  # puts


@functools.cache
def process_key() -> bytes:
    """A random key of this process and its children."""
    return os.urandom(32)


@functools.cache
def process_notes() -> "MemoryStore":
    """What this process and its children keep of refused logins, for all sources."""
    return MemoryStore()


@attrs.frozen(eq=False, repr=False, match_args=False)
class _Entry:
    stored: StoredValue
    expires_at: float


@attrs.frozen(eq=False, repr=False, match_args=False)
class _Lease:
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
