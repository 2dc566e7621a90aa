"""What a signal handler raises in the middle of a login belongs to the application, and passes through as it is.

A handler runs between any two lines of the main thread. What it raises, such as the time-out of a job (RQ, Celery,
Airflow), comes up where the errors of plugins and of the network do, and may be of the same type: a builtin
`TimeoutError` is what a socket raises, too. It is recognised by the handler's frame in its traceback
(docs/adr/0021-what-a-signal-handler-raises.md).
"""

import itertools
from collections.abc import Iterator
from inspect import CO_VARARGS
from types import FrameType
from typing import Any

_MARK = "_raised_by_signal_handler"


def raise_interruption(error: BaseException) -> None:
    """Raise what a signal handler raised, if an error is that or was caused by it; else do nothing.

    Every place that turns foreign errors into others, or goes on in spite of them, calls this first.

    Args:
        error: What was caught. Its chain is searched as well: urllib3 wraps every `TimeoutError`.

    Raises:
        BaseException: What the handler raised.
    """
    for link in chain(error):
        if mark_interruption(link) and not any(map(mark_interruption, _wrapped(link))):
            context = link.__context__
            if context is not None and not _passed_a_handler(context):
                context = None  # what the handler has interrupted: it may hold the request
            try:
                raise link
            finally:
                link.__context__ = context  # `raise` has put `error` there


def mark_interruption(error: BaseException) -> bool:
    """Whether a signal handler raised an error; if so, it is still known to when its traceback is gone."""
    if _MARK in error.__dict__:
        return True
    if _passed_a_handler(error):
        error.__dict__[_MARK] = True
        return True
    return False


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it wraps in its arguments and `reason` (urllib3), its causes and its group; each once."""
    queue: list[Any] = [error]
    seen: set[int] = set()
    while queue:
        link = queue.pop(0)
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            queue += [*_wrapped(link), link.__cause__, link.__context__]
            queue += link.exceptions if isinstance(link, BaseExceptionGroup) else ()


def _wrapped(error: BaseException) -> list[BaseException]:
    """What an error of a library was made from, whose traceback it may have (urllib3)."""
    return [each for each in (*error.args, getattr(error, "reason", None)) if isinstance(each, BaseException)]


def _passed_a_handler(error: BaseException) -> bool:
    stack = error.__traceback__
    while stack is not None:
        if _is_handler(stack.tb_frame):
            return True
        stack = stack.tb_next
    return False


def _is_handler(frame: FrameType) -> bool:
    """Whether Python called a function as a signal handler: with a number and the frame that it interrupted.

    Nothing else gives a function a number and the very frame that it was called from. Which handlers are registered
    does not matter: a handler may have been replaced meanwhile, also by itself.
    """
    code = frame.f_code
    has_varargs = bool(code.co_flags & CO_VARARGS)
    if frame.f_back is None or code.co_argcount + 2 * has_varargs < 2:
        return False
    values = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
    if has_varargs:
        values += frame.f_locals.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
    return any(value is frame.f_back and isinstance(number, int) for number, value in itertools.pairwise(values))
