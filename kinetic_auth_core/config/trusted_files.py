"""Files that are found by searching: how they are found, and which of them are not to be trusted.

A file that the caller names is the caller's own choice, and worth a warning at most. One that is merely found in a
folder above the working directory could have been put there by anybody.
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


def refuse_if_not_ours(path: Path, state: os.stat_result, how_to_name_it: str) -> None:
    """Refuse a found file that another user owns or that others can write.

    Root's files are trusted, as everything on the machine hangs on root anyhow. So is a file that is writable by the
    user's private group (same name as the user, no other members), the usual state under umask 002.

    Args:
        path: The file.
        state: Of the file as it was opened to be read: what a path leads to, others may change a moment later.
        how_to_name_it: What the caller can write to use it all the same, such as ``config="..."``.

    Raises:
        ConfigurationError: It is not to be trusted.
    """
    if os.name != "posix":
        return
    if state.st_uid not in (os.getuid(), 0):
        why = f"it belongs to another user (uid {state.st_uid})"
    elif (who := _others_who_write(state)) is not None:
        why = who
    else:
        return
    raise ConfigurationError(
        f"{path} was found by searching, but {why}, so it is not used.",
        remedy=f"Make it yours (chown, chmod go-w), or name it explicitly: {how_to_name_it}.",
    )


def warn_if_others_write(path: Path, named_by: str) -> None:
    """Log a warning for a named file that others can write. That it belongs to another user is its namer's affair.

    Args:
        path: The file; one that is not there is none of this function's business.
        named_by: Who named it, such as `config`.
    """
    if os.name != "posix":
        return
    try:
        state = path.stat()
    except (OSError, ValueError):  # what reads it next says it better
        return
    if stat.S_ISREG(state.st_mode) and (why := _others_who_write(state)) is not None:
        logger.warning(
            "%s (from %s) decides where credentials go, and %s. Close it: chmod go-w %s",
            *(path, named_by, why, shlex.quote(str(path))),
        )


def _others_who_write(state: os.stat_result) -> str | None:
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
