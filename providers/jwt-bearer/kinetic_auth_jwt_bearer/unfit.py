"""What is wrong with something that is no usable key, and the passphrase of one: records whose `repr` has no secret."""

import attrs

NEW_KEY = "Make one with: openssl genrsa -out server.key 2048"
GIVE_PRIVATE = (
    "Give the private key, a PEM block that begins with -----BEGIN PRIVATE KEY----- or BEGIN RSA PRIVATE KEY."
)


@attrs.frozen
class Unfit:
    """Why something is not the key that is needed."""

    what: str
    remedy: str


@attrs.frozen
class Passphrase:
    """Opens an encrypted key. Keeps its text out of a traceback's locals."""

    _text: str | None = attrs.field(repr=False)

    @property
    def is_set(self) -> bool:
        """Whether there is one, be it empty."""
        return self._text is not None

    def encoded(self) -> bytes | None:
        """As the key's format takes it; None for an empty one, which opens nothing."""
        return self._text.encode() if self._text else None
