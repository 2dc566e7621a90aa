"""How text is printed: results on stdout, everything else on stderr.

Results are tables on a terminal, plain aligned text in a pipe, or JSON for programs. Only terminals get colour, and
none where `NO_COLOR` or `CLICOLOR=0` is set, or `TERM` is `dumb`; `FORCE_COLOR` and `CLICOLOR_FORCE` ask for it always.
"""

import contextlib
import datetime as dt
import enum
import io
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from kinetic_auth_core.cli.run import current_run

if TYPE_CHECKING:
    from kinetic_auth_core.session import SalesforceSession

_MAX_WIDTH = 100


def emit(text: str) -> None:
    """Print a part of the result and flush it. If its reader has gone, the command goes on to its own exit code.

    Args:
        text: Without its last line end.
    """
    try:
        _write(text, sys.stdout)
    except BrokenPipeError:
        _redirect_to_nowhere(sys.stdout)


def note(text: str) -> None:
    """Print text for people to stderr. Where that cannot be written, the command goes on without."""
    try:
        _write(text, sys.stderr)
    except OSError:  # its reader has gone, or the disk is full
        _redirect_to_nowhere(sys.stderr)


def emit_json(document: object) -> None:
    """Print the result as JSON in ASCII; values without a JSON type become text."""
    current_run().has_printed = True
    emit(json.dumps(document, indent=2, default=_json_value))


def _json_value(value: object) -> object:
    return value.value if isinstance(value, enum.Enum) else str(value)


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
    if isinstance(value, enum.Enum):  # as a config file has it
        return displayed(value.value)
    return printable(str(value).replace("\n", "\\n")) or '""'


def printable(text: str) -> str:
    """Escape characters that could move the cursor of a terminal or change its colours; line ends stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


def short_path(path: str | os.PathLike[str] | None) -> str | None:
    """The shortest form of a path: relative to the working directory, with `~`, or as it is."""
    if path is None:
        return None
    whole = os.fspath(path)
    forms = [whole]
    with contextlib.suppress(OSError, ValueError):  # the working directory is gone; another drive of Windows
        forms.append(os.path.relpath(whole))
    home = os.path.expanduser("~")  # noqa: PTH111 - it never raises
    if whole.startswith(home + os.sep) and home != os.sep:
        forms.append("~" + whole[len(home) :])
    return min(reversed(forms), key=len)


def shortened(value: Any) -> Any:
    """A text with its absolute paths as `short_path` gives them; anything else unchanged."""
    if not isinstance(value, str | os.PathLike):
        return value
    if os.path.isabs(value) and ": " not in str(value):  # noqa: PTH117 - a path or text
        return short_path(value)
    return re.sub(r"(?<![\w./:~-])/[^\s:;,'\")(]+", lambda match: short_path(match[0]) or "", str(value))


def wrapped(text: str, label: str = "", width: int | None = None) -> str:
    """Wrap text to a width; words are never broken, so that URLs and paths stay intact.

    Args:
        text: Lines; continuation lines are indented.
        label: Precedes the first line; the others are indented as far.
        width: In columns. Default: that of the terminal.
    """
    lines: list[str] = []
    for line in printable(text).split("\n"):
        words = line.lstrip()
        indent = " " * (len(label) + len(line) - len(words))
        lines += textwrap.wrap(
            words,
            width=width or _width(),
            initial_indent=indent if lines else label,
            subsequent_indent=indent + ("  " if words.startswith("- ") else ""),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """Style text with click (`bold`, `fg`) if the stream gets colour, else return it unchanged."""
    return click.style(text, **style) if has_color(stream) else text


def has_color(stream: TextIO) -> bool:
    """Whether a stream gets colour: see no-color.org, force-color.org and bixense.com/clicolors."""
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb" and os.environ.get("CLICOLOR") != "0"


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal."""
    return stream.isatty()


def drop_unread() -> None:
    """Redirect closed pipes to the null device; else the interpreter fails to flush them when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _redirect_to_nowhere(stream)


def open_missing_streams() -> None:
    """Open the null device for each standard stream that is closed, which Python has as None."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - until the process ends


def _redirect_to_nowhere(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _write(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, color=has_color(stream))


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
    colorful = has_color(sys.stdout)
    Console(file=canvas, force_terminal=colorful, color_system="standard" if colorful else None, width=width).print(
        table
    )
    return "\n".join(line.rstrip() for line in canvas.getvalue().splitlines())


def session_facts(session: "SalesforceSession | None") -> dict[str, Any]:
    """The fields of a session by name, all None without one; `issued_at` as ISO 8601 in UTC."""
    if session is None:
        return dict.fromkeys(_SESSION_FACTS)
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


_SESSION_FACTS = (
    *("instance_url", "base_url", "org_id", "user_id", "username", "api_version"),
    *("issued_at", "issued_at_ms", "scope", "token_type"),
)


def utc(moment: dt.datetime, timespec: str = "auto") -> str:
    """A time as ISO 8601 in UTC, with a Z."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _utc_of(milliseconds: str) -> str | None:
    """A time in Unix milliseconds as ISO 8601 in UTC; None if it is not a time."""
    try:
        return utc(dt.datetime.fromtimestamp(int(milliseconds) / 1000, dt.UTC), "milliseconds")
    except (ValueError, OverflowError, OSError):
        return None
