"""The installed observers, as a source is given them: those that may be loaded and can be."""

import logging
from contextvars import ContextVar

from kinetic_auth_core.allowlist import AllowedPlugins
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.listing import OBSERVERS, installed
from kinetic_auth_core.registry import load_observer

logger = logging.getLogger(__name__)

_loading = ContextVar("kinetic_auth_loading_observers", default=False)


def are_loading() -> bool:
    """Whether observers are being loaded by whoever asks: one that logs in while it is made has to do without any.

    It would be made again for the source that it logs in by, and log in again, without end.
    """
    return _loading.get()


def load_observers(allowed: AllowedPlugins) -> list[tuple[str, object]]:
    """All installed observers that can be loaded, each with its name; another one is logged and left out.

    Args:
        allowed: Whose observers may be loaded. One of another distribution is not imported.
    """
    token = _loading.set(True)
    try:
        return _loaded(allowed)
    finally:
        _loading.reset(token)


def _loaded(allowed: AllowedPlugins) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    try:
        names = dict.fromkeys(plugin.name for plugin in installed(OBSERVERS))
    except KineticAuthError as error:
        logger.warning("observers are left out: %s", error)
        return found
    for name in names:
        try:
            found.append((name, load_observer(name, allowed)))
        except KineticAuthError as error:
            logger.warning("an observer is left out: %s", error)
    return found
