"""Finds the secrets that an error or a log shows: for tests of providers, key loaders and observers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator

_PIECE = 16  # characters of a line: short enough to be found in a truncated line


def secrets_in(subject: BaseException | str, *secrets: str, is_test: Callable[[str], bool]) -> list[str]:
    """Find secrets in everything that an error reporter could print: the chain, its fields, tracebacks with locals.

    Args:
        subject: The error; or a text, such as a log.
        *secrets: What must not be shown. Of a text of several lines, such as a key in PEM, any line counts.
        is_test: Whether a file belongs to the tests, whose locals do not count.

    Returns:
        The secrets that were found, or the beginnings of their lines; sorted.
    """
    shown = _all_shown(subject, is_test) if isinstance(subject, BaseException) else subject
    assert shown, "nothing is shown, so nothing is proved"  # noqa: S101 - used in tests
    return sorted({piece for secret in secrets for piece in _pieces(secret) if piece in shown})


def _all_shown(error: BaseException, is_test: Callable[[str], bool]) -> str:
    trace = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True, compact=False)
    _leave_out(trace, is_test)
    fields = [f"{link!r} {link} {vars(link)} {link.args}" for link in _chain(error)]
    fields += [repr(getattr(link, "object", "")) for link in _chain(error)]  # what a UnicodeError holds
    return "\n".join([*trace.format(), *fields])


def _leave_out(trace: traceback.TracebackException, is_test: Callable[[str], bool]) -> None:
    trace.stack = traceback.StackSummary.from_list([frame for frame in trace.stack if not is_test(frame.filename)])
    for link in (trace.__cause__, trace.__context__):
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
    """The secret; or, if it has several lines, the beginning of each long line that is not a PEM header."""
    lines = [line for line in secret.splitlines() if len(line) >= _PIECE and "-----" not in line and ":" not in line]
    return {line[:_PIECE] for line in lines} if "\n" in secret and lines else {secret}
