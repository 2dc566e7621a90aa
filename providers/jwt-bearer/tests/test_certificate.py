"""`private_certificate_path`: the certificate must match the key, and a warning precedes its expiry."""

from __future__ import annotations

import datetime as dt
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509

from kinetic_auth_core import ConfigurationError, KeyLoadError, KineticAuthError, LoginRequest
from kinetic_auth_core.plugins import LocalSigner, read_private_key
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator

NAME_IT = "Remedy: Set private_certificate_path (SF_PRIVATE_CERTIFICATE_PATH) to the .crt file of the key, or omit it."
Leaked = Callable[..., list[str]]


@pytest.fixture
def certificate(keys: KeyPair, tmp_path: Path) -> Path:
    path = tmp_path / "server.crt"
    path.write_text(keys.certificate_pem)
    return path


@pytest.fixture
def end(keys: KeyPair) -> float:
    return x509.load_pem_x509_certificate(keys.certificate_pem.encode()).not_valid_after_utc.timestamp()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "certificate" in each.getMessage()]


def made(keys: KeyPair, path: Path) -> JWTAuthenticator:
    return JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem, private_certificate_path=path)


def test_a_valid_certificate_of_the_key_causes_no_warning(
    settings: dict[str, Any], keys: KeyPair, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {**settings, "private_certificate_path": str(certificate)}
    assert JWTAuthenticator(**given, private_key=keys.private_key_pem).authenticate().is_valid()
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("days_left", "remaining"), [(29.5, "in 29 day(s)"), (1.01, "in 1 day(s)"), (0.5, "in 0 day(s)")]
)
def test_a_certificate_that_expires_within_30_days_causes_one_warning(
    days_left: float, remaining: str, keys: KeyPair, certificate: Path, end: float, caplog: pytest.LogCaptureFixture
) -> None:
    authenticator = made(keys, certificate)
    authenticator.grant(LoginRequest(now=end - days_left * 86400))
    authenticator.grant(LoginRequest(now=end - days_left * 86400))
    day = dt.datetime.fromtimestamp(end, dt.UTC).date()
    assert warnings(caplog) == [
        f"the certificate {certificate} expires on {day}, {remaining}; create a new one and upload it to the app"
    ]
    assert caplog.records[-1].levelno == logging.WARNING


def test_an_expired_certificate_causes_a_warning(
    keys: KeyPair, certificate: Path, end: float, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(keys, certificate).grant(LoginRequest(now=end + 1))["assertion"]
    day = dt.datetime.fromtimestamp(end, dt.UTC).date()
    assert warnings(caplog) == [
        f"the certificate {certificate} expired on {day}; create a new one and upload it to the app"
    ]


def test_a_certificate_with_31_days_left_causes_no_warning(
    keys: KeyPair, certificate: Path, end: float, caplog: pytest.LogCaptureFixture
) -> None:
    made(keys, certificate).grant(LoginRequest(now=end - 31 * 86400))
    assert warnings(caplog) == []


def test_a_certificate_in_der_is_read_as_well(keys: KeyPair, certificate: Path, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "x509", "-in", certificate, "-outform", "DER", "-out", tmp_path / "server.cer"], check=True
    )
    assert made(keys, tmp_path / "server.cer").grant(LoginRequest(now=0))["assertion"]


def test_a_certificate_of_another_key_is_rejected_before_anything_is_sent(
    settings: dict[str, Any], keys: KeyPair, other_keys: KeyPair, certificate: Path, sf: SalesforceEmulator
) -> None:
    given = {**settings, "private_certificate_path": certificate}
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**given, private_key=other_keys.private_key_pem).authenticate()
    other = read_private_key(other_keys.private_key_pem).key_id
    assert str(caught.value) == (
        f"the certificate {certificate} does not belong to the private key {other[:16]}... {NAME_IT}"
    )
    assert sf.token_requests == 0


@attrs.frozen
class RemoteKey:
    """A foreign signer, without public_key()."""

    signer: LocalSigner
    key_id: str = "remote"
    algorithm: str = "RS256"

    def sign(self, message: bytes) -> bytes:
        return self.signer.sign(message)


