"""An org that knows an app by its certificate, and the settings that log in there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import App, KeyPair, SalesforceEmulator, User, new_key_pair
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets as leaked
from kinetic_auth_core.testing.pytest_plugin import no_ambient_settings

__all__ = ["leaked", "no_ambient_settings"]  # fixtures from elsewhere

USERNAME = "integration@acme.com"


@pytest.fixture(autouse=True)
def _no_ambient_settings(no_ambient_settings: None) -> None:
    """In every test."""


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture(scope="session")
def other_keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def user(sf: SalesforceEmulator) -> User:
    return sf.add_user(USERNAME)


@pytest.fixture
def app(sf: SalesforceEmulator, user: User, keys: KeyPair) -> App:
    return sf.add_app(certificates=[keys.certificate_pem], preauthorised={user.username})


@pytest.fixture
def settings(sf: SalesforceEmulator, app: App, user: User) -> dict[str, Any]:
    """All that a login needs but the key."""
    return {"client_id": app.client_id, "username": user.username, "login_url": sf.url}


@pytest.fixture
def key_file(tmp_path: Path, keys: KeyPair) -> Path:
    path = tmp_path / "server.key"
    path.write_text(keys.private_key_pem)
    return path
