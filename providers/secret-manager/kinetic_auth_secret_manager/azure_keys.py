"""`kms://azure/<vault>/<key>`: Azure Key Vault signs, and the private key never leaves it."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import attrs
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kinetic_auth_secret_manager.azure_client import AzureClient, Connections, absent
from kinetic_auth_secret_manager.azure_names import VaultName
from kinetic_auth_secret_manager.per_process import PerProcess
from kinetic_auth_secret_manager.problems import Problem
from kinetic_auth_secret_manager.remote_signer import (
    MIN_BITS,
    RemoteSigner,
    not_for_signing,
    not_rsa,
    too_short,
)
from kinetic_auth_secret_manager.targets import Target


class _SigningConnection:
    """A client that signs with one version of one key, and its connections."""

    def __init__(self, key: KeyVaultKey) -> None:
        self.connections = Connections()
        self.client: CryptographyClient = self.connections.client(CryptographyClient, key)


@attrs.frozen
class AzureKeySigner(RemoteSigner):
    """Signs with RS256 (RFC 7518, section 3.3) over the digest that is computed here.

    It uses the version of the key that was current when the signer was made.
    """

    _azure: AzureClient = attrs.field(repr=False, eq=False)
    _signing: PerProcess[_SigningConnection] = attrs.field(repr=False, eq=False)

    def sign(self, message: bytes) -> bytes:
        """Let the vault sign `message`; only its SHA-256 digest is sent.

        Raises:
            KeyLoadError: The vault does not sign.
        """
        digest = hashlib.sha256(message).digest()
        signing = self._signing.get()
        signature = self._azure.ask_with(
            signing.connections, lambda _: signing.client.sign(SignatureAlgorithm.rs256, digest).signature
        )
        if isinstance(signature, Problem):
            raise signature.error(self.reference)
        return signature


def read(target: Target) -> AzureKeySigner | Problem:
    """Read a key's public half, check it, and make its signer."""
    wanted = VaultName.of(target)
    azure = AzureClient("Key Vault Crypto User")

    def call(connections: Connections) -> KeyVaultKey | Problem:
        client: KeyClient = connections.client(KeyClient, wanted.url)
        try:
            return client.get_key(wanted.name, wanted.version)
        except ResourceNotFoundError as error:
            return absent(wanted, client.get_deleted_key).caused_by(error)

    found = azure.ask(call)
    if isinstance(found, Problem):
        return found
    return _unusable(found) or AzureKeySigner(
        target.reference, str(found.id), _spki(found), azure, PerProcess(lambda: _SigningConnection(found))
    )


def _unusable(key: KeyVaultKey) -> Problem | None:
    jwk: Any = key.key
    if key.properties.enabled is False:
        return Problem("the key is disabled", "Enable it, or name another version.")
    if key.key_type not in ("RSA", "RSA-HSM"):
        return not_rsa(str(getattr(key.key_type, "value", key.key_type)))
    if "sign" not in (key.key_operations or []):
        return not_for_signing(", ".join(str(getattr(each, "value", each)) for each in key.key_operations or []))
    bits = int.from_bytes(jwk.n).bit_length()
    if bits < MIN_BITS:
        return too_short(bits)
    now = datetime.now(UTC)
    if (key.properties.expires_on or now) < now or (key.properties.not_before or now) > now:
        return Problem("the key is expired or not valid yet", "Change its dates, or rotate it.")
    return None


def _spki(key: KeyVaultKey) -> bytes:
    jwk: Any = key.key
    public = RSAPublicNumbers(int.from_bytes(jwk.e), int.from_bytes(jwk.n)).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
