"""The HTTP server of the emulator: werkzeug's, changed to keep connections open, to break them, and to stop cleanly.

It differs from werkzeug's own in three ways. Connections stay open between requests, as Salesforce's do. The TLS
handshake runs in the connection's own thread, so that one client cannot block the others. And it tracks its threads and
sockets, so that none is left once it has stopped.
"""

from __future__ import annotations

import io
import logging
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final, cast

from werkzeug.http import http_date
from werkzeug.serving import DechunkedInput, ThreadedWSGIServer, WSGIRequestHandler

from kinetic_auth_core.testing.emulator.faults import Fault, FaultPlan

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger("kinetic_auth_core.testing")

CONNECTION_KEY: Final = "kinetic_auth.connection"
FAULT_KEY: Final = "kinetic_auth.fault"
MAX_BODY_BYTES: Final = 10_000_000
_RESET: Final = struct.pack("ii", 1, 0)
_INTACT: Final = Fault()


class Handler(WSGIRequestHandler):
    """Serves one connection; faults write to it, wait, and end it."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Give the connection its number."""
        super().setup()
        self.number = self.server.next_number()

    def run_wsgi(self) -> None:
        """Handle one request and leave the connection open unless the client or a fault wants otherwise."""
        body = self._read_body()
        if body is None:
            self.close_connection = True
            self.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        environ = self.make_environ()
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        environ[CONNECTION_KEY] = self.number
        lines: list[str] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., Any]:
            lines[:] = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
            return self.write

        answer = self.server.app(environ, start_response)
        try:
            content = b"".join(answer)
            lines.append(f"Date: {http_date(self.server.clock())}")
            if self.close_connection:
                lines.append("Connection: close")
            head = "\r\n".join([*lines, "", ""]).encode("latin-1")
            environ.get(FAULT_KEY, _INTACT).send(self, head, content)
        finally:
            answer.close()  # type: ignore[attr-defined]  # a werkzeug Response's iterable has it

    def _read_body(self) -> bytes | None:
        """The body; None if it is too large. A client that stops half-way has made no request."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            chunks = io.BufferedReader(cast("io.RawIOBase", DechunkedInput(cast("IO[bytes]", self.rfile))))
            try:
                body = chunks.read(MAX_BODY_BYTES + 1)
            except ValueError as error:  # werkzeug's, for a chunk that is cut off
                raise ConnectionAbortedError("the client disconnected") from error
        else:
            length = self.headers.get("Content-Length", "0")
            if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                return None
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                raise ConnectionAbortedError("the client disconnected")
        return None if len(body) > MAX_BODY_BYTES else body

    # What faults use

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.connection.sendall(data)

    def wait(self, seconds: float) -> None:
        """Wait, unless the client disconnects or the server stops; then raise `ConnectionAbortedError`."""
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            # Readable means that the client has disconnected, or that `Server.stop` has shut the socket down.
            if selector.select(seconds) and not socket.socket.recv(self.connection, 1, socket.MSG_PEEK):
                raise ConnectionAbortedError("the client disconnected, or the emulator stops")
        if self.server.stopping.wait(max(0.0, end - time.monotonic())):
            raise ConnectionAbortedError("the emulator stops")

    def hang_up(self) -> None:
        """Close the connection once the answer is done."""
        self.close_connection = True

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        self.close_connection = True
        order_reset(self.connection)

    # Logs what the base classes would print, without anything that a client sent.

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the emulator keeps a record of every request."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log that a request was not HTTP."""
        logger.debug("connection %d: a request that is not HTTP", self.number)


class Server(ThreadedWSGIServer):
    """A threaded server that can be stopped without leaving a thread or a socket.

    Raises:
        OSError: The port is taken.
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self,
        address: tuple[str, int],
        app: WSGIApplication,
        plan: FaultPlan,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None,
    ) -> None:
        # werkzeug exits the whole process when a port is taken; bound here, it is an OSError.
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.create_server(address, family=family, backlog=self.request_queue_size) as listener:
            super().__init__(*address, app, Handler, fd=listener.fileno())
        self.ssl_context = tls
        self.plan = plan
        self.clock = clock
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._numbers = 0
        self._acceptor = threading.Thread(target=self._accept, name=f"salesforce-emulator-{self.port}", daemon=True)
        self._sleeper, self._waker = socket.socketpair()

    def start(self) -> None:
        """Start to accept connections."""
        self._acceptor.start()

    def stop(self) -> None:
        """Close every connection and wait for the threads to end."""
        self.stopping.set()
        self._waker.close()  # which makes the acceptor's end readable
        self._acceptor.join()
        with self._lock:
            threads = list(self._open)
            for connection in self._open.values():
                _shut_down(connection)
        for thread in threads:
            thread.join(10)

    def _accept(self) -> None:
        """Accept connections until `stop`. `serve_forever` would notice it only after its poll interval."""
        with self._sleeper, selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._sleeper, selectors.EVENT_READ)
            while not self.stopping.is_set():
                selector.select()
                if not self.stopping.is_set():
                    self._handle_request_noblock()  # type: ignore[attr-defined]  # as `serve_forever` does
        self.server_close()

    def next_number(self) -> int:
        """The number of a new connection, counted from 1."""
        with self._lock:
            self._numbers += 1
            return self._numbers

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        thread = threading.Thread(
            target=self._serve,
            args=(request, client_address),
            name=f"salesforce-emulator-{self.port}-connection",
            daemon=True,
        )
        with self._lock:
            self._open[thread] = request
        thread.start()

    def _serve(self, connection: socket.socket, client_address: Any) -> None:
        thread = threading.current_thread()
        try:
            if self.plan.take("connect") is not None:
                order_reset(connection)
                return
            if self.ssl_context is not None:
                # Fails if the client has disconnected. wrap_socket would fail as well, but leave the socket open.
                connection.getpeername()
                with self._lock:
                    wrapped = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                    self._open[thread] = connection = wrapped
                wrapped.do_handshake()
            self.finish_request(connection, client_address)
        except OSError as error:
            logger.debug("a connection ended: %s", type(error).__name__)
        except Exception:
            logger.exception("the emulator failed to answer")
        finally:
            self.shutdown_request(connection)
            with self._lock:
                del self._open[thread]

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, normally unless a fault wants a reset."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET)) != _RESET:
            _shut_down(request, socket.SHUT_WR)
        request.close()


def order_reset(connection: socket.socket) -> None:
    """Make the closing of a connection send a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _shut_down(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    # Unbound: the method of an SSLSocket would drop its TLS state while another thread reads from it.
    try:
        socket.socket.shutdown(connection, how)
    except OSError:
        logger.debug("the client had closed the connection already")
