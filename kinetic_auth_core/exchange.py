"""What goes to a server and what comes back, and how much of either may be shown."""

import time
from collections.abc import Collection, Mapping
from urllib.parse import quote, quote_plus

import attrs

from kinetic_auth_core.redaction import mask

_MAX_QUOTED = 300  # characters
_OPEN_FIELDS = frozenset({"grant_type", "client_id", "username", "scope"})


@attrs.frozen
class Form:
    """The fields of a token request. They are secrets: never shown.

    Attributes:
        fields: What is sent.
        secrets: The texts that must not show up in a message, such as the provider's secret settings.
    """

    fields: Mapping[str, str] = attrs.field(repr=False)
    secrets: Collection[str] = attrs.field(default=(), repr=False)

    def masked(self, text: str) -> str:
        """Text of the server without anything in it that we sent in confidence, as it is or URL-encoded."""
        secrets = [*self.secrets, *(self.fields[name] for name in self.fields.keys() - _OPEN_FIELDS)]
        encodable = [secret.encode("utf-8", "replace") for secret in secrets]
        return mask(text, [*secrets, *map(quote, encodable), *map(quote_plus, encodable)])

    def quoted(self, text: object) -> str:
        """Text of the server as a message may quote it: masked, short, printable; nothing for what is no text."""
        if not isinstance(text, str):
            return ""
        return "".join(char if char.isprintable() else " " for char in self.masked(text)[:_MAX_QUOTED]).strip()


@attrs.frozen
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: The headers; names in any case.
        body: The body, decoded from any content encoding.
        at: When it was made, by our clock: the middle between request and answer, in Unix seconds.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    at: float = attrs.field(factory=time.time)
