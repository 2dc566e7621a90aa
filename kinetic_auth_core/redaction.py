"""Keeps secrets out of errors: out of their texts and chains, and out of the frames of their tracebacks.

A secret is found in a foreign text also where it is encoded, as a server may echo what it was sent in a form of its
own: another case, percent encoding (RFC 3986, and `%uXXXX` of JavaScript), plus for a blank, HTML character references,
backslash escapes (JSON, also JSON in JSON; of bytes, also octal), base64 and hexadecimal digits, in any nesting; and
UTF-8 that was read as Latin-1 or as Windows-1252.
"""

import base64
import codecs
import functools
import html
import logging
import re
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from kinetic_auth_core.concurrency import clear_up_after, mark_interruption, raise_interruption

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

MASK = "********"

codecs.lookup("cp1252")  # loaded now: no login imports a module


class LibraryError(Exception):
    """Takes the place of a library's error that holds a secret in a chain of causes: its type and its masked message.

    An error of requests holds the request, and so the password.
    """


def mask(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a foreign text, also encoded ones. Those under 4 characters stay: they are parts of words.

    Args:
        text: The text. One that is too long to be searched is shortened.
        secrets: What must not show.
    """
    wanted = [secret for secret in secrets if len(secret) >= SHORTEST]
    if not wanted:
        return text
    searched, more = text[:_MOST_DECODED], ""
    shown = len(text)
    if len(text) > _MOST_DECODED:  # a secret that is cut off at the end is not found
        shown = _MOST_DECODED - _CUT_OFF
        more = f"... ({len(text)} characters)"
    pieces, end = [], 0
    for begin, after in find_secrets(searched, wanted):
        if begin < shown:
            pieces += [text[end:begin], MASK]
            end = after
    return "".join([*pieces, text[end:shown], more])


def redacted_cause(error: BaseException, secrets: Iterable[str]) -> BaseException:
    """The form of a foreign error that may stay in a chain of causes.

    Args:
        error: The error.
        secrets: What must not show.

    Returns:
        The error itself; or, where its chain holds a request or shows a secret, a `LibraryError` in its place.
    """
    secrets = list(secrets)
    if not any(_gives_away(link, secrets) for link in _links(error)):
        return error
    module = "" if type(error).__module__ == "builtins" else f"{type(error).__module__}."
    return LibraryError(mask(_named(f"{module}{type(error).__qualname__}", error), secrets))


def redact_chain(error: BaseException, secrets: Iterable[str]) -> None:
    """Replace the errors in a chain of causes that hold a request or show a secret.

    Args:
        error: An error of ours that a plugin raised, perhaps from one of requests.
        secrets: What must not show.
    """
    secrets = list(secrets)
    cause, context, is_suppressed = error.__cause__, error.__context__, error.__suppress_context__
    error.__cause__ = cause and redacted_cause(cause, secrets)
    error.__context__ = context and redacted_cause(context, secrets)
    error.__suppress_context__ = is_suppressed


def redact_error(error: BaseException, secrets: Iterable[str]) -> None:
    """Take secrets out of an error of ours that a plugin raised, and out of its chain of causes.

    Args:
        error: The error: its text, remedy, description and problems are masked.
        secrets: What must not show.
    """
    secrets = list(secrets)
    redact_chain(error, secrets)
    error.args = tuple(_masked(each, secrets) for each in error.args)
    for name in ("message", "remedy", "description", "problems"):
        value = getattr(error, name, None)
        if (masked := _masked(value, secrets)) != value:
            setattr(error, name, masked)


def _masked(value: object, secrets: list[str]) -> object:
    if isinstance(value, tuple):
        return tuple(_masked(each, secrets) for each in value)
    return mask(value, secrets) if isinstance(value, str) else value


def secret_boundary(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a public entry point whose arguments, or the frames below it, may hold secrets.

    Whatever is raised inside, also by Ctrl-C or by a signal handler, leaves without the frames from here on: tools that
    show tracebacks with local variables show none of ours. The same holds for the causes and contexts that came up
    inside. Where the stack was is logged at DEBUG level, without locals.
    """

    @functools.wraps(function)
    def boundary(*args: P.args, **kwargs: P.kwargs) -> T:
        handled = None
        try:
            handled = sys.exception()  # the caller's: it keeps its frames
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            stacks: list[tuple[BaseException, TracebackType | None]] = []
            links, seen = [error], {id(None), id(handled)}
            for link in links:  # it grows; and it calls nothing of Python's own, for which the stack may have no room
                if id(link) not in seen:
                    seen.add(id(link))
                    try:  # not suppress(): it is Python code, for which there may be no room
                        if mark_interruption(link):
                            clear_up_after(link)
                    except RecursionError:
                        pass
                    try:
                        stacks += [(link, link.__traceback__)]
                        link.__traceback__ = None
                        links += (link.__cause__, link.__context__)  # type: ignore[arg-type]  # None is in `seen`
                    except BaseException:  # noqa: BLE001 - a class that forbids setting attributes, or overrides these
                        links += _strip_in_c(link, stacks)  # type: ignore[arg-type]  # as above
                    links += link.exceptions if isinstance(link, BaseExceptionGroup) else ()
            _log_stacks(stacks)
            del stacks, links, link
            raise

    return boundary


def _strip_in_c(
    error: BaseException, stacks: list[tuple[BaseException, TracebackType | None]]
) -> list[BaseException | None]:
    """Take the traceback off an error whose class has a say in its attributes, as a frozen dataclass has."""
    stack, cause, context = (
        BaseException.__dict__[name].__get__(error) for name in ("__traceback__", "__cause__", "__context__")
    )
    stacks.append((error, stack))
    BaseException.with_traceback(error, None)
    return [cause, context]


def _log_stacks(stacks: list[tuple[BaseException, TracebackType | None]]) -> None:
    """Log where an error and its causes were raised: files, lines and names, no values."""
    try:
        if logger.isEnabledFor(logging.DEBUG):
            for error, stack in stacks:
                if stack is None:
                    continue
                frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(stack)]
                places = [f"  {code.co_filename}:{line} {code.co_qualname}" for code, line in frames]
                logger.debug("%s was raised at\n%s", type(error).__name__, "\n".join(places))
    except Exception as failure:  # noqa: BLE001 - a log handler's; the error is raised all the same
        stack = None
        stacks.clear()  # they have the frames
        if mark_interruption(failure):
            clear_up_after(failure)
        raise_interruption(failure)


