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


AUTHENTICATION_FAILURE: Final = ("invalid_grant", "authentication failure")
NOT_APPROVED: Final = ("invalid_grant", "user hasn't approved this consumer")
NOT_ADMIN_APPROVED: Final = ("invalid_app_access", "user is not admin approved to access this app")
AUDIENCE: Final = ("invalid_grant", "audience is invalid")
ASSERTION: Final = ("invalid_grant", "invalid assertion")
EXPIRED_ASSERTION: Final = ("invalid_grant", "expired authorization code")
EXPIRED_TOKEN: Final = ("invalid_grant", "expired access/refresh token")
IN_PROCESS: Final = ("invalid_grant", "token request is already being processed")
IP_RESTRICTED: Final = ("invalid_grant", "ip restricted")
LOGIN_HOURS: Final = ("invalid_grant", "invalid login hours")
IP_OR_LOGIN_HOURS: Final = ("invalid_grant", "ip restricted or invalid login hours")
WRONG_DOMAIN: Final = ("invalid_grant", "request not supported on this domain")
NO_RUN_AS: Final = ("invalid_grant", "no client credentials user enabled")
NO_SCOPES: Final = ("invalid_grant", "no valid scopes defined")
CODE_INVALID: Final = ("invalid_grant", "invalid authorization code")
CODE_VERIFIER: Final = ("invalid_grant", "invalid code verifier")
CODE_VERIFIER_UNEXPECTED: Final = ("invalid_grant", "unexpected code verifier")
CODE_CHALLENGE: Final = ("invalid_request", "missing required code challenge")
CODE_CHALLENGE_METHOD: Final = ("invalid_request", "code challenge method not supported")
REDIRECT_URI: Final = ("redirect_uri_mismatch", "redirect_uri must match configuration")
RESPONSE_TYPE: Final = ("unsupported_response_type", "response type not supported")
SCOPE: Final = ("invalid_scope", "the requested scope is not allowed")
ACCESS_DENIED: Final = ("access_denied", "end-user denied authorization")
APP_BLOCKED: Final = ("OAUTH_APP_BLOCKED", "this app is blocked by admin")
EC_APP_NOT_FOUND: Final = ("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org")
APPROVAL_ERROR: Final = ("OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error has occurred during authentication")
REFRESH_SCOPE: Final = ("invalid_request", "refresh_token scope is required")
SCOPE_PARAMETER: Final = ("invalid_request", "scope parameter not supported")
HANDLER_NOT_FOUND: Final = ("invalid_request", "token handler not found")
HANDLER_VALIDATION: Final = ("invalid_request", "token handler validation failed")
CLIENT_ID: Final = ("invalid_client_id", "client identifier invalid")
CLIENT_SECRET: Final = ("invalid_client", "invalid client credentials")
APP_NOT_FOUND: Final = ("app_not_found", "External client app is not installed in this org")
FLOW_DISABLED: Final = ("oauth_flow_disabled", "flow or app disabled")
GRANT_TYPE: Final = ("unsupported_grant_type", "grant type not supported")
INACTIVE_USER: Final = ("invalid_grant", "inactive user")
INACTIVE_ORG: Final = ("invalid_grant", "inactive organization")
RETRY: Final = ("unknown_error", "retry your request")
LOGIN_RATE: Final = ("invalid_grant", "login rate exceeded")

ERROR_ROWS: Final[tuple[tuple[str, str], ...]] = (
    AUTHENTICATION_FAILURE,
    NOT_APPROVED,
    NOT_ADMIN_APPROVED,
    AUDIENCE,
    ASSERTION,
    EXPIRED_ASSERTION,
    EXPIRED_TOKEN,
    IN_PROCESS,
    IP_RESTRICTED,
    LOGIN_HOURS,
    IP_OR_LOGIN_HOURS,
    WRONG_DOMAIN,
    NO_RUN_AS,
    NO_SCOPES,
    REFRESH_SCOPE,
    SCOPE_PARAMETER,
    HANDLER_NOT_FOUND,
    HANDLER_VALIDATION,
    CLIENT_ID,
    CLIENT_SECRET,
    APP_NOT_FOUND,
    FLOW_DISABLED,
    GRANT_TYPE,
    ("inactive_user", "user frozen or deactivated"),
    ("inactive_org", "org locked or closed"),
    RETRY,
    ("server_error", ""),
    ("service_unavailable", ""),
    ("system_down", ""),
    ("slow_down", ""),
    LOGIN_RATE,
    ("rate_limit_exceeded", ""),
    ("login_rate_exceeded", ""),
    ("invalid_grant", "inactive user"),
    ("invalid_grant", "inactive organization"),
    ("OAUTH_APP_BLOCKED", "this app is blocked by admin"),
    ("OAUTH_EC_APP_NOT_FOUND", ""),
    ("OAUTH_APPROVAL_ERROR_GENERIC", ""),
)
"""The `(error, description)` pairs of Salesforce's documents; an empty description means that the text is not known.
Some have a natural cause here, and `SalesforceEmulator.refuse` injects any. Locked users and orgs and the login limit
cause what has been seen on the wire instead, an `invalid_grant` (restforce#303, n8n#31948).
"""
