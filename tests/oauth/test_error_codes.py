"""The catalogue of the token endpoint's errors: each known pair is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core.oauth.error_codes import ERROR_CODES, Kind, known_error, remedy_for

REJECTED, TRANSIENT, OTHER, RATE_LIMITED = Kind.REJECTED, Kind.TRANSIENT, Kind.OTHER, Kind.RATE_LIMITED

# What the endpoint answers, whether it can pass by itself, and words that the remedy must have.
ANSWERS = [
    (
        "invalid_grant",
        "authentication failure",
        REJECTED,
        ["security token", "OAuth and OpenID Connect", "Login History"],
    ),
    (
        "invalid_grant",
        "user hasn't approved this consumer",
        REJECTED,
        ["Admin approved users are pre-authorized", "minute"],
    ),
    ("invalid_app_access", "user is not admin approved to access this app", REJECTED, ["profile", "permission set"]),
    ("invalid_grant", "audience is invalid", REJECTED, ["audience", "https://test.salesforce.com", "My Domain"]),
    ("invalid_grant", "invalid assertion", REJECTED, ["certificate", "private key"]),
    ("invalid_grant", "expired authorization code", OTHER, ["clock", "NTP"]),
    ("invalid_grant", "expired access/refresh token", REJECTED, ["log in again"]),
    ("invalid_grant", "token request is already being processed", TRANSIENT, ["try again"]),
    ("invalid_grant", "ip restricted", REJECTED, ["IP restrictions", "trusted range"]),
    ("invalid_grant", "invalid login hours", REJECTED, ["login hours"]),
    ("invalid_grant", "ip restricted or invalid login hours", REJECTED, ["IP restrictions", "login hours"]),
    ("invalid_grant", "request not supported on this domain", REJECTED, ["login_url", "My Domain"]),
    ("invalid_grant", "no client credentials user enabled", REJECTED, ["Run As"]),
    ("invalid_grant", "no valid scopes defined", REJECTED, ["api scope"]),
    ("invalid_request", "refresh_token scope is required for this app", REJECTED, ["refresh_token", "offline_access"]),
    ("invalid_request", "scope parameter not supported", REJECTED, ["scope"]),
    ("invalid_request", "token handler not found", REJECTED, ["Enable New App", "token_handler"]),
    ("invalid_request", "token handler validation failed", REJECTED, ["Debug Logs", "audience", "Remote Site"]),
    ("invalid_client_id", "client identifier invalid", REJECTED, ["Consumer Key", "2 to 10 minutes"]),
    ("invalid_client", "invalid client credentials", REJECTED, ["Consumer Secret"]),
    (
        "app_not_found",
        "External client app is not installed in this org",
        REJECTED,
        ["Install", "login_url", "audience"],
    ),
    ("oauth_flow_disabled", "OAuth flow is disabled", REJECTED, ["enable this flow"]),
    ("unsupported_grant_type", "grant type not supported", REJECTED, ["enable this flow", "https://"]),
    ("inactive_user", "user frozen or deactivated", REJECTED, ["reactivate"]),
    ("inactive_org", "organization locked or closed", REJECTED, ["administrator"]),
    ("unknown_error", "retry your request", TRANSIENT, ["login_url"]),
    ("server_error", "", TRANSIENT, ["status.salesforce.com"]),
    ("service_unavailable", "", TRANSIENT, ["status.salesforce.com"]),
    ("system_down", "", TRANSIENT, ["status.salesforce.com"]),
    ("slow_down", "", TRANSIENT, ["wait"]),
    ("invalid_grant", "login rate exceeded", RATE_LIMITED, ["3,600", "reuse"]),
    ("rate_limit_exceeded", "", RATE_LIMITED, ["3,600", "reuse"]),
    ("login_rate_exceeded", "", RATE_LIMITED, ["3,600", "reuse"]),
    ("invalid_grant", "inactive user", REJECTED, ["reactivate"]),
    ("invalid_grant", "inactive organization", REJECTED, ["administrator"]),
    ("oauth_app_blocked", "this app is blocked by admin", REJECTED, ["OAuth Usage"]),
    ("oauth_ec_app_not_found", "", REJECTED, ["install it"]),
    ("oauth_approval_error_generic", "", REJECTED, ["install it"]),
]


@pytest.mark.parametrize(
    ("error", "description", "kind", "words"), ANSWERS, ids=[f"{row[0]}: {row[1]}" for row in ANSWERS]
)
def test_an_answer_is_known_with_its_kind_and_remedy(
    error: str, description: str, kind: Kind, words: list[str]
) -> None:
    row = known_error(error, description)
    assert row is not None
    assert row.kind is kind
    for word in words:
        assert word.lower() in row.remedy.lower()
    assert row.remedy[0].isupper()
    assert row.remedy.endswith(".")
    assert not row.remedy.endswith("..")


@pytest.mark.parametrize(("error", "description", "kind", "words"), ANSWERS)
def test_case_spaces_and_further_words_do_not_matter(
    error: str, description: str, kind: Kind, words: list[str]
) -> None:
    row = known_error(error, description)
    assert known_error(error.upper(), f"  {description.title()}: and more ") == row
    if not description:
        assert known_error(error, None) == row


@pytest.mark.parametrize(
    ("error", "description"),
    [
        ("invalid_grant", "user hasn\u2019t approved this consumer"),
        ("invalid_grant", "user hasn&#39;t approved this consumer"),
        ("invalid_grant", "LOGIN_RATE_EXCEEDED"),
        ("invalid_grant", "login  rate\nexceeded"),
        (" invalid_grant ", "authentication failure"),
    ],
)
def test_a_description_is_known_in_each_spelling_that_is_sent(error: str, description: str) -> None:
    assert known_error(error, description) is not None


@pytest.mark.parametrize(
    ("grant_type", "own"),
    [
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "Enable JWT Bearer Flow"),
        ("client_credentials", "Enable Client Credentials Flow"),
        ("urn:ietf:params:oauth:grant-type:token-exchange", "Enable Token Exchange Flow"),
        ("password", "OAuth and OpenID Connect Settings"),
    ],
)
def test_a_disabled_flow_is_the_one_of_the_login(grant_type: str, own: str) -> None:
    row = known_error("oauth_flow_disabled", "")
    assert row is not None
    remedy = remedy_for(row, grant_type)
    flows = ("JWT Bearer", "Client Credentials", "Token Exchange", "OpenID Connect")
    assert own in remedy
    assert [flow for flow in flows if flow in remedy] == [flow for flow in flows if flow in own]
    assert "Unblock" in remedy
    assert remedy_for(row, "refresh_token") == row.remedy


def test_an_expired_code_of_a_browser_is_not_taken_for_an_assertion() -> None:
    row = known_error("invalid_grant", "expired authorization code")
    assert row is not None
    assert remedy_for(row, "authorization_code") == "The code that the browser brought back had expired: log in again."
    assert "clock" in remedy_for(row, "urn:ietf:params:oauth:grant-type:jwt-bearer")


def test_every_row_is_matched_by_its_own_answer() -> None:
    reached = {known_error(error, description) for error, description, _, _ in ANSWERS}
    assert reached == set(ERROR_CODES)


@pytest.mark.parametrize(
    ("error", "description"),
    [
        ("invalid_grant", "something new"),
        ("invalid_grant", ""),
        ("invalid_grant", None),
        ("brand_new_error", "authentication failure"),
        ("invalid_client_id", "authentication failure"),
        ("unknown_error", ""),
        ("", None),
    ],
)
def test_an_unknown_pair_gets_no_advice(error: str, description: str | None) -> None:
    assert known_error(error, description) is None


@given(st.text(), st.none() | st.text())
def test_any_pair_can_be_looked_up_without_an_error(error: str, description: str | None) -> None:
    row = known_error(error, description)
    assert row is None or row in ERROR_CODES
