"""The key that `--key` names: a file, a reference to a secret, or a key in a KMS that signs there."""

from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kinetic_auth_core.errors import KeyLoadError, KineticAuthError
from kinetic_auth_core.keys.signer import LocalSigner, read_private_key
from kinetic_auth_core.locations import BUILTIN_SCHEMES, Reference, load_builtin, parse_reference
from kinetic_auth_core.redaction import describe
from kinetic_auth_core.registry.discovery import KEY_LOADERS, installed
from kinetic_auth_core.registry.hookspecs import Signer
from kinetic_auth_core.registry.loading import check_reference, load_key_loader

_ALGORITHM = "RS256"


class RemoteKey(rsa.RSAPrivateKey):
    """Presents a `Signer` to cryptography as a private key, so that it can sign certificates.

    Args:
        signer: Signs with RS256.
        public_key: The public half.
        label: What messages call it.
    """

    def __init__(self, signer: Signer, public_key: rsa.RSAPublicKey, label: str) -> None:
        self._signer = signer
        self._public_key = public_key
        self._label = label

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public_key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """The public half."""
        return self._public_key

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:  # noqa: ARG002 - RS256 fixes both
        """Let the signer sign; the certificate is verified afterwards."""
        try:
            return self._signer.sign(bytes(data))
        except KineticAuthError:
            raise
        except Exception as error:
            raise KeyLoadError(f"{self._label}: signing raised {describe(error)}") from error

    def decrypt(self, ciphertext: Any, padding: Any) -> NoReturn:
        """Not supported."""
        raise NotImplementedError

    def private_numbers(self) -> NoReturn:
        """Not supported: the key is elsewhere."""
        raise NotImplementedError

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> NoReturn:  # noqa: A002
        """Not supported: the key is elsewhere."""
        raise NotImplementedError

    def __copy__(self) -> "RemoteKey":
        return self

    def __deepcopy__(self, _memo: Any) -> "RemoteKey":
        return self


def load_key(source: str, passphrase: bytes | None) -> rsa.RSAPrivateKey:
    """Load the key that `--key` names.

    Args:
        source: A path, or a reference.
        passphrase: Of an encrypted key.

    Returns:
        The key; a `RemoteKey` for one that does not leave its KMS.

    Raises:
        KeyLoadError: It cannot be read, or is not an RSA private key.
        ConfigurationError: The reference is incomplete, or its key loader is not installed.
    """
    reference = parse_reference(source, {plugin.name for plugin in installed(KEY_LOADERS)})
    label = f"the key {source}"
    loaded = Path(source) if reference is None else _resolve(reference)
    if isinstance(loaded, bytes | Path):
        loaded = read_private_key(
            loaded,
            passphrase,
            label=label,
            path_setting="--key",
            unlock_remedy="Give its passphrase with --passphrase-env NAME.",
        )
    if isinstance(loaded, LocalSigner):
        return loaded.private_key
    if isinstance(loaded, Signer):
        return _remote(loaded, label)
    raise KeyLoadError(f"{label}: the key loader returned {type(loaded).__name__}, not bytes or a Signer.")


def _resolve(reference: Reference) -> object:
    if reference.scheme in BUILTIN_SCHEMES:
        return load_builtin(reference)
    check_reference(reference)
    try:
        return load_key_loader(reference.scheme).load_key(reference)
    except KineticAuthError:
        raise
    except Exception as error:
        raise KeyLoadError(f"{reference}: the key loader raised {describe(error)}") from error


def _remote(signer: Signer, label: str) -> RemoteKey:
    if signer.algorithm != _ALGORITHM:
        raise KeyLoadError(
            f"{label} signs with {signer.algorithm}; Salesforce accepts only {_ALGORITHM}.",
            remedy="Use an RSA key of 2048 bits or more.",
        )
    get_public_key = getattr(signer, "public_key", None)
    if get_public_key is None:
        raise KeyLoadError(
            f"{label} has no public_key(), which a certificate needs.",
            remedy="Use a key loader whose signers have public_key(), such as that of kinetic-auth-secret-manager.",
        )
    try:
        public_key = serialization.load_pem_public_key(get_public_key())
    except KineticAuthError:
        raise
    except Exception as error:
        raise KeyLoadError(f"{label}: public_key() gave no PEM: {describe(error)}") from error
    if not isinstance(public_key, rsa.RSAPublicKey):
        raise KeyLoadError(f"{label} is not an RSA key.", remedy="Use an RSA key of 2048 bits or more.")
    return RemoteKey(signer, public_key, label)
