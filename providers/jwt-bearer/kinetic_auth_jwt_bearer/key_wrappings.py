"""What stands around a key: byte order marks, quotes, escaped blanks, base64. What the key itself is: `key_formats`.

Nothing here raises: what cannot be unwrapped is handed on as it is, so that no traceback has it among its locals.
"""

import base64
import binascii
import re

#: As deep as base64 is looked into: a secret's own, and that of a store that encodes all values once more.
MAX_LAYERS = 3

_AROUND = " \t\r\n\f\v\0\ufeff\"'`\\"
_ESCAPED_BLANK = re.compile(r"(?:\\+r)?\\+n|\\+[rtfv]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def unwrapped(raw: bytes) -> bytes:
    """Take off all that is not the key.

    Args:
        raw: What a file or a setting holds.

    Returns:
        DER, or the text of PEM or JSON as UTF-8. What is none of them: its text without blanks and quotes around it, or
        `raw` itself where that is no text.
    """
    found = _recognised(raw, MAX_LAYERS)
    if found is not None:
        return found
    text = _text(raw)
    return raw if text is None else text.strip(_AROUND).encode()


def is_der(raw: bytes) -> bool:
    """Whether bytes begin like an ASN.1 SEQUENCE, as all keys and certificates in DER do."""
    size = _der_header(raw)
    # A length of two bytes or more is no ASCII, so bytes that are too few are a damaged key and not a text.
    return size is not None and (sum(size) <= len(raw) or raw[1] >= 0x80)


def der_content(der: bytes) -> bytes:
    """What a SEQUENCE holds."""
    header, length = _der_header(der) or (0, 0)
    return der[header : header + length]


def _der_header(raw: bytes) -> tuple[int, int] | None:
    """The sizes of a SEQUENCE's header and content; None if there is none."""
    if len(raw) < 2 or raw[0] != 0x30:
        return None
    if raw[1] < 0x80:
        return 2, raw[1]
    digits = raw[1] - 0x80  # 0: of indefinite length, as BER may have it
    if digits > 4 or len(raw) < 2 + digits:
        return None
    return 2 + digits, int.from_bytes(raw[2 : 2 + digits], "big") if digits else len(raw) - 2


def _recognised(raw: bytes, layers: int) -> bytes | None:
    """The form that is a key's, if there is one under so many layers of base64."""
    if is_der(raw):
        return raw[: sum(_der_header(raw) or ())]  # an editor's or echo's line end may follow
    text = _text(raw)
    if text is None:
        return None
    text = _ESCAPED_BLANK.sub("\n", text).strip(_AROUND)
    if text.startswith("{") or "-----BEGIN " in text:
        return text.encode()
    inner = _from_base64(text) if layers else None
    return None if inner is None else _recognised(inner, layers - 1)


def _text(raw: bytes) -> str | None:
    """The text that bytes hold; None for what is no text."""
    try:
        return raw.decode("utf-16" if raw.startswith(_UTF16_MARKS) else "utf-8")
    except UnicodeDecodeError:
        return None


def _from_base64(text: str) -> bytes | None:
    """What base64 holds, in either alphabet, with or without its padding."""
    packed = "".join(text.split())
    if not _BASE64.fullmatch(packed):
        return None
    packed = packed.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4))
    except binascii.Error:
        return None
