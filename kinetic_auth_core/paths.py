"""Paths as people write them."""

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` expanded. Where that home is not known it stays as it is, and is not found later."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_there(path: Path) -> bool:
    """Whether a file is there, as far as this process may look."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
