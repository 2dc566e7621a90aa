"""Everything that goes wrong between a login and its session, a row a fault: what the caller gets, how soon, after how
many requests, and that nothing of it shows a secret.

The rows are also a table in the docs, `docs/faults.csv`: a run compares them with it, and one with WRITE_FAULT_TABLE=1
in the environment writes it.
"""

import base64
import copy
import csv
import hashlib
import hmac
import io
import json
import logging
import os
import pickle
import re
import socket
import socketserver
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import (
    AuthenticationError,
    CredentialsRejectedError,
    ServiceUnavailableError,
    SessionRejectedError,
    TransientAuthenticationError,
    TransportError,
)
from kinetic_auth_core.testing import (
    ERROR_ROWS,
    Delay,
    Dribble,
    Fault,
    Html,
    Huge,
    KeyPair,
    Reset,
    SalesforceEmulator,
    Status,
    TlsProfile,
    Truncated,
    new_key_pair,
)

TABLE = Path(__file__).parents[1] / "docs" / "faults.csv"
COLUMNS = ("group", "what", "raised", "told", "remedy", "retryable", "jwt-bearer", "password", "at most")

PASSWORD = "canary PASSWORD/1&ü"
TOKEN = "canary-TOKEN-2"
SECRET = "canary-SECRET-3"
ACCESS = "00D000000000001!canary.ACCESS-4"
MARKERS = ("PASSWORD/1", "PASSWORD%2F1", TOKEN, SECRET, "canary.ACCESS-4")
ORG, OTHER_ORG = "00D000000000001EAA", "00D000000000009EAA"
ID = f"https://login.salesforce.com/id/{ORG}/005000000000001AAA"
BOUNDS: Mapping[str, float] = {"connect_timeout": 1.0, "read_timeout": 1.0, "deadline": 10.0}


@attrs.frozen
class Target:
    """What a login is sent to.

    Attributes:
        url: The login_url.
        ca_bundle: Who vouches for it.
        count: How many requests it has had; None where it cannot tell.
    """

    url: str
    ca_bundle: Path | None = None
    count: Callable[[], int] | None = None


Cause = Callable[[SalesforceEmulator], AbstractContextManager[Target]]


@attrs.frozen
class Row:
    """A fault.

    Attributes:
        group: Its part of the table.
        what: What is done, in the table's words. No two rows have the same.
        cause: Brings it about.
        raised: The class of the error.
        tries: Requests that a login makes, by provider; only those are run.
        at_most_s: How long it may take.
        settings: More settings of the provider.
        options: Settings of the source.
        advice: A word of the remedy by which to know that it is the right one.
    """

    group: str
    what: str
    cause: Cause
    raised: type[kinetic.KineticAuthError] = TransportError
    tries: Mapping[str, int] = attrs.field(factory=lambda: {"jwt-bearer": 1, "password": 1})
    at_most_s: float = 5.0
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    options: Mapping[str, Any] = attrs.field(factory=dict)
    advice: str = ""


#: A request that may have arrived is repeated only by the provider that no repetition can lock out.
UNANSWERED: Mapping[str, Any] = {"tries": {"jwt-bearer": 4, "password": 1}, "at_most_s": 12.0}
#: Whether a reset on accepting is seen before the request is sent is a matter of luck, and decides if it is repeated.
BY_JWT: Mapping[str, Any] = {"tries": {"jwt-bearer": 4}, "at_most_s": 12.0}
PASSES: Mapping[str, Any] = {"tries": {"jwt-bearer": 4, "password": 4}, "at_most_s": 12.0}


# What a login is sent to


class _Canned(socketserver.BaseRequestHandler):
    """Reads one request, then sends what it was told to, and closes in an orderly way."""

    server: "_Server"

    def handle(self) -> None:
        try:
            if self.server.tls is not None:
                self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            self._answer()
        except OSError:
            return  # the client has hung up

    def _answer(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.request.recv(65536)
            if not piece:
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        while len(body) < int(length[1] if length else 0):  # unread, the body would turn our close into a reset
            body += self.request.recv(65536)
        self.server.count += 1
        for piece in self.server.pieces():
            self.request.sendall(piece)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, pieces: Callable[[], Iterator[bytes]], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Canned)
        self.pieces = pieces
        self.tls = tls
        self.count = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def serving(server: _Server) -> Iterator[_Server]:
    with server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def wire(*pieces: bytes, endless: bytes = b"") -> Cause:
    """A server that gives these bytes for an answer; `endless` follows again and again."""

    def all_pieces() -> Iterator[bytes]:
        yield from pieces
        while endless:
            yield endless

    @contextmanager
    def cause(_sf: SalesforceEmulator) -> Iterator[Target]:
        with serving(_Server(all_pieces)) as server:
            yield Target(f"http://127.0.0.1:{server.port}", count=lambda: server.count)

    return cause


