"""The base of providers that log in with one request to the token endpoint: settings, checks, the login itself.

A subclass adds the form fields of its grant. `oauth.endpoints` reads the answer; `transport.client` sends the
request.
"""

import abc
import contextlib
import itertools
import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypedDict
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.concurrency import Lazy, notice_fork, raise_interruption, uninterrupted
from kinetic_auth_core.errors import (
    AuthenticationError,
    ConfigurationError,
    KineticAuthError,
    TransportError,
)
from kinetic_auth_core.login.credentials import Credentials, SecretLoader, key_lists
from kinetic_auth_core.redaction import describe, mask, redact_error, redacted_cause, secret_boundary
from kinetic_auth_core.registry.hookspecs import AcceptedState, InstanceState, LoginRequest, hookimpl, may_ask_a_person
from kinetic_auth_core.registry.validation import ValidatedMeta
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.fields import (
    api_version_setting,
    ca_bundle_setting,
    check_path,
    check_proxy,
    check_seconds,
    setting,
)
from kinetic_auth_core.settings.hosts import DEFAULT_LOGIN_URL, login_url_setting
from kinetic_auth_core.settings.schema import exactly_one_of, schema, secret_texts, text_of
from kinetic_auth_core.transport.connections import Deadline, Transports, not_counted, tallied

if TYPE_CHECKING:
    from kinetic_auth_core.oauth.endpoints import RequestContext
    from kinetic_auth_core.oauth.retry import LoginClock
    from kinetic_auth_core.transport.client import TokenRequest, Transport

logger = logging.getLogger(__name__)


def _form_problem(fields: object) -> str | None:
    """Why what `grant` returned is not a form, as the end of a sentence without a value; None if it is one."""
    what = f"returned {type(fields).__name__}, not a mapping of text to text"
    if not isinstance(fields, Mapping):
        return what
    for name, value in fields.items():
        if not isinstance(name, str):
            return f"{what}: the name of a field is {type(name).__name__}"
        if not isinstance(value, str):
            return f"{what}: {name!r} is {type(value).__name__}, not text"
    return None


def _class_and_owner(cls: type) -> str:
    """A provider's class, with its package where that is installed, for an error that is a mistake of the class."""
    from kinetic_auth_core.registry.discovery import AUTHENTICATORS, installed

    place = (cls.__module__.partition(".")[0], cls.__qualname__)
    for plugin in installed(AUTHENTICATORS):
        module, _, name = plugin.target.partition(":")
        if (module.partition(".")[0], name) == place:
            return f"{cls.__qualname__} of {plugin.owner}"
    return cls.__qualname__


class _GrantedError(Exception):
    """What `granted` raised, past the retries of a login."""

    def __init__(self, failure: KineticAuthError) -> None:
        super().__init__()
        self.failure = failure


def _check_client_cert_key(instance: Any, _attribute: object, value: object) -> None:
    if value is not None and instance.client_cert is None:
        raise ConfigurationError("needs client_cert, the certificate of this key")


class ConnectionOptions(TypedDict, total=False):
    """The settings that every provider has, as keywords of a constructor, for type checkers."""

    api_version: str
    connect_timeout: float
    read_timeout: float
    deadline: float
    proxy: str | None
    ca_bundle: str | os.PathLike[str] | None
    client_cert: str | os.PathLike[str] | None
    client_cert_key: str | os.PathLike[str] | None


