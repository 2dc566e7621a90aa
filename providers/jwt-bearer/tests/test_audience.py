"""The audience: derived from the login host, or set apart from it."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from kinetic_auth_core import ConfigurationError, CredentialsRejectedError, LoginRequest, SessionSource
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator

LOGIN = "https://login.salesforce.com"
TEST = "https://test.salesforce.com"


@pytest.mark.parametrize(
    ("login_url", "audience"),
    [
        (LOGIN, LOGIN),
        (LOGIN + "/", LOGIN),
        (TEST, TEST),
        ("https://acme--dev.sandbox.my.salesforce.com", TEST),
        ("https://ACME--Dev.Sandbox.My.Salesforce.com", TEST),
        ("https://acme--uat.my.salesforce.com", TEST),
        ("https://power-ability-1234-dev-ed.scratch.my.salesforce.com", TEST),
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com/", "https://acme.my.salesforce.com"),
        ("https://acme-dev-ed.develop.my.salesforce.com", "https://acme-dev-ed.develop.my.salesforce.com"),
        ("https://acme.my.site.com", "https://acme.my.site.com"),
        ("https://acme.my.site.com/partners", "https://acme.my.site.com/partners"),
        ("https://acme--dev.sandbox.my.site.com/partners", "https://acme--dev.sandbox.my.site.com/partners"),
        ("https://a--b.my.salesforce.com.example.com", "https://a--b.my.salesforce.com.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_the_audience_follows_from_the_login_host(login_url: str, audience: str) -> None:
    made = JWTAuthenticator("3MVG9", "u@acme.com", private_key_path="server.key", login_url=login_url)
    explained = {row.name: (row.value, row.source) for row in SessionSource(made).explain()}
    assert explained["audience"] == (audience, "default")


def test_an_explicit_audience_wins_over_the_host() -> None:
    made = JWTAuthenticator(
        "3MVG9", "u@acme.com", private_key_path="k", login_url="https://acme.my.salesforce.com", audience=LOGIN + "/"
    )
    assert made.audience == LOGIN


def test_a_none_audience_is_derived_from_the_host(keys: KeyPair) -> None:
    made = JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem, login_url=TEST, audience=None)
    assert jwt.decode(made.grant(LoginRequest(now=0))["assertion"], options={"verify_signature": False})["aud"] == TEST


def test_the_audience_and_the_host_are_separate_settings(
    sf: SalesforceEmulator, settings: dict[str, Any], keys: KeyPair
) -> None:
    sf.policy.audiences = {LOGIN}
    session = JWTAuthenticator(**settings, private_key=keys.private_key_pem, audience=LOGIN).authenticate()
    assert session.instance_url == sf.url


def test_a_wrong_audience_is_rejected_with_the_accepted_ones(
    sf: SalesforceEmulator, settings: dict[str, Any], keys: KeyPair
) -> None:
    sf.policy.audiences = {LOGIN}
    with pytest.raises(CredentialsRejectedError, match="audience is invalid") as caught:
        JWTAuthenticator(**settings, private_key=keys.private_key_pem).authenticate()
    for audience in (LOGIN, TEST, "My Domain", "Experience site"):
        assert audience in caught.value.remedy


def test_the_audience_can_come_from_the_environment(
    sf: SalesforceEmulator, settings: dict[str, Any], keys: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    sf.policy.audiences = {TEST}
    monkeypatch.setenv("SF_CLIENT_ID", settings["client_id"])
    monkeypatch.setenv("SF_USERNAME", settings["username"])
    monkeypatch.setenv("SF_PRIVATE_KEY", keys.private_key_pem)
    monkeypatch.setenv("SF_LOGIN_URL", sf.url)
    monkeypatch.setenv("SF_AUDIENCE", TEST)
    assert JWTAuthenticator.from_env().authenticate().is_valid()


@pytest.mark.parametrize(
    ("audience", "problem"),
    [
        ("login.salesforce.com", "audience: must begin with https://"),
        ("http://login.salesforce.com", "audience: is plain http"),
        ([LOGIN], "audience: expected text"),
        ("", "audience: must begin with https://"),
    ],
)
def test_an_audience_that_salesforce_would_never_accept_is_rejected_at_once(audience: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", private_key_path="k", audience=audience)
    assert str(caught.value).startswith("Cannot make JWTAuthenticator: ")
    assert problem in str(caught.value)
