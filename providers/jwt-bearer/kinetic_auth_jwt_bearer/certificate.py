"""Checks the certificate of `private_certificate_path`: that it belongs to the key, and when it expires.

Salesforce has its own copy; this one is not sent.
"""

import datetime as dt
import logging
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kinetic_auth_core import KeyLoadError, Signer
from kinetic_auth_core.plugins import read_certificate

logger = logging.getLogger(__name__)

#: How many days before the expiry the warnings begin.
WARN_DAYS = 30

_REMEDY = "Set private_certificate_path (SF_PRIVATE_CERTIFICATE_PATH) to the .crt file of the key, or omit it."


def check_certificate(path: Path, signer: Signer, now: float) -> None:
    """Warn of a certificate that expires soon; reject one of another key.

    Args:
        path: The certificate, PEM or DER.
        signer: Has the key. Without a `public_key()` (PEM) only the dates are checked.
        now: Unix seconds.

    Raises:
        KeyLoadError: It cannot be read, is not a certificate, or does not belong to the key.
    """
    certificate = read_certificate(path, remedy=_REMEDY)
    public_key = getattr(signer, "public_key", None)
    if public_key is not None and certificate.public_key() != load_pem_public_key(public_key()):
        raise KeyLoadError(
            f"the certificate {path} does not belong to the private key {signer.key_id[:16]}...", remedy=_REMEDY
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