@attrs.frozen(kw_only=True)
class GrantAuthenticator(metaclass=ValidatedMeta, kw_only=True):
    """Base class of a provider whose login is one POST to `<login_url>/services/oauth2/token`.

    Subclasses are attrs classes that add their settings and implement `grant`, and may implement `granted`. They
    may set `provider_name`, for messages; `exactly_one_of`, groups of settings of which exactly one must be given;
    `answers_are_signed`, where an answer without a signature is refused if the client secret is known;
    `counts_failed_logins`, where Salesforce counts each wrong secret towards a lockout: a request that may have
    arrived is then not repeated; `single_use`, where what `grant` gives can be sent once only, such as a refresh token
    that rotates: a request that may have left is then not repeated, by no process that shares the store;
    `asks_a_person`, where `grant` asks a person if the request is interactive: that time is outside of the deadline,
    and what was given is sent again where a request is repeated;
    and `sent_as_one`, the secrets that `grant` joins, in that order: two instances that send the same are the same to
    the guard against lockouts, wherever the one is split.
    """

    provider_name: ClassVar[str] = ""
    exactly_one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    answers_are_signed: ClassVar[bool] = False
    counts_failed_logins: ClassVar[bool] = False
    single_use: ClassVar[bool] = False
    asks_a_person: ClassVar[bool] = False
    sent_as_one: ClassVar[tuple[str, ...]] = ()

    login_url: str = login_url_setting(default=DEFAULT_LOGIN_URL, kw_only=True)
    api_version: str = api_version_setting()
    connect_timeout: float = setting(
        default=5.0, help="Seconds for connecting.", identity=False, validator=check_seconds
    )
    read_timeout: float = setting(
        default=30.0, help="Seconds without a byte from the server.", identity=False, validator=check_seconds
    )
    deadline: float = setting(
        default=60.0, help="Seconds for the whole login, with all its tries.", identity=False, validator=check_seconds
    )
    proxy: str | None = setting(
        default=None,
        help="Proxy URL; default: HTTPS_PROXY and the like.",
        secret=True,
        identity=False,
        validator=check_proxy,
    )
    ca_bundle: str | os.PathLike[str] | None = ca_bundle_setting()
    client_cert: str | os.PathLike[str] | None = setting(
        default=None,
        help="PEM file with a certificate for mutual TLS, and its key unless that is elsewhere.",
        identity=False,
        validator=check_path,
    )
    client_cert_key: str | os.PathLike[str] | None = setting(
        default=None,
        help="PEM file with the private key of client_cert.",
        identity=False,
        validator=[check_path, _check_client_cert_key],
    )
    _own: Lazy[Transports] = attrs.field(init=False, repr=False, eq=False, factory=Lazy)
    _shared: Lazy[Transports] = attrs.field(init=False, repr=False, eq=False, factory=Lazy)
    _clock: Lazy[Any] = attrs.field(init=False, repr=False, eq=False, factory=Lazy)  # of the server, as far as known
    _by_key: Lazy[Any] = attrs.field(init=False, repr=False, eq=False, factory=Lazy)
    _state: Lazy[InstanceState] = attrs.field(init=False, repr=False, eq=False, factory=Lazy)  # without a source

    @abc.abstractmethod
    def grant(self, request: LoginRequest) -> Mapping[str, str]:
        """The form fields of one token request.

        Args:
            request: What the login is made for; its `now` and `attempt` are those of this try.

        Returns:
            All fields, `grant_type` among them.
        """

    def granted(self, request: LoginRequest, answer: Mapping[str, object]) -> None:
        """Look at a good answer, such as for a token to keep. Does nothing unless a subclass overrides it.

        It is called before the session is checked: a session that is refused may have come with a new token. If it
        raises, the login fails, and nothing is sent again.

        Args:
            request: That of `grant`.
            answer: All fields of the answer, the tokens among them.
        """

    @classmethod
    @secret_boundary
    def from_env(cls, env_file: str | os.PathLike[str] | None = None) -> Self:
        """Make one from environment variables (`SF_CLIENT_ID`, ...) and a `.env` file; the process's win.

        Args:
            env_file: The `.env` file; default: the nearest one in the working directory or a parent, if any.

        Raises:
            ConfigurationError: Variables are missing or wrong; all of them are named.
        """
        from kinetic_auth_core.config.construct import construct
        from kinetic_auth_core.config.environment import Variables
        from kinetic_auth_core.config.merge import merge, variable_layers

        settings = schema(cls)
        settled = merge(
            settings,
            exactly_one_of(cls),
            variable_layers(settings, Variables.load(env_file)),
            how_to_give="set {variable}",
        )
        made: Self | None
        made, problems = construct(cls, settled)
        if made is None:
            raise ConfigurationError.of(f"Cannot configure {cls.__name__} from the environment", problems)
        return made

    @hookimpl
    def authenticate(self, request: LoginRequest | None = None) -> SalesforceSession:
        """Log in, now.

        Args:
            request: What the login is made for; None: it was asked for, with this instance alone.

        Returns:
            A session of the caller's own.

        Raises:
            AuthenticationError: The login failed.
            KeyLoadError: A key is not there or not usable.
            ConfigurationError: A setting turns out wrong only now, such as a `ca_bundle` that cannot be read.
        """
        if request is None:
            request = self._request()
        elif self.single_use and isinstance(request.state, InstanceState) and request.state.get() is None:
            request = attrs.evolve(request, state=self._own_state())  # it was made by hand, and each has another state
        return self._with_each_key(request)

    def _own_state(self) -> InstanceState:
        if self.single_use and self._state.peek() is None:
            logger.warning(
                "%s is used without a SessionSource: a token that replaces the configured one is in the memory of this "
                "instance alone, and is lost with it",
                type(self).__name__,
            )
        return self._state.get(InstanceState)

    def _request(self) -> LoginRequest:
        """A request for a login without a source."""
        return LoginRequest(
            state=self._own_state(),
            provider=self.provider_name or type(self).__name__,
            host=urlsplit(self.login_url).netloc,
            username=getattr(self, "username", None),
            interactive=may_ask_a_person(),
        )

    @secret_boundary
    def _with_each_key(self, request: LoginRequest) -> SalesforceSession:
        """Offer its keys in turn, beginning with the one that was accepted last."""
        notice_fork()
        credentials: Credentials
        variants: list[Self]
        credentials, variants = self._by_key.get(self._one_for_each_key)
        deadline = Deadline(self.deadline)
        attempts = itertools.count(request.attempt)
        with deadline:
            return credentials.offer(
                lambda number: variants[number]._log_in(request, attempts),  # noqa: SLF001 - its own class
                deadline,
            )

    def _one_for_each_key(self) -> tuple[Credentials, list[Self]]:
        """Its lists of keys, and an instance for each item of them; where there is no such list, itself."""
        from kinetic_auth_core.oauth.retry import ServerClock

        credentials = Credentials(key_lists(self), SecretLoader(os.environ.get))
        if not credentials.lists:
            return credentials, [self]
        variants = [attrs.evolve(self, **credentials.load(number).by_name) for number in range(credentials.count)]
        for variant in variants:
            variant.share(self._shared.peek() or self._own.get(Transports))
            variant._clock.get(lambda: self._clock.get(ServerClock))  # noqa: SLF001 - one of its own class
        return credentials, variants

    def _log_in(self, asked: LoginRequest, attempts: Iterator[int]) -> SalesforceSession:
        from kinetic_auth_core.oauth.endpoints import RequestContext
        from kinetic_auth_core.oauth.retry import LoginClock, ServerClock, Tries

        login = RequestContext(
            self.provider_name or asked.provider or type(self).__name__,
            urlsplit(self.login_url).netloc,
            getattr(self, "username", None),
        )
        clock = LoginClock(self._clock.get(ServerClock), login.host)
        tries = Tries(
            self.deadline,
            clock.cures,
            may_repeat_unanswered=not self.counts_failed_logins,
            only_unsent=self.single_use,
        )
        try:
            form: Lazy[TokenRequest] = Lazy()
            outcome: SalesforceSession | KineticAuthError = tries.run(
                lambda: self._try(login, clock, attrs.evolve(asked, now=clock.now(), attempt=next(attempts)), form)
            )
        except _GrantedError as error:
            outcome = error.failure
        if isinstance(outcome, KineticAuthError):
            raise outcome
        session = outcome
        clock.confirm()
        logger.debug("%s: org %s", login.label, session.org_id)
        return session

    def _try(
        self, login: "RequestContext", clock: "LoginClock", asked: LoginRequest, form: "Lazy[TokenRequest]"
    ) -> SalesforceSession:
        if self.asks_a_person and asked.interactive:  # once, however often what was given is sent
            request = form.get(lambda: self._form(login, asked))
        else:
            request = self._form(login, asked)
        if self.single_use:  # the answer has to be kept, also if a signal handler ends the login meanwhile
            return uninterrupted(lambda: self._exchange(login, clock, asked, request))
        return self._exchange(login, clock, asked, request)

    def _exchange(
        self, login: "RequestContext", clock: "LoginClock", asked: LoginRequest, request: "TokenRequest"
    ) -> SalesforceSession:
        """Send the form, and read the answer."""
        from kinetic_auth_core.oauth.endpoints import ask, read_response

        logger.debug("%s: asking for a token", login.label)
        response = ask(self.connection().post, f"{self.login_url}/services/oauth2/token", request, login)
        try:
            session = read_response(
                response,
                login,
                request,
                api_version=self.api_version,
                client_secret=text_of(getattr(self, "client_secret", None)),
                must_be_signed=self.answers_are_signed,
                granted=lambda answer: self._have_granted(login, asked, answer),
                keeps_unsigned=self.single_use,
            )
        except TransportError:  # not Salesforce's answer, so it says nothing of its clock
            raise
        except AuthenticationError:
            clock.learn(response)
            raise
        clock.learn(response)
        return session

    def _have_granted(self, login: "RequestContext", asked: LoginRequest, answer: Mapping[str, object]) -> None:
        """Call `granted`.

        Raises:
            _GrantedError: It raised something; the login is not tried again.
        """
        failure: KineticAuthError
        try:
            self.granted(asked, answer)
        except KineticAuthError as error:
            raise_interruption(error)
            redact_error(error, self._secrets_with(answer))
            failure = error
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            raise_interruption(error)
            failure = login.failed(AuthenticationError, f"its granted() raised {type(error).__name__}.")
            failure.__cause__ = redacted_cause(error, self._secrets_with(answer))
        else:
            if self.single_use and isinstance(asked.state, AcceptedState):
                asked.state.note_accepted()
            return
        raise _GrantedError(failure)

    def _secrets_with(self, answer: Mapping[str, object]) -> list[str]:
        """Its own, and what an answer has granted."""
        return [*secret_texts(self), *(text for text in answer.values() if isinstance(text, str) and text)]

    def _form(self, login: "RequestContext", asked: LoginRequest) -> "TokenRequest":
        from kinetic_auth_core.transport.client import TokenRequest

        problem, cause = "", None
        try:
            with not_counted() if self.asks_a_person and asked.interactive else contextlib.nullcontext():
                fields: object = self.grant(asked)
        except KineticAuthError as error:
            raise_interruption(error)
            redact_error(error, secret_texts(self))
            raise
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            raise_interruption(error)
            cause = redacted_cause(error, secret_texts(self))
            problem = f"raised {describe(cause).rstrip('.')}"
        else:
            wrong = _form_problem(fields)
            if wrong is None:
                return TokenRequest(dict(fields), secret_texts(self))  # type: ignore[call-overload]  # it is a mapping
            problem = mask(wrong, secret_texts(self))
        what = f"its grant() {problem} ({_class_and_owner(type(self))})."
        raise login.failed(AuthenticationError, what, remedy="Report this to the plugin's authors.") from cause

    def share(self, transports: Transports) -> None:
        """Use shared connections instead of its own.

        Args:
            transports: The connections; their maker closes them.
        """
        self._shared.get(lambda: transports)

    def connection(self) -> "Transport":
        """The transport of its requests, opened at first use."""
        return (self._shared.peek() or self._own.get(Transports)).get(
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            deadline=self.deadline,
            proxy=self.proxy,
            ca_bundle=self.ca_bundle,
            client_cert=self.client_cert,
            client_cert_key=self.client_cert_key,
            keep_alive=not (self.counts_failed_logins or self.single_use),
        )

    def http_get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Ask the org for a resource, once, over the connections of the login.

        Args:
            url: Of the resource.
            headers: To send; their values are secrets and in no message.

        Returns:
            The HTTP status, and the body.

        Raises:
            TransportError: No usable answer, or a redirect.
        """
        from kinetic_auth_core.transport.client import TokenRequest

        values = [part for value in headers.values() for part in (value, value.partition(" ")[2]) if part]
        with tallied():  # it is not a try of the login
            response = self.connection().get(url, TokenRequest(dict(headers), values))
        return response.status, response.body

    def close(self) -> None:
        """Close the connections. The next login opens new ones."""
        if own := self._own.peek():
            own.close()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds secrets and connections."""
        raise TypeError(f"{type(self).__name__} holds secrets and is not pickled; make or resolve it in the worker")
