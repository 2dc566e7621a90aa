"""The provider of the docs keeps the contract of all providers; its service gets the sessions from an emulated org."""

import http.client
import http.server
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import ProviderContract

pytestmark = pytest.mark.usefixtures("full_tier")

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "sso_provider"


class SsoService(http.server.BaseHTTPRequestHandler):
    """Acme's service: logs in at the org as the app of a service token, and hands on whatever the org answers."""

    apps: dict[str, tuple[str, dict[str, str]]]  # by service token: the org's address, and the form

    def do_POST(self) -> None:
        self.close_connection = True
        url, form = self.apps[self.headers["Authorization"].removeprefix("Bearer ")]
        with suppress(OSError, http.client.HTTPException):  # without an answer of the org, there is none here
            status, kind, body = self._ask(url, form)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _ask(self, url: str, form: dict[str, str]) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/services/oauth2/token", urlencode(form), headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read()
        finally:
            connection.close()

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(EXAMPLE)
    yield importlib.import_module("acme_salesforce_sso").SsoAuthenticator
    sys.modules.pop("acme_salesforce_sso")


class TestSsoAuthenticator(ProviderContract):
    longest_login_s = 10

    @pytest.fixture(autouse=True)
    def _service(self, example: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:

        class Impatient(example):  # type: ignore[misc]
            """The suite waits as long as the provider."""

            read_timeout_s = 1

        self.cls = Impatient
        monkeypatch.setattr(SsoService, "apps", {}, raising=False)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SsoService) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            yield
            server.shutdown()
            thread.join()

    def make_provider(self) -> Any:
        login = self.emulator.default
        token = f"canary-{login.client_id}-{urlsplit(self.login_url).port}"
        form = {"grant_type": "client_credentials", "client_id": login.client_id, "client_secret": login.client_secret}
        SsoService.apps[token] = (self.login_url, form)
        return self.cls(self.url, token)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://localhost:8@evil.example/x", "has a user or password in it"),
        ("http://sso.example.com", "is plain http"),
        ("sso.example.com", "must begin with https://"),
    ],
)
def test_all_that_is_wrong_with_its_settings_is_named_at_once(example: Any, url: str, problem: str) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        example(url, "")
    assert f"sso_url: {problem}" in str(caught.value)
    assert "token: is empty" in caught.value.problems
