"""The installed observers, as a source is given them: those that may be loaded and can be."""

import logging

from kinetic_auth_core.allowlist import AllowedPlugins
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.listing import OBSERVERS, installed
from kinetic_auth_core.registry import load_observer

logger = logging.getLogger(__name__)


def load_observers(allowed: AllowedPlugins) -> list[tuple[str, object]]:
    """All installed observers that can be loaded, each with its name; another one is logged and left out.

    Args:
        allowed: Whose observers may be loaded. One of another distribution is not imported.
    """
    found = []
    for name in dict.fromkeys(plugin.name for plugin in installed(OBSERVERS)):
        try:
            found.append((name, load_observer(name, allowed)))
        except KineticAuthError as error:
            logger.warning("an observer is left out: %s", error)
    return found
