"""Ready-made settings and validators of a grant: URLs that receive credentials, names, seconds, proxies."""

import functools
import logging
import re
from typing import Any
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import is_key_text, url_problem
from kinetic_auth_core.session import (
    DEFAULT_API_VERSION,
    FIRST_LASTING_API_VERSION,
    default_api_version,
    is_retired,
    normal_api_version,
    retires_soon,
)
from kinetic_auth_core.settings.hosts import canonical_login_url, is_trusted_by_itself, login_host_problem
from kinetic_auth_core.settings.schema import Setting, not_from_found_files, setting, with_help

logger = logging.getLogger(__name__)

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
    if isinstance(value, str) and (problem := _problem_beside_the_address(value)):
        raise ConfigurationError(problem)
    check_url(instance, attribute, value)
    if problem := login_host_problem(str(value)):
        raise ConfigurationError(problem)


def _problem_beside_the_address(url: str) -> str | None:
    """What is wrong with a login URL that has a query or fragment or lacks https://, with the address to write."""
    plain = canonical_login_url(re.split("[?#]", url, maxsplit=1)[0])
    address = plain if "://" in plain else canonical_login_url(f"https://{plain}")
    if address == url or (problem := url_problem(url)) is None:
        return None
    if instead := url_problem(address):
        return instead if "write" in instead else problem
    return login_host_problem(address) or f"{problem.partition(';')[0]}: write {address}"


def _foreign_login_host(value: object) -> str | None:
    """Why a file that nobody named may not say that credentials go to this URL; None if it may."""
    if not isinstance(value, str) or is_trusted_by_itself(value if "://" in value else f"https://{value}"):
        return None  # one without https:// is refused for that alone
    return "is a host that is neither Salesforce's nor this machine"


def _program(_value: object) -> str:
    return "is a program that would be run"


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


def check_path(_instance: object, _attribute: object, value: object) -> None:
    """Validator for the path of a key or certificate, or None.

    Raises:
        ConfigurationError: It is the key or certificate itself, which is not quoted.
    """
    if is_key_text(value):
        raise ConfigurationError("is the key or certificate itself, not a path: write it to a file, and give its path")


def check_seconds(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a length of time.

    Raises:
        ConfigurationError: It is not a number, not above 0, or more than a day.
    """
    if not isinstance(value, int | float) or not 0 < value <= _MAX_SECONDS:
        raise ConfigurationError(f"must be a number of seconds above 0, up to {_MAX_SECONDS}")


@with_help
def url_setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,  # noqa: A002 - as in `setting`
    converter: Any = None,
    validator: Any = None,
    **options: Any,
) -> Any:
    """A setting that is a URL that receives credentials, or None if that is its default.

    Args:
        default: As for `setting`.
        help: As for `setting`.
        converter: As for `setting`; it gets the URL in canonical form, see `settings.hosts`.
        validator: As for `setting`; it adds to the check of the URL.
        **options: The other arguments of `setting`.
    """

    def check(instance: object, attribute: object, value: object) -> None:
        if value is not None or default is not None:
            check_url(instance, attribute, value)

    return _url(check, default, help=help, converter=converter, validator=validator, **options)


def login_url_setting(
    default: Any = DEFAULT_LOGIN_URL,
    *,
    help: str = "Host that logs in: https://login.salesforce.com, https://test.salesforce.com, a My Domain or a site.",  # noqa: A002 - as in `setting`
    converter: Any = None,
    validator: Any = None,
    **options: Any,
) -> Any:
    """The `login_url` setting, for subclasses that need it in another place, or with another default or more checks.

    Args:
        default: As for `setting`; `attrs.NOTHING` makes it required.
        help: As for `setting`.
        converter: As for `setting`; it gets the URL in canonical form, see `settings.hosts`.
        validator: As for `setting`; it adds to the check of the URL.
        **options: The other arguments of `setting`.
    """
    made = _url(_check_login_url, default, help=help, converter=converter, validator=validator, **options)
    return not_from_found_files(made, _foreign_login_host)


def command_setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,  # noqa: A002 - as in `setting`
    **options: Any,
) -> Any:
    """A setting that names a program to run: a file that was found by searching, instead of named, must not set it.

    Args:
        default: As for `setting`.
        help: As for `setting`.
        **options: The other arguments of `setting`.
    """
    return not_from_found_files(setting(default, help=help, **options), _program)


def names_a_program(setting_: Setting) -> bool:
    """Whether a setting was declared by `command_setting`."""
    return setting_.problem_in_found_file("") == _program("")


def _canonical(value: Any) -> Any:
    """Converter of a URL: into canonical form; anything but text is returned unchanged."""
    return canonical_login_url(value) if isinstance(value, str) else value


def _url(check: Any, default: Any, *, converter: Any, validator: Any, **options: Any) -> Any:
    more = [] if validator is None else [*validator] if isinstance(validator, list | tuple) else [validator]
    convert = _canonical if converter is None else attrs.converters.pipe(_canonical, converter)
    return setting(default, converter=convert, validator=[check, *more], **options)


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
    version = normal_api_version(value)
    if is_retired(version):
        _warn_of_end(f"Salesforce has retired {version}: each REST call is answered by HTTP 410")
    elif retires_soon(version):
        _warn_of_end(f"Salesforce ends {version} with Summer '28")


@functools.cache
def _warn_of_end(what: str) -> None:
    """Warn once in a process."""
    logger.warning(
        "api_version: %s; write v%d.0 or newer, such as %s", what, FIRST_LASTING_API_VERSION, DEFAULT_API_VERSION
    )


def ca_bundle_setting() -> Any:
    """The `ca_bundle` setting: keyword-only. For providers without a grant: it counts for what the source asks."""
    return setting(
        default=None,
        help="File or folder of CA certificates; default: REQUESTS_CA_BUNDLE, else certifi's.",
        identity=False,
        validator=check_path,
        kw_only=True,
    )


def api_version_setting() -> Any:
    """The `api_version` setting: keyword-only; default: `SF_API_VERSION`, else v62.0. For providers without a grant."""
    return setting(
        attrs.Factory(default_api_version),
        help="REST API version of the sessions, such as v62.0.",
        identity=False,
        converter=api_version_text,
        validator=check_api_version,
        kw_only=True,
    )
