"""The proxy of the environment: a missing or a wrong scheme, and a malformed address, each named with its variable."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kinetic_auth_core.errors import ConfigurationError, TransportError
from kinetic_auth_core.transport.client import TokenRequest, Transport
from kinetic_auth_core.transport.connections import host_and_port, proxy_problem, variable_of

URL = "https://login.salesforce.com/services/oauth2/token"


def failure() -> TransportError | ConfigurationError:
    with pytest.raises((TransportError, ConfigurationError)) as caught:
        Transport(connect_timeout=2, read_timeout=2, deadline=4).post(URL, TokenRequest({"grant_type": "x"}))
    return caught.value  # type: ignore[return-value]  # one of the two


@pytest.fixture
def in_clear() -> Iterator[str]:
    """Host and port of a proxy that speaks http."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_without_a_scheme_is_named_with_its_variable(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv(variable, address)
    error = failure()
    assert f"the proxy {address} did not connect to login.salesforce.com" in error.message
    assert error.remedy == f"Check {variable} and its credentials."


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("http://[::1", "the proxy's address is malformed: write http://HOST:PORT."),
        ("http://", "the proxy's address is malformed: write http://HOST:PORT."),
        ("http://proxy:99999", "the proxy's address is malformed: write http://HOST:PORT."),
        ("socks://proxy:1080", "the proxy's address must begin with http://, https:// or socks5h://."),
        ("ftp://user:canary-word@proxy", "the proxy's address must begin with http://, https:// or socks5h://."),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error_of_its_variable(
    value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    error = failure()
    assert isinstance(error, ConfigurationError)
    assert error.message == f"HTTPS_PROXY: {problem}"


def test_https_before_a_proxy_that_speaks_http_is_told_once(in_clear: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"https://{in_clear}")
    error = failure()
    assert isinstance(error, TransportError)
    assert error.message == f"the proxy {in_clear} does not speak TLS, but its address begins with https://."
    assert error.remedy.startswith("Write http:// before the address of the proxy, in HTTPS_PROXY")
    assert not error.retryable
    assert not error.unanswered


def test_a_proxy_is_named_without_its_credentials() -> None:
    assert host_and_port("http://ada:canary-word@proxy.acme.example:3128/") == " proxy.acme.example:3128"
    assert host_and_port("ada:canary-word@proxy.acme.example:3128") == " proxy.acme.example:3128"
    assert host_and_port(None) == ""
    assert proxy_problem("proxy.acme.example:3128") is None
    assert variable_of(URL, "http://set.by.nobody") == "proxy"
