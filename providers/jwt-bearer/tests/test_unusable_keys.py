"""The error for an unusable key: the setting, what the value is, and the remedy."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import ConfigurationError, KeyLoadError, PrivateKeyNotFoundError
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator

NOBODY = 65534


def test_an_unusable_text_is_named_by_its_setting(
    settings: dict[str, Any], keys: KeyPair, sf: SalesforceEmulator
) -> None:
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key=keys.certificate_pem).authenticate()
    assert caught.value.message == "private_key is a certificate, not a private key."
    assert isinstance(caught.value, ValueError)
    assert sf.token_requests == 0


def test_an_unusable_file_is_named_by_its_path(
    settings: dict[str, Any], tmp_path: Path, sf: SalesforceEmulator
) -> None:
    (tmp_path / "server.key").touch()
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key_path="server.key").authenticate()
    assert caught.value.message == "the private key file server.key is empty."
    assert sf.token_requests == 0


def test_a_missing_key_file_is_a_file_not_found_error_with_all_its_fields(
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


def test_a_directory_is_reported_without_a_hint_at_permissions(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key_path=tmp_path).authenticate()
    assert caught.value.message == f"the private key file {tmp_path} cannot be read: Is a directory."
    assert isinstance(caught.value.__cause__, IsADirectoryError)
    assert "chmod" not in caught.value.remedy


@pytest.mark.skipif(os.name != "posix", reason="file permissions as in POSIX")
def test_an_unreadable_file_is_reported_with_how_to_change_it(
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
    """Root may read everything, so the test runs as another user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_impossible_path_is_a_key_load_error(settings: dict[str, Any]) -> None:
    with pytest.raises(KeyLoadError, match="private key file"):
        JWTAuthenticator(**settings, private_key_path="server\0.key").authenticate()


def test_invalid_unicode_is_rejected_at_once(settings: dict[str, Any], keys: KeyPair) -> None:
    """Python hands undecodable bytes of an environment variable on as lone surrogates."""
    with pytest.raises(ConfigurationError, match="private_key: is not valid text: some of its bytes were not UTF-8"):
        JWTAuthenticator(**settings, private_key=keys.private_key_pem + "\udcff").authenticate()


@pytest.mark.parametrize("change", [str, lambda pem: pem.replace("\n", "\\n"), lambda pem: pem.replace("\n", " ")])
def test_a_key_in_place_of_its_path_is_rejected_at_once_and_not_shown(keys: KeyPair, change: Any) -> None:
    key = change(keys.private_key_pem)
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", private_key_path=key)
    assert "private_key_path: is a key, not a path: set it as private_key (SF_PRIVATE_KEY)" in str(caught.value)
    assert "MII" not in f"{caught.value!r}{caught.value}"


@pytest.mark.parametrize("reference", ["file:///srv/key.pem", "env://KEY", "secret-manager://aws/key", "kms://aws/key"])
def test_a_reference_in_place_of_a_path_is_rejected_at_once(tmp_path: Path, reference: str) -> None:
    said = "is a reference, not a path: set it as private_key (SF_PRIVATE_KEY)"
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", private_key_path=reference)
    assert said in str(caught.value)
    file = tmp_path / "kinetic-auth.toml"
    file.write_text(
        '[environments.dev]\nprovider = "jwt-bearer"\nclient_id = "3MVG9"\nusername = "u@acme.com"\n'
        f'private_key_path = "{reference}"\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        kinetic.resolve(environment="dev", config=file)
    assert said in str(caught.value)


def test_the_lines_of_a_key_alone_are_rejected_as_a_path_too(keys: KeyPair) -> None:
    body = "\\n".join(keys.private_key_pem.splitlines()[1:10])
    with pytest.raises(ConfigurationError, match="is a key, not a path") as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", private_key_path=body)
    assert body[:20] not in f"{caught.value!r}{caught.value}"


@pytest.mark.parametrize("path", [r"C:\Users\nina\server.key", r"C:\new\nightly\n1\net.key"])
def test_a_windows_path_is_not_mistaken_for_a_key(path: str) -> None:
    assert JWTAuthenticator("3MVG9", "u@acme.com", private_key_path=path).private_key_path == path
