"""One login: references to values, values to a provider's instance, its hook to a session, and the observers told.

Whether a login is needed at all, and who shares its session, is the source's affair.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.checked import reference_problem
from kinetic_auth_core.errors import (
    AuthenticationError,
    ConfigurationError,
    KeyLoadError,
    KineticAuthError,
    mask,
    safe_cause,
    told,
)
from kinetic_auth_core.events import LoginEvent, LoginTally, tallied
from kinetic_auth_core.forking import reset_after_fork
from kinetic_auth_core.hookspecs import KeyLoaderHooks, LoginHooks, Signer
from kinetic_auth_core.once import Once
from kinetic_auth_core.references import BUILTIN_SCHEMES, Reference, load_builtin
from kinetic_auth_core.registry import OBSERVERS, installed, load_key_loader, load_observer
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings import ExplainedSetting, LiteralText, schema, secret_texts

logger = logging.getLogger(__name__)


@attrs.frozen
class Plan:
    """What a source logs in with.

    Attributes:
        provider: The provider's entry-point name, or the class name of an instance made by hand.
        make: Makes the instance from the values.
        values: Settings, some of them still references.
        rows: For `explain()`.
        distribution: `name version` of the package that brought the provider.
        environment: The environment of the config file, or None.
        lookup: Gives the value of an environment variable, for `env://NAME`.
    """

    provider: str
    make: Callable[..., Any] = attrs.field(repr=False)
    values: Mapping[str, Any] = attrs.field(repr=False)
    rows: tuple[ExplainedSetting, ...] = attrs.field(repr=False)
    distribution: str | None = None
    environment: str | None = None
    lookup: Callable[[str], str | None] = attrs.field(default=os.environ.get, repr=False)


def plan_for(authenticator: Any) -> Plan:
    """The plan for an instance that was made by hand.

    Raises:
        ConfigurationError: One of its secrets is a reference.
    """
    rows = []
    for each in schema(type(authenticator)):
        if each.secret and (problem := reference_problem(each.value_of(authenticator))):
            raise ConfigurationError(f"Cannot use {type(authenticator).__name__}: {each.name}: {problem}")
    for each in schema(type(authenticator)):
        value = each.value_of(authenticator)
        if value is None and each.derived is not None:
            value = each.default_value(authenticator)
        source = "default" if not each.required and value == each.default_value(authenticator) else "constructor"
        rows.append(ExplainedSetting(each.name, each.shown(value), source, each.secret))
    return Plan(
        getattr(authenticator, "provider_name", "") or type(authenticator).__name__,
        lambda: authenticator,
        {},
        tuple(rows),
    )


@attrs.frozen
class _Made:
    """An instance, the values that it was made from, and its hooks."""

    values: "Values"
    instance: Any
    hooks: LoginHooks


class Logins:
    """Makes logins by one plan. The instance is kept while the values stay the same, so a key is prepared once.

    Args:
        plan: What to log in with.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._observers: Once[list[tuple[str, object]]] = Once()
        self._made: _Made | None = None
        self._key_loaders: dict[str, KeyLoaderHooks] = {}
        self._lock = threading.Lock()
        reset_after_fork(self)

    def login(self) -> SalesforceSession:
        """Log in, now, and tell the observers.

        Raises:
            KineticAuthError: It failed.
        """
        began = time.monotonic()
        made: _Made | None = None
        with tallied() as tally:
            try:
                made = self._current()
                session = self._call(made)
            except KineticAuthError as error:
                logger.warning("%s", error)
                hooks = made.hooks if made else LoginHooks(None, self._observers.get(_load_observers))
                hooks.authentication_failed(self.plan.provider, error, self._event(made, None, tally, began))
                raise
        event = self._event(made, session, tally, began)
        logger.info(
            "%s login of %s: org %s at %s, %.3f s, %d request(s)",
            *(event.plugin, event.username, event.org_id, session.instance_url, event.duration_s, event.attempts),
        )
        made.hooks.session_issued(self.plan.provider, session, event)
        return session

    def close(self) -> None:
        """Give the provider's connections back, if it has a `close`."""
        if self._made is not None:
            _close_quietly(self._made.instance)

    def _event(
        self, made: _Made | None, session: SalesforceSession | None, tally: LoginTally, began: float
    ) -> LoginEvent:
        instance = made.instance if made else None
        return LoginEvent(
            plugin=self.plan.provider,
            distribution=self.plan.distribution,
            host=_host_of(getattr(instance, "login_url", None)),
            username=(session.username if session else None) or getattr(instance, "username", None),
            org_id=session.org_id if session else None,
            attempts=tally.attempts,
            duration_s=time.monotonic() - began,
            key_fingerprint=tally.key_fingerprint,
        )

    def _call(self, made: _Made) -> SalesforceSession:
        cause: BaseException | None = None
        try:
            session = made.hooks.authenticate()
            what = f"gave {type(session).__name__} instead of a SalesforceSession."
        except KineticAuthError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            session, cause = None, safe_cause(error, secret_texts(made.instance))
            what = f"raised {told(cause)}"
        if isinstance(session, SalesforceSession):
            return session
        around = f", or an observer around it ({', '.join(made.hooks.wrappers)})," if made.hooks.wrappers else ""
        raise AuthenticationError(
            f"the plugin {self._called()}{around} {what}", remedy="Ask its authors.", provider=self.plan.provider
        ) from cause

    def _called(self) -> str:
        return (
            f"{self.plan.provider!r} ({self.plan.distribution})" if self.plan.distribution else repr(self.plan.provider)
        )

    def _current(self) -> _Made:
        """The instance for the values as they are now."""
        values = Values({name: self._resolved(name, value) for name, value in self.plan.values.items()})
        with self._lock:
            before = self._made
            if before is not None and before.values == values:
                return before
            instance = make_instance(self.plan, values)
            hooks = LoginHooks(instance, self._observers.get(_load_observers))
            made = self._made = _Made(values, instance, hooks)
        if before is not None:
            _close_quietly(before.instance)
        return made

    def _resolved(self, name: str, value: Any) -> Any:
        """A setting's value, its reference resolved if it is one."""
        if not isinstance(value, Reference):
            return value
        if value.scheme in BUILTIN_SCHEMES:
            loaded: object = load_builtin(value, self.plan.lookup)
        else:
            loaded = self._load_with_plugin(value)
        if isinstance(loaded, Signer):
            return loaded
        text = _text(loaded)
        if text is not None:
            return text
        gave = f"its key loader gave {type(loaded).__name__}, neither bytes nor a Signer"
        what = "the secret is not UTF-8 text" if isinstance(loaded, bytes) else gave
        del loaded  # not among the locals of a traceback
        raise KeyLoadError(f"{value} ({name}): {what}.")

    def _load_with_plugin(self, reference: Reference) -> object:
        try:
            loader = self._key_loaders.get(reference.scheme)
            if loader is None:
                loader = self._key_loaders[reference.scheme] = load_key_loader(reference.scheme)
            return loader.load_key(reference)
        except KineticAuthError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again below
            cause = safe_cause(error, ())
        raise KeyLoadError(f"{reference}: the key loader raised {told(cause)}") from cause

    def _after_fork(self) -> None:
        """In the child nobody holds the lock that another thread of the parent held."""
        self._lock = threading.Lock()


