"""What the command line prints beside its result: errors, warnings, and the log for those who ask for it."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator

import click

from kinetic_auth_core.cli.output import note, styled, wrapped
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.logs import configure_logging


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


@contextlib.contextmanager
def diagnostics(env_file: str | os.PathLike[str] | None, *, debug: bool) -> Iterator[None]:
    """Show warnings while a command runs; or the whole log, where `LOG_LEVEL`, `LOG_DIR` or `--debug` asks for it.

    Args:
        env_file: Where those two are looked for besides the process's variables; None: the nearest `.env`.
        debug: Whether `--debug` was given.

    Raises:
        ConfigurationError: `LOG_LEVEL` or `LOG_DIR` is of no use, or the `.env` file is not.
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
        # A failed login logs its error and raises it; the block of the error says it all.
        if record.msg == "%s" and isinstance(record.args, tuple) and isinstance(record.args[0], KineticAuthError):
            return
        label = "Warning:"
        block = wrapped(record.getMessage(), f"{label} ")
        note(styled(label, sys.stderr, fg="yellow", bold=True) + block.removeprefix(label))
