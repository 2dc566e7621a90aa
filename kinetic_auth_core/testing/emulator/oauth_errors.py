"""The errors that the token endpoint answers with, and the exception for one.

The pairs are copied from the project's list of observed errors, not from the client's table: client and emulator stay
independent, so that a mistake in one is found by the other.
"""

from __future__ import annotations

from typing import Final

import attrs


@attrs.define
class OAuthError(Exception):
    """A rejected token request (RFC 6749, section 5.2).

    Args:
        error: The error code, for example `invalid_grant`.
        description: The text that goes with it; empty when Salesforce is known to send none.
        status: The HTTP status code of the answer.
        history: Its status in the login history; code and text when empty.
        username: The user that the request was for, once known.
        client_id: The consumer key that the request named, once known.
    """

    error: str
    description: str = ""
    status: int = 400
    history: str = ""
    username: str | None = None
    client_id: str | None = None

    def as_history(self) -> str:
        """Its status in the login history."""
        return self.history or f"Failed: {self.description or self.error}"


_ROWS: Final[list[tuple[str, str]]] = []


def _row(error: str, description: str = "") -> tuple[str, str]:
    """A pair of Salesforce's documents, which `ERROR_ROWS` gets as well."""
    _ROWS.append((error, description))
    return error, description


AUTHENTICATION_FAILURE: Final = _row("invalid_grant", "authentication failure")
NOT_APPROVED: Final = _row("invalid_grant", "user hasn't approved this consumer")
NOT_ADMIN_APPROVED: Final = _row("invalid_app_access", "user is not admin approved to access this app")
AUDIENCE: Final = _row("invalid_grant", "audience is invalid")
ASSERTION: Final = _row("invalid_grant", "invalid assertion")
EXPIRED_ASSERTION: Final = _row("invalid_grant", "expired authorization code")
EXPIRED_TOKEN: Final = _row("invalid_grant", "expired access/refresh token")
IN_PROCESS: Final = _row("invalid_grant", "token request is already being processed")
IP_RESTRICTED: Final = _row("invalid_grant", "ip restricted")
LOGIN_HOURS: Final = _row("invalid_grant", "invalid login hours")
IP_OR_LOGIN_HOURS: Final = _row("invalid_grant", "ip restricted or invalid login hours")
WRONG_DOMAIN: Final = _row("invalid_grant", "request not supported on this domain")
NO_RUN_AS: Final = _row("invalid_grant", "no client credentials user enabled")
NO_SCOPES: Final = _row("invalid_grant", "no valid scopes defined")
REFRESH_SCOPE: Final = _row("invalid_request", "refresh_token scope is required")
SCOPE_PARAMETER: Final = _row("invalid_request", "scope parameter not supported")
HANDLER_NOT_FOUND: Final = _row("invalid_request", "token handler not found")
HANDLER_VALIDATION: Final = _row("invalid_request", "token handler validation failed")
CLIENT_ID: Final = _row("invalid_client_id", "client identifier invalid")
CLIENT_SECRET: Final = _row("invalid_client", "invalid client credentials")
APP_NOT_FOUND: Final = _row("app_not_found", "External client app is not installed in this org")
FLOW_DISABLED: Final = _row("oauth_flow_disabled", "flow or app disabled")
GRANT_TYPE: Final = _row("unsupported_grant_type", "grant type not supported")
_row("inactive_user", "user frozen or deactivated")
_row("inactive_org", "org locked or closed")
_row("unknown_error", "retry your request")
_row("server_error")
_row("service_unavailable")
_row("system_down")
_row("slow_down")
LOGIN_RATE: Final = _row("invalid_grant", "login rate exceeded")
_row("rate_limit_exceeded")
_row("login_rate_exceeded")
INACTIVE_USER: Final = _row("invalid_grant", "inactive user")
INACTIVE_ORG: Final = _row("invalid_grant", "inactive organization")
APP_BLOCKED: Final = _row("OAUTH_APP_BLOCKED", "this app is blocked by admin")
_row("OAUTH_EC_APP_NOT_FOUND")
_row("OAUTH_APPROVAL_ERROR_GENERIC")

ERROR_ROWS: Final = tuple(_ROWS)
"""The `(error, description)` pairs of Salesforce's documents; an empty description means that the text is not known.
Some have a natural cause here, and `SalesforceEmulator.refuse` injects any. Locked users and orgs and the login limit
cause what has been seen on the wire instead, an `invalid_grant` (restforce#303, n8n#31948).
"""

# Further ones of the login in the browser, and of scopes.
CODE_INVALID: Final = ("invalid_grant", "invalid authorization code")
CODE_VERIFIER: Final = ("invalid_grant", "invalid code verifier")
CODE_VERIFIER_UNEXPECTED: Final = ("invalid_grant", "unexpected code verifier")
CODE_CHALLENGE: Final = ("invalid_request", "missing required code challenge")
CODE_CHALLENGE_METHOD: Final = ("invalid_request", "code challenge method not supported")
REDIRECT_URI: Final = ("redirect_uri_mismatch", "redirect_uri must match configuration")
RESPONSE_TYPE: Final = ("unsupported_response_type", "response type not supported")
SCOPE: Final = ("invalid_scope", "the requested scope is not allowed")
ACCESS_DENIED: Final = ("access_denied", "end-user denied authorization")
EC_APP_NOT_FOUND: Final = ("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org")
APPROVAL_ERROR: Final = ("OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error has occurred during authentication")
