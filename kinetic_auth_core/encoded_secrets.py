"""Finds secrets in foreign texts, also where they are encoded: a server may echo what it was sent in a form of its own.

Known forms, in any nesting: another case, percent encoding (RFC 3986, and `%uXXXX` of JavaScript), plus for a blank,
HTML character references, backslash escapes (JSON, also JSON in JSON), base64 and hexadecimal digits.
"""

import base64
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Final

#: Shorter secrets are parts of common words.
SHORTEST: Final = 4
_MOST_NESTED: Final = 4
_MOST_FORMS: Final = 40
_MOST_DECODED: Final = 20_000  # characters: beyond them, a text is searched without decoding it
_SHORTEST_LINE: Final = 16

_PERCENT = re.compile(r"(?:%[0-9a-f]{2})+|%u[0-9a-f]{4}", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});?", re.IGNORECASE)
_ESCAPE = re.compile(
    r"\\(?:(?-i:U)[0-9a-f]{8}|u[0-9a-f]{4}(?:\\u[0-9a-f]{4})?|x[0-9a-f]{2}|[\"'\\/bfnrt])|\\u\{[0-9a-f]{1,6}\}",
    re.IGNORECASE,
)
_CONTROL: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_Span = tuple[int, int]
_Form = tuple[str, tuple[_Span, ...]]  # a text, and where each of its characters stands in the original


def find_secrets(text: str, secrets: Iterable[str]) -> list[_Span]:
    """Where secrets are in a text, in whatever encoding; sorted, and not overlapping.

    Args:
        text: The text.
        secrets: What to look for; those of fewer than 4 characters are left out.
    """
    wanted = {secret for secret in secrets if len(secret) >= SHORTEST}
    if not wanted or not text:
        return []
    searched = {form for secret in wanted for form in _written_forms(secret)}
    found: list[_Span] = []
    for form, spans in _forms(text):
        for each in searched:
            at = form.find(each)
            while at >= 0:
                found.append((spans[at][0], spans[at + len(each) - 1][1]))
                at = form.find(each, at + 1)
    return _merged(found)


def _written_forms(secret: str) -> Iterator[str]:
    """The texts by which a secret is recognized, all of them without case."""
    for normal in {secret, secret.strip(), *(unicodedata.normalize(form, secret) for form in ("NFC", "NFD", "NFKC"))}:
        lines = [line for line in normal.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
        for each in (normal, *lines):
            if len(each) >= SHORTEST:
                yield each.casefold()
    raw = secret.encode("utf-8", "replace")
    yield raw.hex()
    for before in range(3):  # base64 depends on how many bytes stand before it; the characters at its ends are shared
        encoded = base64.b64encode(bytes(before) + raw).rstrip(b"=").decode()
        inner = encoded[-(-before * 8 // 6) : len(encoded) - (1 if (before + len(raw)) % 3 else 0)].casefold()
        if len(inner) > SHORTEST:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


def _forms(text: str) -> Iterator[_Form]:
    """A text as it is, and as it is decoded once or several times, all without case."""
    todo = [_folded(text, tuple((at, at + 1) for at in range(len(text))))]
    seen = {todo[0][0]}
    plain: _Form = (text, tuple((at, at + 1) for at in range(len(text))))
    yield todo[0]
    queue = [(plain, 0)]
    while queue and len(text) <= _MOST_DECODED and len(seen) < _MOST_FORMS:
        form, depth = queue.pop(0)
        for decode in (_percent_decoded, _references_decoded, _escapes_decoded, _plus_decoded):
            decoded = decode(form)
            folded = _folded(*decoded)
            if folded[0] in seen:
                continue
            seen.add(folded[0])
            yield folded
            if depth + 1 < _MOST_NESTED:
                queue.append((decoded, depth + 1))


def _folded(text: str, spans: tuple[_Span, ...]) -> _Form:
    """A form without case; a letter may become two."""
    pairs = [(letter, span) for char, span in zip(text, spans, strict=True) for letter in char.casefold()]
    return "".join(letter for letter, _ in pairs), tuple(span for _, span in pairs)


def _replaced(form: _Form, pattern: re.Pattern[str], decode: Callable[[str], str]) -> _Form:
    text, spans = form
    pieces: list[str] = []
    kept: list[_Span] = []
    end = 0
    for match in pattern.finditer(text):
        pieces.append(text[end : match.start()])
        kept += spans[end : match.start()]
        decoded = decode(match[0])
        pieces.append(decoded)
        kept += [(spans[match.start()][0], spans[match.end() - 1][1])] * len(decoded)
        end = match.end()
    return "".join([*pieces, text[end:]]), (*kept, *spans[end:])


def _percent_decoded(form: _Form) -> _Form:
    def decode(encoded: str) -> str:
        if encoded[1] in "uU":
            return chr(int(encoded.lstrip("%uU"), base=16))
        raw = bytes.fromhex(encoded.replace("%", ""))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    return _replaced(form, _PERCENT, decode)


def _references_decoded(form: _Form) -> _Form:
    return _replaced(form, _REFERENCE, html.unescape)


def _escapes_decoded(form: _Form) -> _Form:
    def decode(escaped: str) -> str:
        kind = escaped[1]
        if kind in "uUxX" and len(escaped) > 2:
            units = [int(digits, 16) for digits in re.findall(r"[0-9a-f]{2,8}", escaped.lower().replace("\\u", " "))]
            return "".join(map(_character, units)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return _CONTROL.get(kind, kind)

    return _replaced(form, _ESCAPE, decode)


def _character(code: int) -> str:
    return chr(code) if code <= 0x10FFFF else "?"


def _plus_decoded(form: _Form) -> _Form:
    return form[0].replace("+", " "), form[1]


def _merged(spans: list[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for begin, end in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
