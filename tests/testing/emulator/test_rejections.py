"""Every row of the error table is caused by its natural cause, and by `refuse`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from kinetic_auth_core.testing import ERROR_ROWS, SalesforceEmulator, TokenHandler

BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FAR_AWAY = ("203.0.113.0/24",)
NEVER = (dt.time(0, 0), dt.time(0, 0))


def setter(record: Callable[[Any], Any], fields: dict[str, Any]) -> Callable[[Any], None]:
    def change(client: Any) -> None:
        for name, value in fields.items():
            setattr(record(client), name, value)

    return change


def set_user(**fields: Any) -> Callable[[Any], None]:
    return setter(lambda client: client.user, fields)


def set_app(**fields: Any) -> Callable[[Any], None]:
    return setter(lambda client: client.app, fields)


def set_policy(**fields: Any) -> Callable[[Any], None]:
    return setter(lambda client: client.sf.policy, fields)


def after(*changes: Callable[[Any], None]) -> Callable[[Any], None]:
    def change(client: Any) -> None:
        for each in changes:
            each(client)

    return change


def trust_nobody(client: Any) -> None:
    client.app.token_handlers = [TokenHandler(name="Nobody", issuer="", audience="", keys=lambda: {"keys": []})]


NOTHING = after()
JWT = lambda client: client.jwt()  # noqa: E731
PASSWORD = lambda client: client.password()  # noqa: E731
CREDENTIALS = lambda client: client.client_credentials()  # noqa: E731

CAUSES: list[tuple[str, Callable[[Any], None], Callable[[Any], Any], str, str]] = [
    ("wrong password", NOTHING, lambda c: c.password(password="no"), "invalid_grant", "authentication failure"),
    ("no password", NOTHING, lambda c: c.password(password=None), "invalid_grant", "authentication failure"),
    ("no token", NOTHING, lambda c: c.password(password=c.user.password), "invalid_grant", "authentication failure"),
    ("unknown user", NOTHING, lambda c: c.password(username="x"), "invalid_grant", "authentication failure"),
    ("no user", NOTHING, lambda c: c.password(username=None), "invalid_grant", "authentication failure"),
    ("blocked", set_policy(password_flow_blocked=True), PASSWORD, "invalid_grant", "authentication failure"),
    ("site user", set_user(site_url="https://x"), PASSWORD, "invalid_grant", "authentication failure"),
    ("locked out", set_user(failed_logins=10), PASSWORD, "invalid_grant", "authentication failure"),
    (
        "not approved by themselves",
        set_app(permitted_users="self", preauthorised=()),
        JWT,
        "invalid_grant",
        "user hasn't approved this consumer",
    ),
    (
        "user of another org",
        NOTHING,
        lambda c: c.jwt(sub="user@other.org"),
        "invalid_grant",
        "user hasn't approved this consumer",
    ),
    (
        "not approved by the administrator",
        set_app(preauthorised=()),
        JWT,
        "invalid_app_access",
        "user is not admin approved to access this app",
    ),
    (
        "not approved, by password",
        set_app(preauthorised=()),
        PASSWORD,
        "invalid_app_access",
        "user is not admin approved to access this app",
    ),
    ("audience", NOTHING, lambda c: c.jwt(aud="x"), "invalid_grant", "audience is invalid"),
    ("assertion", NOTHING, lambda c: c.post(grant_type=BEARER, assertion="x"), "invalid_grant", "invalid assertion"),
    ("no assertion", NOTHING, lambda c: c.post(grant_type=BEARER), "invalid_grant", "invalid assertion"),
    ("expired", NOTHING, lambda c: c.jwt(exp=1), "invalid_grant", "expired authorization code"),
    ("refresh token", NOTHING, lambda c: c.refresh("x"), "invalid_grant", "expired access/refresh token"),
    ("ip", set_user(ip_ranges=FAR_AWAY), JWT, "invalid_grant", "ip restricted"),
    ("ip, by password", set_user(ip_ranges=FAR_AWAY), PASSWORD, "invalid_grant", "ip restricted"),
    ("hours", set_user(login_hours=NEVER), JWT, "invalid_grant", "invalid login hours"),
    (
        "ip and hours",
        set_user(ip_ranges=FAR_AWAY, login_hours=NEVER),
        JWT,
        "invalid_grant",
        "ip restricted or invalid login hours",
    ),
    ("domain", set_policy(my_domain=False), CREDENTIALS, "invalid_grant", "request not supported on this domain"),
    ("no run-as", set_app(run_as=None), CREDENTIALS, "invalid_grant", "no client credentials user enabled"),
    ("no scopes", set_app(scopes=()), CREDENTIALS, "invalid_grant", "no valid scopes defined"),
    ("no scopes, by assertion", set_app(scopes={"id"}), JWT, "invalid_grant", "no valid scopes defined"),
    (
        "no refresh scope",
        set_app(permitted_users="self", scopes={"api"}),
        JWT,
        "invalid_request",
        "refresh_token scope is required",
    ),
    (
        "scope parameter",
        NOTHING,
        lambda c: c.password(scope="api"),
        "invalid_request",
        "scope parameter not supported",
    ),
    ("client id", NOTHING, lambda c: c.password(client_id="x"), "invalid_client_id", "client identifier invalid"),
    ("no client id", NOTHING, lambda c: c.password(client_id=None), "invalid_client_id", "client identifier invalid"),
    ("secret", NOTHING, lambda c: c.password(client_secret="x"), "invalid_client", "invalid client credentials"),
    (
        "no secret",
        NOTHING,
        lambda c: c.refresh("x", client_secret=None),
        "invalid_client",
        "invalid client credentials",
    ),
    (
        "external app at a login host",
        after(set_app(external=True), set_policy(my_domain=False)),
        JWT,
        "app_not_found",
        "External client app is not installed in this org",
    ),
    (
        "app not installed",
        set_app(installed=False),
        PASSWORD,
        "app_not_found",
        "External client app is not installed in this org",
    ),
    ("flow off", set_app(flows={"password"}), JWT, "oauth_flow_disabled", "flow or app disabled"),
    ("app off", set_app(enabled=False), PASSWORD, "oauth_flow_disabled", "flow or app disabled"),
    (
        "misspelt grant",
        NOTHING,
        lambda c: c.post(grant_type="pw"),
        "unsupported_grant_type",
        "grant type not supported",
    ),
    ("no grant", NOTHING, lambda c: c.post(), "unsupported_grant_type", "grant type not supported"),
    ("plain http", set_policy(require_https=True), JWT, "unsupported_grant_type", "grant type not supported"),
    ("inactive user", set_user(active=False), JWT, "invalid_grant", "inactive user"),
    ("inactive org", set_policy(active=False), JWT, "invalid_grant", "inactive organization"),
    ("no token handler", NOTHING, lambda c: c.exchange(), "invalid_request", "token handler not found"),
    ("forged token", trust_nobody, lambda c: c.exchange(), "invalid_request", "token handler validation failed"),
    ("rate", set_policy(logins_per_hour=0), JWT, "invalid_grant", "login rate exceeded"),
    ("blocked apps", set_policy(apps_blocked=True), JWT, "oauth_flow_disabled", "flow or app disabled"),
    ("network of the org", set_policy(ip_ranges="203.0.113.0/24"), JWT, "invalid_grant", "ip restricted"),
    ("hours of the org", set_policy(login_hours="00:00-00:00"), JWT, "invalid_grant", "invalid login hours"),
]


@pytest.mark.parametrize(
    ("prepare", "ask", "error", "description"), [c[1:] for c in CAUSES], ids=[c[0] for c in CAUSES]
)
def test_a_natural_cause_gives_its_row(
    client: Any, prepare: Callable[[Any], None], ask: Callable[[Any], Any], error: str, description: str
) -> None:
    prepare(client)
    answer = ask(client)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {"error": error, **({"error_description": description} if description else {})}
    assert (error, description) in ERROR_ROWS


def test_every_row_except_salesforces_own_failures_has_a_natural_cause() -> None:
    without = {row for row in ERROR_ROWS if row not in {cause[3:] for cause in CAUSES}}
    assert without == {
        ("invalid_grant", "token request is already being processed"),  # see test_grants
        ("inactive_user", "user frozen or deactivated"),
        ("inactive_org", "org locked or closed"),
        ("rate_limit_exceeded", ""),
        ("login_rate_exceeded", ""),
        ("OAUTH_APP_BLOCKED", "this app is blocked by admin"),  # see test_authorize
        ("OAUTH_EC_APP_NOT_FOUND", ""),
        ("OAUTH_APPROVAL_ERROR_GENERIC", ""),
        ("unknown_error", "retry your request"),
        ("server_error", ""),
        ("service_unavailable", ""),
        ("system_down", ""),
        ("slow_down", ""),
        ("rate_limit_exceeded", ""),
        ("login_rate_exceeded", ""),
        ("OAUTH_APP_BLOCKED", "this app is blocked by admin"),
        ("OAUTH_EC_APP_NOT_FOUND", ""),
        ("OAUTH_APPROVAL_ERROR_GENERIC", ""),
    }


@pytest.mark.parametrize(("error", "description"), ERROR_ROWS)
def test_refuse_answers_with_every_row_once(sf: SalesforceEmulator, client: Any, error: str, description: str) -> None:
    sf.refuse(error, description)
    refused = client.jwt()
    assert refused.status_code == 400
    assert refused.json().get("error") == error
    assert refused.json().get("error_description", "") == description
    assert sf.history[-1].status == f"Failed: {description or error}"
    assert client.jwt().status_code == 200


def test_refuse_counts_and_follows_the_order_of_calls(sf: SalesforceEmulator, client: Any) -> None:
    sf.refuse("unknown_error", "retry your request", times=2)
    sf.refuse("server_error", status=500, times=None)
    assert [client.jwt().json()["error"] for _ in range(4)] == ["unknown_error"] * 2 + ["server_error"] * 2
    assert client.jwt().status_code == 500
    sf.clear_faults()
    assert client.jwt().status_code == 200
    assert sf.token_requests == 6


def test_refuse_rejects_a_number_out_of_range(sf: SalesforceEmulator) -> None:
    with pytest.raises(ValueError, match="times is a number of requests"):
        sf.refuse("server_error", times=0)


def test_wrong_passwords_lock_the_user_out_until_unlocked(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.max_failed_logins = 3
    for _ in range(3):
        client.password(password="wrong")
    assert client.password().json()["error_description"] == "authentication failure"
    assert sf.history[-1].status == "Password Lockout"
    client.user.failed_logins = 0
    assert client.password().status_code == 200


def test_a_right_password_resets_the_count_of_wrong_ones(client: Any) -> None:
    client.password(password="wrong")
    client.password()
    assert client.user.failed_logins == 0


def test_a_trusted_network_needs_no_security_token(client: Any) -> None:
    client.user.trusted_ip = True
    assert client.password(password=client.user.password).status_code == 200
    assert client.password().status_code == 200


def test_users_may_approve_the_app_by_logging_in_with_their_password(client: Any) -> None:
    client.app.permitted_users = "self"
    client.app.preauthorised = ()
    assert client.password().status_code == 200


def test_ip_ranges_judge_the_address_that_the_policy_pretends(sf: SalesforceEmulator, client: Any) -> None:
    client.user.ip_ranges = FAR_AWAY
    sf.policy.client_ip = "203.0.113.9"
    assert client.jwt().status_code == 200
    assert sf.history[-1].ip == "203.0.113.9"


def test_an_app_can_relax_ip_ranges(client: Any) -> None:
    client.user.ip_ranges = FAR_AWAY
    client.app.relax_ip = True
    assert client.jwt().status_code == 200


@pytest.mark.usefixtures("full_tier")
@pytest.mark.parametrize(
    ("first", "last", "accepted"), [(8, 18, True), (13, 18, False), (22, 13, True), (22, 6, False), (6, 11, False)]
)
def test_login_hours_are_utc_and_may_span_midnight(connect: Any, first: int, last: int, accepted: bool) -> None:
    noon = dt.datetime.now(dt.UTC).replace(hour=12).timestamp()
    with SalesforceEmulator(clock=lambda: noon) as sf:
        client = connect(sf)
        client.user.login_hours = (dt.time(first), dt.time(last))
        answer = client.password()
    assert (answer.status_code == 200) is accepted


def test_the_login_rate_is_per_user_and_hour(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.logins_per_hour = 2
    other = sf.add_user("other@example.com")
    client.app.preauthorised = {client.user.username, other.username}
    assert [client.jwt().status_code for _ in range(3)] == [200, 200, 400]
    assert sf.history[-1].status == "LOGIN_RATE_EXCEEDED"
    assert client.jwt(sub=other.username).status_code == 200
    sf.advance(3601)
    assert client.jwt(exp=int(sf.now()) + 60).status_code == 200


def test_only_a_form_posted_in_the_body_counts(sf: SalesforceEmulator, client: Any) -> None:
    url = sf.url + "/services/oauth2/token"
    form = {"grant_type": BEARER, "assertion": client.assertion()}
    assert client.http.get(url, params=form, timeout=10).json() == {
        "error": "invalid_request",
        "error_description": "must use HTTP POST",
    }
    for options in ({"params": form}, {"json": form}, {"files": {name: (None, text) for name, text in form.items()}}):
        answer = client.http.post(url, timeout=10, **options)
        assert answer.json()["error"] == "unsupported_grant_type"


def test_a_name_given_twice_is_rejected(sf: SalesforceEmulator) -> None:
    with pytest.raises(ValueError, match="a user A@b.c already"):
        [sf.add_user(name) for name in ("a@b.c", "A@b.c")]
    with pytest.raises(ValueError, match="that consumer key already"):
        [sf.add_app("key") for _ in range(2)]


def test_an_unknown_flow_is_rejected(sf: SalesforceEmulator) -> None:
    with pytest.raises(ValueError, match="'device' is not a flow"):
        sf.add_app(flows={"device"})
