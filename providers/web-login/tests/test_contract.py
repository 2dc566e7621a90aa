"""The providers keep the contract of all providers."""

import re
import webbrowser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kinetic_auth_core.testing import ProviderContract
from kinetic_auth_core.testing.contracts.checks import unused_port
from kinetic_auth_web_login import RefreshTokenAuthenticator, WebLoginAuthenticator

pytestmark = pytest.mark.usefixtures("full_tier")

#: The tests whose org is down: it does not send the person back, and that login takes the whole time.
_DOWN = "usable_answer|in_an_error"
_BRIEFLY_S = 2.0


class TestRefreshToken(ProviderContract):
    def make_provider(self) -> RefreshTokenAuthenticator:
        settings: dict[str, Any] = self.emulator.settings("refresh-token")
        return RefreshTokenAuthenticator(**settings)


def _free_ports(count: int) -> list[int]:
    """Ports for the redirects of instances that log in at the same moment."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(unused_port())
    return list(ports)


class TestWebLogin(ProviderContract):
    longest_login_s = 20.0
    failing_path = "/services/oauth2/token"  # what fails is the exchange of the code: the person has come back

    @pytest.fixture(autouse=True)
    def _person(self, person_of: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody logs in as the default user of the org that asks."""
        self.login_timeout = _BRIEFLY_S if re.search(_DOWN, request.node.name) else 30.0
        monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "1")
        people: dict[str, Any] = {}

        def open_(address: str) -> bool:
            query = parse_qs(urlsplit(address).query)
            person_of(*people[query["client_id"][0]]).open(address)
            return True

        self.people, self.ports = people, _free_ports(40)
        monkeypatch.setattr(webbrowser, "open", open_)

    def make_provider(self) -> WebLoginAuthenticator:
        settings: dict[str, Any] = self.emulator.settings("web-login")
        login = self.emulator.default
        self.people[login.client_id] = (self.emulator, login.username, login.password)
        port = self.ports.pop()
        login.app.redirect_uris |= {f"http://localhost:{port}/OauthRedirect"}
        return WebLoginAuthenticator(**{**settings, "redirect_port": port, "login_timeout": self.login_timeout})
