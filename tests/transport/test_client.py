"""The request of a login: bounded, without redirects or ambient credentials; and the messages of its failures."""

import contextlib
import hashlib
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from kinetic_auth_core.errors import ConfigurationError, TransportError
from kinetic_auth_core.testing import (
    Answer,
    Delay,
    Dribble,
    Huge,
    Redirect,
    Reset,
    SalesforceEmulator,
    TlsProfile,
    Truncated,
)
from kinetic_auth_core.transport.client import TokenRequest, Transport
from kinetic_auth_core.transport.connections import http_get, tallied

pytestmark = pytest.mark.usefixtures("full_tier")

TOKEN_PATH = "/services/oauth2/token"
FORM = TokenRequest({"grant_type": "password", "password": "canary-password"})


def transport(**settings: object) -> Transport:
    bounds = {"connect_timeout": 5.0, "read_timeout": 5.0, "deadline": 10.0}
    return Transport(**{**bounds, **settings})  # type: ignore[arg-type]


def failure_of(url: str, **settings: object) -> TransportError:
    """The error that a request to `url` ends in."""
    with pytest.raises(TransportError) as caught:
        transport(**settings).post(url + TOKEN_PATH, FORM)
    return caught.value


def test_an_answer_has_status_headers_and_body(sf: SalesforceEmulator) -> None:
    sf.break_transport(Answer({"hello": "world"}, status=418))
    answer = transport().post(sf.url + TOKEN_PATH, FORM)
    assert answer.status == 418
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.body == b'{"hello": "world"}'


def test_one_connection_serves_many_requests(sf: SalesforceEmulator) -> None:
    carrier = transport()
    before = len(sf.requests)
    for _ in range(3):
        carrier.post(sf.url + TOKEN_PATH, FORM)
    assert len({request.connection for request in sf.requests[before:]}) == 1
    carrier.close()
    carrier.post(sf.url + TOKEN_PATH, FORM)
    assert len({request.connection for request in sf.requests[before:]}) == 2


