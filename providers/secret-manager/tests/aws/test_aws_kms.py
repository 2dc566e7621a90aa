"""AWS KMS signs; the private key never leaves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from kinetic_auth_core import KeyLoadError, Signer

Load = Callable[..., Any]
Aws = Callable[[str], Any]


def new_key(aws: Aws, usage: str = "SIGN_VERIFY", spec: str = "RSA_2048") -> str:
    return str(aws("kms").create_key(KeyUsage=usage, KeySpec=spec)["KeyMetadata"]["KeyId"])


def verify(signer: Any, message: bytes, signature: bytes) -> None:
    public = load_pem_public_key(signer.public_key())
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


def test_a_key_signs_what_its_public_half_verifies(signing_key: str, load: Load, at: str) -> None:
    signer = load(f"kms://aws/{signing_key}?{at}")
    assert isinstance(signer, Signer)
    assert signer.algorithm == "RS256"
    verify(signer, b"message", signer.sign(b"message"))


def test_the_key_id_is_the_digest_of_the_public_key(aws: Aws, signing_key: str, load: Load, at: str) -> None:
    der = aws("kms").get_public_key(KeyId=signing_key)["PublicKey"]
    signer = load(f"kms://aws/{signing_key}?{at}")
    assert signer.key_id == hashlib.sha256(der).hexdigest()
    public = load_pem_public_key(signer.public_key())
    assert public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == der


def test_a_signer_keeps_the_key_that_its_alias_pointed_to_at_construction(
    aws: Aws, signing_key: str, load: Load, at: str
) -> None:
    client = aws("kms")
    client.create_alias(AliasName="alias/salesforce", TargetKeyId=signing_key)
    signer = load(f"kms://aws/alias/salesforce?{at}")
    client.update_alias(AliasName="alias/salesforce", TargetKeyId=new_key(aws))
    verify(signer, b"message", signer.sign(b"message"))
    renewed = load(f"kms://aws/alias/salesforce?{at}", fresh=True)
    assert renewed != signer
    verify(renewed, b"message", renewed.sign(b"message"))


def test_the_region_is_taken_from_an_arn(aws: Aws, signing_key: str, load: Load, relay: Any) -> None:
    arn = aws("kms").describe_key(KeyId=signing_key)["KeyMetadata"]["Arn"]
    signer = load(f"kms://aws/{arn}?endpoint={relay.url}")
    verify(signer, b"message", signer.sign(b"message"))


def test_a_new_signer_for_the_same_key_is_equal(signing_key: str, load: Load, at: str) -> None:
    uri = f"kms://aws/{signing_key}?{at}"
    assert load(uri) == load(uri, fresh=True)


def test_a_signer_shows_no_client_and_no_key(signing_key: str, load: Load, at: str) -> None:
    shown = repr(load(f"kms://aws/{signing_key}?{at}"))
    assert signing_key in shown
    assert "canary" not in shown
    assert "PUBLIC" not in shown


def test_a_signer_signs_in_the_child_of_a_fork(signing_key: str, load: Load, at: str, signed_in_a_child: Any) -> None:
    signer = load(f"kms://aws/{signing_key}?{at}")
    signer.sign(b"in the parent")
    verify(signer, b"in the child", signed_in_a_child(signer, b"in the child"))


@pytest.mark.parametrize(
    ("usage", "spec", "message"),
    [
        (
            "ENCRYPT_DECRYPT",
            "RSA_2048",
            (
                "the key is not for signing, but for ENCRYPT_DECRYPT. "
                "Remedy: Name an RSA key for signing of 2048 bits or more."
            ),
        ),
        (
            "SIGN_VERIFY",
            "ECC_NIST_P256",
            (
                "the key has the type ECC_NIST_P256, but Salesforce accepts only RSA (RS256). "
                "Remedy: Name an RSA key for signing of 2048 bits or more."
            ),
        ),
    ],
)
def test_an_unusable_key_is_rejected_when_the_signer_is_made(
    usage: str, spec: str, message: str, aws: Aws, load: Load, at: str, relay: Any
) -> None:
    uri = f"kms://aws/{new_key(aws, usage, spec)}?{at}"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: {message}"
    assert relay.calls == ["DescribeKey"]


def test_a_disabled_key_is_rejected(aws: Aws, load: Load, at: str) -> None:
    key = new_key(aws)
    aws("kms").disable_key(KeyId=key)
    with pytest.raises(KeyLoadError, match=r": the key is disabled\. Remedy: Enable it \(aws kms enable-key\)"):
        load(f"kms://aws/{key}?{at}")


def test_a_key_marked_for_deletion_is_rejected(aws: Aws, load: Load, at: str) -> None:
    key = new_key(aws)
    aws("kms").schedule_key_deletion(KeyId=key)
    with pytest.raises(KeyLoadError, match="the key is marked for deletion. Remedy: Cancel the deletion"):
        load(f"kms://aws/{key}?{at}")


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"KeyState": "PendingImport"}, "the key is in the state PendingImport. Remedy: Wait until it is Enabled"),
        (
            {"KeyUsage": "SIGN_VERIFY", "KeySpec": "RSA_1024"},
            "the key is an RSA key of 1024 bits, but Salesforce requires 2048 or more. Remedy: Name an RSA key",
        ),
    ],
)
def test_a_key_in_a_state_that_moto_does_not_know_is_rejected(
    described: dict[str, str], message: str, load: Load, at: str, relay: Any
) -> None:
    relay.refusals["DescribeKey"] = json.dumps({"KeyMetadata": {"KeyId": "k", **described}})
    with pytest.raises(KeyLoadError) as caught:
        load(f"kms://aws/k?{at}")
    assert message in str(caught.value)


def test_a_message_too_long_for_kms_is_rejected_before_it_is_sent(
    signing_key: str, load: Load, at: str, relay: Any
) -> None:
    uri = f"kms://aws/{signing_key}?{at}"
    signer = load(uri)
    with pytest.raises(KeyLoadError) as caught:
        signer.sign(b"x" * 4097)
    assert str(caught.value) == (
        f"{uri}: KMS signs at most 4096 bytes, and the message has 4097. Remedy: Shorten the message."
    )
    assert "Sign" not in relay.calls


def test_the_error_for_a_denied_signature_names_the_key_and_the_permission(
    signing_key: str, load: Load, at: str, relay: Any
) -> None:
    uri = f"kms://aws/{signing_key}?{at}"
    signer = load(uri)
    relay.refusals["Sign"] = (400, "AccessDeniedException", "not authorized to perform: kms:Sign")
    with pytest.raises(KeyLoadError) as caught:
        signer.sign(b"message")
    assert str(caught.value) == (
        f"{uri}: access is denied. Remedy: Allow kms:DescribeKey, kms:GetPublicKey and kms:Sign on it for the role or "
        "user of this process."
    )
