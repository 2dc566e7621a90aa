"""Everything that is not a usable private key: the message says what it is, and how to get a key from it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cryptography
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kinetic_auth_core import ConfigurationError, KeyLoadError
from kinetic_auth_core.keys.signer import read_private_key
from kinetic_auth_core.testing import KeyPair, new_key_pair

GIVE_PRIVATE = (
    "Give the private key, a PEM block that begins with -----BEGIN PRIVATE KEY----- or BEGIN RSA PRIVATE KEY."
)
SET_IT = "Set or correct passphrase (SF_PASSPHRASE)."
NEW_KEY = "Make one with: openssl genrsa -out server.key 2048"
NO_JWK = (
    "is JSON but not a JWK. If the key is in one of its fields, name the field in a reference, such as "
    "file://PATH#FIELD."
)
DAMAGED_JWK = f"is a damaged JWK: its numbers are not those of an RSA private key. {GIVE_PRIVATE}"
MessageOf = Callable[..., str]


def run(*command: str | Path, given: bytes = b"") -> bytes:
    return subprocess.run(list(map(str, command)), input=given, capture_output=True, check=True).stdout


@pytest.fixture
def message_of(tmp_path: Path) -> MessageOf:
    """What the error says of a file with these contents, after its name."""

    def read(contents: bytes | str, passphrase: str | None = None) -> str:
        path = tmp_path / "candidate"
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        with pytest.raises(KeyLoadError) as caught:
            read_private_key(path, passphrase)
        return str(caught.value).removeprefix(f"the private key file {path} ").replace("Remedy: ", "")

    return read


@pytest.fixture
def pem(key_pair: KeyPair, tmp_path: Path) -> Path:
    path = tmp_path / "server.key"
    path.write_text(key_pair.private_key_pem)
    return path


@pytest.fixture
def certificate(key_pair: KeyPair, tmp_path: Path) -> Path:
    path = tmp_path / "server.crt"
    path.write_text(key_pair.certificate_pem)
    return path


def pem_of(key: PrivateKeyTypes, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def without_a_line(pem: str) -> str:
    lines = pem.splitlines()
    return "\n".join([*lines[:5], *lines[6:]])


def unknown_kind() -> str:
    """PKCS #8 around a key whose algorithm has the object identifier 1.2.3.4."""
    der = bytes.fromhex("300c020100300506032a03040400")
    return f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n"


def elliptic(form: PrivateFormat) -> str:
    return pem_of(ec.generate_private_key(ec.SECP256R1()), form)


