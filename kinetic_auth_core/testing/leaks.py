"""Which secrets an error or a log shows: for tests that no provider, key loader or observer lets one out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator

_PIECE = 16  # characters of a line: short enough to be found even where a line is shown cut off


def secrets_in(told: BaseException | str, *secrets: str, is_test: Callable[[str], bool]) -> list[str]:
    """Find secrets in all that an error reporter could print: the chain, its fields, tracebacks with locals.

    Args:
        told: The error; or a text, such as a log.
        *secrets: What must not be there. Of a text of several lines, such as a key in PEM, any line counts.
        is_test: Whether a file belongs to the tests: their own locals are the secrets, so those do not count.

    Returns:
        What was found: secrets, and the beginnings of their lines; sorted.
    """
    shown = _all_shown(told, is_test) if isinstance(told, BaseException) else told
    assert shown, "nothing was told, so nothing is proved"  # noqa: S101 - it speaks in tests
    return sorted({piece for secret in secrets for piece in _pieces(secret) if piece in shown})


def _all_shown(error: BaseException, is_test: Callable[[str], bool]) -> str:
    told = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True, compact=False)
    _leave_out(told, is_test)
    fields = [f"{link!r} {link} {vars(link)} {link.args}" for link in _chain(error)]
    fields += [repr(getattr(link, "object", "")) for link in _chain(error)]  # what a UnicodeError holds
    return "\n".join([*told.format(), *fields])


def _leave_out(told: traceback.TracebackException, is_test: Callable[[str], bool]) -> None:
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if not is_test(frame.filename)])
    for link in (told.__cause__, told.__context__):
        if link is not None:
            _leave_out(link, is_test)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    if error is not None:
        yield error
        yield from _chain(error.__cause__)
        yield from _chain(error.__context__)
        for inner in error.args:
            if isinstance(inner, BaseException):
                yield from _chain(inner)


def _pieces(secret: str) -> set[str]:
    """A secret itself; of several lines, the beginning of each that is long enough and no header of PEM."""
    lines = [line for line in secret.splitlines() if len(line) >= _PIECE and "-----" not in line and ":" not in line]
    return {line[:_PIECE] for line in lines} if "\n" in secret and lines else {secret}
