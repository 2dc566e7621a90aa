"""Salesforce's errors: what each pair of `error` and `error_description` means, and which answers end a session.

The token endpoint's errors are data: what each pair means, and what to do. Of the REST API's answers, those are known
that mean that the session is dead, so that a new login cures them. All of it reads text and bytes, and speaks no HTTP.

Unknown pairs get no advice. Sources: Salesforce's public documentation and the issue trackers of its clients; the
table in the docs (`errors`) is made from this module.
"""

import enum
import html
import json
import re
from typing import Final, NamedTuple

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import (
    AuthenticationError,
    ConfigurationError,
    KeyLoadError,
    TransportError,
)

#: The pause after the first refusal for too many logins, in seconds.
FIRST_LIMIT_PAUSE_S = 300.0


class Kind(enum.Enum):
    """What a refusal means for trying again."""

    REJECTED = "rejected"  #: retrying would not help, and may lock the user out
    TRANSIENT = "transient"  #: the same login can succeed later by itself
    RATE_LIMITED = "rate limited"  #: the user has logged in too often: only after minutes
    OTHER = "other"  #: none of these, or not known


class Culprit(enum.Enum):
    """Which part of the credential a refusal blames, where it may be a stale one."""

    KEY = "the key"
    PASSWORD = "the user and the password"  # noqa: S105 - a name
    SECRET = "a secret"  # noqa: S105 - such as a client secret


class KnownError(NamedTuple):
    """A row of `ERROR_CODES`.

    Attributes:
        error: The `error` code.
        description: How its `error_description` begins, in lower case; empty: any.
        kind: What it means for trying again.
        remedy: What to do.
        culprit: What is wrong with the credential; None where it is something else.
    """

    error: str
    description: str
    kind: Kind
    remedy: str
    culprit: Culprit | None = None

    def fits(self, error: str, description: str | None) -> bool:
        """Whether an answer of the token endpoint is of this row."""
        return self.error == error.strip().lower() and _plain(description or "").startswith(_plain(self.description))


_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "`": "'", "_": " "})


def _plain(description: str) -> str:
    """A description in the one spelling of the table: lower case, single blanks, straight quotes, no HTML entities."""
    return re.sub(r"\s+", " ", html.unescape(description).translate(_QUOTES)).strip().lower()


_HOST_AND_AUDIENCE = (
    "Set audience for this org: https://login.salesforce.com, https://test.salesforce.com (sandboxes, scratch "
    "orgs), the My Domain URL (orgs with External Client Apps) or the Experience site's URL; always one URL with "
    "https://."
)
_LOGIN_HOURS = (
    "Relax the IP restrictions in the app's policies (Policies or Manage, IP Relaxation), add this machine's address "
    "to the trusted range (Setup, Network Access; or Login IP Ranges of the user's profile), or widen the login hours "
    "in the user's profile; Setup, Login History names which of them refused."
)
_LOGIN_RATE = (
    "More than 3,600 logins of this user within an hour: keep the session and reuse it instead of logging in for each "
    "call, share it among processes (store), and wait; Login History shows who logs in."
)
_INACTIVE_USER = (
    "The user is frozen or deactivated: reactivate it (Setup, Users, the user, Unfreeze; or Edit, Active), or use "
    "another."
)
_INACTIVE_ORG = "The org is locked or closed: ask its administrator or Salesforce."
_APP_BLOCKED = (
    "An administrator has blocked the app, or it is not installed in this org: install it, or unblock it in Setup, "
    "Connected Apps OAuth Usage."
)
_UNBLOCK = "If the app is blocked: Setup, Connected Apps OAuth Usage, Unblock."
#: What to do where a flow is disabled, by the grant type of the token request.
_ENABLE = {
    "urn:ietf:params:oauth:grant-type:jwt-bearer": (
        "Enable this flow in the app. External client app: Settings, Edit, Flow Enablement, Enable JWT Bearer Flow. "
        f"Connected app: App Manager, Edit, Use digital signatures. {_UNBLOCK}"
    ),
    "client_credentials": (
        "Enable this flow in the app. External client app: Settings, Edit, Flow Enablement, Enable Client Credentials "
        f"Flow. Connected app: App Manager, Edit, Enable Client Credentials Flow. {_UNBLOCK}"
    ),
    "urn:ietf:params:oauth:grant-type:token-exchange": (
        "Enable this flow in the app. External client app: Settings, Edit, Flow Enablement, Enable Token Exchange "
        f"Flow, and the same under Policies. Connected app: App Manager, Edit, Enable Token Exchange Flow. {_UNBLOCK}"
    ),
    "password": (
        "Enable this flow in the org: Setup, OAuth and OpenID Connect Settings, Allow OAuth Username-Password Flows. "
        f"{_UNBLOCK}"
    ),
}
_LOG_IN_AGAIN = "The code that the browser brought back had expired: log in again."
_STATUS_PAGE = "Nothing is wrong with the settings; try later, and see status.salesforce.com."

