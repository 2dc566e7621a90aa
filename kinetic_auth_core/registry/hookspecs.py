"""The contract of plugins: pluggy's hookspecs, what hooks get, and the typed classes through which hooks are called.

A hook gets the request of a login, which says why it is made, or its event, which says how it went.

`discovery` and `loading` find and load plugins.
"""

import functools
import inspect
import logging
import os
import sys
import time
import traceback
from collections.abc import Collection
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import attrs
import pluggy

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError, KineticAuthError
from kinetic_auth_core.redaction import describe, redact_error, redacted_cause
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.schema import secret_texts
from kinetic_auth_core.transport.connections import current_tally

if TYPE_CHECKING:
    from kinetic_auth_core.locations import Reference

PROJECT = "kinetic_auth"

#: The version of the contract between the core and plugins: hooks, their arguments, and what plugins may import.
CONTRACT_VERSION = 2

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

logger = logging.getLogger(__name__)

#: The names of the observers that are being called.
_being_called: ContextVar[frozenset[str]] = ContextVar("kinetic_auth_being_called", default=frozenset())


@runtime_checkable
class Signer(Protocol):
    """Signs without revealing its key: a local key, or a key in a KMS.

    It may also have `public_key() -> bytes`, its public half in PEM: `kinetic-auth cert` makes a certificate from it.

    Attributes:
        algorithm: The JWS algorithm (RFC 7518), for example `RS256`.
        key_id: Identifies the key in logs; not a secret.
    """

    @property
    def algorithm(self) -> str: ...  # noqa: D102 - described above

    @property
    def key_id(self) -> str: ...  # noqa: D102 - described above

    def sign(self, message: bytes) -> bytes:
        """Sign `message` and return the raw signature bytes."""
        ...


#: Why a login is made.
Reason = Literal["first", "refresh", "rejected", "asked"]
#: `1`: a person may be asked, even without a terminal; `0`: nobody may. Read from the process alone.
INTERACTIVE_VARIABLE = "KINETIC_AUTH_INTERACTIVE"


class ProviderState(Protocol):
    """A secret that a provider keeps from login to login, such as a refresh token that rotates.

    It is kept in the source's store, apart from the session and encrypted where the store encrypts, until 400 days
    after its last change. The provider, the login URL, the client id and the configured seed are its name.
    """

    def get(self) -> str | None:
        """The secret; None if there is none yet, and the login uses the configured one."""

    def replace(self, value: str) -> None:
        """Keep another one from now on; a newer one is not overwritten.

        It returns when the store has it for good. Where the store cannot take it, the process keeps it, goes on
        trying, and warns.
        """


@runtime_checkable
class AcceptedState(Protocol):
    """A state that asks to be notified of a good answer."""

    def note_accepted(self) -> None:
        """Note that there was a good answer: a secret that it did not replace can be used again."""