def test_a_refused_connection_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = failure_of(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert str(error).startswith("no connection to 127.0.0.1: Connection refused. Remedy: Check login_url")
    assert error.retryable


def test_an_unresolvable_host_name_is_reported() -> None:
    error = failure_of("https://no-such-host.invalid")
    assert error.message == "the host name no-such-host.invalid does not resolve."
    assert not error.unanswered


def test_a_silent_server_is_given_up_after_the_read_timeout(sf: SalesforceEmulator) -> None:
    sf.break_transport(Delay(20))
    error = failure_of(sf.url, read_timeout=0.2)
    assert error.message == "127.0.0.1 sent nothing for 0.2 s."
    assert error.retryable


def test_a_server_that_does_not_accept_is_given_up_after_the_connect_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        error = failure_of(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout=0.3)
        for one in crowd:
            one.close()
    assert error.message == "127.0.0.1 did not accept a connection within 0.3 s."


@pytest.mark.parametrize("part", ["headers", "body"])
def test_an_endless_slow_answer_ends_at_the_deadline(sf: SalesforceEmulator, part: Any) -> None:
    sf.break_transport(Dribble(0.02, part=part, endless=True))
    began = time.monotonic()
    error = failure_of(sf.url, deadline=0.5)
    assert error.message == "no complete answer from 127.0.0.1 within the deadline of 0.5 s."
    assert error.retryable
    assert time.monotonic() - began < 5  # the read timeout restarts with each byte and would never end it


def test_the_deadline_holds_for_tls_as_well() -> None:
    with SalesforceEmulator(tls=True) as sf:
        sf.break_transport(Dribble(0.02, part="headers", endless=True))
        error = failure_of(sf.url, deadline=0.5, ca_bundle=sf.ca_bundle)
    assert "within the deadline of 0.5 s" in error.message


class _SlowProxy(socketserver.BaseRequestHandler):
    """Connects late, and then is a TLS server that begins a record and does not come to its end."""

    def handle(self) -> None:
        self.request.recv(65536)
        with contextlib.suppress(OSError):
            time.sleep(0.6)
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            self.request.recv(65536)
            self.request.sendall(b"\x16\x03\x03\x40\x00")
            for _ in range(100):
                time.sleep(0.05)
                self.request.sendall(b"\0")


class _SlowServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def get_request(self) -> Any:
        connection, address = super().get_request()
        return (self.context.wrap_socket(connection, server_side=True) if self.context else connection), address


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_deadline_holds_for_a_handshake_behind_a_slow_proxy(scheme: str, tmp_path: Path) -> None:
    authority, ca = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    with _SlowServer(("127.0.0.1", 0), _SlowProxy) as slow:
        if scheme == "https":
            slow.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(slow.context)
        threading.Thread(target=slow.serve_forever, args=(0.01,), daemon=True).start()
        began = time.monotonic()
        url = f"{scheme}://127.0.0.1:{slow.server_address[1]}"
        error = failure_of("https://login.salesforce.com", proxy=url, deadline=1.0, ca_bundle=ca)
        took_s = time.monotonic() - began
        slow.shutdown()
    assert "within the deadline of 1 s" in error.message
    assert took_s < 1.5


def test_the_certificate_of_a_proxy_is_verified_and_a_wrong_one_reported() -> None:
    with _SlowServer(("127.0.0.1", 0), _SlowProxy) as slow:
        slow.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(slow.context)
        threading.Thread(target=slow.serve_forever, args=(0.01,), daemon=True).start()
        error = failure_of("https://login.salesforce.com", proxy=f"https://127.0.0.1:{slow.server_address[1]}")
        slow.shutdown()
    assert error.message == (
        f"the proxy 127.0.0.1:{slow.server_address[1]} did not connect to login.salesforce.com: "
        "its TLS certificate is not valid: unable to get local issuer certificate."
    )
    assert error.remedy.startswith("Check proxy (or HTTPS_PROXY)")
    assert not error.retryable


def test_the_deadline_of_an_earlier_login_does_not_apply(sf: SalesforceEmulator) -> None:
    carrier = transport(deadline=0.5)
    sf.break_transport(Dribble(0.02, part="body", endless=True))
    with pytest.raises(TransportError):
        carrier.post(sf.url + TOKEN_PATH, FORM)
    assert carrier.post(sf.url + TOKEN_PATH, FORM).status == 400


@pytest.mark.parametrize("at", ["connect", "request", "headers", "body"])
def test_a_reset_connection_is_reported(sf: SalesforceEmulator, at: Any) -> None:
    sf.break_transport(Reset(at))
    error = failure_of(sf.url)
    assert any(words in error.message for words in ("broke before an answer came", "cut off", "reset by peer"))
    assert error.retryable


def test_a_truncated_answer_is_reported(sf: SalesforceEmulator) -> None:
    sf.break_transport(Truncated())
    assert failure_of(sf.url).message == "the answer of 127.0.0.1 is cut off."


@pytest.mark.parametrize("fault", [Huge(5_000_000), Huge(50_000_000, compressed=True), Huge(5_000_000, declared=False)])
def test_a_huge_answer_is_not_read_to_its_end(sf: SalesforceEmulator, fault: Any) -> None:
    sf.break_transport(fault)
    error = failure_of(sf.url)
    assert error.message == "the answer is longer than 1048576 bytes."
    assert error.status == 200


def test_a_wrongly_compressed_answer_is_reported(sf: SalesforceEmulator) -> None:
    sf.break_transport(Answer(b"no gzip", headers={"Content-Encoding": "gzip"}))
    error = failure_of(sf.url)
    assert error.message == "the answer of 127.0.0.1 is compressed wrongly."
    assert not error.retryable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_is_shown_without_query(sf: SalesforceEmulator, status: int) -> None:
    sf.break_transport(Redirect("https://user:pass@evil.example/path?token=canary-password", status))
    before = sf.token_requests
    error = failure_of(sf.url)
    assert f"redirects to https://evil.example/path (HTTP {status}), which is not followed" in error.message
    assert error.remedy == "Set login_url to the host that answers itself, such as your My Domain."
    assert sf.token_requests == before + 1


@pytest.mark.parametrize("location", [b"", b"Location: http://[broken\r\n"])
def test_a_redirect_to_nowhere_is_still_an_error(location: bytes) -> None:
    with server(b"HTTP/1.1 302 Found\r\n" + location + b"Content-Length: 0\r\n\r\n") as (address, _):
        assert "redirects to nowhere" in failure_of(f"http://{address}").message


@pytest.mark.parametrize("status", [b"102 Processing", b"103 Early Hints", b"199 Something Else"])
def test_an_announcement_of_the_answer_is_not_the_answer(status: bytes) -> None:
    """RFC 9110, section 15.2: a client passes over what it does not expect."""
    announced = b"HTTP/1.1 " + status + b"\r\nLink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with server(announced) as (address, _):
        answer = transport().post(f"http://{address}{TOKEN_PATH}", FORM)
    assert (answer.status, answer.body, answer.headers.get("Link")) == (200, b"{}", None)


def test_a_tls_certificate_of_an_unknown_authority_is_refused() -> None:
    with SalesforceEmulator(tls=True) as sf:
        error = failure_of(sf.url)
    assert error.message.startswith("the TLS certificate of localhost is not valid: unable to get local issuer")
    assert error.remedy.startswith("Set ca_bundle to the CA that signed it")
    assert not error.retryable


def test_a_tls_certificate_for_another_host_is_refused() -> None:
    with SalesforceEmulator(tls=TlsProfile(hosts=("other.example",))) as sf:
        error = failure_of(sf.url, ca_bundle=sf.ca_bundle)
    assert "not valid" in error.message
    assert "localhost" in error.message


def test_a_server_that_speaks_no_tls_is_refused(sf: SalesforceEmulator) -> None:
    error = failure_of(sf.url.replace("http://", "https://"))
    assert error.message == "no TLS connection to 127.0.0.1: the handshake failed."


def test_a_ca_bundle_may_come_from_the_environment_and_the_setting_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with SalesforceEmulator(tls=True) as sf:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sf.ca_bundle))
        assert transport().post(sf.url + TOKEN_PATH, FORM).status == 400
        assert "not valid" in failure_of(sf.url, ca_bundle=other).message
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.setenv("CURL_CA_BUNDLE", str(sf.ca_bundle))
        assert transport().post(sf.url + TOKEN_PATH, FORM).status == 400


