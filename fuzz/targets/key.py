"""A private key: any bytes, with a passphrase and without, give a key that signs or a `KeyLoadError`."""

from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from kinetic_auth_core.errors import KeyLoadError
from kinetic_auth_core.keys.signer import read_private_key

_PASSPHRASE = "canary"


def seeds() -> Iterator[bytes]:
    """A key in every format, encrypted too, and input that is often mistaken for one."""
    key = rsa.generate_private_key(65537, 2048)
    formats = serialization.PrivateFormat
    locked = serialization.BestAvailableEncryption(_PASSPHRASE.encode())
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        for form in (formats.TraditionalOpenSSL, formats.PKCS8):
            yield key.private_bytes(encoding, form, serialization.NoEncryption())
        yield key.private_bytes(encoding, formats.PKCS8, locked)
        yield key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    yield key.private_bytes(serialization.Encoding.PEM, formats.TraditionalOpenSSL, locked)
    yield pkcs12.serialize_key_and_certificates(b"k", key, None, None, locked)
    yield ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, formats.PKCS8, serialization.NoEncryption()
    )
    yield b'{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQ", "p": "AQ", "q": "A", "dp": "AQ", "dq": "AQ", "qi": ""}'
    yield b"ssh-rsa AAAA"
    yield b"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"
    yield b"\xfe\xed\xfe\xed"
    yield b"/etc/keys/server.key"


def check(data: bytes) -> None:
    """Read a key.

    Args:
        data: The key.
    """
    for passphrase in (None, _PASSPHRASE):
        try:
            signer = read_private_key(data, passphrase)
        except KeyLoadError as error:
            assert str(error).isprintable()
            assert _PASSPHRASE not in str(error)
        else:
            assert len(signer.sign(b"message")) >= 256
