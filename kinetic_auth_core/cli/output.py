"""Everything that is printed: results on stdout; errors, warnings and the log on stderr.

Results are tables on a terminal, plain aligned text in a pipe, or JSON for programs. Only terminals get colour, and
none where `NO_COLOR` is set.
"""

import contextlib
import datetime as dt
import io
import json
import logging
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

import click

from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.logs import configure_logging
from kinetic_auth_core.session import SalesforceSession

_MAX_WIDTH = 100


def emit(text: str) -> None:
    """Print a part of the result and flush it.

    Args:
        text: Without its last line end.
    """
    _write(text, sys.stdout)


def note(text: str) -> None:
    """Print text for people to stderr."""
    _write(text, sys.stderr)


def emit_json(document: object) -> None:
    """Print the result as JSON in ASCII; values without a JSON type become text."""
    emit(json.dumps(document, indent=2, default=str))


def emit_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: fitted to the width of a terminal, else one line for each row.

    Args:
        headings: One word for each column.
        rows: The cells; see `displayed`.
    """
    cells = [[displayed(cell) for cell in row] for row in rows]
    if is_terminal(sys.stdout):
        emit(_fitted(headings, cells))
    else:
        emit("\n".join(aligned([headings, *cells])))


def emit_record(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair per line."""
    emit("\n".join(aligned([name, displayed(value)] for name, value in fields)))


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines whose cells are aligned, two blanks apart."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def displayed(value: object) -> str:
    """Format a value for a cell: `-` for None, `""` for empty text, control characters escaped, lists in one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(displayed, value))
    return printable(str(value).replace("\n", "\\n")) or '""'


def printable(text: str) -> str:
    """Escape characters that could move the cursor of a terminal or change its colours; line ends stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


def wrapped(text: str, label: str = "") -> str:
    """Wrap text to the width of the terminal; words are never broken, so that URLs and paths stay intact.

    Args:
        text: Lines; continuation lines are indented.
        label: Precedes the first line; the others are indented as far.
    """
    lines: list[str] = []
    for line in printable(text).split("\n"):
        words = line.lstrip()
        indent = " " * (len(label) + len(line) - len(words))
        lines += textwrap.wrap(
            words,
            width=_width(),
            initial_indent=indent if lines else label,
            subsequent_indent=indent + ("  " if words.startswith("- ") else ""),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """Style text with click (`bold`, `fg`) if the stream is a terminal, else return it unchanged."""
    return click.style(text, **style) if is_terminal(stream) and not os.environ.get("NO_COLOR") else text


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal."""
    return stream.isatty()


def drop_unread() -> None:
    """Redirect closed pipes to the null device; else the interpreter fails to flush them when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _write(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def _width() -> int:
    return max(40, min(shutil.get_terminal_size((_MAX_WIDTH, 24)).columns, _MAX_WIDTH))


def _fitted(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    # Rendered into text and written here: rich handles broken pipes in its own way.
    canvas = io.StringIO()
    width = shutil.get_terminal_size((_MAX_WIDTH, 24)).columns
    colorful = not os.environ.get("NO_COLOR")
    Console(file=canvas, force_terminal=colorful, color_system="standard" if colorful else None, width=width).print(
        table
    )
    return "\n".join(line.rstrip() for line in canvas.getvalue().splitlines())


def session_facts(session: SalesforceSession) -> dict[str, Any]:
    """The fields of a session by name; `issued_at` as ISO 8601 in UTC."""
    return {
        "instance_url": session.instance_url,
        "base_url": session.base_url,
        "org_id": session.org_id,
        "user_id": session.user_id,
        "username": session.username,
        "api_version": session.api_version,
        "issued_at": _utc_of(session.issued_at),
        "issued_at_ms": session.issued_at,
        "scope": session.scope or None,
        "token_type": session.token_type,
    }


def utc(moment: dt.datetime, timespec: str = "auto") -> str:
    """A time as ISO 8601 in UTC, with a Z."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _utc_of(milliseconds: str) -> str | None:
    """A time in Unix milliseconds as ISO 8601 in UTC; None if it is not a time."""
    try:
        return utc(dt.datetime.fromtimestamp(int(milliseconds) / 1000, dt.UTC), "milliseconds")
    except (ValueError, OverflowError, OSError):
        return None


def show_error(error: BaseException, *, debug: bool) -> None:
    """Print an error to stderr.

    Args:
        error: The exception.
        debug: Print the traceback too, with its causes. Tracebacks show lines of code, not values.
    """
    if debug:
        note("".join(traceback.format_exception(error)))
    message, remedy = _message_and_remedy(error, debug=debug)
    note(error_block(message, remedy, colored=True))


def error_block(message: str, remedy: str, *, colored: bool = False) -> str:
    """Format an error: `Error: ...`, and `Remedy: ...` if one is known.

    Args:
        message: What happened; its line ends stay.
        remedy: What to do; may be empty.
        colored: Colour the labels, if stderr is a terminal.
    """
    parts = [_labelled("Error:", message, "red" if colored else None)]
    if remedy:
        parts.append(_labelled("Remedy:", remedy, "green" if colored else None))
    return "\n".join(parts)


def _labelled(label: str, text: str, color: str | None) -> str:
    block = wrapped(text, f"{label} ")
    return block if color is None else styled(label, sys.stderr, fg=color, bold=True) + block.removeprefix(label)


def _message_and_remedy(error: BaseException, *, debug: bool) -> tuple[str, str]:
    if isinstance(error, KineticAuthError):
        return error.message, error.remedy
    if isinstance(error, click.ClickException):
        ctx = getattr(error, "ctx", None)
        path = ctx.command_path if ctx is not None else "kinetic-auth"
        return error.format_message(), f"{path} --help shows its options."
    # The messages of foreign errors may quote anything, secrets too; those of the system name files and reasons.
    what = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
    remedy = (
        "Report this, with the traceback above." if debug else "Run it again with --debug to see where it happened."
    )
    return f"unexpected error: {what}.", remedy


@contextlib.contextmanager
def diagnostics(env_file: str | os.PathLike[str] | None, *, debug: bool) -> Iterator[None]:
    """Show warnings while a command runs; or the whole log, with `LOG_LEVEL`, `LOG_DIR` or `--debug`.

    Args:
        env_file: Where those two are read besides the process's variables; None: the nearest `.env`.
        debug: Whether `--debug` was given.

    Raises:
        ConfigurationError: `LOG_LEVEL`, `LOG_DIR` or the `.env` file is unusable.
    """
    variables = Variables.load(env_file)
    if debug or variables.find("LOG_LEVEL") or variables.find("LOG_DIR"):
        configure_logging(env_file)
        yield
        return
    handler = _Warnings(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


class _Warnings(logging.Handler):
    """Prints warnings to stderr, one paragraph each."""

    def emit(self, record: logging.LogRecord) -> None:
        # A failed login logs its error and raises it; the error is printed anyway.
        if record.msg == "%s" and isinstance(record.args, tuple) and isinstance(record.args[0], KineticAuthError):
            return
        label = "Warning:"
        block = wrapped(record.getMessage(), f"{label} ")
        note(styled(label, sys.stderr, fg="yellow", bold=True) + block.removeprefix(label))
