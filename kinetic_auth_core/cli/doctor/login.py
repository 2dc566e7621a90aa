"""With `--login`: one login, and one REST call with its session."""

import json
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.cli.doctor.examination import Examination
from kinetic_auth_core.cli.doctor.log_warnings import warn_of, warnings_captured
from kinetic_auth_core.cli.doctor.network import NOT_SALESFORCE, is_redirect
from kinetic_auth_core.cli.doctor.secrets import ABOUT_A_CERTIFICATE
from kinetic_auth_core.cli.exit_codes import REFUSED, TRY_LATER, USAGE
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, SessionRejectedError, TransportError
from kinetic_auth_core.login.lockout import HeldBackError
from kinetic_auth_core.oauth.endpoints import json_object
from kinetic_auth_core.oauth.error_codes import Culprit, culprit_of, is_dead_session, known_error
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.refresh import CAUSES
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.transport.client import TokenRequest, TokenResponse
from kinetic_auth_core.transport.network_errors import CHECK_HOST

AFTER_LOGIN = ("scopes", "REST API", "API limits")
_API_SCOPES = frozenset({"api", "full", "web"})
_WITHOUT_LOGIN = "needs a login: add --login."


def check_login(examination: Examination) -> None:
    """One login, as the application makes it; the live session and the store are left alone."""
    report, source = examination.report, examination.source
    if not examination.logs_in or source is None:
        for name in ("login", *AFTER_LOGIN):
            report.skip(name, _WITHOUT_LOGIN)
        return
    with warnings_captured() as warnings:
        try:
            examination.session = _logged_in(examination, source)
        except KineticAuthError as error:
            # What the login has said of a setting before it was refused is likely to be why.
            causes = [each for each in warnings if report.named_in(each)]
            warnings[:] = [each for each in warnings if each not in causes]
            setting, hint = _about(examination, error)
            hints = [hint, *(f"{each[:1].upper()}{each[1:]}." for each in causes)]
            report.failed("login", error, setting, hint=" ".join(filter(None, hints)))
            for name in AFTER_LOGIN:
                report.moot(name, "login")
    if (session := examination.session) is not None:
        who = session.username or examination.spec.displayed("username") or session.user_id or "a user"
        report.add("login", "ok", f"{who} of org {session.org_id or 'unknown'} at {session.instance_url}.")
    warn_of(report, "login", [each for each in warnings if not each.startswith(ABOUT_A_CERTIFICATE)])


#: The settings that a refusal is about, the first that is set, and what may be wrong besides what its remedy says.
_ABOUT: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("invalid_grant", "authentication failure"): (("password", "username"), ""),
    ("invalid_grant", "user hasn't approved this consumer"): (
        ("username", "client_id"),
        "Or the username is misspelt, or is a user of another org: compare it with Setup, Users.",
    ),
    ("invalid_grant", "audience is invalid"): (("audience", "login_url"), ""),
    ("invalid_grant", "invalid assertion"): (("private_key_path", "private_key"), ""),
    ("invalid_grant", "expired access/refresh token"): (("refresh_token", "client_id"), ""),
    ("invalid_client_id", "client identifier invalid"): (("client_id",), ""),
    ("invalid_client", "invalid client credentials"): (("client_secret",), ""),
}


def _about(examination: Examination, error: KineticAuthError) -> tuple[str | None, str]:
    """The setting that the error of a login is about, where its code says so, and a hint."""
    code, description = (getattr(error, name, None) for name in ("error", "description"))
    known = known_error(code or "", description)
    names, hint = _ABOUT.get((known.error, known.description), ((), "")) if known else ((), "")
    if isinstance(error, SessionRejectedError):
        names = ("expected_org_id", "allowed_instance_hosts")
    is_set = {row.name for row in examination.spec.rows if row.value not in (None, "")}
    return next((name for name in names if name in is_set), None), hint


