"""The base of providers that log in with one request to the token endpoint: settings, checks, the login itself.

A subclass gives the form fields of its grant and nothing else. What the answer means is in `answers`, how it travels in
`transport`.
"""

import abc
import inspect
import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.config.layers import settle, variable_layers
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import (
    AuthenticationError,
    ConfigurationError,
    KineticAuthError,
    TransportError,
    safe_cause,
)
from kinetic_auth_core.hookspecs import hookimpl
from kinetic_auth_core.once import Once
from kinetic_auth_core.references import parse_reference
from kinetic_auth_core.registry import KEY_LOADERS, installed
from kinetic_auth_core.session import SalesforceSession, default_api_version, normal_api_version
from kinetic_auth_core.settings import LiteralText, exactly_one_of, group_problem, schema, secret_texts, setting
from kinetic_auth_core.urls import url_problem, without_slash

if TYPE_CHECKING:
    from kinetic_auth_core.answers import Login
    from kinetic_auth_core.transport import Form, Transport

logger = logging.getLogger(__name__)

_MAX_SECONDS = 86_400  # a day
DEFAULT_LOGIN_URL = "https://login.salesforce.com"


def check_url(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a setting that is a URL to which credentials go.

    Raises:
        ConfigurationError: It is not https (or loopback), or has a part that does not belong there.
    """
    if problem := url_problem(value):
        raise ConfigurationError(problem)


def _check_login_url(instance: object, attribute: object, value: object) -> None:
    check_url(instance, attribute, value)
    if "/services/oauth2" in str(value):
        raise ConfigurationError("must be the host alone: leave out /services/oauth2/token")


def _check_proxy(_instance: object, _attribute: object, value: object) -> None:
    if value is None:
        return
    if not str(value).startswith(("http://", "https://", "socks5://", "socks5h://")):
        raise ConfigurationError("must begin with http://, https:// or socks5h://")
    try:
        parts = urlsplit(str(value))
        fits = bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ConfigurationError("needs a host, and a port between 1 and 65535 if it has one")


def single_line(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a name that goes into messages and logs: neither blank, nor with a line break in it.

    Raises:
        ConfigurationError: It is one of these.
    """
    if isinstance(value, str) and (not value or value != value.strip() or not value.isprintable()):
        raise ConfigurationError("is blank, has blanks around it, or a line break or another control character in it")


def _check_seconds(_instance: object, _attribute: object, value: object) -> None:
    if not isinstance(value, int | float) or not 0 < value <= _MAX_SECONDS:
        raise ConfigurationError(f"must be a number of seconds above 0, up to {_MAX_SECONDS}")


def url_setting(default: Any = attrs.NOTHING, *, help: str, **options: Any) -> Any:  # noqa: A002 - as in `setting`
    """A setting that is a URL to which credentials go, or None where that is its default.

    Args:
        default: As for `setting`.
        help: As for `setting`.
        **options: The other arguments of `setting`, but for converter and validator.
    """

    def check(instance: object, attribute: object, value: object) -> None:
        if value is not None or default is not None:
            check_url(instance, attribute, value)

    return setting(default, help=help, converter=without_slash, validator=check, **options)


def login_url_setting(*, kw_only: bool = False) -> Any:
    """The `login_url` setting, for subclasses that give it another place among their arguments."""
    return setting(
        DEFAULT_LOGIN_URL,
        help="Host that logs in: https://login.salesforce.com, https://test.salesforce.com, a My Domain or a site.",
        converter=without_slash,
        validator=_check_login_url,
        kw_only=kw_only,
    )


def _api_version(value: Any) -> Any:
    """TOML may well say `api_version = 61.0`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return default_api_version() if value is None else value


class CheckedMeta(abc.ABCMeta):
    """Checks an instance once its constructor has returned.

    All problems are told at once, and the constructor's frame, whose locals are the secrets, is in no traceback.
    """

    checks_after_init = True

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's, for `help()` and editors: `__call__` below would hide it."""
        whole = inspect.signature(type.__getattribute__(cls, "__init__"))
        return whole.replace(parameters=list(whole.parameters.values())[1:], return_annotation=whole.empty)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the instance, then check it."""
        instance = failure = None
        try:
            instance = super().__call__(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again below, without the constructor's frame
            failure = error.with_traceback(None)
        del args, kwargs
        if failure is not None:
            raise failure
        _check(instance)
        return instance


@attrs.frozen(kw_only=True)
class GrantAuthenticator(metaclass=CheckedMeta):
    """Base class of a provider whose login is one POST to `<login_url>/services/oauth2/token`.

    Subclasses are attrs classes that add their settings and implement `grant`. They may set `provider_name`, for
    messages; `exactly_one_of`, groups of settings of which exactly one must be given; and `answers_are_signed`, where
    an answer without a signature is to be refused if the client secret is known.
    """

    provider_name: ClassVar[str] = ""
    exactly_one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    answers_are_signed: ClassVar[bool] = False

    login_url: str = login_url_setting(kw_only=True)
    api_version: str = setting(
        attrs.Factory(default_api_version),
        help="REST API version of the sessions, such as v62.0.",
        converter=_api_version,
        validator=lambda _self, _attribute, value: normal_api_version(value) and None,
    )
    connect_timeout: float = setting(5.0, help="Seconds for connecting.", validator=_check_seconds)
    read_timeout: float = setting(30.0, help="Seconds without a byte from the server.", validator=_check_seconds)
    deadline: float = setting(60.0, help="Seconds for the whole login.", validator=_check_seconds)
    proxy: str | None = setting(
        None, help="Proxy URL; default: HTTPS_PROXY and the like.", secret=True, validator=_check_proxy
    )
    ca_bundle: str | os.PathLike[str] | None = setting(
        None, help="File or folder of CA certificates; default: REQUESTS_CA_BUNDLE, else certifi's."
    )
    _transport: Once[Any] = attrs.field(init=False, repr=False, eq=False, factory=Once)

    @abc.abstractmethod
    def grant(self, now: float) -> Mapping[str, str]:
        """The form fields of one token request.

        Args:
            now: Unix seconds, by the server's clock as far as known.

        Returns:
            All fields, `grant_type` among them.
        """

    @classmethod
    def from_env(cls, env_file: str | os.PathLike[str] | None = None) -> Self:
        """Make one from environment variables (`SF_CLIENT_ID`, ...) and a `.env` file; the process's win.

        Args:
            env_file: The `.env` file; default: the nearest one in the working directory or a parent, if any.

        Raises:
            ConfigurationError: Variables are missing or wrong; all of them are named.
        """
        settings = schema(cls)
        settled = settle(
            settings, exactly_one_of(cls), variable_layers(settings, Variables.load(env_file)), how_to_give="set"
        )
        if settled.problems:
            raise ConfigurationError.of(f"Cannot configure {cls.__name__} from the environment", settled.problems)
        return cls(**settled.values)

    @hookimpl
    def authenticate(self) -> SalesforceSession:
        """Log in, now.

        Returns:
            A session of the caller's own.

        Raises:
            AuthenticationError: The login failed.
            KeyLoadError: A key is not there or not usable.
            ConfigurationError: A setting turns out wrong only now, such as a `ca_bundle` that cannot be read.
        """
        from kinetic_auth_core.answers import Login, read_answer

        login = Login(
            self.provider_name or type(self).__name__,
            urlsplit(self.login_url).netloc,
            getattr(self, "username", None),
        )
        form = self._form(login)
        logger.debug("%s login of %s at %s: asking for a token", login.provider, login.username, login.host)
        try:
            answer = self._transport.get(self._new_transport).post(f"{self.login_url}/services/oauth2/token", form)
        except TransportError as error:
            details = {"remedy": error.remedy, "status": error.status, "retryable": error.retryable}
            raise login.failed(TransportError, error.message, **details) from error.__cause__
        outcome = read_answer(
            answer,
            login,
            form,
            api_version=self.api_version,
            client_secret=getattr(self, "client_secret", None),
            must_be_signed=self.answers_are_signed,
        )
        if isinstance(outcome, AuthenticationError):
            raise outcome
        logger.debug("%s login of %s at %s: org %s", login.provider, login.username, login.host, outcome.org_id)
        return outcome

    def _form(self, login: "Login") -> "Form":
        from kinetic_auth_core.transport import Form

        problem, cause = "", None
        try:
            fields: object = self.grant(time.time())
        except KineticAuthError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            problem, cause = f"its grant() raised {type(error).__name__}.", safe_cause(error, secret_texts(self))
        else:
            if isinstance(fields, Mapping) and all(isinstance(text, str) for pair in fields.items() for text in pair):
                return Form(dict(fields), secret_texts(self))
            problem = f"its grant() gave {type(fields).__name__}, not a mapping of text to text."
            del fields  # not among the locals of a traceback
        raise login.failed(AuthenticationError, problem) from cause

    def _new_transport(self) -> "Transport":
        from kinetic_auth_core.transport import Transport

        return Transport(
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            deadline=self.deadline,
            proxy=self.proxy,
            ca_bundle=self.ca_bundle,
        )

    def close(self) -> None:
        """Give the connections back. The next login opens new ones."""
        if transport := self._transport.take():
            transport.close()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds secrets and connections."""
        raise TypeError(f"{type(self).__name__} holds secrets and is not pickled; make or resolve it in the worker")


def _check(made: Any) -> None:
    """Check an instance against its schema: types, validators, references, exactly-one-of.

    Raises:
        ConfigurationError: All that is wrong.
    """
    cls = type(made)
    problems = []
    for each in schema(cls):
        try:
            each.check(made)
            if each.secret and (problem := reference_problem(each.value_of(made))):
                problems.append(f"{each.name}: {problem}")
        except ValueError as error:
            problems.append(f"{each.name}: {getattr(error, 'message', None) or error}")
    for group in exactly_one_of(cls):
        given = [name for name in group if getattr(made, name) not in (None, "")]
        if problem := group_problem(schema(cls), group, given):
            problems.append(problem)
    if problems:
        raise ConfigurationError.of(f"Cannot make {cls.__name__}", problems)


def reference_problem(value: object) -> str | None:
    """What is wrong with a secret that a class was given by hand: it is a reference, which nobody would resolve."""
    if not isinstance(value, str) or isinstance(value, LiteralText) or "://" not in value:
        return None
    schemes = {plugin.name for plugin in installed(KEY_LOADERS)}
    if parse_reference(value, schemes) is None:
        return None
    return "is a reference, and references are for kinetic_auth_core.resolve(...); give the value itself"
