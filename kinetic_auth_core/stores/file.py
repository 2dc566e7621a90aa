"""Sessions in a folder of this user: for cron jobs and commands that start anew each time, on one machine.

Processes exclude each other by locks on 16 files that are made once and stay: whoever removed one would have to know
that nobody waits for it. A key's lock is chosen by its hash and is held for the length of one small file operation.

A file holds a value under a line that tells whether it is whole, or a lease.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.paths import expanded
from kinetic_auth_core.settings.schema import setting
from kinetic_auth_core.stores.base import SessionStore, StoredValue
from kinetic_auth_core.stores.private_folder import UNFINISHED, PrivateFolder

logger = logging.getLogger(__name__)


_FORM = 1
_DIGEST_LENGTH = 64


class DamagedEntryError(ValueError):
    """What is there is no whole entry. Its text says nothing of the content."""


@attrs.frozen
class Entry:
    """A value as it lies in a file.

    Attributes:
        value: The value.
        generation: Its generation.
        expires_at: Unix seconds after which it counts as gone.
    """

    value: bytes = attrs.field(repr=False)
    generation: int
    expires_at: float

    def encoded(self) -> bytes:
        """The content of its file."""
        about = {"form": _FORM, "generation": self.generation, "expires_at": self.expires_at}
        rest = json.dumps(about).encode() + b"\n" + self.value
        return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest

    @classmethod
    def decoded(cls, content: bytes) -> "Entry":
        """Read a file's content.

        Raises:
            DamagedEntryError: It is cut short or changed, or of another form.
        """
        digest, rest = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH + 1 :]
        if hashlib.sha256(rest).hexdigest().encode() != digest:
            raise DamagedEntryError("it is cut short or was changed")
        line, _, value = rest.partition(b"\n")
        about = _table(line)
        if about.get("form") != _FORM:
            raise DamagedEntryError("it has another form")
        generation, expires_at = about.get("generation"), about.get("expires_at")
        if type(generation) is not int or generation < 0 or not isinstance(expires_at, int | float):
            raise DamagedEntryError("it has another form")
        return cls(value, generation, expires_at)


@attrs.frozen
class Lease:
    """Who may log in, as it lies in a file.

    Attributes:
        holder: Who.
        expires_at: Unix seconds after which anybody may have it.
        lasts_s: For how long it was taken, in seconds.
    """

    holder: str
    expires_at: float
    lasts_s: float

    def is_held(self, now: float) -> bool:
        """Whether it still holds; one whose end is too far away is from before the clock was set back."""
        return 0 < self.expires_at - now <= self.lasts_s + 1

    def encoded(self) -> bytes:
        """The content of its file."""
        return json.dumps(attrs.asdict(self)).encode()

    @classmethod
    def decoded(cls, content: bytes) -> "Lease | None":
        """Read a file's content; None for one that is damaged: it holds nobody up."""
        try:
            found = _table(content)
            return cls(str(found["holder"]), float(found["expires_at"]), float(found["lasts_s"]))
        except (DamagedEntryError, KeyError, TypeError, ValueError, OverflowError):
            return None


