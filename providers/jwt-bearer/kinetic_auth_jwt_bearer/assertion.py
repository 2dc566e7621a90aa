"""The assertion (RFC 7523, section 3), signed by python-jose with whatever `Signer` holds the key."""

from typing import Any

from jose import jwt
from jose.backends.base import Key
from jose.exceptions import JOSEError

from kinetic_auth_core import KeyLoadError, KineticAuthError, Signer

#: How far ahead `exp` lies. Salesforce takes at most 3 minutes.
LIFETIME_S = 180
ALGORITHM = "RS256"


class AssertionKey(Key):
    """python-jose's view of a `Signer`: jose frames and encodes, the signer signs, wherever its key is.

    Args:
        signer: Holds the key.

    Raises:
        KeyLoadError: It signs with something else than RS256, which is all that Salesforce takes.
    """

    def __init__(self, signer: Signer) -> None:
        if signer.algorithm != ALGORITHM:
            raise KeyLoadError(
                f"the key {signer.key_id} signs with {signer.algorithm}; Salesforce takes only {ALGORITHM}.",
                remedy="Use an RSA key of 2048 bits or more.",
            )
        self.signer = signer

    @property
    def fingerprint(self) -> str:
        """Which key it is, without the key."""
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
        KineticAuthError: What the signer raised.
    """
    claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": int(now) + LIFETIME_S}
    try:
        return str(jwt.encode(claims, key, algorithm=ALGORITHM))
    except JOSEError as error:  # python-jose puts an error of its own around that of the signer
        failure = error.__context__ if isinstance(error.__context__, KineticAuthError) else error
    raise failure
