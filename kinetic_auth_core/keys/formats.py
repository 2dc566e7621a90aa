"""Parses private keys in PEM, DER, PKCS12 and JWK, and names what else was given in place of one.

Removes byte order marks, quotes, escaped line ends and base64 first. Errors raised here carry no secret in their
messages, but their tracebacks have keys among the locals: `signer.read_private_key` strips them.
"""

import base64
import binascii
import encodings.utf_16  # noqa: F401 - a codec is imported when it is first used, which is in a login
import json
import os
import re
from typing import Any

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

#: Nested levels of base64 that are decoded: the secret's own, and that of a store which encodes every value.
MAX_LAYERS = 3

_AROUND = " \t\r\n\f\v\0\ufeff\"'`\\"
# Compiled when they are needed: a key as OpenSSL writes it needs none of them.
_ESCAPED_BLANK = r"(?:\\+r)?\\+n|\\+[rtfv]"
_BASE64 = r"[A-Za-z0-9+/_-]{16,}={0,2}"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def unwrap(raw: bytes) -> bytes:
    """Remove everything that is not the key.

    Args:
        raw: The contents of a file or a setting.

    Returns:
        DER, or the text of PEM or JSON as UTF-8. For anything else: its text without surrounding blanks and quotes, or
        `raw` where it is not text.
    """
    found = _recognize(raw, MAX_LAYERS)
    if found is not None:
        return found
    text = _text(raw)
    return raw if text is None else text.strip(_AROUND).encode()


def is_der(raw: bytes) -> bool:
    """Whether bytes begin with an ASN.1 SEQUENCE, as all keys and certificates in DER do."""
    size = _der_header(raw)
    # A length of two bytes or more is not ASCII, so a truncated value is a damaged key and not a text.
    return size is not None and (sum(size) <= len(raw) or raw[1] >= 0x80)


def der_content(der: bytes) -> bytes:
    """The content of a SEQUENCE."""
    header, length = _der_header(der) or (0, 0)
    return der[header : header + length]


def _der_header(raw: bytes) -> tuple[int, int] | None:
    """The sizes of a SEQUENCE's header and content; None if there is none."""
    if len(raw) < 2 or raw[0] != 0x30:
        return None
    if raw[1] < 0x80:
        return 2, raw[1]
    digits = raw[1] - 0x80  # 0: indefinite length, which BER allows
    if digits > 4 or len(raw) < 2 + digits:
        return None
    return 2 + digits, int.from_bytes(raw[2 : 2 + digits], "big") if digits else len(raw) - 2


def _recognize(raw: bytes, layers: int) -> bytes | None:
    """DER, PEM or JSON, found under up to `layers` levels of base64; None for anything else."""
    if is_der(raw):
        return raw[: sum(_der_header(raw) or ())]  # an editor or echo may have added a line end
    text = _text(raw)
    if text is None:
        return None
    text = (re.sub(_ESCAPED_BLANK, "\n", text) if "\\" in text else text).strip(_AROUND)
    if text.startswith("{") or "-----BEGIN " in text:
        return text.encode()
    inner = _decode_base64(text) if layers else None
    return None if inner is None else _recognize(inner, layers - 1)


def _text(raw: bytes) -> str | None:
    """The text that bytes encode; None if they are not text."""
    try:
        return raw.decode("utf-16" if raw.startswith(_UTF16_MARKS) else "utf-8")
    except UnicodeDecodeError:
        return None


def _decode_base64(text: str) -> bytes | None:
    """Decode base64 in either alphabet, with or without padding; None if the text is not base64."""
    packed = "".join(text.split())
    if not re.fullmatch(_BASE64, packed):
        return None
    packed = packed.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4))
    except binascii.Error:
        return None


MIN_BITS = 2048

_GIVE_PRIVATE = (
    "Give the private key, a PEM block that begins with -----BEGIN PRIVATE KEY----- or BEGIN RSA PRIVATE KEY."
)
_NEW_KEY = "Make one with: openssl genrsa -out server.key 2048"


class UnusableKey(Exception):  # noqa: N818 - internal: users get a KeyLoadError
    """The input is not a key that Salesforce accepts.

    Attributes:
        what: What it is instead, as the predicate of a sentence.
        remedy: What to do.
    """

    def __init__(self, what: str, remedy: str = _GIVE_PRIVATE) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class LockedKey(UnusableKey):
    """The key is encrypted, and the passphrase is missing or wrong; the caller knows how it is set."""


