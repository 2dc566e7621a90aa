"""Whose plugins may be loaded: the key `allowed_plugins` of a config file. Who asks for a plugin is in `registry`."""

import re
from typing import Any

import attrs

from kinetic_auth_core.errors import ProviderLoadError

KEY = "allowed_plugins"

#: What the core brings itself is no plugin of other people's: it is always allowed.
_CORE = "kinetic-auth-core"
# As packaging.python.org, "Names and normalization", has it.
_NAME = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)


def normalized(name: str) -> str:
    """A distribution's name in the one form that all its spellings have in common (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@attrs.frozen
class AllowedPlugins:
    """The distributions whose plugins may be loaded.

    Attributes:
        names: Their names, normalised; None: whatever is installed may be.
        source: The key of the file that lists them, as `<file>:<key>`.
    """

    names: frozenset[str] | None = None
    source: str = ""

    @classmethod
    def read(cls, value: Any, source: str) -> "AllowedPlugins":
        """Read the key of a config file; None is for a file that has no such key.

        Raises:
            ValueError: It is no list of names of distributions; the text says so.
        """
        if value is None:
            return cls()
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ValueError('expected a list of names of distributions, such as ["kinetic-auth-jwt-bearer"]')
        if wrong := [name for name in value if not _NAME.fullmatch(name)]:
            raise ValueError(f"{', '.join(map(repr, wrong))} cannot be the name of a distribution")
        return cls(frozenset(map(normalized, value)), source)

    def has(self, distribution: str) -> bool:
        """Whether the plugins of a distribution may be loaded."""
        return self.names is None or normalized(distribution) in self.names | {_CORE}

    def refusal(self, called: str, distribution: str) -> ProviderLoadError:
        """The error for a plugin that may not be loaded.

        Args:
            called: The plugin, as messages call it.
            distribution: Whose it is.
        """
        return ProviderLoadError(
            f"{called} is not loaded: its distribution is not in {self.source}.",
            remedy=f"Add {normalized(distribution)!r} to {KEY}, if you trust it; else uninstall it.",
        )


#: Where no file says anything: whatever is installed may be loaded.
ALL_ALLOWED = AllowedPlugins()
