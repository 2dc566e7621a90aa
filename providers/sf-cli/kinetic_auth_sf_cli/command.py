"""One call of `sf` with `--json`: bounded in time and size, without colours, and without a question to anybody."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import attrs

from kinetic_auth_core.plugins import raise_interruption

_MAX_BYTES = 1024 * 1024
_MAX_QUOTED = 300  # characters
_ENDS_WITHIN_S = 2.0
_NOT_RUNNABLE, _NOT_FOUND = 126, 127  # exit codes of env and of shells, of what they should run
_TOKEN = re.compile(r"00D\w{12}(\w{3})?![\w.!/+=-]+|eyJ[\w-]+\.[\w.-]+|force://\S+|5Aep[\w.-]+")


@attrs.frozen
class Failure:
    """Why there is no result.

    Attributes:
        name: The name that sf gives its error; `not-found`, `timeout` and `no-json` are ours.
        what: What happened, as the end of a sentence, without a token.
    """

    name: str
    what: str


@attrs.frozen
class _Output:
    """What a call printed, kept out of the locals that a traceback shows, and its exit code if it ended by itself."""

    content: bytes = attrs.field(repr=False)
    status: int | None


def run(command: str, arguments: Sequence[str], ends_at: float) -> Mapping[str, object] | Failure:
    """Call `sf`, and read the `result` of its JSON.

    Args:
        command: The executable: a name on PATH, or a path.
        arguments: Its arguments.
        ends_at: When it has to have ended, in seconds of the monotonic clock.
    """
    executable = shutil.which(os.path.expanduser(command))  # noqa: PTH111 - it may be a name on PATH
    if executable is None:
        return Failure("not-found", f"the command {command} is not on PATH and not an executable file.")
    if ends_at - time.monotonic() <= 0:
        return Failure("timeout", "it was not called, as there was no time left")
    try:
        output = _output([executable, *arguments], ends_at)
    except (OSError, ValueError) as error:
        raise_interruption(error)
        why = getattr(error, "strerror", None) or error
        return Failure("not-found", f"the command {executable} cannot be run: {why}.")
    if output is None:
        return Failure("timeout", "it did not answer")
    if output.status in (_NOT_RUNNABLE, _NOT_FOUND) and not output.content:
        why = "is not on PATH" if output.status == _NOT_FOUND else "cannot be run by this user"
        why = f"it ended with the exit code {output.status}, so what it is a script of, such as node, {why}"
        return Failure("not-found", f"the command {executable} cannot be run: {why}.")
    return _result(output.content)


def _output(command: Sequence[str], ends_at: float) -> _Output | None:
    """What it prints; None if it has not ended in time."""
    started: Future[subprocess.Popen[bytes]] = Future()
    is_over, is_late = threading.Event(), threading.Event()

    def start() -> None:
        try:
            started.set_result(_start(command))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            started.set_exception(error)
        else:
            if is_over.is_set():
                _end(started.result())

    # Signal handlers run in the main thread: what one raises while `sf` starts must not leave a process behind.
    try:
        threading.Thread(target=start, name="kinetic-auth sf").start()
        process = started.result(max(ends_at - time.monotonic(), 0))
        with _ended_at(ends_at, process, is_late):
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            output = _Output(process.stdout.read(_MAX_BYTES + 1), None)
            with contextlib.suppress(subprocess.TimeoutExpired):  # it has said all, and may be writing its own files
                process.wait(_ENDS_WITHIN_S if len(output.content) <= _MAX_BYTES else 0)
            return None if is_late.is_set() else attrs.evolve(output, status=process.returncode)
    except FutureTimeoutError:
        return None
    finally:
        is_over.set()
        if started.done() and started.exception() is None:
            _end(started.result())


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    environ = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return subprocess.Popen(  # noqa: S603 - the executable that the setting names
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # hints about updates; with --json, errors are on stdout
        env={**environ, "NO_COLOR": "1"},
        start_new_session=True,  # sf is a script that starts others: all of them are ended
    )


@contextlib.contextmanager
def _ended_at(ends_at: float, process: "subprocess.Popen[bytes]", is_late: threading.Event) -> Iterator[None]:
    """End a process in the middle of the body when its time is over, and note that."""

    def end() -> None:
        is_late.set()
        _kill(process)

    timer = threading.Timer(max(ends_at - time.monotonic(), 0), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill(process)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End it with all that it has started; not once it has been waited for, when its id may be another's."""
    if process.returncode is not None:
        return
    with contextlib.suppress(OSError):  # it has ended just now
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _result(output: bytes) -> Mapping[str, object] | Failure:
    if len(output) > _MAX_BYTES:
        return Failure("no-json", f"it printed more than {_MAX_BYTES} bytes.")
    text = output.decode("utf-8", "replace")
    try:
        answer = json.JSONDecoder().raw_decode(text, max(text.find("{"), 0))[0]  # text around it is not part of it
    except (ValueError, RecursionError):
        return Failure("no-json", "it printed no JSON.")
    result = answer.get("result") if isinstance(answer, dict) else None
    if isinstance(result, dict) and answer.get("status") == 0:
        return result
    if not isinstance(answer, dict) or not isinstance(answer.get("name"), str):
        return Failure("no-json", "it printed neither a result nor an error.")
    name, message = answer["name"], answer.get("message")
    said = " ".join(str(message).split())[:_MAX_QUOTED] if isinstance(message, str) else ""
    quoted = "".join(char if char.isprintable() else " " for char in _TOKEN.sub("********", f"{name}: {said}"))
    return Failure(name, quoted if quoted.endswith(".") else f"{quoted}.")
