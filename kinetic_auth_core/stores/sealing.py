"""Encrypts values with Fernet, and binds each to the name it is stored under.

Without the binding, somebody who can write to the store could give one user the session of another.

The key of a file store may be one that the keyring of the operating system keeps; that takes the library `keyring`. The
command makes it for the user's own store, before a refresh token is kept there. A small file beside the store says that
there is one, so that all that open the store later use it: other commands, and the user's applications.
"""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, import_problem

if TYPE_CHECKING:
    from cryptography.fernet import Fernet
    from keyring.backend import KeyringBackend

    from kinetic_auth_core.stores.private_folder import PrivateFolder


def keys_of(key: str | Sequence[str] | None) -> Sequence[str]:
    """The keys of a store's setting `key`, which is one or a list."""
    if not key:
        return []
    return [key] if isinstance(key, str) else key


#: The command that makes a key, for messages.
HOW_TO_MAKE_A_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


def new_key() -> str:
    """A Fernet key: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


class Sealer(Protocol):
    """Encodes and decodes stored values."""

    def seal(self, name: str, value: bytes) -> bytes:
        """Encode a value for a name."""

    def open(self, name: str, stored: bytes) -> bytes | None:
        """The value; None if it was sealed with another key or under another name, or was changed."""


class PlainSealer:
    """Stores values as they are."""

    def seal(self, name: str, value: bytes) -> bytes:  # noqa: ARG002 - the protocol of Sealer
        """The value itself."""
        return value

    def open(self, name: str, stored: bytes) -> bytes | None:  # noqa: ARG002 - the protocol of Sealer
        """The value itself."""
        return stored


class FernetSealer:
    """Encrypts with the first of its keys, and decrypts with any of them.

    Args:
        keys: Fernet keys.

    Raises:
        ConfigurationError: One is not a Fernet key; it is not shown. Or the package `cryptography` is missing, or
            does not import.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            from cryptography.fernet import InvalidToken, MultiFernet
        except ImportError as error:
            del keys
            problem = import_problem("cryptography", error)
            how = ": pip install cryptography" if problem == "is not installed" else ""
            raise ConfigurationError(f"needs cryptography, which {problem}{how}") from None

        fernets = [_fernet(key) for key in keys]
        if None in fernets:
            which = f"no. {fernets.index(None) + 1} of the list is" if len(keys) > 1 else "is"
            del keys, fernets  # not among the locals of a traceback
            what = f"{which} not a Fernet key (32 bytes in URL-safe base64). To make one: {HOW_TO_MAKE_A_KEY}"
            raise ConfigurationError(what)
        self._fernet = MultiFernet(filter(None, fernets))
        self._invalid = InvalidToken

    def seal(self, name: str, value: bytes) -> bytes:
        """The value with its name before it, encrypted."""
        return self._fernet.encrypt(name.encode() + b"\n" + value)

    def open(self, name: str, stored: bytes) -> bytes | None:
        """The value; None if it was sealed with another key or under another name, or was changed."""
        try:
            sealed_as, _, value = self._fernet.decrypt(stored).partition(b"\n")
        except self._invalid:
            return None
        return value if sealed_as == name.encode() else None


def _fernet(key: str) -> "Fernet | None":
    """The Fernet of a key; None if the key is invalid."""
    from cryptography.fernet import Fernet

    try:
        return Fernet(key)
    except ValueError:
        return None


#: The name under which the keyring has the keys.
_SERVICE = "kinetic-auth"
_MARK = "in-keyring"
_FERNET = b"gAAAA"  # how each value begins that Fernet has encrypted
_RECOMMENDED = 1  # the least priority of a backend that keeps secrets from other users, as the library says


class KeyringSealer:
    """Encrypts with the key in the keyring; reads what was stored in clear before there was one.

    Args:
        path: The store's folder.

    Raises:
        KineticAuthError: The keyring does not give the key.
    """

    def __init__(self, path: Path) -> None:
        self._sealer = FernetSealer([_load_from_keyring(path)])

    def seal(self, name: str, value: bytes) -> bytes:
        """The value with its name before it, encrypted."""
        return self._sealer.seal(name, value)

    def open(self, name: str, stored: bytes) -> bytes | None:
        """The value; None if it was sealed with another key or under another name, or was changed."""
        return stored if is_in_clear(stored) else self._sealer.open(name, stored)


def is_in_clear(stored: bytes) -> bool:
    """Whether a stored value was not encrypted."""
    return not stored.startswith(_FERNET)


def has_keyring_key(path: Path) -> bool:
    """Whether the key of a store is in the keyring; the keyring itself is not asked.

    Args:
        path: The store's folder.
    """
    return (_beside(path).path / _MARK).exists()


def make_keyring_key(path: Path) -> bool:
    """Make a key for a store, if there is a keyring that can keep it and the package cryptography.

    One process at a time may do so.

    Args:
        path: The store's folder.

    Returns:
        Whether its key is in the keyring.

    Raises:
        OSError: The mark beside the store cannot be written.
    """
    if has_keyring_key(path):
        return True
    backend = _backend()
    if backend is None:
        return False
    try:
        key = backend.get_password(_SERVICE, str(path)) or new_key()
        FernetSealer([key])  # which needs the package
        backend.set_password(_SERVICE, str(path), key)
        is_kept: bool = backend.get_password(_SERVICE, str(path)) == key
    except Exception as error:  # noqa: BLE001 - of the backend, whatever it is: locked, denied, no bus
        raise_interruption(error)
        return False
    if is_kept:
        folder = _beside(path)
        folder.make()
        folder.write(_MARK, b"", durably=True)
    return is_kept


def _beside(path: Path) -> "PrivateFolder":
    """The folder of the store's naming key."""
    from kinetic_auth_core.stores.private_folder import PrivateFolder  # loaded by the store, which has such a folder

    return PrivateFolder(path.with_name(f"{path.name}.key"))


def _load_from_keyring(path: Path) -> str:
    found: Any = None
    why = "the library keyring or a backend of it is missing"
    try:
        if (backend := _backend(is_needed=True)) is not None:
            found = backend.get_password(_SERVICE, str(path))
            why = "there is no such key in it"
    except Exception as error:  # noqa: BLE001 - of the backend; its text might have the key
        raise_interruption(error)
        why = type(error).__name__
    if not found:
        mark = _beside(path).path / _MARK
        raise KineticAuthError(
            f"The sessions in {path} are encrypted, and the keyring does not give their key: {why}.",
            remedy=f"Unlock the keyring, or pip install keyring. If the key is lost: delete {mark} and log in again.",
        )
    return str(found)


def _backend(*, is_needed: bool = False) -> "KeyringBackend | None":
    """The keyring; None if the library is not installed, or finds none that it recommends and the user has chosen none.

    Args:
        is_needed: Take any: it holds a key already.
    """
    try:
        import keyring
        import keyring.core

        backend: KeyringBackend = keyring.get_keyring()
        is_chosen = keyring.core.load_env() is not None or keyring.core.load_config() is not None
        priority = float(getattr(backend, "priority", 0))
    except Exception as error:  # noqa: BLE001 - the library is not installed, or the user's choice cannot be loaded
        raise_interruption(error)
        return None
    return backend if priority > 0 and (is_needed or is_chosen or priority >= _RECOMMENDED) else None
