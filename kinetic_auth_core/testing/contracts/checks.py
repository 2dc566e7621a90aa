"""What the suites check with: expectations, many threads at once, the child of a fork, and what code does meanwhile."""

from __future__ import annotations

import builtins
import contextlib
import functools
import io
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import attrs

THREADS = 16
PATIENCE_S = 10.0


def expect(holds: object, what: str, subject: str = "store") -> None:
    """An `assert` that reads the same under `python -O` and where pytest does not rewrite it."""
    if not holds:
        raise AssertionError(f"the {subject} violates its contract: {what}")


def unused_port() -> int:
    """A port of 127.0.0.1 that nothing uses, below those that systems give to connections and to port 0.

    One of these could be taken between the look and its use, by any connection of any program.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def until(holds: Callable[[], object], what: str) -> None:
    """Check repeatedly until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        expect(time.monotonic() < deadline, f"{what}, even after {PATIENCE_S:.0f} s")
        time.sleep(0.01)


def at_once(call: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """The results of a call in many threads that start together; the first error is raised."""
    start = threading.Barrier(threads)

    def run(number: int) -> Any:
        start.wait(PATIENCE_S)
        return call(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


@contextlib.contextmanager
def often_switched() -> Iterator[None]:
    """Threads take turns after 10 µs: what they share by mistake is mixed up sooner."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def forked(call: Callable[[], object]) -> int:
    """The process id of the child of a `fork` that makes a call and ends with 0, or with 1 if the call raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of other threads; they are tested
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    return pid


def text_of_a_child(call: Callable[[], str], limit_s: float = 30.0) -> str | None:
    """What a call returns in the child of a `fork`; None if it raised, or did not end in time."""
    reader, writer = os.pipe()
    pid = forked(lambda: os.write(writer, call().encode()))
    os.close(writer)
    try:
        killer = threading.Timer(limit_s, os.kill, (pid, signal.SIGKILL))
        killer.start()
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        return said.decode() if ended else None
    finally:
        killer.cancel()


def in_a_child(check: Callable[[], object]) -> bool:
    """Whether a check holds in the child of a `fork`."""
    return text_of_a_child(lambda: "holds" if check() else "") == "holds"


def no_proxy_to_this_machine() -> contextlib.AbstractContextManager[object]:
    """The proxies that the machine has are not asked for what is on the loopback interface."""
    names = ("NO_PROXY", "no_proxy")
    hosts = {name: ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost"))) for name in names}
    return mock.patch.dict(os.environ, hosts)


@contextlib.contextmanager
def everything_said() -> Iterator[io.StringIO]:
    """All that is logged by anybody at DEBUG level, with each record's fields, and all that is printed."""
    said = io.StringIO()

    class Handler(logging.StreamHandler[io.StringIO]):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            said.write(f"{vars(record)!r}\n")

    handler, root = Handler(said), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


_NETWORK: tuple[tuple[Any, str], ...] = (
    *((socket.socket, name) for name in ("connect", "connect_ex", "bind", "sendto", "sendmsg")),
    *((socket, name) for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr")),
)
_PROCESSES: tuple[tuple[Any, str], ...] = (
    (subprocess.Popen, "__init__"),
    *((os, name) for name in ("system", "fork", "posix_spawn", "execv", "execve") if hasattr(os, name)),
)
_FILES: tuple[tuple[Any, str], ...] = ((builtins, "open"), (io, "open"), (os, "open"))
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".pth", ".zip")
_METADATA = (".dist-info", ".egg-info", "site-packages")


def _other_threads() -> frozenset[int | None]:
    return frozenset(thread.ident for thread in threading.enumerate()) - {threading.get_ident()}


@attrs.define(eq=False)
class Activity:
    """What code did while it was watched.

    Attributes:
        sent: The uses of the network and the started processes.
        read: The files that were opened for reading, without those of Python and its packages.
    """

    sent: list[str] = attrs.field(factory=list)
    read: list[str] = attrs.field(factory=list)
    uses_network: bool = False
    _others: frozenset[int | None] = attrs.field(factory=_other_threads)

    def note(self, name: str, *, network: bool) -> None:
        """Take in a use of the network, or a started process."""
        if threading.get_ident() not in self._others:
            self.sent.append(name)
            self.uses_network = self.uses_network or network

    def note_file(self, path: Any, how: Any = "r") -> None:
        """Take in a file that is opened."""
        if threading.get_ident() in self._others or not isinstance(path, str | bytes | os.PathLike):
            return
        writes = how & os.O_WRONLY if isinstance(how, int) else set(how) & set("wax")
        name = os.path.realpath(os.fsdecode(path))
        if not writes and not name.endswith(_CODE) and not any(part in name for part in _METADATA):
            self.read.append(name)

    @property
    def asked_this_machine(self) -> bool:
        """Whether it has read files or started processes, and has not used the network."""
        return bool(self.read or self.sent) and not self.uses_network


@contextlib.contextmanager
def watched() -> Iterator[Activity]:
    """Watch what this thread, and those that it starts, do with the network, processes and files.

    The functions of the standard library are replaced meanwhile. An audit hook would see more, and would stay for the
    life of the process, where it disturbs the tracer of coverage in every thread.
    """
    activity = Activity()
    before = set(threading.enumerate())
    with contextlib.ExitStack() as replaced:
        for place, name in (*_NETWORK, *_PROCESSES):
            label, network = f"{place.__name__}.{name}", (place, name) in _NETWORK
            replaced.enter_context(_replaced(place, name, functools.partial(activity.note, label, network=network)))
        for place, name in _FILES:
            replaced.enter_context(_replaced(place, name, activity.note_file, passes_arguments=True))
        yield activity
        for thread in set(threading.enumerate()) - before:
            thread.join(1)


def _replaced(place: Any, name: str, note: Callable[..., None], *, passes_arguments: bool = False) -> Any:
    """A function of the standard library that notes its calls."""
    original = getattr(place, name)

    @functools.wraps(original)
    def noting(*args: Any, **kwargs: Any) -> Any:
        if passes_arguments:
            path = args[0] if args else kwargs.get("file", kwargs.get("path"))
            note(path, args[1] if len(args) > 1 else kwargs.get("mode", kwargs.get("flags", "r")))
        else:
            note()
        return original(*args, **kwargs)

    return mock.patch.object(place, name, noting)
