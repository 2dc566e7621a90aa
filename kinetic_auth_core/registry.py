"""Installed plugins: importlib.metadata lists them without importing, stevedore loads the one that was asked for.

A name that two distributions claim is an error that names both, before either is imported.
"""

import functools
import importlib.metadata
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import pluggy
from stevedore.driver import DriverManager

from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, ProviderLoadError, UnknownProviderError
from kinetic_auth_core.hookspecs import Authenticator, KeyLoader, KeyLoaderHooks, SessionObserver, plugin_manager
from kinetic_auth_core.schema import near, reserved_names_of, schema
from kinetic_auth_core.stores.contract import SessionStore

if TYPE_CHECKING:
    from kinetic_auth_core.references import Reference

AUTHENTICATORS = "kinetic_auth.authenticators"
KEY_LOADERS = "kinetic_auth.key_loaders"
SESSION_STORES = "kinetic_auth.session_stores"
OBSERVERS = "kinetic_auth.observers"

#: The names we publish, and the package that brings each. Never a guess from an unknown name: that is how
#: typosquatters live.
PUBLISHED = {
    AUTHENTICATORS: {"jwt-bearer": "kinetic-auth-jwt-bearer", "password": "kinetic-auth-password"},
    SESSION_STORES: {"redis": "kinetic-auth-redis-store"},
    KEY_LOADERS: {"secret-manager": "kinetic-auth-secret-manager", "kms": "kinetic-auth-secret-manager"},
}
#: The extra of kinetic-auth-secret-manager that a reference needs, by what stands behind `://`.
_EXTRAS = {"aws": "aws", "aws-ssm": "aws", "azure": "azure"}


@attrs.frozen
class InstalledPlugin:
    """An entry point, and who brought it. Listing imports nothing.

    Attributes:
        name: The entry point's name.
        target: The object that it points at, as `module:object`.
        distribution: The package's name.
        version: The package's version.
    """

    name: str
    target: str
    distribution: str
    version: str


def installed(group: str) -> list[InstalledPlugin]:
    """All plugins of a group, sorted by name; a name twice where two distributions claim it."""
    found = {
        InstalledPlugin(point.name, point.value, point.dist.name, point.dist.version)
        for point in importlib.metadata.entry_points(group=group)
        if point.dist is not None
    }
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


def find(group: str, name: str, extra: str | None = None) -> InstalledPlugin:
    """The one plugin of that name.

    Args:
        group: The entry points' group.
        name: The entry point's name.
        extra: The extra of the package that is wanted too, for the hint if none is installed.

    Raises:
        UnknownProviderError: None is installed.
        ProviderLoadError: Two distributions claim the name.
    """
    plugins = installed(group)
    named = [plugin for plugin in plugins if plugin.name == name]
    if not named:
        raise unknown(group, name, [plugin.name for plugin in plugins], extra)
    if len(named) > 1:
        owners = " and ".join(f"{plugin.distribution} {plugin.version} ({plugin.target})" for plugin in named)
        raise ProviderLoadError(
            f"the name {name!r} in {group} is claimed by more than one package: {owners}.",
            remedy="Uninstall all but one of them.",
        )
    return named[0]


def unknown(group: str, name: str, names: Sequence[str], extra: str | None = None) -> UnknownProviderError:
    """The error for a name that nobody installed; it knows how to install those that we publish."""
    kind = {KEY_LOADERS: "key loader", SESSION_STORES: "session store"}.get(group, "provider")
    package = PUBLISHED.get(group, {}).get(name)
    wanted = f'"{package}[{extra}]"' if extra else package
    remedy = f"pip install {wanted}" if package else ""
    return UnknownProviderError(
        f"no {kind} {name!r} is installed{near(name, names)}; installed: {', '.join(names) or 'none'}.", remedy=remedy
    )


class _FreshDriver(DriverManager[Any]):
    """stevedore's driver manager, fed from importlib.metadata.

    stevedore's own scan cache lies in the user's cache folder and can be stale for two minutes after an edit.
    """

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        points = importlib.metadata.entry_points(group=self.namespace)
        return list({(point.name, point.value): point for point in points}.values())


def load(group: str, name: str) -> tuple[InstalledPlugin, Any]:
    """Import one plugin.

    Returns:
        The entry, and the object that it points at, not validated yet.

    Raises:
        UnknownProviderError: None of that name is installed.
        ProviderLoadError: It does not import, or two distributions claim the name.
    """
    plugin = find(group, name)
    try:
        loaded = _FreshDriver(group, name).driver
    except (Exception, SystemExit) as error:
        raise _unfit(plugin, f"does not import: {type(error).__name__}: {error}") from error
    return plugin, loaded


def authenticator_problem(cls: type) -> str | None:
    """What is wrong with an authenticator's class, as the end of a sentence; None if nothing."""
    return _authenticator_problem(cls)


