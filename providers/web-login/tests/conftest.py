"""An org with one user, one app that rotates refresh tokens, and the settings that log in there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import App, SalesforceEmulator, User
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets as leaked
from kinetic_auth_core.testing.pytest_plugin import no_ambient_settings

__all__ = ["leaked", "no_ambient_settings"]  # fixtures from elsewhere

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
