"""A source's entry in its store: the session, how old it is, its form there, the lease to log in, and outages."""

import enum
import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar

import attrs

from kinetic_auth_core.concurrency import reset_after_fork
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.locations import instance_url_problem
from kinetic_auth_core.redaction import describe, mask, redacted_cause
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.schema import secret_texts
from kinetic_auth_core.stores.allowed_hosts import Guards
from kinetic_auth_core.stores.base import SessionStore, StoredValue
from kinetic_auth_core.stores.memory import MemoryStore

logger = logging.getLogger(__name__)
T = TypeVar("T")


#: The part of the lifetime after which one caller refreshes in the background, before jitter.
ADVISORY_FROM = 0.75
#: The refreshes of a fleet that started together spread over this part of the lifetime.
JITTER = 0.1


class Freshness(enum.Enum):
    """How old a session is, compared with its lifetime."""

    FRESH = "fresh"  #: to be used
    STALE = "stale"  #: to be used, and to be refreshed in the background
    EXPIRED = "expired"  #: not to be used


@attrs.frozen
class CachedSession:
    """A session, and when it becomes stale and expires, by the monotonic clock and by the wall clock.

    The monotonic clock stands still while a function is frozen or a laptop sleeps; the wall clock can be set back. The
    one that is further decides.

    Attributes:
        session: The session.
        born_at: When the login was made: Unix seconds.
        stale_monotonic: When it becomes stale, in seconds of the monotonic clock; the next three accordingly.
        stale_wall: See there; Unix seconds.
        expired_monotonic: See there.
        expired_wall: See there.
    """

    session: SalesforceSession
    born_at: float
    stale_monotonic: float
    stale_wall: float
    expired_monotonic: float
    expired_wall: float

    @classmethod
    def of(cls, session: SalesforceSession, lifetime_s: float, *, born_at: float | None = None) -> Self:
        """A session that was logged in just now, or at `born_at` by another process.

        Args:
            session: The session.
            lifetime_s: Its assumed lifetime, in seconds.
            born_at: Unix seconds.
        """
        now, monotonic = time.time(), time.monotonic()
        born = now if born_at is None else min(born_at, now)  # another machine's clock may be ahead
        jitter = random.uniform(0, JITTER)  # noqa: S311 - spreads load, hides nothing
        expired_in = born + lifetime_s - now
        stale_in = expired_in - (1 - ADVISORY_FROM - jitter) * lifetime_s
        return cls(session, born, monotonic + stale_in, now + stale_in, monotonic + expired_in, now + expired_in)

    def freshness(self, at: tuple[float, float] | None = None) -> Freshness:
        """How old it is, compared with its lifetime.

        Args:
            at: When: seconds of the monotonic and of the wall clock; None: now.
        """
        monotonic, now = at or (time.monotonic(), time.time())
        if monotonic < self.stale_monotonic and now < self.stale_wall:
            return Freshness.FRESH
        return Freshness.STALE if monotonic < self.expired_monotonic and now < self.expired_wall else Freshness.EXPIRED


_FORM = 1
_MAX_LENGTH = 100_000
_AUTHORIZATION = re.compile(r"[A-Za-z][A-Za-z0-9._~+/-]* [!-~]+")  # what a header's value may be


def encoded(session: SalesforceSession, born_at: float) -> StoredValue:
    """A session for the store, in a record that does not show it; a subclass's own fields stay behind.

    Args:
        session: The session.
        born_at: When it was, in Unix seconds.
    """
    fields = {attribute.name: getattr(session, attribute.name) for attribute in attrs.fields(SalesforceSession)}
    return StoredValue(json.dumps({"form": _FORM, "born_at": born_at, **fields}, default=str).encode(), 1)


def decoded(raw: bytes) -> tuple[SalesforceSession, float] | str:
    """A session and when it was born; or what keeps it from being one, without a word of what is there.

    Args:
        raw: What a store gave.
    """
    if len(raw) > _MAX_LENGTH:
        return "too long"
    try:
        fields: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(fields, dict) or fields.pop("form", None) != _FORM:
        return "another form"
    born_at = fields.pop("born_at", None)
    if not isinstance(born_at, int | float) or isinstance(born_at, bool):
        return "no date"
    known = {attribute.name for attribute in attrs.fields(SalesforceSession)}
    texts = {name: text for name, text in fields.items() if name in known and isinstance(text, str)}
    if not {"access_token", "instance_url", "id", "issued_at"} <= texts.keys():
        return "fields are missing"
    if not _AUTHORIZATION.fullmatch(f"{texts.get('token_type', 'Bearer')} {texts['access_token']}"):
        return "no token"
    if problem := instance_url_problem(texts["instance_url"]):
        return f"its instance_url {problem}"
    try:
        return SalesforceSession(**texts), float(born_at)
    except OverflowError:
        return "no date"
    except KineticAuthError:
        return "its API version is not valid"


#: How far another machine's clock may be ahead.
_SKEW_S = 300.0
_TRIES = 3


@attrs.frozen
class Lease:
    """The right to log in while all others wait.

    Attributes:
        store: Where it was taken.
        holder: By whom.
    """

    store: SessionStore = attrs.field(repr=False)
    holder: str


