"""The observers of a source: the application's own, those with a table in the config file, and all that are installed.

`resolve` loads those with a table, so that it can fail where a required one is missing; the others are loaded at the
first login.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs

from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, ProviderLoadError, UnknownProviderError
from kinetic_auth_core.registry.discovery import KEY_LOADERS, OBSERVERS, AllowedPlugins, find
from kinetic_auth_core.registry.loading import hooks_problem, load_key_loader, load_observer

logger = logging.getLogger(__name__)

Named = tuple[str, object]


@attrs.frozen
class Observers:
    """The observers that a source has before its first login.

    Attributes:
        configured: Those with a table in the config file, each with its name.
        given: The application's own, each with a name.
    """

    configured: tuple[Named, ...] = attrs.field(default=(), repr=False)
    given: tuple[Named, ...] = attrs.field(default=(), repr=False)

    def with_installed(self, allowed: AllowedPlugins) -> list[Named]:
        """All observers: these, and the installed ones without a table that can be loaded; others with a warning.

        Args:
            allowed: The plugins that may be loaded; no other is imported.
        """
        with _being_loaded():
            installed = _without_table(allowed.searched_once())
        by_name = sorted([*self.configured, *installed], key=lambda named: named[0])
        names = {name for name, _ in by_name}
        return [*by_name, *((_unique(name, names), observer) for name, observer in self.given)]


def given_observers(observers: Iterable[object]) -> tuple[Named, ...]:
    """The application's own observers, each with the name of its class.

    Raises:
        ConfigurationError: It is not a list of objects that fit; all that do not are named.
    """
    if isinstance(observers, str | bytes | type) or not isinstance(observers, Iterable):
        raise ConfigurationError(f"observers: expected a list of observers, got {type(observers).__name__}.")
    found: list[Named] = []
    problems = []
    for number, observer in enumerate(observers, 1):
        name = getattr(observer, "__name__", None) or type(observer).__name__
        problem: str | None
        if isinstance(observer, type):
            problem = "is a class: give an instance of it"
        else:
            problem = hooks_problem(OBSERVERS, observer)
        if problem:
            problems.append(f"observers: no. {number} ({name}) {problem}")
        found.append((str(name), observer))
    if problems:
        raise ConfigurationError.of("Cannot use these observers", problems)
    return tuple(found)


def configured_observers(allowed: AllowedPlugins) -> tuple[tuple[Named, ...], tuple[str, ...]]:
    """The observers that have a table in the config file; and what is wrong, also with required key loaders.

    Args:
        allowed: The plugins that may be loaded, and the tables.
    """
    found: list[Named] = []
    problems: list[str] = []
    with _being_loaded():
        for (group, name), table in allowed.tables.items():
            if not table.enabled:
                continue
            try:
                if group == OBSERVERS:
                    found.append((name, load_observer(name, allowed)))
                elif table.required:
                    load_key_loader(name, allowed)
                elif group == KEY_LOADERS:
                    find(group, name, allowed)  # the others are loaded where a reference needs them
            except (UnknownProviderError, ProviderLoadError) as error:
                if table.required:
                    problems.append(f"{table.source} is required: {error}")
                else:
                    logger.warning("%s is skipped: %s", table.source, error)
            except ConfigurationError as error:
                problems += error.problems
    return tuple(found), tuple(problems)


_loading = ContextVar("kinetic_auth_loading_observers", default=False)


def are_loading() -> bool:
    """Whether the caller is an observer that is being loaded: if it logs in meanwhile, that login has no observers.

    Otherwise the observer would be made again for that login, and log in again, endlessly.
    """
    return _loading.get()


@contextmanager
def _being_loaded() -> Iterator[None]:
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


def _without_table(allowed: AllowedPlugins) -> list[Named]:
    found: list[Named] = []
    try:
        names: dict[str, Any] = dict.fromkeys(plugin.name for plugin in allowed.search(OBSERVERS))
    except KineticAuthError as error:
        logger.warning("observers are skipped: %s", error)
        return found
    for name in names.keys() - allowed.tables_of(OBSERVERS).keys():
        try:
            found.append((name, load_observer(name, allowed)))
        except KineticAuthError as error:
            logger.warning("an observer is skipped: %s", error)
    return found


def _unique(name: str, taken: set[str]) -> str:
    """A name for pluggy, which takes each once."""
    unique = next(
        each for each in (name, *(f"{name} {number}" for number in range(2, len(taken) + 3))) if each not in taken
    )
    taken.add(unique)
    return unique
