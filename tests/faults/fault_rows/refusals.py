"""Known refusals: a word of the remedy, and whether the refusal is transient."""

from collections.abc import Mapping

from fault_rows.causes import refused
from fault_rows.row import PASSES, Row
from kinetic_auth_core import (
    AuthenticationError,
    CredentialsRejectedError,
    RateLimitedError,
    TransientAuthenticationError,
)
from kinetic_auth_core.testing import ERROR_ROWS

# A word of each remedy, and what else than CredentialsRejectedError it is: typed from what was observed, not from the
# catalogue.
REFUSALS: Mapping[tuple[str, str], tuple[str, type[AuthenticationError]]] = {
    ("invalid_grant", "authentication failure"): ("security token", CredentialsRejectedError),
    ("invalid_grant", "user hasn't approved this consumer"): ("Pre-approve", CredentialsRejectedError),
    ("invalid_app_access", "user is not admin approved to access this app"): (
        "permission set",
        CredentialsRejectedError,
    ),
    ("invalid_grant", "audience is invalid"): ("Set audience", CredentialsRejectedError),
    ("invalid_grant", "invalid assertion"): ("upload the certificate", CredentialsRejectedError),
    ("invalid_grant", "expired authorization code"): ("clock", AuthenticationError),
    ("invalid_grant", "expired access/refresh token"): ("log in again", CredentialsRejectedError),
    ("invalid_grant", "token request is already being processed"): ("try again", TransientAuthenticationError),
    ("invalid_grant", "ip restricted"): ("trusted range", CredentialsRejectedError),
    ("invalid_grant", "invalid login hours"): ("widen the login hours", CredentialsRejectedError),
    ("invalid_grant", "ip restricted or invalid login hours"): ("Relax the IP", CredentialsRejectedError),
    ("invalid_grant", "request not supported on this domain"): ("My Domain", CredentialsRejectedError),
    ("invalid_grant", "no client credentials user enabled"): ("Run As", CredentialsRejectedError),
    ("invalid_grant", "no valid scopes defined"): ("api scope", CredentialsRejectedError),
    ("invalid_request", "refresh_token scope is required"): ("offline_access", CredentialsRejectedError),
    ("invalid_request", "scope parameter not supported"): ("Leave scope out", CredentialsRejectedError),
    ("invalid_request", "token handler not found"): ("Enable New App", CredentialsRejectedError),
    ("invalid_request", "token handler validation failed"): ("Debug Logs", CredentialsRejectedError),
    ("invalid_client_id", "client identifier invalid"): ("2 to 10 minutes", CredentialsRejectedError),
    ("invalid_client", "invalid client credentials"): ("client_secret", CredentialsRejectedError),
    ("app_not_found", "External client app is not installed in this org"): ("Install", CredentialsRejectedError),
    ("oauth_flow_disabled", "flow or app disabled"): ("Enable this flow", CredentialsRejectedError),
    ("unsupported_grant_type", "grant type not supported"): ("Enable this flow", CredentialsRejectedError),
    ("inactive_user", "user frozen or deactivated"): ("reactivate", CredentialsRejectedError),
    ("inactive_org", "org locked or closed"): ("administrator", CredentialsRejectedError),
    ("unknown_error", "retry your request"): ("try again", TransientAuthenticationError),
    ("server_error", ""): ("status.salesforce.com", TransientAuthenticationError),
    ("service_unavailable", ""): ("status.salesforce.com", TransientAuthenticationError),
    ("system_down", ""): ("status.salesforce.com", TransientAuthenticationError),
    ("slow_down", ""): ("wait", TransientAuthenticationError),
    ("invalid_grant", "login rate exceeded"): ("3,600", RateLimitedError),
    ("rate_limit_exceeded", ""): ("3,600", RateLimitedError),
    ("login_rate_exceeded", ""): ("3,600", RateLimitedError),
    ("invalid_grant", "inactive user"): ("reactivate", CredentialsRejectedError),
    ("invalid_grant", "inactive organization"): ("administrator", CredentialsRejectedError),
    ("OAUTH_APP_BLOCKED", "this app is blocked by admin"): ("unblock", CredentialsRejectedError),
    ("OAUTH_EC_APP_NOT_FOUND", ""): ("install it", CredentialsRejectedError),
    ("OAUTH_APPROVAL_ERROR_GENERIC", ""): ("install it", CredentialsRejectedError),
}
ROWS = [
    Row(
        "refusals",
        f"`{error}`{f': {description}' if description else ''}",
        refused(error, description),
        REFUSALS[error, description][1],
        **(PASSES if REFUSALS[error, description][1] is TransientAuthenticationError else {}),
        advice=REFUSALS[error, description][0],
    )
    for error, description in ERROR_ROWS
]
