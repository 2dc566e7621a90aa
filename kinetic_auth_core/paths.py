"""Paths as people write them."""

import os
from pathlib import Path

from kinetic_auth_core.errors import ConfigurationError


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` expanded.

    Raises:
        ConfigurationError: It begins with the home of a user that is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{path} begins with a home folder that is not known") from None


def is_there(path: Path) -> bool:
    """Whether a file is there, as far as this process may look."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