@attrs.frozen
class PublishingKey(RemoteKey):
    def public_key(self) -> bytes:
        return self.signer.public_key()


def remote(kind: Any, keys: KeyPair, path: Path) -> JWTAuthenticator:
    signer = kind(read_private_key(keys.private_key_pem))
    return JWTAuthenticator("3MVG9", "u@acme.com", signer, private_certificate_path=path)


def test_a_remote_key_with_a_public_key_is_compared(keys: KeyPair, other_keys: KeyPair, certificate: Path) -> None:
    assert remote(PublishingKey, keys, certificate).grant(LoginRequest(now=0))["assertion"]
    with pytest.raises(KeyLoadError, match=r"does not belong to the private key remote\.\.\."):
        remote(PublishingKey, other_keys, certificate).grant(LoginRequest(now=0))


def test_without_a_public_key_only_the_dates_are_checked(
    other_keys: KeyPair, certificate: Path, end: float, caplog: pytest.LogCaptureFixture
) -> None:
    assert remote(RemoteKey, other_keys, certificate).grant(LoginRequest(now=end))["assertion"]
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("contents", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_is_an_error(contents: bytes, keys: KeyPair, tmp_path: Path) -> None:
    path = tmp_path / "server.crt"
    path.write_bytes(contents)
    with pytest.raises(KeyLoadError) as caught:
        made(keys, path).grant(LoginRequest(now=0))
    assert str(caught.value) == f"the file {path} is not a certificate in PEM or DER. {NAME_IT}"


def test_a_private_key_in_place_of_the_certificate_is_recognized_and_not_shown(
    keys: KeyPair, tmp_path: Path, leaked: Leaked
) -> None:
    path = tmp_path / "server.crt"
    path.write_text(keys.private_key_pem)
    with pytest.raises(KineticAuthError) as caught:
        made(keys, path).grant(LoginRequest(now=0))
    assert str(caught.value) == f"the file {path} is a private key, not a certificate. {NAME_IT}"
    assert leaked(caught.value, keys.private_key_pem) == []


@pytest.mark.parametrize("path", ["missing.crt", "server\0.crt", "~nobody-of-that-name/server.crt"])
def test_an_unreadable_certificate_is_an_error(path: str, keys: KeyPair) -> None:
    with pytest.raises(KeyLoadError) as caught:
        made(keys, Path(path)).grant(LoginRequest(now=0))
    assert str(caught.value).startswith(f"the certificate {path} cannot be read: ")
    assert str(caught.value).endswith(NAME_IT)


def test_the_certificate_path_can_come_from_its_variable(
    certificate: Path, keys: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CLIENT_ID": "3MVG9", "USERNAME": "u@acme.com", "PRIVATE_KEY": keys.private_key_pem}.items():
        monkeypatch.setenv(f"SF_{name}", value)
    monkeypatch.setenv("SF_PRIVATE_CERTIFICATE_PATH", str(certificate))
    assert JWTAuthenticator.from_env().private_certificate_path == str(certificate)


@pytest.mark.parametrize("escaped", [False, True])
def test_a_certificate_or_key_in_place_of_its_path_is_refused_and_not_shown(
    keys: KeyPair, leaked: Leaked, *, escaped: bool
) -> None:
    for pem in (keys.certificate_pem, keys.private_key_pem):
        text = pem.replace("\n", "\\n") if escaped else pem
        with pytest.raises(ConfigurationError) as caught:
            JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem, private_certificate_path=text)
        assert "private_certificate_path: is a certificate or a key, not a path: write the certificate" in str(
            caught.value
        )
        assert leaked(caught.value, pem.splitlines()[3]) == []


def test_a_reference_in_place_of_the_certificates_path_is_refused(keys: KeyPair) -> None:
    with pytest.raises(ConfigurationError, match="private_certificate_path: is a reference, not a path"):
        JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem, private_certificate_path="env://CERTIFICATE")
