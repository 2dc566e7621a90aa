"""Files that are found by searching: how they are found, and which of them are not to be trusted.

A file that the caller names is the caller's own choice. One that is merely found in a folder above the working
directory could have been put there by anybody.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.paths import is_there


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


def refuse_if_not_ours(path: Path, how_to_name_it: str) -> None:
    """Refuse a found file that another user owns or that others can write.

    Root's files are trusted, as everything on the machine hangs on root anyhow. So is a file that is writable by the
    user's private group (same name as the user, no other members), the usual state under umask 002.

    Args:
        path: The file.
        how_to_name_it: What the caller can write to use it all the same, such as ``config="..."``.

    Raises:
        ConfigurationError: It is not to be trusted.
    """
    if os.name != "posix":
        return
    state = path.stat()
    if state.st_uid not in (os.getuid(), 0):
        why = f"it belongs to another user (uid {state.st_uid})"
    elif state.st_mode & stat.S_IWOTH:
        why = "every user can write it"
    elif state.st_mode & stat.S_IWGRP and not _is_private_group(state.st_gid):
        why = f"its group (gid {state.st_gid}) can write it"
    else:
        return
    raise ConfigurationError(
        f"{path} was found by searching, but {why}, so it is not used.",
        remedy=f"Make it yours (chown, chmod go-w), or name it explicitly: {how_to_name_it}.",
    )


def _is_private_group(gid: int) -> bool:
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
