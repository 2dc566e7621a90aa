"""The login in a browser: the form, the consent, the redirect with a code, PKCE, and what a code is worth."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from kinetic_auth_core.testing import App, SalesforceEmulator

AUTHORIZE = "/services/oauth2/authorize"
LIMITS = "/services/data/v62.0/limits"
REDIRECT = "http://localhost:1717/OauthRedirect"


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


class Browser:
    """Opens the authorize page and fills in its forms; it follows no redirect to the app."""

    def __init__(self, client: Any) -> None:
        self.sf, self.client, self.app = client.sf, client, client.app
        self.http = requests.Session()
        self.http.trust_env = False
        self.verifier = secrets.token_urlsafe(48)
        self.query: dict[str, str] = {}

    def open(self, **query: str | None) -> requests.Response:
        defaults = {
            "response_type": "code",
            "client_id": self.app.client_id,
            "redirect_uri": REDIRECT,
            "scope": "api refresh_token",
            "state": "st&te",
            "code_challenge": challenge(self.verifier),
            "code_challenge_method": "S256",
        }
        self.query = {name: value for name, value in {**defaults, **query}.items() if value is not None}
        return self.http.get(self.sf.url + AUTHORIZE, params=self.query, allow_redirects=False, timeout=10)

    def send(self, **form: str) -> requests.Response:
        address = self.sf.url + AUTHORIZE
        answer = self.http.post(address, params=self.query, data=form, allow_redirects=False, timeout=10)
        if answer.headers.get("Location", "").startswith(AUTHORIZE):
            self.query = {name: value for name, [value] in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
            answer = self.http.get(address, params=self.query, allow_redirects=False, timeout=10)
        return answer

    def log_in(self, password: str | None = None, **query: str | None) -> requests.Response:
        self.open(**query)
        return self.send(username=self.client.user.username, pw=password or self.client.user.password)

    def decide(self, page: requests.Response, button: str = "oaapprove") -> requests.Response:
        found = re.search(r'name="authorization" value="([^"]+)"', page.text)
        assert found, page.text
        return self.send(authorization=found[1], **{button: "1"})

    def code(self, **query: str | None) -> str:
        return redirected(self.decide(self.log_in(**query)))["code"]

    def exchange(self, code: str, **form: Any) -> requests.Response:
        defaults = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "client_id": self.app.client_id,
            "client_secret": self.app.client_secret,
            "code_verifier": self.verifier,
        }
        answer: requests.Response = self.client.post(**{**defaults, **form})
        return answer


def redirected(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    assert answer.headers["Location"].startswith(REDIRECT + "?")
    return {name: value for name, [value] in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


@pytest.fixture
def browser(client: Any) -> Browser:
    client.app.redirect_uris = {REDIRECT}
    client.app.permitted_users = "self"
    return Browser(client)


def test_login_and_consent_lead_to_a_code_and_the_code_to_a_session(sf: SalesforceEmulator, browser: Browser) -> None:
    page = browser.open(login_hint="who@example.com")
    assert 'value="who@example.com"' in page.text
    assert "<script" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    consent = browser.send(username=browser.client.user.username, pw=browser.client.user.password)
    assert "refresh_token" in consent.text
    sent = redirected(browser.decide(consent))
    assert set(sent) == {"code", "state"}
    assert sent["state"] == "st&te"
    answer = browser.exchange(sent["code"]).json()
    assert set(answer) == {
        "id", "issued_at", "instance_url", "signature", "access_token", "refresh_token", "scope", "token_type",
    }  # fmt: skip
    assert answer["scope"] == "api refresh_token"
    assert sf.is_live(answer["access_token"])
    refreshed = browser.client.refresh(answer["refresh_token"]).json()
    assert sf.is_live(refreshed["access_token"])
    assert [row.status for row in sf.history] == ["Success", "Success"]


def test_a_denied_consent_is_told_to_the_app_with_its_state(sf: SalesforceEmulator, browser: Browser) -> None:
    sent = redirected(browser.decide(browser.log_in(), "oadeny"))
    assert sent == {
        "error": "access_denied", "error_description": "end-user denied authorization", "state": "st&te",
    }  # fmt: skip


def test_a_wrong_password_shows_the_form_again_and_counts_towards_the_lockout(
    sf: SalesforceEmulator, browser: Browser
) -> None:
    page = browser.log_in("wrong")
    assert "Please check your username and password" in page.text
    assert f'value="{browser.client.user.username}"' in page.text
    assert browser.client.user.failed_logins == 1
    assert [row.status for row in sf.history] == ["Invalid Password"]
    sf.policy.max_failed_logins = 1
    assert "Please check your username and password" in browser.log_in().text
    assert sf.history[-1].status == "Password Lockout"


def test_a_browser_stays_logged_in_unless_prompt_asks_for_a_login(browser: Browser) -> None:
    browser.code()
    assert "code" in redirected(browser.open())
    assert 'name="pw"' in browser.open(prompt="login").text
    assert "oaapprove" in browser.open(prompt="consent").text
    browser.client.user.active = False
    assert 'name="pw"' in browser.open().text


def test_a_broader_scope_is_asked_for_again(browser: Browser) -> None:
    browser.code(scope="api")
    assert "oaapprove" in browser.open(scope="api refresh_token").text


def test_an_app_for_approved_users_asks_no_consent_and_takes_no_others(browser: Browser) -> None:
    browser.app.permitted_users = "admin"
    assert "code" in redirected(browser.log_in())
    browser.app.preauthorised.clear()
    refused = browser.open()
    assert (refused.status_code, "OAUTH_APPROVAL_ERROR_GENERIC" in refused.text) == (400, True)


def test_a_user_who_approved_an_app_in_the_browser_may_log_in_by_jwt(browser: Browser) -> None:
    browser.app.preauthorised.clear()
    assert browser.client.jwt().json()["error_description"] == "user hasn't approved this consumer"
    browser.code()
    assert browser.client.jwt().status_code == 200


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://localhost:1718/OauthRedirect", "http://localhost/OauthRedirect", "http://127.0.0.1:1717/OauthRedirect",
        "http://localhost:1717/OauthRedirect/", "http://localhost:1717/oauthredirect",
        "http://localhost:1717/OauthRedirect?x=1", "https://localhost:1717/OauthRedirect",
        "http://localhost:1717@evil.example/OauthRedirect", None,
    ],
)  # fmt: skip
def test_a_redirect_that_differs_from_the_registered_one_gets_a_page_and_nothing_is_sent_there(
    browser: Browser, redirect_uri: str | None
) -> None:
    refused = browser.open(redirect_uri=redirect_uri)
    assert refused.status_code == 400
    assert "redirect_uri_mismatch" in refused.text
    assert "Location" not in refused.headers


def set_app(app: App, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(app, name, value)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"enabled": False}, "OAUTH_APP_BLOCKED"),
        ({"flows": {"jwt-bearer"}}, "OAUTH_APP_BLOCKED"),
        ({"installed": False}, "OAUTH_EC_APP_NOT_FOUND"),
    ],
)
def test_a_blocked_or_foreign_app_gets_a_page(browser: Browser, fields: dict[str, Any], text: str) -> None:
    set_app(browser.app, **fields)
    refused = browser.open()
    assert (refused.status_code, text in refused.text) == (400, True)


def test_an_unknown_app_gets_a_page(browser: Browser) -> None:
    assert "invalid_client_id" in browser.open(client_id="unknown").text


@pytest.mark.parametrize(
    ("query", "error", "description"),
    [
        ({"code_challenge": None}, "invalid_request", "missing required code challenge"),
        ({"code_challenge": "short"}, "invalid_request", "invalid code challenge"),
        ({"code_challenge_method": "plain"}, "invalid_request", "code challenge method not supported"),
        ({"response_type": "token"}, "unsupported_response_type", "response type not supported"),
        ({"scope": "api full"}, "invalid_scope", "the requested scope is not allowed"),
    ],
)
def test_a_wrong_request_is_told_to_the_app(
    browser: Browser, query: dict[str, str | None], error: str, description: str
) -> None:
    sent = redirected(browser.open(**query))
    assert sent == {"error": error, "error_description": description, "state": "st&te"}


def test_what_users_type_and_apps_send_is_shown_as_text(browser: Browser) -> None:
    browser.open()
    assert "<b>" not in browser.send(username='"><b>', pw="x").text
    assert "<b>" not in browser.open(login_hint='"><b>').text


def test_a_consent_counts_once_and_for_its_own_request(browser: Browser) -> None:
    consent = browser.log_in()
    assert "code" in redirected(browser.decide(consent))
    assert browser.decide(consent).status_code == 400
    consent = browser.log_in(prompt="consent")
    browser.query["state"] = "another"
    assert browser.decide(consent).status_code == 400


def test_a_code_counts_once(browser: Browser) -> None:
    code = browser.code()
    assert browser.exchange(code).status_code == 200
    again = browser.exchange(code)
    assert (again.status_code, again.json()["error_description"]) == (400, "expired authorization code")


def test_a_code_expires(sf: SalesforceEmulator, browser: Browser) -> None:
    code = browser.code()
    sf.advance(sf.policy.code_lifetime_s + 1)
    assert browser.exchange(code).json()["error_description"] == "expired authorization code"


@pytest.mark.parametrize(
    ("form", "error", "description"),
    [
        ({"code_verifier": None}, "invalid_grant", "invalid code verifier"),
        ({"code_verifier": "x" * 43}, "invalid_grant", "invalid code verifier"),
        ({"redirect_uri": "http://localhost:1718/OauthRedirect"}, "redirect_uri_mismatch", None),
        ({"redirect_uri": None}, "redirect_uri_mismatch", None),
    ],
)
def test_a_stolen_code_is_worth_nothing_even_to_its_owner_afterwards(
    browser: Browser, form: dict[str, Any], error: str, description: str | None
) -> None:
    code = browser.code()
    refused = browser.exchange(code, **form).json()
    assert refused["error"] == error
    assert description in (None, refused["error_description"])
    assert browser.exchange(code).json()["error_description"] == "expired authorization code"


def test_a_code_is_of_one_app(sf: SalesforceEmulator, browser: Browser) -> None:
    other = sf.add_app(redirect_uris={REDIRECT})
    code = browser.code()
    refused = browser.exchange(code, client_id=other.client_id, client_secret=other.client_secret)
    assert refused.json()["error_description"] == "invalid authorization code"
    assert browser.exchange(code).status_code == 200


def test_a_code_needs_the_secret_unless_the_app_says_otherwise(browser: Browser) -> None:
    code = browser.code()
    assert browser.exchange(code, client_secret=None).json()["error"] == "invalid_client"
    browser.app.require_secret = False
    assert browser.exchange(code, client_secret=None).status_code == 200


def test_pkce_can_be_left_to_the_app(browser: Browser) -> None:
    browser.app.require_pkce = False
    code = browser.code(code_challenge=None, code_challenge_method=None)
    assert browser.exchange(code).json()["error_description"] == "unexpected code verifier"
    code = redirected(browser.open(code_challenge=None, code_challenge_method=None))["code"]
    assert browser.exchange(code, code_verifier=None).status_code == 200


def test_without_its_scope_there_is_no_refresh_token(browser: Browser) -> None:
    answer = browser.exchange(browser.code(scope="api")).json()
    assert answer["scope"] == "api"
    assert "refresh_token" not in answer


def test_login_hours_and_networks_are_told_on_the_page(browser: Browser) -> None:
    browser.client.user.ip_ranges = ("203.0.113.0/24",)
    assert "ip restricted" in browser.log_in().text


def test_a_spent_refresh_token_kills_the_whole_grant_and_nothing_else(sf: SalesforceEmulator, browser: Browser) -> None:
    sf.policy.rotate_refresh_tokens = True
    answers = [browser.exchange(browser.code()).json()]
    other = browser.client.refresh(sf.grant_refresh_token(browser.app, browser.client.user)).json()
    for _ in range(3):
        answers.append(browser.client.refresh(answers[-1]["refresh_token"]).json())
    assert len({answer["refresh_token"] for answer in answers}) == 4
    reuse = browser.client.refresh(answers[1]["refresh_token"])
    assert (reuse.status_code, reuse.json()["error_description"]) == (400, "expired access/refresh token")
    assert browser.client.refresh(answers[-1]["refresh_token"]).status_code == 400
    assert not any(sf.is_live(answer["access_token"]) for answer in answers)
    assert sf.is_live(other["access_token"])
    assert browser.client.refresh(other["refresh_token"]).status_code == 200


def test_a_refresh_may_name_the_scope_that_was_granted_and_no_more(browser: Browser) -> None:
    token = browser.exchange(browser.code()).json()["refresh_token"]
    assert browser.client.refresh(token, scope="api").status_code == 200
    assert browser.client.refresh(token, scope="api full").json()["error"] == "invalid_scope"


def test_revoking_a_rotated_grant_kills_its_tokens(sf: SalesforceEmulator, browser: Browser) -> None:
    sf.policy.rotate_refresh_tokens = True
    first = browser.exchange(browser.code()).json()
    second = browser.client.refresh(first["refresh_token"]).json()
    assert browser.client.post("/services/oauth2/revoke", token=second["refresh_token"]).status_code == 200
    assert not sf.is_live(first["access_token"])
    assert not sf.is_live(second["access_token"])
    assert browser.client.refresh(second["refresh_token"]).status_code == 400


def test_an_external_client_app_has_no_password_flow(client: Any) -> None:
    client.app.external = True
    assert client.password().json()["error"] == "oauth_flow_disabled"
    assert client.jwt().status_code == 200


@pytest.mark.parametrize("provider", ["client-credentials", "refresh-token", "web-login", "access-token"])
def test_the_default_login_has_settings_for_each_provider(sf: SalesforceEmulator, provider: str) -> None:
    settings = sf.settings(provider)
    assert ("login_url" in settings) is (provider != "access-token")
    assert all(settings.values())


def test_the_default_refresh_token_lives_on_and_is_replaced_once_revoked(sf: SalesforceEmulator) -> None:
    first = sf.refresh_token
    assert sf.settings("refresh-token")["refresh_token"] == sf.env()["SF_REFRESH_TOKEN"] == first
    sf.revoke_all()
    assert sf.refresh_token != first


class Callback(BaseHTTPRequestHandler):
    """What an app listens with at its redirect."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"You can close this window.")

    def log_message(self, *_: Any) -> None:
        pass


def test_a_real_browser_gets_through_login_and_consent(sf: SalesforceEmulator, browser: Browser, chromium: Any) -> None:
    with HTTPServer(("127.0.0.1", 0), Callback) as app:
        threading.Thread(target=app.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        redirect = f"http://localhost:{app.server_port}/OauthRedirect"
        browser.app.redirect_uris.add(redirect)
        page = browser.open(redirect_uri=redirect, prompt="login")
        chromium.open(str(page.url))
        for password in ("wrong", browser.client.user.password):
            chromium.wait_for("#password")
            chromium.run("document.querySelector('#username').value = ''")
            chromium.type("#username", browser.client.user.username)
            chromium.type("#password", password)
            chromium.click("#Login")
            if password == "wrong":
                chromium.wait_for_text("Please check your username and password")
        chromium.wait_for("#oaapprove")
        chromium.click("#oaapprove")
        chromium.wait_for_text("You can close this window.")
        app.shutdown()
    [sent] = [path for path in Callback.seen if path.startswith("/OauthRedirect")]
    code = parse_qs(urlsplit(sent).query)["code"][0]
    assert browser.exchange(code, redirect_uri=redirect).status_code == 200