def test_a_replaced_ca_bundle_is_read_again_for_new_connections(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    with SalesforceEmulator(tls=True) as sf:
        assert sf.ca_bundle is not None
        assert "not valid" in failure_of(sf.url, ca_bundle=bundle).message
        bundle.write_bytes(sf.ca_bundle.read_bytes())
        assert transport(ca_bundle=bundle).post(sf.url + TOKEN_PATH, FORM).status == 400


def name_by_hash(certificate: bytes) -> str:
    """How OpenSSL calls a certificate in a folder: X509_NAME_hash of its subject, whose texts are in small letters."""
    subject = x509.load_pem_x509_certificate(certificate).subject
    canonical = x509.Name([x509.NameAttribute(each.oid, str(each.value).lower()) for each in subject]).public_bytes()
    return f"{int.from_bytes(hashlib.sha1(canonical[2:]).digest()[:4], 'little'):08x}.0"  # noqa: S324 - OpenSSL's


def test_a_folder_of_certificates_is_a_ca_bundle_too(tmp_path: Path) -> None:
    with SalesforceEmulator(tls=True) as sf:
        assert sf.ca_bundle is not None
        certificate = sf.ca_bundle.read_bytes()
        (tmp_path / "ca.pem").write_bytes(certificate)
        with pytest.raises(ConfigurationError, match=r"no file in that folder is named by the hash of a certificate\."):
            transport(ca_bundle=tmp_path).post(sf.url + TOKEN_PATH, FORM)
        (tmp_path / name_by_hash(certificate)).write_bytes(certificate)
        assert transport(ca_bundle=tmp_path).post(sf.url + TOKEN_PATH, FORM).status == 400


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_bundle_that_cannot_be_used_is_a_configuration_error(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(ConfigurationError, match="ca_bundle: .*ca.pem cannot be used"):
        transport(ca_bundle=bundle).post("https://localhost:1" + TOKEN_PATH, FORM)


class _Canned(socketserver.BaseRequestHandler):
    """Records the head of each request, and sends a prepared answer."""

    server: "_Server"

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(65536)
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        while len(body) < int(length[1] if length else 0):  # unread, the body would turn our close into a reset
            body += self.request.recv(65536)
        self.server.heads.append(head)
        self.request.sendall(self.server.answer)


class _Server(socketserver.ThreadingTCPServer):
    """Gives the same answer to all."""

    daemon_threads = True

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Canned)
        self.answer = answer
        self.heads: list[bytes] = []


@contextmanager
def server(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server with one answer: its address, and the heads of the requests that came."""
    with _Server(answer) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{listening.server_address[1]}", listening.heads
        listening.shutdown()


@contextmanager
def proxy(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """The same as a proxy with a password."""
    with server(answer) as (address, heads):
        yield f"http://user:canary-proxy@{address}", heads


def test_a_proxy_that_refuses_is_reported_without_its_password() -> None:
    with proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as (url, heads):
        error = failure_of("https://login.salesforce.com", proxy=url)
    assert heads[0].startswith(b"CONNECT login.salesforce.com:443")
    assert error.message == (
        f"the proxy {url.rpartition('@')[2]} did not connect to login.salesforce.com: "
        "Tunnel connection failed: 407 Proxy Authentication Required."
    )
    assert error.remedy.startswith("Check proxy (or HTTPS_PROXY)")
    assert not error.retryable
    assert "canary-proxy" not in f"{error}{error.__cause__!r}"


def test_a_proxy_of_the_environment_that_does_not_connect_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:canary-proxy@127.0.0.1:9")
    error = failure_of("https://login.salesforce.com")
    assert error.message == ("the proxy 127.0.0.1:9 did not connect to login.salesforce.com: Connection refused.")
    assert "canary-proxy" not in f"{error}{error.__cause__!r}"


def test_a_proxy_carries_the_request() -> None:
    with proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (url, heads):
        assert transport(proxy=url).post("http://127.0.0.1:9" + TOKEN_PATH, FORM).body == b"{}"
    assert heads[0].startswith(b"POST http://127.0.0.1:9/services/oauth2/token")


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as (url, heads):
        monkeypatch.setenv("https_proxy", url)
        failure_of("https://login.salesforce.com")
        monkeypatch.setenv("no_proxy", "no-such-host.invalid")
        failure_of("https://no-such-host.invalid")
    assert len(heads) == 1


def test_a_socks_proxy_without_its_library_is_an_error_and_not_a_direct_connection(sf: SalesforceEmulator) -> None:
    before = sf.token_requests
    program = f"""
import sys
sys.modules["socks"] = None  # as where PySocks is not installed
from kinetic_auth_core.transport.client import TokenRequest, Transport
transport = Transport(connect_timeout=5, read_timeout=5, deadline=10, proxy="socks5h://127.0.0.1:9")
transport.post({sf.url + TOKEN_PATH!r}, TokenRequest({{"a": "b"}}))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    said = ended.stderr.splitlines()[-1]
    assert "Missing dependencies for SOCKS support. Remedy: For a SOCKS proxy: pip install PySocks." in said
    assert sf.token_requests == before


def test_no_credentials_come_from_netrc_and_no_cookies_are_kept(
    sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = Path("netrc")
    netrc.write_text("machine 127.0.0.1 login someone password canary-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    carrier = transport()
    with server(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=1; Path=/\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    ) as (address, heads):
        for _ in range(2):
            carrier.post(f"http://{address}{TOKEN_PATH}", FORM)
    for head in heads:
        assert b"authorization" not in head.lower()
        assert b"cookie" not in head.lower()


def test_the_cause_holds_what_the_library_said_but_not_the_request() -> None:
    error = failure_of("http://127.0.0.1:1")
    assert type(error.__cause__).__name__ == "LibraryError"
    assert "ConnectionError" in str(error.__cause__)
    assert error.__context__ is error.__cause__ or error.__context__ is None
    assert not hasattr(error.__cause__, "request")


def test_the_form_shows_nothing() -> None:
    assert "canary" not in repr(FORM)
    assert FORM.masked("you sent canary-password and password") == "you sent ******** and password"


SECRET = {"Authorization": "Bearer canary-request-token"}


def test_a_key_loader_gets_status_and_body_and_its_request_is_no_try_of_the_login(sf: SalesforceEmulator) -> None:
    sf.break_transport(Answer({"value": "t"}, status=203), path="/token")
    with tallied() as tally:
        assert http_get(f"{sf.url}/token?audience=a", SECRET) == (203, b'{"value": "t"}')
    assert tally.attempts == 0
    assert sf.requests[-1].method == "GET"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Redirect("https://elsewhere.example/"), "redirects to https://elsewhere.example/"),
        (Huge(), "longer than"),
        (Dribble(0.1), "deadline"),
        (Delay(30), "deadline"),
    ],
    ids=["redirect", "huge", "dribble", "silence"],
)
def test_what_a_key_loader_asks_is_bounded_and_shows_no_header(
    fault: Any, message: str, sf: SalesforceEmulator
) -> None:
    sf.break_transport(fault, path="/token")
    began = time.monotonic()
    with pytest.raises(TransportError, match=message) as caught:
        http_get(f"{sf.url}/token", SECRET, deadline_s=0.5)
    assert time.monotonic() - began < 3
    assert "canary-request-token" not in f"{caught.value!r}{caught.value}{vars(caught.value)}"


def test_a_key_loader_sends_nothing_over_plain_http() -> None:
    with pytest.raises(ConfigurationError, match="without https"):
        http_get("http://vault.example/token", SECRET)
