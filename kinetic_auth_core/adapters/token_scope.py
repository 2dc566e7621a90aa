"""Which host may receive a session's token: the session's own instance only. Used by all adapters."""

import logging
from collections.abc import MutableMapping
from typing import Final
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.locations import is_loopback
from kinetic_auth_core.session import SalesforceSession

logger = logging.getLogger(__name__)

BULK_HEADER: Final = "X-SFDC-Session"
"""The header in which Bulk API v1 expects the token."""

_PORTS: Final = {"https": 443, "http": 80}


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


class TokenScope:
    """Adds tokens to requests to their session's instance, and warns once per host about requests to other hosts."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def attach(self, headers: MutableMapping[str, str], target: Origin | None, session: SalesforceSession) -> bool:
        """Authorize a request, if it goes to the session's own instance.

        `Authorization` is replaced, and `X-SFDC-Session` if the request has it. The headers of a request to any other
        host are not changed.

        Args:
            headers: The request's headers, with case-insensitive names.
            target: The request's target, as the client parses its URL.
            session: The live session.

        Returns:
            Whether the request has the token now.
        """
        if not is_own(target, session):
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