def checked_state(value: object) -> str:
    """What a provider wants to keep.

    Raises:
        ConfigurationError: It is not text: it would be stored, and could not be read.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"state.replace() was given {type(value).__name__}, not text; nothing was kept.")
    return value


class InstanceState:
    """A state in memory: that of an authenticator which is used without a source."""

    def __init__(self) -> None:
        self._value: str | None = None

    def get(self) -> str | None:
        """The secret; None if there is none yet."""
        return self._value

    def replace(self, value: str) -> None:
        """Keep another one from now on."""
        self._value = checked_state(value)


@attrs.frozen(kw_only=True)
class LoginRequest:
    """One login, as the source asks for it.

    Attributes:
        provider: The provider's entry-point name; the class name of an instance made by hand.
        environment: The environment of the config file, or None.
        host: The login host, if the provider has a `login_url`.
        username: The Salesforce user, if the provider has that setting.
        reason: `first`: there was no session; `refresh`: the lifetime of the session ends or has ended; `rejected`:
            `invalidate` reported a 401; `asked`: `authenticate()` was called.
        rejected: The session that was reported; with the reason `rejected` only. It holds the token.
        interactive: Whether a person may be asked. Never in a background refresh; otherwise where stdin is a terminal,
            or as the variable KINETIC_AUTH_INTERACTIVE says. A login that needs a person where this is False raises an
            `InteractionRequiredError`.
        now: Unix seconds, by the server's clock as far as known.
        attempt: Which try of this login it is, from 1.
        state: What the provider keeps from login to login.
    """

    provider: str = ""
    environment: str | None = None
    host: str | None = None
    username: str | None = None
    reason: Reason = "asked"
    rejected: SalesforceSession | None = None
    interactive: bool = False
    now: float = attrs.field(factory=time.time)
    attempt: int = 1
    state: ProviderState = attrs.field(factory=InstanceState, repr=False, eq=False)


def may_ask_a_person() -> bool:
    """Whether a login in the foreground may ask a person."""
    wanted = os.environ.get(INTERACTIVE_VARIABLE, "").strip().lower()
    if wanted in {"0", "false", "no", "off"}:
        return False
    if wanted in {"1", "true", "yes", "on"}:
        return True
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something else
        return False


@attrs.frozen
class LoginEvent:
    """The facts of one login, or of a session that was reported dead; without a secret.

    Attributes:
        provider: The provider's entry-point name; its class name if the application made the instance.
        distribution: The provider's package, as `name version`; None if the application made the instance.
        environment: The environment of the config file, or None.
        host: The login host, if the provider has a `login_url`.
        username: The Salesforce user, if the provider knows.
        org_id: The org of the session; None if the login failed.
        reason: Why there was a login: `first`, `refresh` before the end, `rejected` after a 401, `asked` by
            `authenticate()`. Of a session that was reported dead: `rejected`.
        attempts: Requests to the token endpoint; 0 if none was sent, or the plugin sends its own.
        duration_s: Seconds, by the monotonic clock.
        waited_s: Seconds of it that were pauses between requests.
        key_fingerprint: SHA-256 of the signing key's public key (SubjectPublicKeyInfo, DER), as hex; None without one.
    """

    provider: str
    distribution: str | None = None
    environment: str | None = None
    host: str | None = None
    username: str | None = None
    org_id: str | None = None
    reason: str = "first"
    attempts: int = 0
    duration_s: float = 0.0
    key_fingerprint: str | None = None
    waited_s: float = 0.0


class Authenticator:
    """Group `kinetic_auth.authenticators`: an attrs class for one kind of login."""

    @hookspec(firstresult=True)
    def authenticate(self, request: LoginRequest) -> SalesforceSession | None:
        """Log in now, as `request` says, and return the session. An implementation may leave `request` out."""


class KeyLoader:
    """Group `kinetic_auth.key_loaders`: turns a reference into a secret. The entry point's name is the URI scheme."""

    @hookspec(firstresult=True)
    def load_key(self, reference: "Reference") -> "bytes | Signer | None":
        """Fetch what `reference` names: its bytes, or a `Signer` for a key that does not leave its KMS."""

    @hookspec
    def check_reference(self, reference: "Reference") -> None:
        """Raise a `KeyLoadError` for a malformed reference. Optional; `resolve` calls it, so fetch nothing."""

    @hookspec
    def import_modules(self, reference: "Reference") -> None:
        """Import what `load_key` needs for `reference`, such as an SDK. Optional; called when a source is made.

        So no login imports: a fork, another thread or a signal would meet modules that are half there.
        """

    @hookspec(firstresult=True)
    def identity(self, reference: "Reference") -> str | None:
        """Whom a reference names whose value is fresh at each login, such as `iss` and `sub` of a token. Optional.

        Sources with references of the same identity may share a session. It is asked before the store is.
        """


class SessionObserver:
    """Group `kinetic_auth.observers`: is notified of logins and dead sessions. It may also wrap `authenticate`."""

    @hookspec
    def session_issued(self, provider: str, session: SalesforceSession, event: LoginEvent) -> None:
        """A login returned `session`, which holds the token."""

    @hookspec
    def authentication_failed(self, provider: str, error: KineticAuthError, event: LoginEvent) -> None:
        """A login failed with `error`: an `AuthenticationError`, or what prevented it, such as a `KeyLoadError`."""

    @hookspec
    def session_invalidated(self, provider: str, session: SalesforceSession, event: LoginEvent) -> None:
        """`session` was reported dead, typically after a 401; once for each session."""


