"""What a private key's bytes are, and what those are called that are none.

PEM, DER and PKCS12 here, JWK in `jwk`; what may stand around each of them in `key_wrappings`. Functions that hold a
key's text return what is wrong instead of raising it, so that no traceback has the text among its locals.
"""

import re
from typing import Any

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from kinetic_auth_jwt_bearer.jwk import key_of_jwk
from kinetic_auth_jwt_bearer.key_wrappings import der_content, is_der, unwrapped
from kinetic_auth_jwt_bearer.unfit import GIVE_PRIVATE, NEW_KEY, Passphrase, Unfit

MIN_BITS = 2048

_DAMAGED = Unfit("is damaged: it looks like a private key, but cannot be read as one", GIVE_PRIVATE)
_NO_PASSPHRASE = Unfit("is an encrypted key, and no passphrase is set", "Set passphrase (SF_PASSPHRASE).")
_WRONG_PASSPHRASE = Unfit("is encrypted, and passphrase does not open it", "Check passphrase (SF_PASSPHRASE).")
_UNSUPPORTED = Unfit("holds a key of a kind that is not supported", NEW_KEY)
_UNSUPPORTED_CIPHER = Unfit(
    "is encrypted with a cipher that is not supported",
    "Encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD.key -out server.key",
)
_CERTIFICATE = Unfit("is a certificate, not a private key", f"Upload the certificate to the app. {GIVE_PRIVATE}")
_REQUEST = Unfit("is a certificate signing request, not a private key", GIVE_PRIVATE)
_PUBLIC_KEY = Unfit("is a public key, not a private key", GIVE_PRIVATE)
_PGP = Unfit("is a PGP key", GIVE_PRIVATE)
_OPENSSH = Unfit(
    "is a key in the format of OpenSSH",
    "Convert a copy of it, in place: ssh-keygen -p -m PKCS8 -f COPY",
)
_PUTTY = Unfit(
    "is a PuTTY key", "Convert it: puttygen KEY.ppk -O private-openssh -o COPY && ssh-keygen -p -m PKCS8 -f COPY"
)
_JAVA_KEYSTORE = Unfit(
    "is a Java keystore",
    "Convert it: keytool -importkeystore -srckeystore FILE -destkeystore server.p12 -deststoretype PKCS12",
)
_PATH = Unfit("looks like a path, not like a key", "Give a path as private_key_path.")
_CHECK_SCHEME = (
    "Correct the scheme (env://, file://, secret-manager://, kms://), or install the package that brings its loader."
)
_NOTHING_KNOWN = Unfit("is no key in any known format: no PEM, DER, PKCS12 or JWK, nor base64 of one", GIVE_PRIVATE)

#: What a PEM block is that is no private key, by a part of its label. The first that fits counts.
_BLOCKS = (
    ("PGP", _PGP),
    ("OPENSSH PRIVATE KEY", _OPENSSH),
    ("CERTIFICATE REQUEST", _REQUEST),
    ("CERTIFICATE", _CERTIFICATE),
    ("PUBLIC KEY", _PUBLIC_KEY),
    ("PARAMETERS", Unfit("holds parameters, not a private key", GIVE_PRIVATE)),
)

#: What other texts are, by their beginning.
_BEGINNINGS = (
    ("PuTTY-User-Key-File", _PUTTY),
    ("ssh-", Unfit("is a public key of OpenSSH, not a private key", GIVE_PRIVATE)),
    ("ecdsa-", Unfit("is a public key of OpenSSH, not a private key", GIVE_PRIVATE)),
    ("---- BEGIN SSH2 PUBLIC", _PUBLIC_KEY),
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]{1,30}://")
_LABEL = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_LEGACY_HEADERS = re.compile(r"\s*(Proc-Type:\s*4,\s*ENCRYPTED)\s+(DEK-Info:\s*[\w-]+,\s*[0-9A-Fa-f]+)\s+")
# The object identifiers of PKCS #5 and of PKCS #12's ciphers, which a PKCS #8 key names where it is encrypted.
_CIPHERS = (bytes.fromhex("2a864886f70d0105"), bytes.fromhex("2a864886f70d010c01"))
_JAVA_MAGICS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")

#: What parsers raise for bytes that are not what they look like.
_MALFORMED = (ValueError, TypeError, OverflowError, InternalError)


def read_key(raw: bytes, passphrase: Passphrase) -> rsa.RSAPrivateKey | Unfit:
    """Read a private key in any format.

    Args:
        raw: What a file or a setting holds.
        passphrase: Opens an encrypted key; passed over for others.

    Returns:
        An RSA key of 2048 bits or more, or what is there instead.
    """
    key = _parse(unwrapped(raw), passphrase)
    if isinstance(key, Unfit):
        return key
    if not isinstance(key, rsa.RSAPrivateKey):
        kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
        return Unfit(f"is a key of the kind {kind}, but Salesforce takes only RSA (RS256)", NEW_KEY)
    if key.key_size < MIN_BITS:
        return Unfit(f"is an RSA key of {key.key_size} bits, but Salesforce wants {MIN_BITS} or more", NEW_KEY)
    return key


