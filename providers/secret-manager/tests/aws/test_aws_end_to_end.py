"""From a reference in kinetic-auth.toml to a REST call, for each of AWS's three places."""

from __future__ import annotations

import datetime
import gc
import json
import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator

Aws = Callable[[str], Any]
Configure = Callable[..., None]


@pytest.fixture
def name() -> str:
    """One that no other test has: what is read stays in the process's cache."""
    return f"salesforce-{uuid.uuid4()}"


def rest_call(session: kinetic.SalesforceSession) -> int:
    return requests.get(
        f"{session.base_url}/sobjects", headers={"Authorization": session.auth_header}, timeout=5
    ).status_code


def certificate_over(signer: Any, keys: KeyPair) -> str:
    """A certificate over a public key whose private half is elsewhere. An org reads only the key out of it."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    ca = rsa.generate_private_key(65537, 2048) if not keys else load_pem_private_key(keys.private_key_pem.encode(), None)
    public = load_pem_public_key(signer.public_key())
    assert isinstance(public, rsa.RSAPublicKey)
    assert isinstance(ca, rsa.RSAPrivateKey)
    builder = x509.CertificateBuilder().subject_name(issuer).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(ca, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_secrets_manager(aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair) -> None:
    aws("secretsmanager").create_secret(Name=name, SecretString=json.dumps({"private_key": keys.private_key_pem}))
    configure(f"secret-manager://aws/{name}?{at}#private_key", keys.certificate_pem)
    with kinetic.resolve(environment="prod") as source:
        assert rest_call(source.session()) == 200


def test_parameter_store(aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair) -> None:
    aws("ssm").put_parameter(Name=f"/prod/{name}", Value=keys.private_key_pem, Type="SecureString")
    configure(f"secret-manager://aws-ssm/prod/{name}?{at}", keys.certificate_pem)
    with kinetic.resolve(environment="prod") as source:
        assert rest_call(source.session()) == 200


def test_kms_logs_in_and_no_private_key_is_ever_here(
    aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair, load: Callable[..., Any], relay: Any
) -> None:
    aws("kms").create_alias(
        AliasName=f"alias/{name}",
        TargetKeyId=aws("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["KeyId"],
    )
    uri = f"kms://aws/alias/{name}?{at}"
    signer = load(uri)
    configure(uri, certificate_over(signer, keys))
    public = signer.public_key()
    with kinetic.resolve(environment="prod") as source:
        assert rest_call(source.session()) == 200
        held = [each for each in gc.get_objects() if isinstance(each, rsa.RSAPrivateKey)]
        assert public not in [_public(each) for each in held]
    assert set(relay.calls) == {"DescribeKey", "GetPublicKey", "Sign"}


def _public(key: rsa.RSAPrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_herd_of_sources_asks_the_vault_once(
    aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair, relay: Any, sf: SalesforceEmulator
) -> None:
    aws("secretsmanager").create_secret(Name=name, SecretString=keys.private_key_pem)
    configure(f"secret-manager://aws/{name}?{at}", keys.certificate_pem)
    start, sessions = threading.Barrier(64), []

    def log_in() -> None:
        with kinetic.resolve(environment="prod") as source:
            start.wait()
            sessions.append(source.session())

    threads = [threading.Thread(target=log_in) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({session.access_token for session in sessions}) == 64
    assert relay.calls == ["GetSecretValue"]


def test_an_outage_after_the_first_login_loses_nothing(
    aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair, relay: Any, caplog: pytest.LogCaptureFixture
) -> None:
    aws("secretsmanager").create_secret(Name=name, SecretString=keys.private_key_pem)
    uri = f"secret-manager://aws/{name}?cache=0&{at}"
    configure(uri, keys.certificate_pem)
    with kinetic.resolve(environment="prod") as source:
        source.session()
        relay.down()
        with caplog.at_level(logging.WARNING, "kinetic_auth_secret_manager"):
            for _ in range(3):
                assert rest_call(source.authenticate()) == 200
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith(f"{uri}: AWS cannot be reached; the value read ")
        relay.up()
        assert rest_call(source.authenticate()) == 200
