"""Sessions in a folder of this user: for cron jobs and commands on one machine.

Processes exclude each other with locks on 16 files, which are created once and never removed: another process may be
waiting for one. A key's hash selects its lock, which is held for one small file operation.

A file holds either a lease, or a value after a line with its checksum.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import attrs

from kinetic_auth_core.concurrency import Lazy, raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.locations import absolute, expanded
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.settings.fields import setting
from kinetic_auth_core.stores.base import STATE_SUFFIX, SessionStore, StoredValue
from kinetic_auth_core.stores.private_folder import UNFINISHED, LockFile, PrivateFolder
from kinetic_auth_core.stores.sealing import (
    FernetSealer,
    KeyringSealer,
    PlainSealer,
    Sealer,
    has_keyring_key,
    is_in_clear,
    keys_of,
    make_keyring_key,
)

logger = logging.getLogger(__name__)


_FORMAT = 1
_DIGEST_LENGTH = 64


class DamagedEntryError(ValueError):
    """An entry is damaged. The text does not quote its content."""


@attrs.frozen(repr=False, match_args=False)
class Entry:
    """A value in a file.

    Attributes:
        value: The value.
        generation: Its generation.
        expires_at: Unix seconds at which it expires.
    """

    value: bytes = attrs.field(repr=False)
    generation: int
    expires_at: float

    def encoded(self) -> bytes:
        """The content of its file."""
        about = {"form": _FORMAT, "generation": self.generation, "expires_at": self.expires_at}
        rest = json.dumps(about).encode() + b"\n" + self.value
        return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest

    @classmethod
    def decoded(cls, content: bytes) -> "Entry":
        """Parse a file's content.

        Raises:
            DamagedEntryError: It is truncated or changed, or has another format.
        """
        digest, rest = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH + 1 :]
        if hashlib.sha256(rest).hexdigest().encode() != digest:
            raise DamagedEntryError("it is truncated or was changed")
        line, _, value = rest.partition(b"\n")
        about = _table(line)
        if about.get("form") != _FORMAT:
            raise DamagedEntryError("it has another format")
        generation, expires_at = about.get("generation"), about.get("expires_at")
        if type(generation) is not int or generation < 0 or not isinstance(expires_at, int | float):
            raise DamagedEntryError("it has another format")
        return cls(value, generation, expires_at)


class Lease(NamedTuple):
    """A lease in a file: its holder may log in.

    Attributes:
        holder: The name of the holder.
        expires_at: Unix seconds at which it expires.
        lasts_s: Its duration in seconds when it was acquired.
    """

    holder: str
    expires_at: float
    lasts_s: float

    def is_held(self, now: float) -> bool:
        """Whether it is valid; one that expires too late was acquired before the clock was set back."""
        return 0 < self.expires_at - now <= self.lasts_s + 1

    def encoded(self) -> bytes:
        """The content of its file."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def decoded(cls, content: bytes) -> "Lease | None":
        """Parse a file's content; None if it is damaged, so that it does not block a login."""
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
        raise DamagedEntryError("it has another format")
    return found


#: The interval for deleting expired files, and the age of an unfinished file that is abandoned, in seconds.
SWEEP_EVERY_S, ABANDONED_AFTER_S = 600.0, 60.0
_KEY = re.compile(r"[A-Za-z0-9._-]{1,100}")
_NAMING_KEY, _NAMING_KEY_BYTES = "naming", 32
_VALUE, _LEASE, _SWEPT = ".session", ".lease", "swept"


def default_folder() -> Path:
    """The folder if no path is given: `kinetic-auth/sessions` in the user's state folder.

    Raises:
        KineticAuthError: This user has no home folder.
    """
    import platformdirs

    with contextlib.suppress(RuntimeError):
        found = platformdirs.user_state_path("kinetic-auth", appauthor=False) / "sessions"
        if found.is_absolute():
            return found
    raise KineticAuthError("This user has no home folder for the session store.", remedy="Give the store a path.")


def _displayed_default(_instance: object) -> str | None:
    with contextlib.suppress(KineticAuthError):
        return str(default_folder())
    return None


def _absolute(path: Any) -> Any:
    """An absolute path, which does not depend on the working folder; other values are left to the validator."""
    if not path or not isinstance(path, str | os.PathLike):
        return path
    return str(absolute(expanded(path)))


