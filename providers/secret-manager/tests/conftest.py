"""Only clouds that the tests start, and an org to log in to."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, load_pem_public_key

import kinetic_auth_core as kinetic
from kinetic_auth_core import Reference, SalesforceSession
from kinetic_auth_core.plugins import parse_reference
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets as leaked
from kinetic_auth_core.testing.pytest_plugin import no_ambient_settings
from kinetic_auth_secret_manager import KmsLoader, SecretManagerLoader
from kinetic_auth_secret_manager.cache import Cache

__all__ = ["leaked", "no_ambient_settings"]  # fixtures from elsewhere

USERNAME = "integration@acme.com"
_CLOUDS = ("AWS_", "AZURE_", "IDENTITY_", "MSI_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _no_clouds(no_ambient_settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and profiles either."""
    for name in list(os.environ):
        if name.startswith(_CLOUDS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def reference() -> Callable[..., Reference]:
    """Reads a reference as the core does."""

    def read(text: str, *, fresh: bool = False) -> Reference:
        parsed = parse_reference(text, ())
        assert parsed is not None
        return Reference(parsed.scheme, parsed.rest, parsed.query, parsed.field, fresh=fresh, uri=str(parsed))

    return read


@attrs.define
class Clock:
    """Seconds that pass when the test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def load(clock: Clock, reference: Callable[..., Reference]) -> Callable[..., Any]:
    """Loads a reference, with a cache of the test's own."""
    cache: Cache[Any] = Cache(clocks=(clock,))
    loaders: dict[str, Any] = {"secret-manager": SecretManagerLoader(cache), "kms": KmsLoader(cache)}

    def get(text: str, *, fresh: bool = False) -> Any:
        parsed = reference(text, fresh=fresh)
        return loaders[parsed.scheme].load_key(parsed)

    return get


@pytest.fixture
def configure(sf: SalesforceEmulator, tmp_path: Path) -> Callable[..., None]:
    """Writes a kinetic-auth.toml that logs in to the org with a key that is kept elsewhere."""

    def write(reference: str, certificate_pem: str) -> None:
        user = sf.add_user(USERNAME)
        app = sf.add_app(certificates=[certificate_pem], preauthorised={user.username})
        (tmp_path / "kinetic-auth.toml").write_text(
            f"""
            [environments.prod]
            provider = "jwt-bearer"
            login_url = "{sf.url}"
            client_id = "{app.client_id}"
            username = "{user.username}"
            private_key = "{reference}"
            """
        )

    return write


@pytest.fixture
def certificate_over(keys: KeyPair) -> Callable[[bytes], str]:
    """Makes a certificate over a public key whose private key is remote; an org reads only its public key."""

    def certify(public_pem: bytes) -> str:
        public, signing = load_pem_public_key(public_pem), load_pem_private_key(keys.private_key_pem.encode(), None)
        assert isinstance(public, rsa.RSAPublicKey)
        assert isinstance(signing, rsa.RSAPrivateKey)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public).serial_number(1)
        builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
        return builder.sign(signing, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    return certify


@pytest.fixture
def rest_call_status() -> Callable[[SalesforceSession], int]:
    """The HTTP status of a REST call with a session."""

    def call(session: SalesforceSession) -> int:
        return requests.get(f"{session.base_url}/sobjects", headers=session.auth_header, timeout=5).status_code

    return call


@pytest.fixture
def tokens_of_a_herd() -> Callable[[], set[str]]:
    """Logs in from 24 threads at once, through one source."""

    def log_in_at_once() -> set[str]:
        start = threading.Barrier(24)
        with kinetic.resolve(environment="prod") as source, ThreadPoolExecutor(24) as pool:

            def log_in(_: int) -> str:
                start.wait()
                return source.authenticate().access_token

            return set(pool.map(log_in, range(24)))

    return log_in_at_once


@pytest.fixture
def warnings_of_an_outage(
    caplog: pytest.LogCaptureFixture, rest_call_status: Callable[[SalesforceSession], int]
) -> Callable[[Any], list[str]]:
    """Logs in before, in and after an outage of a vault; what the cache warned of."""

    def log_in_through_it(vault: Any) -> list[str]:
        with kinetic.resolve(environment="prod") as source, caplog.at_level(logging.WARNING):
            source.session()
            vault.down()
            for _ in range(3):
                assert rest_call_status(source.authenticate()) == 200
            vault.up()
            assert rest_call_status(source.authenticate()) == 200
        return [record.getMessage() for record in caplog.records if record.name == "kinetic_auth_secret_manager.cache"]

    return log_in_through_it


@pytest.fixture
def signed_in_a_child() -> Callable[[Any, bytes], bytes]:
    """The signature that a signer makes in the child of a fork."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")

    def sign(signer: Any, message: bytes) -> bytes:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, signer.sign(message))
            finally:
                os._exit(0)
        os.close(write)
        signature = os.read(read, 1000)
        os.close(read)
        os.waitpid(child, 0)
        return signature

    return sign
