"""The request, the session, the hosts that do not take the flow, and what each refusal says."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_client_credentials import ClientCredentialsAuthenticator
from kinetic_auth_core import AuthenticationError, ConfigurationError, CredentialsRejectedError, LoginRequest
from kinetic_auth_core.testing import Alter, SalesforceEmulator

MY_DOMAIN = "https://acme.my.salesforce.com"


@pytest.fixture
def settings(sf: SalesforceEmulator) -> dict[str, Any]:
    return sf.settings("client-credentials")


def test_the_form_has_the_credentials_of_the_app_and_no_scope() -> None:
    made = ClientCredentialsAuthenticator("3MVG9", "secret", MY_DOMAIN)
    assert made.grant(LoginRequest(now=0)) == {
        "grant_type": "client_credentials",
        "client_id": "3MVG9",
        "client_secret": "secret",
    }


def test_the_arguments_are_positional_in_this_order_and_the_rest_are_keywords() -> None:
    parameters = inspect.signature(ClientCredentialsAuthenticator).parameters
    positional = [name for name, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == ["client_id", "client_secret", "login_url"]
    assert all(parameters[name].default is inspect.Parameter.empty for name in positional)


def test_a_login_returns_the_session_of_the_run_as_user(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    with kinetic.resolve("client-credentials", **settings) as source:
        session = source.session()
    assert sf.holder_of(session.access_token) == (sf.default.username, sf.default.client_id)
    assert session.signature
    assert session.extra["api_instance_url"] == sf.url
    assert session.scope


def test_a_signature_of_another_secret_is_refused(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    sf.break_transport(Alter({"signature": "AAAA"}))
    with pytest.raises(kinetic.SessionRejectedError, match="signature"):
        ClientCredentialsAuthenticator(**settings).authenticate()


@pytest.mark.parametrize(
    ("login_url", "wanted"),
    [
        ("https://login.salesforce.com", "https://<name>.my.salesforce.com;"),
        ("https://Login.Salesforce.com/", "https://<name>.my.salesforce.com;"),
        ("https://login.salesforce.com:443", "https://<name>.my.salesforce.com;"),
        ("https://test.salesforce.com", "https://<name>--<sandbox>.sandbox.my.salesforce.com;"),
        ("https://test.salesforce.com.", "https://<name>--<sandbox>.sandbox.my.salesforce.com;"),
    ],
)
def test_resolve_refuses_the_hosts_of_all_orgs_and_says_what_to_write(login_url: str, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kinetic.resolve("client-credentials", client_id="3MVG9", client_secret="canary", login_url=login_url)
    assert wanted in str(caught.value)
    assert "does not take client credentials: write the org's My Domain" in str(caught.value)
    assert "Setup, My Domain" in str(caught.value)


def test_resolve_asks_for_login_url_where_it_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="login_url"):
        kinetic.resolve("client-credentials", client_id="3MVG9", client_secret="canary")


@pytest.mark.parametrize("login_url", [MY_DOMAIN, "https://acme--uat.sandbox.my.salesforce.com"])
def test_a_my_domain_is_accepted(login_url: str) -> None:
    made = kinetic.resolve("client-credentials", client_id="3MVG9", client_secret="canary", login_url=login_url)
    assert made.provider == "client-credentials"


def refusal_of(settings: dict[str, Any]) -> AuthenticationError:
    with pytest.raises(CredentialsRejectedError) as caught:
        ClientCredentialsAuthenticator(**settings).authenticate()
    return caught.value


def test_an_app_without_a_run_as_user_says_where_to_set_it(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    sf.default.app.run_as = None
    error = refusal_of(settings)
    assert error.description == "no client credentials user enabled"
    assert "External Client App Manager" in error.remedy
    assert "Run As" in error.remedy


def test_a_login_host_says_that_the_my_domain_is_needed(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    sf.policy.my_domain = False
    error = refusal_of(settings)
    assert error.description == "request not supported on this domain"
    assert "My Domain" in error.remedy


def test_a_flow_that_is_off_says_which_box_to_tick(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    sf.default.app.flows.discard("client_credentials")
    error = refusal_of(settings)
    assert error.error == "oauth_flow_disabled"
    assert "Enable Client Credentials Flow" in error.remedy


def test_a_wrong_secret_says_where_the_right_one_is(settings: dict[str, Any], leaked: Any) -> None:
    error = refusal_of({**settings, "client_secret": "canary-wrong"})
    assert error.error == "invalid_client"
    assert "Consumer Key and Secret" in error.remedy
    assert leaked(error, "canary-wrong", settings["client_secret"]) == []
