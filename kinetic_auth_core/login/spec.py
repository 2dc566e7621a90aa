"""What a source logs in with, and its own settings: from `resolve`, or taken from an instance that was made by hand."""

import functools
import logging
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.concurrency import Lazy, raise_interruption
from kinetic_auth_core.config.construct import construct, located, refusals
from kinetic_auth_core.config.merge import keyword_layer, merge
from kinetic_auth_core.errors import (
    ConfigurationError,
    KineticAuthError,
    ProviderLoadError,
    SessionRejectedError,
    import_problem,
)
from kinetic_auth_core.login.credentials import NO_SECRETS, SecretLoader, Values, key_lists
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.identity import Identity, class_name, has_seed, identity_of
from kinetic_auth_core.redaction import describe, mask, redact_error, redacted_cause
from kinetic_auth_core.registry.discovery import (
    ALL_ALLOWED,
    AUTHENTICATORS,
    AllowedPlugins,
    installed,
    normalized,
)
from kinetic_auth_core.registry.loading import NO_OBSERVERS, Named, Observers, are_loading, import_modules_of
from kinetic_auth_core.registry.validation import reference_problem
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.fields import check_seconds, setting
from kinetic_auth_core.settings.hosts import Guards, check_hosts, check_org_id, default_hosts
from kinetic_auth_core.settings.schema import ExplainedSetting, schema, texts_in
from kinetic_auth_core.stores.base import MemoryStore, SessionStore, SharedStores
from kinetic_auth_core.transport.connections import Transports

if TYPE_CHECKING:
    from kinetic_auth_core.login.flow import LoginBudget  # which logs in by this module

logger = logging.getLogger(__name__)


def _check_guard(instance: object, attribute: object, value: object) -> None:
    if value != 0:
        try:
            check_seconds(instance, attribute, value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error.message}; or 0, for no guard") from None


