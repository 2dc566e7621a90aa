"""An org with one user, one app that rotates refresh tokens, and the settings that log in there."""

from __future__ import annotations

import re
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests
from chromium import chromium

from kinetic_auth_core.testing import App, SalesforceEmulator, User
from kinetic_auth_core.testing.contracts.checks import unused_port
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets as leaked
from kinetic_auth_core.testing.pytest_plugin import no_ambient_settings

__all__ = ["chromium", "leaked", "no_ambient_settings"]  # fixtures from elsewhere

USERNAME = "admin@acme.com.dev"


@pytest.fixture(autouse=True)
def _no_ambient_settings(no_ambient_settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every test; and a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        emulator.policy.rotate_refresh_tokens = True
        yield emulator


@pytest.fixture
def user(sf: SalesforceEmulator) -> User:
    return sf.add_user(USERNAME, password="canary-password")


@pytest.fixture
def app(sf: SalesforceEmulator, user: User) -> App:
    return sf.add_app(
        client_secret="canary-client-secret",
        preauthorised={user.username},
        scopes={"api", "id", "refresh_token"},
    )


@pytest.fixture
def settings(sf: SalesforceEmulator, app: App, user: User) -> dict[str, Any]:
    """All that a login with a refresh token needs, by the names of the settings."""
    return {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": sf.grant_refresh_token(app, user),
        "login_url": sf.url,
    }


@attrs.define
class Person:
    """Somebody with a browser, who gets the addresses that are opened, and logs in with requests.

    The person has a thread of their own, and a login ends before the person has seen its last page.

    Attributes:
        sf: The org.
        username: What is typed.
        password: What is typed.
        meanwhile: Called with the address before the person decides.
        opened: The addresses that were opened.
    """

    sf: SalesforceEmulator
    username: str
    password: str
    decision: str = "oaapprove"
    meanwhile: Callable[[str], None] | None = None
    opened: list[str] = attrs.field(factory=list)
    _pages: list[requests.Response] = attrs.field(factory=list)
    _done: list[threading.Event] = attrs.field(factory=list)

    def open(self, address: str) -> bool:
        """What `webbrowser.open` is replaced by."""
        done = threading.Event()
        self._done.append(done)
        try:
            self.opened.append(address)
            if self.meanwhile is not None:
                self.meanwhile(address)
            if self.decision:
                self._pages.append(self.walk(address))
        finally:
            done.set()
        return True

    def wait(self) -> None:
        """Wait until the person has seen the last page of each address opened so far."""
        assert all(done.wait(60) for done in self._done)

    @property
    def pages(self) -> list[requests.Response]:
        """The last answers to what the person did, one for each address; waits for them."""
        self.wait()
        return self._pages

    def walk(self, address: str) -> requests.Response:
        """Log in and decide; the last page."""
        http = requests.Session()
        http.trust_env = False
        page = http.get(address, timeout=10)
        for _ in range(2):  # a login form, and a consent where none was given before
            if 'name="pw"' in page.text:
                page = http.post(page.url, data={"username": self.username, "pw": self.password}, timeout=10)
            if found := re.search(r'name="authorization" value="([^"]+)"', page.text):
                page = http.post(page.url, data={"authorization": found[1], self.decision: "1"}, timeout=10)
        return page


@pytest.fixture
def person(sf: SalesforceEmulator, user: User, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "1")
    found = Person(sf, user.username, "canary-password")
    monkeypatch.setattr(webbrowser, "open", found.open)
    return found


@pytest.fixture
def free_port() -> int:
    return unused_port()


@pytest.fixture
def web_settings(sf: SalesforceEmulator, app: App, free_port: int) -> dict[str, Any]:
    """All that a login in the browser needs, by the names of the settings."""
    app.redirect_uris = {f"http://localhost:{free_port}/OauthRedirect"}
    app.permitted_users = "self"
    return {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "login_url": sf.url,
        "redirect_port": free_port,
    }


@pytest.fixture
def person_of() -> type[Person]:
    """Makes somebody for an org, with a username and a password."""
    return Person
