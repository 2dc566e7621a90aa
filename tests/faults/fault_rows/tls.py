"""TLS that cannot be trusted, or is missing."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from fault_rows.causes import tls
from fault_rows.connection import listening
from fault_rows.row import PASSES, UNANSWERED, Row, Target
from kinetic_auth_core.testing import Reset, SalesforceEmulator, TlsProfile, new_key_pair


@contextmanager
def self_signed(_sf: SalesforceEmulator) -> Iterator[Target]:
    pair = new_key_pair()
    for name, pem in (("key.pem", pair.private_key_pem), ("certificate.pem", pair.certificate_pem)):
        Path(name).write_text(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("certificate.pem", "key.pem")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Target(f"https://127.0.0.1:{server.server_port}")
        server.shutdown()


@contextmanager
def plain_http_on_the_tls_port(sf: SalesforceEmulator) -> Iterator[Target]:
    yield Target(sf.url.replace("http://", "https://"))


@contextmanager
def tls_on_the_http_port(_sf: SalesforceEmulator) -> Iterator[Target]:
    with SalesforceEmulator(tls=True) as own:
        yield Target(f"http://127.0.0.1:{own.url.rpartition(':')[2]}")


ROWS = [
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
        settings={"connect_timeout": 0.05},
    ),
]
