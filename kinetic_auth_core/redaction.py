"""Keeps secrets out of errors: out of their texts and chains, and out of the frames of their tracebacks."""

import contextlib
import functools
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import ParamSpec, TypeVar

from kinetic_auth_core.encoded_secrets import find_secrets
from kinetic_auth_core.interruptions import mark_interruption

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

MASK = "********"


class LibraryError(Exception):
    """Takes the place of a library's error that holds a secret in a chain of causes: its type and its masked message.

    An error of requests holds the request, and so the password.
    """


def mask(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a foreign text, also encoded ones. Those under 4 characters stay: they are parts of words.

    Args:
        text: The text.
        secrets: What must not show.
    """
    pieces, end = [], 0
    for begin, after in find_secrets(text, secrets):
        pieces += [text[end:begin], MASK]
        end = after
    return "".join([*pieces, text[end:]])


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
    return LibraryError(mask(f"{module}{type(error).__qualname__}: {_text(error)}", secrets))


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
                    try:  # noqa: SIM105 - suppress() is Python code, for which there may be no room
                        mark_interruption(link)
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
    with contextlib.suppress(Exception):
        if logger.isEnabledFor(logging.DEBUG):
            for error, stack in stacks:
                if stack is None:
                    continue
                frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(stack)]
                places = [f"  {code.co_filename}:{line} {code.co_qualname}" for code, line in frames]
                logger.debug("%s was raised at\n%s", type(error).__name__, "\n".join(places))


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


def _text(error: BaseException) -> str:
    """What an error says, if it can."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - foreign code
        return "it cannot be shown"


def describe(error: BaseException) -> str:
    """Type and message of a foreign error, for a sentence; a `LibraryError` has both in its message."""
    return str(error) if isinstance(error, LibraryError) else f"{type(error).__name__}: {error}"
