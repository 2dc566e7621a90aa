"""Which plugins are installed, whose, and which of them may be loaded.

All of it is read from the packages' metadata, so that listing imports none of them. A name that two distributions claim
is an error that names both; so is a plugin that may not be loaded. What is loaded, and whether it fits, is in
`loading`.
"""

import importlib.metadata
import re
from collections.abc import Sequence
from typing import Any

import attrs

from kinetic_auth_core._published import EXTRAS, NAMES
from kinetic_auth_core.errors import ProviderLoadError, UnknownProviderError
from kinetic_auth_core.settings.schema import near

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


AUTHENTICATORS = "kinetic_auth.authenticators"
KEY_LOADERS = "kinetic_auth.key_loaders"
SESSION_STORES = "kinetic_auth.session_stores"
OBSERVERS = "kinetic_auth.observers"

#: The names that we publish, and the package that has each. Never a guess from an unknown name: typosquatters wait for
#: those. The build derives it from providers/*.
PUBLISHED = NAMES


@attrs.frozen
class InstalledPlugin:
    """An entry point, and who brought it. Listing imports nothing.

    Attributes:
        name: The entry point's name.
        target: The object that it points at, as `module:object`.
        distribution: The package's name.
        version: The package's version.
        point: The entry point itself, to load it by.
    """

    name: str
    target: str
    distribution: str
    version: str
    point: importlib.metadata.EntryPoint = attrs.field(repr=False, eq=False)

    @property
    def owner(self) -> str:
        """Who brought it, as `name version`."""
        return f"{self.distribution} {self.version}"

    @property
    def called(self) -> str:
        """The plugin, as messages call it."""
        return f"the plugin {self.name!r} of {self.owner} ({self.target})"


def installed(group: str) -> list[InstalledPlugin]:
    """All plugins of a group, sorted by name; a name twice where two distributions claim it.

    What is left of a package whose metadata are gone, is passed over: nobody can say whose it is.

    Raises:
        ProviderLoadError: What the installed packages say of themselves cannot be read.
    """
    try:
        found = {
            InstalledPlugin(point.name, point.value, point.dist.name, point.dist.version, point)
            for point in importlib.metadata.entry_points(group=group)
            if point.dist is not None and "Name" in point.dist.metadata
        }
    except Exception as error:
        raise ProviderLoadError(
            f"the entry points of the installed packages cannot be read: {type(error).__name__}: {error}.",
            remedy="One of them is damaged: see pip check, and install it anew.",
        ) from error
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


def find(group: str, name: str, allowed: AllowedPlugins = ALL_ALLOWED, *, place: str = "") -> InstalledPlugin:
    """The one plugin of that name that may be loaded.

    Args:
        group: The entry points' group.
        name: The entry point's name.
        allowed: Whose plugins may be loaded.
        place: What a reference names behind `://`, such as `aws-ssm`: the hint names the package's extra for it.

    Raises:
        UnknownProviderError: None is installed.
        ProviderLoadError: It may not be loaded, or two distributions that may be claim the name.
    """
    plugins = installed(group)
    named = [plugin for plugin in plugins if plugin.name == name]
    if not named:
        raise unknown(group, name, [plugin.name for plugin in plugins], place)
    refused, named = named[0], [plugin for plugin in named if allowed.has(plugin.distribution)]
    if not named:
        raise allowed.refusal(refused.called, refused.distribution)
    if len(named) > 1:
        owners = " and ".join(f"{plugin.owner} ({plugin.target})" for plugin in named)
        raise ProviderLoadError(
            f"the name {name!r} in {group} is claimed by more than one package: {owners}.",
            remedy="Uninstall all but one of them.",
        )
    return named[0]


def unknown(group: str, name: str, names: Sequence[str], place: str = "") -> UnknownProviderError:
    """The error for a name that nobody installed; it knows how to install those that we publish."""
    kind = {KEY_LOADERS: "key loader", SESSION_STORES: "session store"}.get(group, "provider")
    package = PUBLISHED.get(group, {}).get(name, "")
    extras = [extra for extra in EXTRAS.get(package, ()) if f"{place}-".startswith(f"{extra}-")]
    wanted = f'"{package}[{extras[0]}]"' if extras else package
    remedy = f"pip install {wanted}" if package else ""
    return UnknownProviderError(
        f"no {kind} {name!r} is installed{near(name, names)}; installed: {', '.join(names) or 'none'}.", remedy=remedy
    )