def _check_path(_instance: object, _attribute: object, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise ConfigurationError("is empty, or not a path")


def _check_key(_instance: object, _attribute: object, value: Any) -> None:
    if keys := keys_of(value):
        FernetSealer(keys)


@attrs.define(eq=False)
class FileStore(SessionStore):
    """Keeps each value in a file that only this user can read. Safe for threads, processes and after `fork`.

    The folder is created at first use, with mode 0700. A folder that belongs to another user, or that group or others
    can read or write, is refused. It should be on a local disk: locks on network file systems are unreliable.

    Args:
        path: The folder. Default: `kinetic-auth/sessions` in the user's state folder.
        key: A Fernet key; or a list, of which the first encrypts and all decrypt, so that keys can be rotated. Left
            out: the key that the command has put into the keyring of the system; without one, what is stored is in
            clear, readable by this user.
    """

    durable: ClassVar[bool] = True

    path: str | os.PathLike[str] | None = setting(
        default=None,
        help="Folder for the sessions, private to this user; default: in the user's state folder.",
        converter=_absolute,
        validator=_check_path,
        derived=_displayed_default,
    )
    key: str | Sequence[str] | None = setting(
        default=None,
        help="Fernet key that encrypts what is stored; or a list: the first encrypts, all decrypt.",
        secret=True,
        validator=_check_key,
    )
    _sealer: Lazy[Sealer] = attrs.field(init=False, repr=False, factory=Lazy)
    _has_warned: bool = attrs.field(init=False, repr=False, default=False)

    @classmethod
    def import_modules(cls) -> None:
        """Import the library that knows the user's folders, and that of the keyring if it has the key."""
        import platformdirs

        platformdirs.user_state_path()  # it imports the module of this system
        with contextlib.suppress(KineticAuthError, ImportError):
            if has_keyring_key(default_folder()):
                import keyring.core  # noqa: F401 - as above

    def get(self, key: str) -> StoredValue | None:
        """The value of a key; None if there is none, it has expired, or it is damaged.

        Raises:
            KineticAuthError: The folder is not private; or a provider's state is damaged.
            OSError: It cannot be read.
        """
        folder = self._folder(key)
        if not folder.is_there():
            return None
        if (content := folder.read(key + _VALUE)) is None:
            return None
        try:
            entry = Entry.decoded(content)
            if time.time() < entry.expires_at:
                return self._opened(key, entry)
        except DamagedEntryError as error:
            if key.endswith(STATE_SUFFIX):
                raise _damaged_state(folder, key, error) from None
            logger.warning("ignoring an entry of the session store in %s: %s", folder.path, error)
        try:
            with LockFile(folder, key) as lock:
                lock.acquire(timeout_s=0)
                if folder.read(key + _VALUE) == content:  # it was not replaced meanwhile
                    folder.remove(key + _VALUE)
        except (OSError, KineticAuthError) as error:
            raise_interruption(error)
        return None

    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        """Store a value; see `SessionStore.put`.

        Raises:
            KineticAuthError: The folder is not private, or another process locks the key for too long.
            OSError: The disk is full, or the folder cannot be written; the previous value remains.
        """
        folder = self._folder(key)
        folder.make()
        with LockFile(folder, key) as lock:
            lock.acquire()
            entry = _entry(folder, key)
            if generation is not None and generation != (entry.generation if entry else 0):
                return None
            # By the clock, so that a generation is not repeated after the value was deleted.
            following = max(time.time_ns(), entry.generation + 1 if entry else 0)
            sealed = self._seal().seal(key, bytes(value))
            folder.write(key + _VALUE, Entry(sealed, following, time.time() + expires_in_s).encoded(), durably=True)
        _sweep_if_due(folder)
        return following

    def delete(self, key: str, *, generation: int | None = None) -> bool:
        """Delete a value; see `SessionStore.delete`."""
        folder = self._folder(key)
        if not folder.is_there():
            return False
        with LockFile(folder, key) as lock:
            lock.acquire()
            entry = _entry(folder, key)
            if entry is None and generation is None:
                folder.remove(key + _VALUE)  # it is damaged, or has expired
            if entry is None or (generation is not None and generation != entry.generation):
                return False
            return folder.remove(key + _VALUE)

    def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
        """Acquire the lease of a key; see `SessionStore.acquire`. It expires by the machine's clock."""
        folder = self._folder(key)
        folder.make()
        with LockFile(folder, key) as lock:
            lock.acquire()
            now = time.time()
            lease = Lease.decoded(folder.read(key + _LEASE) or b"")
            if lease is not None and lease.holder != holder and lease.is_held(now):
                return False
            folder.write(key + _LEASE, Lease(holder, now + expires_in_s, expires_in_s).encoded())
            return True

    def release(self, key: str, holder: str) -> None:
        """Release the lease, if `holder` still holds it."""
        folder = self._folder(key)
        if not folder.is_there():
            return
        with LockFile(folder, key) as lock:
            lock.acquire()
            lease = Lease.decoded(folder.read(key + _LEASE) or b"")
            if lease is not None and lease.holder == holder:
                folder.remove(key + _LEASE)

    def naming_key(self) -> bytes:
        """32 random bytes in the folder beside this one, `<path>.key`, made at first use.

        Raises:
            KineticAuthError: That folder is not private, or what is there is not a key.
            OSError: The key can be neither read nor made.
        """
        path = self._path()
        folder = PrivateFolder(path.with_name(f"{path.name}.key"))
        key = folder.read(_NAMING_KEY) if folder.is_there() else None
        if key is None:
            folder.make()
            with LockFile(folder, _NAMING_KEY) as lock:
                lock.acquire()
                key = folder.read(_NAMING_KEY)
                if key is None:
                    key = os.urandom(_NAMING_KEY_BYTES)
                    folder.write(_NAMING_KEY, key, durably=True)
        if len(key) != _NAMING_KEY_BYTES:
            raise KineticAuthError(
                f"{folder.path / _NAMING_KEY} is damaged.",
                remedy="Restore it; or delete it, which loses all that the store holds: begin with a new token where "
                "tokens rotate.",
            )
        return key

    def file_in_clear(self, key: str) -> Path | None:
        """The file of a key, where it would hold its value in clear; None: it is encrypted."""
        path = self._path() / f"{key}{_VALUE}"
        if keys_of(self.key):
            return None
        if not has_keyring_key(self._path()):
            return path
        entry = _entry(self._folder(key), key)  # it may be older than the key
        return path if entry is not None and is_in_clear(entry.value) else None

    def use_keyring(self) -> bool:
        """Have the keyring of the system keep a key for this store, which has no other.

        Returns:
            Whether it does; False if there is no keyring.

        Raises:
            KineticAuthError: The folder of the naming key is not private, or another process does the same.
            OSError: It cannot be written.
        """
        path = self._path()
        if has_keyring_key(path):
            return True
        folder = PrivateFolder(path.with_name(f"{path.name}.key"))
        folder.make()
        with LockFile(folder, _NAMING_KEY) as lock:
            lock.acquire()
            return make_keyring_key(path)

    def _opened(self, key: str, entry: Entry) -> StoredValue | None:
        if not keys_of(self.key) and is_in_clear(entry.value):  # whether or not the keyring has a key
            return StoredValue(entry.value, entry.generation)
        value = self._seal().open(key, entry.value)
        if value is not None:
            return StoredValue(value, entry.generation)
        if not self._has_warned:
            self._has_warned = True
            logger.warning("an entry of the session store in %s cannot be read: it has another key", self._path())
        return None

    def _seal(self) -> Sealer:
        if keys := keys_of(self.key):
            return self._sealer.get(lambda: FernetSealer(keys))
        path = self._path()
        if has_keyring_key(path):  # a command may have made one meanwhile
            return self._sealer.get(lambda: KeyringSealer(path))
        return PlainSealer()

    def _path(self) -> Path:
        return default_folder() if self.path is None else _folder_of(str(self.path)).path

    def _folder(self, key: str) -> PrivateFolder:
        """The folder, after the key was checked to be a plain file name.

        Raises:
            ValueError: The key is invalid.
        """
        if not _KEY.fullmatch(key):
            raise ValueError("a key has 1 to 100 characters from A-Z a-z 0-9 . _ -")
        return _folder_of(str(self._path() if self.path is None else self.path))


@functools.lru_cache(maxsize=64)
def _folder_of(path: str) -> PrivateFolder:
    return PrivateFolder(Path(path))


FileStore.__init__ = secret_boundary(FileStore.__init__)  # type: ignore[method-assign]  # attrs has made it


def _entry(folder: PrivateFolder, key: str) -> Entry | None:
    """The valid entry of a key, under the lock."""
    content = folder.read(key + _VALUE)
    try:
        entry = None if content is None else Entry.decoded(content)
    except DamagedEntryError:
        return None
    return entry if entry is not None and time.time() < entry.expires_at else None


def _damaged_state(folder: PrivateFolder, key: str, error: DamagedEntryError) -> KineticAuthError:
    return KineticAuthError(
        f"{folder.path / (key + _VALUE)} cannot be read: {error}.",
        remedy="Restore the file, or use the version that has written it; or delete it (logout --local), and begin "
        "with a new token.",
    )


def _sweep_if_due(folder: PrivateFolder) -> None:
    """Delete expired and unfinished files. If that fails, the next sweep tries again."""
    age_s = folder.age_s(_SWEPT)
    if age_s is not None and 0 <= age_s < SWEEP_EVERY_S:
        return
    try:
        folder.write(_SWEPT, b"")
        for name in folder.names():
            if name.endswith(UNFINISHED):
                if (folder.age_s(name) or 0) > ABANDONED_AFTER_S:
                    folder.remove(name)
            elif (key := name.removesuffix(_VALUE)) != name or (key := name.removesuffix(_LEASE)) != name:
                with contextlib.suppress(KineticAuthError), LockFile(folder, key) as lock:
                    lock.acquire(timeout_s=0)
                    if _is_expired(folder, name):
                        folder.remove(name)
    except OSError as error:
        raise_interruption(error)


def _is_expired(folder: PrivateFolder, name: str) -> bool:
    content = folder.read(name) or b""
    if name.endswith(_LEASE):
        lease = Lease.decoded(content)
        return lease is None or not lease.is_held(time.time())
    try:
        return Entry.decoded(content).expires_at <= time.time()
    except DamagedEntryError:
        return not name.endswith(STATE_SUFFIX + _VALUE)
