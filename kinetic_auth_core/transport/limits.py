"""Limits of a request: reads that end at a deadline, and bodies that are decompressed in bounded memory.

A read time-out starts again with every byte that arrives, so a server that dribbles its headers outlives any of them.
Here each read may last at most what is left until the deadline of the login that runs in this thread.
"""

import http.client
import io
import queue
import socket
import ssl
import sys
import zlib
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from kinetic_auth_core.concurrency import no_fork, raise_interruption
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
        addresses = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except UnicodeError as error:
        raise NameResolutionError(connection.host, connection, socket.gaierror(str(error))) from error
    last: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        opened = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                opened.setsockopt(*option)
            opened.settimeout(bounded_timeout_s(connection.timeout))
            opened.connect(address)
            opened.settimeout(bounded_timeout_s(connection.timeout))  # for the handshake: what connecting has left
        except OSError as error:
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
        super()._tunnel()
        self.sock.settimeout(bounded_timeout_s(self.sock.gettimeout()))  # for the handshake: what the proxy has left

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        return _BoundedReceiver(super()._connect_tls_proxy(hostname, sock))

    def _new_conn(self) -> socket.socket:
        return _connect(self)


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
