"""Valid keys in each form are read once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kinetic_auth_core import LoginRequest
from kinetic_auth_core.plugins import tallied
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator

PASSPHRASE = "pässphrase with 'quotes' & blanks"

Reformat = Callable[..., str]


@pytest.fixture
def reformat(keys: KeyPair) -> Reformat:
    """The key that the app's certificate belongs to, in another PEM format."""

    def make(form: PrivateFormat, passphrase: str | None = None) -> str:
        key = serialization.load_pem_private_key(keys.private_key_pem.encode(), None)
        encryption: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            encryption = BestAvailableEncryption(passphrase.encode())
        return key.private_bytes(Encoding.PEM, form, encryption).decode()

    return make


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        (PrivateFormat.PKCS8, "-----BEGIN PRIVATE KEY-----"),
        (PrivateFormat.TraditionalOpenSSL, "-----BEGIN RSA PRIVATE KEY-----"),
    ],
)
def test_pkcs1_and_pkcs8_log_in_as_text_and_as_a_file(
    form: PrivateFormat, begins: str, reformat: Reformat, settings: dict[str, Any], tmp_path: Path
) -> None:
    pem = reformat(form)
    assert pem.startswith(begins)
    (tmp_path / "key.pem").write_text(pem)
    assert JWTAuthenticator(**settings, private_key=pem).authenticate().is_valid()
    assert JWTAuthenticator(**settings, private_key_path=str(tmp_path / "key.pem")).authenticate().is_valid()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_opened_by_its_passphrase(
    form: PrivateFormat, reformat: Reformat, settings: dict[str, Any]
) -> None:
    pem = reformat(form, PASSPHRASE)
    assert "ENCRYPTED" in pem
    assert JWTAuthenticator(**settings, private_key=pem, passphrase=PASSPHRASE).authenticate().is_valid()


def test_the_passphrase_of_an_unencrypted_key_is_ignored(settings: dict[str, Any], keys: KeyPair) -> None:
    made = JWTAuthenticator(**settings, private_key=keys.private_key_pem, passphrase="not needed")
    assert made.authenticate().is_valid()


@pytest.mark.parametrize(
    "dressed",
    [
        pytest.param(lambda pem: "\ufeff" + pem, id="a byte order mark"),
        pytest.param(lambda pem: "\n" + pem, id="a blank line before, as in a triple-quoted text"),
        pytest.param(lambda pem: " \n\t\n" + pem + "\n\n ", id="blanks around"),
        pytest.param(lambda pem: "\ufeff\r\n" + pem, id="a byte order mark and a blank line"),
        pytest.param(lambda pem: pem.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda pem: pem.rstrip("\n"), id="no line end"),
        pytest.param(lambda pem: "Bag Attributes\n    friendlyName: server\n" + pem, id="openssl's bag attributes"),
    ],
)
def test_additions_of_editors_and_transports_are_ignored(
    dressed: Callable[[str], str], settings: dict[str, Any], keys: KeyPair, tmp_path: Path
) -> None:
    pem = dressed(keys.private_key_pem)
    (tmp_path / "key.pem").write_bytes(pem.encode())
    assert JWTAuthenticator(**settings, private_key=pem).authenticate().is_valid()
    assert JWTAuthenticator(**settings, private_key_path=tmp_path / "key.pem").authenticate().is_valid()


def test_certificates_around_the_key_are_ignored(settings: dict[str, Any], keys: KeyPair) -> None:
    pem = keys.certificate_pem + keys.private_key_pem + keys.certificate_pem
    assert JWTAuthenticator(**settings, private_key=pem).authenticate().is_valid()


def test_a_path_may_begin_with_the_users_home(
    settings: dict[str, Any], key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(key_file.parent))
    assert JWTAuthenticator(**settings, private_key_path=f"~/{key_file.name}").authenticate().is_valid()


def test_a_relative_path_is_relative_to_the_working_directory(settings: dict[str, Any], key_file: Path) -> None:
    assert JWTAuthenticator(**settings, private_key_path=key_file.name).authenticate().is_valid()


def test_an_empty_key_text_beside_a_path_counts_as_not_given(settings: dict[str, Any], key_file: Path) -> None:
    made = JWTAuthenticator(**settings, private_key="", private_key_path=str(key_file))
    assert made.authenticate().is_valid()


def test_an_empty_path_beside_a_key_text_counts_as_not_given(settings: dict[str, Any], keys: KeyPair) -> None:
    made = JWTAuthenticator(**settings, private_key=keys.private_key_pem, private_key_path="")
    assert made.authenticate().is_valid()


def test_the_constructor_reads_no_file(settings: dict[str, Any], tmp_path: Path) -> None:
    made = JWTAuthenticator(**settings, private_key_path=tmp_path / "not there yet")
    assert made.private_key_path == tmp_path / "not there yet"


def test_the_file_is_read_once_and_may_be_gone_afterwards(settings: dict[str, Any], key_file: Path) -> None:
    made = JWTAuthenticator(**settings, private_key_path=key_file)
    first = made.authenticate()
    key_file.unlink()
    second = made.authenticate()
    assert first.access_token != second.access_token


def test_a_key_is_prepared_once_for_all_threads(
    settings: dict[str, Any], key_file: Path, sf: SalesforceEmulator
) -> None:
    class CountedPath:
        asked = 0

        def __fspath__(self) -> str:
            self.asked += 1
            return str(key_file)

    path = CountedPath()
    made = JWTAuthenticator(**settings, private_key_path=path)
    barrier = threading.Barrier(8)

    def log_in() -> None:
        barrier.wait()
        made.authenticate()

    threads = [threading.Thread(target=log_in) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record.status for record in sf.history] == ["Success"] * 8
    assert path.asked == 1


def test_a_key_that_could_not_be_read_is_read_again_by_the_next_login(settings: dict[str, Any], key_file: Path) -> None:
    pem = key_file.read_text()
    key_file.unlink()
    made = JWTAuthenticator(**settings, private_key_path=key_file)
    with pytest.raises(FileNotFoundError):
        made.authenticate()
    key_file.write_text(pem)
    assert made.authenticate().is_valid()


def test_the_fingerprint_that_observers_see_is_that_of_the_public_key(keys: KeyPair) -> None:
    key = serialization.load_pem_private_key(keys.private_key_pem.encode(), None)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with tallied() as tally:
        JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem).grant(LoginRequest(now=0))
    assert tally.key_fingerprint == hashlib.sha256(public).hexdigest()
