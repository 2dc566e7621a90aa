"""A folder that only this user can access, and the locks in it by which processes exclude each other.

It is checked each time; its files are read and replaced as a whole. `file` defines the content of the files.
"""

import contextlib
import hashlib
import io
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from kinetic_auth_core.concurrency import reset_after_fork
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.locations import read_file

#: The suffix of a file that is still being written.
UNFINISHED = ".tmp"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class PrivateFolder:
    """A folder of mode 0700 with files of mode 0600, whatever the umask.

    Args:
        path: Its absolute path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Create it, with its missing parents, which are private as well.

        Raises:
            KineticAuthError: It exists, and others can access it.
            OSError: It cannot be created.
        """
        if not self.is_there():
            _make(self.path)
            self.is_there()

    def is_there(self) -> bool:
        """Whether it exists, after it was checked to be private.

        Raises:
            KineticAuthError: It belongs to another user, or others can read or write it.
            OSError: Its state cannot be read.
        """
        try:
            link = os.lstat(self.path)
            state = os.stat(self.path) if stat.S_ISLNK(link.st_mode) else link  # noqa: PTH116 - as below
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(state.st_mode):
            raise NotADirectoryError(f"{self.path} is not a folder")
        if os.name == "posix":
            _refuse_if_shared(self.path, link, state)
        return True

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it does not exist.

        Raises:
            OSError: It cannot be read, or is longer than a stored session can be.
        """
        try:
            return read_file(os.path.join(self.path, name), follow_links=False)  # noqa: PTH118 - a Path takes longer than the reading
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, *, durably: bool = False) -> None:
        """Replace a file as a whole; if that fails, the previous one remains.

        Args:
            name: Of the file.
            content: All of it.
            durably: Whether it is on the disk when this returns, with its name: it outlives a loss of power.

        Raises:
            OSError: It cannot be written; no part of it remains.
        """
        unfinished = self.path / f"{os.urandom(16).hex()}{UNFINISHED}"
        descriptor = os.open(unfinished, _NEW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), 0o600)  # the umask may have removed our own permissions
                file.write(content)
                if durably:
                    file.flush()
                    os.fsync(file.fileno())
            unfinished.replace(self.path / name)
            if durably:
                _sync(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise

    def remove(self, name: str) -> bool:
        """Delete a file.

        Returns:
            Whether it existed.

        Raises:
            OSError: It cannot be deleted.
        """
        try:
            (self.path / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def age_s(self, name: str) -> float | None:
        """Seconds since a file was written, by our clock and the file system's; None if it does not exist."""
        try:
            return time.time() - (self.path / name).lstat().st_mtime
        except FileNotFoundError:
            return None

    def names(self) -> Iterator[str]:
        """The names of its files, unsorted."""
        with os.scandir(self.path) as found:
            yield from [entry.name for entry in found]


def _make(path: Path) -> None:
    if not path.parent.is_dir():
        _make(path.parent)
    with contextlib.suppress(FileExistsError):  # another process was faster
        path.mkdir(mode=0o700)
        if os.name == "posix":
            path.chmod(0o700)  # the umask may have removed our own permissions
        _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk. Windows does that by itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_if_shared(path: Path, link: os.stat_result, state: os.stat_result) -> None:
    """Refuse a folder that others can access: a stored session is as powerful as a password.

    Raises:
        KineticAuthError: Why the folder is refused, with the command to correct it.
    """
    us, mode = os.geteuid(), stat.S_IMODE(state.st_mode)
    folder = f"The session store's folder {path}"
    if state.st_uid != us:
        raise KineticAuthError(
            f"{folder} belongs to another user (uid {state.st_uid}, this process runs as {us}), so it is not used.",
            remedy=f"Name a folder of your own (path); or, if it should be yours, chown {us} {path}; chmod 700 {path}",
        )
    if link.st_uid not in (us, 0):
        raise KineticAuthError(
            f"{folder} is a symbolic link that belongs to another user (uid {link.st_uid}), so it is not used.",
            remedy="Name the folder itself (path).",
        )
    if mode & 0o077:
        raise KineticAuthError(
            f"{folder} can be read or written by others (mode {mode:04o}), so it is not used.",
            remedy=f"chmod 700 {path}",
        )


#: How long an operation waits for another process that uses the same key, in seconds.
LOCK_TIMEOUT_S = 5.0


_POLL_S = 0.005


class LockFile(io.FileIO):
    """A file that is locked to exclude all other threads and processes from a key, as long as it is open.

        with LockFile(folder, key) as lock:
            lock.acquire()

    The `with` block closes it in C, where no signal comes between: a lock that is left behind would stop all processes.

    Args:
        folder: Where it is. Several keys share one file, which is made once and stays.
        key: The key.
    """

    def __init__(self, folder: PrivateFolder, key: str) -> None:
        path = folder.path / f"{hashlib.sha256(key.encode()).hexdigest()[0]}.lock"
        super().__init__(path, "ab", opener=_open_lock)
        reset_after_fork(self)

    def acquire(self, timeout_s: float = LOCK_TIMEOUT_S) -> None:
        """Wait for the lock.

        Raises:
            KineticAuthError: Another process holds it for too long.
        """
        give_up_at = time.monotonic() + timeout_s
        while not _is_locked_now(self.fileno()):
            if time.monotonic() >= give_up_at:
                folder = Path(os.fsdecode(self.name)).parent
                raise KineticAuthError(
                    f"The session store's folder {folder} was locked by another process for {timeout_s:.0f} s."
                )
            time.sleep(_POLL_S)

    def _after_fork(self) -> None:
        """In the child, which has the file open as well: it would keep the parent's lock."""
        self.close()


def _open_lock(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o600)  # the umask may have removed our own permissions
    return descriptor


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _is_locked_now(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _is_locked_now(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
