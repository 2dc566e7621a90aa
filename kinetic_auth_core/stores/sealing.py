"""Encrypts values with Fernet, and binds each to the name it is stored under.

Without the binding, somebody who can write to the store could give one user the session of another.
"""

import base64
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kinetic_auth_core.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


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
        ConfigurationError: One is not a Fernet key; it is not shown. Or the package `cryptography` is missing.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            from cryptography.fernet import InvalidToken, MultiFernet
        except ImportError:
            del keys
            raise ConfigurationError("needs the package cryptography: pip install cryptography") from None

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
