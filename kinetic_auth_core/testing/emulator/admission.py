"""The checks of the token endpoint: app, secret, approval, password and refresh token.

Each raises the error that Salesforce answers with. The grants decide which checks apply, and in which order.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs

from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.models import PASSWORD, App, AuthorizationCode, RefreshGrant, User
from kinetic_auth_core.testing.emulator.oauth_errors import OAuthError
from kinetic_auth_core.testing.emulator.org import Org

API_SCOPES: Final = frozenset({"api", "full"})
REFRESH_SCOPES: Final = frozenset({"refresh_token", "offline_access", "full"})


@attrs.frozen
class TokenRequest:
    """A parsed request to the token endpoint.

    Args:
        form: The form fields. Not shown by `repr`.
        client_id: The consumer key, from the form or from Basic credentials.
        client_secret: The consumer secret, likewise. Not shown by `repr`.
        ip: The address of the client.
        endings: Functions to call once the answer has been sent.
    """

    form: Mapping[str, str] = attrs.field(repr=False)
    client_id: str | None
    client_secret: str | None = attrs.field(repr=False)
    ip: str
    endings: list[Callable[[], None]] = attrs.field(factory=list, repr=False)


@contextmanager
def naming(user: User, app: App) -> Iterator[None]:
    """Add user and app to any error raised within, for the login history."""
    try:
        yield
    except OAuthError as refused:
        refused.username = user.username
        refused.client_id = app.client_id
        raise


def app_of(org: Org, request: TokenRequest, needs_secret: Callable[[App], bool] = lambda _: True) -> App:
    """The app that a request names. Its secret is checked where it is needed or sent."""
    app = org.apps.get(request.client_id or "")
    if app is None:
        raise OAuthError(*errors.CLIENT_ID)
    if request.client_secret != app.client_secret and (needs_secret(app) or request.client_secret is not None):
        raise OAuthError(*errors.CLIENT_SECRET)
    return app


def check_app(org: Org, app: App, flow: str) -> None:
    """Check that an app may be used here, and for this flow: External Client Apps are unknown at `login` hosts."""
    if not app.installed or (app.external and not org.policy.my_domain):
        raise OAuthError(*errors.APP_NOT_FOUND)
    if org.policy.apps_blocked or not app.enabled or flow not in app.flows or (app.external and flow == PASSWORD):
        raise OAuthError(*errors.FLOW_DISABLED)


def check_approval(user: User, app: App) -> None:
    """Check that a user may use an app without being asked: an administrator has approved them, or they have."""
    username = user.username.lower()
    approved = app.permitted_users == "self" and username in app.approvals
    if username not in app.preauthorised and not approved:
        raise OAuthError(
            *(errors.NOT_ADMIN_APPROVED if app.permitted_users == "admin" else errors.NOT_APPROVED),
            history="Failed: Not approved for access",
        )


def check_scopes(app: App) -> None:
    """Check that a session of this app would be usable."""
    if not app.scopes & API_SCOPES:
        raise OAuthError(*errors.NO_SCOPES)


def check_refresh_scope(app: App) -> None:
    """Check the scope that an app needs to act for users who approve it themselves."""
    if app.permitted_users == "self" and not app.scopes & REFRESH_SCOPES:
        raise OAuthError(*errors.REFRESH_SCOPE)


def check_password(org: Org, user: User, password: str, *, in_browser: bool = False) -> None:
    """Check a password with its security token, and count wrong ones. Only the login history says what was wrong."""
    accepted = {user.password + user.security_token, *((user.password,) if user.trusted_ip or in_browser else ())}
    with org.lock:
        if user.failed_logins >= org.policy.max_failed_logins:
            raise OAuthError(*errors.AUTHENTICATION_FAILURE, history="Password Lockout")
        if password not in accepted:
            user.failed_logins += 1
            lacks_token = password == user.password
            history = "Failed: API security token required" if lacks_token else "Invalid Password"
            raise OAuthError(*errors.AUTHENTICATION_FAILURE, history=history)
        user.failed_logins = 0


def claim_refresh_token(org: Org, app: App, request: TokenRequest) -> RefreshGrant:
    """Reserve the grant of a refresh token until the answer has been sent. A spent token revokes the whole grant."""
    token = request.form.get("refresh_token", "")
    with org.lock:
        granted = org.refresh_grants.get(token)
        if granted is None or granted.app is not app:
            raise OAuthError(*errors.EXPIRED_TOKEN)
        with naming(granted.user, app):
            if granted.in_use:
                raise OAuthError(*errors.IN_PROCESS)
            if granted.token != token:
                org.revoke_grant(granted)
                raise OAuthError(*errors.EXPIRED_TOKEN, history="Failed: refresh token used again")
        granted.in_use = True

    def release() -> None:
        granted.in_use = False

    request.endings.append(release)
    return granted


def redeem_code(org: Org, app: App, request: TokenRequest) -> AuthorizationCode:
    """Spend an authorization code, whether or not the rest of the request is right (RFC 6749, 4.1.3; RFC 7636, 4.6)."""
    form = request.form
    with org.lock:
        code = org.codes.get(form.get("code", ""))
        if code is None or code.app is not app:
            raise OAuthError(*errors.CODE_INVALID)
        spent, code.spent = code.spent, True
    with naming(code.user, app):
        if spent or org.clock() > code.expires_at:
            raise OAuthError(*errors.EXPIRED_ASSERTION)
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError(*errors.REDIRECT_URI)
        verifier = form.get("code_verifier")
        if code.challenge is None and verifier is not None:
            raise OAuthError(*errors.CODE_VERIFIER_UNEXPECTED)
        if code.challenge is not None and code.challenge != _challenge(verifier or ""):
            raise OAuthError(*errors.CODE_VERIFIER)
    return code


def _challenge(verifier: str) -> str | None:
    """The S256 challenge of a verifier; None if it is not one: 43 to 128 unreserved characters."""
    if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier):
        return None
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
