"""How a value lies in Redis: encrypted and authenticated by Fernet, and bound to the key it was stored under.

The binding keeps somebody who can write to Redis, and has no store key, from giving one user another's session.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kinetic_auth_core import ConfigurationError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

#: What a message says to make a key with.
HOW_TO_MAKE_A_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


class Sealer(Protocol):
    """Turns values into what is stored, and back."""

    def seal(self, name: str, value: bytes) -> bytes:
        """What to store for a value under a name."""

    def open(self, name: str, stored: bytes) -> bytes | None:
        """The value; None if it was sealed with another key or under another name, or was changed."""


class Plain:
    """Stores values as they are: for `encrypt = false`."""

    def seal(self, name: str, value: bytes) -> bytes:  # noqa: ARG002 - as any sealer
        """The value itself."""
        return value

    def open(self, name: str, stored: bytes) -> bytes | None:  # noqa: ARG002 - as any sealer
        """The value itself."""
        return stored


class Encrypted:
    """Seals with the first of its keys, and opens what any of them has sealed.

    Args:
        keys: Fernet keys.

    Raises:
        ConfigurationError: One is no Fernet key; it is not shown.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        from cryptography.fernet import InvalidToken, MultiFernet

        fernets = [_fernet(key) for key in keys]
        if None in fernets:
            which = f"no. {fernets.index(None) + 1} of the list is" if len(keys) > 1 else "is"
            del keys, fernets  # not among the locals of a traceback
            what = f"{which} no Fernet key (32 bytes in URL-safe base64). To make one: {HOW_TO_MAKE_A_KEY}"
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
    """What encrypts with a key; None if it is no key."""
    from cryptography.fernet import Fernet

    try:
        return Fernet(key)
    except ValueError:
        return None
