"""urllib3's pools for a login: reads that end at its deadline, and connections that are kept for a short time.

A read time-out starts again with every byte that arrives, so a server that dribbles its headers outlives any of them.
Here each read may last at most what is left until the deadline of the login that runs in this thread.

Whether the other side has closed a kept connection is only known where that was announced to this machine. A NAT
gateway or firewall forgets an idle connection without a word: what is sent over it gets no answer, or a reset. So a
connection is used again only for a short time, and not at all for requests that must not be sent twice.
"""

import http.client
import io
import queue
import socket
import ssl
import sys
import time
import zlib
from typing import Any, Final

import urllib3.connection
import urllib3.connectionpool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError
from urllib3.util.connection import is_connection_dropped

from kinetic_auth_core.concurrency import no_fork, raise_interruption
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.transport.connections import bounded_timeout_s


class _BoundedReads(io.RawIOBase):
    """What a socket sends, as a file each of whose reads ends at the deadline.

    It goes around the socket, and is not a socket's class of our own: gevent, eventlet and truststore each put theirs
    in its place, at any time.

    Args:
        sock: The socket, whose time-out is set.
        raw: The socket's own file.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(bounded_timeout_s(self._sock.gettimeout()))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedReceiver:
    """A socket that urllib3 reads by itself, for TLS inside of TLS, as through a proxy that is spoken to by https."""

    __slots__ = ("_sock",)

    def __init__(self, sock: Any) -> None:
        object.__setattr__(self, "_sock", sock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._sock, name, value)

    def recv(self, *args: Any) -> bytes:
        self._sock.settimeout(bounded_timeout_s(self._sock.gettimeout()))
        received: bytes = self._sock.recv(*args)
        return received


class _Kept(queue.LifoQueue[Any]):
    """urllib3's queue of idle connections, without a lock: a signal handler that logs in would wait for it for ever."""

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self.queue: list[Any] = []

    def qsize(self) -> int:
        return len(self.queue)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002 - never waits
        if len(self.queue) >= self.maxsize:
            raise queue.Full
        self.queue.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002 - as above
        try:
            return self.queue.pop()  # the last one: atomic, as append is
        except IndexError:
            raise queue.Empty from None


def check_urllib3() -> None:
    """Check that urllib3 is urllib3: its fork, which may take its place, reads around what bounds a login here.

    Raises:
        ConfigurationError: It is not.
    """
    if hasattr(urllib3, "AsyncPoolManager"):  # the fork's own
        raise ConfigurationError(
            "the module urllib3 is another package's: urllib3-future, which niquests installs, has replaced it, and a "
            "login could not be kept to its deadline.",
            remedy="pip uninstall urllib3-future, or to keep it: URLLIB3_NO_OVERRIDE=1 pip install --force-reinstall "
            "--no-deps --no-binary urllib3-future urllib3-future. After either: pip install --force-reinstall urllib3",
        )


