"""Files that are found by searching: how they are found, and which of them are not trusted.

A file that the caller names is the caller's choice, and gets a warning at most. Any user could have put a file into a
folder above the working directory.
"""

import logging
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.paths import is_there

logger = logging.getLogger(__name__)


def folders_upwards() -> Iterator[Path]:
    """The working directory and its parents; nothing if the working directory is gone."""
    try:
        start = Path.cwd()
    except FileNotFoundError:
        return
    yield start
    yield from start.parents


def find_upwards(name: str) -> Path | None:
    """The nearest file of that name in the working directory or a parent."""
    return next((folder / name for folder in folders_upwards() if is_there(folder / name)), None)


def read_text(path: Path, kind: str, how_to_name_it: str | None, *, remedy: str, named_by: str = "") -> str:
    """Read a file that was named, or one that was found by searching, if it is trusted.

    Args:
        path: The file.
        kind: Its name in messages, such as `config file`.
        how_to_name_it: For a found file: the argument that names it explicitly, such as ``config="..."``.
        remedy: What to do if it cannot be read.
        named_by: The argument or variable that named it, for messages.

    Raises:
        ConfigurationError: It cannot be read, is not UTF-8, or is not trusted.
    """
    try:
        with path.open("rb") as file:
            if how_to_name_it is not None:
                refuse_if_not_ours(path, os.fstat(file.fileno()), how_to_name_it)
            raw = file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, ConfigurationError):
            raise
        source = f" (from {named_by})" if named_by else ""
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"the {kind} {path}{source} cannot be read: {why}.", remedy=remedy) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # it holds the file's bytes, so it must not be chained
        problem = f"the {kind} {path} is not UTF-8 text (byte {error.start})."
    raise ConfigurationError(problem, remedy="Save it as UTF-8.")


def refuse_if_not_ours(path: Path, state: os.stat_result, how_to_name_it: str) -> None:
    """Refuse a found file that another user owns or that others can write.

    Root's files are trusted: root controls the machine anyway. So is a file that the user's private group can
    write (same name as the user, no other members), which is usual under umask 002.

    Args:
        path: The file.
        state: The state of the open file: others may change what the path leads to.
        how_to_name_it: The argument that names the file explicitly, such as ``config="..."``.

    Raises:
        ConfigurationError: It is not trusted.
    """
    if os.name != "posix":
        return
    if state.st_uid not in (os.getuid(), 0):
        why = f"it belongs to another user (uid {state.st_uid})"
    elif (writable := _writable_by_others(state)) is not None:
        why = writable
    else:
        return
    raise ConfigurationError(
        f"{path} was found by searching, but {why}, so it is not used.",
        remedy=f"Make it yours (chown, chmod go-w), or name it explicitly: {how_to_name_it}.",
    )


def warn_if_others_write(path: Path, named_by: str) -> None:
    """Log a warning for a named file that others can write. It may belong to another user: the caller chose it.

    Args:
        path: The file; a missing one is ignored.
        named_by: The argument or variable that named it, such as `config`.
    """
    if os.name != "posix":
        return
    try:
        state = path.stat()
    except (OSError, ValueError):  # reading it will give a better error
        return
    if stat.S_ISREG(state.st_mode) and (why := _writable_by_others(state)) is not None:
        logger.warning(
            "%s (from %s) decides where credentials are sent, and %s. Run: chmod go-w %s",
            *(path, named_by, why, shlex.quote(str(path))),
        )


def _writable_by_others(state: os.stat_result) -> str | None:
    if state.st_mode & stat.S_IWOTH:
        return "every user can write it"
    if state.st_mode & stat.S_IWGRP and not _is_private_group(state.st_gid):
        return f"its group (gid {state.st_gid}) can write it"
    return None


def _is_private_group(gid: int) -> bool:
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
