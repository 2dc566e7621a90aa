"""A user of their own for the tests that have logins refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from kinetic_auth_core.testing import SalesforceEmulator, User


@pytest.fixture
def user(sf: SalesforceEmulator) -> Iterator[User]:
    """A user whose password is right-horse; unlocked again after the test."""
    user = sf.add_user(f"{uuid.uuid4()}@refusals.example", "right-horse", trusted_ip=True)
    yield user
    user.failed_logins = 0


@pytest.fixture
def settings(sf: SalesforceEmulator, user: User) -> dict[str, Any]:
    """The settings of that user's login by password, without the password."""
    app = sf.add_app(preauthorised={user.username})
    return {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "username": user.username,
        "login_url": sf.url,
    }
