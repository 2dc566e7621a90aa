"""Limits of a request: sockets whose reads end at a deadline, and bodies that are decompressed in bounded memory.

A read time-out starts again with every byte that arrives, so a server that dribbles its headers outlives any of them.
Here each read may last at most what is left until the deadline of the login that runs in this thread.
"""

import http.client
import socket
import ssl
import zlib
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from kinetic_auth_core.transport.connections import bounded_timeout_s


class _BoundedSocket(socket.socket):
    def recv(self, *args: Any) -> bytes:
        """For urllib3's TLS inside of TLS, as through a proxy that is spoken to by https."""
        self.settimeout(bounded_timeout_s(self.gettimeout()))
        return super().recv(*args)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(bounded_timeout_s(self.gettimeout()))
        return super().recv_into(*args, **kwargs)


class _BoundedTLSSocket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        """What connecting has left of the time, or a proxy's answer."""
        self.settimeout(bounded_timeout_s(self.gettimeout()))
        super().do_handshake(block)

    def recv(self, *args: Any) -> bytes:
        self.settimeout(bounded_timeout_s(self.gettimeout()))
        return super().recv(*args)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(bounded_timeout_s(self.gettimeout()))
        return super().recv_into(*args, **kwargs)


def tls_context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    """A verifying TLS client context, 1.2 or newer, whose sockets obey the deadline.

    Args:
        cafile: A file of trusted CA certificates in PEM form, or None.
        capath: A folder of them, as OpenSSL hashes it, or None.

    Raises:
        OSError: The file cannot be read, or holds no certificate (ssl.SSLError).
    """
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # truststore.inject_into_ssl() puts its own class in place of ssl.SSLContext, which wraps sockets with `_ctx`.
    getattr(context, "_ctx", context).sslsocket_class = _BoundedTLSSocket
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
        opened = _BoundedSocket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                opened.setsockopt(*option)
            opened.settimeout(bounded_timeout_s(connection.timeout))
            opened.connect(address)
        except OSError as error:
            opened.close()
            last = error
        else:
            return opened
    if isinstance(last, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from last
    raise NewConnectionError(connection, f"no connection: {last}") from last


class _Response(http.client.HTTPResponse):
    """An answer whose headers are whole lines of name and value. urllib3 would log the others, with what is in them."""

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
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no TLS handshake in time") from error
        except ConnectionError as error:
            raise NewConnectionError(self, f"no TLS handshake: {error}") from error

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class BoundedPool(HTTPConnectionPool):
    """urllib3's pool for http, with bounded sockets."""

    ConnectionCls = _Connection


class BoundedTLSPool(HTTPSConnectionPool):
    """urllib3's pool for https, with bounded sockets."""

    ConnectionCls = _TLSConnection


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
