"""The form of a file store's files: a value under a line that tells whether it is whole, and a lease."""

import hashlib
import json
from typing import Any

import attrs

_FORM = 1
_DIGEST_LENGTH = 64


class DamagedEntryError(ValueError):
    """What is there is no whole entry. Its text says nothing of the content."""


@attrs.frozen
class Entry:
    """A value as it lies in a file.

    Attributes:
        value: The value.
        generation: Its generation.
        expires_at: Unix seconds after which it counts as gone.
    """

    value: bytes = attrs.field(repr=False)
    generation: int
    expires_at: float

    def encoded(self) -> bytes:
        """The content of its file."""
        about = {"form": _FORM, "generation": self.generation, "expires_at": self.expires_at}
        rest = json.dumps(about).encode() + b"\n" + self.value
        return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest

    @classmethod
    def decoded(cls, content: bytes) -> "Entry":
        """Read a file's content.

        Raises:
            DamagedEntryError: It is cut short or changed, or of another form.
        """
        digest, rest = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH + 1 :]
        if hashlib.sha256(rest).hexdigest().encode() != digest:
            raise DamagedEntryError("it is cut short or was changed")
        line, _, value = rest.partition(b"\n")
        about = _table(line)
        if about.get("form") != _FORM:
            raise DamagedEntryError("it has another form")
        generation, expires_at = about.get("generation"), about.get("expires_at")
        if type(generation) is not int or generation < 0 or not isinstance(expires_at, int | float):
            raise DamagedEntryError("it has another form")
        return cls(value, generation, expires_at)


@attrs.frozen
class Lease:
    """Who may log in, as it lies in a file.

    Attributes:
        holder: Who.
        expires_at: Unix seconds after which anybody may have it.
        lasts_s: For how long it was taken, in seconds.
    """

    holder: str
    expires_at: float
    lasts_s: float

    def is_held(self, now: float) -> bool:
        """Whether it still holds; one whose end is too far away is from before the clock was set back."""
        return 0 < self.expires_at - now <= self.lasts_s + 1

    def encoded(self) -> bytes:
        """The content of its file."""
        return json.dumps(attrs.asdict(self)).encode()

    @classmethod
    def decoded(cls, content: bytes) -> "Lease | None":
        """Read a file's content; None for one that is damaged: it holds nobody up."""
        try:
            found = _table(content)
            return cls(str(found["holder"]), float(found["expires_at"]), float(found["lasts_s"]))
        except (DamagedEntryError, KeyError, TypeError, ValueError, OverflowError):
            return None


def _table(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DamagedEntryError("it has another form")
    return found
