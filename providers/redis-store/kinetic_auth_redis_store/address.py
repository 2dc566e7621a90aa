"""Checks the URL of a Redis, and makes the client for it."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from kinetic_auth_core import ConfigurationError
from kinetic_auth_core.plugins import raise_interruption

if TYPE_CHECKING:
    from redis import Redis

#: The options allowed after `?`. redis-py accepts any, such as `ssl_cert_reqs=none` and timeouts.
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
OPTIONS = ("client_name", "db", *_FILES)
_SCHEMES = ("redis", "rediss", "unix")


def check_url(_instance: object, _attribute: object, value: object) -> None:
    """Validator for the URL of a Redis. Its messages do not quote the URL, which may contain a password.

    Raises:
        ConfigurationError: Wrong scheme, no host or path, invalid port or database, or an unknown option.
    """
    if problem := _problem(str(value)):
        raise ConfigurationError(problem)


def _problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return "is not a valid URL: is there a character in host, port or password that needs %-encoding?"
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        return "must begin with redis://, rediss:// (TLS) or unix:// (a socket's path)"
    is_socket = parts.scheme == "unix"
    if is_socket and (not parts.path.startswith("/") or parts.hostname):
        return "must have the absolute path of a socket: unix:///run/redis.sock?db=0"
    if not is_socket and not (parts.hostname and port_fits):
        return "needs a host, and a port between 1 and 65535 if it has one"
    database = options.get("db") or ("" if is_socket else parts.path.strip("/"))
    if not (database == "" or (database.isascii() and database.isdigit())) or options.get("db") == "":
        return "needs a number as its database: redis://host:6379/0"
    if parts.fragment or not options.keys() <= set(OPTIONS):
        return f"has an option that is not one of {', '.join(OPTIONS)}; or an unescaped ? or # in its password"
    if parts.scheme != "rediss" and any(name.startswith("ssl_") for name in options):
        return "has TLS options without TLS: begin it with rediss://"
    return None


def connect(url: str, timeout_s: float) -> "Redis":
    """A client without retries and with bounded time. Nothing is sent before its first use.

    Args:
        url: A URL that `check_url` accepts.
        timeout_s: Seconds for connecting, and for each answer.

    Raises:
        ConfigurationError: A file that the URL names cannot be read: redis-py would say that of the host.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    for name, path in parse_qsl(urlsplit(url).query):
        if name in _FILES:
            _check_file(name, path)
    options: dict[str, Any] = {"ssl_check_hostname": True} if url.startswith("rediss:") else {}
    return Redis.from_url(
        url,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


def _check_file(name: str, path: str) -> None:
    try:
        with open(path, "rb"):  # noqa: PTH123 - a path as the TLS library takes it
            return
    except (OSError, ValueError) as error:
        raise_interruption(error)
        why = getattr(error, "strerror", None) or type(error).__name__
    raise ConfigurationError(f"{name}: {path} cannot be read: {why}")
