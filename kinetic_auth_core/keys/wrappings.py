"""Removes what surrounds a key: byte order marks, quotes, escaped line ends, base64. `formats` parses what is left."""

import base64
import binascii
import re

#: Nested levels of base64 that are decoded: the secret's own, and that of a store which encodes every value.
MAX_LAYERS = 3

_AROUND = " \t\r\n\f\v\0\ufeff\"'`\\"
_ESCAPED_BLANK = re.compile(r"(?:\\+r)?\\+n|\\+[rtfv]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def unwrap(raw: bytes) -> bytes:
    """Remove everything that is not the key.

    Args:
        raw: The contents of a file or a setting.

    Returns:
        DER, or the text of PEM or JSON as UTF-8. For anything else: its text without surrounding blanks and quotes, or
        `raw` where it is not text.
    """
    found = _recognize(raw, MAX_LAYERS)
    if found is not None:
        return found
    text = _text(raw)
    return raw if text is None else text.strip(_AROUND).encode()


def is_der(raw: bytes) -> bool:
    """Whether bytes begin with an ASN.1 SEQUENCE, as all keys and certificates in DER do."""
    size = _der_header(raw)
    # A length of two bytes or more is not ASCII, so a truncated value is a damaged key and not a text.
    return size is not None and (sum(size) <= len(raw) or raw[1] >= 0x80)


def der_content(der: bytes) -> bytes:
    """The content of a SEQUENCE."""
    header, length = _der_header(der) or (0, 0)
    return der[header : header + length]


def _der_header(raw: bytes) -> tuple[int, int] | None:
    """The sizes of a SEQUENCE's header and content; None if there is none."""
    if len(raw) < 2 or raw[0] != 0x30:
        return None
    if raw[1] < 0x80:
        return 2, raw[1]
    digits = raw[1] - 0x80  # 0: indefinite length, which BER allows
    if digits > 4 or len(raw) < 2 + digits:
        return None
    return 2 + digits, int.from_bytes(raw[2 : 2 + digits], "big") if digits else len(raw) - 2


def _recognize(raw: bytes, layers: int) -> bytes | None:
    """DER, PEM or JSON, found under up to `layers` levels of base64; None for anything else."""
    if is_der(raw):
        return raw[: sum(_der_header(raw) or ())]  # an editor or echo may have added a line end
    text = _text(raw)
    if text is None:
        return None
    text = _ESCAPED_BLANK.sub("\n", text).strip(_AROUND)
    if text.startswith("{") or "-----BEGIN " in text:
        return text.encode()
    inner = _decode_base64(text) if layers else None
    return None if inner is None else _recognize(inner, layers - 1)


def _text(raw: bytes) -> str | None:
    """The text that bytes encode; None if they are not text."""
    try:
        return raw.decode("utf-16" if raw.startswith(_UTF16_MARKS) else "utf-8")
    except UnicodeDecodeError:
        return None


def _decode_base64(text: str) -> bytes | None:
    """Decode base64 in either alphabet, with or without padding; None if the text is not base64."""
    packed = "".join(text.split())
    if not _BASE64.fullmatch(packed):
        return None
    packed = packed.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4))
    except binascii.Error:
        return None
