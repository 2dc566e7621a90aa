"""A session's token goes to the session's own instance and nowhere else. Shared by all adapters; it speaks no HTTP."""

import logging
from collections.abc import MutableMapping
from typing import Final
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.urls import is_loopback

logger = logging.getLogger(__name__)

BULK_HEADER: Final = "X-SFDC-Session"
"""Where Bulk API v1 expects the token."""

_PORTS: Final = {"https": 443, "http": 80}


@attrs.frozen
class Origin:
    """Scheme, host and port of a URL; two are the same if all three are (RFC 6454). Made by `origin`."""

    scheme: str
    host: str
    port: int | None

    @property
    def may_carry_tokens(self) -> bool:
        """Whether it is encrypted, or this very machine."""
        return self.scheme == "https" or (self.scheme == "http" and is_loopback(self.host))


def origin(scheme: str, host: str, port: int | None) -> Origin:
    """The origin of a URL that a client has taken apart.

    Args:
        scheme: `https`, `http` or another.
        host: The host, without a port and without brackets.
        port: The port; None for the scheme's own.
    """
    scheme = scheme.lower()
    return Origin(scheme, host.lower(), _PORTS.get(scheme) if port is None else port)


def origin_of(url: str) -> Origin | None:
    """The origin of a URL; None where it has none."""
    try:
        parts = urlsplit(url)
        return origin(parts.scheme, parts.hostname, parts.port) if parts.hostname else None
    except ValueError:  # a port that is no number, brackets without an address
        return None


def is_own(target: Origin | None, session: SalesforceSession) -> bool:
    """Whether the session's token may be sent there: it is the session's instance, by https or on loopback."""
    return target is not None and target.may_carry_tokens and target == origin_of(session.instance_url)


def carries(headers: MutableMapping[str, str], session: SalesforceSession) -> bool:
    """Whether headers of a request hold this session's token, as `InstanceOnly.attach` put it there."""
    return headers.get("Authorization") == session.auth_header["Authorization"]


def detach(headers: MutableMapping[str, str], session: SalesforceSession) -> None:
    """Take this session's token out of the headers of a request, so that it does not go where a redirect leads."""
    if carries(headers, session):
        del headers["Authorization"]
    if headers.get(BULK_HEADER) == session.access_token:
        del headers[BULK_HEADER]


class InstanceOnly:
    """Puts tokens on requests to their session's instance, and tells once per host of a request to another one."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def attach(self, headers: MutableMapping[str, str], target: Origin | None, session: SalesforceSession) -> bool:
        """Authorize a request, if it goes to the session's own instance.

        `Authorization` is replaced, whoever set it; so is `X-SFDC-Session` where the request has it. The headers of a
        request to any other host are left alone.

        Args:
            headers: Those of the request; names are taken without regard to case.
            target: Where the request goes, as the client itself reads its URL.
            session: The live session.

        Returns:
            Whether the request carries the token now.
        """
        if not is_own(target, session):
            self._tell(target, session)
            return False
        headers.update(session.auth_header)
        if BULK_HEADER in headers:
            headers[BULK_HEADER] = session.access_token
        return True

    def _tell(self, target: Origin | None, session: SalesforceSession) -> None:
        where = f"{target.scheme}://{target.host}:{target.port}" if target else "a URL without a host"
        if where not in self._told:
            self._told.add(where)
            logger.warning(
                "a request to %s goes without the session's token, which is for %s alone", where, session.instance_url
            )
