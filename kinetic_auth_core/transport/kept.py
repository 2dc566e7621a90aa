"""Connections that are kept from one request to the next: for how long, and what a broken one means.

Whether the other side has closed a kept connection is only known where that was announced to this machine. A NAT
gateway or firewall forgets an idle connection without a word: what is sent over it gets no answer, or a reset. So a
connection is used again only for a short time, and not at all for requests that must not be sent twice.
"""

import time
from typing import Any, Final

import urllib3.connection
import urllib3.connectionpool
from urllib3.util.connection import is_connection_dropped

#: Seconds for which an idle connection is used again. Logins of many tenants, or of users after a burst of dead tokens,
#: follow each other within seconds; the next login of one source is an hour away or more. Gateways and balancers drop
#: idle connections after minutes at most, some after 15 s.
MOST_IDLE_S: Final = 10.0


class StaleConnectionError(ConnectionResetError):
    """A kept connection broke before any byte of an answer came over it."""


class KeptConnection(urllib3.connection.HTTPConnection):
    """Part of a connection that knows since when it is idle, and whether it has served a request."""

    #: `http.client.HTTPConnection.debuglevel = 1`, which applications set for all connections of the process, prints
    #: each request with its form. This one has the secrets of a login.
    debuglevel = 0
    _idle_since: tuple[float, float] | None = None

    def connect(self) -> None:
        """Connect; a new connection has not served a request."""
        self._idle_since = None
        super().connect()

    def getresponse(self) -> Any:
        """Read the beginning of the answer.

        Raises:
            StaleConnectionError: The connection has served before, and broke now.
        """
        try:
            return super().getresponse()
        except ConnectionError as error:
            if self._idle_since is None:
                raise
            raise StaleConnectionError(*error.args) from error

    def rest(self) -> None:
        """Note that it is idle from now on."""
        self._idle_since = _now()

    @property
    def is_usable(self) -> bool:
        """Whether the next request may go over it: it was not idle for long, and the other side has sent nothing.

        Both clocks count: the monotonic one stands still while a machine or a Lambda function is frozen, and the other
        one can be set.
        """
        if self._idle_since is None:
            return True
        idle_s = max(now - then for now, then in zip(_now(), self._idle_since, strict=True))
        return idle_s <= MOST_IDLE_S and not is_connection_dropped(self)


class KeptPool(urllib3.connectionpool.HTTPConnectionPool):
    """Part of a pool that closes what was idle for too long before it is used again."""

    keeps_connections = True

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if not connection.is_usable:
            connection.close()  # urllib3 opens it again
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            if self.keeps_connections:
                conn.rest()
            else:
                conn.close()
        super()._put_conn(conn)


def _now() -> tuple[float, float]:
    return time.monotonic(), time.time()


def pool_classes(pools: dict[str, Any], *, keep_alive: bool) -> dict[str, Any]:
    """Pool classes whose connections are used again for a short time or not at all, and print nothing.

    Args:
        pools: The classes to extend, by scheme: ours, or urllib3's own for SOCKS.
        keep_alive: Whether a connection may be used again.
    """

    def extended(pool: Any) -> Any:
        connection = type(pool.ConnectionCls.__name__, (KeptConnection, pool.ConnectionCls), {})
        return type(pool.__name__, (KeptPool, pool), {"ConnectionCls": connection, "keeps_connections": keep_alive})

    return {scheme: extended(pool) for scheme, pool in pools.items()}
