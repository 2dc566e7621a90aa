"""What the metadata of the installed packages says: their entry points, and the package of each.

Reading entry points takes tens of milliseconds where many packages are installed, so what was read is kept for as long
as the folders of `sys.path` are the same, and the files of those entry points that are asked for.
"""

import contextlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

from kinetic_auth_core.concurrency import raise_interruption

logger = logging.getLogger(__name__)

CORE = "kinetic-auth-core"


class EntryPoints:
    """The entry points of all installed packages, as they were read.

    A file that is edited in its place is read again when one of its entry points is asked for, or a name that none has.

    Args:
        folders: Those of `sys.path`, each with its state before the entry points were read.
        finders: The objects that looked for packages, and `sys.path`.
    """

    def __init__(self, folders: dict[str, object], finders: tuple[object, ...]) -> None:
        self._folders, self._finders = folders, finders
        self._by_group: dict[str, list[EntryPoint]] = {}
        self._files: dict[str, object] | None = None
        self._read()

    @property
    def groups(self) -> list[str]:
        """The names of the groups."""
        return list(self._by_group)

    def of_group(self, group: str, name: str | None = None) -> list[EntryPoint]:
        """The entry points of a group; with a name, those of that name."""
        found = self._find(group, name)
        files = self._files or {}
        asked = [_file_of(point) for point in found] if found or name is None else files
        if _differs({file: files[file] for file in asked if file in files}):
            self._read()
            found = self._find(group, name)
        return found

    def is_current(self, finders: tuple[object, ...]) -> bool:
        """Whether the same finders would look in the same folders, and no package came or went."""
        return self._files is not None and self._finders == finders and not _differs(self._folders)

    def _find(self, group: str, name: str | None) -> list[EntryPoint]:
        return [point for point in self._by_group.get(group, ()) if name in (None, point.name)]

    def _read(self) -> None:
        by_group: dict[str, list[EntryPoint]] = {}
        for point in _read():
            by_group.setdefault(point.group, []).append(point)
        self._by_group, self._files = by_group, _states_of_files(by_group)


def _states_of_files(by_group: dict[str, list[EntryPoint]]) -> dict[str, object] | None:
    """The files of entry points and their states; None if one of them is in no folder, such as in an archive."""
    files = {_file_of(point) for points in by_group.values() for point in points}
    try:
        return {file: _state_of(file) for file in files}
    except OSError:
        return None


def _file_of(point: EntryPoint) -> str:
    """The file of an entry point; empty for a package that is not in a folder."""
    folder = getattr(point.dist, "_path", None)
    return os.path.join(folder, "entry_points.txt") if isinstance(folder, Path) else ""  # noqa: PTH118 - see _state_of


def owner_of(point: EntryPoint) -> tuple[str, str] | None:
    """Name and version of the distribution that has an entry point; None where it has none that can be read.

    What an interrupted `pip install -U` leaves (`~ame-1.0.dist-info`) is not installed: pip ignores it, too.
    """
    distribution = point.dist
    if distribution is None or _place(distribution).rpartition("/")[2].startswith("~"):
        return None
    try:
        return _owner(distribution)
    except Exception as error:  # noqa: BLE001 - it is damaged, whatever it raises
        raise_interruption(error)
        logger.warning(
            "the plugin %r is skipped: the metadata in %s: %s", point.name, _place(distribution), _why(error)
        )
        return None


def _owner(distribution: Distribution) -> tuple[str, str] | None:
    state, place = None, f"{_place(distribution)}/METADATA"
    with contextlib.suppress(OSError):
        state = _state_of(place)
        if (known := _owners.get(place)) is not None and known[0] == state:
            return known[1]
    about = distribution.metadata
    owner = (about["Name"], about["Version"] or "0") if about["Name"] else None
    if state is not None and owner is not None:
        _owners[place] = (state, owner)
    return owner


_owners: dict[str, tuple[object, tuple[str, str]]] = {}  # by the file, with its state when it was read


_kept: EntryPoints | None = None


def entry_points() -> EntryPoints:
    """The entry points of all installed packages, as they are now."""
    global _kept  # noqa: PLW0603 - the packages are the same for the whole process
    finders, kept = (importlib.metadata.entry_points, *sys.meta_path, *sys.path), _kept
    if kept is None or not kept.is_current(finders):
        folders = {str(path): _state_of(str(path)) for path in map(Path, sys.path) if path.is_dir()}
        _kept = kept = EntryPoints(folders, finders)
    return kept


def _differs(states: dict[str, object]) -> bool:
    """Whether a file or folder has another state than it had, or is not there."""
    try:
        return any(_state_of(path) != then for path, then in states.items())
    except OSError:
        return True


def _state_of(path: str) -> object:
    """What differs when a file, or the list of files in a folder, has changed.

    Raises:
        OSError: It is not there.
    """
    found = os.stat(path)  # noqa: PTH116 - asked of hundreds of files, and a Path takes twice as long
    return found.st_mtime_ns, found.st_size, found.st_nlink


def _read() -> list[EntryPoint]:
    try:
        found: Any = importlib.metadata.entry_points()
        # Python 3.11 gives a table by group whose own methods warn that later versions do not.
        return [point for points in dict.values(found) for point in points] if isinstance(found, dict) else list(found)
    except Exception as error:  # noqa: BLE001 - one of them is damaged, whatever it raises
        raise_interruption(error)
        return [point for distribution in importlib.metadata.distributions() for point in _points_of(distribution)]


def _points_of(distribution: Distribution) -> list[EntryPoint]:
    try:
        return list(distribution.entry_points)
    except Exception as error:  # noqa: BLE001 - as above
        raise_interruption(error)
        logger.warning("the entry points of %s are skipped: %s", _place(distribution), _why(error))
        return []


def _place(distribution: Distribution) -> str:
    """The folder of a distribution's metadata."""
    return str(getattr(distribution, "_path", "a package")).replace("\\", "/").rstrip("/")


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def damaged_packages() -> Iterator[str]:
    """The folders of installed packages whose metadata cannot be read."""
    for distribution in importlib.metadata.distributions():
        try:
            _ = list(distribution.entry_points), distribution.metadata
        except Exception as error:  # noqa: BLE001 - as above
            raise_interruption(error)
            yield _place(distribution)
