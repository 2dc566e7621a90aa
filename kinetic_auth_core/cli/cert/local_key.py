"""What the bytes of a private key are: PEM, DER, PKCS12, JWK, or base64 of one of them; and what they are otherwise.

Where the bytes come from is the affair of `signing_key`. What is wrong is returned, not raised: no traceback has a key
among its locals.
"""

import base64
import binascii
import json
import re

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

MIN_BITS = 2048
#: As deep as base64 is looked into: a secret's own, and that of a store that encodes all values once more.
_MAX_LAYERS = 3
_NEW_KEY = "Make a new one: kinetic-auth cert new, without --key."
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_MALFORMED = (ValueError, TypeError, ArithmeticError, UnsupportedAlgorithm)


@attrs.frozen
class Unfit:
    """What is there instead of a key.

    Attributes:
        what: As the end of a sentence about it.
        remedy: What to do.
    """

    what: str
    remedy: str = "Name the private key, such as server.key."


NOTHING_KNOWN = Unfit("is no RSA private key in PEM, DER, PKCS12 or JWK, nor base64 of one")
_OTHERS = (
    (x509.load_pem_x509_certificate, x509.load_der_x509_certificate, "a certificate"),
    (x509.load_pem_x509_csr, x509.load_der_x509_csr, "a certificate signing request"),
    (serialization.load_pem_public_key, serialization.load_der_public_key, "a public key"),
)


def read_key(raw: bytes, passphrase: bytes | None) -> rsa.RSAPrivateKey | Unfit:
    """Read a private key.

    Args:
        raw: What a file or a secret holds.
        passphrase: Of an encrypted key; passed over for others.

    Returns:
        An RSA key of 2048 bits or more, or what is there instead.
    """
    raw = _unwrapped(raw)
    key = _from_jwk(raw) if raw.lstrip().startswith(b"{") else _parsed(raw, passphrase)
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_BITS:
        return Unfit(f"has {key.key_size} bits, but Salesforce wants {MIN_BITS} or more", _NEW_KEY)
    if isinstance(key, rsa.RSAPrivateKey | Unfit):
        return key
    kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
    return Unfit(f"is a key of the kind {kind}, but Salesforce takes only RSA", _NEW_KEY) if key else _named(raw)


def _unwrapped(raw: bytes) -> bytes:
    """What is in base64, if it is base64, in either alphabet."""
    for _ in range(_MAX_LAYERS):
        packed = b"".join(raw.split())
        if b"-----BEGIN" in raw or not _BASE64.fullmatch(packed):  # PEM's lines, put together, look like base64url
            break
        packed = packed.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        try:
            raw = base64.b64decode(packed + b"=" * (-len(packed) % 4))
        except binascii.Error:
            break
    return raw


def _parsed(raw: bytes, passphrase: bytes | None) -> object:
    """A key of any kind, or what keeps it shut; None for what is no key."""
    is_pem = b"-----BEGIN" in raw
    try:
        return (serialization.load_pem_private_key if is_pem else serialization.load_der_private_key)(raw, passphrase)
    except TypeError:  # a passphrase that is missing, or not needed
        if passphrase is None:
            return _shut("is encrypted, and no passphrase is given")
        return _parsed(raw, None)
    except (ValueError, UnsupportedAlgorithm):
        if is_pem:
            is_shut = b"ENCRYPTED" in raw and passphrase
            return _shut("is encrypted, and the passphrase does not open it") if is_shut else None
    try:
        return pkcs12.load_key_and_certificates(raw, passphrase)[0]
    except (ValueError, UnsupportedAlgorithm):
        if raw[:1] == b"0" and b"\x02\x01\x03" in raw[:9]:
            return _shut("is a PKCS12 file that opens with another passphrase only")
        return _shut("is no key that the passphrase opens") if passphrase and _named(raw) is NOTHING_KNOWN else None


def _shut(what: str) -> Unfit:
    return Unfit(what, "Set its passphrase in a variable: --passphrase-env NAME.")


def _from_jwk(text: bytes) -> rsa.RSAPrivateKey | Unfit:
    """A JSON Web Key (RFC 7518, section 6.3). Its primes need not be there: they follow from the other numbers."""
    try:
        jwk = json.loads(text)
        if jwk.get("kty") == "RSA" and "d" not in jwk:
            return Unfit("is a JWK that is public: it has no member d")
        n, e, d = (_number(jwk[name]) for name in ("n", "e", "d"))
        if not (1 < e < n and 1 < d < n and pow(pow(2, e, n), d, n) == 2):
            return NOTHING_KNOWN  # before primes are looked for that are not there
        p, q = (
            (_number(jwk[name]) for name in "pq") if {"p", "q"} <= set(jwk) else rsa.rsa_recover_prime_factors(n, e, d)
        )
        crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
        return rsa.RSAPrivateNumbers(p, q, d, *crt, rsa.RSAPublicNumbers(e, n)).private_key()
    except (*_MALFORMED, AttributeError, LookupError, RecursionError):
        return NOTHING_KNOWN


def _number(digits: str) -> int:
    """A number in base64url, whose padding is left out."""
    return int.from_bytes(base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4)), "big")


def _named(raw: bytes) -> Unfit:
    """What else is often taken for a private key."""
    for from_pem, from_der, called in _OTHERS:
        try:
            (from_pem if b"-----BEGIN" in raw else from_der)(raw)
        except _MALFORMED:
            continue
        return Unfit(f"is {called}, not a private key")
    return NOTHING_KNOWN
