"""X.509 certificates: reads them, checks them against what Salesforce accepts, and makes self-signed ones."""

import datetime as dt
from pathlib import Path
from typing import Self

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from kinetic_auth_core.errors import KeyLoadError
from kinetic_auth_core.keys.formats import MIN_BITS
from kinetic_auth_core.keys.signer import read_certificate

#: The largest certificate file that an app accepts.
MAX_BYTES = 4096

#: A certificate is valid from a little before now: the clock of another machine may be behind.
_CLOCK_SKEW = dt.timedelta(minutes=5)


@attrs.frozen
class CertificateFile:
    """A certificate and its file.

    Attributes:
        path: The file.
        size: The length of the file in bytes, which Salesforce limits.
        certificate: The first certificate in it.
    """

    path: Path
    size: int
    certificate: x509.Certificate

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a certificate, PEM or DER.

        Raises:
            KeyLoadError: The file cannot be read, or is not a certificate.
        """
        certificate = read_certificate(path, remedy="Name the certificate, a .crt file.")
        return cls(path, path.expanduser().stat().st_size, certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as openssl and browsers write it: `AB:CD:...`."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def key_type(self) -> str:
        """Type and length of its key, such as `RSA 2048`."""
        key = _key_of(self.certificate)
        kind = type(key).__name__.strip("_").removesuffix("PublicKey") if key else "unknown"
        size = getattr(key, "key_size", None)
        return f"{kind} {size}" if size else kind

    def days_left(self, now: dt.datetime) -> int:
        """Whole days until it expires; negative if it has expired."""
        return (self.certificate.not_valid_after_utc - now) // dt.timedelta(days=1)

    def belongs_to(self, public_key: PublicKeyTypes) -> bool:
        """Whether it was made for a key."""
        return _key_of(self.certificate) == public_key

    def problems(self, now: dt.datetime) -> list[str]:
        """The reasons why Salesforce would not accept it, or a login with it; empty for a good one."""
        found = []
        if now > self.certificate.not_valid_after_utc:
            found.append(f"expired on {self.certificate.not_valid_after_utc.date()}")
        if now < self.certificate.not_valid_before_utc:
            found.append(f"is not valid before {self.certificate.not_valid_before_utc.date()}")
        if self.size > MAX_BYTES:
            found.append(f"has {self.size} bytes, but Salesforce accepts at most {MAX_BYTES}")
        key = _key_of(self.certificate)
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_BITS:
            found.append(f"has a key of type {self.key_type}, but Salesforce requires RSA of {MIN_BITS} bits or more")
        return found


def self_signed(key: rsa.RSAPrivateKey, name: str, days: int) -> x509.Certificate:
    """Make a certificate for a key, signed by it with SHA-256.

    Args:
        key: The key, or a `RemoteKey`.
        name: The common name of subject and issuer.
        days: How long it is valid from now.

    Raises:
        KeyLoadError: The signature does not verify with the public key.
    """
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    public_key = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )
    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature as error:
        raise KeyLoadError(
            "the certificate's signature does not verify: the key's public_key() is not that of the signing key.",
            remedy="Report this to the authors of its key loader.",
        ) from error
    return certificate


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate in PEM, as it is uploaded."""
    return certificate.public_bytes(Encoding.PEM)


def issuer_of(der: bytes) -> str:
    """The issuer of a certificate: common name and organisation, printable, at most 200 characters.

    Args:
        der: The certificate, DER.

    Raises:
        ValueError: It is not one.
    """
    names = {each.oid: str(each.value) for each in x509.load_der_x509_certificate(der).issuer}
    oids = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
    text = ", ".join(dict.fromkeys(names[oid] for oid in oids if oid in names)) or "nobody named"
    return "".join(char if char.isprintable() else " " for char in text)[:200]


def _key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes | None:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
