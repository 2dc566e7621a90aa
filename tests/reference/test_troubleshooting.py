"""The reference's "Common Issues": each is reproduced, and its error contains the reference's solution."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import AuthenticationError, CredentialsRejectedError, PrivateKeyNotFoundError
from kinetic_auth_core.testing import SalesforceEmulator

LogIn = Callable[[], kinetic.SalesforceSession]


@pytest.fixture
def log_in(sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch) -> LogIn:
    for name, value in sf.env().items():
        if name not in {"SF_PASSWORD", "SF_SECURITY_TOKEN", "SF_CLIENT_SECRET"}:
            monkeypatch.setenv(name, value)
    made: Any = kinetic.JWTAuthenticator.from_env()
    return made.authenticate  # type: ignore[no-any-return]  # loaded by name


def test_user_hasnt_approved_this_consumer(sf: SalesforceEmulator, log_in: LogIn) -> None:
    """Solution: Pre-approve the Connected App for the user's profile."""
    sf.default.app.permitted_users = "self"
    sf.default.app.preauthorised.clear()
    with pytest.raises(CredentialsRejectedError, match="invalid_grant: user hasn't approved this consumer") as caught:
        log_in()
    assert "Pre-approve the connected app for the user's profile" in caught.value.remedy


def test_ip_restricted_or_invalid_login_hours(sf: SalesforceEmulator, log_in: LogIn) -> None:
    """Solution: Check IP restrictions and login hours in user profile."""
    sf.default.user.ip_ranges = ("203.0.113.0/24",)
    sf.default.user.login_hours = (dt.time(0, 0), dt.time(0, 0))
    with pytest.raises(CredentialsRejectedError, match="invalid_grant: ip restricted or invalid login hours") as caught:
        log_in()
    assert "IP restrictions" in caught.value.remedy
    assert "login hours in the user's profile" in caught.value.remedy


def test_private_key_not_found(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Solution: Verify SF_PRIVATE_KEY_PATH is correct and file exists."""
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", "/path/to/server.key")
    with pytest.raises(FileNotFoundError, match="Private key not found: /path/to/server.key") as caught:
        kinetic.JWTAuthenticator.from_env().authenticate()
    assert isinstance(caught.value, PrivateKeyNotFoundError)
    assert caught.value.remedy == (
        "Verify private_key_path (SF_PRIVATE_KEY_PATH): that it is correct and that the file exists."
    )


def test_jwt_expired(sf: SalesforceEmulator, log_in: LogIn) -> None:
    """Solution: JWT tokens expire in 3 minutes. This is normal during generation, not usage."""
    sf.advance(dt.timedelta(minutes=10).total_seconds())
    assert log_in().is_valid()  # signed again by the server's clock
    sf.advance(dt.timedelta(days=2).total_seconds())  # more than is believed
    with pytest.raises(AuthenticationError, match="invalid_grant: expired authorization code") as caught:
        log_in()
    assert "jwt expired" in caught.value.remedy
    assert "3 minutes" in caught.value.remedy
    assert "each login signs a new one" in caught.value.remedy
    assert "clock" in caught.value.remedy


def test_a_session_outlives_the_assertion_of_its_login(sf: SalesforceEmulator, log_in: LogIn) -> None:
    session = log_in()
    sf.advance(dt.timedelta(hours=1).total_seconds())
    assert sf.is_live(session.access_token)


def test_a_printed_error_contains_its_remedy(sf: SalesforceEmulator, log_in: LogIn, tmp_path: Path) -> None:
    sf.refuse("invalid_grant", "ip restricted or invalid login hours")
    with pytest.raises(AuthenticationError) as caught:
        log_in()
    assert str(caught.value).endswith(f"Remedy: {caught.value.remedy}")
