"""The request contains password and security token as one field, with every character intact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kinetic_auth_core import (
    AuthenticationError,
    ConfigurationError,
    CredentialsRejectedError,
    KineticAuthError,
    LoginRequest,
)
from kinetic_auth_core.plugins import known_error
from kinetic_auth_core.testing import App, SalesforceEmulator, User
from kinetic_auth_password import OAuthAuthenticator


def test_the_form_has_the_two_credentials_and_password_and_token_in_one() -> None:
    made = OAuthAuthenticator("3MVG9", "secret", "u@acme.com", "pass", "TOKEN")
    assert made.grant(LoginRequest(now=0)) == {
        "grant_type": "password",
        "client_id": "3MVG9",
        "client_secret": "secret",
        "username": "u@acme.com",
        "password": "passTOKEN",
    }


def test_a_login_returns_a_session(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    session = OAuthAuthenticator(**settings).authenticate()
    assert sf.is_live(session.access_token)
    assert session.instance_url == sf.url
    assert session.org_id == sf.org_id
    assert session.username == settings["username"]
    assert len(session.issued_at) == 13
    assert session.signature
    assert [record.status for record in sf.history] == ["Success"]


def test_without_a_security_token_only_the_password_is_sent(
    sf: SalesforceEmulator, settings: dict[str, Any], user: User
) -> None:
    user.trusted_ip = True
    del settings["security_token"]
    session = OAuthAuthenticator(**settings).authenticate()
    assert sf.is_live(session.access_token)


def test_a_missing_security_token_is_reported_with_its_setting(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    with pytest.raises(CredentialsRejectedError, match="security_token") as caught:
        OAuthAuthenticator(**{**settings, "security_token": ""}).authenticate()
    assert "append the security token to the password" in caught.value.remedy
    assert sf.history[-1].status == "Failed: API security token required"


def test_a_wrong_password_is_rejected_once_with_the_catalogues_remedy(
    sf: SalesforceEmulator, settings: dict[str, Any], user: User
) -> None:
    with pytest.raises(CredentialsRejectedError) as caught:
        OAuthAuthenticator(**{**settings, "password": "canary-wrong"}).authenticate()
    error, host = caught.value, sf.url.removeprefix("http://")
    row = known_error("invalid_grant", "authentication failure")
    assert row is not None
    assert error.remedy == row.remedy
    assert str(error) == (
        f"password login of {user.username} at {host} failed: invalid_grant: authentication failure (HTTP 400). "
        f"Remedy: {row.remedy}"
    )
    assert (error.error, error.description, error.status) == ("invalid_grant", "authentication failure", 400)
    assert (error.provider, error.host, error.username) == ("password", host, user.username)
    assert not error.retryable
    assert user.failed_logins == 1  # trying again by itself would lock the user out


def test_a_wrong_client_secret_and_a_wrong_password_have_different_messages(settings: dict[str, Any]) -> None:
    with pytest.raises(CredentialsRejectedError) as caught:
        OAuthAuthenticator(**{**settings, "client_secret": "wrong"}).authenticate()
    assert caught.value.error == "invalid_client"
    assert caught.value.remedy.startswith("Check client_secret: it is the app's Consumer Secret (")


def test_an_org_that_blocks_the_flow_says_where_to_allow_it(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    sf.policy.password_flow_blocked = True
    with pytest.raises(CredentialsRejectedError) as caught:
        OAuthAuthenticator(**settings).authenticate()
    assert "allow the username-password flow under OAuth and OpenID Connect Settings" in caught.value.remedy


@attrs.frozen
class Account:
    """A user whose password changes with each example, and the app they log in through."""

    sf: SalesforceEmulator
    app: App
    user: User

    def log_in(self, password: str, security_token: str = "", client_secret: str | None = None) -> bool:
        """Give the user that password, and log in with it."""
        self.user.password, self.user.security_token, self.user.failed_logins = password, security_token, 0
        made = OAuthAuthenticator(
            client_id=self.app.client_id,
            client_secret=client_secret or self.app.client_secret,
            username=self.user.username,
            password=password,
            security_token=security_token,
            login_url=self.sf.url,
        )
        try:
            return self.sf.is_live(made.authenticate().access_token)
        finally:
            made.close()


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with SalesforceEmulator() as sf:
        sf.policy.logins_per_hour = 1_000_000
        user = sf.add_user("any@acme.com")
        yield Account(sf, sf.add_app(preauthorised={user.username}), user)


AWKWARD = "p&ss+w%rd=1;a=b?c#d/e\\f \"g\" 'h' {i} $(j) `k` é ß 中文 🔑 \u202e\u0301"


@pytest.mark.usefixtures("full_tier")
@settings(deadline=None, max_examples=60)
@given(password=st.text(min_size=1), security_token=st.text())
@example(AWKWARD, AWKWARD)
@example(" leading and trailing ", " ")
@example("a\r\nb\tc\x00d", "\n")
@example("100%25", "%")
@example("+", "+ +")
@example("=&=&", "&password=other")
@example("https://not-a-reference", "")
@example("x" * 5000, "")
def test_any_character_of_password_and_token_survives(account: Account, password: str, security_token: str) -> None:
    assert account.log_in(password, security_token)


@pytest.mark.usefixtures("full_tier")
@settings(deadline=None, max_examples=30)
@given(secret=st.text(min_size=1))
@example(AWKWARD)
def test_any_character_of_the_client_secret_survives_and_verifies_the_signature(account: Account, secret: str) -> None:
    before, account.app.client_secret = account.app.client_secret, secret
    try:
        assert account.log_in("password", "", secret)
    finally:
        account.app.client_secret = before


@pytest.mark.usefixtures("full_tier")
@settings(deadline=None, max_examples=30)
@given(password=st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
@example(AWKWARD)
@example(" leading and trailing ")
def test_any_character_survives_an_environment_variable(account: Account, password: str) -> None:
    kept = password.rstrip("\r\n")  # the line break that `echo` leaves at a value's end
    assume(kept)
    account.user.password, account.user.security_token, account.user.failed_logins = kept, "", 0
    variables = {
        "SF_CLIENT_ID": account.app.client_id,
        "SF_CLIENT_SECRET": account.app.client_secret,
        "SF_USERNAME": account.user.username,
        "SF_PASSWORD": password,
        "SF_LOGIN_URL": account.sf.url,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        made = OAuthAuthenticator.from_env()
    assert made.authenticate().is_valid()
    made.close()


def test_an_invalid_unicode_password_is_a_typed_error_that_does_not_show_it(
    settings: dict[str, Any], leaked: Any
) -> None:
    """Python hands undecodable bytes of an environment variable on as lone surrogates."""
    password = os.fsdecode(b"canary-\xff")
    with pytest.raises(KineticAuthError) as caught:
        OAuthAuthenticator(**{**settings, "password": password}).authenticate()
    assert leaked(caught.value, "canary-") == []
    assert "password" in caught.value.message.partition("failed:")[2] or isinstance(caught.value, ConfigurationError)
    assert not getattr(caught.value, "retryable", False)


def test_a_refusal_shows_no_secret(settings: dict[str, Any], sf: SalesforceEmulator, leaked: Any) -> None:
    secrets = (settings["password"], settings["security_token"], settings["client_secret"])
    sf.refuse("invalid_grant", f"authentication failure for {secrets[0]}{secrets[1]}")
    with pytest.raises(AuthenticationError) as caught:
        OAuthAuthenticator(**settings).authenticate()
    assert leaked(caught.value, *secrets) == []