def _parse(key: bytes, passphrase: Passphrase) -> PrivateKeyTypes | Unfit:
    if is_der(key):
        return _from_der(key, passphrase)
    if key.startswith(b"{"):
        return key_of_jwk(key)
    if b"-----BEGIN " in key:
        return _from_pem(key.decode(errors="replace"), passphrase)  # around the block there may be names in Latin-1
    if not key:
        return Unfit("is empty", GIVE_PRIVATE)
    return _named_by_look(key)


def _named_by_look(unknown: bytes) -> Unfit:
    if unknown.startswith(_JAVA_MAGICS):
        return _JAVA_KEYSTORE
    try:
        text = unknown.decode()
    except UnicodeDecodeError:
        return _NOTHING_KNOWN
    named = next((unfit for beginning, unfit in _BEGINNINGS if text.startswith(beginning)), None)
    if named is None and len(text) < 512 and (scheme := _SCHEME.match(text)):
        named = Unfit(f"looks like a reference, but no key loader for {scheme[0]} is installed", _CHECK_SCHEME)
    if named is None and len(text) < 512 and "\n" not in text:
        is_path = "/" in text or "\\" in text or text.endswith((".key", ".pem", ".p12", ".pfx", ".der", ".jwk"))
        named = _PATH if is_path else None
    return named or _NOTHING_KNOWN


def _from_pem(text: str, passphrase: Passphrase) -> PrivateKeyTypes | Unfit:
    labels = _LABEL.findall(text)
    label = next((each for each in labels if "PRIVATE KEY" in each), labels[0] if labels else "")
    named = next((unfit for part, unfit in _BLOCKS if part in label), None)
    if named is not None:
        return named
    if "PRIVATE KEY" not in label:
        return Unfit("holds a PEM block that is no private key", GIVE_PRIVATE)
    _, _, rest = text.partition(f"-----BEGIN {label}-----")
    body, end, _ = rest.partition(f"-----END {label}-----")
    if not end:
        return Unfit("is cut off: its -----END ...----- line is missing", GIVE_PRIVATE)
    headers = _LEGACY_HEADERS.match(body)
    packed = "".join((body[headers.end() :] if headers else body).split())
    # Set anew in lines: on its way here each line end may have become a blank, or nothing.
    lines = [f"-----BEGIN {label}-----"]
    lines += [*(" ".join(each.split()) for each in headers.groups()), ""] if headers else []
    lines += [packed[start : start + 64] for start in range(0, len(packed), 64)]
    lines += [f"-----END {label}-----", ""]
    pem = "\n".join(lines).encode()
    return _loaded(serialization.load_pem_private_key, pem, headers is not None or "ENCRYPTED" in label, passphrase)


def _from_der(der: bytes, passphrase: Passphrase) -> PrivateKeyTypes | Unfit:
    content = der_content(der)
    if content.startswith(b"\x02\x01\x03"):
        return _from_pkcs12(der, passphrase)
    if any(cipher in content[:16] for cipher in _CIPHERS):
        return _loaded(serialization.load_der_private_key, der, True, passphrase)
    if content.startswith(b"\x02\x01"):
        return _loaded(serialization.load_der_private_key, der, False, passphrase)
    for load, unfit in (
        (x509.load_der_x509_certificate, _CERTIFICATE),
        (x509.load_der_x509_csr, _REQUEST),
        (serialization.load_der_public_key, _PUBLIC_KEY),
    ):
        try:
            load(der)
        except (*_MALFORMED, UnsupportedAlgorithm):
            continue
        return unfit
    return _NOTHING_KNOWN


def _loaded(load: Any, key: bytes, is_encrypted: bool, passphrase: Passphrase) -> PrivateKeyTypes | Unfit:
    if is_encrypted and not passphrase.is_set:
        return _NO_PASSPHRASE
    try:
        # Only for an encrypted key: for others the library would refuse it.
        loaded: PrivateKeyTypes = load(key, passphrase.encoded() if is_encrypted else None)
    except UnsupportedAlgorithm:
        return _UNSUPPORTED
    except _MALFORMED as error:
        if is_encrypted and "encryption algorithm" in str(error):  # the library has no type of its own for it
            return _UNSUPPORTED_CIPHER
        return _WRONG_PASSPHRASE if is_encrypted else _DAMAGED
    return loaded


def _from_pkcs12(der: bytes, passphrase: Passphrase) -> PrivateKeyTypes | Unfit:
    """The key of a PKCS12 file. One without a password has none at all or an empty one, as its maker saw it."""
    passwords = [passphrase.encoded()] if passphrase.encoded() else []
    for password in (*passwords, None, b""):
        try:
            key = pkcs12.load_key_and_certificates(der, password)[0]
        except (*_MALFORMED, UnsupportedAlgorithm):
            continue
        return key or Unfit("is a PKCS12 file with no private key in it", GIVE_PRIVATE)
    if not passphrase.is_set:
        return Unfit("is an encrypted PKCS12 file, and no passphrase is set", "Set passphrase (SF_PASSPHRASE).")
    return Unfit(
        "is a PKCS12 file that passphrase does not open",
        "Check passphrase (SF_PASSPHRASE); if it is right, the file is damaged.",
    )
