"""Where a private key is read from, and the signer that it becomes. What its bytes are: `key_formats`."""

import hashlib
import logging
import os
import shlex
import stat
from pathlib import Path
from typing import Protocol, Self

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kinetic_auth_core import KeyLoadError, PrivateKeyNotFoundError
from kinetic_auth_jwt_bearer.key_formats import read_key
from kinetic_auth_jwt_bearer.unfit import Passphrase, Unfit

logger = logging.getLogger(__name__)

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyMaterial(Protocol):
    """Where a key comes from."""

    @property
    def called(self) -> str:
        """How messages call it."""
        ...

    def read(self) -> bytes:
        """What is there, in whatever format."""
        ...

    def warn_if_exposed(self) -> None:
        """Log a warning if others can get at it."""
        ...


@attrs.frozen
class PrivateKeyText:
    """A key that was given as text, or as the bytes of a file."""

    _text: str | bytes = attrs.field(repr=False)
    called: str

    def read(self) -> bytes:
        """The text, as bytes."""
        return self._text.encode() if isinstance(self._text, str) else self._text

    def warn_if_exposed(self) -> None:
        """Nothing: who can see a process's variables or a vault's values is not seen from here."""


@attrs.frozen
class PrivateKeyFile:
    """A key in a file."""

    path: Path

    @property
    def called(self) -> str:
        """The path, for messages."""
        return f"the private key file {self.path}"

    def read(self) -> bytes:
        """What the file holds.

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
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no such home; ValueError: a NUL
            raise KeyLoadError(
                f"{self.called} cannot be read: {getattr(error, 'strerror', None) or error}.",
                remedy="Let private_key_path (SF_PRIVATE_KEY_PATH) name the file itself.",
            ) from error

    def warn_if_exposed(self) -> None:
        """Log a warning, with what to type, if the file's mode lets group or others in."""
        path = self.path.expanduser()
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:  # it was read, and is gone or replaced since
            return
        if os.name == "posix" and mode & _OPEN_TO_OTHERS:
            logger.warning(
                "%s is open to other users of this machine (mode %04o). Close it: chmod 600 %s",
                *(self.called, mode, shlex.quote(str(path))),
            )


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
        password = Passphrase(passphrase)
        del passphrase  # not among the locals of a traceback
        outcome = read_key(material.read(), password)
        if isinstance(outcome, Unfit):
            raise KeyLoadError(f"{material.called} {outcome.what}.", remedy=outcome.remedy)
        material.warn_if_exposed()
        public = outcome.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(outcome, hashlib.sha256(public).hexdigest())

    def sign(self, message: bytes) -> bytes:
        """Sign `message`."""
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def public_key(self) -> bytes:
        """The public key, PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
