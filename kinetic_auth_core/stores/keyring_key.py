"""The key of a file store that the keyring of the operating system keeps; it takes the library `keyring`.

The command makes it for the user's own store, before a refresh token is kept there. A small file beside the store says
that there is one, so that whoever opens the store later uses it: other commands, and the user's applications.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.stores.private_folder import PrivateFolder
from kinetic_auth_core.stores.sealing import FernetSealer, new_key

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "kinetic-auth"
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
        self._sealer = FernetSealer([_load(path)])

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
        key = backend.get_password(SERVICE, str(path)) or new_key()
        FernetSealer([key])  # which needs the package
        backend.set_password(SERVICE, str(path), key)
        is_kept: bool = backend.get_password(SERVICE, str(path)) == key
    except Exception as error:  # noqa: BLE001 - of the backend, whatever it is: locked, denied, no bus
        raise_interruption(error)
        return False
    if is_kept:
        folder = _beside(path)
        folder.make()
        folder.write(_MARK, b"", durably=True)
    return is_kept


def _beside(path: Path) -> PrivateFolder:
    """The folder of the store's naming key."""
    return PrivateFolder(path.with_name(f"{path.name}.key"))


def _load(path: Path) -> str:
    found: Any = None
    why = "the library keyring or a backend of it is missing"
    try:
        if (backend := _backend(is_needed=True)) is not None:
            found = backend.get_password(SERVICE, str(path))
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
