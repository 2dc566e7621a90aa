"""Salesforce's OAuth endpoints: what their answers mean, and the requests about a session.

An answer of the token endpoint becomes a session, or a typed error with its remedy; `login.grant` asks for it. Asked
here: revoke (RFC 7009), introspect (RFC 7662), and whether a session is alive. Sources: RFC 6749, sections 5.1 and 5.2;
the fields that Salesforce sends are in the docs, page `protocol`.
"""

import base64
import encodings.utf_8_sig  # noqa: F401 - a codec is imported when it is first used, which is in a login
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import (
    AuthenticationError,
    CredentialsRejectedError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionRejectedError,
    TransientAuthenticationError,
    TransportError,
)
from kinetic_auth_core.locations import instance_url_problem
from kinetic_auth_core.oauth.error_codes import (
    FIRST_LIMIT_PAUSE_S,
    Kind,
    KnownError,
    is_dead_session,
    known_error,
    remedy_for,
)
from kinetic_auth_core.oauth.retry import answered_at, retry_after_s
from kinetic_auth_core.session import Introspection, SalesforceSession, harmless_texts, jwt_times, number
from kinetic_auth_core.settings.fields import is_encodable
from kinetic_auth_core.settings.schema import text_of
from kinetic_auth_core.transport.client import TokenRequest, TokenResponse, Transport

REQUIRED = ("access_token", "instance_url")
OPTIONAL = ("id", "issued_at", "signature", "token_type", "scope")
_MAX_TOKEN = 16_384  # characters: more than servers take in a header
_TIME = re.compile(r"[0-9]{1,16}")  # milliseconds since the epoch, 13 digits today
NOT_JSON = "instead of JSON"


class _TwiceError(ValueError):
    """A name stands in an object twice."""


def json_object(body: bytes) -> dict[str, Any] | str:
    """The JSON object in a body; or why there is none, as the end of a sentence that begins "an answer with ..."."""
    try:
        parsed = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_each_once, parse_constant=_no_number)
    except _TwiceError:
        return "in which a field stands twice"
    except (ValueError, RecursionError) as error:
        raise_interruption(error)
        return NOT_JSON
    return parsed if isinstance(parsed, dict) else NOT_JSON


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError
    return found


