"""Reads a private key from text, bytes or a file, and signs with it; reads a certificate.

The formats of keys are in `formats`.
"""

import contextlib
import hashlib
import logging
import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from kinetic_auth_core.concurrency import no_fork, raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError, PrivateKeyNotFoundError, import_problem
from kinetic_auth_core.locations import absolute, read_file
from kinetic_auth_core.redaction import secret_boundary

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

logger = logging.getLogger(__name__)

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def require_cryptography(purpose: str) -> None:
    """Check that cryptography is there and works in this interpreter.

    Args:
        purpose: What needs it, the beginning of the error's sentence.

    Raises:
        ConfigurationError: It is not installed, or does not import: it is damaged, was built for another machine, or
            does not work in a subinterpreter.
    """
    try:
        import cryptography  # noqa: F401 - only whether it is there

        import kinetic_auth_core.keys.formats  # noqa: F401 - and whether it works
    except ImportError as error:
        problem = import_problem("cryptography", error)
        remedy = 'pip install cryptography; the extra has it too: pip install "kinetic-auth-core[jwt-bearer]"'
        if problem != "is not installed":
            remedy = "Reinstall it for this machine and Python; in a subinterpreter, log in in the main interpreter."
        raise ConfigurationError(f"{purpose} needs cryptography, which {problem}.", remedy=remedy) from error


class LocalSigner:
    """Signs with an RSA key in this process (RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518).

    Args:
        private_key: The key; a secret.
        key_id: SHA-256 of the public key (SubjectPublicKeyInfo, DER), as hex.

    Attributes:
        algorithm: `RS256`.
    """

    algorithm = "RS256"

    def __init__(self, private_key: "rsa.RSAPrivateKey", key_id: str) -> None:
        self.private_key = private_key
        self.key_id = key_id

    @classmethod
    def import_modules(cls) -> None:
        """Import what reading a key and signing with it need: cryptography, where it is installed."""
        with contextlib.suppress(ImportError):
            import kinetic_auth_core.keys.formats  # noqa: F401 - for `read_private_key`

    def sign(self, message: bytes) -> bytes:
        """Sign `message`."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        with no_fork:
            return self.private_key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def public_key(self) -> bytes:
        """The public key, PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@secret_boundary
def read_private_key(
    key: str | bytes | Path,
    passphrase: str | bytes | None = None,
    *,
    label: str = "private_key",
    path_setting: str = "private_key_path (SF_PRIVATE_KEY_PATH)",
    unlock_remedy: str = "Set or correct passphrase (SF_PASSPHRASE).",
) -> LocalSigner:
    """Read an RSA private key: PEM, DER, PKCS12 or JWK, or base64 of one of them.

    Byte order marks, quotes, escaped or lost line ends and UTF-16 are accepted. A warning is logged for a file that
    other users of the machine can access.

    Args:
        key: The key as text or bytes; or the path of its file.
        passphrase: Of an encrypted key; ignored for others.
        label: What messages call a key that is not a file.
        path_setting: The setting that messages name for correcting the path.
        unlock_remedy: The remedy where the passphrase is missing or wrong.

    Raises:
        PrivateKeyNotFoundError: The file does not exist.
        KeyLoadError: It cannot be read, or is not an RSA private key of 2048 bits or more.
        ConfigurationError: cryptography is not installed.
    """
    require_cryptography("reading a private key")
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from kinetic_auth_core.keys.formats import LockedKey, UnusableKey, parse_private_key

    if isinstance(key, Path):
        label = f"the private key file {key}"
    contents = _contents(key, label, path_setting)
    try:
        with no_fork:
            parsed = parse_private_key(contents, _encoded(passphrase))
            public = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except UnusableKey as error:
        remedy = unlock_remedy if isinstance(error, LockedKey) else error.remedy
        problem = KeyLoadError(f"{label} {error.what}.", remedy=remedy)
    else:
        if isinstance(key, Path):
            _warn_if_exposed(key, label)
        return LocalSigner(parsed, hashlib.sha256(public).hexdigest())
    raise problem  # without the parser's errors as its context: they may quote the key


def _encoded(text: str | bytes | None) -> bytes | None:
    return text.encode(errors="replace") if isinstance(text, str) else text


def _contents(key: str | bytes | Path, label: str, path_setting: str) -> bytes:
    if not isinstance(key, Path):
        return _encoded(key) or b""
    try:
        return read_file(key.expanduser())
    except FileNotFoundError as error:
        unexpanded = (
            " $NAME is not replaced in a path: write ~, or ${NAME} in a config file." if "$" in str(key) else ""
        )
        raise PrivateKeyNotFoundError(
            f"Private key not found: {absolute(key.expanduser())} does not exist.",
            remedy=f"Verify {path_setting}: that it is correct and that the file exists.{unexpanded}",
            filename=str(key),
        ) from error
    except PermissionError as error:
        raise KeyLoadError(
            f"{label} cannot be read: {error.strerror}.",
            remedy="Let the user that runs this process read it (chown, chmod 600).",
        ) from error
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: unknown home folder; ValueError: NUL
        raise_interruption(error)
        raise KeyLoadError(
            f"{label} cannot be read: {getattr(error, 'strerror', None) or error}.",
            remedy=f"Set {path_setting} to the path of a file.",
        ) from error


def _warn_if_exposed(path: Path, label: str) -> None:
    """Log a warning, with the command that corrects it, if the file's mode lets group or others access it."""
    path = path.expanduser()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:  # removed or replaced since it was read
        raise_interruption(error)
        return
    if os.name == "posix" and mode & _OPEN_TO_OTHERS:
        logger.warning(
            "%s is open to other users of this machine (mode %04o). Close it: chmod 600 %s",
            *(label, mode, shlex.quote(str(path))),
        )


def read_certificate(path: Path, *, remedy: str) -> "x509.Certificate":
    """Read a certificate; the first one, if the file has several.

    Args:
        path: The file; `~` is expanded.
        remedy: The remedy of the errors, which names the setting of the path.

    Raises:
        KeyLoadError: The file cannot be read, or is not a certificate.
        ConfigurationError: cryptography is not installed.
    """
    require_cryptography("reading a certificate")
    try:
        found = _parse_certificate(read_file(path.expanduser()))
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: unknown home folder; ValueError: NUL
        raise_interruption(error)
        why = getattr(error, "strerror", None) or error
        raise KeyLoadError(f"the certificate {path} cannot be read: {why}.", remedy=remedy) from error
    if isinstance(found, str):
        raise KeyLoadError(f"the file {path} {found}.", remedy=remedy)
    return found


def _parse_certificate(raw: bytes) -> "x509.Certificate | str":
    """The certificate, or what the file is instead. Not raised: it may be a private key."""
    from cryptography import x509

    load = x509.load_pem_x509_certificate if b"-----BEGIN" in raw else x509.load_der_x509_certificate
    try:
        return load(raw)
    except ValueError:
        is_key = b"PRIVATE KEY-----" in raw
        return "is a private key, not a certificate" if is_key else "is not a certificate in PEM or DER"
