"""The JWT bearer assertion (RFC 7523), checked by PyJWT, another implementation than the client's python-jose."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import jwt

from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.models import App
from kinetic_auth_core.testing.emulator.oauth_errors import OAuthError
from kinetic_auth_core.testing.emulator.org import Org

EXPIRY_ALLOWANCE_S: Final = 180
"""Seconds by which an assertion may have expired, to allow for clock skew."""

MAX_AHEAD_S: Final = 300
"""Seconds by which `exp` may lie ahead under the strict policy."""

_JWS = jwt.PyJWS()


def check_assertion(org: Org, assertion: str) -> tuple[App, str]:
    """The app and the user of an assertion that is as the token endpoint wants it; else an `OAuthError`."""
    claims = _claims(assertion)
    issuer = claims.get("iss")
    subject = claims.get("prn", claims.get("sub"))
    if not isinstance(issuer, str) or not isinstance(subject, str):
        raise OAuthError(*errors.ASSERTION)
    app = org.apps.get(issuer)
    try:
        if app is None:
            raise OAuthError(*errors.CLIENT_ID)
        if not _signed_by(app, assertion, org.clock()):
            raise OAuthError(*errors.ASSERTION, history="Failed: Invalid assertion signature")
        audience = claims.get("aud")
        own = {org.url} - {org.own_url}  # as a client on another machine names it
        if not isinstance(audience, str) or audience not in org.policy.audiences | own:
            raise OAuthError(*errors.AUDIENCE)
        _check_expiry(org, claims.get("exp"))
    except OAuthError as refused:
        user = org.find_user(subject)
        refused.username = None if user is None else user.username
        refused.client_id = issuer
        raise
    return app, subject


def _claims(assertion: str) -> dict[str, Any]:
    try:
        payload = _JWS.decode_complete(assertion, options={"verify_signature": False})["payload"]
        claims = json.loads(payload, parse_constant=_no_number)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise OAuthError(*errors.ASSERTION) from error
    if not isinstance(claims, dict):
        raise OAuthError(*errors.ASSERTION)
    return claims


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _check_expiry(org: Org, expiry: object) -> None:
    strict = org.policy.strict_exp
    # As text by simple-salesforce and the sample of Salesforce's help page; in milliseconds by @salesforce/core.
    if isinstance(expiry, str) and not strict and re.fullmatch(r"\d{1,20}(\.\d{1,20})?", expiry):
        expiry = float(expiry)
    if isinstance(expiry, bool) or not isinstance(expiry, int | float):
        raise OAuthError(*errors.ASSERTION)
    now = org.clock()
    # Compared, not subtracted: an integer may be too large for a float.
    if expiry < now - EXPIRY_ALLOWANCE_S or (strict and expiry > now + MAX_AHEAD_S):
        raise OAuthError(*errors.EXPIRED_ASSERTION)


def _signed_by(app: App, assertion: str, now: float) -> bool:
    for certificate in app.certificates:
        if certificate.not_after.timestamp() > now:
            try:
                _JWS.decode_complete(assertion, certificate.public_key, algorithms=["RS256"])
            except jwt.InvalidTokenError:
                continue
            return True
    return False
