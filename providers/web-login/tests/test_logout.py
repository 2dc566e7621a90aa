"""`kinetic-auth logout` ends the grant: the refresh token is revoked and deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.testing import SalesforceEmulator


def run(*args: str) -> Any:
    return CliRunner().invoke(cli, args, prog_name="kinetic-auth")


@pytest.fixture
def configured(web_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings of a web login, as variables."""
    for name, value in web_settings.items():
        monkeypatch.setenv(f"SF_{name.upper()}", str(value))
    return web_settings


def records(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state").rglob("*.state.session"))


def test_logout_revokes_the_refresh_token_and_deletes_it(
    configured: dict[str, Any], person: Any, sf: SalesforceEmulator, tmp_path: Path
) -> None:
    session = kinetic.resolve("web-login").session()
    assert records(tmp_path)
    outcome = run("logout", "web-login", "--json")
    assert outcome.exit_code == 0, outcome.output
    facts = json.loads(outcome.stdout)
    assert (facts["revoked"], facts["grant_revoked"]) == (True, True)
    assert not sf.is_live(session.access_token)
    assert records(tmp_path) == []
    kinetic.resolve("web-login").session()
    assert len(person.opened) == 2


def test_login_says_which_file_holds_the_token_in_clear(
    configured: dict[str, Any], person: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run("login", "web-login")
    assert outcome.exit_code == 0, outcome.output
    (record,) = records(tmp_path)
    assert str(record) in outcome.stderr.replace("\n", "")
    monkeypatch.setenv("SF_STORE", "file")
    monkeypatch.setenv("SF_STORE_PATH", str(tmp_path / "encrypted"))
    monkeypatch.setenv("SF_STORE_KEY", Fernet.generate_key().decode())
    assert "in clear" not in run("login", "web-login").stderr


def test_local_only_deletes(configured: dict[str, Any], person: Any, sf: SalesforceEmulator, tmp_path: Path) -> None:
    session = kinetic.resolve("web-login").session()
    outcome = run("logout", "web-login", "--local", "--json")
    facts = json.loads(outcome.stdout)
    assert (facts["revoked"], facts["grant_revoked"]) == (False, False)
    assert sf.is_live(session.access_token)
    assert records(tmp_path) == []
    assert kinetic.resolve("web-login").peek() is None


def test_a_store_that_does_not_respond_is_an_exit_code_of_its_own(
    configured: dict[str, Any], person: Any, tmp_path: Path
) -> None:
    kinetic.resolve("web-login").session()
    records(tmp_path)[0].parent.chmod(0o755)
    assert run("logout", "web-login").exit_code == 5


def test_a_refresh_token_that_nothing_has_replaced_is_revoked_too(
    settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    sf.policy.rotate_refresh_tokens = False
    with kinetic.resolve("refresh-token", **settings) as source:
        session = source.session()
        assert source.end_grant()
    assert not sf.is_live(session.access_token)
    with pytest.raises(kinetic.CredentialsRejectedError):
        kinetic.resolve("refresh-token", **settings, store="memory").session()
