"""Formats that are near a private key's and none of ours: each is called by its name, with the way from it to a key."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kinetic_auth_core import KeyLoadError
from kinetic_auth_core.testing import KeyPair
from kinetic_auth_jwt_bearer.keys import LocalSigner, PrivateKeyFile

GIVE_PRIVATE = (
    "Give the private key, a PEM block that begins with -----BEGIN PRIVATE KEY----- or BEGIN RSA PRIVATE KEY."
)
NEW_KEY = "Make one with: openssl genrsa -out server.key 2048"
NO_JWK = (
    "is JSON, but no JWK. If the key is a field of it, name the field: "
    "a reference such as file://PATH#FIELD takes it out."
)
DAMAGED_JWK = f"is a damaged JWK: its numbers are not those of an RSA private key. {GIVE_PRIVATE}"
Told = Callable[..., str]


def run(*command: str | Path, given: bytes = b"") -> bytes:
    return subprocess.run(list(map(str, command)), input=given, capture_output=True, check=True).stdout


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """What is said of a file with these contents, behind its name."""

    def read(contents: bytes | str, passphrase: str | None = None) -> str:
        path = tmp_path / "candidate"
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        with pytest.raises(KeyLoadError) as caught:
            LocalSigner.of(PrivateKeyFile(path), passphrase)
        return str(caught.value).removeprefix(f"the private key file {path} ").replace("Remedy: ", "")

    return read


@pytest.fixture
def pem(keys: KeyPair, tmp_path: Path) -> Path:
    path = tmp_path / "server.key"
    path.write_text(keys.private_key_pem)
    return path


@pytest.fixture
def certificate(keys: KeyPair, tmp_path: Path) -> Path:
    path = tmp_path / "server.crt"
    path.write_text(keys.certificate_pem)
    return path


def test_an_openssh_key(told: Told, tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "id_rsa")
    convert = "Convert a copy of it, in place: ssh-keygen -p -m PKCS8 -f COPY"
    assert told((tmp_path / "id_rsa").read_bytes()) == f"is a key in the format of OpenSSH. {convert}"
    assert told((tmp_path / "id_rsa.pub").read_bytes()) == (
        f"is a public key of OpenSSH, not a private key. {GIVE_PRIVATE}"
    )
    run("ssh-keygen", "-p", "-q", "-m", "PKCS8", "-N", "", "-P", "", "-f", tmp_path / "id_rsa")
    assert LocalSigner.of(PrivateKeyFile(tmp_path / "id_rsa"), None).algorithm == "RS256"


def test_an_rfc_4716_public_key(told: Told, tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "id")
    assert told((tmp_path / "id.pub").read_bytes()).startswith("is a public key of OpenSSH, not a private key.")
    exported = run("ssh-keygen", "-e", "-m", "RFC4716", "-f", tmp_path / "id.pub")
    assert told(exported) == f"is a public key, not a private key. {GIVE_PRIVATE}"


def test_a_putty_key(told: Told) -> None:
    assert told("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: x\nPublic-Lines: 6\nAAAA\n") == (
        "is a PuTTY key. Convert it: puttygen KEY.ppk -O private-openssh -o COPY && ssh-keygen -p -m PKCS8 -f COPY"
    )


def test_a_java_keystore(told: Told, tmp_path: Path) -> None:
    contents = bytes.fromhex("feedfeed00000002000000010000000100") + b"server\x00\xff"
    assert told(contents) == (
        "is a Java keystore. "
        "Convert it: keytool -importkeystore -srckeystore FILE -destkeystore server.p12 -deststoretype PKCS12"
    )


def test_a_pgp_key(told: Told) -> None:
    assert told("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n-----END PGP PRIVATE KEY BLOCK-----\n") == (
        f"is a PGP key. {GIVE_PRIVATE}"
    )


def test_certificates_requests_and_public_keys_in_der_as_in_pem(told: Told, pem: Path, certificate: Path) -> None:
    upload = f"is a certificate, not a private key. Upload the certificate to the app. {GIVE_PRIVATE}"
    assert told(run("openssl", "x509", "-in", certificate, "-outform", "DER")) == upload
    request = ("openssl", "req", "-new", "-key", pem, "-subj", "/CN=x", "-outform")
    for form in ("DER", "PEM"):
        assert told(run(*request, form)) == f"is a certificate signing request, not a private key. {GIVE_PRIVATE}"
        public = run("openssl", "pkey", "-in", pem, "-pubout", "-outform", form)
        assert told(public) == f"is a public key, not a private key. {GIVE_PRIVATE}"
        public = run("openssl", "rsa", "-in", pem, "-RSAPublicKey_out", "-outform", form)
        assert told(public) == f"is a public key, not a private key. {GIVE_PRIVATE}"


def test_a_pkcs7_bundle(told: Told, certificate: Path) -> None:
    bundle = ("openssl", "crl2pkcs7", "-nocrl", "-certfile", certificate, "-outform")
    assert told(run(*bundle, "PEM")) == f"holds a PEM block that is no private key. {GIVE_PRIVATE}"
    assert told(run(*bundle, "DER")).startswith("is no key in any known format")


def test_a_pkcs12_file_without_its_passphrase_or_with_a_wrong_one(told: Told, pem: Path, certificate: Path) -> None:
    bundle = run("openssl", "pkcs12", "-export", "-inkey", pem, "-in", certificate, "-passout", "pass:right")
    assert told(bundle) == ("is an encrypted PKCS12 file, and no passphrase is set. Set passphrase (SF_PASSPHRASE).")
    for wrong in ("wrong", ""):
        assert told(bundle, wrong) == (
            "is a PKCS12 file that passphrase does not open. "
            "Check passphrase (SF_PASSPHRASE); if it is right, the file is damaged."
        )
    assert told(base64.b64encode(bundle), "wrong").startswith("is a PKCS12 file that passphrase does not open.")


def test_a_pkcs12_file_that_holds_only_certificates(told: Told, certificate: Path) -> None:
    bundle = run("openssl", "pkcs12", "-export", "-nokeys", "-in", certificate, "-passout", "pass:right")
    assert told(bundle, "right") == f"is a PKCS12 file with no private key in it. {GIVE_PRIVATE}"


def test_a_key_in_a_cipher_that_is_not_supported(told: Told, pem: Path) -> None:
    encrypted = run("openssl", "pkcs8", "-topk8", "-v2", "aria-256-cbc", "-in", pem, "-passout", "pass:right")
    assert told(encrypted, "right") == (
        "is encrypted with a cipher that is not supported. "
        "Encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD.key -out server.key"
    )


def test_an_encrypted_der_key_without_its_passphrase_or_with_a_wrong_one(told: Told, pem: Path) -> None:
    der = run("openssl", "pkcs8", "-topk8", "-in", pem, "-outform", "DER", "-passout", "pass:right")
    assert told(der) == "is an encrypted key, and no passphrase is set. Set passphrase (SF_PASSPHRASE)."
    assert told(der, "wrong") == "is encrypted, and passphrase does not open it. Check passphrase (SF_PASSPHRASE)."


def test_der_that_is_cut_off(told: Told, pem: Path) -> None:
    der = run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", pem, "-outform", "DER")
    assert told(der[:500]).startswith("is damaged: it looks like a private key, but cannot be read as one.")


def test_der_of_an_impossible_length(told: Told) -> None:
    assert told(b"\x30\x89" + bytes(20)).startswith("is no key in any known format")


def test_an_ec_key_in_der(told: Told) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert told(der) == f"is a key of the kind EC, but Salesforce takes only RSA (RS256). {NEW_KEY}"


@pytest.mark.parametrize(
    ("jwk", "said"),
    [
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, f"is a JWK that is public: it has no member d. {GIVE_PRIVATE}"),
        (
            {"kty": "EC", "crv": "P-256", "d": "AA"},
            f"is a JWK of the kind EC, but Salesforce takes only RSA (RS256). {NEW_KEY}",
        ),
        ({"keys": []}, "is a set of JWKs, not one. Give the one private key of the set."),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nMIIE"}, NO_JWK),
        ({"kty": "canary"}, NO_JWK),
        ({"kty": []}, NO_JWK),
        ({"kty": "RSA", "d": "AQAB"}, DAMAGED_JWK),
        ({"kty": "RSA", "n": 5, "e": 3, "d": 2}, DAMAGED_JWK),
        ({"kty": "RSA", "n": "AQ", "e": "AQ", "d": "AQ"}, DAMAGED_JWK),
        ({"kty": "RSA", "n": "ü", "e": "AQ", "d": "AQ"}, DAMAGED_JWK),
        ({"kty": "RSA", "n": "A" * 5000, "e": "AQAB", "d": "AQAB"}, DAMAGED_JWK),
        ({"kty": "RSA", "n": "Iw", "e": "BQ", "d": "BQ", "p": "AQ", "q": "Iw"}, DAMAGED_JWK),
    ],
)
def test_json_that_is_no_private_jwk(jwk: dict[str, object], said: str, told: Told) -> None:
    assert told(json.dumps(jwk)) == said


@pytest.mark.parametrize("text", ["{not json", "{" * 100_000, '{"a":' * 100_000])
def test_what_only_begins_like_json(text: str, told: Told) -> None:
    assert told(text) == f"begins like JSON, but is none. {GIVE_PRIVATE}"


def test_a_pem_label_of_somebodys_own_is_not_quoted(told: Told) -> None:
    assert told("-----BEGIN CANARY 7331-----\nAAAA\n-----END CANARY 7331-----\n") == (
        f"holds a PEM block that is no private key. {GIVE_PRIVATE}"
    )
    assert told("-----BEGIN nothing").startswith("holds a PEM block that is no private key.")


def test_a_public_key_of_an_other_kind_in_der(told: Told) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert told(der) == f"is a public key, not a private key. {GIVE_PRIVATE}"
    assert serialization.load_der_public_key(der) is not None
