"""Mutual TLS: an org that demands a client certificate gets it, and files that cannot be used are reported at once."""

import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests
import trustme
from cryptography.hazmat.primitives import serialization

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.merge import keyword_layer
from kinetic_auth_core.resolution.inspection import inspect
from kinetic_auth_core.testing import SalesforceEmulator, TlsProfile, new_key_pair
from kinetic_auth_core.transport.connections import ClientCertificate
from kinetic_auth_core.transport.network_errors import Limits, describe_network_error


@attrs.frozen
class Files:
    """The files of a client: certificate, key, both in one, and a key that belongs to another certificate."""

    authority: trustme.CA
    folder: Path

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)

    def issue(self, authority: trustme.CA | None = None) -> tuple[str, str]:
        """A new certificate and its key, in the same two files."""
        made = (authority or self.authority).issue_cert("client.acme.example")
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        self.write("both.pem", chain + made.private_key_pem.bytes())
        return self.write("client.crt", chain), self.write("client.key", made.private_key_pem.bytes())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(trustme.CA(), tmp_path)


@pytest.fixture
def org(files: Files, full_tier: None) -> Iterator[SalesforceEmulator]:
    demanding = TlsProfile(client_authority_pem=files.authority.cert_pem.bytes().decode())
    with SalesforceEmulator(tls=demanding) as org:
        yield org


def log_in(org: SalesforceEmulator, **settings: Any) -> kinetic.SalesforceSession:
    with kinetic.resolve("password", **org.settings("password"), **settings) as source:
        return source.authenticate()


def test_an_org_that_demands_a_certificate_gets_it(org: SalesforceEmulator, files: Files) -> None:
    cert, key = files.issue()
    assert log_in(org, client_cert=cert, client_cert_key=key).is_valid()


def test_certificate_and_key_may_be_in_one_file(org: SalesforceEmulator, files: Files) -> None:
    files.issue()
    assert log_in(org, client_cert=files.folder / "both.pem").is_valid()


def test_the_settings_come_from_variables(
    org: SalesforceEmulator, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = files.issue()
    monkeypatch.setenv("SF_CLIENT_CERT", cert)
    monkeypatch.setenv("SF_CLIENT_CERT_KEY", key)
    assert log_in(org).is_valid()


def test_without_a_certificate_the_login_fails_with_a_typed_error(org: SalesforceEmulator) -> None:
    with pytest.raises(kinetic.TransportError, match="localhost") as caught:
        log_in(org)
    assert "set client_cert and client_cert_key" in caught.value.remedy.lower()


def test_a_certificate_of_another_authority_is_not_accepted(org: SalesforceEmulator, files: Files) -> None:
    cert, key = files.issue(trustme.CA())
    with pytest.raises(kinetic.TransportError, match="localhost") as caught:
        log_in(org, client_cert=cert, client_cert_key=key)
    assert "set client_cert and client_cert_key" in caught.value.remedy.lower()


@pytest.mark.parametrize("reason", ["TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA"])
def test_an_alert_about_the_certificate_is_named_where_it_arrives(reason: str) -> None:
    alert = ssl.SSLError(1, reason)
    alert.reason = reason
    told = describe_network_error(
        requests.exceptions.SSLError(alert),
        host="acme.my.salesforce.com",
        limits=Limits(5, 5, 5),
        expired=False,
        masked=str,
    )
    assert told.message.startswith("acme.my.salesforce.com wants a client certificate (mutual TLS)")
    assert "Mutual Authentication Certificates" in told.remedy
    assert not told.retryable


def test_a_certificate_that_is_renewed_in_its_place_is_used_by_the_next_login(
    org: SalesforceEmulator, files: Files
) -> None:
    cert, key = files.issue(trustme.CA())
    settings = org.settings("password")
    with kinetic.resolve("password", **settings, client_cert=cert, client_cert_key=key) as source:
        with pytest.raises(kinetic.TransportError):
            source.authenticate()
        files.issue()
        assert source.authenticate().is_valid()


SETTINGS = {"client_id": "3MVG9", "client_secret": "canary", "username": "u@acme.com", "password": "canary"}


def problem_of(**settings: Any) -> str:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", **SETTINGS, **settings)
    (problem,) = caught.value.problems
    return problem


def test_a_key_that_does_not_belong_to_the_certificate_is_told_by_resolve(files: Files) -> None:
    _, other = files.issue()
    other = files.write("other.key", Path(other).read_bytes())
    cert, _ = files.issue()
    assert problem_of(client_cert=cert, client_cert_key=other) == (
        f"client_cert_key (from keyword): the key in {other} does not belong to the certificate in {cert}"
    )


def test_a_missing_file_is_told_by_resolve_with_its_setting(files: Files) -> None:
    cert, key = files.issue()
    missing = str(files.folder / "none.pem")
    assert problem_of(client_cert=missing, client_cert_key=key) == (
        f"client_cert (from keyword): {missing} cannot be read: No such file or directory"
    )
    assert problem_of(client_cert=cert, client_cert_key=missing).startswith("client_cert_key (from keyword): ")


def test_a_file_that_may_not_be_read_is_told_by_resolve(files: Files) -> None:
    _, key = files.issue()
    assert "is not a file" in problem_of(client_cert=str(files.folder), client_cert_key=key)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\x00\xff"])
def test_a_file_without_a_certificate_is_told_by_resolve(files: Files, content: bytes) -> None:
    _, key = files.issue()
    assert "is not a PEM file with a certificate" in problem_of(
        client_cert=files.write("bad.crt", content), client_cert_key=key
    )


def test_a_file_without_a_key_is_told_by_resolve(files: Files) -> None:
    cert, _ = files.issue()
    assert "there is no private key in PEM form" in problem_of(client_cert=cert)
    assert "there is no private key in PEM form" in problem_of(client_cert=cert, client_cert_key=cert)


def test_an_encrypted_key_is_told_by_resolve_and_nobody_is_asked(files: Files) -> None:
    cert, key = files.issue()
    loaded = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    encrypted = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"canary"),
    )
    path = files.write("encrypted.key", encrypted)
    assert problem_of(client_cert=cert, client_cert_key=path) == (
        f"client_cert_key (from keyword): the key in {path} is encrypted: give it without a passphrase"
    )