EXPIRED_ASSERTION = KnownError(
    "invalid_grant",
    "expired authorization code",
    Kind.OTHER,
    "The signed assertion had expired when it arrived (jwt expired): this machine's clock is wrong. Set it by"
    " NTP; an assertion lives 3 minutes, and each login signs a new one.",
)

REVOKED_TOKEN = KnownError(
    "invalid_grant",
    "expired access/refresh token",
    Kind.REJECTED,
    "The refresh token was revoked or has expired: log in again to get a new one. Where it is configured "
    "(refresh_token), replace it.",
    Culprit.SECRET,
)

ERROR_CODES: tuple[KnownError, ...] = (
    KnownError(
        "invalid_grant",
        "authentication failure",
        Kind.REJECTED,
        "Check username and password; append the security token to the password (security_token; Settings, Reset My "
        "Security Token), or add this machine's address to the trusted IP range (Setup, Network Access); and allow the "
        "username-password flow under OAuth and OpenID Connect Settings (Setup). Setup, Login History names the cause. "
        "Repeating a wrong password locks the user out.",
        Culprit.PASSWORD,
    ),
    KnownError(
        "invalid_grant",
        "user hasn't approved this consumer",
        Kind.REJECTED,
        "Pre-approve the connected app for the user's profile: Permitted Users 'Admin approved users are "
        "pre-authorized', then assign the profile or a permission set to the app (external client app: Policies, "
        "Edit; connected app: Manage, Edit Policies, then Manage Profiles); or username is misspelt, or login_url and "
        "audience point at another org. New policies take about a minute.",
    ),
    KnownError(
        "invalid_app_access",
        "user is not admin approved",
        Kind.REJECTED,
        "Assign the user's profile or a permission set to the app. External client app: Setup, External Client App "
        "Manager, the app, Policies, Edit, Select Profiles or Select Permission Sets. Connected app: Setup, Manage "
        "Connected Apps, the app, Manage Profiles or Manage Permission Sets.",
    ),
    KnownError("invalid_grant", "audience is invalid", Kind.REJECTED, _HOST_AND_AUDIENCE),
    KnownError(
        "invalid_grant",
        "invalid assertion",
        Kind.REJECTED,
        "The private key and the certificate that is uploaded to the app do not belong together: upload the "
        "certificate of this key, or use the key of that certificate. If they do, it may have expired: kinetic-auth "
        "cert check --cert FILE --key FILE tells both. A file of private_key_path is read once: restart the program "
        "after you have replaced it. What private_key refers to is read again.",
        Culprit.KEY,
    ),
    EXPIRED_ASSERTION,
    REVOKED_TOKEN,
    KnownError(
        "invalid_grant",
        "token request is already being processed",
        Kind.TRANSIENT,
        "Another process uses the same refresh token at this moment; try again.",
    ),
    KnownError("invalid_grant", "ip restricted or invalid login hours", Kind.REJECTED, _LOGIN_HOURS),
    KnownError("invalid_grant", "ip restricted", Kind.REJECTED, _LOGIN_HOURS),
    KnownError("invalid_grant", "invalid login hours", Kind.REJECTED, _LOGIN_HOURS),
    KnownError(
        "invalid_grant",
        "request not supported on this domain",
        Kind.REJECTED,
        "Set login_url to the org's My Domain, such as https://acme.my.salesforce.com: Setup, My Domain, Current My "
        "Domain URL.",
    ),
    KnownError(
        "invalid_grant",
        "no client credentials user enabled",
        Kind.REJECTED,
        "Set the user under Run As. External client app: Setup, External Client App Manager, the app, Policies, Edit, "
        "OAuth Policies, Enable Client Credentials Flow, Run As. Connected app: Setup, App Manager, the app, Manage, "
        "Edit Policies, Client Credentials Flow, Run As.",
    ),
    KnownError("invalid_grant", "login rate exceeded", Kind.RATE_LIMITED, _LOGIN_RATE),
    KnownError("invalid_grant", "inactive user", Kind.REJECTED, _INACTIVE_USER),
    KnownError("invalid_grant", "inactive org", Kind.REJECTED, _INACTIVE_ORG),
    KnownError(
        "invalid_grant",
        "no valid scopes defined",
        Kind.REJECTED,
        "Add the api scope, 'Manage user data via APIs (api)', to Selected OAuth Scopes of the app (external client "
        "app: Settings, Edit; connected app: App Manager, Edit).",
    ),
    KnownError(
        "invalid_request",
        "refresh_token scope is required",
        Kind.REJECTED,
        "Add 'Perform requests at any time (refresh_token, offline_access)' to Selected OAuth Scopes of the app "
        "(external client app: Settings, Edit; connected app: App Manager, Edit), and set Permitted Users to 'Admin "
        "approved users are pre-authorized'.",
    ),
    KnownError("invalid_request", "scope parameter not supported", Kind.REJECTED, "Leave scope out of the request."),
    KnownError(
        "invalid_request",
        "token handler not found",
        Kind.REJECTED,
        "Setup, Token Exchange Handlers: open the handler, click Enable New App, choose this app and the user to run as"
        ", and tick the default handler; or correct token_handler, the name of the handler.",
    ),
    KnownError(
        "invalid_request",
        "token handler validation failed",
        Kind.REJECTED,
        "The org's token exchange handler refused the subject token; its Apex debug log says why (Setup, Debug Logs, a "
        "trace of the user that the handler runs as). Compare issuer, audience and subject of the token with those in "
        "the handler; a Remote Site Setting must allow the issuer's keys, and the subject's user must be active.",
    ),
    KnownError(
        "invalid_client_id",
        "client identifier invalid",
        Kind.REJECTED,
        "Check client_id: it is the app's Consumer Key (external client app: Settings, OAuth Settings, Consumer Key "
        "and Secret; connected app: App Manager, View, Manage Consumer Details), and the app must be in the org that "
        "login_url names. A new app takes 2 to 10 minutes.",
    ),
    KnownError(
        "invalid_client",
        "invalid client credentials",
        Kind.REJECTED,
        "Check client_secret: it is the app's Consumer Secret (external client app: Settings, OAuth Settings, Consumer "
        "Key and Secret; connected app: App Manager, View, Manage Consumer Details).",
        Culprit.SECRET,
    ),
    KnownError(
        "app_not_found",
        "",
        Kind.REJECTED,
        "Install the External Client App in this org (Setup, External Client App Manager shows what is there), or set "
        "login_url, and audience with jwt-bearer, to the org's My Domain: Setup, My Domain, Current My Domain URL.",
    ),
    KnownError(
        "oauth_flow_disabled",
        "",
        Kind.REJECTED,
        "Enable this flow in the app. External client app: Settings, Edit, Flow Enablement. Connected app: App "
        f"Manager, Edit. Password: Setup, OAuth and OpenID Connect Settings. {_UNBLOCK}",
    ),
    KnownError(
        "unsupported_grant_type",
        "",
        Kind.REJECTED,
        "Enable this flow for the app (external client app: Settings, Flow Enablement) and the org (Setup, OAuth and "
        "OpenID Connect Settings); check that login_url begins with https://.",
    ),
    KnownError("inactive_user", "", Kind.REJECTED, _INACTIVE_USER),
    KnownError("inactive_org", "", Kind.REJECTED, _INACTIVE_ORG),
    KnownError("oauth_app_blocked", "", Kind.REJECTED, _APP_BLOCKED),
    KnownError("oauth_ec_app_not_found", "", Kind.REJECTED, _APP_BLOCKED),
    KnownError("oauth_approval_error_generic", "", Kind.REJECTED, _APP_BLOCKED),
    KnownError(
        "unknown_error",
        "retry your request",
        Kind.TRANSIENT,
        "Salesforce asks to try again; if it stays so, login_url is the wrong host for this org.",
    ),
    KnownError("server_error", "", Kind.TRANSIENT, _STATUS_PAGE),
    KnownError("service_unavailable", "", Kind.TRANSIENT, _STATUS_PAGE),
    KnownError("system_down", "", Kind.TRANSIENT, _STATUS_PAGE),
    KnownError("slow_down", "", Kind.TRANSIENT, "Too many requests at once: wait, then try again."),
    KnownError("rate_limit_exceeded", "", Kind.RATE_LIMITED, _LOGIN_RATE),
    KnownError("login_rate_exceeded", "", Kind.RATE_LIMITED, _LOGIN_RATE),
)


