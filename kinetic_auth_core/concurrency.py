"""What threads, greenlets, forks and signal handlers need.

Locks here are reentrant: a signal handler runs in the middle of any line of the main thread and may use the source
itself, and greenlets share the thread of their hub. What a lock protects therefore has to be valid at every line.

What a handler raises, such as the time-out of a job (RQ, Celery, Airflow), comes up where the errors of plugins and of
the network do, and may be of the same type: a builtin `TimeoutError` is what a socket raises, too. It belongs to the
application and passes through as it is; it is recognised by the frame of the handler in its traceback
(docs/adr/0021-what-a-signal-handler-raises.md).
"""

import _thread
import contextlib
import itertools
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar, copy_context
from inspect import CO_VARARGS
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

from kinetic_auth_core.errors import KineticAuthError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Forkable(Protocol):
    """Something that renews itself in the child."""

    def _after_fork(self) -> None: ...


class _Reference(weakref.ref[Forkable]):
    """A weak reference that equals none but itself: plugins may be equal to each other, or have no hash."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


# Not a WeakSet: its methods are Python code, which a signal can interrupt half-way.
_forkables: set[_Reference] = set()
_forget = _forkables.discard  # one for all of them
_process_id = os.getpid()


def reset_after_fork(forkable: Forkable) -> None:
    """Have `_after_fork` called in the child of each `fork`, as long as the object lives."""
    _forkables.add(_Reference(forkable, _forget))


def notice_fork() -> None:
    """Renew what belongs to the parent, in the child of a fork that Python did not see.

    A fork in C, such as uWSGI's, runs none of the functions of `os.register_at_fork`. Called before anything that may
    be the parent's is used: a connection, a lock, a login that is under way.
    """
    if _process_id != os.getpid():
        _reset_all()


def _reset_all() -> None:
    global _process_id  # noqa: PLW0603 - the process is one for all
    no_fork.after_in_child()
    _being_made.clear()  # the threads that make them are the parent's
    for reference in list(_forkables):
        if (forkable := reference()) is not None:
            try:
                forkable._after_fork()  # noqa: SLF001 - the protocol of this module
            except Exception as error:  # noqa: BLE001 - a plugin's code; the others are renewed all the same
                raise_interruption(error)
                logger.warning("_after_fork() of %s raised %s", type(forkable).__name__, type(error).__name__)
    _process_id = os.getpid()  # last: a thread of the child that comes meanwhile renews them once more


class _NoFork:
    """What `os.fork` waits for: a child would inherit locks that nobody in it can release.

    Those are the locks inside of a library in C: any number of threads may be inside, and none enters while a fork is
    near. And those of the files that log handlers write to: a file's buffer is locked while it is written, and a child
    that logs as well would wait for ever (https://github.com/python/cpython/issues/50970). A fork in C does not wait.
    """

    def __init__(self) -> None:
        self._inside: list[int] = []  # threads; its methods are atomic
        self._forking: dict[int, list[Any]] = {}  # the threads that fork, and the locks of log handlers that each holds

    def __enter__(self) -> None:
        give_up_at = time.monotonic() + _LONGEST_WAIT_S
        self._inside.append(threading.get_ident())
        while self._forking and time.monotonic() < give_up_at:
            self._inside.remove(threading.get_ident())
            pause_runner(0.001)
            self._inside.append(threading.get_ident())

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(ValueError):  # the child of a fork has forgotten it
            self._inside.remove(threading.get_ident())

    def before_fork(self) -> None:
        give_up_at, own = time.monotonic() + _LONGEST_WAIT_S, threading.get_ident()
        held = self._forking[own] = []
        while any(thread != own for thread in list(self._inside)) and time.monotonic() < give_up_at:
            pause_runner(0.001)
        for lock in _handler_locks():
            if isinstance(lock, _RLock):  # it waits its turn among threads that log all the time
                is_mine = lock.acquire(timeout=max(give_up_at - time.monotonic(), 0))
            else:  # that of greenlets
                while not (is_mine := lock.acquire(blocking=False)) and time.monotonic() < give_up_at:
                    pause_runner(0.001)
            if is_mine:
                held.append(lock)

    def leave(self) -> None:
        """Forget that this thread is inside: what a signal handler raised may have kept it from leaving."""
        with contextlib.suppress(ValueError):
            while True:  # each step is atomic
                self._inside.remove(threading.get_ident())

    def after_in_parent(self) -> None:
        for lock in self._forking.pop(threading.get_ident(), ()):
            lock.release()

    def after_in_child(self) -> None:
        self._inside, self._forking = [], {}  # logging has given its handlers new locks


def _handler_locks() -> list[Any]:
    """Those of all log handlers, in one order: two threads that fork would otherwise wait for each other."""
    loggers = [logging.root, *list(logging.root.manager.loggerDict.values())]
    handlers = {each for logger in loggers for each in getattr(logger, "handlers", ())} | {logging.lastResort}
    return [lock for handler in sorted(handlers, key=id) if (lock := getattr(handler, "lock", None)) is not None]


_RLock = type(threading.RLock())
_LONGEST_WAIT_S = 5.0
no_fork = _NoFork()  #: For `with`: what must not be interrupted by a fork, such as a TLS handshake in OpenSSL.

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=no_fork.before_fork, after_in_parent=no_fork.after_in_parent, after_in_child=_reset_all)
    # Python keeps these hooks until its very end. It empties a module at exit only if the module is alive, which it is
    # by this name; otherwise all that the hooks lead to would stay, and each collection at exit would walk through it.
    _this_module = sys.modules[__name__]


def current_runner() -> tuple[int, object]:
    """Who runs this line: the thread, and the greenlet where one runs beside others in it (gevent, eventlet)."""
    greenlet = sys.modules.get("greenlet")
    current = greenlet.getcurrent() if greenlet else None
    return threading.get_ident(), None if current is None or current.parent is None else current


_waits_for: ContextVar[tuple[int, object] | None] = ContextVar("kinetic_auth_waits_for", default=None)
_is_uninterrupted: ContextVar[bool] = ContextVar("kinetic_auth_is_uninterrupted", default=False)
_LOOK_S = 0.01  # between looks of a greenlet for the end of another one


def is_current_runner(runner: tuple[int, object] | None) -> bool:
    """Whether this line is run by a runner, or by a thread that this runner waits for in `uninterrupted`."""
    return runner is not None and runner in {current_runner(), _waits_for.get()}


def uninterrupted(call: Callable[[], T]) -> T:
    """Run something to its end, whatever a signal handler or a greenlet's time-out raises, and if the program ends.

    Signal handlers run in the main thread, daemon threads end with the program, and greenlets may be killed. In these
    it runs in a thread or greenlet of its own, in the caller's context, and the caller waits: only the waiting is
    interrupted. The interpreter does not end before that thread has.

    Raises:
        BaseException: What the call raised.
    """
    thread, runner = threading.current_thread(), current_runner()
    is_safe = thread is not threading.main_thread() and not thread.daemon and runner[1] is None
    if is_safe or _is_uninterrupted.get():
        return call()
    found: list[tuple[T | None, BaseException | None]] = []
    is_over = threading.Event()

    def run() -> None:
        try:
            found.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            found.append((None, error))
        finally:
            is_over.set()

    context = copy_context()
    context.run(_waits_for.set, runner)
    context.run(_is_uninterrupted.set, True)
    library = _library_of_greenlets(_thread.start_new_thread) if runner[1] is not None else None
    if library is not None:  # threads are not patched: waiting for one would stop all greenlets
        library.spawn(context.run, run)
        while not is_over.is_set():
            library.sleep(_LOOK_S)
    else:
        try:
            threading.Thread(target=context.run, args=(run,), name="kinetic-auth exchange", daemon=False).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            return call()
        is_over.wait()
    result, error = found.pop()
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # there is one where there is no error


def is_program_ending() -> bool:
    """Whether the interpreter has begun to end: a thread that starts now may be killed in the middle."""
    return not threading.main_thread().is_alive()


def pause_runner(seconds: float) -> None:
    """Sleep, and let the other greenlets of this thread run, also where `time.sleep` is not patched."""
    library = _library_of_greenlets(time.sleep)
    (time if library is None else library).sleep(seconds)


def _library_of_greenlets(patched: object) -> Any:
    """The library of greenlets that is loaded and has not patched a function; None where there is none.

    Args:
        patched: The function.
    """
    if type(patched).__name__ != "builtin_function_or_method":
        return None
    return next(filter(None, map(sys.modules.get, ("gevent", "eventlet"))), None)


#: How long what a person has to do may take, in seconds: so long others wait for a login that asks one.
LONGEST_CONSENT_S = 900.0


@contextlib.contextmanager
def repeated(call: Callable[[], bool], every_s: float) -> Generator[None]:
    """Call something again and again in a thread of its own while the block runs, as it asks a person.

    Args:
        call: What to call; it is not called again once it has returned False.
        every_s: The seconds from one call to the next.
    """
    stop = threading.Event()
    give_up_at = time.monotonic() + LONGEST_CONSENT_S  # a signal handler may keep us from stopping it

    def run() -> None:
        while not stop.wait(every_s) and time.monotonic() < give_up_at and call():
            pass

    thread = threading.Thread(target=run, name="kinetic-auth renewal", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter is ending
        yield
        return
    try:
        yield
    finally:
        stop.set()
        thread.join()


class ReentryError(KineticAuthError, RuntimeError):
    """A value was requested by the function that makes it, or by a signal handler in the middle of that."""


class _Making:
    """A value that is being made, or taken: who makes it, and the lock of those who wait."""

    __slots__ = ("lock", "runner")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.runner: tuple[int, object] | None = None


#: By the `id` of the `Lazy`. Not in the `Lazy` itself: there are thousands of these, and few values are being made.
_being_made: dict[int, _Making] = {}


class Lazy(Generic[T]):
    """Holds a value that is made once. Others who ask meanwhile wait; if making it fails, the next one tries."""

    __slots__ = ("__weakref__", "_value")

    def __init__(self) -> None:
        self._value: T | None = None

    def get(self, make: Callable[[], T]) -> T:
        """The value; made by `make` if there is none yet.

        Raises:
            ReentryError: `make` leads back here, where it would wait for itself.
        """
        while (value := self._value) is None:
            runner, making = current_runner(), self._making()
            if making.runner == runner:
                raise ReentryError("a value was requested by the function that makes it")
            with making.lock:
                if self._value is None and self._is_made_by(making):
                    try:
                        making.runner = runner
                        self._value = value = make()
                        return value
                    finally:  # who waits comes again
                        _being_made.pop(id(self), None)
        return value

    def peek(self) -> T | None:
        """The value, if it was made."""
        return self._value

    def take(self) -> T | None:
        """Remove and return the value; the next `get` makes another."""
        while True:
            making = self._making()
            with making.lock:
                if self._is_made_by(making):
                    value, self._value = self._value, None
                    if making.runner is None:
                        _being_made.pop(id(self), None)
                    return value

    def _making(self) -> _Making:
        return _being_made.setdefault(id(self), _Making())  # atomic

    def _is_made_by(self, making: _Making) -> bool:
        """Whether nobody has made the value, or failed to, since `making` was found; else it has to be found again."""
        return _being_made.get(id(self)) is making


Once = Lazy  #: The public name.


class LazyAttribute(Generic[T]):
    """Decorates a method: an attribute that is made at its first use, for objects most of which are never used.

    Where threads come at once, each makes one, and all get the first: making it must have no effect of its own.
    `functools.cached_property` has a lock before Python 3.12, which the child of a fork may wait for.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        made = self._make(instance)
        return vars(instance).setdefault(self._name, made)  # type: ignore[no-any-return]  # atomic


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


def clear_up_after(interruption: BaseException) -> None:
    """Release what the code that a signal handler interrupted could not: the locks of log handlers, and `no_fork`.

    Up to Python 3.12, `logging.Handler` takes its lock a line before the `try` that releases it. What is raised between
    them leaves the lock to this thread for ever, and every other thread that logs waits for it.

    Args:
        interruption: What the signal handler raised, with its traceback.
    """
    no_fork.leave()
    stack, interrupted = interruption.__traceback__, []
    while stack is not None:
        interrupted += _handlers_of(stack.tb_frame)
        stack = stack.tb_next
    frame: FrameType | None = sys._getframe() if interrupted else None  # noqa: SLF001 - the way to it
    in_use = []
    while frame is not None:  # they log further out as well, and release their locks there
        in_use += _handlers_of(frame)
        frame = frame.f_back
    for handler in interrupted:
        lock: Any = handler.lock
        if not any(handler is each for each in in_use) and hasattr(lock, "_is_owned"):
            while lock._is_owned():  # noqa: SLF001 - an RLock has no other way to ask it
                lock.release()


def _handlers_of(frame: FrameType) -> list[logging.Handler]:
    handler = frame.f_locals.get("self") if frame.f_code.co_filename == logging.__file__ else None
    return [handler] if isinstance(handler, logging.Handler) else []


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


def is_interruption(error: BaseException) -> bool:
    """Whether an error comes from what a signal handler raised, such as Ctrl-C or the time-out of a job."""
    return not isinstance(error, Exception) or any(mark_interruption(link) for link in chain(error))


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
