"""Reads an X.509 certificate, PEM or DER."""

from pathlib import Path
from typing import TYPE_CHECKING

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import KeyLoadError
from kinetic_auth_core.keys.signer import require_cryptography
from kinetic_auth_core.locations import read_file

if TYPE_CHECKING:
    from cryptography import x509


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
        found = _parse(read_file(path.expanduser()))
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: unknown home folder; ValueError: NUL
        raise_interruption(error)
        why = getattr(error, "strerror", None) or error
        raise KeyLoadError(f"the certificate {path} cannot be read: {why}.", remedy=remedy) from error
    if isinstance(found, str):
        raise KeyLoadError(f"the file {path} {found}.", remedy=remedy)
    return found


def _parse(raw: bytes) -> "x509.Certificate | str":
    """The certificate, or what the file is instead. Not raised: it may be a private key."""
    from cryptography import x509

    load = x509.load_pem_x509_certificate if b"-----BEGIN" in raw else x509.load_der_x509_certificate
    try:
        return load(raw)
    except ValueError:
        is_key = b"PRIVATE KEY-----" in raw
        return "is a private key, not a certificate" if is_key else "is not a certificate in PEM or DER"
