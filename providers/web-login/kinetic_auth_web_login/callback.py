"""The loopback address to which the browser brings the authorization code back (RFC 8252, section 7.3).

127.0.0.1 and ::1 are bound before the browser opens, so that no other program can wait there. A callback that does not
have our `state` is answered with 400 and changes nothing: any web page can send one. The answer to ours leads to a
static page without a query, so that neither the code nor the state stays in the browser's history.
"""

import errno
import hmac
import os
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

from kinetic_auth_core import AuthenticationError, ConfigurationError

#: The path that the `sf` command's app registers, too.
PATH = "/OauthRedirect"
_DONE, _NOT_DONE = "/done", "/not-done"
_HOSTS = ("127.0.0.1", "::1")
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
#: How long a browser may take for its request, and to fetch the page at the end, in seconds.
_REQUEST_S, _PAGE_S = 10, 3.0
_LONGEST_QUERY = 8192

_PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    "<body><h1>{title}</h1><p>{text}</p></body></html>\n"
)
_PAGES = {
    _DONE: (
        200,
        _PAGE.format(title="You are logged in", text="You can close this window and go back to the application."),
    ),
    _NOT_DONE: (
        200,
        _PAGE.format(
            title="You are not logged in",
            text="Access was denied or the login failed. You can close this window; the application says why.",
        ),
    ),
}
_FOREIGN = _PAGE.format(title="Not expected", text="This address does not belong to the login that is waited for.")


class _Handler(BaseHTTPRequestHandler):
    """Answers one browser."""

    timeout: ClassVar[int] = _REQUEST_S
    server: "_Server"

    def do_GET(self) -> None:
        """Answer the callback, or one of the pages."""
        parts = urlsplit(self.path)
        callback = self.server.callback
        if self.headers.get("Host", "").lower() not in callback.hosts:
            self._answer(400, _FOREIGN)
        elif parts.path == PATH:
            fields = callback.fields_of(parts.query)
            if fields is None:
                self._answer(400, _FOREIGN)
            else:
                self._answer(303, "", location=_DONE if "code" in fields else _NOT_DONE)
                callback.take(fields)
        elif parts.path in _PAGES and not parts.query:
            self._answer(*_PAGES[parts.path])
            callback.page_was_shown.set()
        else:
            self._answer(404, _FOREIGN)

    def _answer(self, status: int, page: str, location: str = "") -> None:
        body = page.encode()
        self.send_response_only(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing: the request has the code."""


class _Server(ThreadingHTTPServer):
    """Listens at one address, alone."""

    daemon_threads = True
    block_on_close = False
    # On POSIX a port can then be used again at once after its last connection; not one that another socket listens at.
    allow_reuse_address = os.name == "posix"

    def __init__(self, host: str, port: int, callback: "Callback") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.callback = callback
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind the address, and nothing else that ends there."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        if self.allow_reuse_address:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)  # HTTPServer's own asks DNS for the host's name

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that hangs up."""


class Callback:
    """Waits for the browser to come back. Enter it before the browser is opened.

    Args:
        port: The port of the redirect.
        state: Tells our callback from others.

    Attributes:
        redirect_uri: Where the browser has to come back to.
        hosts: What a browser may call this host.
        page_was_shown: Set when the browser has the page that says how it went.
    """

    def __init__(self, port: int, state: str) -> None:
        self._port = port
        self._state = state
        self._found: queue.Queue[Mapping[str, str]] = queue.Queue(1)
        self._opened = ExitStack()
        self.redirect_uri = f"http://localhost:{port}{PATH}"
        self.hosts = {f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        self.page_was_shown = threading.Event()

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            AuthenticationError: Another program listens at the port.
            ConfigurationError: The port may not be used.
        """
        try:
            for host in _HOSTS:
                self._opened.enter_context(_listening(host, self._port, self))
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._opened.close()

    def wait(self, timeout_s: float) -> Mapping[str, str] | None:
        """Wait for the callback.

        Args:
            timeout_s: For how long, in seconds.

        Returns:
            Its fields: `code`, or `error` and perhaps `error_description`; None if it has not come in time.
        """
        try:
            found = self._found.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self.page_was_shown.wait(_PAGE_S)
        return found

    def fields_of(self, query: str) -> Mapping[str, str] | None:
        """The fields of a callback; None if it is not the one that is waited for."""
        if len(query) > _LONGEST_QUERY:
            return None
        pairs = parse_qsl(query, keep_blank_values=True)
        fields = dict(pairs)
        if len(fields) != len(pairs) or not ("code" in fields) ^ ("error" in fields):
            return None
        given = fields.get("state", "").encode("utf-8", "replace")
        return fields if hmac.compare_digest(given, self._state.encode()) else None

    def take(self, fields: Mapping[str, str]) -> None:
        """Hand over the fields of our callback; the first one counts."""
        with suppress(queue.Full):
            self._found.put_nowait(fields)


@contextmanager
def _listening(host: str, port: int, callback: Callback) -> Iterator[None]:
    try:
        server = _Server(host, port, callback)
    except OSError as error:
        if host == "::1" and error.errno in _ABSENT:  # this machine has no IPv6
            yield
            return
        raise _cannot_listen(host, port, error) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="kinetic-auth callback", daemon=True)
    try:
        thread.start()
        yield
    finally:
        try:
            server.shutdown()
        finally:
            thread.join(1)  # where Ctrl-C has ended the wait: the port is free once nobody looks at it any more
            server.server_close()


def _cannot_listen(host: str, port: int, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return AuthenticationError(
            f"another program listens at port {port} ({host}), where the browser has to come back to.",
            remedy="End that program, or set redirect_port to another port that the app has as a callback URL.",
            retryable=True,
        )
    return ConfigurationError(
        f"redirect_port: {port} cannot be used at {host} ({os.strerror(error.errno or 0)}).",
        remedy="Set redirect_port to another port that the app has as a callback URL.",
    )
