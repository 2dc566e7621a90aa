"""Transports by the way they connect, so that many logins share connections."""

from typing import TYPE_CHECKING, Any

from kinetic_auth_core.concurrency import Lazy

if TYPE_CHECKING:
    from kinetic_auth_core.transport.client import Transport

#: How providers connect that have no settings for it.
DEFAULT_CONNECTION = {"connect_timeout": 5.0, "read_timeout": 30.0, "deadline": 60.0}
#: How many are kept: each holds connections, and tenants may each have a proxy of their own.
MOST = 64


class Transports:
    """One transport for each combination of time-outs, proxy and CA bundle, opened at first use; `MOST` at a time."""

    def __init__(self) -> None:
        self._by_connection: dict[tuple[tuple[str, Any], ...], Lazy[Transport]] = {}

    def get(self, **connection: Any) -> "Transport":
        """The transport for these arguments of `Transport`."""
        from kinetic_auth_core.transport.client import Transport

        lazy = self._by_connection.setdefault(tuple(sorted(connection.items())), Lazy())  # atomic
        while len(connections := list(self._by_connection)) > MOST:  # the oldest goes; a thread that uses it can go on
            if (oldest := self._by_connection.pop(connections[0], None)) and (transport := oldest.take()):
                transport.close()
        return lazy.get(lambda: Transport(**connection))

    def close(self) -> None:
        """Close the connections. The next use opens new ones."""
        for lazy in list(self._by_connection.values()):
            if transport := lazy.take():
                transport.close()
