"""Everything that is not the private key, and what its user reads: what it is, and what to do."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

from kinetic_auth_core import ConfigurationError, KeyLoadError, PrivateKeyNotFoundError
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair
from kinetic_auth_jwt_bearer import JWTAuthenticator

GIVE_PRIVATE = (
    "Remedy: Give the private key, a PEM block that begins with -----BEGIN PRIVATE KEY----- or BEGIN RSA PRIVATE KEY."
)
NEW_KEY = "Remedy: Make one with: openssl genrsa -out server.key 2048"
NOBODY = 65534


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
def unfit(keys: KeyPair) -> dict[str, str]:
    """Texts that are no private key for Salesforce, by what they are."""
    key = serialization.load_pem_private_key(keys.private_key_pem.encode(), None)
    public = key.public_key()
    body = "".join(keys.private_key_pem.splitlines()[1:-1])
    return {
        "certificate": keys.certificate_pem,
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
        "a line missing": without_a_line(keys.private_key_pem),
        "cut off": keys.private_key_pem[: len(keys.private_key_pem) // 2],
        "framed garbage": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA...\n-----END RSA PRIVATE KEY-----\n",
        "encrypted": pem_of(key, passphrase=b"right"),
        "encrypted PKCS1": pem_of(key, PrivateFormat.TraditionalOpenSSL, b"right"),
    }


TELLS_KINDS = int(cryptography.__version__.partition(".")[0]) >= 47
DAMAGED = f"is damaged: it looks like a private key, but cannot be read as one. {GIVE_PRIVATE}"
NO_PASSPHRASE = "is an encrypted key, and no passphrase is set. Remedy: Set passphrase (SF_PASSPHRASE)."
NOTHING_KNOWN = f"is no key in any known format: no PEM, DER, PKCS12 or JWK, nor base64 of one. {GIVE_PRIVATE}"
CUT_OFF = f"is cut off: its -----END ...----- line is missing. {GIVE_PRIVATE}"
EC_KEY = f"is a key of the kind EC, but Salesforce takes only RSA (RS256). {NEW_KEY}"

TOLD = {
    "certificate": "is a certificate, not a private key. Remedy: Upload the certificate to the app. "
    + GIVE_PRIVATE.removeprefix("Remedy: "),
    "public key": f"is a public key, not a private key. {GIVE_PRIVATE}",
    "RSA public key": f"is a public key, not a private key. {GIVE_PRIVATE}",
    "EC": EC_KEY,
    "EC, as openssl ecparam -noout writes it": EC_KEY,
    "EC, as openssl ecparam writes it": EC_KEY,
    "Ed25519": f"is a key of the kind Ed25519, but Salesforce takes only RSA (RS256). {NEW_KEY}",
    "RSA-1024": f"is an RSA key of 1024 bits, but Salesforce wants 2048 or more. {NEW_KEY}",
    # cryptography before version 47 does not tell an unknown kind from a damaged key.
    "unknown kind": f"holds a key of a kind that is not supported. {NEW_KEY}" if TELLS_KINDS else DAMAGED,
    "parameters": f"holds parameters, not a private key. {GIVE_PRIVATE}",
    "garbage": NOTHING_KNOWN,
    "binary": NOTHING_KNOWN,
    "half of base64 without its frame": DAMAGED,
    "blank": f"is empty. {GIVE_PRIVATE}",
    "a line missing": DAMAGED,
    "cut off": CUT_OFF,
    "framed garbage": DAMAGED,
    "encrypted": NO_PASSPHRASE,
    "encrypted PKCS1": NO_PASSPHRASE,
}


@pytest.mark.parametrize("what", TOLD)
def test_a_text_that_is_no_usable_key_is_called_what_it_is(
    what: str, unfit: dict[str, str], settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key=unfit[what]).authenticate()
    assert str(caught.value) == f"private_key {TOLD[what]}"
    assert isinstance(caught.value, ValueError)
    assert sf.token_requests == 0


@pytest.mark.parametrize("what", TOLD)
def test_a_file_that_holds_no_usable_key_is_named_with_what_it_is(
    what: str, unfit: dict[str, str], settings: dict[str, Any], sf: SalesforceEmulator, tmp_path: Path
) -> None:
    path = tmp_path / "server.key"
    path.write_text(unfit[what])
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key_path=path).authenticate()
    assert str(caught.value) == f"the private key file {path} {TOLD[what]}"
    assert sf.token_requests == 0


@pytest.mark.parametrize("what", ["encrypted", "encrypted PKCS1"])
@pytest.mark.parametrize("passphrase", ["wrong", ""])
def test_a_passphrase_that_does_not_open_the_key_is_told_from_a_missing_one(
    what: str, passphrase: str, unfit: dict[str, str], settings: dict[str, Any]
) -> None:
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key=unfit[what], passphrase=passphrase).authenticate()
    assert str(caught.value) == (
        "private_key is encrypted, and passphrase does not open it. Remedy: Check passphrase (SF_PASSPHRASE)."
    )


@pytest.mark.parametrize(
    "path", ["/etc/salesforce/server.key", "server.key", "certs/prod.pem", "~/server", "C:\\keys\\server.key"]
)
def test_a_path_where_the_text_of_a_key_is_wanted_is_recognised(path: str, settings: dict[str, Any]) -> None:
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key=path).authenticate()
    assert str(caught.value) == (
        "private_key looks like a path, not like a key. Remedy: Give a path as private_key_path."
    )


@pytest.mark.parametrize("scheme", ["secretmanager", "vault", "secret_manager"])
def test_a_reference_whose_scheme_no_key_loader_has_is_not_taken_for_a_path(
    scheme: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key=f"{scheme}://aws/prod/salesforce#private_key").authenticate()
    assert str(caught.value) == (
        f"private_key looks like a reference, but no key loader for {scheme}:// is installed. Remedy: Correct the "
        "scheme (env://, file://, secret-manager://, kms://), or install the package that brings its loader."
    )


def test_a_key_file_that_is_not_there_is_a_file_not_found_error_with_all_its_fields(
    settings: dict[str, Any], tmp_path: Path, sf: SalesforceEmulator
) -> None:
    path = tmp_path / "nowhere" / "server.key"
    with pytest.raises(FileNotFoundError) as caught:
        JWTAuthenticator(**settings, private_key_path=str(path)).authenticate()
    error = caught.value
    assert isinstance(error, PrivateKeyNotFoundError)
    assert isinstance(error, KeyLoadError)
    assert (error.errno, error.filename, error.strerror) == (
        errno.ENOENT,
        str(path),
        "No such file or directory",
    )
    assert str(error) == (
        f"Private key not found: {path} does not exist. Remedy: Verify private_key_path (SF_PRIVATE_KEY_PATH): "
        "that it is correct and that the file exists."
    )
    assert isinstance(error.__cause__, FileNotFoundError)
    assert sf.token_requests == 0


def test_an_empty_file_is_called_empty(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "server.key").touch()
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key_path="server.key").authenticate()
    assert str(caught.value) == f"the private key file server.key is empty. {GIVE_PRIVATE}"


def test_a_file_in_an_unknown_binary_format_is_no_key(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "server.der").write_bytes(bytes(range(256)))
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key_path="server.der").authenticate()
    assert str(caught.value) == f"the private key file server.der {NOTHING_KNOWN}"


def test_a_directory_is_called_one_and_nobody_is_sent_to_its_permissions(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key_path=tmp_path).authenticate()
    assert caught.value.message == f"the private key file {tmp_path} cannot be read: Is a directory."
    assert isinstance(caught.value.__cause__, IsADirectoryError)
    assert "chmod" not in caught.value.remedy


@pytest.mark.skipif(os.name != "posix", reason="file permissions as in POSIX")
def test_a_file_that_this_user_may_not_read_says_so_and_how_to_change_it(
    settings: dict[str, Any], key_file: Path, keys: KeyPair
) -> None:
    JWTAuthenticator(**settings, private_key=keys.private_key_pem).authenticate()  # imports all that a login needs
    key_file.chmod(0)
    made = JWTAuthenticator(**settings, private_key_path=key_file)
    with without_privileges(), pytest.raises(KeyLoadError) as caught:
        made.authenticate()
    assert str(caught.value) == (
        f"the private key file {key_file} cannot be read: Permission denied. "
        "Remedy: Let the user that runs this process read it (chown, chmod 600)."
    )
    assert isinstance(caught.value.__cause__, PermissionError)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything, so the test is somebody else meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_path_that_no_file_system_takes_is_a_key_load_error(settings: dict[str, Any]) -> None:
    with pytest.raises(KeyLoadError, match="private key file"):
        JWTAuthenticator(**settings, private_key_path="server\0.key").authenticate()


def test_text_that_is_not_unicode_is_refused_at_once(settings: dict[str, Any], keys: KeyPair) -> None:
    """Python hands undecodable bytes of an environment variable on as lone surrogates."""
    with pytest.raises(ConfigurationError, match="private_key: is not valid text: some of its bytes were not UTF-8"):
        JWTAuthenticator(**settings, private_key=keys.private_key_pem + "\udcff").authenticate()


@pytest.mark.parametrize("change", [str, lambda pem: pem.replace("\n", "\\n"), lambda pem: pem.replace("\n", " ")])
def test_a_key_in_place_of_its_path_is_refused_at_once_and_not_shown(keys: KeyPair, change: Any) -> None:
    key = change(keys.private_key_pem)
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", private_key_path=key)
    assert "private_key_path: holds a key, not a path: give it as private_key (SF_PRIVATE_KEY)" in str(caught.value)
    assert "MII" not in f"{caught.value!r}{caught.value}"


def test_a_key_s_lines_alone_are_not_taken_for_its_path_either(keys: KeyPair) -> None:
    body = "\\n".join(keys.private_key_pem.splitlines()[1:10])
    with pytest.raises(ConfigurationError, match="holds a key, not a path") as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", private_key_path=body)
    assert body[:20] not in f"{caught.value!r}{caught.value}"


@pytest.mark.parametrize("path", [r"C:\Users\nina\server.key", r"C:\new\nightly\n1\net.key"])
def test_a_path_on_windows_is_no_key_with_escaped_line_ends(path: str) -> None:
    assert JWTAuthenticator("3MVG9", "u@acme.com", private_key_path=path).private_key_path == path
