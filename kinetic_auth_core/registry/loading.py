"""Loading and validation of plugins: stevedore imports the one that is needed, pluggy checks it against the hookspec.

`discovery` knows which are installed and which may be loaded, before any of them is imported.
"""

import functools
import importlib.metadata
import inspect
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs
import pluggy
from stevedore.driver import DriverManager

from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, ProviderLoadError
from kinetic_auth_core.registry.discovery import (
    ALL_ALLOWED,
    AUTHENTICATORS,
    KEY_LOADERS,
    OBSERVERS,
    SESSION_STORES,
    AllowedPlugins,
    InstalledPlugin,
    find,
)
from kinetic_auth_core.registry.hookspecs import (
    Authenticator,
    KeyLoader,
    KeyLoaderHooks,
    SessionObserver,
    plugin_manager,
)
from kinetic_auth_core.settings.schema import reserved_names_of, schema
from kinetic_auth_core.stores.base import SessionStore

if TYPE_CHECKING:
    from kinetic_auth_core.registry.references import Reference

logger = logging.getLogger(__name__)


class _FreshDriver(DriverManager[Any]):
    """stevedore's driver manager for the one plugin that was found.

    stevedore would search a second time, and its cache in the user's cache folder can be stale for two minutes after an
    edit.
    """

    def __init__(self, group: str, plugin: InstalledPlugin) -> None:
        self._plugin = plugin
        super().__init__(group, plugin.name)

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return [self._plugin.point]


def load(group: str, name: str, allowed: AllowedPlugins = ALL_ALLOWED) -> tuple[InstalledPlugin, Any]:
    """Import one plugin.

    Args:
        group: The entry points' group.
        name: The entry point's name.
        allowed: The plugins that may be loaded; no other is imported.

    Returns:
        The entry, and the object that it points at, which is not validated yet.

    Raises:
        UnknownProviderError: No plugin of that name is installed.
        ProviderLoadError: It does not import, may not be loaded, or two distributions claim the name.
    """
    plugin = find(group, name, allowed)
    return plugin, _imported(group, plugin)


def _imported(group: str, plugin: InstalledPlugin) -> Any:
    try:
        return _FreshDriver(group, plugin).driver
    except (Exception, SystemExit) as error:
        raise _invalid(plugin, f"does not import: {type(error).__name__}: {error}") from error


def authenticator_problem(cls: type) -> str | None:
    """Why an authenticator's class is invalid, as the end of a sentence; None if it is valid."""
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


def load_authenticator(name: str, allowed: AllowedPlugins = ALL_ALLOWED) -> tuple[InstalledPlugin, type]:
    """Import and validate a provider's class.

    Raises:
        UnknownProviderError: No plugin of that name is installed.
        ProviderLoadError: It does not import, may not be loaded, does not fit the hookspec, or two distributions
            claim the name.
    """
    plugin, cls = load(AUTHENTICATORS, name, allowed)
    if not inspect.isclass(cls):
        raise _invalid(plugin, "is not a class")
    if problem := authenticator_problem(cls):
        raise _invalid(plugin, problem)
    return plugin, cls


def load_key_loader(scheme: str, allowed: AllowedPlugins = ALL_ALLOWED) -> KeyLoaderHooks:
    """Import and validate the key loader for a URI scheme.

    Raises:
        UnknownProviderError: No key loader is installed for it.
        ProviderLoadError: As for authenticators.
    """
    return KeyLoaderHooks(_hooks_of(KEY_LOADERS, find(KEY_LOADERS, scheme, allowed), KeyLoader))


def load_session_store(name: str, allowed: AllowedPlugins = ALL_ALLOWED) -> tuple[InstalledPlugin, type[SessionStore]]:
    """Import and validate a session store's class.

    Raises:
        UnknownProviderError: No plugin of that name is installed.
        ProviderLoadError: It does not import, may not be loaded, is not an attrs class derived from `SessionStore`, or
            two distributions claim the name.
    """
    plugin, loaded = load(SESSION_STORES, name, allowed)
    if not inspect.isclass(loaded) or not issubclass(loaded, SessionStore):
        raise _invalid(plugin, "is not a class derived from kinetic_auth_core.SessionStore")
    cls: type[SessionStore] = loaded
    if not attrs.has(loaded):
        raise _invalid(plugin, "is not an attrs class: decorate it with @attrs.frozen or @attrs.define")
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise _invalid(plugin, f"lacks {', '.join(missing)}")
    try:
        schema(cls)
    except ConfigurationError as error:
        raise _invalid(plugin, f"has unusable settings: {error.message}") from error
    return plugin, cls