def _check_budget(_instance: object, _attribute: object, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise ConfigurationError("must be a number of logins, 1 or more")


@attrs.frozen(kw_only=True, eq=False, repr=False, match_args=False)
class SourceOptions:
    """The source's own settings, beside those of its provider."""

    session_lifetime: float = setting(
        default=7200.0,
        help="Seconds that a session is assumed to live; Salesforce does not say.",
        validator=check_seconds,
    )
    lockout_guard: float = setting(
        default=60.0,
        help="Seconds for which a refused credential is not tried again; 0: no guard.",
        validator=_check_guard,
    )
    login_budget: int = setting(default=1000, help="Logins that a source may make in an hour.", validator=_check_budget)
    expected_org_id: str | None = setting(
        default=None, help="Id of the only org whose sessions are taken, 15 or 18 characters.", validator=check_org_id
    )
    allowed_instance_hosts: tuple[str, ...] | None = setting(
        default=None,
        help="Hosts that sessions may be for, such as *.my.salesforce.com; default: Salesforce's, and login_url's.",
        validator=check_hosts,
        derived=lambda given: default_hosts(getattr(given, "login_url", None)),
    )

    @classmethod
    def of(cls, options: dict[str, Any]) -> "SourceOptions":
        """Make them from keywords.

        Raises:
            ConfigurationError: One is unknown or wrong; all are named.
        """
        made: SourceOptions | None
        made, problems = construct(cls, merge(schema(cls), (), [keyword_layer(options)]))
        if made is None:
            raise ConfigurationError.of("Cannot make a SessionSource", problems)
        return made


DEFAULT_OPTIONS = SourceOptions()


@attrs.frozen(eq=False, repr=False, match_args=False)
class LoginSpec:
    """What a source logs in with.

    Attributes:
        provider: The provider's entry-point name, or the class name of an instance made by hand.
        make: Makes the instance from the values.
        values: Settings, some of them still references.
        rows: For `explain()`.
        distribution: `name version` of the package that brought the provider.
        environment: The environment of the config file, or None.
        loader: Fetches what references stand for.
        binary: The settings that take bytes.
        options: The source's own settings.
        store: The session store, which stays its maker's; or what makes one; None: this process's memory.
        allowed: Whose plugins may be loaded, for its references and observers.
        observers: Those of the application, and those that the config file has tables for.
        is_grant: Whether the provider is a `GrantAuthenticator`.
        is_single_use: Whether what the provider logs in with can be presented once only.
        instances: The provider's instance for each set of credentials, where `resolve` has made them: no setting is a
            reference then. Empty: they are made at the login.
        cls: The provider's class.
        never_stored: Whether the class says so: its sessions stay in this process's memory, whatever the store is.
        identity: Whose sessions they are.
        pid: The process that made it, with its instances.
    """

    provider: str
    make: Callable[..., Any] = attrs.field(repr=False)
    values: Mapping[str, Any] = attrs.field(repr=False)
    rows: tuple[ExplainedSetting, ...] = attrs.field(repr=False)
    distribution: str | None = None
    environment: str | None = None
    loader: SecretLoader = attrs.field(default=NO_SECRETS, repr=False)
    binary: Collection[str] = ()
    options: SourceOptions = attrs.field(factory=SourceOptions)
    store: SessionStore | Callable[[], SessionStore] | None = attrs.field(default=None, repr=False)
    allowed: AllowedPlugins = attrs.field(factory=ALL_ALLOWED.searched_once)
    observers: Observers = NO_OBSERVERS
    is_grant: bool = False
    is_single_use: bool = False
    instances: tuple[Any, ...] = attrs.field(default=(), repr=False)
    cls: type | None = None
    never_stored: bool = False
    identity: Identity = attrs.field(kw_only=True, repr=False)
    pid: int = attrs.field(init=False, factory=os.getpid)

    @property
    def asks_a_person(self) -> bool:
        """Whether a login may have to wait for a person."""
        return getattr(self.cls, "asks_a_person", False) is True

    @property
    def is_by_hand(self) -> bool:
        """Whether the instance was made by hand: it keeps its own connections."""
        return self.distribution is None

    def import_modules(self) -> None:
        """Import what a login needs of the core, the provider and the store.

        Raises:
            ConfigurationError: requests, or what it needs, does not import; or urllib3 is another package's.
        """
        try:
            import kinetic_auth_core.oauth.endpoints  # noqa: F401 - which sends requests by the transport
        except Exception as error:
            raise_interruption(error)
            what = f"a login needs requests, which {import_problem('requests', error)}."
            raise ConfigurationError(what, remedy="Reinstall requests, and what it names, for this Python.") from error

        if self.is_grant:
            from kinetic_auth_core.transport.pools import check_urllib3

            check_urllib3()
        for plugin in (self.cls, self.store):
            import_modules_of(plugin)

    def displayed(self, name: str) -> str | None:
        """A setting that is not secret, as text; None where the provider has no such setting, or no value for it."""
        value = next((row.value for row in self.rows if row.name == name and not row.secret), None)
        return None if value is None else str(value)

    @property
    def state_owner(self) -> str:
        """The provider in the name of its state: the entry point's name, also for an instance that was made by hand."""
        name: str = self.identity.who[0]
        return self.provider if name == _BY_HAND else name

    @property
    def host(self) -> str | None:
        """The host that logs in, where the provider has a `login_url`."""
        try:
            return urlsplit(self.displayed("login_url") or "").netloc or None
        except ValueError:  # a plugin's setting may hold anything
            return None

    @property
    def deadline_s(self) -> float | None:
        """Seconds that a login may take; None where the provider is not a grant and has its own time limit."""
        deadline_s = self.displayed("deadline") if self.is_grant else None
        return None if deadline_s is None else float(deadline_s)

    @property
    def label(self) -> str:
        """What messages call its logins."""
        username, host = self.displayed("username"), self.host
        return f"{self.provider} login{f' of {username}' if username else ''}{f' at {host}' if host else ''}"

    @property
    def guards(self) -> Guards:
        """What its sessions must be like."""
        hosts = self.options.allowed_instance_hosts
        return Guards(
            self.options.expected_org_id, default_hosts(self.displayed("login_url")) if hosts is None else tuple(hosts)
        )

    def check(self, session: SalesforceSession, secrets: list[str]) -> None:
        """Check that a session is one that the deployment wants.

        Args:
            session: The session.
            secrets: What a message must not contain.

        Raises:
            SessionRejectedError: A guard refuses it.
        """
        if refusal := self.guards.refusal(session):
            decides = "login_url" if self.displayed("login_url") else "the org that the token is for"
            raise SessionRejectedError(
                mask(f"{self.label} succeeded, and its session is refused: {refusal.what}", secrets),
                remedy=refusal.remedy.replace("login_url", decides),
                provider=self.provider,
                host=self.host,
                username=session.username or self.displayed("username"),
            )


_BUDGETS_KEPT = 10_000


class SharedResources:
    """Shared by the sources of a pool; a source that is alone has one of its own.

    Attributes:
        transports: The connections.
        stores: The session stores that are open.
    """

    def __init__(self) -> None:
        self.transports = Transports()
        self.stores = SharedStores()
        self._observers: Lazy[list[Named]] = Lazy()
        self._budgets: dict[str, LoginBudget] = {}

    def observers_of(self, observers: Observers, allowed: AllowedPlugins) -> list[Named]:
        """All observers, each with its name; loaded at the first call.

        Args:
            observers: Those that do not have to be loaded.
            allowed: The plugins that may be loaded.
        """
        return [] if are_loading() else self._observers.get(lambda: observers.with_installed(allowed))

    def budget(self, key: str, make: "Callable[[], LoginBudget]") -> "LoginBudget":
        """The login budget of the source with this name in a store; it outlives the source."""
        if len(self._budgets) > _BUDGETS_KEPT:
            for name in [name for name, budget in list(self._budgets.items()) if budget.is_idle()]:
                self._budgets.pop(name, None)
        return self._budgets.setdefault(key, make())


def says_never_stored(cls: type) -> bool:
    """Whether a provider's class has `never_stored = True`: its sessions are kept elsewhere already.

    Args:
        cls: The class.
    """
    return getattr(cls, "never_stored", False) is True


def rows_in_memory(rows: Sequence[ExplainedSetting]) -> tuple[ExplainedSetting, ...]:
    """The rows of a source whose sessions are never stored; a store that is configured nevertheless gets a note.

    Args:
        rows: All rows, those of the store among them.
    """

    def in_memory(row: ExplainedSetting) -> ExplainedSetting:
        if row.name != "store" or row.value == "memory":
            return row
        note = f"{row.value} is not used: the sessions of this provider are never stored"
        return attrs.evolve(row, value="memory", note=note)

    return tuple(in_memory(row) for row in rows if not row.name.startswith("store."))


def is_single_use(cls: type) -> bool:
    """Whether what a provider logs in with can be presented once only, as its class says."""
    return getattr(cls, "single_use", False) is True


def store_problem(cls: type, username: object, store: SessionStore | type[SessionStore]) -> str | None:
    """Why a store cannot keep what a provider needs for its next login; None if it can.

    Args:
        cls: The provider's class.
        username: The user that is configured, if any.
        store: The store, or its class.
    """
    kind = store if isinstance(store, type) else type(store)
    if not is_single_use(cls) or issubclass(kind, MemoryStore):  # which warns when there is something to lose
        return None
    if not kind.durable:
        return (
            f"{kind.__name__} does not promise to keep what it has stored (durable), and this provider's token can be "
            "used once: use the file store, or redis"
        )
    from kinetic_auth_core.stores.file import FileStore

    if has_seed(cls) or username or issubclass(kind, FileStore):
        return None
    return (
        f"without a username the session is of the person who logs in, and {kind.__name__} may be shared with others: "
        "set username, or use the file store"
    )


def spec_for(
    authenticator: Any, options: SourceOptions = DEFAULT_OPTIONS, store: SessionStore | None = None
) -> LoginSpec:
    """The spec for an instance that was made by hand.

    Args:
        authenticator: The instance.
        options: The source's own settings.
        store: Where its session is kept; None: in this process's memory.

    Raises:
        ConfigurationError: One of its secrets is a reference, or the store is not a `SessionStore`.
    """
    if store is not None and not isinstance(store, SessionStore):
        raise ConfigurationError(
            f"Cannot make a SessionSource: store: expected a SessionStore, got {type(store).__name__}.",
            remedy="Give an instance, such as FileStore(); names of stores are for resolve.",
        )
    cls: Any = type(authenticator)
    is_named = store is not None
    if store is None and is_single_use(cls):
        from kinetic_auth_core.stores.file import FileStore

        store = FileStore()
    if store is not None and (problem := store_problem(cls, getattr(authenticator, "username", None), store)):
        raise ConfigurationError(f"Cannot make a SessionSource: store: {problem}")
    rows = []
    for each in schema(type(authenticator)):
        if each.secret and (problem := reference_problem(each.value_of(authenticator))):
            raise ConfigurationError(f"Cannot use {type(authenticator).__name__}: {each.name}: {problem}")
    for each in schema(type(authenticator)):
        value = each.value_of(authenticator)
        if value is None and each.derived is not None:
            value = each.default_value(authenticator)
        source = "default" if not each.required and value == each.default_value(authenticator) else "constructor"
        rows.append(ExplainedSetting(each.name, each.displayed(value), source, each.secret))
    rows += [
        ExplainedSetting(
            each.name,
            each.default_value(authenticator) if value == each.default else value,
            "default" if value == each.default else "constructor",
            secret=False,
        )
        for each in schema(SourceOptions)
        for value in [each.value_of(options)]
    ]
    rows.append(
        ExplainedSetting("store", type(store).__name__, "constructor" if is_named else "default", secret=False)
        if store is not None
        else ExplainedSetting("store", "memory", "default", secret=False)
    )
    return LoginSpec(
        getattr(authenticator, "provider_name", "") or type(authenticator).__name__,
        lambda **items: attrs.evolve(authenticator, **items) if items else authenticator,
        key_lists(authenticator),
        rows_in_memory(rows) if says_never_stored(cls) else tuple(rows),
        options=options,
        store=store,
        is_grant=isinstance(authenticator, GrantAuthenticator),
        cls=cls,
        never_stored=says_never_stored(cls),
        is_single_use=is_single_use(cls),
        identity=identity_of(type(authenticator), {}, _who(cls, store is not None), NO_SECRETS, authenticator),
    )


_BY_HAND = "by hand"  # no name of an entry point has a blank


@functools.cache
def _who(cls: Any, is_kept: bool) -> tuple[str, str]:
    """What tells a class from other providers: the same as for `resolve`, where it is a registered plugin.

    Args:
        cls: The class of an instance made by hand.
        is_kept: Whether its session is kept in a store; otherwise the installed packages are not searched.
    """
    try:
        for plugin in installed(AUTHENTICATORS) if is_kept else ():
            module, _, name = plugin.target.partition(":")
            if getattr(sys.modules.get(module), name, None) is cls:
                return plugin.name, normalized(plugin.distribution)
    except ProviderLoadError as error:  # damaged metadata
        logger.debug("%s", error)
    return _BY_HAND, class_name(cls)


def make_instance(provider: str, make: Callable[..., Any], rows: Sequence[ExplainedSetting], values: Values) -> Any:
    """Make a provider's instance.

    Args:
        provider: The provider's name.
        make: Its class, or what else makes one.
        rows: Where its settings come from, for messages.
        values: Its settings.

    Raises:
        ConfigurationError: Its class refuses the values.
    """
    try:
        return make(**values.by_name)
    except ConfigurationError as error:
        redact_error(error, _secrets(make, values))
        problems = located(error.problems, rows)
        if problems == list(error.problems):
            raise
        cause = error.__cause__
    except KineticAuthError as error:
        redact_error(error, _secrets(make, values))
        raise
    except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
        raise_interruption(error)
        cause = redacted_cause(error, _texts(values))
        found = refusals(make, values.by_name) if isinstance(make, type) else {}  # attrs stops at the first
        problems = located([f"{name}: {problem}" for name, problem in found.items()], rows) or [describe(cause)]
    raise ConfigurationError.of(f"Cannot make {provider!r}", problems) from cause


def _secrets(make: Callable[..., Any], values: Values) -> list[str]:
    """The texts of the secret settings; of all where `make` is not a class with settings."""
    if not (isinstance(make, type) and attrs.has(make)):
        return _texts(values)
    names = {each.name for each in schema(make) if each.secret}
    return list(texts_in([value for name, value in values.by_name.items() if name in names]))


def _texts(values: Values) -> list[str]:
    return list(texts_in(values.by_name))
