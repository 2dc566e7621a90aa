"""Errors as people read them, a block with a remedy, and as programs do, in JSON."""

import sys
import traceback
from typing import Any

import click

import kinetic_auth_core
from kinetic_auth_core.cli.advice import advice
from kinetic_auth_core.cli.output import note, styled, wrapped
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError

#: What an error in JSON says beside type, message, remedy and exit code, where it has it.
_DETAILS = ("problems", "error", "description", "status", "retryable", "retry_after_s", "provider", "host", "username")


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


def error_facts(error: BaseException, code: int) -> dict[str, Any]:
    """An error for the JSON document.

    Args:
        error: The exception.
        code: The exit code.
    """
    message, remedy = _message_and_remedy(error, debug=False)
    if isinstance(error, ConfigurationError) and (not remedy or error.problems != (error.message,)):
        remedy = f"{advice(error.problems[0])} {remedy}".strip()  # people read it in the message
    facts: dict[str, Any] = {"type": _type(error), "message": message, "remedy": remedy, "exit_code": code}
    if isinstance(error, KineticAuthError):
        facts |= {name: value for name in _DETAILS if (value := getattr(error, name, None)) is not None}
    return facts


def _type(error: BaseException) -> str:
    """The name of an error's class; of ours, the public one that it is or derives from."""
    if isinstance(error, click.ClickException):
        return "UsageError"
    if isinstance(error, click.Abort):
        return "Interrupted"
    if not isinstance(error, KineticAuthError):
        return type(error).__name__
    return next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in kinetic_auth_core.__all__)


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
        return " ".join(error.format_message().split()), f"{path} --help shows its options."
    if isinstance(error, click.Abort):
        return "interrupted.", ""
    # The messages of foreign errors may quote anything, secrets too; those of the system name files and reasons.
    what = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
    remedy = (
        "Report this, with the traceback above." if debug else "Run it again with --debug to see where it happened."
    )
    return f"unexpected error: {what}.", remedy