def answer(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json") -> Cause:
    lines = [b"HTTP/1.1 " + status, *headers, b"Content-Type: " + kind, b"Content-Length: %d" % len(body)]
    return wire(b"\r\n".join([*lines, b"Connection: close", b"", body]))


def good(**changes: object) -> dict[str, object]:
    """The fields of a good answer, signed by our app's secret, with some of them changed; `...` takes one out."""
    fields: dict[str, object] = {
        "access_token": ACCESS,
        "instance_url": "https://acme.my.salesforce.com",
        "id": ID,
        "issued_at": "1700000000000",
        "token_type": "Bearer",
        **changes,
    }
    signed = f"{fields['id']}{fields['issued_at']}".encode("utf-8", "surrogatepass")
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    fields.setdefault("signature", base64.b64encode(digest).decode())
    return {name: value for name, value in fields.items() if value is not ...}


def session(**changes: object) -> Cause:
    return answer(json.dumps(good(**changes)).encode())


def refusal(error: object, description: object = "", status: bytes = b"400 Bad Request") -> Cause:
    return answer(json.dumps({"error": error, "error_description": description}).encode(), status=status)


def text(raw: str) -> Cause:
    """A good answer with something put before its last brace, as it stands."""
    return answer(f"{json.dumps(good())[:-1]}, {raw}}}".encode())


def fault(what: Fault) -> Cause:
    """The emulator, with a fault that strikes all requests."""

    @contextmanager
    def cause(sf: SalesforceEmulator) -> Iterator[Target]:
        before = sf.token_requests
        sf.break_transport(what, times=None)
        yield Target(sf.url, count=None if what.stage == "connect" else lambda: sf.token_requests - before)
        sf.clear_faults()

    return cause


def refused(error: str, description: str) -> Cause:
    """The emulator, which turns all logins down."""

    @contextmanager
    def cause(sf: SalesforceEmulator) -> Iterator[Target]:
        before = sf.token_requests
        sf.refuse(error, description, times=None)
        yield Target(sf.url, count=lambda: sf.token_requests - before)
        sf.clear_faults()

    return cause


def tls(profile: TlsProfile, *, trusted: bool = True, broken: Fault | None = None) -> Cause:
    """An emulator of its own, with TLS."""

    @contextmanager
    def cause(_sf: SalesforceEmulator) -> Iterator[Target]:
        with SalesforceEmulator(tls=profile) as own:
            if broken is not None:
                own.break_transport(broken, times=None)
            yield Target(own.url, own.ca_bundle if trusted else None)

    return cause


@contextmanager
def self_signed(_sf: SalesforceEmulator) -> Iterator[Target]:
    pair = new_key_pair()
    for name, pem in (("key.pem", pair.private_key_pem), ("certificate.pem", pair.certificate_pem)):
        Path(name).write_text(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("certificate.pem", "key.pem")
    with serving(_Server(lambda: iter(()), context)) as server:
        yield Target(f"https://127.0.0.1:{server.port}")


@contextmanager
def plain_http_on_the_tls_port(sf: SalesforceEmulator) -> Iterator[Target]:
    yield Target(sf.url.replace("http://", "https://"))


@contextmanager
def tls_on_the_http_port(_sf: SalesforceEmulator) -> Iterator[Target]:
    with SalesforceEmulator(tls=True) as own:
        yield Target(f"http://127.0.0.1:{own.url.rpartition(':')[2]}")


@contextmanager
def listening(scheme: str, *, full: bool) -> Iterator[Target]:
    """A socket that nobody accepts from; `full`: its queue has no place left."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0 if full else 16)
        crowd = [socket.socket() for _ in range(4 if full else 0)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        yield Target(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
        for one in crowd:
            one.close()


@contextmanager
def nobody(_sf: SalesforceEmulator) -> Iterator[Target]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Target(f"http://127.0.0.1:{taken.getsockname()[1]}")


@contextmanager
def no_such_host(_sf: SalesforceEmulator) -> Iterator[Target]:
    yield Target("https://no-such-host.invalid")


@contextmanager
def proxy_refuses(_sf: SalesforceEmulator) -> Iterator[Target]:
    yield Target("https://login.salesforce.com")


def status(code: int, *, retry_after: str | None = None) -> Cause:
    return fault(Status(code, retry_after))


def echo(place: str) -> Cause:
    """A server that has our secrets, and shows them where an error might quote it."""
    secrets = f"{PASSWORD}{TOKEN} {SECRET}"
    encoded = "canary+PASSWORD%2F1%26%C3%BC"
    said = f"{encoded}{TOKEN} {SECRET}".encode()
    return {
        "description": refusal("invalid_grant", f"bad password {secrets}"),
        "error": refusal(f"{SECRET}", ""),
        "content type": answer(b"x", kind=said),
        "location": answer(b"", b"Location: https://evil.example/" + said + b"?x=" + said, status=b"302 Found"),
        "status line": wire(b"HTTP/1.1 " + said + b"\r\n\r\n"),
        "header": wire(b"HTTP/1.1 200 OK\r\n" + said + b"\r\n\r\n{}"),
        "length": wire(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + said + b"\r\n\r\n{}"),
        "chunk": wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + said + b"\r\n"),
        "coding": answer(b"x", b"Content-Encoding: " + said),
    }[place]


def packed(content: bytes, wbits: int = 31) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(content) + packer.flush()


CONNECTION = [
    Row("connection", "the name does not resolve", no_such_host, advice="DNS"),
    Row("connection", "nobody listens on the port", nobody, **PASSES, advice="firewall"),
    Row(
        "connection",
        "the server accepts no connection",
        lambda _: listening("http", full=True),
        **PASSES,
        settings={"connect_timeout": 0.2},
    ),
    Row(
        "connection",
        "the server accepts and says nothing",
        lambda _: listening("http", full=False),
        **UNANSWERED,
        settings={"read_timeout": 0.2},
    ),
    Row(
        "connection",
        "the answer comes later than read_timeout",
        fault(Delay(20)),
        **UNANSWERED,
        settings={"read_timeout": 0.2},
    ),
    Row("connection", "reset on accepting", fault(Reset("connect")), **BY_JWT),
    Row("connection", "reset after the request", fault(Reset("request")), **UNANSWERED),
    Row("connection", "reset amid the headers", fault(Reset("headers")), **UNANSWERED),
    Row("connection", "reset amid the body", fault(Reset("body")), **UNANSWERED),
    Row("connection", "closed without an answer", wire(), **UNANSWERED),
    Row("connection", "closed amid the headers", wire(b"HTTP/1.1 200 OK\r\nContent-Le")),
    Row("connection", "closed amid the body", fault(Truncated()), **UNANSWERED),
    Row(
        "connection",
        "the headers come a byte at a time, for ever",
        fault(Dribble(0.02, part="headers", endless=True)),
        settings={"deadline": 0.5},
    ),
    Row(
        "connection",
        "the body comes a byte at a time, for ever",
        fault(Dribble(0.02, part="body", endless=True)),
        settings={"deadline": 0.5},
    ),
    Row(
        "connection",
        "`100 Continue` for ever",
        wire(endless=b"HTTP/1.1 100 Continue\r\n\r\n"),
        settings={"deadline": 0.5},
    ),
    Row(
        "connection",
        "the proxy refuses the connection",
        proxy_refuses,
        **PASSES,
        settings={"proxy": f"http://user:{SECRET}@127.0.0.1:1"},
        advice="HTTPS_PROXY",
    ),
]

TLS = [
    Row("TLS", "the certificate is self-signed", self_signed, advice="ca_bundle"),
    Row("TLS", "the certificate is of an unknown authority", tls(TlsProfile(), trusted=False), advice="ca_bundle"),
    Row("TLS", "the certificate has expired", tls(TlsProfile(expired=True))),
    Row("TLS", "the certificate is for another host", tls(TlsProfile(hosts=("other.example",)))),
    Row("TLS", "the server speaks TLS 1.1 at most", tls(TlsProfile(maximum_version=ssl.TLSVersion.TLSv1_1))),
    Row("TLS", "the server speaks TLS 1.0 at most", tls(TlsProfile(maximum_version=ssl.TLSVersion.TLSv1))),
    Row("TLS", "plain http on the https port", plain_http_on_the_tls_port),
    Row("TLS", "https on the http port", tls_on_the_http_port, **UNANSWERED),
    Row("TLS", "reset instead of a handshake", tls(TlsProfile(), broken=Reset("connect")), **PASSES),
    Row(
        "TLS",
        "the handshake is never answered",
        lambda _: listening("https", full=False),
        **PASSES,
        settings={"connect_timeout": 0.2},
    ),
]

# A word of each remedy, and what else than CredentialsRejectedError it is: typed from what was observed, not from the
# catalogue.
REFUSALS: Mapping[tuple[str, str], tuple[str, type[AuthenticationError]]] = {
    ("invalid_grant", "authentication failure"): ("security token", CredentialsRejectedError),
    ("invalid_grant", "user hasn't approved this consumer"): ("Pre-approve", CredentialsRejectedError),
    ("invalid_app_access", "user is not admin approved to access this app"): (
        "permission set",
        CredentialsRejectedError,
    ),
    ("invalid_grant", "audience is invalid"): ("Set audience", CredentialsRejectedError),
    ("invalid_grant", "invalid assertion"): ("upload the certificate", CredentialsRejectedError),
    ("invalid_grant", "expired authorization code"): ("clock", AuthenticationError),
    ("invalid_grant", "expired access/refresh token"): ("log in again", CredentialsRejectedError),
    ("invalid_grant", "token request is already being processed"): ("try again", TransientAuthenticationError),
    ("invalid_grant", "ip restricted"): ("trusted range", CredentialsRejectedError),
    ("invalid_grant", "invalid login hours"): ("widen the login hours", CredentialsRejectedError),
    ("invalid_grant", "ip restricted or invalid login hours"): ("Relax the IP", CredentialsRejectedError),
    ("invalid_grant", "request not supported on this domain"): ("My Domain", CredentialsRejectedError),
    ("invalid_grant", "no client credentials user enabled"): ("Run As", CredentialsRejectedError),
    ("invalid_grant", "no valid scopes defined"): ("api scope", CredentialsRejectedError),
    ("invalid_request", "refresh_token scope is required"): ("offline_access", CredentialsRejectedError),
    ("invalid_request", "scope parameter not supported"): ("Leave scope out", CredentialsRejectedError),
    ("invalid_client_id", "client identifier invalid"): ("2 to 10 minutes", CredentialsRejectedError),
    ("invalid_client", "invalid client credentials"): ("client_secret", CredentialsRejectedError),
    ("app_not_found", "External client app is not installed in this org"): ("Install", CredentialsRejectedError),
    ("oauth_flow_disabled", "flow or app disabled"): ("Enable this flow", CredentialsRejectedError),
    ("unsupported_grant_type", "grant type not supported"): ("Enable this flow", CredentialsRejectedError),
    ("inactive_user", "user frozen or deactivated"): ("reactivate", CredentialsRejectedError),
    ("inactive_org", "org locked or closed"): ("administrator", CredentialsRejectedError),
    ("unknown_error", "retry your request"): ("try again", TransientAuthenticationError),
    ("server_error", ""): ("status.salesforce.com", TransientAuthenticationError),
    ("service_unavailable", ""): ("status.salesforce.com", TransientAuthenticationError),
    ("system_down", ""): ("status.salesforce.com", TransientAuthenticationError),
    ("slow_down", ""): ("wait", TransientAuthenticationError),
    ("rate_limit_exceeded", ""): ("3,600", AuthenticationError),
}
CATALOGUE = [
    Row(
        "refusals",
        f"`{error}`{f': {description}' if description else ''}",
        refused(error, description),
        REFUSALS[error, description][1],
        **(PASSES if REFUSALS[error, description][1] is TransientAuthenticationError else {}),
        advice=REFUSALS[error, description][0],
    )
    for error, description in ERROR_ROWS
]

STATUS = [
    Row("status", "200 with an HTML page", fault(Html(200)), advice="not Salesforce's token endpoint"),
    Row("status", "404 with an HTML page", fault(Html(404)), advice="not Salesforce's token endpoint"),
    Row("status", "403 with an HTML page", fault(Html(403))),
    Row(
        "status",
        "503 with an HTML page",
        fault(Html(503)),
        ServiceUnavailableError,
        **PASSES,
        advice="status.salesforce",
    ),
    Row("status", "500 with a line of text", status(500), ServiceUnavailableError, **PASSES),
    Row("status", "502 with a line of text", status(502), ServiceUnavailableError, **UNANSWERED),
    Row("status", "504 with a line of text", status(504), ServiceUnavailableError, **UNANSWERED),
    Row("status", "429 with a line of text", status(429), ServiceUnavailableError, **PASSES),
    Row("status", "429, to be tried after a day", status(429, retry_after="86400"), ServiceUnavailableError),
    Row("status", "503, to be tried after an absurd time", status(503, retry_after="9" * 40), ServiceUnavailableError),
    Row(
        "status",
        "500 with an unknown error",
        refusal("brand_new", "", b"500 Oops"),
        TransientAuthenticationError,
        **PASSES,
    ),
    Row("status", "101 Switching Protocols", wire(b"HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n")),
    Row(
        "status",
        "103 Early Hints, and no answer after it",
        wire(b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n"),
    ),
    Row("status", "204 No Content", wire(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")),
    Row(
        "status",
        "206 Partial Content with a session",
        answer(json.dumps(good()).encode(), status=b"206 Partial Content"),
    ),
    Row("status", "304 Not Modified", wire(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n")),
    Row(
        "status",
        "a redirect, with secrets in its query",
        answer(b"", b"Location: https://u:p@evil.example/x?t=" + TOKEN.encode(), status=b"302 Found"),
        advice="My Domain",
    ),
    Row("status", "a redirect that would repeat the POST", answer(b"", b"Location: /elsewhere", status=b"307 Again")),
    Row("status", "a redirect to nowhere", answer(b"", status=b"301 Moved")),
    Row("status", "an unknown error", refusal("brand_new", "something new"), AuthenticationError),
    Row("status", "400 with JSON that tells no error", answer(b'{"message": "no"}', status=b"400 Bad Request")),
    Row("status", "400 with an error that is no text", refusal(["invalid_grant"])),
    Row("status", "200 with an error that is no text", refusal({"a": 1}, status=b"200 OK")),
]

HTTP = [
    Row("HTTP", "no HTTP at all", wire(b"SSH-2.0-OpenSSH_9.9\r\n")),
    Row("HTTP", "HTTP/0.9: a body alone", wire(b"<html>hello</html>")),
    Row("HTTP", "a status that is no number", wire(b"HTTP/1.1 OK good\r\n\r\n{}")),
    Row(
        "HTTP",
        "5,000 headers",
        wire(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n{}"),
    ),
    Row("HTTP", "a header of 100 KB", wire(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}")),
    Row("HTTP", "headers for ever", wire(b"HTTP/1.1 200 OK\r\n", endless=b"X: y\r\n" * 100)),
    Row("HTTP", "a line among the headers that is none", wire(b"HTTP/1.1 200 OK\r\nno header\r\nX: y\r\n\r\n{}")),
    Row("HTTP", "two lengths", wire(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}")),
    Row(
        "HTTP",
        "a chunk whose length is no number",
        wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    ),
    Row(
        "HTTP",
        "chunks for ever",
        wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", endless=b"1000\r\n" + b" " * 4096 + b"\r\n"),
    ),
    Row("HTTP", "a body of 100 MB", fault(Huge(100_000_000))),
    Row("HTTP", "a body without end or length", fault(Huge(100_000_000, declared=False))),
    Row(
        "HTTP",
        "a gzip bomb of 100 MB, not asked for",
        fault(Huge(100_000_000, compressed=True)),
        settings={"read_timeout": 20.0, "deadline": 30.0},
        at_most_s=20.0,
    ),
    Row("HTTP", "a deflate bomb", answer(packed(b" " * 20_000_000, 15), b"Content-Encoding: deflate")),
    Row("HTTP", "gzip that is none", answer(b"no gzip", b"Content-Encoding: gzip")),
    Row("HTTP", "gzip that is cut off", answer(packed(json.dumps(good()).encode())[:-9], b"Content-Encoding: gzip")),
    Row("HTTP", "a content coding that was not asked for", answer(b"x", b"Content-Encoding: br")),
    Row("HTTP", "gzip twice over", answer(packed(packed(b"{}")), b"Content-Encoding: gzip, gzip")),
]

LATIN_1 = json.dumps(good(scope="é"), ensure_ascii=False).encode("latin-1")
JSON = [
    Row("JSON", "an empty body", answer(b"")),
    Row("JSON", "JSON that is cut off", answer(json.dumps(good()).encode()[:-20])),
    Row("JSON", "a list", answer(json.dumps([good()]).encode())),
    Row("JSON", "a string", answer(json.dumps(ACCESS).encode())),
    Row("JSON", "null", answer(b"null")),
    Row("JSON", "UTF-16", answer(json.dumps(good()).encode("utf-16"), kind=b"application/json;charset=UTF-16")),
    Row("JSON", "UTF-16 without a mark", answer(json.dumps(good()).encode("utf-16-le"))),
    Row("JSON", "Latin-1", answer(LATIN_1, kind=b"application/json;charset=ISO-8859-1")),
    Row("JSON", "a charset that lies", answer(LATIN_1, kind=b"application/json;charset=UTF-8")),
    Row("JSON", "access_token twice", text(f'"access_token": "{ACCESS}x"')),
    Row("JSON", "instance_url twice", text('"instance_url": "https://evil.my.salesforce.com"')),
    Row("JSON", "access_token twice, once written with an escape", text(r'"access_t\u006fken": "x"')),
    Row("JSON", "a name twice in an object inside", text('"x": {"a": 1, "a": 2}')),
    Row("JSON", "NaN", text('"x": NaN')),
    Row("JSON", "a number of 100,000 digits", text(f'"x": {"1" * 100_000}')),
    Row("JSON", "nested 100,000 deep", answer(b"[" * 100_000)),
    Row("JSON", "objects nested 100,000 deep", answer(b'{"a":' * 100_000)),
    Row("JSON", "NUL bytes", answer(json.dumps(good()).encode() + b"\0\0")),
]

FIELDS = [
    Row("fields", "no access_token", session(access_token=...)),
    Row("fields", "access_token: null", session(access_token=None)),
    Row("fields", "access_token: a number", session(access_token=5)),
    Row("fields", "access_token with a line break and a header", session(access_token=f"{ACCESS}\r\nX-Injected: 1")),
    Row("fields", "access_token with a blank", session(access_token=f"{ACCESS} x")),
    Row("fields", "access_token with a NUL", session(access_token=f"{ACCESS}\0")),
    Row("fields", "access_token that is not ASCII", session(access_token=f"{ACCESS}ö")),
    Row("fields", "access_token with half a character", session(access_token=f"{ACCESS}\ud800")),
    Row("fields", "access_token of 20,000 characters", session(access_token=ACCESS * 700)),
    Row("fields", "token_type: MAC", session(token_type="MAC")),
    Row("fields", "token_type with a line break", session(token_type="Bearer\r\n")),
    Row("fields", "no id", session(id=...)),
    Row("fields", "id: a list", session(id=[ID])),
    Row("fields", "id with an escape sequence", session(id=f"{ID}\x1b[2J")),
    Row("fields", "scope: an object", session(scope={})),
    Row("fields", "scope with a control character", session(scope="api\x07")),
    Row("fields", "issued_at: a word", session(issued_at="yesterday")),
    Row("fields", "issued_at: negative", session(issued_at="-1")),
    Row("fields", "issued_at: of 40 digits", session(issued_at="1" * 40)),
    Row("fields", "issued_at: a number of 4,000 digits", session(issued_at=10**4000)),
    Row("fields", "issued_at: a fraction", session(issued_at=1.5)),
    Row("fields", "issued_at: true", session(issued_at=True)),
    Row("fields", "no instance_url", session(instance_url=...)),
    Row("fields", "instance_url: a number", session(instance_url=5)),
]

GUARDS = [
    Row("guards", f"instance_url {what}", session(instance_url=url), SessionRejectedError)
    for what, url in {
        "is plain http": "http://acme.my.salesforce.com",
        "has credentials in it": f"https://user:{TOKEN}@acme.my.salesforce.com",
        "of another scheme": "javascript:alert(1)",
        "has a path": "https://acme.my.salesforce.com/evil",
        "has a query": f"https://acme.my.salesforce.com?{TOKEN}",
        "is no URL": "acme",
        "has a bad port": f"https://acme.my.salesforce.com:{TOKEN}",
        "is plain http, to a host that is the token": f"http://{ACCESS}",
        "has a backslash": "https://evil.example\\.my.salesforce.com",
        "has a line break": "https://acme.my.salesforce.com\r\n",
        "is not ASCII": "https://acme.my.\u017falesforce.com",
        "is of a foreign host": "https://acme.my.salesforce.com.evil.example",
    }.items()
] + [
    Row(
        "guards",
        "a session of another org than expected_org_id",
        session(),
        SessionRejectedError,
        options={"expected_org_id": OTHER_ORG},
        advice="expected_org_id",
    ),
    Row(
        "guards",
        "an identity without an org, where one is expected",
        session(id="https://login.salesforce.com"),
        SessionRejectedError,
        options={"expected_org_id": ORG},
    ),
    Row(
        "guards",
        "a host that is not in allowed_instance_hosts",
        session(),
        SessionRejectedError,
        options={"allowed_instance_hosts": ["other.my.salesforce.com"]},
        advice="allowed_instance_hosts",
    ),
    Row(
        "guards",
        "a wrong signature",
        session(signature="d3Jvbmc="),
        SessionRejectedError,
        {"password": 1},
        advice="client_secret",
    ),
    Row("guards", "a signature that is not ASCII", session(signature="ü" * 44), SessionRejectedError, {"password": 1}),
    Row("guards", "no signature", session(signature=...), SessionRejectedError, {"password": 1}),
    Row(
        "guards",
        "a signature of other fields",
        session(issued_at="1700000000001", signature=good()["signature"]),
        SessionRejectedError,
        {"password": 1},
    ),
]

ECHOES = [
    Row("echoes", "our secrets in error_description", echo("description"), AuthenticationError, {"password": 1}),
    Row("echoes", "a secret as the error", echo("error"), AuthenticationError, {"password": 1}),
    Row("echoes", "our secrets as the content type", echo("content type"), tries={"password": 1}),
    Row("echoes", "our secrets in the path of a redirect", echo("location"), tries={"password": 1}),
    Row("echoes", "our secrets in the status line", echo("status line"), tries={"password": 1}),
    Row("echoes", "our secrets among the headers", echo("header"), tries={"password": 1}),
    Row("echoes", "our secrets as a length", echo("length"), tries={"password": 1}),
    Row("echoes", "our secrets as a chunk's length", echo("chunk"), tries={"password": 1}),
    Row("echoes", "our secrets as a content coding", echo("coding"), tries={"password": 1}),
    Row(
        "echoes",
        "escape sequences and line breaks in the error",
        refusal("invalid_grant\x1b[31m", "a\r\nb\x1b]0;c\x07\u202ed\0"),
        AuthenticationError,
    ),
    Row("echoes", "an error_description of 900 KB", refusal("new", "x" * 900_000), AuthenticationError),
]

ROWS = [*CONNECTION, *TLS, *STATUS, *HTTP, *JSON, *FIELDS, *GUARDS, *CATALOGUE, *ECHOES]
#: The system's own words, or OpenSSL's, differ from one machine to the next.
TOLD_BY_THE_SYSTEM = frozenset({"connection", "TLS"})


# A login runs into it


@attrs.frozen
class Outcome:
    """What came of a login.

    Attributes:
        error: What was raised.
        logged: All that anybody logged, at any level, with tracebacks.
        took_s: How long it took.
        arrived: How many requests the server saw; None where it cannot tell.
    """

    error: kinetic.KineticAuthError
    logged: str
    took_s: float
    arrived: int | None


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return new_key_pair()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def authenticator(provider: str, row: Row, target: Target, pair: KeyPair) -> Any:
    common: dict[str, Any] = {"login_url": target.url, **BOUNDS, "ca_bundle": target.ca_bundle, **row.settings}
    if provider == "password":
        return kinetic.OAuthAuthenticator("client", SECRET, "ada@acme.example", PASSWORD, TOKEN, **common)
    return kinetic.JWTAuthenticator("client", "ada@acme.example", pair.private_key_pem, **common)


def outcome_of(row: Row, provider: str, sf: SalesforceEmulator, pair: KeyPair, stream: io.StringIO) -> Outcome:
    with row.cause(sf) as target:
        source = kinetic.SessionSource(authenticator(provider, row, target, pair), **row.options)
        stream.truncate(0)
        began = time.monotonic()
        try:
            source.session()
        except kinetic.KineticAuthError as error:
            took_s = time.monotonic() - began
            logging.getLogger("app").exception("the login failed")
            arrived = target.count() if target.count else None
            return Outcome(error.with_traceback(error.__traceback__), stream.getvalue(), took_s, arrived)
        finally:
            source.close()
    pytest.fail(f"a session was handed out: {row.what}")


def line_of(row: Row, error: kinetic.KineticAuthError) -> dict[str, str]:
    """The row as it stands in the docs."""
    told = re.sub(r"^.*?ada@acme.example at \S+ (failed: |succeeded, and )", "", error.message)
    told = re.sub(r" Given up after .*", "", told)
    told = re.sub(r"\b(127\.0\.0\.1|localhost)(:\d+)?", "login.example", told)
    return {
        "group": row.group,
        "what": row.what,
        "raised": type(error).__name__,
        "told": told,
        "remedy": error.remedy,
        "retryable": "yes" if getattr(error, "retryable", False) else "",
        **{provider: str(row.tries.get(provider, "")) for provider in ("jwt-bearer", "password")},
        "at most": f"{row.at_most_s:g} s",
    }


def shown_by(error: kinetic.KineticAuthError) -> str:
    """What pickles and copies of an error show."""
    kept = [pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)]
    for other in kept:
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
    return pickle.dumps(error).decode("latin-1") + "".join(map(repr, kept))


# A peer that resets before the handshake: CPython leaves the socket that it was making to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed .*_BoundedTLSSocket:ResourceWarning")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.group}-{row.what[:60]}")
def test_a_fault_is_a_typed_error_in_time_that_shows_no_secret(
    row: Row,
    sf: SalesforceEmulator,
    pair: KeyPair,
    logged: io.StringIO,
    leaked_secrets: Callable[..., list[str]],
    table: dict[str, dict[str, str]],
) -> None:
    for provider, tries in row.tries.items():
        outcome = outcome_of(row, provider, sf, pair, logged)
        error = outcome.error
        assert type(error) is row.raised, error
        assert isinstance(error, AuthenticationError)
        assert outcome.took_s < row.at_most_s
        assert error.attempts == tries or (tries == 1 and error.attempts <= 1), error
        assert outcome.arrived in (None, tries)
        assert row.advice in error.remedy
        assert error.message.isprintable()
        assert len(str(error)) < 1500
        secrets = [*MARKERS, PASSWORD, pair.private_key_pem]
        assert leaked_secrets(error, *secrets) == []
        assert leaked_secrets(outcome.logged, *secrets) == []
        assert leaked_secrets(shown_by(error), *secrets) == []
        assert "\x1b" not in outcome.logged
        line = line_of(row, error)
        if os.environ.get("WRITE_FAULT_TABLE"):
            table[row.what] = line
        told_by_us = set(COLUMNS) - ({"told"} if row.group in TOLD_BY_THE_SYSTEM else set())
        assert {name: table[row.what][name] for name in told_by_us} == {name: line[name] for name in told_by_us}


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, dict[str, str]]]:
    """The table in the docs, by what is done; written anew if that is asked for."""
    if os.environ.get("WRITE_FAULT_TABLE"):
        written: dict[str, dict[str, str]] = {}
        yield written
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(written[row.what] for row in ROWS if row.what in written)
        return
    with TABLE.open(encoding="utf-8", newline="") as file:
        yield {line["what"]: line for line in csv.DictReader(file)}


def test_the_table_has_these_rows_and_no_others(table: dict[str, dict[str, str]]) -> None:
    assert list(table) == [row.what for row in ROWS]
    assert len(table) == len(ROWS) >= 60


def test_every_refusal_that_is_known_has_its_row() -> None:
    assert set(REFUSALS) == set(ERROR_ROWS)


@pytest.mark.parametrize("row", [row for row in HTTP if "bomb" in row.what or "body" in row.what or "ever" in row.what])
def test_no_answer_takes_much_memory(row: Row, sf: SalesforceEmulator, pair: KeyPair, logged: io.StringIO) -> None:
    tracemalloc.start()
    try:
        outcome_of(row, "password", sf, pair, logged)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
