"""Discovery of plugins: which are installed, by which distributions, and which of them may be loaded.

All of it is read from the packages' metadata, so listing plugins imports none of them. It is an error if two
distributions claim a name, or if a plugin may not be loaded. `loading` imports a plugin and checks that it fits.
"""

import contextlib
import functools
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from kinetic_auth_core._published import EXTRAS, NAMES
from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ProviderLoadError, UnknownProviderError, closest, suggest
from kinetic_auth_core.package_metadata import CORE, EntryPoints, damaged_packages, entry_points, owner_of

AUTHENTICATORS = "kinetic_auth.authenticators"
KEY_LOADERS = "kinetic_auth.key_loaders"
SESSION_STORES = "kinetic_auth.session_stores"
OBSERVERS = "kinetic_auth.observers"

#: The published plugin names, and the package of each. Never a guess from an unknown name: typosquatters wait for
#: those. The build derives it from providers/*.
PUBLISHED = NAMES

#: The key of the config file that lists the allowed distributions.
KEY = "allowed_plugins"

#: What the name of an entry point looks like. Vendors put their own prefix in front: `acme-sso`.
PLUGIN_NAME = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
# As specified by packaging.python.org, "Names and normalization".
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


class InstalledPlugin(NamedTuple):
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
    point: importlib.metadata.EntryPoint

    @property
    def owner(self) -> str:
        """Its distribution, as `name version`."""
        return f"{self.distribution} {self.version}"

    @property
    def label(self) -> str:
        """The plugin's name in messages."""
        return f"the plugin {self.name!r} of {self.owner} ({self.target})"


def installed(
    group: str, name: str | None = None, entry_points: Callable[[], EntryPoints] = entry_points
) -> list[InstalledPlugin]:
    """All plugins of a group, sorted by name, including those that may not be loaded.

    A name occurs twice if two distributions claim it; a distribution that is found twice counts once. A package whose
    metadata cannot be read, or has no name, is left out: its owner is unknown. The log names it.

    Args:
        group: The entry points' group.
        name: Those of this name only: the metadata of no other package is read.
        entry_points: Reads the entry points.

    Raises:
        ProviderLoadError: The metadata of the installed packages cannot be read.
    """
    found: dict[tuple[str, str], InstalledPlugin] = {}
    try:
        for point in entry_points().of_group(group, name):
            if (owner := owner_of(point)) is not None:
                plugin = InstalledPlugin(point.name, point.value, *owner, point)
                found.setdefault((point.name, normalized(owner[0])), plugin)
    except Exception as error:
        raise_interruption(error)
        raise ProviderLoadError(
            f"the entry points of the installed packages cannot be read: {type(error).__name__}: {error}.",
            remedy="One of them is damaged: find it with pip check, and reinstall it.",
        ) from error
    return sorted(found.values(), key=lambda plugin: (plugin.name, plugin.distribution))


