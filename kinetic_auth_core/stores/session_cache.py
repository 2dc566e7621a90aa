"""A source's entry in its store: the session, the lease to log in, and outages."""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from typing import ClassVar, NamedTuple, Protocol, TypeVar

import attrs

from kinetic_auth_core.concurrency import raise_interruption, reset_after_fork
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.redaction import describe, mask, redact_error, redacted_cause
from kinetic_auth_core.session import CachedSession, SalesforceSession, decoded, encoded
from kinetic_auth_core.settings.hosts import Guards
from kinetic_auth_core.settings.schema import secret_texts
from kinetic_auth_core.stores.base import (
    MemoryStore,
    SessionStore,
    SharedStores,
    StoredValue,
    naming_key_of,
    process_key,
    process_notes,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")


#: How far another machine's clock may be ahead.
_SKEW_S = 300.0
_TRIES = 3


class Lease(NamedTuple):
    """The right to log in while all others wait.

    Attributes:
        store: Where it was taken.
        name: Of which session.
        holder: By whom.
    """

    store: SessionStore
    name: str
    holder: str


class Naming(Protocol):
    """Finds the name of a session."""

    @property
    def is_constant(self) -> bool:
        """Whether the name stays the same."""
        ...

    def name(self, naming_key: bytes | None) -> str | None:
        """The name; None: nobody else may be given the session."""
        ...

    def name_here(self, naming_key: bytes) -> str:
        """A name within this process, for which nothing is fetched."""
        ...


class FixedName:
    """A name that is known.

    Args:
        fixed: The name.
    """

    is_constant: ClassVar[bool] = True

    def __init__(self, fixed: str) -> None:
        self._fixed = fixed

    def name(self, naming_key: bytes | None) -> str | None:  # noqa: ARG002 - as Naming
        """The name."""
        return self._fixed

    def name_here(self, naming_key: bytes) -> str:  # noqa: ARG002 - as Naming
        """The name."""
        return self._fixed


class SessionCache:
    """One source's session, lease and notes on refusals in a store.

    Args:
        naming: Finds the name under which they are kept; or the name.
        store: The store, which it does not close; or what makes one at first use; None: this process's memory alone.
        lifetime_s: The assumed lifetime of a session, in seconds.
        api_version: For the sessions that come from the store; None: as they were stored.
        guards: What such a session must be like; None: any will do.
        username: Whose session it must be, where the session says so; None: anybody's.
        stores: Those that other sources have open: equal ones are one. None: this source is alone.

    Attributes:
        lease_s: Who holds the lease logs in while all others wait. One that dies blocks them no longer than this.
        outage_pause_s: After a failure the store is left alone for this long.
        slow_s: An answer that took longer counts as an outage: every login would wait for several of them.
    """

    lease_s: ClassVar[float] = 15.0
    outage_pause_s: ClassVar[float] = 5.0
    slow_s: ClassVar[float] = 5.0

    def __init__(
        self,
        naming: Naming | str,
        store: SessionStore | Callable[[], SessionStore] | None,
        lifetime_s: float,
        api_version: str | None,
        *,
        guards: Guards | None = None,
        username: str | None = None,
        stores: SharedStores | None = None,
    ) -> None:
        self._naming = FixedName(naming) if isinstance(naming, str) else naming
        self._is_constant = self._naming.is_constant
        self._name: str | None = None
        self._is_shared = True
        self._alone = os.urandom(16).hex()  # the name of a session that is for nobody else
        self._here = self._naming.name_here(process_key())
        self._username = username
        self._own = MemoryStore()
        self._place = store
        self._stores = stores or SharedStores()
        self._store: SessionStore | None = None
        self._lifetime_s = lifetime_s
        self._api_version = api_version
        self._guards = guards
        self._left_alone_until = 0.0
        self._has_answered = False
        self._lock = threading.RLock()
        reset_after_fork(self)

    @property
    def is_down(self) -> bool:
        """Whether the store has failed, and not answered since."""
        return bool(self._left_alone_until)

    @property
    def key(self) -> str:
        """Under which name the session is kept; it tells nothing."""
        return self._name or self.find_name()

    def find_name(self) -> str:
        """Find out under which name they are kept now: what a reference stands for may have changed.

        Where that cannot be found out, they are kept for this source alone.
        """
        if self._name is not None and self._is_constant and not self._left_alone_until:
            return self._name
        name = self._found()
        if name is None and self._is_shared and self._place is not None and not self._left_alone_until:
            logger.warning(
                "the session is kept in this source's memory and not in the session store: what tells its user from "
                "others cannot be written down or fetched, or the store has no key of its own for names"
            )
        self._is_shared = name is not None
        self._name = name or self._alone
        return self._name

    def _found(self) -> str | None:
        place = self._place
        try:
            if place is None:
                return self._here  # nobody else is given it
            if time.monotonic() < self._left_alone_until:
                return self._name if self._is_shared else None
            try:
                naming_key = naming_key_of(self._opened(place))
            except ConfigurationError as error:
                redact_error(error, secret_texts(self._store))
                raise
            except Exception as error:  # noqa: BLE001 - as in _ask
                raise_interruption(error)
                self._note_outage("naming_key", _why(error, self._store))
                return None
            return self._naming.name(naming_key)
        except ConfigurationError:
            raise
        except KineticAuthError as error:  # the login will say so
            logger.debug("whose session it is cannot be found out: %s", error)
            return None

    def read(self) -> CachedSession | None:
        """The stored session; None if there is none, or an invalid one."""
        key = self.key

        def get(store: SessionStore) -> CachedSession | None:
            found = store.get(key)
            return self._cached(found, key) if found else None

        return self._ask("get", get)

    def write(self, cached: CachedSession, dead: Collection[str] = ()) -> CachedSession | None:
        """Store a session, unless a younger one has been stored meanwhile, or its login may have been another user's.

        What a reference stands for may have changed since the name was found: nobody knows which of the two logged in.

        Args:
            cached: The session.
            dead: The tokens of sessions that are replaced, however young they are.

        Returns:
            The younger one that is there: this process was stopped in the middle of its login, others went on without
            it, and its own session may be dead by now. Otherwise None.
        """
        key = self.key
        if not self._is_constant and self.find_name() != key:
            return None
        stored = StoredValue(encoded(cached.session, cached.born_at, key), 1)
        expires_in_s = cached.expired_wall - time.time()

        def put(store: SessionStore) -> CachedSession | None:
            for _ in range(2):
                before = store.get(key)
                there = self._cached(before, key) if before else None
                is_live = there is not None and there.session.access_token not in dead
                if there is not None and is_live and there.born_at > cached.born_at:
                    return there
                if expires_in_s <= 0:
                    return None
                generation = before.generation if before else 0
                if store.put(key, stored.value, expires_in_s=expires_in_s, generation=generation) is not None:
                    return None
            store.put(key, stored.value, expires_in_s=expires_in_s)  # what is there is unreadable
            return None

        return self._ask("put", put)

    def forget(self, session: SalesforceSession) -> None:
        """Delete a session, if it is the stored one."""
        key = self.key

        def delete(store: SessionStore) -> None:
            found = store.get(key)
            cached = self._cached(found, key) if found else None
            if found and cached and cached.session.access_token == session.access_token:
                store.delete(key, generation=found.generation)

        self._ask("delete", delete)

    def acquire(self, holder: str) -> "Lease | None":
        """Take the lease, for `lease_s` seconds; None if another process has it."""
        key = self.key

        def acquire(store: SessionStore) -> Lease | None:
            has_it = store.acquire(key, holder, expires_in_s=self.lease_s)
            return Lease(store, key, holder) if has_it else None

        return self._ask("acquire", acquire)

    def extend(self, lease: "Lease") -> bool:
        """Extend the lease by `lease_s` seconds, where it was taken.

        Returns:
            Whether it is still held; True also where the store has failed.
        """
        try:
            return lease.store.acquire(lease.name, lease.holder, expires_in_s=self.lease_s)
        except Exception as error:  # noqa: BLE001 - as in _ask; the next call may succeed
            raise_interruption(error)
            self._note_outage("acquire", _why(error, lease.store))
            return True

    def release(self, lease: "Lease") -> None:
        """Give the lease back where it was taken: a store that cannot keep a session may still let go of a lease."""
        try:
            lease.store.release(lease.name, lease.holder)
        except Exception as error:  # noqa: BLE001 - as in _ask; the lease ends by itself
            raise_interruption(error)
            self._note_outage("release", _why(error, lease.store))

    def read_notes(self, name_of: Callable[[bytes], str]) -> list[tuple[bytes, bytes]]:
        """What `change_notes` kept, in the store and in this process: one of them may be out of reach later.

        Args:
            name_of: Gives the name under which they are kept, from the naming key of the place.

        Returns:
            The notes of each place, with its naming key.
        """

        def get(store: SessionStore, naming_key: bytes | None) -> list[tuple[bytes, bytes]]:
            found = store.get(_note_name(name_of, naming_key)) if naming_key else None
            return [(naming_key, found.value)] if naming_key and found else []

        _ = self.key
        own = get(process_notes(), process_key())
        return [*own, *self._ask("get", lambda store: get(store, naming_key_of(store)))]

    def change_notes(
        self, name_of: Callable[[bytes], str], change: Callable[[bytes, bytes], bytes], expires_in_s: float
    ) -> None:
        """Change what is kept, in the store and in this process.

        Args:
            name_of: As for `read_notes`.
            change: Makes the new notes, from the naming key of the place and the notes that are there, or nothing.
            expires_in_s: How long they are kept, in seconds.
        """

        def write(store: SessionStore, naming_key: bytes | None) -> None:
            if not naming_key:
                return
            name = _note_name(name_of, naming_key)
            for _ in range(_TRIES):
                found = store.get(name)
                value, generation = (found.value, found.generation) if found else (b"", 0)
                changed = change(naming_key, value)
                if store.put(name, changed, expires_in_s=expires_in_s, generation=generation) is not None:
                    return
            store.put(name, change(naming_key, b""), expires_in_s=expires_in_s)

        _ = self.key
        write(process_notes(), process_key())
        self._ask("put", lambda store: write(store, naming_key_of(store)))

    def acquire_note(self, name_of: Callable[[bytes], str], holder: str) -> "Lease | None":
        """Take the lease of what is kept, for `lease_s` seconds; None if another process has it.

        Args:
            name_of: As for `read_notes`.
            holder: Who takes it.
        """

        def acquire(store: SessionStore) -> Lease | None:
            naming_key = naming_key_of(store)
            if not naming_key:  # nothing is shared there
                return Lease(self._own, holder, holder)
            name = _note_name(name_of, naming_key)
            return Lease(store, name, holder) if store.acquire(name, holder, expires_in_s=self.lease_s) else None

        _ = self.key
        return self._ask("acquire", acquire)

    def close(self) -> None:
        """Give the store's connections back; the next use opens new ones."""
        with self._lock:
            self._store = None
        self._stores.close(self)  # its maker closes one that was passed in

    def _ask(self, operation: str, ask: Callable[[SessionStore], T]) -> T:
        """Ask the store; while it is down, this process's memory."""
        if self._place is None or not self._is_shared or time.monotonic() < self._left_alone_until:
            return ask(self._own)
        store = None
        try:
            store = self._opened(self._place)
            began = time.monotonic()
            answer = ask(store)
        except Exception as error:
            raise_interruption(error)
            if store is None and isinstance(error, ConfigurationError):
                raise  # its settings are wrong: nothing that passes
            self._note_outage(operation, _why(error, store))
            return ask(self._own)
        took_s, is_first, self._has_answered = time.monotonic() - began, not self._has_answered, True
        if took_s > self.slow_s and not is_first:  # the first call imports libraries and opens connections
            self._note_outage(operation, f"it took {took_s:.1f} s")
        elif self._left_alone_until:
            self._left_alone_until = 0.0
            logger.info("the session store answers again")
        return answer

    def opened_store(self) -> SessionStore | None:
        """The store itself, for what is not a session; None: this process's memory.

        Raises:
            Exception: The store could not be opened, for whatever reason.
        """
        return None if self._place is None else self._opened(self._place)

    def _opened(self, place: SessionStore | Callable[[], SessionStore]) -> SessionStore:
        with self._lock:
            if self._store is None:
                self._store = place if isinstance(place, SessionStore) else self._stores.open(self, place)
            return self._store

    def _note_outage(self, operation: str, why: str) -> None:
        if not self._left_alone_until:
            logger.warning(
                "the session store failed (%s); this process goes on with its own memory, and every process logs in "
                "for itself until the store answers: %s",
                *(operation, why),
            )
        self._left_alone_until = time.monotonic() + self.outage_pause_s

    def _cached(self, found: StoredValue, name: str) -> CachedSession | None:
        outcome = decoded(found.value, name)
        if isinstance(outcome, str):
            logger.warning("ignoring an invalid session in the session store (%s)", outcome)
            return None
        session, born_at = outcome
        if born_at > time.time() + _SKEW_S:
            logger.warning("ignoring a stored session with a future timestamp (clock skew?)")
            return None
        if self._guards and (refusal := self._guards.refusal(session)):
            logger.warning("ignoring a stored session that a guard rejects: %s", refusal.what)
            return None
        if self._username and session.username and session.username.casefold() != self._username.casefold():
            logger.warning("ignoring a stored session of another user")
            return None
        if self._api_version and self._api_version != session.api_version:
            session = attrs.evolve(session, api_version=self._api_version)
        return CachedSession.of(session, self._lifetime_s, born_at=born_at)

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock = threading.RLock()


def _note_name(name_of: Callable[[bytes], str], naming_key: bytes) -> str:
    return f"{name_of(naming_key)}.refused"


def _why(error: Exception, store: SessionStore | None) -> str:
    """What a store raised, without the store's secrets."""
    secrets = secret_texts(store) if attrs.has(type(store)) else ()
    if isinstance(error, KineticAuthError):
        return mask(str(error), secrets)
    return describe(redacted_cause(error, secrets))
