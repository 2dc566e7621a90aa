"""RSA private keys as JSON Web Keys (RFC 7517; their members in RFC 7518, section 6.3).

Returns what is wrong instead of raising it; see `key_formats`.
"""

import base64
import json
import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from kinetic_auth_jwt_bearer.unfit import GIVE_PRIVATE, NEW_KEY, Unfit

#: Of a number with 16384 bits, in base64: more than any library reads.
_MAX_DIGITS = 2731
#: Names of RFC 7518 and RFC 8037, so that no other text is quoted.
_OTHER_KINDS = frozenset({"EC", "OKP", "oct"})

_ESCAPED_QUOTE = re.compile(rb'\\+"')

_DAMAGED = Unfit("is a damaged JWK: its numbers are not those of an RSA private key", GIVE_PRIVATE)
_PUBLIC = Unfit("is a JWK that is public: it has no member d", GIVE_PRIVATE)
_NO_JWK = Unfit(
    "is JSON, but no JWK",
    "If the key is a field of it, name the field: a reference such as file://PATH#FIELD takes it out.",
)


def key_of_jwk(text: bytes) -> rsa.RSAPrivateKey | Unfit:
    """Read a JWK.

    Args:
        text: JSON.

    Returns:
        The key, not yet checked for its size; or what is there instead.
    """
    jwk = _parsed(text) or _parsed(_ESCAPED_QUOTE.sub(b'"', text))
    if jwk is None:
        return Unfit("begins like JSON, but is none", GIVE_PRIVATE)
    if isinstance(jwk.get("keys"), list):
        return Unfit("is a set of JWKs, not one", "Give the one private key of the set.")
    kind = jwk.get("kty")
    if kind != "RSA":
        if isinstance(kind, str) and kind in _OTHER_KINDS:
            return Unfit(f"is a JWK of the kind {kind}, but Salesforce takes only RSA (RS256)", NEW_KEY)
        return _NO_JWK
    if "d" not in jwk:
        return _PUBLIC
    try:
        return _key(jwk)
    except (ValueError, TypeError, KeyError, ArithmeticError):
        return _DAMAGED


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        jwk: dict[str, Any] = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return jwk


def _key(jwk: dict[str, Any]) -> rsa.RSAPrivateKey:
    n, e, d = (_number(jwk[name]) for name in ("n", "e", "d"))
    if not (1 < e < n and 1 < d < n and pow(pow(2, e, n), d, n) == 2):
        raise ValueError  # before primes are looked for that are not there
    # The primes need not be there (section 6.3.2): they follow from the others.
    p, q = (_number(jwk["p"]), _number(jwk["q"])) if {"p", "q"} <= set(jwk) else rsa.rsa_recover_prime_factors(n, e, d)
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(e, n),
    )
    return numbers.private_key()


def _number(digits: str) -> int:
    """A number in base64url, whose padding is left out."""
    if len(digits) > _MAX_DIGITS:
        raise ValueError
    return int.from_bytes(base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4)), "big")