@functools.cache
def _authenticator_problem(cls: Any) -> str | None:
    if not attrs.has(cls):
        return "is not an attrs class: decorate it with @attrs.frozen"
    if any(isinstance(value, type(attrs.field())) for value in vars(cls).values()):
        return "has settings of its own but no decorator: decorate it with @attrs.frozen"
    manager = plugin_manager(Authenticator)
    try:
        manager.register(cls)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        return f"does not fit the hookspec: {' '.join(str(error).split())}"
    implementations = manager.hook.authenticate.get_hookimpls()
    if not [each for each in implementations if not (each.wrapper or each.hookwrapper)]:
        return "has no authenticate() that is marked with @kinetic_auth_core.hookimpl"
    try:
        taken = reserved_names_of(cls)
    except ConfigurationError as error:
        return f"has unusable settings: {error.message}"
    return f"uses reserved setting names: {', '.join(taken)}; rename them" if taken else None


def load_authenticator(name: str) -> tuple[InstalledPlugin, type]:
    """Import and validate a provider's class.

    Raises:
        UnknownProviderError: None of that name is installed.
        ProviderLoadError: It does not import, does not fit the hookspec, or two distributions claim the name.
    """
    plugin, cls = load(AUTHENTICATORS, name)
    if not inspect.isclass(cls):
        raise _unfit(plugin, "is not a class")
    if problem := authenticator_problem(cls):
        raise _unfit(plugin, problem)
    return plugin, cls


def load_key_loader(scheme: str) -> KeyLoaderHooks:
    """Import and validate the key loader for a URI scheme.

    Raises:
        UnknownProviderError: None is installed for it.
        ProviderLoadError: As for authenticators.
    """
    return KeyLoaderHooks(_load_hooks(KEY_LOADERS, scheme, KeyLoader))


def load_session_store(name: str) -> tuple[InstalledPlugin, type[SessionStore]]:
    """Import and validate a session store's class.

    Raises:
        UnknownProviderError: None of that name is installed.
        ProviderLoadError: It does not import, is no attrs class of a `SessionStore`, or two distributions claim
            the name.
    """
    plugin, loaded = load(SESSION_STORES, name)
    if not inspect.isclass(loaded) or not issubclass(loaded, SessionStore):
        raise _unfit(plugin, "is not a class derived from kinetic_auth_core.SessionStore")
    cls: type[SessionStore] = loaded
    if not attrs.has(loaded):
        raise _unfit(plugin, "is not an attrs class: decorate it with @attrs.frozen or @attrs.define")
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise _unfit(plugin, f"lacks {', '.join(missing)}")
    try:
        schema(cls)
    except ConfigurationError as error:
        raise _unfit(plugin, f"has unusable settings: {error.message}") from error
    return plugin, cls


def check_reference(reference: "Reference") -> None:
    """Have a reference looked at by the key loader of its scheme, which fetches nothing for it.

    Raises:
        UnknownProviderError: No key loader is installed for the scheme.
        ProviderLoadError: It does not load, as for authenticators; or it fails at looking.
        KineticAuthError: What the key loader finds wrong.
    """
    plugin = find(KEY_LOADERS, reference.scheme, _EXTRAS.get(reference.rest.partition("/")[0]))
    try:
        load_key_loader(reference.scheme).check_reference(reference)
    except KineticAuthError:
        raise
    except Exception as error:
        raise _unfit(plugin, f"raised {type(error).__name__} in check_reference: {error}") from error


def load_observer(name: str) -> object:
    """Import and validate one observer.

    Raises:
        ProviderLoadError: As for authenticators; or it implements `authenticate` itself instead of wrapping it.
    """
    return _load_hooks(OBSERVERS, name, SessionObserver, Authenticator)


def _load_hooks(group: str, name: str, *specs: type) -> object:
    plugin, loaded = load(group, name)
    try:
        instance: object = loaded() if inspect.isclass(loaded) else loaded
    except Exception as error:
        raise _unfit(plugin, f"cannot be made: {type(error).__name__}: {error}") from error
    manager = plugin_manager(*specs)
    try:
        manager.register(instance)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _unfit(plugin, f"does not fit the hookspec: {' '.join(str(error).split())}") from error
    if group == OBSERVERS and [each for each in manager.hook.authenticate.get_hookimpls() if not each.wrapper]:
        raise _unfit(plugin, "may only wrap authenticate, with @hookimpl(wrapper=True)")
    if [name for name in ("session_issued", "authentication_failed") if _wrappers(manager, name)]:
        raise _unfit(plugin, "may wrap authenticate only; what it is told it cannot wrap")
    if not manager.get_hookcallers(instance):
        raise _unfit(plugin, "implements no hook: none of its methods is marked with @kinetic_auth_core.hookimpl")
    if group == KEY_LOADERS and not manager.hook.load_key.get_hookimpls():
        raise _unfit(plugin, "has no load_key() that is marked with @kinetic_auth_core.hookimpl")
    return instance


def _wrappers(manager: pluggy.PluginManager, hook: str) -> list[pluggy.HookImpl]:
    caller = getattr(manager.hook, hook, None)
    return [each for each in (caller.get_hookimpls() if caller else ()) if each.wrapper or each.hookwrapper]


def _unfit(plugin: InstalledPlugin, what: str) -> ProviderLoadError:
    called = f"the plugin {plugin.name!r} of {plugin.distribution} {plugin.version} ({plugin.target})"
    return ProviderLoadError(f"{called} {what}.", remedy=f"Update {plugin.distribution}, or ask its authors.")
