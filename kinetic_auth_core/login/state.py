"""What a provider keeps from login to login, such as a rotated refresh token: its name and its record in the store.

The record is apart from the session: neither an upgrade nor a changed scope nor a new client secret changes its name,
and it is kept for 400 days after its last change. Who may present a secret that can be used once is decided in
`login.single_use`.
"""

import atexit
import hashlib
import hmac
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

import attrs

from kinetic_auth_core.concurrency import pause_runner, raise_interruption, reset_after_fork
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, StoreUnavailableError
from kinetic_auth_core.login.identity import UnwritableError, seed_of, written
from kinetic_auth_core.redaction import describe, mask, redacted_cause
from kinetic_auth_core.registry.hookspecs import checked_state
from kinetic_auth_core.settings.hosts import canonical_login_url
from kinetic_auth_core.settings.schema import secret_texts
from kinetic_auth_core.stores.base import STATE_SUFFIX, MemoryStore, SessionStore

logger = logging.getLogger(__name__)

#: How long a record is kept after its last change, in seconds.
KEPT_S = 400 * 24 * 3600.0
_FORM = 1
_MAX_LENGTH = 100_000


class Mark(NamedTuple):
    """The right to present the secret of a record.

    Attributes:
        login: The id of the login that has it.
        until: Unix seconds until which other logins leave the secret alone.
        tries: 1 for the first time that the secret is presented; 2 for the one retry.
    """

    login: str
    until: float
    tries: int = 1


class Lost(NamedTuple):
    """Why a secret cannot be used any more.

    Attributes:
        error: The `error` of the last answer; None where there was no answer.
        description: Its `error_description`, or None.
    """

    error: str | None = None
    description: str | None = None


