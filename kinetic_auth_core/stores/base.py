"""The contract of a session store: opaque bytes under opaque keys, generations, and a lease with an expiry.

What is kept, in which form, and what happens while a store is down, is the source's affair.
"""

import abc

import attrs


@attrs.frozen
class StoredValue:
    """What a store holds under a key.

    Attributes:
        value: The bytes that were put there.
        generation: Which of the values under this key it is, from 1. `put` and `delete` compare it.
    """

    value: bytes = attrs.field(repr=False)
    generation: int


class SessionStore(abc.ABC):
    """Base class of a session store: group `kinetic_auth.session_stores`, an attrs class whose settings are its fields.

    Keys are up to 100 characters out of `A-Z a-z 0-9 . _ -`. Every call returns within a bounded time. A store raises
    whatever suits it when it cannot be reached or is full: the source logs a warning and goes on with its own memory.
    A value that is damaged counts as none. A constructor does no I/O. `kinetic_auth_core.testing.SessionStoreContract`
    is the test suite of this contract.
    """

    @abc.abstractmethod
    def get(self, key: str) -> StoredValue | None:
        """What is there; None if there is nothing, or it has expired."""

    @abc.abstractmethod
    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        """Store a value, atomically.

        Args:
            key: Where.
            value: What.
            expires_in_s: Seconds after which it is gone.
            generation: Which generation it replaces; 0: there must be none; None: whatever is there.

        Returns:
            Its generation; None where another generation is there, and nothing was stored.
        """

    @abc.abstractmethod
    def delete(self, key: str, *, generation: int | None = None) -> bool:
        """Take a value away.

        Args:
            key: Where.
            generation: Only if it is this generation; None: whatever is there.

        Returns:
            Whether something was taken away.
        """

    @abc.abstractmethod
    def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
        """Take the lease of a key. A lease is apart from the key's value, and stops nobody from storing one.

        Args:
            key: Of what.
            holder: Who wants it; the same holder may take it again, which prolongs it.
            expires_in_s: Seconds after which anybody may have it.

        Returns:
            Whether `holder` has it now.
        """

    @abc.abstractmethod
    def release(self, key: str, holder: str) -> None:
        """Give the lease back, if `holder` still has it."""

    def close(self) -> None:  # noqa: B027 - a store may have nothing to close
        """Give connections back. The next call opens new ones."""
