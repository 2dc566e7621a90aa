"""Which host may receive a session's token: its own instance, and hosts that the caller names. Used by all adapters."""

import logging
import re
from collections.abc import Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import is_loopback
from kinetic_auth_core.session import SalesforceSession

logger = logging.getLogger(__name__)

BULK_HEADER: Final = "X-SFDC-Session"
"""The header in which Bulk API v1 expects the token."""

_PORTS: Final = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@attrs.frozen
class Origin:
    """Scheme, host and port of a URL; two origins are the same if all three are equal (RFC 6454)."""

    scheme: str
    host: str
    port: int | None

    @property
    def may_carry_tokens(self) -> bool:
        """Whether it is https, or http on the loopback interface."""
        return self.scheme == "https" or (self.scheme == "http" and is_loopback(self.host))


def origin(scheme: str, host: str, port: int | None) -> Origin:
    """The origin of a URL that a client has parsed.

    Args:
        scheme: `https`, `http` or another.
        host: The host, without a port and without brackets.
        port: The port; None for the scheme's default.
    """
    scheme = scheme.lower()
    return Origin(scheme, host.lower(), _PORTS.get(scheme) if port is None else port)


def origin_of(url: str) -> Origin | None:
    """The origin of a URL; None if it has none."""
    try:
        parts = urlsplit(url)
        return origin(parts.scheme, parts.hostname, parts.port) if parts.hostname else None
    except ValueError:  # an invalid port, or brackets without an address
        return None


def is_own(target: Origin | None, session: SalesforceSession) -> bool:
    """Whether the session's token may be sent to a target: the session's instance, by https or on loopback."""
    return target is not None and target.may_carry_tokens and target == origin_of(session.instance_url)


def carries(headers: MutableMapping[str, str], session: SalesforceSession) -> bool:
    """Whether a request's headers have this session's token, as `TokenScope.attach` sets it."""
    return headers.get("Authorization") == session.auth_header["Authorization"]


def detach(headers: MutableMapping[str, str], session: SalesforceSession) -> None:
    """Remove this session's token from a request's headers, so that a redirect does not receive it."""
    if carries(headers, session):
        del headers["Authorization"]
    if headers.get(BULK_HEADER) == session.access_token:
        del headers[BULK_HEADER]


def holds_token(body: object, session: SalesforceSession) -> bool:
    """Whether a body has the session's token, or that of another session in a SOAP envelope."""
    text = body.encode() if isinstance(body, str) else body
    return isinstance(text, bytes) and (session.access_token.encode() in text or b"sessionId>" in text)


def _exact_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """Host names in lower case.

    Raises:
        ConfigurationError: One is not a host name, or they are one text.
    """
    named: list[Any] = [hosts] if isinstance(hosts, str) else list(hosts)
    wrong = [each for each in named if not isinstance(each, str) or not _HOST.fullmatch(each.lower())]
    if wrong or isinstance(hosts, str):
        raise ConfigurationError(
            f"allowed_token_hosts: {(wrong or named)[0]!r} is not a list of exact host names.",
            remedy='Write each without scheme, port, path and *: ["api.salesforce.com"].',
        )
    return frozenset(each.lower() for each in named)


class TokenScope:
    """Adds tokens to requests to their session's instance, and warns once per host about requests to other hosts.

    Args:
        allowed_token_hosts: Exact names of further hosts that get the token, by https (or on loopback), on any port.

    Raises:
        ConfigurationError: One of them is not a host name.
    """

    def __init__(self, allowed_token_hosts: Iterable[str] = ()) -> None:
        self._hosts = _exact_hosts(allowed_token_hosts)
        self._warned: set[str] = set()

    def covers(self, target: Origin | None, session: SalesforceSession) -> bool:
        """Whether the session's token may be sent to a target.

        Args:
            target: The origin of the request's URL, as the client parses it.
            session: The session.
        """
        return is_own(target, session) or (
            target is not None and target.may_carry_tokens and target.host in self._hosts
        )

    def attach(self, headers: MutableMapping[str, str], target: Origin | None, session: SalesforceSession) -> bool:
        """Authorize a request, if it goes to the session's own instance or to a host that is allowed.

        `Authorization` is replaced, and `X-SFDC-Session` if the request has it. The headers of a request to any other
        host are not changed.

        Args:
            headers: The request's headers, with case-insensitive names.
            target: The request's target, as the client parses its URL.
            session: The live session.

        Returns:
            Whether the request has the token now.
        """
        if not self.covers(target, session):
            self._warn(target, session)
            return False
        headers.update(session.auth_header)
        if BULK_HEADER in headers:
            headers[BULK_HEADER] = session.access_token
        return True

    def _warn(self, target: Origin | None, session: SalesforceSession) -> None:
        where = f"{target.scheme}://{target.host}:{target.port}" if target else "a URL without a host"
        if where not in self._warned:
            self._warned.add(where)
            logger.warning(
                "a request to %s is sent without the session's token, which is only for %s", where, session.instance_url
            )