def _links(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that is chained to it or grouped in it, each once."""
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        link = queue.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        queue += (link.__cause__, link.__context__)
        queue += link.exceptions if isinstance(link, BaseExceptionGroup) else ()


def _gives_away(error: BaseException, secrets: Iterable[str]) -> bool:
    """Whether an error holds a request or shows a secret. One that cannot even be looked at may do either."""
    try:
        shown = f"{error} {error.args!r} {vars(error)!r}"
        return hasattr(error, "request") or mask(shown, secrets) != shown
    except Exception:  # noqa: BLE001 - a foreign property: httpx's `request` raises where there is none yet
        return True


def _named(name: str, error: BaseException) -> str:
    """An error's name, and what it says if it can."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - foreign code
        text = "it cannot be shown"
    return f"{name}: {text}" if text else name


def describe(error: BaseException) -> str:
    """Type and message of a foreign error, for a sentence; a `LibraryError` has both in its message."""
    return str(error) if isinstance(error, LibraryError) else _named(type(error).__name__, error)


#: Shorter secrets are parts of common words.
SHORTEST: Final = 4
_MOST_NESTED: Final = 4
_MOST_FORMS: Final = 40
_MOST_DECODED: Final = 20_000  # characters: a longer text is shortened
_CUT_OFF: Final = 2_000  # characters: no secret is longer where it is encoded; of a key, each line is found
_SHORTEST_LINE: Final = 16

# Compiled when a text is searched, which a login that succeeds does not do.
_PERCENT = r"(?i)(?:%[0-9a-f]{2})+|%u[0-9a-f]{4}"
_REFERENCE = r"(?i)&(?:#[0-9]{1,20}|#x[0-9a-f]{1,20}|[a-z][a-z0-9]{1,30});?"
_ESCAPE = (
    r"(?i)\\(?:(?-i:U)[0-9a-f]{8}|u[0-9a-f]{4}(?:\\u[0-9a-f]{4})?|[\"'\\/bfnrt])|\\u\{[0-9a-f]{1,6}\}"
    r"|(?:\\x[0-9a-f]{2})+|(?:\\[0-3][0-7]{2})+"
)
_BASE64 = r"[A-Za-z0-9+/_-]{8,}(?:\r?\n[A-Za-z0-9+/_-]+)*"
_HEX = r"(?i)[0-9a-f]{2}(?:[: -]?[0-9a-f]{2}){3,}"
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
    yield raw.decode("latin-1").casefold()
    yield raw.decode("cp1252", "replace").casefold()
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
    while queue and len(seen) < _MOST_FORMS:
        form, depth = queue.pop(0)
        for decode in _DECODERS:
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


def _replaced(form: _Form, pattern: str, decode: Callable[[str], str]) -> _Form:
    text, spans = form
    pieces: list[str] = []
    kept: list[_Span] = []
    end = 0
    for match in re.finditer(pattern, text):
        decoded = decode(match[0])
        if decoded == match[0]:
            continue
        pieces.append(text[end : match.start()])
        kept += spans[end : match.start()]
        pieces.append(decoded)
        kept += [(spans[match.start()][0], spans[match.end() - 1][1])] * len(decoded)
        end = match.end()
    return "".join([*pieces, text[end:]]), (*kept, *spans[end:])


def _percent_decoded(form: _Form) -> _Form:
    def decode(encoded: str) -> str:
        if encoded[1] in "uU":
            return chr(int(encoded.lstrip("%uU"), base=16))
        return _decoded(bytes.fromhex(encoded.replace("%", "")))

    return _replaced(form, _PERCENT, decode)


def _references_decoded(form: _Form) -> _Form:
    return _replaced(form, _REFERENCE, html.unescape)


def _escapes_decoded(form: _Form) -> _Form:
    def decode(escaped: str) -> str:
        kind = escaped[1]
        if kind in "xX":
            return _decoded(bytes.fromhex(escaped.lower().replace("\\x", "")))
        if kind in "0123":
            return _decoded(bytes(int(digits, 8) for digits in escaped[1:].split("\\")))
        if kind in "uU" and len(escaped) > 2:
            units = [int(digits, 16) for digits in re.findall(r"[0-9a-f]{2,8}", escaped.lower().replace("\\u", " "))]
            return "".join(map(_character, units)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return _CONTROL.get(kind, kind)

    return _replaced(form, _ESCAPE, decode)


def _base64_decoded(form: _Form) -> _Form:
    def decode(encoded: str) -> str:
        digits = re.sub(r"\s", "", encoded).replace("-", "+").replace("_", "/")
        try:
            return base64.b64decode(digits + "=" * (-len(digits) % 4)).decode()
        except ValueError:
            return encoded

    return _replaced(form, _BASE64, decode)


def _hex_decoded(form: _Form) -> _Form:
    def decode(encoded: str) -> str:
        try:
            return bytes.fromhex(re.sub("[: -]", "", encoded)).decode()
        except ValueError:
            return encoded

    return _replaced(form, _HEX, decode)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _character(code: int) -> str:
    return chr(code) if code <= 0x10FFFF else "?"


def _plus_decoded(form: _Form) -> _Form:
    return form[0].replace("+", " "), form[1]


_DECODERS: Final = (
    *(_percent_decoded, _references_decoded, _escapes_decoded, _plus_decoded),
    *(_base64_decoded, _hex_decoded),
)


def _merged(spans: list[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for begin, end in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
