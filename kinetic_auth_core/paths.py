"""Paths with `~`, and tests for files."""

import os
from pathlib import Path

from kinetic_auth_core.errors import ConfigurationError


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` expanded.

    Raises:
        ConfigurationError: It begins with the home folder of an unknown user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{path} begins with the home folder of an unknown user") from None


def is_there(path: Path) -> bool:
    """Whether a file exists; False if this process may not look."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
