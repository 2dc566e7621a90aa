"""Discovery of plugins: which are installed, by which distributions, and which of them may be loaded.

All of it is read from the packages' metadata, so listing plugins imports none of them. It is an error if two
distributions claim a name, or if a plugin may not be loaded. `loading` imports a plugin and checks that it fits.
"""

import functools
import importlib.metadata
import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from kinetic_auth_core._published import EXTRAS, NAMES
from kinetic_auth_core.errors import ProviderLoadError, UnknownProviderError
from kinetic_auth_core.settings.schema import suggest

AUTHENTICATORS = "kinetic_auth.authenticators"
KEY_LOADERS = "kinetic_auth.key_loaders"
SESSION_STORES = "kinetic_auth.session_stores"
OBSERVERS = "kinetic_auth.observers"

#: The published plugin names, and the package of each. Never a guess from an unknown name: typosquatters wait for
#: those. The build derives it from providers/*.
PUBLISHED = NAMES

#: The key of the config file that lists the allowed distributions.
KEY = "allowed_plugins"

#: The core's own plugins are always allowed.
_CORE = "kinetic-auth-core"
# As specified by packaging.python.org, "Names and normalization".
_NAME = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)


@attrs.frozen
class InstalledPlugin:
    """An entry point and its distribution.

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
        """Its distribution, as `name version`."""
        return f"{self.distribution} {self.version}"

    @property
    def label(self) -> str:
        """The plugin's name in messages."""
        return f"the plugin {self.name!r} of {self.owner} ({self.target})"


def _entry_points() -> Any:
    """The entry points of all installed packages; reading them takes about 20 ms."""
    return importlib.metadata.entry_points()


def installed(group: str, entry_points: Callable[[], Any] = _entry_points) -> list[InstalledPlugin]:
    """All plugins of a group, sorted by name, including those that may not be loaded.

    A name occurs twice if two distributions claim it. A package without metadata is ignored: its owner is unknown.

    Args:
        group: The entry points' group.
        entry_points: Reads the entry points.

    Raises:
        ProviderLoadError: The metadata of the installed packages cannot be read.
    """
    try:
        found = {
            InstalledPlugin(point.name, point.value, about["Name"], about["Version"], point)
            for point in entry_points().select(group=group)
            if "Name" in (about := point.dist.metadata)
        }
    except Exception as error:
        raise ProviderLoadError(
            f"the entry points of the installed packages cannot be read: {type(error).__name__}: {error}.",
            remedy="One of them is damaged: find it with pip check, and reinstall it.",
        ) from error
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


def installed_version() -> str:
    """The core's version, from the metadata of its package; `0+unknown` where that is not installed."""
    try:
        return importlib.metadata.version(_CORE)
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


def normalized(name: str) -> str:
    """A distribution's name in its normalised form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@attrs.frozen
class AllowedPlugins:
    """The distributions whose plugins may be loaded.

    Attributes:
        names: Their names, normalised; None: every installed distribution.
        source: The key of the file that lists them, as `<file>:<key>`.
        search: Finds the installed plugins of a group.
    """

    names: frozenset[str] | None = None
    source: str = ""
    search: Callable[[str], list[InstalledPlugin]] = attrs.field(default=installed, eq=False, repr=False)

    @classmethod
    def read(cls, value: Any, source: str) -> "AllowedPlugins":
        """Read the key of a config file; None if the file has no such key.

        Raises:
            ValueError: The value is not a list of distribution names; the text says so.
        """
        if value is None:
            return cls()
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ValueError('expected a list of names of distributions, such as ["kinetic-auth-jwt-bearer"]')
        if wrong := [name for name in value if not _NAME.fullmatch(name)]:
            raise ValueError(f"{', '.join(map(repr, wrong))} cannot be the name of a distribution")
        return cls(frozenset(map(normalized, value)), source)

    def searched_once(self) -> "AllowedPlugins":
        """The same distributions, for one `resolve`: the installed packages are searched at the first look-up only."""
        once = functools.cache(_entry_points)
        return attrs.evolve(self, search=functools.cache(lambda group: installed(group, once)))

    def has(self, distribution: str) -> bool:
        """Whether the plugins of a distribution may be loaded."""
        return self.names is None or normalized(distribution) in self.names | {_CORE}

    def refusal(self, plugin: InstalledPlugin) -> ProviderLoadError:
        """The error for a plugin that may not be loaded."""
        return ProviderLoadError(
            f"{plugin.label} is not loaded: its distribution is not in {self.source}.",
            remedy=f"Add {normalized(plugin.distribution)!r} to {KEY}, if you trust it; otherwise uninstall it.",
        )


#: Without a list in the config file, every installed plugin may be loaded.
ALL_ALLOWED = AllowedPlugins()


def find(group: str, name: str, allowed: AllowedPlugins = ALL_ALLOWED, *, place: str = "") -> InstalledPlugin:
    """The one plugin of that name that may be loaded.

    Args:
        group: The entry points' group.
        name: The entry point's name.
        allowed: The plugins that may be loaded.
        place: The part of a reference after `://`, such as `aws-ssm`: the remedy names the package's extra for it.

    Raises:
        UnknownProviderError: No plugin of that name is installed.
        ProviderLoadError: It may not be loaded, or two distributions that may be claim the name.
    """
    plugins = allowed.search(group)
    named = [plugin for plugin in plugins if plugin.name == name]
    if not named:
        raise unknown(group, name, [plugin.name for plugin in plugins], place)
    loadable = [plugin for plugin in named if allowed.has(plugin.distribution)]
    if not loadable:
        raise allowed.refusal(named[0])
    if len(loadable) > 1:
        owners = " and ".join(f"{plugin.owner} ({plugin.target})" for plugin in loadable)
        raise ProviderLoadError(
            f"the name {name!r} in {group} is claimed by more than one package: {owners}.",
            remedy="Uninstall all but one of them.",
        )
    return loadable[0]


def unknown(group: str, name: str, names: Sequence[str], place: str = "") -> UnknownProviderError:
    """The error for a name that is not installed; for a published name, the remedy says how to install it."""
    kind = {KEY_LOADERS: "key loader", SESSION_STORES: "session store"}.get(group, "provider")
    package = PUBLISHED.get(group, {}).get(name, "")
    extras = [extra for extra in EXTRAS.get(package, ()) if f"{place}-".startswith(f"{extra}-")]
    wanted = f'"{package}[{extras[0]}]"' if extras else package
    remedy = f"pip install {wanted}" if package else ""
    return UnknownProviderError(
        f"no {kind} {name!r} is installed{suggest(name, names)}; installed: {', '.join(names) or 'none'}.",
        remedy=remedy,
    )