def tls_context(cafile: str | None, capath: str | None, *, is_strict: bool) -> ssl.SSLContext:
    """A verifying TLS client context, 1.2 or newer.

    It writes no keys to the file that SSLKEYLOGFILE names: who has them can read the credentials.

    Args:
        cafile: A file of trusted CA certificates in PEM form, or None.
        capath: A folder of them, as OpenSSL hashes it, or None.
        is_strict: Whether certificates must be as RFC 5280 says, which Python checks from 3.13 on. CAs of companies
            often are not, such as those that leave out the key identifiers (urllib3#3665).

    Raises:
        OSError: The file cannot be read, or holds no certificate (ssl.SSLError).
    """
    with no_fork:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile, capath)
    if sys.version_info >= (3, 13):  # as ssl.create_default_context does
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if is_strict:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connect(connection: HTTPConnection) -> socket.socket:
    """Open a bounded socket. Each of the host's addresses has the connect time-out, all of them the deadline."""
    try:
        host = connection.host.strip("[]")  # that of a proxy has the brackets of its URL
        # By position, as urllib3 does: httpretty's has other names.
        addresses = socket.getaddrinfo(host, connection.port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except UnicodeError:
        problem = socket.gaierror(socket.EAI_NONAME, "not a valid host name")
        raise NameResolutionError(connection.host, connection, problem) from problem
    except OSError as error:  # such as too many open files
        raise_interruption(error)
        raise NewConnectionError(connection, f"no connection: {error}") from error
    last: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        opened = None
        try:
            opened = socket.socket(family, kind, protocol)  # not of IPv6 where the system is without
            for option in connection.socket_options or ():
                opened.setsockopt(*option)
            opened.settimeout(bounded_timeout_s(connection.timeout))
            opened.connect(address)
            opened.settimeout(bounded_timeout_s(connection.timeout))  # for the handshake: what connecting has left
        except OSError as error:
            if opened is not None:
                opened.close()
            raise_interruption(error)
            last = error
        else:
            return opened
    if isinstance(last, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from last
    raise NewConnectionError(connection, f"no connection: {last}") from last


class _Response(http.client.HTTPResponse):
    """An answer that is read until the deadline, and whose headers are whole lines of name and value.

    urllib3 would log other lines, with what is in them.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReads(sock, self.fp.detach()))

    def _read_status(self) -> tuple[str, int, str]:
        """The status line; any announcement of an answer, such as 103 (Early Hints), is passed over as 100 is."""
        version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
        return version, http.client.CONTINUE if 101 < status < 200 else status, reason

    def begin(self) -> None:
        super().begin()
        if self.headers.defects or self.headers.get_payload():
            self.close()
            raise http.client.HTTPException("malformed headers")


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _TLSConnection(HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        """Connect. A failed handshake counts as no connection: nothing of the request was sent."""
        try:
            with no_fork:
                super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no TLS handshake in time") from error
        except ConnectionError as error:
            raise NewConnectionError(self, f"no TLS handshake: {error}") from error

    def _tunnel(self) -> None:
        try:
            super()._tunnel()
        except (OSError, http.client.HTTPException) as error:  # the proxy's own doing: nothing of the request was sent
            raise ProxyError("no tunnel", error) from error
        self.sock.settimeout(bounded_timeout_s(self.sock.gettimeout()))  # for the handshake: what the proxy has left

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        return _BoundedReceiver(super()._connect_tls_proxy(hostname, sock))

    def _new_conn(self) -> socket.socket:
        return _connect(self)


def bounded_socks(classes: dict[str, Any]) -> dict[str, Any]:
    """Pool classes for a SOCKS proxy, with bounded sockets.

    Args:
        classes: urllib3's own, by scheme.
    """

    def bounded(pool: Any, ours: Any) -> Any:
        def connect(connection: Any) -> Any:
            try:
                connection.timeout = bounded_timeout_s(connection.timeout)
                opened = pool.ConnectionCls._new_conn(connection)  # noqa: SLF001 - urllib3's place for it
                opened.settimeout(bounded_timeout_s(connection.timeout))
            except (TimeoutError, NewConnectionError, ConnectTimeoutError) as error:
                raise ProxyError("no connection", error) from error
            return opened

        connection = type(pool.ConnectionCls.__name__, (ours, pool.ConnectionCls), {"_new_conn": connect})
        return type(pool.__name__, (pool,), {"ConnectionCls": connection, "QueueCls": _Kept})

    ours = {"http": _Connection, "https": _TLSConnection}
    return {scheme: bounded(pool, ours[scheme]) for scheme, pool in classes.items()}


class BoundedPool(HTTPConnectionPool):
    """urllib3's pool for http, with bounded sockets."""

    ConnectionCls = _Connection
    QueueCls = _Kept


class BoundedTLSPool(HTTPSConnectionPool):
    """urllib3's pool for https, with bounded sockets."""

    ConnectionCls = _TLSConnection
    QueueCls = _Kept


POOL_CLASSES = {"http": BoundedPool, "https": BoundedTLSPool}


_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class CodingError(ValueError):
    """The body does not match its `Content-Encoding`, or that is not supported."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """Undo a content coding (RFC 9110, section 8.4).

    Args:
        body: What was sent.
        coding: The header's value; empty or `identity`: none.
        limit: More bytes than these are not made.

    Returns:
        The content; of one that is too long, `limit` bytes and one more.

    Raises:
        CodingError: It cannot be undone.
    """
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in _KNOWN:
        raise CodingError("a content coding that was not asked for")
    unpacker = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error:
        content = None
    if content is None or not (unpacker.eof or len(content) > limit):
        raise CodingError("a body that is not compressed as its header says")
    return content


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
        pools: The classes to extend, by scheme.
        keep_alive: Whether a connection may be used again.
    """

    def extended(pool: Any) -> Any:
        connection = type(pool.ConnectionCls.__name__, (KeptConnection, pool.ConnectionCls), {})
        return type(pool.__name__, (KeptPool, pool), {"ConnectionCls": connection, "keeps_connections": keep_alive})

    return {scheme: extended(pool) for scheme, pool in pools.items()}