def _logged_in(examination: Examination, source: SessionSource) -> SalesforceSession:
    """Log in. A refusal that is not about the password is tried again: somebody may have mended its cause.

    Raises:
        KineticAuthError: It failed.
    """
    try:
        return source.authenticate()
    except HeldBackError as error:
        if culprit_of(error.error, error.description) is Culprit.PASSWORD:
            raise  # it may lock the user out
    spec = attrs.evolve(examination.spec, options=attrs.evolve(examination.spec.options, lockout_guard=0.0))
    with SessionSource._of(spec) as unguarded:  # noqa: SLF001 - as `resolve` does
        return unguarded.authenticate()


def check_session(examination: Examination) -> None:
    """Scopes, and one REST call: the API version, the limits, and whether the session may be used at all."""
    report, session = examination.report, examination.session
    if session is None:
        return  # said with the login
    scopes = set(session.scope.split())
    if scopes and not scopes & _API_SCOPES:
        report.add(
            "scopes",
            "failure",
            f"the session has the scopes {', '.join(sorted(scopes))}, and not api.",
            "Add 'Manage user data via APIs (api)' to Selected OAuth Scopes of the app.",
            code=REFUSED,
        )
    elif scopes and examination.spec.is_single_use and not scopes & {"refresh_token", "offline_access", "full"}:
        report.add(
            "scopes",
            "warning",
            f"the session has the scopes {', '.join(sorted(scopes))}, and not refresh_token.",
            "Add 'Perform requests at any time (refresh_token, offline_access)' to Selected OAuth Scopes of the app.",
        )
    else:
        report.add("scopes", "ok", f"{', '.join(sorted(scopes)) or 'the answer does not say'}.")
    transport = examination.connection()
    host = urlsplit(session.instance_url).hostname
    try:
        headers = TokenRequest(session.auth_header, [session.access_token])
        response = transport.get(f"{session.base_url}/limits", headers)
    except (TransportError, ConfigurationError) as error:
        error.message = f"the instance {host}: {error.message}"
        if error.remedy == CHECK_HOST:
            error.remedy = (
                "Let this machine reach the org's own host too, not only the login host (DNS, firewall, proxy)."
            )
        elif is_redirect(error):
            error.remedy = "The org may have moved: set login_url to its My Domain, and log in again."
        report.failed("REST API", error)
        report.moot("API limits", "REST API")
        return
    if response.status == 200 and isinstance(json_object(response.body), dict):
        report.add("REST API", "ok", f"{session.base_url} takes the session.")
        _check_limits(examination, response)
        report.settle_suspicions()
        return
    _report_refused(examination, session, response)
    report.moot("API limits", "REST API")


def _check_limits(examination: Examination, response: TokenResponse) -> None:
    report = examination.report
    try:
        daily = json.loads(response.body)["DailyApiRequests"]
        most, left = int(daily["Max"]), int(daily["Remaining"])
    except (ValueError, KeyError, TypeError):
        report.skip("API limits", "the answer does not say.")
        return
    what = f"{left} of {most} API requests of 24 hours are left."
    if left <= 0:
        report.add("API limits", "failure", what, _WHO_CALLS, code=TRY_LATER)
    else:
        is_little = left < most / 20
        remedy = _WHO_CALLS if is_little else ""
        report.add("API limits", "warning" if is_little else "ok", what, remedy)