_NOT_A_KEY = "is not in a supported key format (PEM, DER, PKCS12, JWK, or base64 of one of them)"
_DAMAGED = "is damaged: it looks like a private key but cannot be parsed"
_DAMAGED_JWK = "is a damaged JWK: its numbers are not those of an RSA private key"
_CERTIFICATE = ("is a certificate, not a private key", f"Upload the certificate to the app. {_GIVE_PRIVATE}")
_REQUEST = ("is a certificate signing request, not a private key",)
_PUBLIC_KEY = ("is a public key, not a private key",)
_OPENSSH_PUBLIC = ("is a public key of OpenSSH, not a private key",)

#: PEM blocks other than private keys, by a part of their label. The first match counts.
_OTHER_BLOCKS = (
    ("PGP", ("is a PGP key",)),
    (
        "OPENSSH PRIVATE KEY",
        ("is a key in the format of OpenSSH", "Convert a copy of it, in place: ssh-keygen -p -m PKCS8 -f COPY"),
    ),
    ("CERTIFICATE REQUEST", _REQUEST),
    ("CERTIFICATE", _CERTIFICATE),
    ("PUBLIC KEY", _PUBLIC_KEY),
    ("PARAMETERS", ("holds parameters, not a private key",)),
)
#: Other texts, by their beginning.
_OTHER_TEXTS = (
    (
        "PuTTY-User-Key-File",
        (
            "is a PuTTY key",
            "Convert it: puttygen KEY.ppk -O private-openssh -o COPY && ssh-keygen -p -m PKCS8 -f COPY",
        ),
    ),
    ("ssh-", _OPENSSH_PUBLIC),
    ("ecdsa-", _OPENSSH_PUBLIC),
    ("---- BEGIN SSH2 PUBLIC", _PUBLIC_KEY),
    (
        "<",
        (
            "is HTML or XML, not a private key",
            "Fetch the key again: what was saved may be a page that asks for a login or reports an error.",
        ),
    ),
)
_OTHER_DER = (
    (x509.load_der_x509_certificate, _CERTIFICATE),
    (x509.load_der_x509_csr, _REQUEST),
    (serialization.load_der_public_key, _PUBLIC_KEY),
)

_SCHEME = r"[A-Za-z][A-Za-z0-9+._-]{1,30}://"
#: A path that begins like one, or has no blank, or ends like that of a key. A sentence with a slash is not one.
_PATH = r"(?:[~./\\]|[A-Za-z]:[/\\]).*|\S*[/\\]\S*|[^:]*\.(?:key|pem|p12|pfx|der|jwk)"
_LABEL = r"-----BEGIN ([A-Z0-9 ]+)-----"
_LEGACY_HEADERS = r"\s*(Proc-Type:\s*4,\s*ENCRYPTED)\s+(DEK-Info:\s*[\w-]+,\s*[0-9A-Fa-f]+)\s+"
_ESCAPED_QUOTE = rb'\\+"'
# The object identifiers of PKCS #5 and of PKCS #12's ciphers, which a PKCS #8 key names where it is encrypted.
_CIPHERS = (bytes.fromhex("2a864886f70d0105"), bytes.fromhex("2a864886f70d010c01"))
_JAVA_MAGICS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
#: Base64 digits of a number with 16384 bits, more than any library reads.
_MAX_DIGITS = 2731
#: Other key types of RFC 7518 and RFC 8037; no other text is quoted in a message.
_OTHER_JWK_TYPES = frozenset({"EC", "OKP", "oct"})

#: What parsers raise for malformed input.
_MALFORMED = (ValueError, TypeError, OverflowError, InternalError)


def parse_private_key(raw: bytes, passphrase: bytes | None) -> rsa.RSAPrivateKey:
    """Parse a private key in any format.

    Args:
        raw: The contents of a file or a setting.
        passphrase: Of an encrypted key; ignored for others.

    Returns:
        An RSA key of 2048 bits or more.

    Raises:
        UnusableKey: It is anything else, or does not decrypt.
    """
    key = _parse(unwrap(raw), passphrase)
    if not isinstance(key, rsa.RSAPrivateKey):
        kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
        raise UnusableKey(f"is a key of type {kind}, but Salesforce accepts only RSA (RS256)", _NEW_KEY)
    if key.key_size < MIN_BITS:
        raise UnusableKey(f"is an RSA key of {key.key_size} bits, but Salesforce requires {MIN_BITS} or more", _NEW_KEY)
    if not (_numbers_fit(key.private_numbers()) and _can_sign(key)):
        raise UnusableKey(_DAMAGED)
    return key