@attrs.frozen
class Values:
    """Settings with their secrets, kept out of a traceback's locals. A `Signer` is the same if its key is."""

    by_name: Mapping[str, Any] = attrs.field(repr=False, eq=lambda values: {n: _identity(v) for n, v in values.items()})


def _identity(value: Any) -> Any:
    return (type(value), value.algorithm, value.key_id) if isinstance(value, Signer) else value


def make_instance(plan: Plan, values: Values) -> Any:
    """Make the provider's instance.

    Raises:
        ConfigurationError: Its class refuses the values.
    """
    try:
        return plan.make(**values.by_name)
    except KineticAuthError as error:
        failure = error.with_traceback(None)  # the constructor's frames have the secrets among their locals
    except Exception as error:  # noqa: BLE001 - other people's classes
        secrets = [value for value in values.by_name.values() if isinstance(value, str)]
        failure = ConfigurationError(
            f"Cannot make {plan.provider!r}: {mask(f'{type(error).__name__}: {error}', secrets)}"
        )
        del secrets
    raise failure


def _close_quietly(instance: Any) -> None:
    """Call a provider's `close`, if it has one. One that raises breaks nothing."""
    close = getattr(instance, "close", None)
    if close is not None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - other people's classes
            logger.warning("close() of %s raised %s", type(instance).__name__, type(error).__name__)


def _host_of(url: object) -> str | None:
    try:
        return urlsplit(str(url)).netloc or None
    except ValueError:
        return None


def _text(loaded: object) -> LiteralText | None:
    """Text, without the line end that editors and `echo` leave behind it; None if it is none."""
    if isinstance(loaded, str):
        return LiteralText(loaded)
    try:
        return LiteralText(loaded.decode().rstrip("\r\n")) if isinstance(loaded, bytes) else None
    except UnicodeDecodeError:
        return None


def _load_observers() -> list[tuple[str, object]]:
    """All installed observers that can be loaded; one that cannot is logged and left out."""
    found = []
    for name in dict.fromkeys(plugin.name for plugin in installed(OBSERVERS)):
        try:
            found.append((name, load_observer(name)))
        except KineticAuthError as error:
            logger.warning("an observer is left out: %s", error)
    return found