@pytest.fixture(scope="session")
def unusable(key_pair: KeyPair) -> dict[str, str]:
    """Texts that are not a private key for Salesforce, by what they are."""
    key = serialization.load_pem_private_key(key_pair.private_key_pem.encode(), None)
    public = key.public_key()
    body = "".join(key_pair.private_key_pem.splitlines()[1:-1])
    return {
        "certificate": key_pair.certificate_pem,
        "public key": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "RSA public key": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode(),
        "EC": elliptic(PrivateFormat.PKCS8),
        "EC, as openssl ecparam -noout writes it": elliptic(PrivateFormat.TraditionalOpenSSL),
        "EC, as openssl ecparam writes it": (
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
            + elliptic(PrivateFormat.TraditionalOpenSSL)
        ),
        "Ed25519": pem_of(ed25519.Ed25519PrivateKey.generate()),
        "RSA-1024": new_key_pair(bits=1024).private_key_pem,
        "unknown kind": unknown_kind(),
        "parameters": "-----BEGIN DH PARAMETERS-----\nMAYCAQICAQI=\n-----END DH PARAMETERS-----\n",
        "garbage": "correct horse battery staple\nand more",
        "binary": "\x00\x01\x02 not text at all \x7f",
        "half of base64 without its frame": body[:800],
        "blank": " \n\t\r\n",
        "a line missing": without_a_line(key_pair.private_key_pem),
        "cut off": key_pair.private_key_pem[: len(key_pair.private_key_pem) // 2],
        "framed garbage": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA...\n-----END RSA PRIVATE KEY-----\n",
        "encrypted": pem_of(key, passphrase=b"right"),
        "encrypted PKCS1": pem_of(key, PrivateFormat.TraditionalOpenSSL, b"right"),
    }


TELLS_KINDS = int(cryptography.__version__.partition(".")[0]) >= 47
DAMAGED = f"is damaged: it looks like a private key but cannot be parsed. {GIVE_PRIVATE}"
NO_PASSPHRASE = "is encrypted, and no passphrase is set. Set or correct passphrase (SF_PASSPHRASE)."
NOT_A_KEY = f"is not in a supported key format (PEM, DER, PKCS12, JWK, or base64 of one of them). {GIVE_PRIVATE}"
CUT_OFF = f"is cut off: its -----END ...----- line is missing. {GIVE_PRIVATE}"
EC_KEY = f"is a key of type EC, but Salesforce accepts only RSA (RS256). {NEW_KEY}"

MESSAGES = {
    "certificate": "is a certificate, not a private key. Upload the certificate to the app. " + GIVE_PRIVATE,
    "public key": f"is a public key, not a private key. {GIVE_PRIVATE}",
    "RSA public key": f"is a public key, not a private key. {GIVE_PRIVATE}",
    "EC": EC_KEY,
    "EC, as openssl ecparam -noout writes it": EC_KEY,
    "EC, as openssl ecparam writes it": EC_KEY,
    "Ed25519": f"is a key of type Ed25519, but Salesforce accepts only RSA (RS256). {NEW_KEY}",
    "RSA-1024": f"is an RSA key of 1024 bits, but Salesforce requires 2048 or more. {NEW_KEY}",
    # cryptography before version 47 does not distinguish an unknown type from a damaged key.
    "unknown kind": f"holds a key of an unsupported type. {NEW_KEY}" if TELLS_KINDS else DAMAGED,
    "parameters": f"holds parameters, not a private key. {GIVE_PRIVATE}",
    "garbage": NOT_A_KEY,
    "binary": NOT_A_KEY,
    "half of base64 without its frame": DAMAGED,
    "blank": f"is empty. {GIVE_PRIVATE}",
    "a line missing": DAMAGED,
    "cut off": CUT_OFF,
    "framed garbage": DAMAGED,
    "encrypted": NO_PASSPHRASE,
    "encrypted PKCS1": NO_PASSPHRASE,
}


@pytest.mark.parametrize("what", MESSAGES)
def test_the_error_says_what_an_unusable_key_is(what: str, unusable: dict[str, str], message_of: MessageOf) -> None:
    assert message_of(unusable[what]) == MESSAGES[what]
    with pytest.raises(KeyLoadError) as caught:
        read_private_key(unusable[what])
    assert str(caught.value).replace("Remedy: ", "") == f"private_key {MESSAGES[what]}"


@pytest.mark.parametrize("what", ["encrypted", "encrypted PKCS1"])
@pytest.mark.parametrize("passphrase", ["wrong", "", "\ud800"])
def test_a_wrong_passphrase_has_another_message_than_a_missing_one(
    what: str, passphrase: str, unusable: dict[str, str], message_of: MessageOf
) -> None:
    assert message_of(unusable[what], passphrase) == f"is encrypted, and the passphrase does not decrypt it. {SET_IT}"


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/salesforce/server.key", "server.key", "certs/prod.pem", "~/server", "C:\\keys\\server.key"),
        *("keys/prod", "my keys/server.pem", "C:\\Program Files\\acme"),
    ],
)
def test_a_path_in_place_of_a_key_is_recognized(path: str, message_of: MessageOf) -> None:
    assert message_of(path) == (
        "looks like a path, not a key. Set private_key_path (SF_PRIVATE_KEY_PATH) to the path instead."
    )


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html><html><body>Log in at /login</body></html>",
        "\ufeff\n<HTML>\n<title>404</title>\n</HTML>\n",
        '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    ],
)
def test_a_page_that_was_saved_as_the_key_is_recognized(page: str, message_of: MessageOf) -> None:
    assert message_of(page).startswith("is HTML or XML, not a private key. Fetch the key again: ")


@pytest.mark.parametrize("text", ["Access denied / not allowed", "404 page not found: /keys/server.key"])
def test_a_message_that_was_saved_as_the_key_is_not_a_path(text: str, message_of: MessageOf) -> None:
    assert message_of(text) == NOT_A_KEY


@pytest.mark.parametrize("scheme", ["secretmanager", "vault", "secret_manager"])
def test_a_reference_without_a_key_loader_is_recognized(scheme: str, message_of: MessageOf) -> None:
    assert message_of(f"{scheme}://aws/prod/salesforce#private_key") == (
        f"looks like a reference, but no key loader for {scheme}:// is installed. Correct the "
        "scheme (env://, file://, secret-manager://, kms://), or install the package of its loader."
    )