@attrs.frozen(repr=False, match_args=False)
class Record:
    """A state as it is in the store.

    Attributes:
        value: The secret; None: nothing has replaced the configured one yet.
        mark: Who presents the secret; None: it is unused.
        lost: Why it cannot be used any more; None: it can.
        generation: The store's number for this record; 0: there is none.
        pid: The process that wrote it, where it is in that process's memory; else None.
    """

    value: str | None = attrs.field(default=None, repr=False)
    mark: Mark | None = None
    lost: Lost | None = None
    generation: int = 0
    pid: int | None = None

    def encoded(self, name: str) -> bytes:
        """The record for the store.

        Args:
            name: Under which it is stored: one that is copied under another name is not taken.
        """
        mark = None if self.mark is None else self.mark._asdict()
        lost = None if self.lost is None else self.lost._asdict()
        fields = {"form": _FORM, "name": name, "value": self.value, "mark": mark, "lost": lost, "pid": self.pid}
        return json.dumps(fields).encode()

    @classmethod
    def decoded(cls, raw: bytes, name: str, generation: int) -> "Record | None":
        """Parse what a store gave; None if it is not a record of this name."""
        try:
            fields: Any = json.loads(raw) if len(raw) <= _MAX_LENGTH else None
            if fields.pop("form") != _FORM or fields.pop("name") != name:
                return None
            mark, lost = (fields.pop(each) for each in ("mark", "lost"))
            found = cls(
                mark=None if mark is None else Mark(str(mark["login"]), float(mark["until"]), int(mark["tries"])),
                lost=None if lost is None else Lost(**lost),
                generation=generation,
                **fields,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise_interruption(error)
            return None
        return found if type(found.value) in {str, type(None)} else None


class StateEntry:
    """The entry of one state in a store. Every failure of the store is a `StoreUnavailableError`.

    Args:
        store: The store.
        name: The name of the entry there.
        label: What messages call the login.
        is_memory: Whether the store is this process's memory: the child of a fork then refuses its parent's record.
        pid: The process that made the source.

    Attributes:
        name: The name of the entry.
        is_memory: See above.
    """

    def __init__(self, store: SessionStore, name: str, label: str, *, is_memory: bool, pid: int) -> None:
        self._store = store
        self.name = f"{name}{STATE_SUFFIX}"
        self._label = label
        self.is_memory = is_memory
        self._pid = pid

    def read(self) -> Record:
        """The record as it is now; an empty one where there is none.

        Raises:
            StoreUnavailableError: The store failed, or what is there cannot be read.
        """
        self._refuse_in_a_child(None)
        try:
            found = self._store.get(self.name)
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            raise self._unavailable(error) from None
        if found is None:
            return Record()
        record = Record.decoded(found.value, self.name, found.generation)
        if record is None:
            raise self._failed("what it holds of this provider's state cannot be read", _UNREADABLE)
        self._refuse_in_a_child(record)
        return record

    def swap(self, before: Record, after: Record) -> Record | None:
        """Replace a record by another one, if it is still the one that is stored.

        Returns:
            The new record with its generation; None if another one is stored.

        Raises:
            StoreUnavailableError: The store failed, or it cannot be found out whether it has the record.
        """
        self._refuse_in_a_child(before)
        after = attrs.evolve(after, pid=os.getpid() if self.is_memory else None)
        raw = after.encoded(self.name)
        if len(raw) > _MAX_LENGTH:
            raise self._failed(f"a state of more than {_MAX_LENGTH} bytes cannot be stored", "Keep less in it.")
        try:
            generation = self._store.put(self.name, raw, expires_in_s=KEPT_S, generation=before.generation)
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            failure = self._unavailable(error)
        else:
            if generation is not None:
                return attrs.evolve(after, generation=generation)
            if before.generation == 0 and self.read().generation == 0:  # something is there that get() does not give
                raise self._failed("what it holds of this provider's state cannot be read", _UNREADABLE)
            return None
        try:  # it may have been stored before the answer was lost
            there = self.read()
        except StoreUnavailableError:
            raise failure from None
        if there.generation != before.generation and there.encoded(self.name) == raw:
            return there
        raise failure

    def warn_of_what_may_be_lost(self) -> None:
        """Warn of what in the store's configuration may lose a record.

        Raises:
            StoreUnavailableError: The store failed.
        """
        try:
            problems = list(self._store.durability_problems())
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            raise self._unavailable(error) from None
        for problem in problems:
            logger.warning("%s: its token may be lost. The session store: %s", self._label, problem)

    def delete(self) -> bool:
        """Delete the record.

        Returns:
            Whether there was one.

        Raises:
            StoreUnavailableError: The store failed.
        """
        try:
            return self._store.delete(self.name)
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            raise self._unavailable(error) from None

    def _refuse_in_a_child(self, record: Record | None) -> None:
        """Refuse what a parent process has in its memory: both would present the same secret.

        Raises:
            StoreUnavailableError: This process is not the one that holds the state.
        """
        if not self.is_memory:
            return
        owner = self._pid if record is None or record.pid is None else record.pid
        if owner != os.getpid():
            raise self._failed(
                "it is the memory of the process that forked this one, and both would use the same token",
                "Name a store that processes share: file, or redis.",
            )

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        return store_unavailable(self._label, error, secret_texts(self._store) if attrs.has(type(self._store)) else ())

    def _failed(self, why: str, remedy: str) -> StoreUnavailableError:
        return store_unavailable(self._label, KineticAuthError(why, remedy=remedy))


def store_unavailable(label: str, error: Exception, secrets: Iterable[str] = ()) -> StoreUnavailableError:
    """The error for a store that failed, without its secrets.

    Args:
        label: What messages call the login.
        error: What the store raised.
        secrets: The store's secrets.
    """
    secrets = list(secrets)
    why = (
        mask(error.message, secrets)
        if isinstance(error, KineticAuthError)
        else describe(redacted_cause(error, secrets))
    )
    remedy = mask(error.remedy, secrets) if isinstance(error, KineticAuthError) else ""
    return StoreUnavailableError(
        f"{label} needs its session store, which cannot be used: {why.removesuffix('.')}.",
        remedy=remedy
        or "Bring the store back: a token that can be used once is sent only while its successor can be kept.",
        retryable=True,
    )


_UNREADABLE = (
    "Give the store the key that it was written with, or none if it was written without. If it is damaged, delete it "
    "(logout --local), and begin with a new token."
)


def state_name(cls: type, instance: Any, provider: str, naming_key: bytes | None) -> str:
    """The name of a provider's state in a store: an HMAC of the provider, login URL, client id and configured seed.

    Args:
        cls: The provider's class.
        instance: Its instance; references are resolved.
        provider: The provider's name.
        naming_key: The store's key for names; None: it has none.

    Raises:
        ConfigurationError: The store has no key, and the seed is secret; or the seed cannot be written down.
    """
    seed = seed_of(cls, instance)
    if naming_key is None and seed.secrets:
        raise ConfigurationError(
            "the session store has no key of its own for names, so it cannot keep what this provider needs.",
            remedy="Give the store a key.",
        )
    login_url = getattr(instance, "login_url", None)
    try:
        who = written(
            {
                "provider": provider,
                "login_url": canonical_login_url(login_url) if isinstance(login_url, str) else None,
                "client_id": getattr(instance, "client_id", None),
                "seed": {**seed.secrets} or seed.username,
            }
        )
    except UnwritableError as error:
        raise ConfigurationError(f"the state of {provider} has no name: a secret setting holds {error}.") from None
    text = json.dumps(who, sort_keys=True)
    return hmac.new(naming_key or b"", text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


class StateWriter:
    """Writes records for good: what the store cannot take now is kept, and written as soon as it can be.

    Args:
        entry: Where.

    Attributes:
        tries_for_s: How long a caller waits for a store that fails, in seconds.
    """

    tries_for_s: ClassVar[float] = 2.0
    _pauses_s: ClassVar[tuple[float, float]] = (0.1, 15.0)

    def __init__(self, entry: StateEntry, label: str) -> None:
        self._entry = entry
        self._label = label
        self._pending: tuple[Record, str] | None = None
        self._lock = threading.RLock()
        reset_after_fork(self)

    def write(self, record: Record, login: str) -> None:
        """Store what a login has to say of the secret that it has presented.

        Args:
            record: The record that follows the login's mark.
            login: The id of the login; a record that has the mark of another one is not overwritten.
        """
        give_up_at, pause_s = time.monotonic() + self.tries_for_s, self._pauses_s[0]
        while True:
            try:
                self._write(record, login)
            except StoreUnavailableError as error:
                if time.monotonic() >= give_up_at:
                    self._keep(record, login, error)
                    return
                pause_runner(pause_s)
                pause_s *= 2
            else:
                return

    def flush(self) -> None:
        """Store what is pending, before the next login.

        Raises:
            StoreUnavailableError: The store still fails.
        """
        with self._lock:
            if self._pending is not None:
                self._write(*self._pending)
                self._pending = None
                logger.info("%s: the session store has the new token now", self._label)

    def _write(self, record: Record, login: str) -> None:
        while True:
            there = self._entry.read()
            is_ours = there.mark is not None and there.mark.login == login
            if not is_ours and there.value == record.value and there.generation:
                return  # an earlier try has arrived
            if not is_ours and there.generation:
                logger.warning("%s: a newer token is stored already; the one of this login is dropped", self._label)
                return
            if self._entry.swap(there, record) is not None:
                return

    def _keep(self, record: Record, login: str, error: StoreUnavailableError) -> None:
        logger.warning("%s Its new token is kept in this process, which goes on trying to store it.", error.message)
        with self._lock:
            self._pending = (record, login)
        atexit.register(self._try_at_exit)
        thread = threading.Thread(target=self._go_on, name="kinetic-auth state", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            logger.warning("%s: no thread could be started; the next login stores the token", self._label)

    def _go_on(self) -> None:
        pause_s = self._pauses_s[0]
        while self._pending is not None:
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, self._pauses_s[1])
            try:
                self.flush()
            except StoreUnavailableError as error:
                logger.debug("%s", error)

    def _try_at_exit(self) -> None:
        """Store what is pending before the process ends, or say what is lost with it."""
        try:
            self.flush()
        except StoreUnavailableError as error:
            logger.error("%s The newest token is lost with this process.", error.message)  # noqa: TRY400 - no traceback

    def _after_fork(self) -> None:
        """In the child: the parent stores what is pending."""
        self._lock = threading.RLock()
        self._pending = None


class OwnState:
    """What this process keeps of a state, whatever its store does.

    Attributes:
        newest: The newest secret.
        unsaved_after: Where the store could not take it, the generation of the record that it was to replace.
    """

    def __init__(self) -> None:
        self.newest: str | None = None
        self.unsaved_after: int | None = None


class OpenState:
    """The state of a provider whose secret may be presented any number of times.

    Where the store fails, it goes on with this process's memory.

    Args:
        find: Finds the entry in the store.
        own: Keeps the newest secret in this process's memory.
    """

    def __init__(self, find: Callable[[], StateEntry], own: OwnState) -> None:
        self._find = find
        self._seen: Record | None = None
        self._own = own

    def get(self) -> str | None:
        """The secret; None if there is none yet."""
        own = self._own
        try:
            entry = self._find()
            self._seen = entry.read()
            if own.newest is not None and own.unsaved_after == self._seen.generation:
                self._seen = entry.swap(self._seen, Record(own.newest)) or entry.read()
        except KineticAuthError as error:
            logger.warning("%s", error)
            return own.newest
        own.unsaved_after = None
        return self._seen.value

    def replace(self, value: str) -> None:
        """Keep another one from now on; a newer one is not overwritten."""
        own = self._own
        own.newest, own.unsaved_after = checked_state(value), None
        try:
            entry = self._find()
            seen = self._seen or entry.read()
            own.unsaved_after = seen.generation
            self._seen = entry.swap(seen, Record(value))
        except KineticAuthError as error:
            logger.warning("%s It is kept in this process's memory.", error.message)
        else:
            own.unsaved_after = None
            if self._seen is None:
                logger.warning("a newer state is stored already; the one of this login is dropped")


#: The states of sources whose store is this process's memory: two of them may begin with the same token.
_of_this_process = MemoryStore()


def memory_of_states() -> MemoryStore:
    """Where the states of sources without a store are: for all of this process, as they may share a token."""
    return _of_this_process


def lost_by(error: BaseException) -> Lost:
    """Why a secret cannot be used any more, as the error of its last login says."""
    return Lost(getattr(error, "error", None), getattr(error, "description", None))
