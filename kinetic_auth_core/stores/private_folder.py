"""A folder that is this user's alone: made so, checked each time, its files read whole and replaced whole.

What the files mean is the affair of `file`.
"""

import contextlib
import os
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import attrs

from kinetic_auth_core.errors import KineticAuthError

#: How the name of a file ends that is still being written.
UNFINISHED = ".tmp"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@attrs.frozen
class PrivateFolder:
    """A folder of mode 0700 with files of mode 0600, whatever the umask.

    Attributes:
        path: Where it is, absolute.
    """

    path: Path

    def make(self) -> None:
        """Make it, with the folders above it that are missing; they are private, too.

        Raises:
            KineticAuthError: It is there and others can reach into it.
            OSError: It cannot be made.
        """
        if not self.is_there():
            _make(self.path)
            self.is_there()

    def is_there(self) -> bool:
        """Whether it is there, and this user's alone.

        Raises:
            KineticAuthError: It is there, and belongs to somebody else, or others can read or write it.
            OSError: It cannot be looked at.
        """
        try:
            link, state = self.path.lstat(), self.path.stat()
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(state.st_mode):
            raise NotADirectoryError(f"{self.path} is not a folder")
        if os.name == "posix":
            _refuse_what_others_reach(self.path, link, state)
        return True

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it is not there.

        Raises:
            OSError: It cannot be read.
        """
        try:
            descriptor = os.open(self.path / name, _READ)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place, whole; until then, and if it fails, the one before it stays.

        Raises:
            OSError: It cannot be written; nothing of it remains.
        """
        unfinished = self.path / f"{uuid.uuid4().hex}{UNFINISHED}"
        descriptor = os.open(unfinished, _NEW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), 0o600)  # the umask may have taken away even our own rights
                file.write(content)
            unfinished.replace(self.path / name)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise

    def remove(self, name: str) -> bool:
        """Take a file away.

        Returns:
            Whether it was there.

        Raises:
            OSError: It cannot be taken away.
        """
        try:
            (self.path / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def age_s(self, name: str) -> float | None:
        """Seconds since a file was written, by the clock of the file system and ours; None if it is not there."""
        try:
            return time.time() - (self.path / name).lstat().st_mtime
        except FileNotFoundError:
            return None

    def names(self) -> Iterator[str]:
        """The names of its files, in no order."""
        with os.scandir(self.path) as found:
            yield from [entry.name for entry in found]


def _make(path: Path) -> None:
    if not path.parent.is_dir():
        _make(path.parent)
    with contextlib.suppress(FileExistsError):  # another process was faster
        path.mkdir(mode=0o700)


def _refuse_what_others_reach(path: Path, link: os.stat_result, state: os.stat_result) -> None:
    """As a session in there is as good as a password.

    Raises:
        KineticAuthError: What is wrong, and the command that mends it.
    """
    us, mode = os.geteuid(), stat.S_IMODE(state.st_mode)
    kept_there = f"The session store's folder {path}"
    if state.st_uid != us:
        raise KineticAuthError(
            f"{kept_there} belongs to another user (uid {state.st_uid}, this process has {us}), so it is not used.",
            remedy=f"Name a folder of your own (path); or, if it should be yours, chown {us} {path}; chmod 700 {path}",
        )
    if link.st_uid not in (us, 0):
        raise KineticAuthError(
            f"{kept_there} is a symbolic link that belongs to another user (uid {link.st_uid}), so it is not used.",
            remedy="Name the folder itself (path).",
        )
    if mode & 0o077:
        raise KineticAuthError(
            f"{kept_there} can be read or written by others (mode {mode:04o}), so it is not used.",
            remedy=f"chmod 700 {path}",
        )
