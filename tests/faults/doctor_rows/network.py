"""Faults of the way to the login host."""

import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

import trustme
from werkzeug.wrappers import Response

from doctor_rows.row import Bench, Row, variable
from doctor_rows.servers import serving, talking, unused_port
from kinetic_auth_core.testing import SalesforceEmulator, TlsProfile, new_key_pair


def _tls(profile: TlsProfile, *, trusted: bool = True) -> Callable[[Bench], None]:
    def plant(bench: Bench) -> None:
        own = bench.stack.enter_context(SalesforceEmulator(tls=profile))
        bench.env["SF_LOGIN_URL"] = own.url
        if trusted:
            bench.env["SF_CA_BUNDLE"] = str(own.ca_bundle)

    return plant


def self_signed(bench: Bench) -> None:
    pair = new_key_pair()
    key, certificate = bench.write("tls.pem", pair.private_key_pem), bench.write("tls.crt", pair.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = bench.stack.enter_context(HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    bench.stack.callback(server.shutdown)
    bench.env["SF_LOGIN_URL"] = f"https://127.0.0.1:{server.server_port}"


def mutual(bench: Bench) -> None:
    authority = trustme.CA().cert_pem.bytes().decode()
    profile = TlsProfile(client_authority_pem=authority, maximum_version=ssl.TLSVersion.TLSv1_2)
    _tls(profile)(bench)


def _unused(variable: str, scheme: str = "http://") -> Callable[[Bench], None]:
    """An address where nobody listens."""

    def plant(bench: Bench) -> None:
        bench.env[variable] = f"{scheme}127.0.0.1:{unused_port()}"

    return plant


def _answers(body: str, status: int = 200, **headers: str) -> Callable[[Bench], None]:
    """A login host that answers every request like this; a `_` in the name of a header stands for `-`."""

    def plant(bench: Bench) -> None:
        response = Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
        bench.env["SF_LOGIN_URL"] = bench.stack.enter_context(serving(lambda _: response))

    return plant


refused, refused_over_tls = _unused("SF_LOGIN_URL"), _unused("SF_LOGIN_URL", "https://")
proxy_refused, proxy_of_the_environment = _unused("SF_PROXY"), _unused("HTTP_PROXY")
proxy_without_scheme = _unused("http_proxy", "")
parked = _answers("<html>This domain is parked.</html>", Content_Type="text/html")
another_api = _answers('{"message": "not found"}', 404, Content_Type="application/json")
maintenance = _answers("<html>Maintenance</html>", 503, Content_Type="text/html")
redirected = _answers("", 302, Location="https://acme.my.salesforce.com/")


def instance_refused(bench: Bench) -> None:
    bench.use("access-token")
    bench.env["SF_INSTANCE_URL"] = f"https://127.0.0.1:{unused_port()}"


def key_as_ca_bundle(bench: Bench) -> None:
    _tls(TlsProfile())(bench)
    path = str(bench.write("server.key", bench.sf.default.private_key_pem))
    bench.env |= {"SF_PRIVATE_KEY_PATH": path, "SF_CA_BUNDLE": path}


def ca_file_of_the_environment(bench: Bench) -> None:
    _tls(TlsProfile(), trusted=False)(bench)
    bench.env["REQUESTS_CA_BUNDLE"] = "/nowhere/ca.pem"


def no_answer(bench: Bench) -> None:
    silent = bench.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    bench.env |= {"SF_LOGIN_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "SF_READ_TIMEOUT": "0.2"}


def plain_http(bench: Bench) -> None:
    bench.env["SF_LOGIN_URL"] = bench.sf.url.replace("http://", "https://")


def _clock(seconds: float) -> Callable[[Bench], None]:
    return lambda bench: bench.sf.advance(seconds)


def _proxy(reply: bytes, scheme: str = "http") -> Callable[[Bench], None]:
    def plant(bench: Bench) -> None:
        port = bench.stack.enter_context(talking(reply))
        bench.env |= {"SF_LOGIN_URL": "https://login.salesforce.com", "SF_PROXY": f"{scheme}://127.0.0.1:{port}"}

    return plant


def callback_port_in_use(bench: Bench) -> None:
    bench.use("web-login")
    listener = bench.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    bench.env["SF_REDIRECT_PORT"] = str(listener.getsockname()[1])


ROWS = [
    Row("network", "the callback port is taken", callback_port_in_use, "callback port", "End", "redirect_port"),
    Row(
        "network",
        "the name does not resolve",
        variable("SF_LOGIN_URL", "https://acme-prod.my.salesforce.invalid"),
        "DNS",
        "does not resolve",
        "login_url",
        5,
    ),
    Row("network", "nobody listens on the port", refused, "TCP", "Connection refused", "login_url", 5),
    Row("network", "nobody listens on the https port", refused_over_tls, "TCP", "Connection refused", "login_url", 5),
    Row(
        "network",
        "the name of a sandbox does not resolve",
        variable("SF_LOGIN_URL", "https://acme-prod--dev.my.salesforce.com"),
        "DNS",
        "https://acme-prod--dev.sandbox.my.salesforce.com",
        "login_url",
        5,
    ),
    Row("network", "nobody listens at the instance", instance_refused, "TCP", "Check instance_url", "instance_url", 5),
    Row("network", "the server says nothing", no_answer, "host", "sent nothing for 0.2 s", "login_url", 5),
    Row("TLS", "the certificate is self-signed", self_signed, "TLS", "ca_bundle", "ca_bundle", 5),
    Row("TLS", "an unknown authority", _tls(TlsProfile(), trusted=False), "TLS", "issued by", "ca_bundle", 5),
    Row("TLS", "the certificate has expired", _tls(TlsProfile(expired=True)), "TLS", "expired", "login_url", 5),
    Row(
        "TLS",
        "the certificate is for another host",
        _tls(TlsProfile(hosts=("other.example",))),
        "TLS",
        "name the host as its certificate does",
        "login_url",
        5,
    ),
    Row("TLS", "a client certificate is required", mutual, "TLS", "client_cert", "login_url", 5),
    Row("TLS", "plain http on the https port", plain_http, "TLS", "handshake failed", "login_url", 5),
    Row(
        "TLS",
        "the CA file does not exist",
        variable("SF_CA_BUNDLE", "/nowhere/ca.pem"),
        "TLS",
        "/nowhere/ca.pem",
        "ca_bundle",
    ),
    Row("TLS", "the CA file is a key", key_as_ca_bundle, "TLS", "ca_bundle (from SF_CA_BUNDLE)", "ca_bundle"),
    Row(
        "TLS",
        "the CA file of the environment does not exist",
        ca_file_of_the_environment,
        "TLS",
        "REQUESTS_CA_BUNDLE",
        "ca_bundle",
    ),
    Row(
        "proxy",
        "it hangs up",
        _proxy(b""),
        "proxy",
        "did not connect to login.salesforce.com: it closed the connection",
        "proxy",
        5,
    ),
    Row("proxy", "no scheme", variable("SF_PROXY", "proxy.acme.example:3128"), "settings", "http://", "proxy"),
    Row(
        "proxy",
        "a scheme that is none of a proxy",
        variable("HTTP_PROXY", "ftp://proxy.acme.example:3128"),
        "proxy",
        "HTTP_PROXY",
        "proxy",
    ),
    Row(
        "proxy", "no scheme in the environment", proxy_without_scheme, "proxy", "Its address has no scheme", "proxy", 5
    ),
    Row("proxy", "nobody listens there", proxy_refused, "proxy", "did not connect", "proxy", 5),
    Row(
        "proxy",
        "nobody listens at that of the environment",
        proxy_of_the_environment,
        "proxy",
        "HTTP_PROXY",
        "proxy",
        5,
    ),
    Row(
        "proxy",
        "it wants credentials",
        _proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
        "proxy",
        "407",
        "proxy",
        5,
    ),
    Row(
        "proxy",
        "it refuses the host",
        _proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        "proxy",
        "403",
        "proxy",
        5,
    ),
    Row(
        "proxy",
        "https:// before one that speaks no TLS",
        _proxy(b"HTTP/1.1 400 Bad Request\r\n\r\n", "https"),
        "proxy",
        "http:// before the address of the proxy",
        "proxy",
        5,
    ),
    Row("host", "a parked domain", parked, "host", "not a login host of Salesforce", "login_url", 5),
    Row("host", "another API", another_api, "host", "not a login host of Salesforce", "login_url", 5),
    Row("host", "maintenance", maintenance, "host", "status.salesforce.com", None, 5),
    Row("host", "a redirect", redirected, "host", "https://acme.my.salesforce.com", "login_url", 0),
    Row("clock", "this machine is an hour behind", _clock(3600), "clock", "60 minutes behind"),
    Row("clock", "this machine is an hour ahead", _clock(-3600), "clock", "60 minutes ahead"),
    Row("clock", "this machine is a minute behind", _clock(90), "clock", "behind", code=0),
]
