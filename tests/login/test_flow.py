"""A refused login says where the settings come from that its remedy names."""

import logging
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator, new_key_pair


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


def test_a_key_that_is_refused_is_named_with_its_place(sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.key").write_bytes(new_key_pair().private_key_pem.encode())
    Path("other.key").chmod(0o600)
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", "other.key")
    source = kinetic.resolve(
        "jwt-bearer", client_id=sf.default.client_id, username=sf.default.username, login_url=sf.url
    )
    with pytest.raises(kinetic.CredentialsRejectedError, match="invalid assertion") as caught:
        source.session()
    assert "is read once: restart the program" in caught.value.remedy
    assert caught.value.remedy.endswith(" (private_key_path is from SF_PRIVATE_KEY_PATH.)")


def test_a_user_whom_the_org_does_not_know_is_named_with_its_place(
    sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_USERNAME", "ada@misspelt.example")
    login = {name: value for name, value in sf.settings("jwt-bearer").items() if name != "username"}
    with pytest.raises(kinetic.CredentialsRejectedError, match="user hasn't approved this consumer") as caught:
        kinetic.resolve("jwt-bearer", **login).session()
    assert "username is misspelt" in caught.value.remedy
    assert caught.value.remedy.endswith(" (username is from SF_USERNAME.)")


def test_a_refresh_token_that_is_refused_is_named_with_its_place(
    sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_REFRESH_TOKEN", "5Aepspent")
    source = kinetic.resolve(
        "refresh-token",
        client_id=sf.default.client_id,
        client_secret=sf.default.client_secret,
        login_url=sf.url,
        store="memory",
    )
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        source.session()
    assert caught.value.remedy.endswith(" (refresh_token is from SF_REFRESH_TOKEN.)")


def test_a_secret_that_the_app_wants_and_nobody_has_set_is_said_not_to_be_set(sf: SalesforceEmulator) -> None:
    login = sf.settings("refresh-token") | {"client_secret": None, "store": "memory"}
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        kinetic.resolve("refresh-token", **login).session()
    assert caught.value.remedy.startswith("Check client_secret: ")
    assert caught.value.remedy.endswith(" (client_secret is not set.)")


def test_the_log_of_a_login_without_a_known_user_does_not_invent_one(
    sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "kinetic_auth_core"):
        kinetic.resolve("client-credentials", **sf.settings("client-credentials")).session()
    assert "client-credentials login: org " in caplog.text
    assert "client-credentials login at " in caplog.text
    assert "None" not in caplog.text
