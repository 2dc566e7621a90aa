"""Requests about a session: revoke (RFC 7009), introspect (RFC 7662), and whether it is alive."""

from typing import Any

from kinetic_auth_core.errors import TransportError
from kinetic_auth_core.oauth.invalid_session import is_dead_session
from kinetic_auth_core.oauth.token_response import Login, ask, json_object, refusal
from kinetic_auth_core.session import Introspection, SalesforceSession
from kinetic_auth_core.transport.client import Form, Transport

#: What the revoke endpoint answers for a token that is dead already.
_DEAD_ALREADY = frozenset({"invalid_token", "unsupported_token_type"})


def revoke(transport: Transport, session: SalesforceSession, login: Login) -> bool:
    """Revoke a session's token, at its own instance.

    Returns:
        True; False if it was dead already.

    Raises:
        AuthenticationError: It could not be revoked.
    """
    form = Form({"token": session.access_token}, [session.access_token])
    answer = ask(transport.post, f"{session.instance_url}/services/oauth2/revoke", form, login)
    if answer.status == 200:
        return True
    error = refusal(answer, login, form)
    if error.error in _DEAD_ALREADY:
        return False
    raise error


def is_alive(transport: Transport, session: SalesforceSession, login: Login) -> bool:
    """Whether the REST API takes a session, by a call that any user may make.

    Raises:
        TransportError: The answer does not say.
    """
    headers = Form(session.auth_header, [session.access_token])
    answer = ask(transport.get, f"{session.base_url}/limits", headers, login)
    if answer.status == 200:
        return True
    if is_dead_session(answer.status, answer.body):
        return False
    what = f"the REST API answers with HTTP {answer.status}; cannot tell whether the session is still valid."
    raise login.failed(TransportError, what, status=answer.status, retryable=answer.status >= 500)


def introspect(transport: Transport, session: SalesforceSession, login: Login, app: Any) -> Introspection:
    """Ask the login host about a session's token, as the app that it was issued to.

    Args:
        transport: Carries the request.
        session: Its token is asked about.
        login: For errors.
        app: The provider's instance, with `login_url`, `client_id` and `client_secret`.

    Raises:
        AuthenticationError: The app was refused, or there was no usable answer.
    """
    form = Form(
        {
            "token": session.access_token,
            "token_type_hint": "access_token",
            "client_id": app.client_id,
            "client_secret": app.client_secret,
        },
        [session.access_token, app.client_secret],
    )
    answer = ask(transport.post, f"{app.login_url}/services/oauth2/introspect", form, login)
    if answer.status != 200:
        raise refusal(answer, login, form)
    fields = json_object(answer.body)
    found = None if isinstance(fields, str) else Introspection.of(fields)
    if found is None:
        raise login.failed(
            TransportError, "the introspection response has no valid `active` field.", status=answer.status
        )
    return found