@functools.lru_cache(maxsize=1024)
def normalized(name: str) -> str:
    """A distribution's name in its normalised form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class PluginTable:
    """What a config file says of one plugin: a table such as `[observers.audit]`.

    Attributes:
        source: The table in the file, as `<file>:observers.audit`.
        keys: The same as the path of keys in the file.
        required: `resolve` fails where the plugin cannot be loaded.
        enabled: False: it is left out.
        distribution: Whose plugin is meant; None: there is one of that name.
        settings: The other keys: the plugin's own settings, as written.
    """

    def __init__(self, table: Mapping[str, Any], source: str, keys: tuple[str, ...]) -> None:
        """Read a table of a config file.

        Raises:
            ValueError: One of the keys that are not the plugin's own has the wrong type; the text says so.
        """
        own = {name: table[name] for name in TABLE_KEYS if name in table}
        for name, value in own.items():
            expected = str if name == "distribution" else bool
            if not isinstance(value, expected):
                raise ValueError(f"{name}: expected {'text' if expected is str else 'true or false'}")  # noqa: TRY004
        if own.get("required") and own.get("enabled") is False:
            raise ValueError("required = true and enabled = false contradict each other")
        self.source, self.keys = source, keys
        self.required: bool = own.get("required", False)
        self.enabled: bool = own.get("enabled", True)
        self.distribution: str | None = own.get("distribution")
        others = {name: value for name, value in table.items() if name not in TABLE_KEYS}
        self.settings: Mapping[str, Any] = type(table)(others)  # type: ignore[call-arg]


#: The keys of a plugin's table that are not its own settings.
TABLE_KEYS = ("required", "enabled", "distribution")


class AllowedPlugins(NamedTuple):
    """The distributions whose plugins may be loaded, and what the config file says of single plugins.

    Attributes:
        names: Their names, normalised; None: every installed distribution.
        source: The key of the file that lists them, as `<file>:<key>`.
        search: Finds the installed plugins of a group, or those of a name in it, as `installed` does.
        tables: The tables of single plugins, by group and name.
        make: Makes a plugin of its table and its class.
    """

    names: frozenset[str] | None = None
    source: str = ""
    tables: Mapping[tuple[str, str], PluginTable] = MappingProxyType({})
    search: Callable[..., list[InstalledPlugin]] = installed
    make: Callable[[PluginTable, type], object] | None = None

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
        if wrong := [name for name in value if not re.fullmatch(_NAME, name)]:
            raise ValueError(f"{', '.join(map(repr, wrong))} cannot be the name of a distribution")
        return cls(frozenset(map(normalized, value)), source)

    def searched_once(self, make: Callable[[PluginTable, type], object] | None = None) -> "AllowedPlugins":
        """The same distributions, for one `resolve`: the installed packages are searched at the first look-up only."""
        return self._replace(search=_SearchedOnce(), make=make)

    def tables_of(self, group: str) -> dict[str, PluginTable]:
        """The tables of a group's plugins, by name."""
        return {name: table for (found, name), table in self.tables.items() if found == group}

    def has(self, distribution: str) -> bool:
        """Whether the plugins of a distribution may be loaded."""
        return self.names is None or normalized(distribution) in self.names | {CORE}

    def refusal(self, plugin: InstalledPlugin) -> ProviderLoadError:
        """The error for a plugin that may not be loaded."""
        return ProviderLoadError(
            f"{plugin.label} is not loaded: its distribution is not in {self.source}.",
            remedy=f"Add {normalized(plugin.distribution)!r} to {KEY}, if you trust it; otherwise uninstall it.",
        )


class _SearchedOnce:
    """Finds plugins as `installed` does, keeps what it has found, and reads the entry points once."""

    __slots__ = ("_found", "_points")

    def __init__(self) -> None:
        self._points: EntryPoints | None = None
        self._found: dict[tuple[str, str | None], list[InstalledPlugin]] = {}

    def __call__(self, group: str, name: str | None = None, /) -> list[InstalledPlugin]:
        key = (group, name)
        if key not in self._found:
            self._found[key] = installed(group, name, self._entry_points)
        return self._found[key]

    def _entry_points(self) -> EntryPoints:
        if self._points is None:
            self._points = entry_points()
        return self._points


#: Without a list in the config file, every installed plugin may be loaded.
ALL_ALLOWED = AllowedPlugins()


def find(group: str, name: str, allowed: AllowedPlugins = ALL_ALLOWED, *, place: str = "") -> InstalledPlugin:
    """The one plugin of that name that may be loaded.

    Args:
        group: The entry points' group.
        name: The entry point's name; or, where two distributions claim it, `<distribution>:<name>`.
        allowed: The plugins that may be loaded.
        place: The part of a reference after `://`, such as `aws-ssm`: the remedy names the package's extra for it.

    Raises:
        UnknownProviderError: No plugin of that name is installed.
        ProviderLoadError: It may not be loaded, or two distributions that may be claim the name, or the name is not
            one that a plugin may have.
    """
    distribution, _, plain = name.rpartition(":")
    table = allowed.tables.get((group, plain))
    if table is not None and not table.enabled:
        raise ProviderLoadError(f"the {_kind(group)} {plain!r} is switched off by {table.source}.enabled.")
    distribution = distribution or (table and table.distribution) or ""
    named = [
        plugin
        for plugin in allowed.search(group, plain)
        if not distribution or normalized(plugin.distribution) == normalized(distribution)
    ]
    if not named:
        full = f"{distribution}:{plain}" if distribution else plain
        raise unknown(group, full, _names(allowed.search(group)), place)
    loadable = [plugin for plugin in named if allowed.has(plugin.distribution)]
    if not loadable:
        raise allowed.refusal(named[0])
    if len(loadable) > 1:
        owners = " and ".join(f"{plugin.owner} ({plugin.target})" for plugin in loadable)
        raise ProviderLoadError(
            f"the name {plain!r} in {group} is claimed by more than one package: {owners}.",
            remedy=f"Uninstall all but one of them, or say whose you mean: {_how_to_say(group, loadable[0])}.",
        )
    if not re.fullmatch(PLUGIN_NAME, plain):
        raise ProviderLoadError(
            f"{loadable[0].label} has a name that a plugin may not have.",
            remedy="Report this to its authors: names are small letters and digits, with single dashes between.",
        )
    return loadable[0]