class _PluginManager(pluggy.PluginManager):
    """pluggy's manager, which does not look for hooks in what each object has.

    Each source has one, and most of the time that its making takes would be spent there.
    """

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        return None if name in _OF_EACH_OBJECT else super().parse_hookspec_opts(module_or_class, name)

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        return None if name in _OF_EACH_OBJECT else super().parse_hookimpl_opts(plugin, name)


_OF_EACH_OBJECT = frozenset(dir(type("_Any", (), {})()))


def plugin_manager(*specs: type) -> pluggy.PluginManager:
    """A new plugin manager with these hookspecs."""
    manager = _PluginManager(PROJECT)
    for spec in specs:
        manager.add_hookspecs(spec)
    return manager


class _HookImplementations:
    """A plugin's hook implementations without its other attributes.

    It equals nothing else, because pluggy rejects two plugins that are equal. It has no properties, which could raise:
    pluggy before 1.7 reads every attribute of a plugin.
    """

    def __init__(self, plugin: object) -> None:
        cls: Any = type(plugin)
        for name in sorted({*_hook_names(cls), *getattr(plugin, "__dict__", ())}):
            if hasattr(inspect.getattr_static(plugin, name, None), f"{PROJECT}_impl"):
                implementation = getattr(plugin, name)
                hook = getattr(implementation, f"{PROJECT}_impl", {}).get("specname") or name
                setattr(self, name, _with_request(implementation) if hook == "authenticate" else implementation)


@functools.cache
def _hook_names(cls: Any) -> tuple[str, ...]:
    """The names of the hook implementations of a class."""
    names = (name for name in dir(cls) if not name.startswith("__"))
    return tuple(name for name in names if hasattr(inspect.getattr_static(cls, name, None), f"{PROJECT}_impl"))


def _with_request(implementation: Any) -> Any:
    """An implementation of `authenticate` as pluggy passes it `request`: it passes no argument that has a default."""
    try:
        parameter = inspect.signature(implementation).parameters.get("request")
    except (TypeError, ValueError):  # somebody else's callable
        parameter = None
    if parameter is None or parameter.default is parameter.empty:
        return implementation

    def authenticate(request: LoginRequest) -> Any:
        return implementation(request=request)

    def wrapper(request: LoginRequest) -> Any:
        return (yield from implementation(request=request))

    made = wrapper if inspect.isgeneratorfunction(implementation) else authenticate
    mark = f"{PROJECT}_impl"
    if (options := getattr(implementation, mark, None)) is not None:
        setattr(made, mark, options)
    return made


class _Innermost:
    """Counts the logins that no wrapper has refused: the last one to be registered is the innermost."""

    @hookimpl(wrapper=True, trylast=True)
    def authenticate(self) -> Any:
        current_tally().asked += 1
        return (yield)


_INNERMOST = "kinetic-auth: innermost"