def test_a_key_alone_is_told_by_the_class() -> None:
    assert problem_of(client_cert_key="client.key").endswith("needs client_cert, the certificate of this key")


def test_an_instance_made_by_hand_says_it_at_its_login(org: SalesforceEmulator) -> None:
    made = kinetic.OAuthAuthenticator(**org.settings("password"), client_cert="/no/such/file.pem")
    with pytest.raises(kinetic.ConfigurationError, match="client_cert: /no/such/file.pem cannot be read"):
        made.authenticate()


def test_a_device_or_a_pipe_is_not_read(files: Files) -> None:
    pipe = files.folder / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(kinetic.ConfigurationError, match="is not a file"):
        ClientCertificate(pipe).load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert "is not a file" in problem_of(client_cert="/dev/zero")


def test_a_relative_path_in_a_config_file_is_relative_to_it(files: Files, tmp_path: Path) -> None:
    files.issue()
    (tmp_path / "kinetic-auth.toml").write_text(
        '[environments.prod]\nprovider = "password"\nclient_cert = "client.crt"\nclient_cert_key = "client.key"\n'
    )
    config = tmp_path / "kinetic-auth.toml"
    with kinetic.resolve(environment="prod", config=config, **SETTINGS) as source:
        rows = {row.name: row.value for row in source.explain()}
    assert rows["client_cert_key"] == str(tmp_path / "client.key")


def test_nothing_of_the_key_is_shown(org: SalesforceEmulator, files: Files, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = files.issue()
    with caplog.at_level(logging.DEBUG):
        log_in(org, client_cert=cert, client_cert_key=key)
    assert "PRIVATE KEY" not in caplog.text


@pytest.mark.parametrize("name", ["client_cert", "client_cert_key", "ca_bundle"])
def test_a_key_in_the_place_of_its_path_is_not_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key_pair().private_key_pem
    others = {"client_cert": "/no-such-file"} if name == "client_cert_key" else {}
    settings = {"client_id": "app", "client_secret": "canary", "login_url": "https://acme.my.salesforce.com", **others}
    shown = []
    for text in (key, key.replace("\n", "\\n")):
        monkeypatch.setenv(f"SF_{name.upper()}", text)
        found = inspect("client-credentials", keywords=keyword_layer(settings))
        shown += [str(found.error), repr(found.rows)]
        with pytest.raises(kinetic.ConfigurationError, match=f"{name}.*: is the key or certificate itself") as caught:
            kinetic.resolve("client-credentials", **settings)
        shown.append(str(caught.value))
    assert key.splitlines()[3] not in "".join(shown)
