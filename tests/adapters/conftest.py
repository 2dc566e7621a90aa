"""A source that logs in at the emulator with a password, and a second server that records its requests."""

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator


@pytest.fixture(scope="session")
def _shared(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def sf(_shared: SalesforceEmulator) -> Iterator[SalesforceEmulator]:
    """An org whose requests are counted from zero, and whose login rate is sufficient for all tests."""
    _shared.forget_requests()
    yield _shared
    _shared.clear_faults()
    _shared.policy.restrict_rest_sessions = False
    _shared.policy.instance_url = None
    _shared.policy.query_batch_size = 2000


@pytest.fixture
def source(sf: SalesforceEmulator) -> Iterator[kinetic.SessionSource]:
    with kinetic.resolve("password", **sf.settings("password")) as source:
        yield source


@pytest.fixture(scope="session")
def tls() -> Iterator[SalesforceEmulator]:
    """An org that is reached by https."""
    with SalesforceEmulator(tls=True) as emulator:
        yield emulator


@pytest.fixture
def tls_source(tls: SalesforceEmulator) -> Iterator[kinetic.SessionSource]:
    tls.forget_requests()
    with kinetic.resolve("password", **tls.settings("password")) as source:
        yield source
    tls.clear_faults()


@attrs.frozen
class Elsewhere:
    """A server other than Salesforce: it records the headers of each request and sends a given response."""

    url: str
    heard: list[Mapping[str, str]] = attrs.field(factory=list)
    answers: list[tuple[int, bytes, Mapping[str, str]]] = attrs.field(factory=list)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            place.heard.append({name.lower(): value for name, value in self.headers.items()})
            status, body, headers = place.answers.pop(0) if place.answers else (200, b"{}", {})
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        place = Elsewhere(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield place
        server.shutdown()
        thread.join()