class LoginHooks:
    """One provider instance and the observers, as one source calls them.

    Args:
        provider: The authenticator's instance; None if it could not be made.
        observers: Plugins that observe logins or wrap `authenticate`, each with its name.
    """

    def __init__(self, provider: object | None, observers: Collection[tuple[str, object]] = ()) -> None:
        self._manager = plugin_manager(Authenticator, SessionObserver)
        self._plugins = [provider, *(observer for _, observer in observers)]
        for name, observer in observers:
            self._manager.register(_HookImplementations(observer), name)
        if provider is not None:
            self._manager.register(_HookImplementations(provider))
            self._manager.register(_Innermost(), _INNERMOST)

    @property
    def secrets(self) -> list[str]:
        """The texts in the secret settings of the provider and the observers, which messages must not contain."""
        return [text for plugin in self._plugins for text in secret_texts(plugin)]

    @property
    def wrappers(self) -> list[str]:
        """The observers that wrap `authenticate`, by name."""
        found = self._manager.hook.authenticate.get_hookimpls()
        return [each.plugin_name for each in found if each.wrapper and each.plugin_name != _INNERMOST]

    def authenticate(self, request: LoginRequest) -> object:
        """Call the provider's `authenticate` inside the observers' wrappers."""
        return self._manager.hook.authenticate(request=request)

    def session_issued(self, provider: str, session: SalesforceSession, event: LoginEvent) -> None:
        """Notify the observers of a success."""
        self._notify("session_issued", provider=provider, session=session, event=event)

    def authentication_failed(self, provider: str, error: KineticAuthError, event: LoginEvent) -> None:
        """Notify the observers of a failure."""
        self._notify("authentication_failed", provider=provider, error=error, event=event)

    def session_invalidated(self, provider: str, session: SalesforceSession, event: LoginEvent) -> None:
        """Notify the observers of a session that was reported dead."""
        self._notify("session_invalidated", provider=provider, session=session, event=event)

    def _notify(self, hook: str, **facts: Any) -> None:
        """Call each implementation separately, so that the others are called even if one raises; in pluggy's order.

        An observer that logs in while it is called is not called for that login: it would log in again, endlessly.
        """
        busy = _being_called.get()
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            if implementation.plugin_name in busy:
                continue
            token = _being_called.set(busy | {implementation.plugin_name})
            try:
                implementation.function(*(facts[name] for name in implementation.argnames))
            except Exception as error:  # noqa: BLE001 - an observer may raise anything
                raise_interruption(error)
                logger.warning(
                    "observer %s raised %s in %s; the login continues%s",
                    *(implementation.plugin_name, type(error).__name__, hook, _place(error)),
                )
            finally:
                _being_called.reset(token)


def _place(error: BaseException) -> str:
    """Where an observer raised: the last line in the file of its hook, as ` (file:line)`; no values."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)][1:]
    own = [f" ({file}:{line})" for file, line in frames if file == frames[0][0]]
    return own[-1] if own else ""


class KeyLoaderHooks:
    """One key loader, which resolves references.

    Args:
        loader: The key loader's instance or module.
    """

    def __init__(self, loader: object) -> None:
        self._loader = loader
        self._manager = plugin_manager(KeyLoader)
        self._manager.register(_HookImplementations(loader))

    @property
    def secrets(self) -> list[str]:
        """The texts in the loader's own secret settings, which messages must not contain."""
        return secret_texts(self._loader)

    def load_key(self, reference: "Reference") -> object:
        """Fetch what a reference names. The result is not checked yet.

        Raises:
            KeyLoadError: The key loader raised something else than a `KineticAuthError`.
            KineticAuthError: As the key loader raised it.
        """
        try:
            return self._manager.hook.load_key(reference=reference)
        except KineticAuthError as error:
            raise_interruption(error)
            redact_error(error, self.secrets)
            raise
        except Exception as error:  # noqa: BLE001 - raised again below
            raise_interruption(error)
            cause = redacted_cause(error, self.secrets)
        raise KeyLoadError(f"{reference}: the key loader raised {describe(cause)}") from cause

    def identity(self, reference: "Reference") -> str | None:
        """Whom a reference names; None if the key loader does not implement the hook, so that its value counts.

        Raises:
            KeyLoadError: The key loader raised something else than a `KineticAuthError`, or did not return text.
            KineticAuthError: As the key loader raised it.
        """
        cause: BaseException | None = None
        try:
            found: object = self._manager.hook.identity(reference=reference)
        except KineticAuthError as error:
            raise_interruption(error)
            redact_error(error, self.secrets)
            raise
        except Exception as error:  # noqa: BLE001 - raised again below
            raise_interruption(error)
            cause = redacted_cause(error, self.secrets)
            what = f"raised {describe(cause)}"
        else:
            if found is None or (isinstance(found, str) and found):
                return found
            what = "returned an empty text" if found == "" else f"returned {type(found).__name__} instead of text"
        raise KeyLoadError(f"{reference}: identity() of its key loader {what}.") from cause

    def import_modules(self, reference: "Reference") -> None:
        """Have the key loader import what it needs for a reference, if it implements the hook."""
        self._manager.hook.import_modules(reference=reference)

    def check_reference(self, reference: "Reference") -> None:
        """Have the key loader check a reference, if it implements the hook; its errors are not wrapped."""
        self._manager.hook.check_reference(reference=reference)
