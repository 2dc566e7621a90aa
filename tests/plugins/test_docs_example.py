"""The provider of the docs keeps the contract of all providers."""

import http.server
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import ProviderContract

pytestmark = pytest.mark.usefixtures("full_tier")

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "sso_provider"


class SsoService(http.server.BaseHTTPRequestHandler):
    """Acme's service."""

    def do_POST(self) -> None:
        session = {
            "access_token": "00D!canary-from-sso",
            "instance_url": "https://acme.my.salesforce.com",
            "id": "https://login.salesforce.com/id/00D5g00000AbCdEEAC/0055g00000XyZwVAAA",
            "issued_at": "1700000000000",
        }
        body = json.dumps(session).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


class TestSsoAuthenticator(ProviderContract):
    @pytest.fixture(autouse=True)
    def _service(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.syspath_prepend(EXAMPLE)
        self.module = importlib.import_module("acme_salesforce_sso")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SsoService) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            yield
            server.shutdown()
            thread.join()
        sys.modules.pop("acme_salesforce_sso")

    def make_provider(self) -> Any:
        return self.module.SsoAuthenticator(self.url, "canary-service")
