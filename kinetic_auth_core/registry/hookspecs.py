"""The contract of plugins: pluggy's hookspecs, and the one typed facade through which hooks are called.

Which plugin is wanted and where it is installed is the registry's affair.
"""

import logging
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pluggy

from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.events import LoginEvent
from kinetic_auth_core.session import SalesforceSession

if TYPE_CHECKING:
    from kinetic_auth_core.registry.references import Reference

PROJECT = "kinetic_auth"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

logger = logging.getLogger(__name__)

_OF_OBSERVERS = ("authenticate", "session_issued", "authentication_failed")

#: The observers that are being told of something, by name.
_being_told: ContextVar[frozenset[str]] = ContextVar("kinetic_auth_being_told", default=frozenset())


@runtime_checkable
class Signer(Protocol):
    """Something that signs, without handing out its key: a local key, or a key in a KMS.

    It may also have `public_key() -> bytes`, its public half in PEM, of which `kinetic-auth cert` makes a certificate.

    Attributes:
        algorithm: The JWS algorithm (RFC 7518), for example `RS256`.
        key_id: Which key it is, for logs; no secret.
    """

    @property
    def algorithm(self) -> str: ...  # noqa: D102 - described above

    @property
    def key_id(self) -> str: ...  # noqa: D102 - described above

    def sign(self, message: bytes) -> bytes:
        """Sign `message`; the raw signature bytes."""
        ...


class Authenticator:
    """Group `kinetic_auth.authenticators`: an attrs class that makes one kind of login."""

    @hookspec(firstresult=True)
    def authenticate(self) -> SalesforceSession | None:
        """Log in now, and give the session."""


class KeyLoader:
    """Group `kinetic_auth.key_loaders`: turns a reference into a secret. The entry point's name is the URI scheme."""

    @hookspec(firstresult=True)
    def load_key(self, reference: "Reference") -> "bytes | Signer | None":
        """Fetch what `reference` names: its bytes, or a `Signer` for a key that stays where it is."""

    @hookspec
    def check_reference(self, reference: "Reference") -> None:
        """Raise a `KeyLoadError` for a reference that is written wrong. Optional; `resolve` asks, so fetch nothing."""


class SessionObserver:
    """Group `kinetic_auth.observers`: is told of each login. It may also wrap `authenticate`."""

    @hookspec
    def session_issued(self, provider: str, session: SalesforceSession, event: LoginEvent) -> None:
        """A login gave `session`, which holds the token."""

    @hookspec
    def authentication_failed(self, provider: str, error: KineticAuthError, event: LoginEvent) -> None:
        """A login failed with `error`: an `AuthenticationError`, or what kept it from being made, such as a key's."""


def plugin_manager(*specs: type) -> pluggy.PluginManager:
    """A new plugin manager that knows these hookspecs."""
    manager = pluggy.PluginManager(PROJECT)
    for spec in specs:
        manager.add_hookspecs(spec)
    return manager


class _Apart:
    """A plugin's hook implementations and nothing else of it.

    It is equal to nothing else: pluggy takes no two plugins that are equal. And it has no properties, which may raise:
    pluggy before 1.7 asks for all that a plugin has.
    """

    def __init__(self, plugin: object, names: Iterable[str]) -> None:
        for name in names:
            if (implementation := getattr(plugin, name, None)) is not None:
                setattr(self, name, implementation)


def _marked(cls: type) -> list[str]:
    """The names of a class's hook implementations."""
    return [name for name in dir(cls) if hasattr(getattr(cls, name, None), f"{PROJECT}_impl")]


class LoginHooks:
    """One provider instance and the observers, as one source calls them.

    Args:
        provider: The authenticator's instance; None where it could not even be made.
        observers: Plugins that watch logins or wrap `authenticate`, each with its name.
    """

    def __init__(self, provider: object | None, observers: Iterable[tuple[str, object]] = ()) -> None:
        self._manager = plugin_manager(Authenticator, SessionObserver)
        for name, observer in observers:
            self._manager.register(_Apart(observer, _OF_OBSERVERS), name)
        if provider is not None:
            self._manager.register(_Apart(provider, _marked(type(provider))))

    @property
    def wrappers(self) -> list[str]:
        """The observers that wrap `authenticate`, by name."""
        return [each.plugin_name for each in self._manager.hook.authenticate.get_hookimpls() if each.wrapper]

    def authenticate(self) -> object:
        """Call the provider's `authenticate` inside the observers' wrappers."""
        return self._manager.hook.authenticate()

    def session_issued(self, provider: str, session: SalesforceSession, event: LoginEvent) -> None:
        """Tell the observers of a success."""
        self._tell("session_issued", provider=provider, session=session, event=event)

    def authentication_failed(self, provider: str, error: KineticAuthError, event: LoginEvent) -> None:
        """Tell the observers of a failure."""
        self._tell("authentication_failed", provider=provider, error=error, event=event)

    def _tell(self, hook: str, **facts: Any) -> None:
        """Call each implementation by itself, so that one that raises takes nothing from the others.

        An observer is not told of logins that it makes when it is told of one: it would make another for each, without
        end.
        """
        busy = _being_told.get()
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin_name in busy:
                continue
            token = _being_told.set(busy | {implementation.plugin_name})
            try:
                implementation.function(*(facts[name] for name in implementation.argnames))
            except Exception as error:  # noqa: BLE001 - an observer is other people's code
                logger.warning(
                    "observer %s raised %s in %s; the login goes on",
                    *(implementation.plugin_name, type(error).__name__, hook),
                )
            finally:
                _being_told.reset(token)


class KeyLoaderHooks:
    """One key loader, as references are resolved through it.

    Args:
        loader: The key loader's instance or module.
    """

    def __init__(self, loader: object) -> None:
        self._manager = plugin_manager(KeyLoader)
        self._manager.register(loader)

    def load_key(self, reference: "Reference") -> object:
        """Call the loader; what it gives is not checked yet."""
        return self._manager.hook.load_key(reference=reference)

    def check_reference(self, reference: "Reference") -> None:
        """Have the loader look at a reference, if it does such a thing; what it raises is passed on as it is."""
        self._manager.hook.check_reference(reference=reference)