def _table(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DamagedEntryError("it has another form")
    return found


#: How long an operation waits for another process that is at the same key, in seconds.
LOCK_TIMEOUT_S = 5.0
#: How often the folder is rid of what has expired, and how old a file is that nobody will finish, in seconds.
SWEEP_EVERY_S, ABANDONED_AFTER_S = 600.0, 60.0
_POLL_S = 0.005
_KEY = re.compile(r"[A-Za-z0-9._-]{1,100}")
_VALUE, _LEASE, _SWEPT = ".session", ".lease", "swept"


def default_folder() -> Path:
    """Where sessions are kept if no path is given: `kinetic-auth/sessions` in the user's state folder.

    Raises:
        KineticAuthError: This user has no home folder.
    """
    import platformdirs

    with contextlib.suppress(RuntimeError):
        found = platformdirs.user_state_path("kinetic-auth", appauthor=False) / "sessions"
        if found.is_absolute():
            return found
    raise KineticAuthError("This user has no home folder to keep sessions in.", remedy="Give the store a path.")


def _shown_default(_instance: object) -> str | None:
    with contextlib.suppress(KineticAuthError):
        return str(default_folder())
    return None


def _absolute(path: Any) -> Any:
    """A path that stays the same when the process changes its folder; what is no path stays as it is, to be refused."""
    if not path or not isinstance(path, str | os.PathLike):
        return path
    return str(expanded(path).absolute())


def _check_path(_instance: object, _attribute: object, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise ConfigurationError("is empty, or no path")


@attrs.define(eq=False)
class FileStore(SessionStore):
    """Keeps each value in a file, readable by this user alone. Safe for threads, processes and after `fork`.

    The folder is made at first use, mode 0700. One that belongs to another user, or that group or others can read or
    write, is refused. It should be on a local disk: locks on network file systems are a matter of luck.

    Args:
        path: The folder. Left out: `kinetic-auth/sessions` in the user's state folder.
    """

    path: str | os.PathLike[str] | None = setting(
        None,
        help="Folder for the sessions, of this user alone; left out: in the user's state folder.",
        converter=_absolute,
        validator=_check_path,
        derived=_shown_default,
    )

    def get(self, key: str) -> StoredValue | None:
        """What is there; None if there is nothing, it has expired, or it is damaged."""
        folder = self._folder(key)
        if not folder.is_there():
            return None
        if (content := folder.read(key + _VALUE)) is None:
            return None
        try:
            entry = Entry.decoded(content)
            if time.time() < entry.expires_at:
                return StoredValue(entry.value, entry.generation)
        except DamagedEntryError as error:
            logger.warning("an entry of the session store in %s is passed over: %s", folder.path, error)
        with contextlib.suppress(OSError, KineticAuthError), _locked(folder, key, timeout_s=0):
            if folder.read(key + _VALUE) == content:  # nobody has put another one there meanwhile
                folder.remove(key + _VALUE)
        return None

    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        """Store a value; see `SessionStore.put`.

        Raises:
            KineticAuthError: The folder is not this user's alone, or another process is at the key for too long.
            OSError: The disk is full, or the folder cannot be written; what was there before is still there.
        """
        folder = self._folder(key)
        folder.make()
        with _locked(folder, key):
            there = _entry(folder, key)
            if generation is not None and generation != (there.generation if there else 0):
                return None
            # By the clock, so that a generation does not come again after what was there is gone.
            following = max(time.time_ns(), there.generation + 1 if there else 0)
            folder.write(key + _VALUE, Entry(bytes(value), following, time.time() + expires_in_s).encoded())
        _sweep_now_and_then(folder)
        return following

    def delete(self, key: str, *, generation: int | None = None) -> bool:
        """Take a value away; see `SessionStore.delete`."""
        folder = self._folder(key)
        if not folder.is_there():
            return False
        with _locked(folder, key):
            there = _entry(folder, key)
            if there is None or (generation is not None and generation != there.generation):
                return False
            return folder.remove(key + _VALUE)

    def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
        """Take the lease of a key; see `SessionStore.acquire`. It ends by the clock of the machine."""
        folder = self._folder(key)
        folder.make()
        with _locked(folder, key):
            now = time.time()
            lease = Lease.decoded(folder.read(key + _LEASE) or b"")
            if lease is not None and lease.holder != holder and lease.is_held(now):
                return False
            folder.write(key + _LEASE, Lease(holder, now + expires_in_s, expires_in_s).encoded())
            return True

    def release(self, key: str, holder: str) -> None:
        """Give the lease back, if `holder` still has it."""
        folder = self._folder(key)
        if not folder.is_there():
            return
        with _locked(folder, key):
            lease = Lease.decoded(folder.read(key + _LEASE) or b"")
            if lease is not None and lease.holder == holder:
                folder.remove(key + _LEASE)

    def _folder(self, key: str) -> PrivateFolder:
        """The folder, once the key is seen to be a file's name and nothing else.

        Raises:
            ValueError: The key is none.
        """
        if not _KEY.fullmatch(key):
            raise ValueError("a key has 1 to 100 characters out of A-Z a-z 0-9 . _ -")
        return PrivateFolder(default_folder() if self.path is None else Path(self.path))


@contextlib.contextmanager
def _locked(folder: PrivateFolder, key: str, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Exclude all other threads and processes from a key.

    Raises:
        KineticAuthError: Another one is at it for too long.
    """
    import filelock

    name = f"{hashlib.sha256(key.encode()).hexdigest()[0]}.lock"
    # One instance for each operation: filelock's own are reentrant, and would let the threads that share one through.
    lock = filelock.FileLock(folder.path / name, timeout=timeout_s, mode=0o600)
    try:
        lock.acquire(poll_interval=_POLL_S)
    except filelock.Timeout:
        raise KineticAuthError(
            f"The session store's folder {folder.path} was locked by another process for {timeout_s:.0f} s."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _entry(folder: PrivateFolder, key: str) -> Entry | None:
    """What counts as being there, under the lock."""
    content = folder.read(key + _VALUE)
    try:
        entry = None if content is None else Entry.decoded(content)
    except DamagedEntryError:
        return None
    return entry if entry is not None and time.time() < entry.expires_at else None


def _sweep_now_and_then(folder: PrivateFolder) -> None:
    """Rid the folder of what has expired or was never finished. Who cannot, leaves it to the next one."""
    age_s = folder.age_s(_SWEPT)
    if age_s is not None and 0 <= age_s < SWEEP_EVERY_S:
        return
    with contextlib.suppress(OSError):
        folder.write(_SWEPT, b"")
        for name in folder.names():
            if name.endswith(UNFINISHED):
                if (folder.age_s(name) or 0) > ABANDONED_AFTER_S:
                    folder.remove(name)
            elif (key := name.removesuffix(_VALUE)) != name or (key := name.removesuffix(_LEASE)) != name:
                with contextlib.suppress(KineticAuthError), _locked(folder, key, timeout_s=0):
                    if _is_over(folder, name):
                        folder.remove(name)


def _is_over(folder: PrivateFolder, name: str) -> bool:
    content = folder.read(name) or b""
    if name.endswith(_LEASE):
        lease = Lease.decoded(content)
        return lease is None or not lease.is_held(time.time())
    try:
        return Entry.decoded(content).expires_at <= time.time()
    except DamagedEntryError:
        return True
