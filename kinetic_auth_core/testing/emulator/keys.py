"""RSA key pairs with a self-signed certificate, and the checks that Salesforce makes of an uploaded certificate."""

from __future__ import annotations

import datetime as dt
import functools
import math
import random
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MAX_CERTIFICATE_BYTES = 4096
"""The largest certificate that an app accepts, in bytes of its PEM text."""

MIN_RSA_BITS = 2048
"""The shortest RSA key that may sign an assertion, in bits."""

_EXPONENT = 65537
_SMALL_PRIMES = math.prod(n for n in range(3, 2000, 2) if all(n % k for k in range(3, int(n**0.5) + 1, 2)))


@attrs.frozen
class KeyPair:
    """A private key and the certificate to upload for it.

    Args:
        private_key_pem: The RSA private key, PKCS #8 PEM without a passphrase. Not shown by `repr`.
        certificate_pem: The self-signed X.509 certificate, PEM.
    """

    private_key_pem: str = attrs.field(repr=False)
    certificate_pem: str


@attrs.frozen
class UploadedCertificate:
    """A certificate that an app has accepted.

    Args:
        public_key: The key that assertions are checked with.
        not_after: The end of the certificate's validity, in UTC.
    """

    public_key: rsa.RSAPublicKey
    not_after: dt.datetime


def new_key_pair(
    bits: int = 2048, days: float = 365, common_name: str = "kinetic-auth testing", source: random.Random | None = None
) -> KeyPair:
    """Make an RSA key and a self-signed certificate for it, both as PEM text.

    Args:
        bits: Length of the RSA modulus in bits. Salesforce requires 2048 or more; 1024 is for tests of rejections.
        days: Validity of the certificate in days from now. A negative number gives one that has expired.
        common_name: Subject and issuer of the certificate.
        source: What to draw the key from, so that it can be repeated; None for the operating system.

    Raises:
        ValueError: The cryptography library does not support this length.
    """
    show_the_real_datetime()
    key = rsa.generate_private_key(_EXPONENT, bits) if source is None else _repeatable_key(bits, source)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    start = min(dt.datetime.now(dt.UTC), end) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(
        private_key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"),
        certificate_pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
    )


@functools.cache
def show_the_real_datetime() -> None:
    """Have cryptography see the class `datetime` before it makes a certificate.

    It looks the class up once in a process. Where freezegun has replaced it at that moment, the dates of a certificate
    count as no dates, for as long as the process lives.
    """
    here = dt.datetime
    real: Any = next(cls for cls in here.__mro__ if cls.__module__ == "datetime")
    dt.datetime = real  # type: ignore[misc]
    try:
        x509.RevokedCertificateBuilder().serial_number(1).revocation_date(real(2000, 1, 1)).build()
    finally:
        dt.datetime = here  # type: ignore[misc]


def _repeatable_key(bits: int, source: random.Random) -> rsa.RSAPrivateKey:
    """An RSA key from two primes of a source; `cryptography` draws its own from the operating system alone."""
    p, q = (_prime(bits // 2, source) for _ in range(2))
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *crt, rsa.RSAPublicNumbers(_EXPONENT, p * q)).private_key()


def _prime(bits: int, source: random.Random) -> int:
    while True:
        number = source.getrandbits(bits) | 3 << (bits - 2) | 1
        is_coprime = math.gcd(number, _SMALL_PRIMES) == 1 and math.gcd(number - 1, _EXPONENT) == 1
        if is_coprime and all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7)):
            return number


def check_certificate(pem: str, now: float) -> UploadedCertificate:
    """Accept a certificate (PEM) for an app at a time (Unix seconds), under the rules of an upload to Salesforce.

    Raises:
        ValueError: It is larger than 4 KB, is not an X.509 certificate, does not hold an RSA key of at least 2048 bits,
            or has expired.
    """
    if len(pem.encode()) > MAX_CERTIFICATE_BYTES:
        raise ValueError(f"the certificate is larger than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise ValueError("this is not an X.509 certificate in PEM form") from error
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_RSA_BITS:
        raise ValueError(f"the certificate's key is not an RSA key of at least {MIN_RSA_BITS} bits")
    if certificate.not_valid_after_utc.timestamp() <= now:
        raise ValueError(f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    return UploadedCertificate(public_key=key, not_after=certificate.not_valid_after_utc)
