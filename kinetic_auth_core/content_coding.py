"""Bodies that come compressed, though we ask for none: taken apart in bounded memory, whatever they grow to."""

import zlib

_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class CodingError(ValueError):
    """The body is not what its `Content-Encoding` says, or that is one that nobody asked for."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """Undo a content coding (RFC 9110, section 8.4).

    Args:
        body: What was sent.
        coding: The header's value; empty or `identity`: none.
        limit: More bytes than these are not made.

    Returns:
        The content; of one that is too long, `limit` bytes and one more.

    Raises:
        CodingError: It cannot be undone.
    """
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in _KNOWN:
        raise CodingError("a content coding that was not asked for")
    unpacker = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error:
        content = None
    if content is None or not (unpacker.eof or len(content) > limit):
        raise CodingError("a body that is not compressed as its header says")
    return content
