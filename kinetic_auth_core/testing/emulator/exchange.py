"""Token exchange (RFC 8693): an app's token handlers, which check a subject token and name its user."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import jwt

from kinetic_auth_core.testing.emulator import oauth_errors as errors
from kinetic_auth_core.testing.emulator.oauth_errors import OAuthError


@attrs.define(eq=False, kw_only=True)
class TokenHandler:
    """A token exchange handler of an app. All of it may be changed while the emulator runs.

    Args:
        name: What a request names in `token_handler`.
        issuer: The `iss` that it trusts.
        audience: The only `aud` that it takes, as text or as a list of one.
        keys: Returns the issuer's key set (RFC 7517).
        subjects: The username of each `sub`.
        token_type: The `subject_token_type` that it takes, in any case.
        single_use: True to refuse a token whose `jti` it has seen.
    """

    name: str
    issuer: str
    audience: str
    keys: Callable[[], Mapping[str, Any]] = attrs.field(repr=False)
    subjects: dict[str, str] = attrs.field(factory=dict)
    token_type: str = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105 - the name of a type
    single_use: bool = False
    _used: set[object] = attrs.field(factory=set, init=False, repr=False)

    def username(self, token: str, token_type: str, now: float) -> str:
        """The user that a subject token stands for at `now` (Unix seconds); the login history says what is wrong."""
        _require(token_type.lower() == self.token_type.lower(), "wrong token type")
        claims = self._verified(token)
        subject, jti = claims.get("sub"), claims.get("jti")
        _require(claims.get("iss") == self.issuer, "wrong issuer")
        _require(claims.get("aud") in (self.audience, [self.audience]), "wrong audience")
        _require(_number(claims.get("exp")) > now, "expired")
        _require(_number(claims.get("nbf", 0)) <= now, "not yet valid")
        _require(isinstance(subject, str) and subject, "no subject")
        _require(str(subject) in self.subjects, "unknown subject")
        _require(not (self.single_use and jti in self._used), "used before")
        self._used.add(jti)
        return self.subjects[str(subject)]

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims of a token that the issuer has signed."""
        try:
            header = jwt.get_unverified_header(token)
            _require(header["alg"] == "RS256", "wrong algorithm")
            key: Mapping[str, Any] = next(
                (each for each in self.keys()["keys"] if each["kid"] == header.get("kid")), {}
            )
            _require(key, "unknown key")
            claims = json.loads(jwt.PyJWS().decode(token, jwt.PyJWK(dict(key)).key, algorithms=["RS256"]))
        except (jwt.InvalidTokenError, ValueError, LookupError, RecursionError) as error:
            is_forged = isinstance(error, jwt.InvalidSignatureError)
            raise _refused("wrong signature" if is_forged else "malformed") from error
        _require(isinstance(claims, dict), "malformed")
        return dict(claims)


def _number(value: object) -> float:
    return float("nan") if isinstance(value, bool) or not isinstance(value, int | float) else value


def _require(holds: object, what: str) -> None:
    if not holds:
        raise _refused(what)


def _refused(what: str) -> OAuthError:
    return OAuthError(*errors.HANDLER_VALIDATION, history=f"Failed: Token handler: {what}")
