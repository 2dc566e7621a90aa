"""How results are printed: tables for people on a terminal, plain aligned text in a pipe, JSON for programs.

Results go to stdout, everything else to stderr. Colour is for terminals alone, and not where `NO_COLOR` is set.
"""

import datetime as dt
import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from kinetic_auth_core.session import SalesforceSession

_MAX_WIDTH = 100


def emit(text: str) -> None:
    """Print a part of the result, and flush it.

    Args:
        text: Without the last line end.
    """
    _write(text, sys.stdout)


def note(text: str) -> None:
    """Print something for people to read beside the result."""
    _write(text, sys.stderr)


def emit_json(document: object) -> None:
    """Print the result as JSON, in ASCII; what JSON has no type for becomes text."""
    emit(json.dumps(document, indent=2, default=str))


def emit_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: on a terminal fitted to its width, else one line for each row, its values whole.

    Args:
        headings: One word for each column.
        rows: The cells; see `shown`.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    if is_terminal(sys.stdout):
        emit(_fitted(headings, cells))
    else:
        emit("\n".join(aligned([headings, *cells])))


def emit_record(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line."""
    emit("\n".join(aligned([name, shown(value)] for name, value in fields)))


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with their cells under each other, two blanks apart."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def shown(value: object) -> str:
    """A value as a cell shows it: `-` for none, `""` for empty text, control characters escaped; lists in one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return printable(str(value).replace("\n", "\\n")) or '""'


def printable(text: str) -> str:
    """Text without anything that could move a terminal's cursor or change its colours; line ends stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


def wrapped(text: str, label: str = "") -> str:
    """Fit text to the terminal; words are never broken, so that URLs and paths stay whole.

    Args:
        text: Lines; the continuation of one is indented a little further than its beginning.
        label: Stands before the first line; the others are indented as far.
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
    """Text in a style of click's (`bold`, `fg`) where the stream can show it, else as it is."""
    return click.style(text, **style) if is_terminal(stream) and not os.environ.get("NO_COLOR") else text


def is_terminal(stream: TextIO) -> bool:
    """Whether people read the stream as it is written."""
    return stream.isatty()


def drop_unread() -> None:
    """Let go what nobody reads any more, or the interpreter stumbles over it when it ends."""
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
    # Rendered into text and written by us: rich has its own ideas of broken pipes.
    canvas = io.StringIO()
    width = shutil.get_terminal_size((_MAX_WIDTH, 24)).columns
    colorful = not os.environ.get("NO_COLOR")
    Console(file=canvas, force_terminal=colorful, color_system="standard" if colorful else None, width=width).print(
        table
    )
    return "\n".join(line.rstrip() for line in canvas.getvalue().splitlines())


def session_facts(session: SalesforceSession) -> dict[str, Any]:
    """Its fields by name; `issued_at` as ISO 8601 in UTC."""
    return {
        "instance_url": session.instance_url,
        "base_url": session.base_url,
        "org_id": session.org_id,
        "user_id": session.user_id,
        "username": session.username,
        "api_version": session.api_version,
        "issued_at": _utc(session.issued_at),
        "issued_at_ms": session.issued_at,
        "scope": session.scope or None,
        "token_type": session.token_type,
    }


def _utc(milliseconds: str) -> str | None:
    """ISO 8601 in UTC; None for what is no time."""
    try:
        moment = dt.datetime.fromtimestamp(int(milliseconds) / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
