"""Proxies that speak SOCKS: they carry the login, and what they refuse is said of them."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest
import trustme

from kinetic_auth_core.errors import TransportError
from kinetic_auth_core.testing import Dribble, SalesforceEmulator
from kinetic_auth_core.transport.client import TokenRequest, Transport
from kinetic_auth_core.transport.connections import tallied

FORM = TokenRequest({"grant_type": "password", "password": "canary-password"})
_AUTHENTICATED = b"user:canary-proxy"


class _Socks5(socketserver.BaseRequestHandler):
    """SOCKS 5 with a user and a password (RFC 1928, RFC 1929)."""

    server: "_Server"

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._serve()

    def _serve(self) -> None:
        self._read(self._read(2)[1])
        self.request.sendall(b"\5\2")
        user = self._read(self._read(2)[1])
        password = self._read(self._read(1)[0])
        if user + b":" + password != _AUTHENTICATED:
            self.request.sendall(b"\1\1")
            return
        self.request.sendall(b"\1\0")
        kind = self._read(4)[3]
        host = self._read(self._read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(self._read(4))
        port = int.from_bytes(self._read(2), "big")
        self.server.asked.append(host)
        if self.server.is_silent:
            time.sleep(2)
            return
        with socket.create_connection(("127.0.0.1", port)) as other:
            self.request.sendall(b"\5\0\0\1" + bytes(6))
            threading.Thread(target=_pump, args=(other, self.request), daemon=True).start()
            _pump(self.request, other)

    def _read(self, size: int) -> bytes:
        read: bytes = self.request.recv(size, socket.MSG_WAITALL)
        return read


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Socks5)
        self.asked: list[str] = []
        self.is_silent = False


@pytest.fixture
def proxy() -> Iterator[_Server]:
    with _Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def address(proxy: _Server, scheme: str = "socks5h", user: str = "user:canary-proxy") -> str:
    return f"{scheme}://{user}@127.0.0.1:{proxy.server_address[1]}"


def transport(proxy: str, **settings: object) -> Transport:
    bounds = {"connect_timeout": 5.0, "read_timeout": 5.0, "deadline": 10.0}
    return Transport(proxy=proxy, **{**bounds, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(("scheme", "asked"), [("socks5h", "localhost"), ("socks5", "127.0.0.1")])
@pytest.mark.parametrize("tls", [True, False])
def test_a_socks_proxy_carries_the_request(proxy: _Server, scheme: str, asked: str, tls: bool) -> None:
    with SalesforceEmulator(tls=tls) as sf:
        url = sf.url.replace("127.0.0.1", "localhost")
        carried = transport(address(proxy, scheme), ca_bundle=sf.ca_bundle)
        assert carried.post(f"{url}/services/oauth2/token", FORM).status == 400
        assert carried.post(f"{url}/services/oauth2/token", FORM).status == 400
    assert proxy.asked == [asked]  # one connection


def test_a_socks_proxy_that_refuses_the_credentials_is_named_and_nothing_has_left(proxy: _Server) -> None:
    url = address(proxy, user="user:canary-wrong")
    with tallied() as tally, pytest.raises(TransportError) as caught:
        transport(url).post("https://login.salesforce.com/services/oauth2/token", FORM)
    error = caught.value
    assert error.message == (
        f"the proxy {url.rpartition('@')[2]} did not connect to login.salesforce.com: SOCKS5 authentication failed."
    )
    assert error.remedy == "Check proxy (or HTTPS_PROXY) and its credentials."
    assert not error.retryable
    assert tally.arrived == 0
    assert "canary" not in f"{error}{error.__cause__!r}"


def test_the_deadline_holds_for_a_socks_proxy_that_is_silent(proxy: _Server) -> None:
    proxy.is_silent = True
    began = time.monotonic()
    with tallied() as tally, pytest.raises(TransportError, match="it did not answer in time"):
        transport(address(proxy), deadline=0.5).post("https://login.salesforce.com/services/oauth2/token", FORM)
    assert time.monotonic() - began < 1.5
    assert tally.arrived == 0


def test_the_deadline_holds_for_an_answer_that_dribbles_through_a_socks_proxy(proxy: _Server) -> None:
    with SalesforceEmulator(tls=True) as sf:
        sf.break_transport(Dribble(0.02, part="headers", endless=True))
        began = time.monotonic()
        with pytest.raises(TransportError, match=r"within the deadline of 0\.5 s"):
            transport(address(proxy), deadline=0.5, ca_bundle=sf.ca_bundle).post(
                f"{sf.url}/services/oauth2/token", FORM
            )
    assert time.monotonic() - began < 1.5


def test_the_certificate_of_a_host_behind_a_socks_proxy_is_verified(proxy: _Server) -> None:
    other = trustme.CA()
    with SalesforceEmulator(tls=True) as sf, other.cert_pem.tempfile() as ca, pytest.raises(TransportError) as caught:
        transport(address(proxy), ca_bundle=ca).post(f"{sf.url}/services/oauth2/token", FORM)
    assert "the TLS certificate of" in caught.value.message