def _numbers_fit(numbers: rsa.RSAPrivateNumbers) -> bool:
    """Whether the numbers of a key fit together as RFC 8017, section 3.2, has it.

    With this the library's own check does all that it does but to test the factors for being prime, which takes a
    hundred times as long (docs/adr/0026-keys-are-checked-by-their-numbers.md). The numbers are in no local variable.
    """
    try:
        return (
            numbers.public_numbers.e > 1
            and numbers.p * numbers.q == numbers.public_numbers.n
            and numbers.dmp1 == numbers.d % (numbers.p - 1)
            and numbers.dmq1 == numbers.d % (numbers.q - 1)
            and numbers.iqmp * numbers.q % numbers.p == 1
            and numbers.public_numbers.e * numbers.d % (numbers.p - 1) == 1
            and numbers.public_numbers.e * numbers.d % (numbers.q - 1) == 1
        )
    except ZeroDivisionError:
        return False


def _can_sign(key: rsa.RSAPrivateKey) -> bool:
    """Whether a signature by a key is one by its public half."""
    message = os.urandom(32)
    try:
        signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (*_MALFORMED, InvalidSignature):
        return False
    return True


def _parse(key: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    if is_der(key):
        return _parse_der(key, passphrase)
    if key.startswith(b"{"):
        return _parse_jwk(key)
    if b"-----BEGIN " in key:
        return _parse_pem(key.decode(errors="replace"), passphrase)  # names around the block may be in Latin-1
    raise _describe(key)


def _describe(unknown: bytes) -> UnusableKey:
    """What an input in no key format appears to be."""
    if not unknown:
        return UnusableKey("is empty")
    if unknown.startswith(_JAVA_MAGICS):
        return UnusableKey(
            "is a Java keystore",
            "Convert it: keytool -importkeystore -srckeystore FILE -destkeystore server.p12 -deststoretype PKCS12",
        )
    text = unknown.decode(errors="replace")
    for beginning, other in _OTHER_TEXTS:
        if text.startswith(beginning):
            return UnusableKey(*other)
    if len(text) < 512 and (scheme := re.match(_SCHEME, text)):
        return UnusableKey(
            f"looks like a reference, but no key loader for {scheme[0]} is installed",
            "Correct the scheme (env://, file://, secret-manager://, kms://), or install the package of its loader.",
        )
    if len(text) < 512 and text.isprintable() and re.fullmatch(_PATH, text):
        return UnusableKey(
            "looks like a path, not a key", "Set private_key_path (SF_PRIVATE_KEY_PATH) to the path instead."
        )
    return UnusableKey(_NOT_A_KEY)


def _parse_pem(text: str, passphrase: bytes | None) -> PrivateKeyTypes:
    labels = re.findall(_LABEL, text)
    label = next((each for each in labels if "PRIVATE KEY" in each), labels[0] if labels else "")
    for part, other in _OTHER_BLOCKS:
        if part in label:
            raise UnusableKey(*other)
    if "PRIVATE KEY" not in label:
        raise UnusableKey("holds a PEM block that is not a private key")
    _, _, rest = text.partition(f"-----BEGIN {label}-----")
    body, end, _ = rest.partition(f"-----END {label}-----")
    if not end:
        raise UnusableKey("is cut off: its -----END ...----- line is missing")
    headers = re.match(_LEGACY_HEADERS, body) if "Proc-Type" in body else None
    packed = "".join((body[headers.end() :] if headers else body).split())
    # Split into lines again: on its way here each line end may have become a blank, or nothing.
    lines = [f"-----BEGIN {label}-----"]
    lines += [*(" ".join(each.split()) for each in headers.groups()), ""] if headers else []
    lines += [packed[start : start + 64] for start in range(0, len(packed), 64)]
    lines += [f"-----END {label}-----", ""]
    is_encrypted = headers is not None or "ENCRYPTED" in label
    return _load(serialization.load_pem_private_key, "\n".join(lines).encode(), is_encrypted, passphrase)


def _parse_der(der: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    content = der_content(der)
    if content.startswith(b"\x02\x01\x03"):
        return _parse_pkcs12(der, passphrase)
    is_encrypted = any(cipher in content[:16] for cipher in _CIPHERS)
    if is_encrypted or content.startswith(b"\x02\x01"):
        return _load(serialization.load_der_private_key, der, is_encrypted, passphrase)
    for load, other in _OTHER_DER:
        try:
            load(der)
        except (*_MALFORMED, UnsupportedAlgorithm):
            continue
        raise UnusableKey(*other)
    raise UnusableKey(_NOT_A_KEY)


def _load(load: Any, key: bytes, is_encrypted: bool, passphrase: bytes | None) -> PrivateKeyTypes:
    if is_encrypted and passphrase is None:
        raise LockedKey("is encrypted, and no passphrase is set")
    try:
        # The library refuses a passphrase for a key that is not encrypted. `parse_private_key` checks the key.
        loaded: PrivateKeyTypes = load(
            key, passphrase or None if is_encrypted else None, unsafe_skip_rsa_key_validation=True
        )
    except UnsupportedAlgorithm:
        raise UnusableKey("holds a key of an unsupported type", _NEW_KEY) from None
    except _MALFORMED as error:
        if not is_encrypted:
            raise UnusableKey(_DAMAGED) from None
        if "encryption algorithm" in str(error):  # the library has no type of its own for it
            raise UnusableKey(
                "is encrypted with an unsupported cipher",
                "Re-encrypt it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD.key -out server.key",
            ) from None
        raise LockedKey("is encrypted, and the passphrase does not decrypt it") from None
    return loaded


def _parse_pkcs12(der: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    """The key of a PKCS12 file. Some tools write "no password" as none, others as an empty one."""
    for password in (*([passphrase] if passphrase else []), None, b""):
        try:
            key = pkcs12.load_key_and_certificates(der, password)[0]
        except (*_MALFORMED, UnsupportedAlgorithm):
            continue
        if key is None:
            raise UnusableKey("is a PKCS12 file without a private key")
        return key
    if passphrase is None:
        raise LockedKey("is an encrypted PKCS12 file, and no passphrase is set")
    raise LockedKey("is a PKCS12 file that is damaged, or that the passphrase does not decrypt")


def _parse_jwk(text: bytes) -> rsa.RSAPrivateKey:
    """A JSON Web Key (RFC 7517; its members are in RFC 7518, section 6.3)."""
    jwk = _parse_json(text) or _parse_json(re.sub(_ESCAPED_QUOTE, b'"', text))
    if jwk is None:
        raise UnusableKey("begins like JSON but is not valid JSON")
    if isinstance(jwk.get("keys"), list):
        raise UnusableKey("is a set of JWKs, not one", "Give the one private key of the set.")
    kind = jwk.get("kty")
    if isinstance(kind, str) and kind in _OTHER_JWK_TYPES:
        raise UnusableKey(f"is a JWK of type {kind}, but Salesforce accepts only RSA (RS256)", _NEW_KEY)
    if kind != "RSA":
        raise UnusableKey(
            "is JSON but not a JWK",
            "If the key is in one of its fields, name the field in a reference, such as file://PATH#FIELD.",
        )
    if "d" not in jwk:
        raise UnusableKey("is a public JWK: it has no member d")
    try:
        n, e, d = (_jwk_number(jwk[name]) for name in ("n", "e", "d"))
        if not (1 < e < n and 1 < d < n and pow(pow(2, e, n), d, n) == 2):  # the search for primes would not end
            raise UnusableKey(_DAMAGED_JWK)
        # The primes are optional (section 6.3.2): they follow from the others.
        has_primes = {"p", "q"} <= set(jwk)
        p, q = (_jwk_number(jwk[name]) for name in "pq") if has_primes else rsa.rsa_recover_prime_factors(n, e, d)
        crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
        numbers = rsa.RSAPrivateNumbers(p, q, d, *crt, rsa.RSAPublicNumbers(e, n))
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # as in `_load`
    except (*_MALFORMED, KeyError, ArithmeticError):
        raise UnusableKey(_DAMAGED_JWK) from None


def _parse_json(text: bytes) -> dict[str, Any] | None:
    try:
        jwk: dict[str, Any] = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return jwk


def _jwk_number(digits: str) -> int:
    """A number in base64url without padding."""
    if len(digits) > _MAX_DIGITS:
        raise ValueError
    return int.from_bytes(base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4)), "big")
