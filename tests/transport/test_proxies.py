"""Proxies that do not do their work, and addresses that cannot be used: each named with the variable or setting."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kinetic_auth_core.errors import ConfigurationError, TransportError
from kinetic_auth_core.locations import proxy_problem
from kinetic_auth_core.transport.client import TokenRequest, Transport
from kinetic_auth_core.transport.connections import host_and_port, tallied, variable_of

URL = "https://login.salesforce.com/services/oauth2/token"


def failure(**settings: object) -> TransportError | ConfigurationError:
    bounds = {"connect_timeout": 2, "read_timeout": 2, "deadline": 4}
    with pytest.raises((TransportError, ConfigurationError)) as caught:
        Transport(**{**bounds, **settings}).post(URL, TokenRequest({"grant_type": "x"}))  # type: ignore[arg-type]
    return caught.value  # type: ignore[return-value]  # one of the two


@pytest.fixture
def in_clear() -> Iterator[str]:
    """Host and port of a proxy that speaks http."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "Https_Proxy", "all_Proxy"])
def test_a_proxy_without_a_scheme_is_named_with_its_variable(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv(variable, address)
    error = failure()
    assert f"the proxy {address} did not connect to login.salesforce.com" in error.message
    assert error.remedy == f"Check {variable} and its credentials."
    monkeypatch.setenv(variable, f"{address}\r\n")  # as a mounted secret has it
    assert failure().remedy == error.remedy


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("http://[::1", "the proxy's address is malformed: write http://HOST:PORT."),
        ("http://", "the proxy's address is malformed: write http://HOST:PORT."),
        ("http://proxy:99999", "the proxy's address is malformed: write http://HOST:PORT."),
        ("socks://proxy:1080", "the proxy's address must begin with http://, https:// or socks5h://."),
        ("ftp://user:canary-word@proxy", "the proxy's address must begin with http://, https:// or socks5h://."),
        ("user:canary-word@proxy:3128", "the proxy's address must begin with http://, https:// or socks5h://."),
        ("http://user:canary-word@pro xy:3128", "the proxy's address is malformed: write http://HOST:PORT."),
        ("http://user:canary-word@pro%zzxy", "the proxy's address is malformed: write http://HOST:PORT."),
        ("http://user:canary\n-word@proxy", "the proxy's address is malformed: write http://HOST:PORT."),
        ("http://user:canary-word@*", "the proxy's address is malformed: write http://HOST:PORT."),
        (
            "http://user:canary-word%E2%82%AC@proxy",
            "the proxy's address has credentials with a character beyond Latin-1, which HTTP does not carry.",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error_of_its_variable(
    value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    error = failure()
    assert isinstance(error, ConfigurationError)
    assert error.message == f"HTTPS_PROXY: {problem}"
    monkeypatch.delenv("HTTPS_PROXY")
    of_setting = failure(proxy=value)
    assert isinstance(of_setting, ConfigurationError)
    assert of_setting.message == f"proxy: {problem}"


def test_https_before_a_proxy_that_speaks_http_is_told_once(in_clear: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"https://{in_clear}")
    error = failure()
    assert isinstance(error, TransportError)
    assert error.message == f"the proxy {in_clear} does not speak TLS, but its address begins with https://."
    assert error.remedy.startswith("Write http:// before the address of the proxy, in HTTPS_PROXY")
    assert not error.retryable
    assert not error.unanswered


def silent(connection: socket.socket) -> None:
    connection.recv(65536)
    time.sleep(2)


def dribbles(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        connection.sendall(b"X: y\r\n")
        time.sleep(0.05)


def hangs_up(connection: socket.socket) -> None:
    connection.recv(65536)


def speaks_ssh(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


@contextlib.contextmanager
def serving(handler: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[str]:
    """A server that does one thing with each connection: its host and port."""

    class _Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                handler(self.request)

    class _Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    with _Server((host, 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"{f'[{host}]' if ':' in host else host}:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("handler", "reason", "retryable"),
    [
        (silent, "it did not answer in time", True),
        (dribbles, "it did not answer in time", True),
        (hangs_up, "it closed the connection", True),
        (speaks_ssh, "what it sent is not valid HTTP", False),
    ],
)
def test_a_proxy_that_makes_no_tunnel_is_named_and_nothing_has_left(
    handler: Callable[[socket.socket], None], reason: str, retryable: bool
) -> None:
    with serving(handler) as address, tallied() as tally:
        error = failure(proxy=f"http://user:canary-word@{address}", read_timeout=0.5, connect_timeout=0.5, deadline=1)
    assert isinstance(error, TransportError)
    assert error.message == f"the proxy {address} did not connect to login.salesforce.com: {reason}."
    assert error.remedy == "Check proxy (or HTTPS_PROXY) and its credentials."
    assert error.retryable is retryable
    assert not error.unanswered
    assert tally.arrived == 0


def test_a_connection_that_is_not_made_within_the_deadline_has_sent_nothing() -> None:
    with serving(silent) as address, tallied() as tally, pytest.raises(TransportError) as caught:
        Transport(connect_timeout=5, read_timeout=5, deadline=0.3).post(f"https://{address}/", TokenRequest({"a": "b"}))
    assert "within the deadline of 0.3 s" in caught.value.message
    assert not caught.value.unanswered
    assert tally.arrived == 0


def test_a_proxy_may_have_an_address_of_ipv6() -> None:
    def refuses(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    with serving(refuses, "::1") as address:
        error = failure(proxy=f"http://{address}")
    assert (
        f"the proxy {address} did not connect to login.salesforce.com: Tunnel connection failed: 403" in error.message
    )


def test_a_proxy_without_a_possible_host_name_is_not_asked_again() -> None:
    error = failure(proxy="http://proxy..acme.example:3128")
    assert isinstance(error, TransportError)
    assert "did not connect to login.salesforce.com: not a valid host name." in error.message
    assert not error.retryable


@pytest.mark.parametrize("value", ["Bearer canary\nword", " canary-word", "canary-word\u20ac"])
def test_a_header_that_cannot_be_sent_is_not_blamed_on_the_host(value: str) -> None:
    with serving(silent) as address, tallied() as tally, pytest.raises(TransportError) as caught:
        Transport(connect_timeout=2, read_timeout=2, deadline=4).get(
            f"http://{address}/", TokenRequest({"Authorization": value}, [value])
        )
    assert caught.value.message.startswith("the request to 127.0.0.1 cannot be sent: one of its values has a character")
    assert "canary" not in f"{caught.value}{caught.value.__cause__!r}"
    assert tally.arrived == 0


def test_a_proxy_is_named_without_its_credentials() -> None:
    assert host_and_port("http://ada:canary-word@proxy.acme.example:3128/") == " proxy.acme.example:3128"
    assert host_and_port("ada:canary-word@proxy.acme.example:3128") == " proxy.acme.example:3128"
    assert host_and_port(None) == ""
    assert proxy_problem("proxy.acme.example:3128") is None
    assert variable_of(URL, "http://set.by.nobody") == "proxy"
