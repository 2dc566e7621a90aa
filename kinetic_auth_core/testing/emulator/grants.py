"""The grants of the token endpoint: from the form of a request to the fields of its answer.

The fields of an answer differ by grant, so each grant lists its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kinetic_auth_core.testing.emulator import admission
from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.admission import TokenRequest
from kinetic_auth_core.testing.emulator.assertions import check_assertion
from kinetic_auth_core.testing.emulator.models import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    JWT_BEARER,
    PASSWORD,
    REFRESH_TOKEN,
    TOKEN_EXCHANGE,
    Session,
)
from kinetic_auth_core.testing.emulator.oauth_errors import OAuthError
from kinetic_auth_core.testing.emulator.org import Org

Granted = tuple[dict[str, str], Session]


def answer_grant(org: Org, request: TokenRequest, refusal: OAuthError | None = None) -> dict[str, str]:
    """Answer a token request and record it in the login history; an `OAuthError` if it is rejected."""
    grant_type = request.form.get("grant_type", "")
    row = (grant_type if grant_type in _GRANTS else "unsupported", request.ip)
    try:
        if refusal is not None:
            raise refusal
        fields, session = _grant(org, request)
    except OAuthError as refused:
        org.record_login(*row, refused.as_history(), refused.username, refused.client_id or request.client_id)
        raise
    org.record_login(*row, "Success", session.user.username, session.app.client_id)
    return fields


def _grant(org: Org, request: TokenRequest) -> Granted:
    grant = _GRANTS.get(request.form.get("grant_type", ""))
    if grant is None:
        raise OAuthError(*errors.GRANT_TYPE)
    if not org.policy.active:
        raise OAuthError(*errors.INACTIVE_ORG, history="Organization is Inactive")
    if "scope" in request.form and grant not in {_token_exchange, _refresh, _authorization_code}:
        raise OAuthError(*errors.SCOPE_PARAMETER)
    return grant(org, request)


def _jwt_bearer(org: Org, request: TokenRequest) -> Granted:
    app, username = check_assertion(org, request.form.get("assertion", ""))
    user = org.find_user(username)
    admission.check_app(org, app, "jwt-bearer")
    if user is None:
        raise OAuthError(*errors.NOT_APPROVED, client_id=app.client_id)
    with admission.naming(user, app):
        admission.check_approval(user, app)
        admission.check_refresh_scope(app)
        admission.check_scopes(app)
        org.check_login(user, app, request.ip)
    session = org.open_session(user, app, "jwt-bearer")
    fields = {
        "access_token": session.token,
        "scope": session.scope,
        "instance_url": org.instance_url,
        "id": org.identity_url(user),
        "token_type": "Bearer",
    }
    if user.site_url is not None:
        fields["sfdc_community_url"] = user.site_url
    return fields, session


def _password(org: Org, request: TokenRequest) -> Granted:
    app = admission.app_of(org, request)
    admission.check_app(org, app, PASSWORD)
    user = org.find_user(request.form.get("username", ""))
    if user is None:
        raise OAuthError(*errors.AUTHENTICATION_FAILURE, history="Invalid Username")
    with admission.naming(user, app):
        if org.policy.password_flow_blocked:
            raise OAuthError(*errors.AUTHENTICATION_FAILURE, history="Failed: Username-Password flow blocked")
        if user.site_url is not None:
            raise OAuthError(*errors.AUTHENTICATION_FAILURE, history="Failed: Not available to site users")
        admission.check_password(org, user, request.form.get("password", ""))
        if app.permitted_users == "admin":
            admission.check_approval(user, app)
        org.check_login(user, app, request.ip)
    session = org.open_session(user, app, PASSWORD)
    return _signed(org, session), session


def _client_credentials(org: Org, request: TokenRequest) -> Granted:
    app = admission.app_of(org, request)
    if not org.policy.my_domain:
        raise OAuthError(*errors.WRONG_DOMAIN)
    admission.check_app(org, app, CLIENT_CREDENTIALS)
    user = org.find_user(app.run_as or "")
    if user is None:
        raise OAuthError(*errors.NO_RUN_AS)
    with admission.naming(user, app):
        admission.check_scopes(app)
        org.check_login(user, app, request.ip)
    session = org.open_session(user, app, CLIENT_CREDENTIALS)
    fields = {**_signed(org, session), "scope": session.scope, "api_instance_url": org.instance_url}
    return fields | ({"token_format": "jwt"} if org.policy.jwt_access_tokens else {}), session


def _refresh(org: Org, request: TokenRequest) -> Granted:
    app = admission.app_of(org, request, lambda app: app.require_secret_for_refresh)
    admission.check_app(org, app, REFRESH_TOKEN)
    granted = admission.claim_refresh_token(org, app, request)
    with admission.naming(granted.user, app):
        org.check_login(granted.user, app, request.ip)
        if not set(request.form.get("scope", "").split()) <= set(granted.scope.split()):  # Authlib sends it again
            raise OAuthError(*errors.SCOPE)
    session = org.open_session(granted.user, app, REFRESH_TOKEN, granted)
    fields = {**_signed(org, session), "scope": session.scope}
    if org.policy.rotate_refresh_tokens:
        org.rotate(granted)
        fields["refresh_token"] = granted.token
    return fields, session


def _authorization_code(org: Org, request: TokenRequest) -> Granted:
    app = admission.app_of(org, request, lambda app: app.require_secret)
    admission.check_app(org, app, AUTHORIZATION_CODE)
    code = admission.redeem_code(org, app, request)
    with admission.naming(code.user, app):
        org.check_login(code.user, app, request.ip)
    granted = org.new_refresh_grant(code.user, app, code.scope)
    session = org.open_session(code.user, app, AUTHORIZATION_CODE, granted)
    fields = {**_signed(org, session), "scope": session.scope}
    if admission.REFRESH_SCOPES.intersection(code.scope.split()):
        fields["refresh_token"] = granted.token
    return fields, session


def _token_exchange(org: Org, request: TokenRequest) -> Granted:
    app = admission.app_of(org, request, lambda app: app.require_secret_for_exchange)
    admission.check_app(org, app, "token-exchange")
    wanted = set(request.form.get("scope", "").split())
    if not wanted <= app.scopes:
        raise OAuthError(*errors.SCOPE)
    name = request.form.get("token_handler")
    handler = next((each for each in app.token_handlers if name in (None, each.name)), None)
    if handler is None:
        raise OAuthError(*errors.HANDLER_NOT_FOUND)
    token, token_type = request.form.get("subject_token", ""), request.form.get("subject_token_type", "")
    user = org.find_user(handler.username(token, token_type, org.clock()))
    if user is None:
        raise OAuthError(*errors.HANDLER_VALIDATION, history="Failed: Token handler: unknown user")
    with admission.naming(user, app):
        admission.check_approval(user, app)
        admission.check_scopes(app)
        org.check_login(user, app, request.ip)
    session = org.open_session(user, app, "token-exchange")
    session.scope = " ".join(sorted(wanted)) or session.scope
    return {**_signed(org, session), "scope": session.scope}, session


_GRANTS: Final[Mapping[str, Callable[[Org, TokenRequest], Granted]]] = {
    JWT_BEARER: _jwt_bearer,
    PASSWORD: _password,
    CLIENT_CREDENTIALS: _client_credentials,
    REFRESH_TOKEN: _refresh,
    AUTHORIZATION_CODE: _authorization_code,
    TOKEN_EXCHANGE: _token_exchange,
}


def _signed(org: Org, session: Session) -> dict[str, str]:
    identity = org.identity_url(session.user)
    issued_at = str(int(session.issued_at * 1000))
    return {
        "id": identity,
        "issued_at": issued_at,
        "instance_url": org.instance_url,
        "signature": org.sign(session.app, identity, issued_at),
        "access_token": session.token,
        "token_type": "Bearer",
    }
