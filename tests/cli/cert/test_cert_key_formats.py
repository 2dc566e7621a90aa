"""What `--key` reads: formats, base64 around them, passphrases; and what it calls that which is none."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from kinetic_auth_core.testing import KeyPair, new_key_pair

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


def openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], capture_output=True, check=True)


FORMS = {
    "PKCS1": ("rsa", "-in", "server.key", "-traditional"),
    "DER": ("pkcs8", "-topk8", "-nocrypt", "-in", "server.key", "-outform", "DER"),
    "encrypted PKCS1": ("rsa", "-in", "server.key", "-traditional", "-aes256", "-passout", "pass:right"),
    "encrypted PKCS8": ("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:right"),
    "encrypted DER": ("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:right", "-outform", "DER"),
    "PKCS12": ("pkcs12", "-export", "-inkey", "server.key", "-in", "server.crt", "-passout", "pass:right"),
}
PEM_SHUT = "is encrypted, and the passphrase does not open it."
P12_SHUT = "is a PKCS12 file that opens with another passphrase only."
NO_PASSPHRASE = "is encrypted, and no passphrase is given."


@pytest.mark.parametrize("form", FORMS)
def test_a_key_in_other_formats(form: str, run: Run, folder: Path) -> None:
    openssl(*FORMS[form], "-out", "other.key")
    args = ("cert", "check", "--cert", "server.crt", "--key", "other.key", "--passphrase-env", "P")
    assert run(*args, env={"P": "right"}).code == 0


@pytest.mark.parametrize(
    ("form", "passphrase", "said"),
    [
        ("encrypted PKCS1", None, NO_PASSPHRASE),
        ("encrypted PKCS8", None, NO_PASSPHRASE),
        ("encrypted DER", None, NO_PASSPHRASE),
        ("PKCS12", None, P12_SHUT),
        ("encrypted PKCS1", "wrong", PEM_SHUT),
        ("encrypted PKCS8", "wrong", PEM_SHUT),
        ("encrypted DER", "wrong", "is no key that the passphrase opens."),
        ("PKCS12", "wrong", P12_SHUT),
    ],
)
def test_a_passphrase_that_is_missing_or_wrong(
    form: str, passphrase: str | None, said: str, run: Run, folder: Path
) -> None:
    openssl(*FORMS[form], "-out", "other.key")
    named = ("--passphrase-env", "P") if passphrase else ()
    outcome = run("cert", "check", "--cert", "server.crt", "--key", "other.key", *named, env={"P": passphrase or ""})
    assert outcome.code == 3
    assert (
        outcome.told
        == f"Error: the key other.key {said} Remedy: Set its passphrase in a variable: --passphrase-env NAME."
    )


def written_as(form: str, keys: KeyPair) -> bytes:
    """The key in a form that openssl does not write."""
    pem = keys.private_key_pem.encode()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    numbers = {"n": key.public_key().public_numbers().n, "e": 65537, "d": key.private_numbers().d}
    if form == "JWK":
        numbers |= {"p": key.private_numbers().p, "q": key.private_numbers().q}
    digits = {name: urlsafe_b64encode(each.to_bytes(256)).decode().rstrip("=") for name, each in numbers.items()}
    jwk = json.dumps({"kty": "RSA", **digits}).encode()
    return {
        "JWK": jwk,
        "JWK without primes": jwk,
        "base64 of PEM": b64encode(pem),
        "base64 of DER in lines": encodebytes(der),
        "base64url of DER without padding": urlsafe_b64encode(der).rstrip(b"="),
        "base64 of base64 of a JWK": b64encode(b64encode(jwk)),
    }[form]


@pytest.mark.parametrize(
    "form",
    [
        "JWK",
        "JWK without primes",
        "base64 of PEM",
        "base64 of DER in lines",
        "base64url of DER without padding",
        "base64 of base64 of a JWK",
    ],
)
def test_a_key_as_it_lies_in_secret_stores(form: str, run: Run, folder: Path, keys: KeyPair) -> None:
    Path("other.key").write_bytes(written_as(form, keys))
    outcome = run("cert", "check", "--cert", "server.crt", "--key", "other.key")
    assert outcome.code == 0, outcome.err


def test_base64_of_a_pkcs12_file_opens_with_its_passphrase(run: Run, folder: Path) -> None:
    openssl(*FORMS["PKCS12"], "-out", "server.p12")
    Path("other.key").write_bytes(b64encode(Path("server.p12").read_bytes()))
    args = ("cert", "check", "--cert", "server.crt", "--key", "other.key", "--passphrase-env", "P")
    assert run(*args, env={"P": "right"}).code == 0


NOTHING_KNOWN = "is no RSA private key in PEM, DER, PKCS12 or JWK, nor base64 of one"
OTHERS = {
    "a certificate": "is a certificate, not a private key",
    "a certificate in DER": "is a certificate, not a private key",
    "base64 of a certificate": "is a certificate, not a private key",
    "a request": "is a certificate signing request, not a private key",
    "a public key": "is a public key, not a private key",
    "a public key in DER": "is a public key, not a private key",
    "a public JWK": "is a JWK that is public: it has no member d",
    "a JWK of another kind": NOTHING_KNOWN,
    "a JWK with wrong numbers": NOTHING_KNOWN,
    "other JSON": NOTHING_KNOWN,
    "a JSON list": NOTHING_KNOWN,
    "base64 of nothing": NOTHING_KNOWN,
    "bad base64": NOTHING_KNOWN,
    "text": NOTHING_KNOWN,
}


def something_else(name: str, keys: KeyPair) -> bytes:
    certificate = x509.load_pem_x509_certificate(keys.certificate_pem.encode())
    public, elliptic = certificate.public_key(), ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(certificate.subject).sign(elliptic, hashes.SHA256())
    form = PublicFormat.SubjectPublicKeyInfo
    return {
        "a certificate": keys.certificate_pem.encode(),
        "a certificate in DER": certificate.public_bytes(Encoding.DER),
        "base64 of a certificate": b64encode(certificate.public_bytes(Encoding.DER)),
        "a request": request.public_bytes(Encoding.PEM),
        "a public key": public.public_bytes(Encoding.PEM, form),
        "a public key in DER": public.public_bytes(Encoding.DER, form),
        "a public JWK": b'{"kty": "RSA", "n": "AQAB", "e": "AQAB"}',
        "a JWK of another kind": b'{"kty": "EC", "d": "canary"}',
        "a JWK with wrong numbers": b'{"kty": "RSA", "n": "AQABAQAB", "e": "AQAB", "d": "canary"}',
        "other JSON": b'{"private_key": "canary"}',
        "a JSON list": b'{"kty": ["canary"], "n": 1}',
        "base64 of nothing": b64encode(b"canary" * 10),
        "bad base64": b"canarycanarycanarycanaryc",
        "text": b"hello, canary",
    }[name]


@pytest.mark.parametrize("passphrase", ["", "needless"])
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_rsa_key_is_called_what_it_is(
    name: str, passphrase: str, run: Run, folder: Path, keys: KeyPair
) -> None:
    Path("other.key").write_bytes(something_else(name, keys))
    named = ("--passphrase-env", "P") if passphrase else ()
    outcome = run("cert", "check", "--cert", "server.crt", "--key", "other.key", *named, env={"P": passphrase})
    assert outcome.code == 3
    said, remedy = OTHERS[name], "Name the private key, such as server.key."
    if passphrase and name in ("base64 of nothing", "bad base64", "text"):
        said, remedy = "is no key that the passphrase opens", "Set its passphrase in a variable: --passphrase-env NAME."
    assert outcome.told == f"Error: the key other.key {said}. Remedy: {remedy}"


def test_a_key_that_is_too_short_gets_no_certificate(run: Run) -> None:
    Path("short.key").write_text(new_key_pair(bits=1024).private_key_pem)
    outcome = run("cert", "new", "--key", "short.key")
    assert outcome.code == 3
    assert outcome.told == (
        "Error: the key short.key has 1024 bits, but Salesforce wants 2048 or more. "
        "Remedy: Make a new one: kinetic-auth cert new, without --key."
    )


def test_a_key_of_another_kind_gets_no_certificate(run: Run) -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    Path("ec.key").write_bytes(elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    outcome = run("cert", "new", "--key", "ec.key")
    assert outcome.code == 3
    assert outcome.told == (
        "Error: the key ec.key is a key of the kind EC, but Salesforce takes only RSA. "
        "Remedy: Make a new one: kinetic-auth cert new, without --key."
    )
