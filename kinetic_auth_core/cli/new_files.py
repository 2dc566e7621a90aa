"""Files that a command makes: never over an existing one without being asked, and whole or not at all."""

import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from kinetic_auth_core.errors import ConfigurationError


def refuse_to_overwrite(paths: Collection[Path], elsewhere: str) -> None:
    """Make sure that none of the files exists.

    Args:
        paths: The files.
        elsewhere: How to write them elsewhere, as an imperative without its full stop.

    Raises:
        ConfigurationError: One exists; all that do are named.
    """
    if taken := [str(path) for path in paths if os.path.lexists(path)]:
        verb = "exists" if len(taken) == 1 else "exist"
        raise ConfigurationError(
            f"{' and '.join(taken)} already {verb}, and may be in use.",
            remedy=f"{elsewhere}, or replace the files with --force.",
        )


def write_file(path: Path, contents: bytes, mode: int, elsewhere: str) -> None:
    """Write a file, entirely or not at all.

    Args:
        path: The file; its folder is made if it does not exist.
        contents: The contents.
        mode: Its permissions.
        elsewhere: The remedy if it cannot be written.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
        try:
            with os.fdopen(number, "wb") as file:
                file.write(contents)
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path} cannot be written: {why}.", remedy=elsewhere) from error
