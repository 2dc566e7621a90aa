"""Secrets in foreign texts are found in every encoding in which a server may echo them."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core.redaction import MASK, find_secrets, mask

SECRET = 'p&ss+w/rd"<\u00dcn\u00efc\U0001f511de>canary'

Encode = Callable[[str], str]


def lower_percent(text: str) -> str:
    return "".join(f"%{byte:02x}" if byte > 0x7F or not chr(byte).isalnum() else chr(byte) for byte in text.encode())


def to_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODINGS: dict[str, Encode] = {
    "as it is": str,
    "upper case": str.upper,
    "swapped case": str.swapcase,
    "percent": lambda text: quote(text, safe=""),
    "percent, lower case": lower_percent,
    "percent, some characters": quote,
    "a form": quote_plus,
    "percent twice": lambda text: quote(quote(text)),
    "JavaScript's escape": lambda text: "".join(f"%u{ord(c):04X}" if 127 < ord(c) < 65536 else c for c in text),
    "HTML": html.escape,
    "HTML twice": lambda text: html.escape(html.escape(text)),
    "HTML, decimal": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "HTML in JSON": lambda text: json.dumps(html.escape(text)),
    "JSON in a form": lambda text: quote_plus(json.dumps(text)),
    "Python": ascii,
    "base64": to_base64,
    "base64 after a user": lambda text: to_base64(f"user:{text}"),
    "base64 in the middle": lambda text: to_base64(f"ab{text}cd"),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 of a form": lambda text: to_base64(f"password={quote_plus(text)}"),
    "base64 of JSON": lambda text: to_base64(json.dumps({"password": text})),
    "base64 twice": lambda text: to_base64(to_base64(text)),
    "base64 in lines": lambda text: base64.encodebytes(f"{'x' * 50}{text}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex().upper(),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "HTML, decimal with zeros": lambda text: "".join(f"&#{ord(char):010};" for char in text),
    "Python's bytes": lambda text: repr(text.encode()),
    "bytes in octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_an_echo_is_masked_in_every_encoding(encode: Encode) -> None:
    masked = mask(f"you sent {encode(SECRET)} here", [SECRET])
    assert masked.startswith("you sent ")
    assert masked.endswith(" here")
    assert MASK in masked
    assert len(masked) < len("you sent  here") + len(MASK) + 16  # quotes, and the neighbours in base64
    assert "canary" not in masked.lower()


@given(st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cc"]), min_size=8, max_size=30))
def test_an_echo_of_any_secret_is_found(secret: str) -> None:
    for name in ("percent", "percent, lower case", "HTML", "HTML, decimal", "JSON", "JSON in JSON", "base64"):
        assert find_secrets(ENCODINGS[name](secret), [secret]), name


@pytest.mark.parametrize("text", ["invalid_grant: authentication failure", "100% of &amp; \\u0041 + %zz %", ""])
def test_a_text_without_a_secret_is_left_alone(text: str) -> None:
    assert mask(text, [SECRET, "abc", ""]) == text


def test_what_is_around_a_secret_stays() -> None:
    assert mask("a%20b=p%26ss-word&c=d", ["p&ss-word"]) == f"a%20b={MASK}&c=d"


def test_overlapping_secrets_are_masked_as_one() -> None:
    assert mask("say password-token now", ["password-to", "word-token"]) == f"say {MASK} now"


def test_the_lines_of_a_key_are_masked_one_by_one() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END PRIVATE KEY-----\n"
    assert mask("got MIIEvQIBADANBgkqhkiG9w0BAQ, begins with -----BEGIN PRIVATE KEY-----", [key]) == (
        f"got {MASK}, begins with -----BEGIN PRIVATE KEY-----"
    )


@pytest.mark.parametrize("piece", ["%25", "&amp;", "\\\\", "\\\\%25&amp;+", "&#38;", "a"])
def test_a_text_that_is_made_to_be_slow_is_shortened_before_it_is_searched(piece: str) -> None:
    assert len(mask(piece * 20_000, [SECRET, "x" * 2000])) <= 20_000  # else it would take minutes


@pytest.mark.parametrize("before", [0, 17_990, 19_990, 25_000])
def test_a_text_that_is_too_long_is_shortened_and_shows_nothing(before: int) -> None:
    encoded = quote(SECRET, safe="")
    masked = mask("-" * before + encoded + "-" * 25_000, [SECRET])
    assert encoded[:12] not in masked
    assert len(masked) < 20_000
    assert masked.endswith(f"... ({before + len(encoded) + 25_000} characters)")
