"""The key that `--key` names: a file, a reference to a secret, or a key that stays where it is and signs there."""

from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kinetic_auth_core.cli.cert.local_key import NOTHING_KNOWN, Unfit, read_key
from kinetic_auth_core.errors import KeyLoadError, KineticAuthError
from kinetic_auth_core.registry.discovery import KEY_LOADERS, installed
from kinetic_auth_core.registry.hookspecs import Signer
from kinetic_auth_core.registry.loading import check_reference, load_key_loader
from kinetic_auth_core.registry.references import BUILTIN_SCHEMES, Reference, load_builtin, parse_reference

_ALGORITHM = "RS256"


class RemoteKey(rsa.RSAPrivateKey):
    """A `Signer` as cryptography sees a private key, so that it can sign certificates. Of the key it has only the name.

    Args:
        signer: Signs with RS256.
        public_key: The public half.
        called: How messages call it.
    """

    def __init__(self, signer: Signer, public_key: rsa.RSAPublicKey, called: str) -> None:
        self._signer = signer
        self._public_key = public_key
        self._called = called

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public_key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """The public half."""
        return self._public_key

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:  # noqa: ARG002 - RS256 fixes both, as checked before
        """Let the signer sign; the certificate is verified afterwards."""
        try:
            return self._signer.sign(bytes(data))
        except KineticAuthError:
            raise
        except Exception as error:
            raise KeyLoadError(f"{self._called}: signing raised {type(error).__name__}: {error}") from error

    def decrypt(self, ciphertext: Any, padding: Any) -> NoReturn:
        """Not what it is for."""
        raise NotImplementedError

    def private_numbers(self) -> NoReturn:
        """Not here."""
        raise NotImplementedError

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> NoReturn:  # noqa: A002
        """Not here."""
        raise NotImplementedError

    def __copy__(self) -> "RemoteKey":
        return self

    def __deepcopy__(self, _memo: Any) -> "RemoteKey":
        return self


def load_key(given: str, passphrase: bytes | None) -> rsa.RSAPrivateKey:
    """Get the key that `--key` names.

    Args:
        given: A path, or a reference.
        passphrase: Of an encrypted key.

    Returns:
        The key; a `RemoteKey` for one that stays where it is.

    Raises:
        KeyLoadError: There is none, or it is no RSA private key.
        ConfigurationError: The reference is incomplete, or its key loader is not installed.
    """
    reference = parse_reference(given, {plugin.name for plugin in installed(KEY_LOADERS)})
    called = f"the key {given}"
    found = _from_file(Path(given), called) if reference is None else _from_reference(reference)
    if isinstance(found, Signer):
        return _remote(found, called)
    key = read_key(found, passphrase) if isinstance(found, bytes) else NOTHING_KNOWN
    del found, passphrase  # not among the locals of a traceback
    if isinstance(key, Unfit):
        raise KeyLoadError(f"{called} {key.what}.", remedy=key.remedy)
    return key


def _from_file(path: Path, called: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise KeyLoadError(
            f"{called} cannot be read: {why}.", remedy="Name a file, or a reference such as kms://..."
        ) from error


def _from_reference(reference: Reference) -> object:
    if reference.scheme in BUILTIN_SCHEMES:
        return load_builtin(reference)
    check_reference(reference)
    try:
        return load_key_loader(reference.scheme).load_key(reference)
    except KineticAuthError:
        raise
    except Exception as error:
        raise KeyLoadError(f"{reference}: the key loader raised {type(error).__name__}: {error}") from error


def _remote(signer: Signer, called: str) -> RemoteKey:
    if signer.algorithm != _ALGORITHM:
        raise KeyLoadError(
            f"{called} signs with {signer.algorithm}; Salesforce takes only {_ALGORITHM}.",
            remedy="Use an RSA key of 2048 bits or more.",
        )
    ask = getattr(signer, "public_key", None)
    if ask is None:
        raise KeyLoadError(
            f"{called} does not tell its public key, which a certificate is made of.",
            remedy="Use a key loader whose signers have public_key(), such as that of kinetic-auth-secret-manager.",
        )
    try:
        public_key = serialization.load_pem_public_key(ask())
    except KineticAuthError:
        raise
    except Exception as error:
        raise KeyLoadError(f"{called} tells no public key in PEM: {type(error).__name__}: {error}") from error
    if not isinstance(public_key, rsa.RSAPublicKey):
        raise KeyLoadError(f"{called} is no RSA key.", remedy="Use an RSA key of 2048 bits or more.")
    return RemoteKey(signer, public_key, called)