_API_ENABLED = "Give the user's profile or a permission set the permission API Enabled; some editions have no API."
_SET_ANOTHER = (
    "Set a new password: log in to Salesforce in a browser as that user, or Setup, Users, Reset Password; or give the "
    "user the permission Password Never Expires."
)
_WHO_CALLS = "Wait, or find out who uses them: Setup, System Overview, API Usage."
#: What REST answers to a session that it does not take, by the code of the error: what it means, and the remedy.
_REFUSALS = {
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": (
        "the user's password has expired, so the session may do nothing",
        _SET_ANOTHER,
    ),
    "API_DISABLED_FOR_ORG": ("the API is not enabled for this user or org", _API_ENABLED),
    "API_CURRENTLY_DISABLED": ("the API is not enabled for this user or org", _API_ENABLED),
    "REQUEST_LIMIT_EXCEEDED": ("the org has used up its API requests of 24 hours", _WHO_CALLS),
    "URL_NOT_RESET": ("the org has moved to another instance", "Log in again: a login says where to."),
    "FUNCTIONALITY_NOT_ENABLED": ("the API is not enabled for this user or org", _API_ENABLED),
    "OAUTH_APP_BLOCKED": (
        "the app is blocked",
        "Setup, Connected Apps OAuth Usage: unblock the app, or install it.",
    ),
    "INSUFFICIENT_ACCESS_OR_READONLY": ("the user lacks a permission", _API_ENABLED),
    "INSUFFICIENT_ACCESS": ("the user lacks a permission", _API_ENABLED),
    "INACTIVE_USER": ("the user is not active", "Setup, Users: activate or unfreeze the user."),
}
_RESTRICTED = "the session is not valid for use with the REST API (API Access Control, or a kind without API)"
_ALLOW_THE_APP = (
    "Allow the app: Setup, API Access Control, and Connected Apps OAuth Usage (Install, or admin-approved users); give "
    "the app the scope api; give the user the permission API Enabled."
)
_IP_LOCK = (
    "Setup, Session Settings: switch off 'Lock sessions to the IP address from which they originated', or let all "
    f"requests leave from one address. {CAUSES}."
)


def _report_refused(examination: Examination, session: SalesforceSession, response: TokenResponse) -> None:
    report, status = examination.report, response.status
    code, message = _error_of(response)
    label = f"(HTTP {status}{f', {code}' if code else ''})"
    setting = None
    exit_code = TRY_LATER if status >= 500 or code == "REQUEST_LIMIT_EXCEEDED" else REFUSED
    if status == 410 or (status == 404 and code in ("NOT_FOUND", "")) or code == "UNSUPPORTED_API_VERSION":
        has = "has retired" if status == 410 or code == "UNSUPPORTED_API_VERSION" else "does not have"
        what, remedy = (
            f"the instance {has} the API version {session.api_version}",
            f"Set api_version to one that {session.instance_url}/services/data lists.",
        )
        setting, exit_code = "api_version", USAGE
    elif status == 200:
        what, remedy = "what answers is not the REST API of Salesforce", NOT_SALESFORCE
        exit_code = TRY_LATER
    elif code in _REFUSALS:
        what, remedy = _REFUSALS[code]
    elif "not valid for use with" in message:
        what, remedy = _RESTRICTED, _ALLOW_THE_APP
    elif is_dead_session(status, response.body) and examination.spec.never_stored:
        what = "the session has expired, or was revoked, or is locked to another IP address"
        remedy = f"Obtain a new one where it came from. {_IP_LOCK}"
        setting = "access_token" if any(row.name == "access_token" for row in report.rows) else None
    elif is_dead_session(status, response.body):
        what, remedy = "the session was refused right after its login (session IP lock, or API access)", _IP_LOCK
    else:
        what = "the REST API did not take the session"
        remedy = "Try later, and see status.salesforce.com." if status >= 500 else CAUSES + "."
    said = f": {message}" if message else ""
    report.add("REST API", "failure", f"{what} {label}{said}.", remedy, setting, code=exit_code)


def _error_of(response: TokenResponse) -> tuple[str, str]:
    """Code and message of a REST error; empty texts where it has another form."""
    try:
        found = json.loads(response.body)
        first = found[0] if isinstance(found, list) else found
        code, message = first.get("errorCode", first.get("error")), first.get("message", first.get("error_description"))
    except (ValueError, IndexError, AttributeError, TypeError):
        return "", ""
    return _printable(code), _printable(message).removesuffix(".")


def _printable(text: object) -> str:
    return "".join(char for char in text if char.isprintable())[:200] if isinstance(text, str) else ""
