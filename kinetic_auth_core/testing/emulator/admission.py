"""The checks of the token endpoint: app, secret, approval, password and refresh token.

Each raises the error that Salesforce answers with. The grants decide which checks apply, and in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs

from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.models import App, RefreshToken, User
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


def known_app(org: Org, request: TokenRequest) -> App:
    """The app that a request names.

    Raises:
        OAuthError: `invalid_client_id`: no app has that consumer key.
    """
    app = org.apps.get(request.client_id or "")
    if app is None:
        raise OAuthError(*errors.CLIENT_ID)
    return app


def check_secret(app: App, request: TokenRequest) -> None:
    """Check the consumer secret.

    Raises:
        OAuthError: `invalid_client`: it is wrong or missing.
    """
    if request.client_secret != app.client_secret:
        raise OAuthError(*errors.CLIENT_SECRET)


def authenticated_app(org: Org, request: TokenRequest) -> App:
    """The app that a request names, with its secret checked.

    Raises:
        OAuthError: `invalid_client_id` or `invalid_client`.
    """
    app = known_app(org, request)
    check_secret(app, request)
    return app


def check_app(org: Org, app: App, flow: str) -> None:
    """Check that an app may be used here, and for this flow.

    Args:
        org: The org.
        app: The app.
        flow: The flow, by its name in `FLOWS`.

    Raises:
        OAuthError: `app_not_found`: not installed, or an external client app at a `login` host. `oauth_flow_disabled`:
            the flow or the app as a whole is off.
    """
    if not app.installed or (app.external and not org.policy.my_domain):
        raise OAuthError(*errors.APP_NOT_FOUND)
    if not app.enabled or flow not in app.flows:
        raise OAuthError(*errors.FLOW_DISABLED)


def check_approval(user: User, app: App) -> None:
    """Check that a user may use an app without being asked.

    Raises:
        OAuthError: `invalid_app_access` where an administrator must approve the user, `invalid_grant` where the user
            must.
    """
    if user.username.lower() not in app.preauthorised:
        raise OAuthError(
            *(errors.NOT_ADMIN_APPROVED if app.permitted_users == "admin" else errors.NOT_APPROVED),
            history="Failed: Not approved for access",
        )


def check_scopes(app: App) -> None:
    """Check that a session of this app would be usable.

    Raises:
        OAuthError: `no valid scopes defined`: the app lacks the `api` scope.
    """
    if not app.scopes & API_SCOPES:
        raise OAuthError(*errors.NO_SCOPES)


def check_refresh_scope(app: App) -> None:
    """Check the scope that an app needs to act for users who approve it themselves.

    Raises:
        OAuthError: `refresh_token scope is required`.
    """
    if app.permitted_users == "self" and not app.scopes & REFRESH_SCOPES:
        raise OAuthError(*errors.REFRESH_SCOPE)


def check_password(org: Org, user: User, password: str) -> None:
    """Check a password with its security token, and count wrong ones.

    Args:
        org: The org.
        user: The user.
        password: The password, followed by the security token unless the user's network is trusted.

    Raises:
        OAuthError: `authentication failure`: password or token wrong, or the user locked out. The login history says
            which; the answer does not.
    """
    accepted = {user.password + user.security_token, *((user.password,) if user.trusted_ip else ())}
    with org.lock:
        if user.failed_logins >= org.policy.max_failed_logins:
            raise OAuthError(*errors.AUTHENTICATION_FAILURE, history="Password Lockout")
        if password not in accepted:
            user.failed_logins += 1
            lacks_token = password == user.password
            history = "Failed: API security token required" if lacks_token else "Invalid Password"
            raise OAuthError(*errors.AUTHENTICATION_FAILURE, history=history)
        user.failed_logins = 0


def claim_refresh_token(org: Org, app: App, request: TokenRequest) -> RefreshToken:
    """Reserve a refresh token until the answer has been sent.

    Raises:
        OAuthError: `expired access/refresh token`: unknown, revoked or of another app. `token request is already being
            processed`: another request has it.
    """
    with org.lock:
        held = org.refresh_tokens.get(request.form.get("refresh_token", ""))
        if held is None or held.app is not app:
            raise OAuthError(*errors.EXPIRED_TOKEN)
        with naming(held.user, app):
            if held.in_use:
                raise OAuthError(*errors.IN_PROCESS)
        held.in_use = True

    def release() -> None:
        held.in_use = False

    request.endings.append(release)
    return held
