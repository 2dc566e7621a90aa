"""Files that only their owner can read, in a temporary folder that is removed with its owner."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path


class TemporaryFiles:
    """A temporary folder (mode 0700), made with its first file, and removed at exit at the latest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._finalizer: Callable[[], object] | None = None

    def file(self, name: str, content: bytes) -> Path:
        """The path of a file (mode 0600), written if it does not exist."""
        with self._lock:
            if self._path is None:
                self._path = Path(tempfile.mkdtemp(prefix="salesforce-emulator-"))
                self._finalizer = weakref.finalize(self, _remove_tree, self._path, os.getpid())
            path = self._path / name
            if not path.exists():
                write_private(path, content)
            return path

    def remove(self) -> None:
        """Remove folder and files. A later `file` makes a new one."""
        with self._lock:
            if self._finalizer is not None:
                self._finalizer()
            self._path = self._finalizer = None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; an existing one is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _remove_tree(folder: Path, owner: int) -> None:
    # A forked child that ends must leave its parent's files alone.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