def _no_number(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def session_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields of an answer that a session is made of; empty ones count as left out."""
    values = {name: fields[name] for name in (*REQUIRED, *OPTIONAL) if fields.get(name) not in (None, "")}
    if type(values.get("issued_at")) is int:  # not a bool
        values["issued_at"] = _digits(values["issued_at"])
    return values


def _digits(number: int) -> str:
    return str(number) if abs(number) < 10**20 else "too large"  # the text of a huge number takes long to make


def unfit(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with the fields of a token response, as ends of sentences that quote no value."""
    problems = [f"has no `{name}`" for name in REQUIRED if name not in values]
    for name, value in values.items():
        problems += [f"has an invalid `{name}` ({problem})" for problem in _problems(name, value)][:1]
    return problems


def _problems(name: str, value: object) -> Iterator[str]:
    """What is wrong with a field, the first thing first."""
    if not isinstance(value, str):
        yield "not text"
        return
    if not is_encodable(value):
        yield "not valid text"
    if name in {"access_token", "token_type"} and not (value.isascii() and value.isprintable() and " " not in value):
        yield "cannot be sent in a header"
    if name == "access_token" and len(value) > _MAX_TOKEN:
        yield "too long for a header"
    if name == "token_type" and value.lower() != "bearer":
        yield "not Bearer"
    if name == "issued_at" and not _TIME.fullmatch(value):
        yield "not a time in milliseconds"
    if name in {"id", "scope"} and not value.isprintable():
        yield "it has a control character"


_NOT_SALESFORCE = (
    "Check login_url: what answered is not Salesforce's token endpoint, but perhaps a proxy or a parked domain."
)
_STATUS_PAGE = "Try later, and see status.salesforce.com."
_TEXTS = ("error", "error_description")
_REST_ANSWERED = (
    "Check login_url: what answered is Salesforce's REST API or a page of it, and not the token endpoint of an org."
)
#: What a gateway says whose request got no answer; the last five are those of Cloudflare and its like.
_OF_A_GATEWAY = frozenset({502, 504, *range(520, 525)})


class RequestContext(NamedTuple):
    """Who logs in where: what every error of a login names.

    Attributes:
        provider: The provider's name.
        host: The host that is asked.
        username: The user, where the provider knows.
        what: What is done: a login, or something else with the same credential.
    """

    provider: str
    host: str
    username: str | None = None
    what: str = "login"

    @property
    def label(self) -> str:
        """Provider, user and host, for messages and the log; not every provider knows its user."""
        who = f" of {self.username}" if self.username else ""
        return f"{self.provider} {self.what}{who} at {self.host}"

    def failed(self, kind: type[AuthenticationError], what: str, **details: Any) -> AuthenticationError:
        """An error of that kind, which says who, where and what."""
        return kind(
            f"{self.label} failed: {what}", provider=self.provider, host=self.host, username=self.username, **details
        )


def ask(
    send: Callable[[str, TokenRequest], TokenResponse], url: str, request: TokenRequest, context: RequestContext
) -> TokenResponse:
    """Send a request.

    Raises:
        TransportError: There was no answer; it says whose login that was.
    """
    try:
        return send(url, request)
    except TransportError as error:
        details = {"remedy": error.remedy, "status": error.status, "retryable": error.retryable}
        raise context.failed(TransportError, error.message, unanswered=error.unanswered, **details) from error.__cause__


def read_response(
    response: TokenResponse,
    context: RequestContext,
    request: TokenRequest,
    *,
    api_version: str,
    client_secret: str | None,
    must_be_signed: bool = False,
    granted: Callable[[Mapping[str, object]], None] | None = None,
    keeps_unsigned: bool = False,
) -> SalesforceSession:
    """Read the response to a token request.

    Args:
        response: What came back.
        context: Who logs in where.
        request: The request's fields; none of their values may show up in an error.
        api_version: For the session.
        client_secret: Verifies the answer's `signature`; None: it is not verified.
        must_be_signed: An answer without a signature is refused, too, where the secret is known.
        granted: Sees all fields of a good answer, before it is decided whether its session is taken.
        keeps_unsigned: It sees those of an answer with a wrong signature, too: the token that it replaces is spent.

    Raises:
        AuthenticationError: The endpoint refused, or its answer is not usable.
    """
    fields = json_object(response.body)
    if response.status != 200 or isinstance(fields, str) or fields.get("error"):
        raise refusal(response, context, request)
    values = session_values(fields)
    if problems := unfit(values):
        what = f"the token response {', '.join(problems)}."
        raise context.failed(TransportError, what, remedy=_NOT_SALESFORCE, status=response.status)
    if granted is not None and keeps_unsigned:
        granted(MappingProxyType(fields))
    has_to_fit = must_be_signed or "signature" in values
    if client_secret and has_to_fit and not _is_signed(values, client_secret):
        raise context.failed(
            SessionRejectedError,
            "the signature of the answer is wrong, so it does not come from Salesforce.",
            remedy="Check login_url, and that client_secret is the secret of this very app.",
            status=response.status,
        )
    if granted is not None and not keeps_unsigned:
        granted(MappingProxyType(fields))
    if problem := instance_url_problem(values["instance_url"]):
        raise context.failed(
            SessionRejectedError,
            f"the answer's instance_url {problem}.",
            remedy="Do not use this host; check login_url.",
            status=response.status,
        )
    values.setdefault("issued_at", str(int(response.at * 1000)))
    values.setdefault("id", "")
    return SalesforceSession(
        **values,
        api_version=api_version,
        username=context.username,
        expires_at=_expires_at(fields, response),
        extra=_extra(fields, request),
    )


def _expires_at(fields: Mapping[str, Any], response: TokenResponse) -> float | None:
    """When the token ends, by our clock: lifetimes are counted from the answer, whatever the server's clock says."""
    lives_s = [number(fields.get("expires_in"))]
    if (times := jwt_times(fields["access_token"])) is not None:
        issued, expires = times
        lives_s.append(expires - (answered_at(response.headers) or response.at))  # it may have been issued before
        lives_s.append(None if issued is None else expires - issued)
    known = [life_s for life_s in lives_s if life_s is not None and life_s > 0]
    return response.at + min(known) if known else None


def _extra(fields: Mapping[str, Any], request: TokenRequest) -> dict[str, str]:
    """The fields that no attribute of a session has; without those that repeat the token or what we sent."""
    others = {name: text for name, text in fields.items() if name not in {*REQUIRED, *OPTIONAL, "expires_in"}}
    found = harmless_texts(others)
    token = fields["access_token"]
    return {name: text for name, text in found.items() if token not in text and request.masked(text) == text}


def refusal(response: TokenResponse, context: RequestContext, request: TokenRequest) -> AuthenticationError:
    """The error for an answer that is not a success."""
    fields = json_object(response.body)
    if (listed := _of_rest(response.body)) is not None:
        error = _refusal(response.status, listed, context, request, _REST_ANSWERED)
    elif isinstance(fields, str):
        error = _no_answer(response, context, request, fields)
    elif not isinstance(fields.get("error"), str):
        error = _no_answer(response, context, request, "that is neither a session nor an error")
    else:
        error = _refusal(response.status, fields, context, request)
    error.retry_after_s = retry_after_s(response.headers, response.at)
    if isinstance(error, RateLimitedError):
        error.retry_after_s = max(error.retry_after_s or 0.0, FIRST_LIMIT_PAUSE_S)
    return error


def _of_rest(body: bytes) -> dict[str, str] | None:
    """The first error of Salesforce's REST layer (`[{"errorCode": ..., "message": ...}]`), by the names of OAuth's."""
    try:
        found = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise_interruption(error)
        return None
    first = found[0] if isinstance(found, list) and found else found
    if not isinstance(first, dict) or not isinstance(code := first.get("errorCode"), str) or "error" in first:
        return None
    message = first.get("message")
    return {"error": code, "error_description": message if isinstance(message, str) else ""}


def _no_answer(
    response: TokenResponse, context: RequestContext, request: TokenRequest, why: str
) -> AuthenticationError:
    kind = request.quoted(response.headers.get("Content-Type", "").partition(";")[0]).lower()
    if why == NOT_JSON and kind.endswith("json"):
        why = "that is not a JSON object"
    what = f"HTTP {response.status} with {kind or 'no content type'} {why}."
    if response.status == 429 or response.status >= 500:
        return context.failed(
            ServiceUnavailableError,
            what,
            remedy=_STATUS_PAGE,
            status=response.status,
            retryable=True,
            unanswered=response.status in _OF_A_GATEWAY,
        )
    return context.failed(TransportError, what, remedy=_NOT_SALESFORCE, status=response.status)


def _refusal(
    status: int, fields: Mapping[str, Any], context: RequestContext, request: TokenRequest, otherwise: str = ""
) -> AuthenticationError:
    error, described, known = _told(fields, request)
    details = {"error": error, "description": described or None, "status": status}
    what = f"{error}: {described} (HTTP {status})." if described else f"{error} (HTTP {status})."
    if known is None:
        if status == 429 or status >= 500:
            return context.failed(TransientAuthenticationError, what, remedy=_STATUS_PAGE, retryable=True, **details)
        return context.failed(AuthenticationError, what, remedy=otherwise, **details)
    kinds = {
        Kind.REJECTED: CredentialsRejectedError,
        Kind.TRANSIENT: TransientAuthenticationError,
        Kind.RATE_LIMITED: RateLimitedError,
    }
    return context.failed(
        kinds.get(known.kind, AuthenticationError),
        what,
        remedy=remedy_for(known, request.fields.get("grant_type", "")),
        retryable=known.kind is Kind.TRANSIENT,
        **details,
    )


def _told(fields: Mapping[str, Any], request: TokenRequest) -> tuple[str, str, KnownError | None]:
    """An answer's `error` and `error_description`, as they may be quoted; and what they mean, if that is known.

    Words of a known error stay even where a secret is one of them: without them the guards would not recognise the
    rejection, and a gap in a known sentence would reveal the secret.
    """
    error, described = (text.strip() if isinstance(text := fields.get(name), str) else "" for name in _TEXTS)
    known, quoted = known_error(error, described), request.quoted(described)
    if known is None:
        return request.quoted(error), quoted, None
    return error, quoted if known.fits(error, quoted) else described[: len(known.description)], known


def _is_signed(values: Mapping[str, str], client_secret: str) -> bool:
    message = values.get("id", "") + values.get("issued_at", "")
    digest = hmac.new(client_secret.encode(), message.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest), values.get("signature", "").encode())


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
    secret = text_of(app.client_secret) or ""
    request = TokenRequest(
        {
            "token": session.access_token,
            "token_type_hint": "access_token",
            "client_id": app.client_id,
            "client_secret": secret,
        },
        [session.access_token, secret],
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
