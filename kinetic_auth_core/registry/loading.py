"""Loading of plugins: stevedore imports one, pluggy checks it against the hookspec; and the observers of a source."""

import functools
import importlib.metadata
import inspect
import json
import logging
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import attrs
import pluggy
from stevedore.driver import DriverManager

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, ProviderLoadError, UnknownProviderError
from kinetic_auth_core.redaction import describe, mask, redact_error, redacted_cause
from kinetic_auth_core.registry.discovery import (
    ALL_ALLOWED,
    AUTHENTICATORS,
    KEY_LOADERS,
    OBSERVERS,
    SESSION_STORES,
    TABLE_KEYS,
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
from kinetic_auth_core.registry.validation import (
    hook_mistake,
    marked,
    method_mistake,
    reserved_names_of,
    settings_mistake,
    spec_mistake,
)
from kinetic_auth_core.settings.schema import schema

if TYPE_CHECKING:
    from kinetic_auth_core.locations import Reference
    from kinetic_auth_core.stores.base import SessionStore


logger = logging.getLogger(__name__)


def import_modules_of(plugin: object) -> None:
    """Have a plugin import the modules that it needs later, if it has `import_modules`.

    One that cannot be imported is reported by the login that needs it, in the words of the plugin.

    Args:
        plugin: A provider or session store: its class, or an instance.
    """
    import_modules = getattr(plugin, "import_modules", None)
    try:
        if import_modules is not None:
            import_modules()
    except Exception as error:  # noqa: BLE001 - a plugin's code
        raise_interruption(error)
        logger.debug("import_modules() of %s raised %s", plugin, type(error).__name__)


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
        raise_interruption(error)
        failure = _invalid(plugin, f"does not import: {describe(error)}", "does not import")
        module = plugin.target.partition(":")[0]
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            keep = f"have it kept, such as by PyInstaller's --hidden-import {module}."
            failure.remedy += f" Where the packaging has left its module out, {keep}"
        raise failure from error


def authenticator_problem(cls: type) -> str | None:
    """Why an authenticator's class is invalid, as the end of a sentence; None if it is valid."""
    return _authenticator_problem(cls)


@functools.cache
def _authenticator_problem(cls: Any) -> str | None:
    if not attrs.has(cls):
        return "is not an attrs class: decorate it with @attrs.frozen"
    if mistake := hook_mistake(hooks := marked(cls)) or method_mistake(cls) or spec_mistake(cls, hooks, Authenticator):
        return mistake
    manager = plugin_manager(Authenticator)
    try:
        manager.register(cls, cls.__qualname__)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        return f"does not fit the hookspec: {' '.join(str(error).split())}"
    implementations = manager.hook.authenticate.get_hookimpls()
    if not [each for each in implementations if not (each.wrapper or each.hookwrapper)]:
        return "has no authenticate() that is marked with @kinetic_auth_core.hookimpl"
    if mistake := settings_mistake(cls):
        return mistake
    taken = reserved_names_of(cls)
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
    return KeyLoaderHooks(_hooks_of(KEY_LOADERS, find(KEY_LOADERS, scheme, allowed), allowed))


def load_session_store(
    name: str, allowed: AllowedPlugins = ALL_ALLOWED
) -> "tuple[InstalledPlugin, type[SessionStore]]":
    """Import and validate a session store's class.

    Raises:
        UnknownProviderError: No plugin of that name is installed.
        ProviderLoadError: It does not import, may not be loaded, is not an attrs class derived from `SessionStore`, or
            two distributions claim the name.
    """
    from kinetic_auth_core.stores.base import SessionStore

    plugin, loaded = load(SESSION_STORES, name, allowed)
    if not inspect.isclass(loaded) or not issubclass(loaded, SessionStore):
        raise _invalid(plugin, "is not a class derived from kinetic_auth_core.SessionStore")
    cls: type[SessionStore] = loaded
    if not attrs.has(loaded):
        raise _invalid(plugin, "is not an attrs class: decorate it with @attrs.frozen or @attrs.define")
    if mistake := method_mistake(cls) or settings_mistake(cls):
        raise _invalid(plugin, mistake)
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
    hooks = KeyLoaderHooks(_hooks_of(KEY_LOADERS, plugin, allowed))
    try:
        hooks.check_reference(reference)
    except KineticAuthError as error:
        raise_interruption(error)
        redact_error(error, hooks.secrets)
        raise
    except Exception as error:  # noqa: BLE001 - raised again below
        raise_interruption(error)
        cause = redacted_cause(error, hooks.secrets)
        what = f"raised {type(error).__name__} in check_reference: {mask(str(error), hooks.secrets)}"
    else:
        return plugin
    raise _invalid(plugin, what) from cause


def load_observer(name: str, allowed: AllowedPlugins = ALL_ALLOWED) -> object:
    """Import and validate one observer.

    Raises:
        ProviderLoadError: As for authenticators; or it implements `authenticate` instead of wrapping it.
    """
    return _hooks_of(OBSERVERS, find(OBSERVERS, name, allowed), allowed)


def _hooks_of(group: str, plugin: InstalledPlugin, allowed: AllowedPlugins) -> object:
    """An observer's or key loader's object, checked; a class is made with the settings of its table.

    Raises:
        ProviderLoadError: It does not import, cannot be made, or does not fit.
        ConfigurationError: Its table in the config file has wrong settings.
    """
    loaded = _imported(group, plugin)
    if problem := hook_mistake(marked(loaded)):
        raise _invalid(plugin, problem)
    instance = _made(group, plugin, loaded, allowed)
    if problem := hooks_problem(group, instance):
        raise _invalid(plugin, problem)
    return instance


def _made(group: str, plugin: InstalledPlugin, loaded: Any, allowed: AllowedPlugins) -> object:
    table = allowed.tables.get((group, plugin.name))
    has_settings = inspect.isclass(loaded) and attrs.has(loaded)
    if table is not None and table.settings and not has_settings:
        raise ConfigurationError(
            f"{table.source} has {' and '.join(table.settings)}, but {plugin.label} has no settings, as it is not an "
            "attrs class."
        )
    if not inspect.isclass(loaded):
        return loaded
    if has_settings:
        _check_settings(group, plugin, loaded, has_table=table is not None)
    try:
        if has_settings and table is not None and allowed.make is not None:
            return allowed.make(table, loaded)
        return loaded()
    except ConfigurationError:
        raise
    except Exception as error:
        raise_interruption(error)
        raise _invalid(plugin, f"cannot be instantiated: {describe(error)}") from error


def _check_settings(group: str, plugin: InstalledPlugin, cls: type, *, has_table: bool) -> None:
    if mistake := settings_mistake(cls):
        raise _invalid(plugin, mistake)
    settings = schema(cls)
    if taken := sorted({each.name for each in settings} & {*TABLE_KEYS}):
        raise _invalid(plugin, f"uses reserved setting names: {', '.join(taken)}; rename them")
    if not has_table and (needed := [each.name for each in settings if each.required]):
        if problem := hooks_problem(group, cls):
            raise _invalid(plugin, problem)
        table = f"[{group.partition('.')[2]}.{plugin.name}]"
        raise ProviderLoadError(
            f"{plugin.label} needs {' and '.join(needed)}.",
            remedy=f"Give it in {table} of the config file.",
            state="needs settings",
        )


def hooks_problem(group: str, instance: object) -> str | None:
    """Why an observer's or key loader's object does not fit, as the end of a sentence; None if it does.

    Args:
        group: `kinetic_auth.observers` or `kinetic_auth.key_loaders`.
        instance: The object, or a module.
    """
    specs = (SessionObserver, Authenticator) if group == OBSERVERS else (KeyLoader,)
    if mistake := hook_mistake(hooks := marked(instance)) or spec_mistake(instance, hooks, *specs):
        return mistake
    manager = plugin_manager(*specs)
    try:
        manager.register(instance, getattr(instance, "__name__", type(instance).__qualname__))
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        return f"does not fit the hookspec: {' '.join(str(error).split())}"
    if not manager.get_hookcallers(instance):
        return "implements no hook: none of its methods is marked with @kinetic_auth_core.hookimpl"
    if group == KEY_LOADERS:
        has_hook = manager.hook.load_key.get_hookimpls()
        return None if has_hook else "has no load_key() that is marked with @kinetic_auth_core.hookimpl"
    if [each for each in manager.hook.authenticate.get_hookimpls() if not each.wrapper]:
        return "may only wrap authenticate, with @hookimpl(wrapper=True)"
    if any(_wrappers(manager, name) for name in ("session_issued", "authentication_failed", "session_invalidated")):
        return "may wrap authenticate only, not the hooks that notify it"
    return None


def _wrappers(manager: pluggy.PluginManager, hook: str) -> list[pluggy.HookImpl]:
    caller = getattr(manager.hook, hook, None)
    return [each for each in (caller.get_hookimpls() if caller else ()) if each.wrapper or each.hookwrapper]


def _invalid(plugin: InstalledPlugin, what: str, state: str = "does not fit") -> ProviderLoadError:
    remedy = f"{_mending(plugin)}, or report this to its authors."
    return ProviderLoadError(f"{plugin.label} {what}.", remedy=remedy, state=state)


def _mending(plugin: InstalledPlugin) -> str:
    """What mends a plugin: its source, if it is installed editable (PEP 610); else another version."""
    try:
        text = getattr(plugin.point.dist, "read_text", lambda _: None)("direct_url.json")
        origin = json.loads(text or "{}")
        if origin["dir_info"]["editable"] is True:
            module, folder = plugin.target.partition(":")[0], unquote(urlsplit(origin["url"]).path)
            return f"If it is yours, mend {module} in {folder}"
    except (ValueError, LookupError, TypeError, AttributeError, OSError):  # not there, or written by something else
        pass
    return f"Update {plugin.distribution}"


Named = tuple[str, object]


class Observers:
    """The observers that a source has before its first login.

    Attributes:
        configured: Those with a table in the config file, each with its name.
        given: The application's own, each with a name.
    """

    def __init__(self, configured: tuple[Named, ...] = (), given: tuple[Named, ...] = ()) -> None:
        self.configured, self.given = configured, given

    def with_installed(self, allowed: AllowedPlugins) -> list[Named]:
        """All observers: these, and the installed ones without a table that can be loaded; others with a warning.

        Args:
            allowed: The plugins that may be loaded; no other is imported.
        """
        is_nested = _loading.get()
        try:
            _loading.set(True)
            installed = _without_table(allowed)
        finally:
            _loading.set(is_nested)  # one call in C, which a signal cannot come before
        by_name = sorted([*self.configured, *installed], key=lambda named: named[0])
        names = {name for name, _ in by_name}
        return [*by_name, *((_unique(name, names), observer) for name, observer in self.given)]


NO_OBSERVERS = Observers()


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
    is_nested = _loading.get()
    try:
        _loading.set(True)
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
    finally:
        _loading.set(is_nested)  # as above
    return tuple(found), tuple(problems)


_loading = ContextVar("kinetic_auth_loading_observers", default=False)


def are_loading() -> bool:
    """Whether the caller is an observer that is being loaded: if it logs in meanwhile, that login has no observers.

    Otherwise the observer would be made again for that login, and log in again, endlessly.
    """
    return _loading.get()


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
