"""A `Signer` in place of a key: it signs, and the provider never has the key."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kinetic_auth_core import AuthenticationError, KeyLoadError, LoginRequest, Signer
from kinetic_auth_core.plugins import tallied
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator


@attrs.define
class VaultSigner:
    """Signs with a key that stays in a vault, which here is a variable."""

    pem: str = attrs.field(repr=False)
    algorithm: str = "RS256"
    key_id: str = "vault/salesforce/7"
    signed: int = 0

    def sign(self, message: bytes) -> bytes:
        self.signed += 1
        key = serialization.load_pem_private_key(self.pem.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


@attrs.frozen
class FailingSigner:
    """A vault that does not answer."""

    failure: Exception
    algorithm: str = "RS256"
    key_id: str = "vault/salesforce/7"

    def sign(self, message: bytes) -> bytes:
        raise self.failure


def test_any_object_that_signs_is_accepted_as_a_key(
    settings: dict[str, Any], keys: KeyPair, sf: SalesforceEmulator
) -> None:
    signer = VaultSigner(keys.private_key_pem)
    assert isinstance(signer, Signer)
    made = JWTAuthenticator(**settings, private_key=signer)
    assert sf.is_live(made.authenticate().access_token)
    assert sf.is_live(made.authenticate().access_token)
    assert signer.signed == 2


def test_observers_get_the_key_id_of_the_signer(settings: dict[str, Any], keys: KeyPair) -> None:
    with tallied() as tally:
        JWTAuthenticator(**settings, private_key=VaultSigner(keys.private_key_pem)).grant(LoginRequest(now=0))
    assert tally.key_fingerprint == "vault/salesforce/7"


@pytest.mark.parametrize("algorithm", ["ES256", "RS512", "PS256", "none", "HS256"])
def test_a_signer_of_another_algorithm_is_rejected_before_it_signs(
    algorithm: str, settings: dict[str, Any], keys: KeyPair, sf: SalesforceEmulator
) -> None:
    signer = VaultSigner(keys.private_key_pem, algorithm=algorithm)
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key=signer).authenticate()
    assert str(caught.value) == (
        f"the key vault/salesforce/7 signs with {algorithm}; Salesforce accepts only RS256. "
        "Remedy: Use an RSA key of 2048 bits or more."
    )
    assert signer.signed == 0
    assert sf.token_requests == 0


def test_a_typed_error_of_a_signer_reaches_the_caller_unchanged(
    settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    disabled = KeyLoadError("the key vault/salesforce/7 is disabled.", remedy="Enable it.")
    with pytest.raises(KeyLoadError) as caught:
        JWTAuthenticator(**settings, private_key=FailingSigner(disabled)).authenticate()
    assert str(caught.value) == "the key vault/salesforce/7 is disabled. Remedy: Enable it."
    assert sf.token_requests == 0


def test_an_error_of_a_signer_is_the_cause_of_a_failed_login(settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    broken = ConnectionError("no route to the vault")
    with pytest.raises(AuthenticationError) as caught:
        JWTAuthenticator(**settings, private_key=FailingSigner(broken)).authenticate()
    host = sf.url.removeprefix("http://")
    assert str(caught.value).startswith(f"jwt-bearer login of {settings['username']} at {host} failed: ")
    chain: list[BaseException | None] = [caught.value.__cause__]
    while chain[-1] is not None:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    assert broken in chain
    assert "its grant() raised ConnectionError: no route to the vault (" in str(caught.value)
    assert sf.token_requests == 0


@pytest.mark.parametrize("signature", ["c2lnbmVk", None])
def test_a_signer_that_returns_no_bytes_is_named(
    signature: object, settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    class HexSigner(VaultSigner):
        def sign(self, message: bytes) -> Any:
            return signature

    with pytest.raises(AuthenticationError) as caught:
        JWTAuthenticator(**settings, private_key=HexSigner("")).authenticate()
    assert f"raised TypeError: HexSigner.sign() returned {type(signature).__name__}, not bytes (" in str(caught.value)
    assert sf.token_requests == 0


def test_a_signer_is_not_shown(keys: KeyPair) -> None:
    made = JWTAuthenticator("3MVG9", "u@acme.com", VaultSigner(keys.private_key_pem))
    assert "vault" not in repr(made)


def test_another_type_than_text_or_a_signer_is_rejected() -> None:
    with pytest.raises(ValueError, match="private_key: expected text or bytes or Signer or a list, got a whole number"):
        JWTAuthenticator("3MVG9", "u@acme.com", 7)  # type: ignore[arg-type]
