"""What all keys in a KMS have in common: their public half, and the requirements of Salesforce."""

import base64
import hashlib
import textwrap

import attrs

from kinetic_auth_core import Reference
from kinetic_auth_secret_manager.problems import Problem

#: Salesforce accepts only RS256, and RFC 7518, section 3.3, requires 2048 bits or more.
ALGORITHM = "RS256"
MIN_BITS = 2048

RSA_WANTED = "Name an RSA key for signing of 2048 bits or more."


@attrs.frozen
class RemoteSigner:
    """The common part of signers with a key in a KMS. Signers with the same version of the same key are equal.

    Attributes:
        reference: The reference that names it.
        version: The KMS's own name of this version of the key.
        spki: Its public half, SubjectPublicKeyInfo (RFC 5280), DER.
    """

    reference: Reference = attrs.field(eq=str)
    version: str
    spki: bytes = attrs.field(repr=False)

    @property
    def algorithm(self) -> str:
        """`RS256`."""
        return ALGORITHM

    @property
    def key_id(self) -> str:
        """SHA-256 of the public key, as hex, as for a local key."""
        return hashlib.sha256(self.spki).hexdigest()

    def public_key(self) -> bytes:
        """The public key as PEM, for a certificate."""
        lines = textwrap.wrap(base64.b64encode(self.spki).decode(), 64)
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()


def not_rsa(kind: str) -> Problem:
    """The problem with a key of another type."""
    return Problem(f"the key has the type {kind}, but Salesforce accepts only RSA (RS256)", RSA_WANTED)


def too_short(bits: int) -> Problem:
    """The problem with a short key."""
    return Problem(f"the key is an RSA key of {bits} bits, but Salesforce requires {MIN_BITS} or more", RSA_WANTED)


def not_for_signing(usage: str) -> Problem:
    """The problem with a key for another purpose."""
    return Problem(f"the key is not for signing, but for {usage}", RSA_WANTED)