def test_text_that_cannot_be_encoded_is_not_a_key(message_of: MessageOf, key_pair: KeyPair) -> None:
    with pytest.raises(KeyLoadError, match="is damaged"):
        read_private_key(key_pair.private_key_pem.replace("MII", "MII\ud800"))


def test_unknown_binary_data_is_not_a_key(message_of: MessageOf) -> None:
    assert message_of(bytes(range(256))) == NOT_A_KEY


@pytest.mark.parametrize("problem", ["missing", "encrypted"])
def test_neither_key_nor_passphrase_is_in_a_traceback(
    problem: str, unusable: dict[str, str], leaked_secrets: Callable[..., list[str]]
) -> None:
    key = Path("missing.key") if problem == "missing" else unusable["encrypted"]
    with pytest.raises(KeyLoadError) as caught:
        read_private_key(key, "canary-passphrase")
    assert leaked_secrets(caught.value, str(key), "canary-passphrase") == ["missing.key"] * (problem == "missing")


def test_without_cryptography_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConfigurationError, match=r"needs cryptography.*pip install cryptography"):
        read_private_key("key")


def test_an_openssh_key(message_of: MessageOf, tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "id_rsa")
    convert = "Convert a copy of it, in place: ssh-keygen -p -m PKCS8 -f COPY"
    assert message_of((tmp_path / "id_rsa").read_bytes()) == f"is a key in the format of OpenSSH. {convert}"
    assert message_of((tmp_path / "id_rsa.pub").read_bytes()) == (
        f"is a public key of OpenSSH, not a private key. {GIVE_PRIVATE}"
    )
    run("ssh-keygen", "-p", "-q", "-m", "PKCS8", "-N", "", "-P", "", "-f", tmp_path / "id_rsa")
    assert read_private_key(tmp_path / "id_rsa").algorithm == "RS256"


def test_an_rfc_4716_public_key(message_of: MessageOf, tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "id")
    assert message_of((tmp_path / "id.pub").read_bytes()).startswith("is a public key of OpenSSH, not a private key.")
    exported = run("ssh-keygen", "-e", "-m", "RFC4716", "-f", tmp_path / "id.pub")
    assert message_of(exported) == f"is a public key, not a private key. {GIVE_PRIVATE}"


def test_a_putty_key(message_of: MessageOf) -> None:
    assert message_of("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: x\nPublic-Lines: 6\nAAAA\n") == (
        "is a PuTTY key. Convert it: puttygen KEY.ppk -O private-openssh -o COPY && ssh-keygen -p -m PKCS8 -f COPY"
    )


def test_a_java_keystore(message_of: MessageOf, tmp_path: Path) -> None:
    contents = bytes.fromhex("feedfeed00000002000000010000000100") + b"server\x00\xff"
    assert message_of(contents) == (
        "is a Java keystore. "
        "Convert it: keytool -importkeystore -srckeystore FILE -destkeystore server.p12 -deststoretype PKCS12"
    )


def test_a_pgp_key(message_of: MessageOf) -> None:
    assert message_of("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n-----END PGP PRIVATE KEY BLOCK-----\n") == (
        f"is a PGP key. {GIVE_PRIVATE}"
    )


def test_certificates_requests_and_public_keys_in_der_as_in_pem(
    message_of: MessageOf, pem: Path, certificate: Path
) -> None:
    upload = f"is a certificate, not a private key. Upload the certificate to the app. {GIVE_PRIVATE}"
    assert message_of(run("openssl", "x509", "-in", certificate, "-outform", "DER")) == upload
    request = ("openssl", "req", "-new", "-key", pem, "-subj", "/CN=x", "-outform")
    for form in ("DER", "PEM"):
        assert message_of(run(*request, form)) == f"is a certificate signing request, not a private key. {GIVE_PRIVATE}"
        public = run("openssl", "pkey", "-in", pem, "-pubout", "-outform", form)
        assert message_of(public) == f"is a public key, not a private key. {GIVE_PRIVATE}"
        public = run("openssl", "rsa", "-in", pem, "-RSAPublicKey_out", "-outform", form)
        assert message_of(public) == f"is a public key, not a private key. {GIVE_PRIVATE}"


