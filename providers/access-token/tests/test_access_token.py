"""The session of a token that is there, what happens when it is refused, and which values are no token or instance."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_access_token import AccessTokenAuthenticator
from kinetic_auth_core import ConfigurationError, CredentialsRejectedError, LoginRequest, TransportError
from kinetic_auth_core.adapters.requests import SalesforceAuth
from kinetic_auth_core.testing import SalesforceEmulator

TOKEN = "00D5g000004tXyz!AQ-canary-token"
INSTANCE = "https://acme.my.salesforce.com"


@pytest.fixture
def token(sf: SalesforceEmulator) -> str:
    return sf.issue_access_token(sf.default.app, sf.default.user)


def test_the_arguments_are_positional_in_this_order_and_the_rest_are_keywords() -> None:
    parameters = inspect.signature(AccessTokenAuthenticator).parameters
    positional = [name for name, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == ["access_token", "instance_url"]


def test_the_session_has_the_token_and_the_org_that_it_begins_with() -> None:
    session = kinetic.resolve("access-token", access_token=TOKEN, instance_url=f"{INSTANCE}/").session()
    assert (session.access_token, session.instance_url, session.org_id) == (TOKEN, INSTANCE, "00D5g000004tXyz")
    assert (session.id, session.username, len(session.issued_at)) == ("", None, 13)
    assert "canary" not in repr(session)


def test_the_settings_come_from_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("SF_INSTANCE_URL", INSTANCE)
    monkeypatch.setenv("SF_API_VERSION", "61")
    session = kinetic.resolve("access-token").session()
    assert session.base_url == f"{INSTANCE}/services/data/v61.0"


def test_it_serves_a_client(sf: SalesforceEmulator, token: str) -> None:
    with kinetic.resolve("access-token", access_token=token, instance_url=sf.url) as source:
        http = requests.Session()
        http.auth = SalesforceAuth(source)
        answer = http.get(f"{source.session().base_url}/limits", timeout=10)
    assert answer.status_code == 200


def test_its_ca_bundle_counts_for_what_is_asked_about_the_session(full_tier: None) -> None:
    with SalesforceEmulator(tls=True) as sf:
        settings = sf.settings("access-token")
        with kinetic.resolve("access-token", **settings) as source:
            session = source.session()
            assert source.is_alive(session)
            assert source.revoke(session)
        del settings["ca_bundle"]
        with kinetic.resolve("access-token", **settings) as source, pytest.raises(TransportError, match="certificate"):
            source.is_alive(session)


def test_after_a_refusal_nothing_is_sent_with_the_same_token_again(
    sf: SalesforceEmulator, token: str, leaked: Any
) -> None:
    with kinetic.resolve("access-token", access_token=token, instance_url=sf.url) as source:
        http = requests.Session()
        http.auth = SalesforceAuth(source)
        url = f"{source.session().base_url}/limits"
        sf.expire_all()
        with pytest.raises(CredentialsRejectedError, match="was refused") as caught:
            http.get(url, timeout=10)
        for _ in range(2):
            with pytest.raises(CredentialsRejectedError, match="was refused"):
                http.get(url, timeout=10)
        with pytest.raises(CredentialsRejectedError, match="was refused"):
            source.authenticate()
    assert sf.count() == 1
    assert "SF_ACCESS_TOKEN" in caught.value.remedy
    assert "nothing is sent with it again" in str(caught.value)
    assert leaked(caught.value, token) == []


def test_another_token_of_the_same_reference_is_used_after_a_refusal(
    sf: SalesforceEmulator, token: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    with kinetic.resolve("access-token", access_token=f"file://{file}", instance_url=sf.url) as source:
        first = source.session()
        sf.expire_all()
        source.invalidate(first)
        file.write_text(fresh := sf.issue_access_token(sf.default.app, sf.default.user))
        assert source.session().access_token == fresh


def test_the_refusal_of_another_token_is_not_about_this_one() -> None:
    made = AccessTokenAuthenticator(TOKEN, INSTANCE)
    rejected = kinetic.SalesforceSession("00D!other", INSTANCE, "", "0")
    assert made.authenticate(LoginRequest(reason="rejected", rejected=rejected)).access_token == TOKEN


def test_no_store_gets_the_session(tmp_path: Path, sf: SalesforceEmulator, token: str) -> None:
    store = {"name": "file", "path": str(tmp_path / "store")}
    with kinetic.resolve("access-token", access_token=token, instance_url=sf.url, store=store) as source:
        source.session()
        rows = {row.name: row for row in source.explain()}
    assert list(tmp_path.rglob("*.session")) == []
    assert rows["store"].value == "memory"
    assert rows["store"].note == "file is not used: the sessions of this provider are never stored"
    assert "store.path" not in rows


@pytest.mark.parametrize(
    ("instance_url", "wanted"),
    [
        ("https://acme.lightning.force.com", "write https://acme.my.salesforce.com"),
        ("https://acme--uat.sandbox.lightning.force.com", "write https://acme--uat.sandbox.my.salesforce.com"),
        (f"{INSTANCE}/services/data", f"write {INSTANCE}"),
        ("https://login.salesforce.com", "https://<name>.my.salesforce.com"),
        ("http://acme.my.salesforce.com", "plain http"),
    ],
)
def test_an_address_that_serves_no_api_is_refused_with_the_right_one(instance_url: str, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kinetic.resolve("access-token", access_token=TOKEN, instance_url=instance_url)
    assert wanted in str(caught.value)


@pytest.mark.parametrize("text", ["canary token", "canary\ttoken", "canär"])
def test_text_that_no_header_can_hold_is_refused_without_showing_it(text: str, leaked: Any) -> None:
    with pytest.raises(ConfigurationError, match="no access token has") as caught:
        kinetic.resolve("access-token", access_token=text, instance_url=INSTANCE)
    assert leaked(caught.value, text) == []


def test_the_text_that_sf_shows_instead_of_a_token_is_refused() -> None:
    shown = "[REDACTED]Use'sforgauthshow-access-token'toview"
    with pytest.raises(ConfigurationError, match="sf org auth show-access-token"):
        kinetic.resolve("access-token", access_token=shown, instance_url=INSTANCE)


def test_an_instance_that_is_not_allowed_is_refused_by_the_guard() -> None:
    with pytest.raises(kinetic.SessionRejectedError, match="allowed_instance_hosts") as caught:
        kinetic.resolve("access-token", access_token=TOKEN, instance_url="https://evil.example").session()
    assert caught.value.remedy.startswith("Check the org that the token is for;")


def test_nothing_of_the_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        kinetic.resolve("access-token", access_token=TOKEN, instance_url=INSTANCE).session()
    assert "canary" not in caplog.text
