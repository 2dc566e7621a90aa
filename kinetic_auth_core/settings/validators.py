"""Ready-made settings and validators of a grant: URLs that receive credentials, names, seconds, proxies."""

from typing import Any
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import url_problem, without_slash
from kinetic_auth_core.session import default_api_version, normal_api_version
from kinetic_auth_core.settings.schema import setting

_MAX_SECONDS = 86_400  # a day
DEFAULT_LOGIN_URL = "https://login.salesforce.com"


def check_url(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a URL that receives credentials.

    Raises:
        ConfigurationError: It is not https (or loopback), or has a user, query or fragment.
    """
    if problem := url_problem(value):
        raise ConfigurationError(problem)


def _check_login_url(instance: object, attribute: object, value: object) -> None:
    check_url(instance, attribute, value)
    if "/services/oauth2" in str(value):
        raise ConfigurationError("must be the host alone: leave out /services/oauth2/token")


def check_proxy(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a proxy's URL, or None.

    Raises:
        ConfigurationError: Its scheme is not supported, it has no host, or its port is invalid.
    """
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
    """Validator for a name that appears in messages and logs.

    Raises:
        ConfigurationError: It is blank, or has surrounding blanks or control characters such as a line break.
    """
    if isinstance(value, str) and (not value or value != value.strip() or not value.isprintable()):
        raise ConfigurationError("is blank, has blanks around it, or a line break or another control character in it")


def check_seconds(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a length of time.

    Raises:
        ConfigurationError: It is not a number, not above 0, or more than a day.
    """
    if not isinstance(value, int | float) or not 0 < value <= _MAX_SECONDS:
        raise ConfigurationError(f"must be a number of seconds above 0, up to {_MAX_SECONDS}")


def url_setting(default: Any = attrs.NOTHING, *, help: str, **options: Any) -> Any:  # noqa: A002 - as in `setting`
    """A setting that is a URL that receives credentials, or None if that is its default.

    Args:
        default: As for `setting`.
        help: As for `setting`.
        **options: The other arguments of `setting`, except converter and validator.
    """

    def check(instance: object, attribute: object, value: object) -> None:
        if value is not None or default is not None:
            check_url(instance, attribute, value)

    return setting(default, help=help, converter=without_slash, validator=check, **options)


def login_url_setting(*, kw_only: bool = False, identity: bool = True) -> Any:
    """The `login_url` setting, for subclasses that need it in another place among their arguments."""
    return setting(
        DEFAULT_LOGIN_URL,
        help="Host that logs in: https://login.salesforce.com, https://test.salesforce.com, a My Domain or a site.",
        converter=without_slash,
        validator=_check_login_url,
        kw_only=kw_only,
        identity=identity,
    )


def api_version_text(value: Any) -> Any:
    """Converter for an API version: TOML may have a number, `api_version = 61.0`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return default_api_version() if value is None else value


def check_api_version(_instance: object, _attribute: object, value: str) -> None:
    """Validator for an API version.

    Raises:
        ConfigurationError: It is not an API version.
    """
    normal_api_version(value)
