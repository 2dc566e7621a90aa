"""The authorize endpoint: a login form, a consent page, and the redirect with an authorization code (RFC 6749, 4.1).

The pages have no scripts. Their fields and buttons have the names that Salesforce's have: `username`, `pw`, `Login`;
`oaapprove`, `oadeny`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator import admission
from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.models import AUTHORIZATION_CODE, App, User
from kinetic_auth_core.testing.emulator.oauth_errors import OAuthError
from kinetic_auth_core.testing.emulator.org import Org, scope_of

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PAGE: Final = Markup(
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    "<body><main><h1>{title}</h1>{body}</main></body></html>\n"
)
_LOGIN: Final = Markup(
    '<form method="post" id="login_form"><p id="error" role="alert">{message}</p>'
    '<p><label>Username <input id="username" name="username" value="{username}" autocomplete="username"></label></p>'
    '<p><label>Password <input id="password" name="pw" type="password" autocomplete="off"></label></p>'
    '<p><button id="Login" name="Login">Log In</button></p></form>'
)
_CONSENT: Final = Markup(
    '<form method="post"><input type="hidden" name="authorization" value="{authorization}">'
    "<p>An app asks for these scopes, for {username}:</p><ul>{scopes}</ul>"
    '<p><button id="oaapprove" name="oaapprove" value="1">Allow</button> '
    '<button id="oadeny" name="oadeny" value="1">Deny</button></p></form>'
)
_WRONG_LOGIN: Final = (
    "Please check your username and password. If you still can't log in, contact your Salesforce administrator."
)


class AuthorizeEndpoint:
    """The endpoint `/services/oauth2/authorize`, with logins of browsers and consents that are being asked for."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._browsers: dict[str, User] = {}
        self._asked: dict[str, tuple[User, bytes]] = {}

    def answer(self, request: Request) -> Response:
        """Answer a request of a browser: a page, or a redirect to the app."""
        query = request.args
        try:
            app, redirect_uri = self._client(query)
        except OAuthError as refused:
            return _refusal(refused)
        try:
            scope = _check_query(app, query)
            user = self._approving_user(request, app, scope)
        except OAuthError as refused:
            fields = {"error": refused.error, "error_description": refused.description}
            return _redirect(redirect_uri, fields, query)
        if isinstance(user, Response):
            return user
        app.approvals.setdefault(user.username.lower(), set()).update(scope.split())
        code = self._org.new_code(user, app, scope, redirect_uri, query.get("code_challenge"))
        return _redirect(redirect_uri, {"code": code}, query)

    def _client(self, query: Mapping[str, str]) -> tuple[App, str]:
        """The app and its redirect. Without both nothing may be sent to the redirect (RFC 6749, 4.1.2.1)."""
        app = self._org.apps.get(query.get("client_id", ""))
        if app is None:
            raise OAuthError(*errors.CLIENT_ID)
        try:
            admission.check_app(self._org, app, AUTHORIZATION_CODE)
        except OAuthError as refused:
            found = refused.error != errors.APP_NOT_FOUND[0]
            raise OAuthError(*(errors.APP_BLOCKED if found else errors.EC_APP_NOT_FOUND)) from None
        if query.get("redirect_uri") not in app.redirect_uris:
            raise OAuthError(*errors.REDIRECT_URI)
        return app, query["redirect_uri"]

    def _approving_user(self, request: Request, app: App, scope: str) -> User | Response:
        """The user who has logged in and approved the app, or the page that comes first; an error if they deny it."""
        form, query = request.form, request.args
        prompt = query.get("prompt", "").split()
        if "authorization" in form:
            user, asked = self._asked.pop(form["authorization"], (None, b""))
            if user is None or asked != request.query_string:
                return _refusal(OAuthError(*errors.APPROVAL_ERROR))
            if "oaapprove" not in form:
                raise OAuthError(*errors.ACCESS_DENIED)
            return user
        if request.method == "POST":
            return self._log_in(request, app)
        user = None if "login" in prompt else self._browsers.get(request.cookies.get("sid", ""))
        if user is None or not user.active:
            return _login_page(query.get("login_hint", ""))
        username = user.username.lower()
        if app.permitted_users == "admin":
            return user if username in app.preauthorised else _refusal(OAuthError(*errors.APPROVAL_ERROR))
        if set(scope.split()) <= app.approvals.get(username, set()) and "consent" not in prompt:
            return user
        authorization = secrets.token_urlsafe(32)
        self._asked[authorization] = (user, request.query_string)
        scopes = Markup("").join(Markup("<li>{}</li>").format(each) for each in scope.split())
        body = _CONSENT.format(authorization=authorization, username=user.username, scopes=scopes)
        return _page("Allow Access?", body)

    def _log_in(self, request: Request, app: App) -> Response:
        """Answer a login form that was sent: back to the request, with a cookie; or the form again with the reason."""
        typed = request.form.get("username", "")
        ip = self._org.policy.client_ip or request.remote_addr or "127.0.0.1"
        user = self._org.find_user(typed)
        try:
            if user is None:
                raise OAuthError(*errors.AUTHENTICATION_FAILURE, history="Invalid Username")
            admission.check_password(self._org, user, request.form.get("pw", ""), in_browser=True)
            self._org.check_login(user, app, ip)
        except OAuthError as refused:
            known = None if user is None else user.username
            self._org.record_login(AUTHORIZATION_CODE, ip, refused.as_history(), known, app.client_id)
            is_wrong = (refused.error, refused.description) == errors.AUTHENTICATION_FAILURE
            return _login_page(typed, _WRONG_LOGIN if is_wrong else refused.description)
        query = request.args.copy()
        query["prompt"] = " ".join(each for each in query.get("prompt", "").split() if each != "login")
        response = Response(b"", 302, {**_HEADERS, "Location": f"{request.path}?{urlencode(query)}"})
        cookie = secrets.token_urlsafe(32)
        self._browsers[cookie] = user
        response.set_cookie("sid", cookie, httponly=True, samesite="Lax")
        return response