class SessionCache:
    """One source's session, lease and refusals in a store.

    Args:
        key: Under which they are kept; not readable.
        store: The store, which it does not close; or what makes one at first use; None: this process's memory alone.
        lifetime_s: The assumed lifetime of a session, in seconds.
        api_version: For the sessions that come from the store; None: as they were stored.
        guards: What such a session must be like; None: any will do.
        refusals: Where this process keeps refusals, beside the store; None: in a memory of its own.

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
        key: str,
        store: SessionStore | Callable[[], SessionStore] | None,
        lifetime_s: float,
        api_version: str | None,
        *,
        guards: Guards | None = None,
        refusals: MemoryStore | None = None,
    ) -> None:
        self.key = key
        self._own = MemoryStore()
        self._own_refusals = refusals or MemoryStore()
        self._place = store
        self._store: SessionStore | None = None
        self._lifetime_s = lifetime_s
        self._api_version = api_version
        self._guards = guards
        self._left_alone_until = 0.0
        self._has_answered = False
        self._lock = threading.Lock()
        reset_after_fork(self)

    @property
    def is_down(self) -> bool:
        """Whether the store has failed, and not answered since."""
        return bool(self._left_alone_until)

    def read(self) -> CachedSession | None:
        """The stored session; None if there is none, or an invalid one."""

        def get(store: SessionStore) -> CachedSession | None:
            found = store.get(self.key)
            return self._cached(found) if found else None

        return self._ask("get", get)

    def write(self, cached: CachedSession) -> None:
        """Store a session, unless a younger one has been stored meanwhile."""
        stored = encoded(cached.session, cached.born_at)
        expires_in_s = cached.born_at + self._lifetime_s - time.time()
        if expires_in_s <= 0:
            return

        def put(store: SessionStore) -> None:
            for _ in range(2):
                before = store.get(self.key)
                there = self._cached(before) if before else None
                if there is not None and there.born_at > cached.born_at:
                    return
                generation = before.generation if before else 0
                if store.put(self.key, stored.value, expires_in_s=expires_in_s, generation=generation) is not None:
                    return
            store.put(self.key, stored.value, expires_in_s=expires_in_s)  # what is there is unreadable

        self._ask("put", put)

    def forget(self, session: SalesforceSession) -> None:
        """Delete a session, if it is the stored one."""

        def delete(store: SessionStore) -> None:
            found = store.get(self.key)
            cached = self._cached(found) if found else None
            if found and cached and cached.session.access_token == session.access_token:
                store.delete(self.key, generation=found.generation)

        self._ask("delete", delete)

    def acquire(self, holder: str) -> "Lease | None":
        """Take the lease, for `lease_s` seconds; None if another process has it."""

        def acquire(store: SessionStore) -> Lease | None:
            has_it = store.acquire(self.key, holder, expires_in_s=self.lease_s)
            return Lease(store, holder) if has_it else None

        return self._ask("acquire", acquire)

    def release(self, lease: "Lease") -> None:
        """Give the lease back where it was taken: a store that cannot keep a session may still let go of a lease."""
        try:
            lease.store.release(self.key, lease.holder)
        except Exception as error:  # noqa: BLE001 - as in _ask; the lease ends by itself
            self._note_outage("release", _why(error, lease.store))

    def read_refusals(self) -> list[bytes]:
        """What `write_refusals` kept, in the store and in this process: one of them may be out of reach later."""
        name = f"{self.key}.refused"

        def get(store: SessionStore) -> bytes:
            found = store.get(name)
            return found.value if found else b""

        return [get(self._own_refusals), self._ask("get", get)]

    def write_refusals(self, change: Callable[[bytes], bytes], expires_in_s: float) -> None:
        """Keep the refusals of credentials.

        Args:
            change: Makes the new value of the one that is there, or of nothing.
            expires_in_s: How long it is kept, in seconds.
        """
        name = f"{self.key}.refused"

        def write(store: SessionStore) -> None:
            for _ in range(_TRIES):
                found = store.get(name)
                value, generation = (found.value, found.generation) if found else (b"", 0)
                if store.put(name, change(value), expires_in_s=expires_in_s, generation=generation) is not None:
                    return
            store.put(name, change(b""), expires_in_s=expires_in_s)

        write(self._own_refusals)
        self._ask("put", write)

    def close(self) -> None:
        """Give the store's connections back; the next use opens new ones."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None and not isinstance(self._place, SessionStore):  # its maker closes one that was passed in
            try:
                store.close()
            except Exception as error:  # noqa: BLE001 - a plugin's class
                logger.warning("close() of %s raised %s", type(store).__name__, type(error).__name__)

    def _ask(self, operation: str, ask: Callable[[SessionStore], T]) -> T:
        """Ask the store; while it is down, this process's memory."""
        if self._place is None or time.monotonic() < self._left_alone_until:
            return ask(self._own)
        store = None
        try:
            store = self._opened(self._place)
            began = time.monotonic()
            answer = ask(store)
        except Exception as error:
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

    def _opened(self, place: SessionStore | Callable[[], SessionStore]) -> SessionStore:
        with self._lock:
            if self._store is None:
                self._store = place if isinstance(place, SessionStore) else place()
            return self._store

    def _note_outage(self, operation: str, why: str) -> None:
        if not self._left_alone_until:
            logger.warning(
                "the session store failed (%s); this process goes on with its own memory, and every process logs in "
                "for itself until the store answers: %s",
                *(operation, why),
            )
        self._left_alone_until = time.monotonic() + self.outage_pause_s

    def _cached(self, found: StoredValue) -> CachedSession | None:
        outcome = decoded(found.value)
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
        if self._api_version:
            session = attrs.evolve(session, api_version=self._api_version)
        return CachedSession.of(session, self._lifetime_s, born_at=born_at)

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock = threading.Lock()


def _why(error: Exception, store: SessionStore | None) -> str:
    """What a store raised, without the store's secrets."""
    secrets = secret_texts(store) if attrs.has(type(store)) else ()
    if isinstance(error, KineticAuthError):
        return mask(str(error), secrets)
    return describe(redacted_cause(error, secrets))
