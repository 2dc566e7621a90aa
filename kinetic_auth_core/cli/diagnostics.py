"""What the command line tells beside its result: warnings as they come, and the log for those who ask for it."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from kinetic_auth_core.cli.output import note, styled, wrapped
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.logs import configure_logging


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