def _check_query(app: App, query: Mapping[str, str]) -> str:
    """The scopes that an app asks for; an `OAuthError`, which it gets at its redirect, if it asks wrongly."""
    if query.get("response_type") != "code":
        raise OAuthError(*errors.RESPONSE_TYPE)
    if "code_challenge" not in query:
        if app.require_pkce:
            raise OAuthError(*errors.CODE_CHALLENGE)
    elif query.get("code_challenge_method", "S256") != "S256":
        raise OAuthError(*errors.CODE_CHALLENGE_METHOD)
    elif not re.fullmatch(r"[A-Za-z0-9_-]{43}", query["code_challenge"]):
        raise OAuthError("invalid_request", "invalid code challenge")
    scopes = set(query.get("scope", scope_of(app)).split())
    synonyms = {"refresh_token", "offline_access"}
    offered = app.scopes | (synonyms if app.scopes & synonyms else set())
    if "full" not in app.scopes and not scopes <= offered:
        raise OAuthError(*errors.SCOPE)
    return " ".join(sorted(scopes))


def _redirect(to: str, fields: Mapping[str, str], query: Mapping[str, str]) -> Response:
    state = {"state": query["state"]} if "state" in query else {}
    mark = "&" if "?" in to else "?"
    return Response(b"", 302, {**_HEADERS, "Location": f"{to}{mark}{urlencode({**fields, **state})}"})


def _page(title: str, body: Markup, status: int = 200) -> Response:
    return Response(_PAGE.format(title=title, body=body), status, _HEADERS, content_type="text/html; charset=utf-8")


def _login_page(username: str, message: str = "") -> Response:
    return _page("Login | Salesforce", _LOGIN.format(username=username, message=message))


def _refusal(refused: OAuthError) -> Response:
    text = (
        "We can't authorize you because of an OAuth error. For more information, contact your Salesforce administrator."
    )
    body = Markup("<p>{}</p><p>{} : {}</p>").format(text, refused.error, refused.description)
    return _page("OAuth error", body, 400)
