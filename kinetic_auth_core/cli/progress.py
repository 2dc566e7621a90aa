"""Shows on a terminal's stderr that a command waits, and for how long; nothing in a pipe."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

from kinetic_auth_core.cli.output import is_terminal
from kinetic_auth_core.cli.run import current_run

_FRAMES = "|/-\\"  # every console has these characters
_FIRST_AFTER_S, _EVERY_S = 0.4, 0.1


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show that the body takes its time, if it does. What is written to stderr meanwhile gets lines of its own.

    Nothing is shown where stderr is not a terminal or cannot move its cursor (`TERM=dumb`), or where the log is shown.

    Args:
        text: What the body does: `Logging in`.
    """
    stream = sys.stderr
    if stream is None or not is_terminal(stream) or os.environ.get("TERM") == "dumb" or current_run().shows_log:
        yield
        return
    line = _Line(stream, text)
    thread = threading.Thread(target=line.run, name="kinetic-auth-progress", daemon=True)
    thread.start()
    try:
        with contextlib.redirect_stderr(_Stream(line)):
            yield
    finally:
        line.end()
        thread.join(1)


class _Line:
    """The line that is drawn again and again."""

    def __init__(self, stream: TextIO, text: str) -> None:
        self.stream = stream
        self._text = text
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._length = 0
        self._is_free = True  # whether the cursor is at the begin of a line

    def run(self) -> None:
        pause_s, frame = _FIRST_AFTER_S, 0
        while not self._ended.wait(pause_s):
            pause_s, frame = _EVERY_S, frame + 1
            with self._lock:
                if self._is_free and not self._ended.is_set():
                    self._draw(f"{_FRAMES[frame % len(_FRAMES)]} {self._text} ({time.monotonic() - self._began:.0f} s)")

    def write(self, text: str) -> int:
        if not text:
            return 0
        with self._lock:
            self._draw("")
            written = self.stream.write(text)
            self.stream.flush()
            self._is_free = text.endswith("\n")
            return written

    def end(self) -> None:
        self._ended.set()
        with self._lock:
            self._draw("")

    def _draw(self, text: str) -> None:
        if not text and not self._length:
            return
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone
            blank = f"\r{' ' * self._length}\r" if self._length else ""
            self.stream.write(blank + text)
            self.stream.flush()
        self._length = len(text)


class _Stream:
    """Stderr while the line is shown: it writes around the line."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def write(self, text: str) -> int:
        return self._line.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line.stream, name)
