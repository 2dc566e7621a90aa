"""A refused login says where the settings come from that its remedy names."""

import logging
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator


@pytest.fixture
def settings(sf: SalesforceEmulator) -> dict[str, Any]:
    return {**sf.settings("password"), "username": "nobody@places.example"}


def remedy_of(**settings: Any) -> str:
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        kinetic.resolve("password", **settings).session()
    return caught.value.remedy


def test_variables_files_and_dotenv_are_named_and_keywords_are_not(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del settings["username"], settings["password"]
    settings.pop("security_token", None)
    Path(".env").write_text("SF_USERNAME=nobody@places.example\n")
    Path("kinetic-auth.toml").write_text('[environments.prod]\nprovider = "password"\nsecurity_token = "tokentoken"\n')
    monkeypatch.setenv("SF_PASSWORD", "not-the-word")
    remedy = remedy_of(environment="prod", **settings)
    assert f"username is from SF_USERNAME ({Path('.env').absolute()})" in remedy
    assert "password is from SF_PASSWORD;" in remedy
    assert f"security_token is from {Path('kinetic-auth.toml').absolute()}:environments.prod.security_token.)" in remedy
    assert "client_secret" not in remedy
    assert "not-the-word" not in remedy


def test_where_all_is_given_by_the_caller_nothing_is_added(settings: dict[str, Any]) -> None:
    assert " is from " not in remedy_of(**settings)


def test_a_failing_login_is_raised_and_not_logged_in_full_as_well(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        remedy = remedy_of(**settings)
    assert remedy not in caplog.text
    assert "authentication failure" not in caplog.text
    assert "failed: CredentialsRejectedError" in caplog.text