def _names(plugins: Sequence[InstalledPlugin]) -> list[str]:
    return list(dict.fromkeys(plugin.name for plugin in plugins))


def _kind(group: str) -> str:
    return {KEY_LOADERS: "key loader", SESSION_STORES: "session store", OBSERVERS: "observer"}.get(group, "provider")


def _how_to_say(group: str, plugin: InstalledPlugin) -> str:
    if group in (OBSERVERS, KEY_LOADERS):
        return f'distribution = "{plugin.distribution}" in [{group.partition(".")[2]}.{plugin.name}] of the config file'
    return f'"{plugin.distribution}:{plugin.name}"'


def unknown(group: str, name: str, names: Sequence[str], place: str = "") -> UnknownProviderError:
    """The error for a name that is not installed; for a published name, the remedy says how to install it."""
    package = PUBLISHED.get(group, {}).get(name, "")
    extras = [extra for extra in EXTRAS.get(package, ()) if f"{place}-".startswith(f"{extra}-")]
    wanted = f'"{package}[{extras[0]}]"' if extras else package
    remedy = f"pip install {wanted}" if package else ""
    if package and _lacks_metadata(package):
        module = package.replace("-", "_")
        remedy = (
            f"{remedy}: {module} can be imported, but the metadata of its package ({module}-*.dist-info) is missing, "
            "so it is not found by name. Where the packaging has dropped it, have it kept, such as by PyInstaller's "
            "--copy-metadata; or make the class by hand and pass it to SessionSource."
        )
    if damaged := list(damaged_packages()):
        remedy = f"{remedy} The metadata of these cannot be read: {', '.join(damaged)}; reinstall them.".strip()
    misplaced = "".join(f" {sentence}" for sentence in misspelt_groups())
    return UnknownProviderError(
        f"no {_kind(group)} {name!r} is installed{suggest(name, names)}; installed: {', '.join(names) or 'none'}."
        + misplaced,
        remedy=remedy,
    )


def _lacks_metadata(package: str) -> bool:
    """Whether a package is there, but without its metadata: as after slim packaging."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        with contextlib.suppress(ImportError, ValueError):
            return importlib.util.find_spec(package.replace("-", "_")) is not None
    except Exception as error:  # noqa: BLE001 - damaged metadata
        raise_interruption(error)
        return False
    return False


def misspelt_groups() -> list[str]:
    """A sentence for each entry point in a group that begins like ours and is none of them, so that nobody finds it."""
    points = entry_points()
    groups = [group for group in points.groups if re.match(_LIKE_OURS, group, re.IGNORECASE) and group not in _GROUPS]
    found = [(point, owner_of(point)) for group in groups for point in points.of_group(group)]
    return sorted(
        {
            f"{owner[0]} registers {point.name} in {point.group}; did you mean {_meant_group(point.group)}?"
            for point, owner in found
            if owner is not None
        }
    )


_GROUPS = (AUTHENTICATORS, KEY_LOADERS, SESSION_STORES, OBSERVERS)
_LIKE_OURS = r"kinetic[-_.]?auth"


def _meant_group(group: str) -> str:
    """The group of ours that is most like another one; what we call authenticators, others call providers."""
    word = re.split(r"[.:]", group.lower())[-1].replace("-", "_")
    if "provider" in word:
        return AUTHENTICATORS
    ours = {each.partition(".")[2]: each for each in _GROUPS}
    close = closest(word, ours, 0.5)
    return ours[close] if close else f"{', '.join(_GROUPS[:-1])} or {_GROUPS[-1]}"