def test_a_pkcs7_bundle(message_of: MessageOf, certificate: Path) -> None:
    bundle = ("openssl", "crl2pkcs7", "-nocrl", "-certfile", certificate, "-outform")
    assert message_of(run(*bundle, "PEM")) == f"holds a PEM block that is not a private key. {GIVE_PRIVATE}"
    assert message_of(run(*bundle, "DER")).startswith("is not in a supported key format")


def test_a_pkcs12_file_without_its_passphrase_or_with_a_wrong_one(
    message_of: MessageOf, pem: Path, certificate: Path
) -> None:
    bundle = run("openssl", "pkcs12", "-export", "-inkey", pem, "-in", certificate, "-passout", "pass:right")
    assert message_of(bundle) == (
        "is an encrypted PKCS12 file, and no passphrase is set. Set or correct passphrase (SF_PASSPHRASE)."
    )
    for wrong in ("wrong", ""):
        assert message_of(bundle, wrong) == (
            f"is a PKCS12 file that is damaged, or that the passphrase does not decrypt. {SET_IT}"
        )
    assert message_of(base64.b64encode(bundle), "wrong").startswith("is a PKCS12 file that is damaged")


def test_a_pkcs12_file_that_holds_only_certificates(message_of: MessageOf, certificate: Path) -> None:
    bundle = run("openssl", "pkcs12", "-export", "-nokeys", "-in", certificate, "-passout", "pass:right")
    assert message_of(bundle, "right") == f"is a PKCS12 file without a private key. {GIVE_PRIVATE}"


def test_a_key_in_an_unsupported_cipher(message_of: MessageOf, pem: Path) -> None:
    encrypted = run("openssl", "pkcs8", "-topk8", "-v2", "aria-256-cbc", "-in", pem, "-passout", "pass:right")
    assert message_of(encrypted, "right") == (
        "is encrypted with an unsupported cipher. "
        "Re-encrypt it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD.key -out server.key"
    )


def test_an_encrypted_der_key_without_its_passphrase_or_with_a_wrong_one(message_of: MessageOf, pem: Path) -> None:
    der = run("openssl", "pkcs8", "-topk8", "-in", pem, "-outform", "DER", "-passout", "pass:right")
    assert message_of(der) == "is encrypted, and no passphrase is set. Set or correct passphrase (SF_PASSPHRASE)."
    assert (
        message_of(der, "wrong")
        == "is encrypted, and the passphrase does not decrypt it. Set or correct passphrase (SF_PASSPHRASE)."
    )


def test_truncated_der(message_of: MessageOf, pem: Path) -> None:
    der = run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", pem, "-outform", "DER")
    assert message_of(der[:500]).startswith("is damaged: it looks like a private key but cannot be parsed.")


def test_der_of_an_impossible_length(message_of: MessageOf) -> None:
    assert message_of(b"\x30\x89" + bytes(20)).startswith("is not in a supported key format")


def test_an_ec_key_in_der(message_of: MessageOf) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert message_of(der) == f"is a key of type EC, but Salesforce accepts only RSA (RS256). {NEW_KEY}"


@pytest.mark.parametrize(
    ("jwk", "message"),
    [
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, f"is a public JWK: it has no member d. {GIVE_PRIVATE}"),
        (
            {"kty": "EC", "crv": "P-256", "d": "AA"},
            f"is a JWK of type EC, but Salesforce accepts only RSA (RS256). {NEW_KEY}",
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
def test_json_without_a_private_jwk(jwk: dict[str, object], message: str, message_of: MessageOf) -> None:
    assert message_of(json.dumps(jwk)) == message


@pytest.mark.parametrize("text", ["{not json", "{" * 100_000, '{"a":' * 100_000])
def test_text_that_only_begins_like_json(text: str, message_of: MessageOf) -> None:
    assert message_of(text) == f"begins like JSON but is not valid JSON. {GIVE_PRIVATE}"


def test_an_unknown_pem_label_is_not_quoted(message_of: MessageOf) -> None:
    assert message_of("-----BEGIN CANARY 7331-----\nAAAA\n-----END CANARY 7331-----\n") == (
        f"holds a PEM block that is not a private key. {GIVE_PRIVATE}"
    )
    assert message_of("-----BEGIN nothing").startswith("holds a PEM block that is not a private key.")


def test_a_public_key_of_another_type_in_der(message_of: MessageOf) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert message_of(der) == f"is a public key, not a private key. {GIVE_PRIVATE}"
    assert serialization.load_der_public_key(der) is not None
