"""Requests about a session: revoke (RFC 7009), introspect (RFC 7662), and whether it is alive."""

from typing import Any

from kinetic_auth_core.errors import TransportError
from kinetic_auth_core.oauth.invalid_session import is_dead_session
from kinetic_auth_core.oauth.token_response import RequestContext, ask, json_object, refusal
from kinetic_auth_core.session import Introspection, SalesforceSession
from kinetic_auth_core.transport.client import TokenRequest, Transport

#: What the revoke endpoint answers for a token that is dead already.
_DEAD_ALREADY = frozenset({"invalid_token", "unsupported_token_type"})


def revoke(transport: Transport, session: SalesforceSession, context: RequestContext) -> bool:
    """Revoke a session's token, at its own instance.

    Returns:
        True; False if it was dead already.

    Raises:
        AuthenticationError: It could not be revoked.
    """
    return revoke_token(transport, session.instance_url, session.access_token, context)


def revoke_token(transport: Transport, host_url: str, token: str, context: RequestContext) -> bool:
    """Revoke an access token, or a refresh token with all access tokens that came from it.

    Args:
        transport: Carries the request.
        host_url: The host that is asked: the session's instance, or the one that logs in.
        token: The token.
        context: For errors.

    Returns:
        True; False if it was dead already.

    Raises:
        AuthenticationError: It could not be revoked.
    """
    request = TokenRequest({"token": token}, [token])
    response = ask(transport.post, f"{host_url}/services/oauth2/revoke", request, context)
    if response.status == 200:
        return True
    error = refusal(response, context, request)
    if error.error in _DEAD_ALREADY:
        return False
    raise error


def is_alive(transport: Transport, session: SalesforceSession, context: RequestContext) -> bool:
    """Whether the REST API takes a session, by a call that any user may make.

    Raises:
        TransportError: The answer does not say.
    """
    headers = TokenRequest(session.auth_header, [session.access_token])
    response = ask(transport.get, f"{session.base_url}/limits", headers, context)
    if response.status == 200:
        return True
    if is_dead_session(response.status, response.body):
        return False
    if response.status == 410:
        raise context.failed(
            TransportError,
            f"Salesforce has retired the API version {session.api_version} (HTTP 410).",
            remedy="Set api_version to a newer one.",
            status=410,
        )
    what = f"the REST API answers with HTTP {response.status}; cannot tell whether the session is still valid."
    raise context.failed(TransportError, what, status=response.status, retryable=response.status >= 500)


def introspect(transport: Transport, session: SalesforceSession, context: RequestContext, app: Any) -> Introspection:
    """Ask the login host about a session's token, as the app that it was issued to.

    Args:
        transport: Carries the request.
        session: Its token is asked about.
        context: For errors.
        app: The provider's instance, with `login_url`, `client_id` and `client_secret`.

    Raises:
        AuthenticationError: The app was refused, or there was no usable answer.
    """
    request = TokenRequest(
        {
            "token": session.access_token,
            "token_type_hint": "access_token",
            "client_id": app.client_id,
            "client_secret": app.client_secret,
        },
        [session.access_token, app.client_secret],
    )
    response = ask(transport.post, f"{app.login_url}/services/oauth2/introspect", request, context)
    if response.status != 200:
        raise refusal(response, context, request)
    fields = json_object(response.body)
    found = None if isinstance(fields, str) else Introspection.of(fields)
    if found is None:
        raise context.failed(
            TransportError, "the introspection response has no valid `active` field.", status=response.status
        )
    return found