def culprit_of(error: str | None, description: str | None) -> Culprit | None:
    """Which part of the credential a refusal blames; None where it is something else, or not known."""
    known = known_error(error or "", description)
    return known.culprit if known else None


def known_error(error: str, description: str | None) -> KnownError | None:
    """The row for an answer of the token endpoint, or None where it is not known."""
    return next((row for row in ERROR_CODES if row.fits(error, description)), None)


def remedy_for(known: KnownError, grant_type: str) -> str:
    """What to do about a known error of a login; where a flow has to be enabled, only that of the login is named.

    Args:
        known: The row of the error.
        grant_type: The `grant_type` that was sent.
    """
    if known is EXPIRED_ASSERTION and grant_type == "authorization_code":
        return _LOG_IN_AGAIN
    is_disabled = known.error == "oauth_flow_disabled"
    return _ENABLE.get(grant_type, known.remedy) if is_disabled else known.remedy


def token_was_not_used(error: BaseException) -> bool:
    """Whether an error proves that the token endpoint has not used up the token that was sent, or that none was sent.

    Args:
        error: What the login raised.
    """
    if isinstance(error, TransportError):
        return error.is_unsent or error.status == 429
    if not isinstance(error, AuthenticationError):
        return isinstance(error, ConfigurationError | KeyLoadError)
    if error.status == 429:
        return True
    known = known_error(error.error or "", error.description)
    if known is None or (error.status or 0) >= 500 or is_the_end(error):
        return False
    return known.kind is not Kind.TRANSIENT or known.error == "slow_down"


