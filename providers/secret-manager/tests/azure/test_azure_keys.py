"""Azure Key Vault signs; the private key never leaves it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kinetic_auth_core import KeyLoadError, Signer

Load = Callable[..., Any]

WANTED = "Remedy: Name an RSA key for signing of 2048 bits or more."


def verify(vault: Any, name: str, message: bytes, signature: bytes) -> None:
    vault.private_key(name).public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


def test_a_key_signs_what_its_public_half_verifies(vault: Any, load: Load) -> None:
    vault.create_key("signing")
    signer = load(f"kms://azure/{vault.host}/signing")
    assert isinstance(signer, Signer)
    assert signer.algorithm == "RS256"
    verify(vault, "signing", b"message", signer.sign(b"message"))
    verify(vault, "signing", b"another", signer.sign(b"another"))


def test_the_key_id_is_the_digest_of_the_public_key(vault: Any, load: Load) -> None:
    vault.create_key("signing")
    signer = load(f"kms://azure/{vault.host}/signing")
    public = vault.private_key("signing").public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert signer.key_id == hashlib.sha256(der).hexdigest()
    assert signer.public_key() == public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_signer_keeps_the_version_that_was_current_at_construction(vault: Any, load: Load) -> None:
    version = vault.create_key("rotated")
    uri = f"kms://azure/{vault.host}/rotated"
    signer = load(uri)
    vault.create_key("rotated")
    signer.sign(b"message")
    assert vault.calls[-1] == f"POST /keys/rotated/{version}/sign"
    renewed = load(uri, fresh=True)
    assert renewed != signer
    verify(vault, "rotated", b"message", renewed.sign(b"message"))
    assert load(f"{uri}?version={version}").key_id == signer.key_id


def test_a_new_signer_for_the_same_version_is_equal(vault: Any, load: Load) -> None:
    vault.create_key("signing")
    uri = f"kms://azure/{vault.host}/signing"
    assert load(uri) == load(uri, fresh=True)


def test_a_signer_signs_in_the_child_of_a_fork(vault: Any, load: Load, signed_in_a_child: Any) -> None:
    vault.create_key("signing")
    signer = load(f"kms://azure/{vault.host}/signing")
    signer.sign(b"in the parent")
    verify(vault, "signing", b"in the child", signed_in_a_child(signer, b"in the child"))


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"kind": "EC"}, f"the key has the type EC, but Salesforce accepts only RSA (RS256). {WANTED}"),
    ({"bits": 1024}, f"the key is an RSA key of 1024 bits, but Salesforce requires 2048 or more. {WANTED}"),
    (
        {"operations": ["encrypt", "decrypt"]},
        f"the key is not for signing, but for encrypt, decrypt. {WANTED}",
    ),
    ({"enabled": False}, "the key is disabled. Remedy: Enable it, or name another version."),
    (
        {"exp": int(time.time()) - 60},
        "the key is expired or not valid yet. Remedy: Change its dates, or rotate it.",
    ),
    (
        {"nbf": int(time.time()) + 3600},
        "the key is expired or not valid yet. Remedy: Change its dates, or rotate it.",
    ),
]


@pytest.mark.parametrize(("made", "message"), UNFIT, ids=[next(iter(made)) for made, _ in UNFIT])
def test_an_unusable_key_is_rejected_when_the_signer_is_made(
    made: dict[str, Any], message: str, vault: Any, load: Load
) -> None:
    vault.create_key("unfit", **made)
    uri = f"kms://azure/{vault.host}/unfit"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: {message}"


def test_a_key_disabled_later_is_reported_when_it_should_sign(vault: Any, load: Load) -> None:
    vault.create_key("signing")
    uri = f"kms://azure/{vault.host}/signing"
    signer = load(uri)
    vault.change("keys", "signing", enabled=False)
    with pytest.raises(KeyLoadError) as caught:
        signer.sign(b"message")
    assert str(caught.value) == f"{uri}: it is disabled. Remedy: Enable it, or name another version."


def test_a_key_deleted_later_is_reported_when_it_should_sign(vault: Any, load: Load) -> None:
    vault.create_key("signing")
    uri = f"kms://azure/{vault.host}/signing"
    signer = load(uri)
    vault.delete("keys", "signing")
    with pytest.raises(KeyLoadError) as caught:
        signer.sign(b"message")
    assert str(caught.value) == (
        f"{uri}: there is nothing of that name in the vault. Remedy: Check the vault and the name."
    )


def test_a_missing_key_is_reported(vault: Any, load: Load) -> None:
    uri = f"kms://azure/{vault.host}/absent"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: the vault has no key of that name. Remedy: Check the vault and the name."


def test_a_missing_version_is_reported(vault: Any, load: Load) -> None:
    vault.create_key("signing")
    uri = f"kms://azure/{vault.host}/signing?version=0123"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == (
        f"{uri}: the vault has no such version of a key of that name. Remedy: Correct version=, or omit it."
    )


def test_a_deleted_key_is_reported(vault: Any, load: Load) -> None:
    vault.create_key("deleted")
    vault.delete("keys", "deleted")
    uri = f"kms://azure/{vault.host}/deleted"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == (
        f"{uri}: the key is deleted. Remedy: Recover it (az keyvault key recover), or name another."
    )
