"""The OAuth endpoints: token, introspect, revoke, userinfo and the identity URL. `grants` decides."""

from __future__ import annotations

from typing import Any, Final

from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator import admission
from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.admission import TokenRequest
from kinetic_auth_core.testing.emulator.content import JSON_ALONE, bearer, data_error, json_answer, wants_xml
from kinetic_auth_core.testing.emulator.faults import FaultPlan, Refusal
from kinetic_auth_core.testing.emulator.grants import answer_grant
from kinetic_auth_core.testing.emulator.identity_provider import jwks_of
from kinetic_auth_core.testing.emulator.models import PASSWORD, RefreshGrant, Session, User
from kinetic_auth_core.testing.emulator.oauth_errors import OAuthError
from kinetic_auth_core.testing.emulator.org import Org, newest_version

FORM: Final = "application/x-www-form-urlencoded"
_ENDPOINTS: Final = {"token": "token", "introspection": "introspect", "revocation": "revoke", "userinfo": "userinfo"}
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthEndpoints:
    """The endpoints below `/services/oauth2/` and `/id/`."""

    def __init__(self, org: Org, plan: FaultPlan) -> None:
        self._org = org
        self._plan = plan

    def token(self, request: Request) -> Response:
        """Answer `/services/oauth2/token`."""
        asked = _token_request(self._org, request)
        try:
            if request.method != "POST":
                raise OAuthError("invalid_request", "must use HTTP POST")
            fault, refusal = self._plan.take("grant"), None
            if isinstance(fault, Refusal):
                refusal = OAuthError(fault.error, fault.description, fault.status)
            elif self._org.policy.require_https and not request.is_secure:
                refusal = OAuthError(*errors.GRANT_TYPE)
            response = json_answer(answer_grant(self._org, asked, refusal), headers=_NO_STORE)
        except OAuthError as refused:
            response = _refusal(refused)
        for ending in asked.endings:
            response.call_on_close(ending)
        return response

    def introspect(self, request: Request) -> Response:
        """Answer `/services/oauth2/introspect` (RFC 7662)."""
        asked = _token_request(self._org, request)
        try:
            app = admission.app_of(self._org, asked)
        except OAuthError as refused:
            return _refusal(refused)
        token = asked.form.get("token", "")
        found: Session | RefreshGrant | None = None
        session, granted = self._org.peek(token), self._org.refresh_grants.get(token)
        more: dict[str, Any] = {"token_type": "refresh_token"}
        if session is not None and session.app is app and session.flow != PASSWORD:
            end = session.last_used + self._org.policy.session_timeout_s
            found, more = session, {"token_type": "access_token", "exp": int(end)}
        elif granted is not None and granted.app is app and granted.token == token:
            found = granted
        if found is None:
            return json_answer({"active": False}, headers=_NO_STORE)
        about = {
            "active": True,
            "client_id": app.client_id,
            "scope": found.scope,
            "username": found.user.username,
            "sub": self._org.identity_url(found.user),
            "iat": int(found.issued_at),
            "nbf": int(found.issued_at),
        }
        return json_answer(about | more, headers=_NO_STORE)

    def revoke(self, request: Request) -> Response:
        """Answer `/services/oauth2/revoke` (RFC 7009), with the token in the body, or here in the query."""
        form = {**request.args.to_dict(), **_token_request(self._org, request).form}
        if form.get("token_type_hint", "access_token") not in {"access_token", "refresh_token"}:
            return _refusal(OAuthError("unsupported_token_type", "this token type is not supported"))
        if not self._org.revoke(form.get("token", "")):
            return _refusal(OAuthError("invalid_token", "the token is invalid"))
        return Response(b"", 200, content_type="text/plain;charset=UTF-8")

    def userinfo(self, request: Request) -> Response:
        """Answer `/services/oauth2/userinfo`."""
        session = self._org.use(bearer(request))
        if session is None:
            return _bad_token()
        if wants_xml(request):
            return data_error(request, JSON_ALONE)
        user = session.user
        names = {"preferred_username": user.username, "name": user.username.partition("@")[0]}
        return json_answer({"sub": self._org.identity_url(user), **names, **self._about(user)})

    def identity(self, request: Request, org_id: str, user_id: str) -> Response:
        """Answer an identity URL, `/id/<org>/<user>`."""
        session = self._org.use(bearer(request) or request.values.get("oauth_token", ""))
        if session is None:
            return _bad_token()
        if wants_xml(request):
            return data_error(request, JSON_ALONE)
        if org_id != self._org.id or user_id != session.user.id:
            return Response("Bad_Id", 404, content_type="text/html;charset=UTF-8")
        about, user = self._about(session.user), session.user
        if version := request.args.get("version"):
            number = f"{newest_version(self._org.clock())}.0" if version == "latest" else version
            about["urls"] = {name: url.format(version=number) for name, url in about["urls"].items()}
        about |= {"id": self._org.identity_url(user), "asserted_user": True, "username": user.username}
        return json_answer(about | {"display_name": user.username.partition("@")[0]})

    def configuration(self, _request: Request) -> Response:
        """Answer `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0)."""
        url = self._org.url
        endpoints = {f"{name}_endpoint": f"{url}/services/oauth2/{path}" for name, path in _ENDPOINTS.items()}
        return json_answer({"issuer": url, "jwks_uri": f"{url}/id/keys", **endpoints})

    def keys(self, _request: Request) -> Response:
        """Answer `/id/keys`: the keys of the org's JWT access tokens (RFC 7517)."""
        return json_answer(jwks_of(self._org.signing_key.public_key(), self._org.id))

    def _about(self, user: User) -> dict[str, Any]:
        """What both the identity URL and `userinfo` say of a user."""
        return {
            "user_id": user.id,
            "organization_id": self._org.id,
            "email": user.username,
            "email_verified": True,
            "user_type": "STANDARD",
            "active": user.active,
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
            "urls": self._urls(user),
        }

    def _urls(self, user: User) -> dict[str, str]:
        return {
            "rest": f"{self._org.instance_url}/services/data/v{{version}}/",
            "query": f"{self._org.instance_url}/services/data/v{{version}}/query/",
            "profile": f"{self._org.instance_url}/{user.id}",
        }


def _token_request(org: Org, request: Request) -> TokenRequest:
    # Only a form in the body counts: the query would end up in logs.
    form = request.form.to_dict() if request.mimetype == FORM else {}
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        client_id, client_secret = basic.username, basic.password
    else:
        client_id, client_secret = form.get("client_id"), form.get("client_secret")
    return TokenRequest(
        form=form,
        client_id=client_id,
        client_secret=client_secret,
        ip=org.policy.client_ip or request.remote_addr or "127.0.0.1",
    )


def _refusal(refused: OAuthError) -> Response:
    body = {"error": refused.error}
    if refused.description:
        body["error_description"] = refused.description
    return json_answer(body, refused.status, _NO_STORE)


def _bad_token() -> Response:
    return Response("Bad_OAuth_Token", 403, content_type="text/html;charset=UTF-8")
