"""The assertion (RFC 7523, section 3), signed by python-jose with a `Signer`."""

from typing import Any

from jose import jwt
from jose.backends.base import Key
from jose.exceptions import JOSEError

from kinetic_auth_core import KeyLoadError, KineticAuthError, Signer

#: Validity of an assertion in seconds. Salesforce accepts at most 3 minutes.
LIFETIME_S = 180
ALGORITHM = "RS256"


class AssertionKey(Key):
    """Presents a `Signer` to python-jose as a key: jose encodes, the signer signs.

    Args:
        signer: The signer.

    Raises:
        KeyLoadError: Its algorithm is not RS256, the only one that Salesforce accepts.
    """

    def __init__(self, signer: Signer) -> None:
        if signer.algorithm != ALGORITHM:
            raise KeyLoadError(
                f"the key {signer.key_id} signs with {signer.algorithm}; Salesforce accepts only {ALGORITHM}.",
                remedy="Use an RSA key of 2048 bits or more.",
            )
        self.signer = signer

    @property
    def fingerprint(self) -> str:
        """The id of the key; not secret."""
        return self.signer.key_id

    def sign(self, msg: bytes) -> bytes:
        """Sign the encoded header and claims."""
        return self.signer.sign(msg)


def sign_assertion(key: Any, *, issuer: str, subject: str, audience: str, now: float) -> str:
    """Make a signed assertion.

    Args:
        key: An `AssertionKey`.
        issuer: The Consumer Key.
        subject: The username.
        audience: One URL, with scheme.
        now: Unix seconds.

    Returns:
        The compact JWS.

    Raises:
        KineticAuthError: An error of the signer.
    """
    claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": int(now) + LIFETIME_S}
    try:
        return str(jwt.encode(claims, key, algorithm=ALGORITHM))
    except JOSEError as error:  # python-jose wraps the error of the signer in its own
        failure = error.__context__ if isinstance(error.__context__, KineticAuthError) else error
    raise failure
