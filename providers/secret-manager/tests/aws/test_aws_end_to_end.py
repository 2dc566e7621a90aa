"""From a reference in kinetic-auth.toml to a REST call, for each of AWS's three services."""

from __future__ import annotations

import gc
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import KeyPair

Aws = Callable[[str], Any]
Configure = Callable[..., None]
RestCall = Callable[[kinetic.SalesforceSession], int]


@pytest.fixture
def name() -> str:
    """A unique name, because values stay in the process's cache."""
    return f"salesforce-{uuid.uuid4()}"


def test_secrets_manager(
    aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair, rest_call_status: RestCall
) -> None:
    aws("secretsmanager").create_secret(Name=name, SecretString=json.dumps({"private_key": keys.private_key_pem}))
    configure(f"secret-manager://aws/{name}?{at}#private_key", keys.certificate_pem)
    with kinetic.resolve(environment="prod") as source:
        assert rest_call_status(source.session()) == 200


def test_parameter_store(
    aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair, rest_call_status: RestCall
) -> None:
    aws("ssm").put_parameter(Name=f"/prod/{name}", Value=keys.private_key_pem, Type="SecureString")
    configure(f"secret-manager://aws-ssm/prod/{name}?{at}", keys.certificate_pem)
    with kinetic.resolve(environment="prod") as source:
        assert rest_call_status(source.session()) == 200


def test_kms_logs_in_without_a_local_private_key(
    aws: Aws,
    at: str,
    name: str,
    configure: Configure,
    load: Callable[..., Any],
    relay: Any,
    certificate_over: Callable[[bytes], str],
    rest_call_status: RestCall,
) -> None:
    aws("kms").create_alias(
        AliasName=f"alias/{name}",
        TargetKeyId=aws("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["KeyId"],
    )
    uri = f"kms://aws/alias/{name}?{at}"
    public = load(uri).public_key()
    configure(uri, certificate_over(public))
    with kinetic.resolve(environment="prod") as source:
        assert rest_call_status(source.session()) == 200
        held = [each for each in gc.get_objects() if isinstance(each, rsa.RSAPrivateKey)]
        halves = [each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for each in held]
        assert public not in halves
    assert set(relay.calls) == {"DescribeKey", "GetPublicKey", "Sign"}


def test_concurrent_logins_ask_the_vault_once(
    aws: Aws, at: str, name: str, configure: Configure, keys: KeyPair, relay: Any, tokens_of_a_herd: Any
) -> None:
    aws("secretsmanager").create_secret(Name=name, SecretString=keys.private_key_pem)
    configure(f"secret-manager://aws/{name}?{at}", keys.certificate_pem)
    assert len(tokens_of_a_herd()) == 24
    assert relay.calls == ["GetSecretValue"]


def test_an_outage_after_the_first_login_loses_nothing(
    aws: Aws, relay: Any, at: str, name: str, configure: Configure, keys: KeyPair, warnings_of_an_outage: Any
) -> None:
    aws("secretsmanager").create_secret(Name=name, SecretString=keys.private_key_pem)
    uri = f"secret-manager://aws/{name}?cache=0&{at}"
    configure(uri, keys.certificate_pem)
    [warning] = warnings_of_an_outage(relay)
    assert warning.startswith(f"{uri}: AWS cannot be reached; the value read ")