def is_the_end(error: BaseException) -> bool:
    """Whether an error says that the token is spent, revoked or expired."""
    return isinstance(error, AuthenticationError) and REVOKED_TOKEN.fits(error.error or "", error.description)


SUSPECT_STATUSES: Final = frozenset({400, 401, 403})
"""The HTTP statuses whose body has to be looked at."""

MAX_REFUSAL_BYTES: Final = 65_536
"""A longer body does not reject a session; those that do have a few hundred bytes."""

_RESTRICTED: Final = "This session is not valid for use with"
_IN_XML: Final = rb"(?a)<(?:\w{1,20}:)?(errorCode|exceptionCode|message)>([^<]{0,400})</"


def is_taken(status: int) -> bool:
    """Whether an answer shows that Salesforce has taken the token of its request."""
    return status < 500 and status not in SUSPECT_STATUSES and not 300 <= status < 400


def is_dead_session(status: int, body: bytes) -> bool:
    """Whether an answer says that the token is dead, and nothing else is wrong.

    | answer | dead |
    |---|---|
    | 401 `INVALID_SESSION_ID` (REST) | yes |
    | the same with "This session is not valid for use with the REST API" | no: the next session is as restricted |
    | 401 without a body, as HEAD gets it | yes: it cannot be distinguished from the first |
    | 401 or 403 `Bad_OAuth_Token` (userinfo, identity URL) | yes |
    | 400 `InvalidSessionId` (Bulk API v1) | yes |
    | 400 `URL_NOT_RESET` | yes: the org has moved, and a login says where to |
    | anything else | no |

    JSON and XML are read by their fields, so that a message which quotes one of these words does not match.

    Args:
        status: The HTTP status.
        body: The body, decompressed; no more than `MAX_REFUSAL_BYTES` of it need be given.

    Returns:
        Whether a new login can be expected to cure it. Never raises, whatever the bytes.
    """
    if status not in SUSPECT_STATUSES or len(body) > MAX_REFUSAL_BYTES:
        return False
    text = body.strip()
    if status == 400:
        fields = _fields(text)
        return ("exceptionCode", "InvalidSessionId") in fields or ("errorCode", "URL_NOT_RESET") in fields
    if text.strip(b'"') == b"Bad_OAuth_Token":
        return True
    if status == 403:
        return False
    if not text:
        return True
    fields = _fields(text)
    restricted = any(name == "message" and value.startswith(_RESTRICTED) for name, value in fields)
    return ("errorCode", "INVALID_SESSION_ID") in fields and not restricted


def _fields(text: bytes) -> list[tuple[str, str]]:
    """The fields of an error: of a JSON object or a list of them, or the elements of an XML document."""
    if text.startswith(b"<"):
        return [
            (match[1].decode(), match[2].decode("utf-8", "replace").strip()) for match in re.finditer(_IN_XML, text)
        ]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise_interruption(error)
        return []
    errors = document if isinstance(document, list) else [document]
    return [
        (name, value)
        for error in errors
        if isinstance(error, dict)
        for name, value in error.items()
        if isinstance(value, str)
    ]
