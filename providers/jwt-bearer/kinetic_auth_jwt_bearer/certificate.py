"""Checks the certificate of `private_certificate_path`: that it belongs to the key, and when it expires.

Salesforce has its own copy; this one is not sent.
"""

import datetime as dt
import logging
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from kinetic_auth_core import KeyLoadError, Signer

logger = logging.getLogger(__name__)

#: How many days before the expiry the warnings begin.
WARN_DAYS = 30


def check_certificate(path: Path, signer: Signer, now: float) -> None:
    """Warn of a certificate that expires soon; reject one of another key.

    Args:
        path: The certificate, PEM or DER.
        signer: Has the key. Without a `public_key()` (PEM) only the dates are checked.
        now: Unix seconds.

    Raises:
        KeyLoadError: It cannot be read, is not a certificate, or does not belong to the key.
    """
    certificate = _read(path)
    if (public_key := getattr(signer, "public_key", None)) is not None:
        ours = load_pem_public_key(public_key())
        if certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != ours.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ):
            raise KeyLoadError(
                f"the certificate {path} does not belong to the private key {signer.key_id[:16]}...",
                remedy="Set private_certificate_path (SF_PRIVATE_CERTIFICATE_PATH) to the certificate of this key, "
                "which is uploaded to the app.",
            )
    _warn_before_expiry(path, certificate, now)


def _warn_before_expiry(path: Path, certificate: x509.Certificate, now: float) -> None:
    end = certificate.not_valid_after_utc
    left = end - dt.datetime.fromtimestamp(now, dt.UTC)
    if left < dt.timedelta(0):
        logger.warning("the certificate %s expired on %s; create a new one and upload it to the app", path, end.date())
    elif left < dt.timedelta(days=WARN_DAYS):
        logger.warning(
            "the certificate %s expires on %s, in %d day(s); create a new one and upload it to the app",
            *(path, end.date(), left.days),
        )


def _read(path: Path) -> x509.Certificate:
    try:
        raw = path.expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: unknown home folder; ValueError: NUL
        raise KeyLoadError(
            f"the certificate {path} cannot be read: {getattr(error, 'strerror', None) or error}.",
            remedy="Correct private_certificate_path (SF_PRIVATE_CERTIFICATE_PATH), or omit it.",
        ) from error
    certificate = _parse(raw)
    is_key = b"PRIVATE KEY-----" in raw
    del raw  # it may be a key: not among the locals of a traceback
    if certificate is None:
        what = "is a private key, not a certificate" if is_key else "is not a certificate"
        raise KeyLoadError(
            f"the file {path} {what}.",
            remedy="Set private_certificate_path (SF_PRIVATE_CERTIFICATE_PATH) to the .crt file that the app has.",
        )
    return certificate


def _parse(raw: bytes) -> x509.Certificate | None:
    load = x509.load_pem_x509_certificate if b"-----BEGIN" in raw else x509.load_der_x509_certificate
    try:
        return load(raw)
    except ValueError:
        return None
