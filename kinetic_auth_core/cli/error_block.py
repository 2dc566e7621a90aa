"""An error as people read it: what happened, where, and what to do, in one block without a traceback."""

import sys
import traceback

import click

from kinetic_auth_core.cli.output import note, styled, wrapped
from kinetic_auth_core.errors import KineticAuthError


def show_error(error: BaseException, *, debug: bool) -> None:
    """Print an error to stderr.

    Args:
        error: What was raised.
        debug: Print the traceback too, with its causes. Tracebacks show lines of code, not the values in them.
    """
    if debug:
        note("".join(traceback.format_exception(error)))
    message, remedy = _told(error, debug=debug)
    note(error_block(message, remedy, colored=True))


def error_block(message: str, remedy: str, *, colored: bool = False) -> str:
    """The block: `Error: ...`, and `Remedy: ...` where one is known.

    Args:
        message: What happened; its own line ends stay.
        remedy: What to do, or nothing.
        colored: Whether it goes to stderr, where labels are coloured if that is a terminal.
    """
    parts = [_labelled("Error:", message, "red" if colored else None)]
    if remedy:
        parts.append(_labelled("Remedy:", remedy, "green" if colored else None))
    return "\n".join(parts)


def _labelled(label: str, text: str, color: str | None) -> str:
    block = wrapped(text, f"{label} ")
    return block if color is None else styled(label, sys.stderr, fg=color, bold=True) + block.removeprefix(label)


def _told(error: BaseException, *, debug: bool) -> tuple[str, str]:
    """Message and remedy."""
    if isinstance(error, KineticAuthError):
        return error.message, error.remedy
    if isinstance(error, click.ClickException):
        ctx = getattr(error, "ctx", None)
        path = ctx.command_path if ctx is not None else "kinetic-auth"
        return error.format_message(), f"{path} --help tells what it takes."
    # The texts of other people's errors may quote anything, secrets too; those of the system name files and reasons.
    what = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
    remedy = (
        "Report this, with the traceback above." if debug else "Run it again with --debug to see where it happened."
    )
    return f"unexpected, {what}.", remedy