def check_reference(reference: "Reference", allowed: AllowedPlugins = ALL_ALLOWED) -> InstalledPlugin:
    """Have the key loader of its scheme check a reference; nothing is fetched.

    Returns:
        The key loader's plugin.

    Raises:
        UnknownProviderError: No key loader is installed for the scheme.
        ProviderLoadError: The key loader does not load, as for authenticators; or it fails while checking.
        KineticAuthError: The key loader rejects the reference.
    """
    plugin = find(KEY_LOADERS, reference.scheme, allowed, place=reference.rest.partition("/")[0])
    try:
        KeyLoaderHooks(_hooks_of(KEY_LOADERS, plugin, KeyLoader)).check_reference(reference)
    except KineticAuthError:
        raise
    except Exception as error:
        raise _invalid(plugin, f"raised {type(error).__name__} in check_reference: {error}") from error
    return plugin


def load_observer(name: str, allowed: AllowedPlugins = ALL_ALLOWED) -> object:
    """Import and validate one observer.

    Raises:
        ProviderLoadError: As for authenticators; or it implements `authenticate` instead of wrapping it.
    """
    return _hooks_of(OBSERVERS, find(OBSERVERS, name, allowed), SessionObserver, Authenticator)


def _hooks_of(group: str, plugin: InstalledPlugin, *specs: type) -> object:
    loaded = _imported(group, plugin)
    try:
        instance: object = loaded() if inspect.isclass(loaded) else loaded
    except Exception as error:
        raise _invalid(plugin, f"cannot be instantiated: {type(error).__name__}: {error}") from error
    manager = plugin_manager(*specs)
    try:
        manager.register(instance)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _invalid(plugin, f"does not fit the hookspec: {' '.join(str(error).split())}") from error
    if group == OBSERVERS and [each for each in manager.hook.authenticate.get_hookimpls() if not each.wrapper]:
        raise _invalid(plugin, "may only wrap authenticate, with @hookimpl(wrapper=True)")
    if [name for name in ("session_issued", "authentication_failed") if _wrappers(manager, name)]:
        raise _invalid(plugin, "may wrap authenticate only, not the hooks that notify it")
    if not manager.get_hookcallers(instance):
        raise _invalid(plugin, "implements no hook: none of its methods is marked with @kinetic_auth_core.hookimpl")
    if group == KEY_LOADERS and not manager.hook.load_key.get_hookimpls():
        raise _invalid(plugin, "has no load_key() that is marked with @kinetic_auth_core.hookimpl")
    return instance


def _wrappers(manager: pluggy.PluginManager, hook: str) -> list[pluggy.HookImpl]:
    caller = getattr(manager.hook, hook, None)
    return [each for each in (caller.get_hookimpls() if caller else ()) if each.wrapper or each.hookwrapper]


def _invalid(plugin: InstalledPlugin, what: str) -> ProviderLoadError:
    remedy = f"Update {plugin.distribution}, or report this to its authors."
    return ProviderLoadError(f"{plugin.label} {what}.", remedy=remedy)


_loading = ContextVar("kinetic_auth_loading_observers", default=False)


def are_loading() -> bool:
    """Whether the caller is an observer that is being loaded: if it logs in meanwhile, that login has no observers.

    Otherwise the observer would be made again for that login, and log in again, endlessly.
    """
    return _loading.get()


def load_observers(allowed: AllowedPlugins) -> list[tuple[str, object]]:
    """All installed observers that can be loaded, each with its name; the others are skipped with a warning.

    Args:
        allowed: The plugins that may be loaded; no other is imported.
    """
    token = _loading.set(True)
    try:
        return _loaded(allowed.searched_once())
    finally:
        _loading.reset(token)


def _loaded(allowed: AllowedPlugins) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    try:
        names = dict.fromkeys(plugin.name for plugin in allowed.search(OBSERVERS))
    except KineticAuthError as error:
        logger.warning("observers are skipped: %s", error)
        return found
    for name in names:
        try:
            found.append((name, load_observer(name, allowed)))
        except KineticAuthError as error:
            logger.warning("an observer is skipped: %s", error)
    return found
