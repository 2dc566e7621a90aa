"""The files that `cert new` writes: never over others unless told to, and a key never readable for others."""

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from kinetic_auth_core.errors import ConfigurationError

PRIVATE = 0o600
PUBLIC = 0o644


def check_free(paths: Collection[Path]) -> None:
    """Refuse to overwrite anything.

    Raises:
        ConfigurationError: One of the files is there.
    """
    if taken := [str(path) for path in paths if os.path.lexists(path)]:
        verb = "exists" if len(taken) == 1 else "exist"
        raise ConfigurationError(
            f"{' and '.join(taken)} {verb} already, and may be in use.",
            remedy="Name another folder with --out, or replace what is there with --force.",
        )


def write(path: Path, contents: bytes, mode: int) -> None:
    """Put a file in its place, whole or not at all.

    Args:
        path: The file; its folder is made if there is none.
        contents: What it will hold.
        mode: Its permissions.

    Raises:
        ConfigurationError: The system does not let us.
    """
    with _told(path):
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


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"{path} cannot be written: {why}.", remedy="Name another folder with --out."
        ) from error
