"""A stand-in identity provider: it issues tokens, publishes its keys, and answers jobs as GitHub Actions does."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator.content import json_answer

PATH: Final = "/identity-provider"
AUDIENCE: Final = "https://acme.my.salesforce.com"


@functools.cache
def _signing_key() -> rsa.RSAPrivateKey:
    """One key for all identity providers of a process."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwks_of(key: rsa.RSAPublicKey, kid: str) -> dict[str, Any]:
    """A key set (RFC 7517) with one RSA key."""
    return {"keys": [{**jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True), "kid": kid, "alg": "RS256"}]}


class IdentityProvider:
    """An issuer of subject tokens, served by the emulator below `/identity-provider`.

    Args:
        clock: Returns the time in Unix seconds.
        origin: Returns the address of the server.
    """

    def __init__(self, clock: Callable[[], float], origin: Callable[[], str]) -> None:
        self._clock = clock
        self._origin = origin
        self._request_token = secrets.token_urlsafe(24)

    @property
    def issuer(self) -> str:
        """Its `iss`, which is its address."""
        return f"{self._origin()}{PATH}"

    def jwks(self) -> dict[str, Any]:
        """Its key set, which it serves at `<issuer>/keys`."""
        return jwks_of(_signing_key().public_key(), "identity-provider-1")

    def issue(self, subject: str, *, key: Any = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Issue a JWT that lives for 600 s.

        Args:
            subject: Its `sub`.
            key: Another key to sign with, for forgeries.
            headers: Other fields of its header, such as `alg` or `kid`.
            **claims: Other claims, such as `aud`, which is `AUDIENCE` by default; None leaves one out.
        """
        now = int(self._clock())
        body = {"iss": self.issuer, "sub": subject, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600}
        body |= {"jti": secrets.token_urlsafe(16), **claims}
        header = {"kid": "identity-provider-1", "alg": "RS256", **(headers or {})}
        payload = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
        return jwt.PyJWS().encode(payload, key or _signing_key(), header["alg"], header)

    def github_variables(self, subject: str) -> dict[str, str]:
        """The variables by which a job of GitHub Actions asks for its token, here with this subject."""
        url = f"{self.issuer}/token/{subject}?api-version=2.0"
        return {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self._request_token}

    def keys(self, _request: Request) -> Response:
        """Answer `/keys`."""
        return json_answer(self.jwks())

    def token(self, request: Request, subject: str) -> Response:
        """Answer a job's `/token/<subject>`; without an `audience` the token is for the owner on GitHub."""
        if request.headers.get("Authorization") != f"Bearer {self._request_token}":
            return json_answer({"message": "Unauthorized"}, 401)
        token = self.issue(subject, aud=request.args.get("audience", "https://github.com/acme"))
        return json_answer({"count": len(token), "value": token})
