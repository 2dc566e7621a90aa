"""What every key that stays in a KMS has in common: its public half, and what Salesforce asks of it."""

import base64
import hashlib
import textwrap

import attrs

from kinetic_auth_core import Reference
from kinetic_auth_secret_manager.problems import Problem

#: Salesforce takes RS256 only, and RFC 7518, section 3.3, asks for 2048 bits or more.
ALGORITHM = "RS256"
MIN_BITS = 2048

RSA_WANTED = "Name an RSA key of 2048 bits or more that is made for signing."


@attrs.frozen
class RemoteKey:
    """A key in a KMS. Records of the same version of the same key are equal.

    Attributes:
        reference: What named it.
        version: The KMS's own name of exactly this key, with its version.
        spki: Its public half, SubjectPublicKeyInfo (RFC 5280), DER.
    """

    reference: Reference = attrs.field(eq=str)
    version: str
    spki: bytes = attrs.field(repr=False)

    @property
    def key_id(self) -> str:
        """SHA-256 over the public key, as hex: the same as for a local key."""
        return hashlib.sha256(self.spki).hexdigest()

    def public_key(self) -> bytes:
        """The public key as PEM, to make a certificate of."""
        lines = textwrap.wrap(base64.b64encode(self.spki).decode(), 64)
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()


@attrs.frozen
class RemoteSigner:
    """What all signers with a key in a KMS tell of themselves; each signs in its own way.

    Attributes:
        key: Which key, and which version of it.
    """

    key: RemoteKey

    @property
    def algorithm(self) -> str:
        """`RS256`."""
        return ALGORITHM

    @property
    def key_id(self) -> str:
        """SHA-256 over the public key, as hex."""
        return self.key.key_id

    def public_key(self) -> bytes:
        """The public key as PEM."""
        return self.key.public_key()


def not_rsa(kind: str) -> Problem:
    """The problem of a key of another type."""
    return Problem(f"the key is of the type {kind}, but Salesforce takes only RSA (RS256)", RSA_WANTED)


def too_short(bits: int) -> Problem:
    """The problem of a short key."""
    return Problem(f"the key is an RSA key of {bits} bits, but Salesforce wants {MIN_BITS} or more", RSA_WANTED)


def not_for_signing(usage: str) -> Problem:
    """The problem of a key with another purpose."""
    return Problem(f"the key is not for signing, but for {usage}", RSA_WANTED)
