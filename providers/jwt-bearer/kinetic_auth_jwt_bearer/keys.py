"""RSA private keys: where they are read from, what is checked, and what an unfit one is called.

Functions that hold a key's text return what is wrong instead of raising it, so that no traceback has the text among its
locals.
"""

import hashlib
import re
from pathlib import Path
from typing import Protocol, Self

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kinetic_auth_core import KeyLoadError, PrivateKeyNotFoundError

MIN_BITS = 2048

_NEW_KEY = "Make one with: openssl genrsa -out server.key 2048"
_GIVE_PRIVATE = (
    "Give the private key, a PEM block that begins with -----BEGIN PRIVATE KEY----- or BEGIN RSA PRIVATE KEY."
)


class KeyMaterial(Protocol):
    """Where a key's text comes from."""

    @property
    def called(self) -> str:
        """How messages call it."""
        ...

    def read(self) -> bytes:
        """The PEM."""
        ...


@attrs.frozen
class PrivateKeyText:
    """A key that was given as text."""

    _text: str = attrs.field(repr=False)
    called: str

    def read(self) -> bytes:
        """The PEM."""
        return self._text.encode()


@attrs.frozen
class PrivateKeyFile:
    """A key in a file."""

    path: Path

    @property
    def called(self) -> str:
        """The path, for messages."""
        return f"the private key file {self.path}"

    def read(self) -> bytes:
        """The PEM.

        Raises:
            PrivateKeyNotFoundError: There is no such file.
            KeyLoadError: It cannot be read.
        """
        try:
            return self.path.expanduser().read_bytes()
        except FileNotFoundError as error:
            raise PrivateKeyNotFoundError(
                f"Private key not found: {self.path.expanduser().absolute()} does not exist.",
                remedy="Verify private_key_path (SF_PRIVATE_KEY_PATH): that it is correct and that the file exists.",
                filename=str(self.path),
            ) from error
        except PermissionError as error:
            raise KeyLoadError(
                f"{self.called} cannot be read: {error.strerror}.",
                remedy="Let the user that runs this process read it (chown, chmod 600).",
            ) from error
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path; a home that is not known
            raise KeyLoadError(
                f"{self.called} cannot be read: {getattr(error, 'strerror', None) or error}.",
                remedy="Let private_key_path (SF_PRIVATE_KEY_PATH) name the file itself.",
            ) from error


@attrs.frozen
class Unfit:
    """Why something is not the key that is needed."""

    what: str
    remedy: str


@attrs.frozen
class LocalSigner:
    """Signs with an RSA key in this process (RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518).

    Attributes:
        key_id: SHA-256 over the public key (SubjectPublicKeyInfo, DER), as hex.
        algorithm: `RS256`.
    """

    _key: rsa.RSAPrivateKey = attrs.field(repr=False)
    key_id: str
    algorithm: str = "RS256"

    @classmethod
    def of(cls, material: KeyMaterial, passphrase: str | None) -> Self:
        """Read and check a key.

        Raises:
            PrivateKeyNotFoundError: Its file is not there.
            KeyLoadError: It cannot be read, or is no RSA private key of 2048 bits or more.
        """
        password = _Passphrase(passphrase)
        del passphrase  # not among the locals of a traceback
        outcome = _parse(material.read(), password)
        if isinstance(outcome, Unfit):
            raise KeyLoadError(f"{material.called} {outcome.what}.", remedy=outcome.remedy)
        public = outcome.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(outcome, hashlib.sha256(public).hexdigest())

    def sign(self, message: bytes) -> bytes:
        """Sign `message`."""
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())


@attrs.frozen
class _Passphrase:
    text: str | None = attrs.field(repr=False)

    def encoded(self) -> bytes | None:
        return self.text.encode() if self.text else None


def _parse(pem: bytes, passphrase: _Passphrase) -> rsa.RSAPrivateKey | Unfit:
    pem = pem.removeprefix(b"\xef\xbb\xbf").strip()
    if unfit := _unfit_by_look(pem, passphrase):
        return unfit
    try:
        key = serialization.load_pem_private_key(pem, _password_for(pem, passphrase))
    except UnsupportedAlgorithm:
        return Unfit("holds a key of a kind that is not supported", _NEW_KEY)
    except (ValueError, TypeError):
        if _is_encrypted(pem):
            return Unfit("is encrypted, and passphrase does not open it", "Check passphrase (SF_PASSPHRASE).")
        return Unfit("is damaged: it looks like a private key, but cannot be read as one", _GIVE_PRIVATE)
    if not isinstance(key, rsa.RSAPrivateKey):
        kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
        return Unfit(f"is a key of the kind {kind}, but Salesforce takes only RSA (RS256)", _NEW_KEY)
    if key.key_size < MIN_BITS:
        return Unfit(f"is an RSA key of {key.key_size} bits, but Salesforce wants {MIN_BITS} or more", _NEW_KEY)
    return key


def _password_for(pem: bytes, passphrase: _Passphrase) -> bytes | None:
    """The passphrase, for an encrypted key only: for others the library would refuse it."""
    return passphrase.encoded() if _is_encrypted(pem) else None


def _is_encrypted(pem: bytes) -> bool:
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem or b"Proc-Type: 4,ENCRYPTED" in pem


def _unfit_by_look(pem: bytes, passphrase: _Passphrase) -> Unfit | None:
    """What something is that is obviously not a private key."""
    labels = [label.decode() for label in re.findall(rb"-----BEGIN ([A-Z0-9 ]+)-----", pem)]
    kind = next((label for label in labels if "PRIVATE KEY" in label), labels[0] if labels else "")
    if not pem:
        return Unfit("is empty", _GIVE_PRIVATE)
    if not kind:
        if b"\n" not in pem and (b"/" in pem or pem.endswith((b".key", b".pem"))) and len(pem) < 512:
            return Unfit("looks like a path, not like a key", "Give a path as private_key_path.")
        return Unfit("is no PEM: there is no -----BEGIN ...----- line in it", _GIVE_PRIVATE)
    if _is_encrypted(pem) and passphrase.text is None:
        return Unfit("is an encrypted key, and no passphrase is set", "Set passphrase (SF_PASSPHRASE).")
    if "PRIVATE KEY" in kind:
        return None
    if "CERTIFICATE" in kind:
        return Unfit("is a certificate, not a private key", f"Upload the certificate to the app. {_GIVE_PRIVATE}")
    if "PUBLIC KEY" in kind:
        return Unfit("is a public key, not a private key", _GIVE_PRIVATE)
    return Unfit(f"holds {kind.lower()}, not a private key", _GIVE_PRIVATE)
