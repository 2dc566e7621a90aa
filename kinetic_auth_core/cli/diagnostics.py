"""The log of a command on stderr: warnings alone, or all of it."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from kinetic_auth_core.cli.output import note, styled, wrapped
from kinetic_auth_core.cli.run import current_run
from kinetic_auth_core.errors import KineticAuthError


@contextlib.contextmanager
def diagnostics(env_file: str | os.PathLike[str] | None, *, debug: bool, verbosity: int = 0) -> Iterator[None]:
    """Show warnings while a command runs; or the whole log, with `LOG_LEVEL`, `LOG_DIR`, `-v` or `--debug`.

    A `.env` that is a pipe is read once meanwhile.

    Args:
        env_file: Where those two are read besides the process's variables; None: the nearest `.env`.
        debug: Whether `--debug` was given.
        verbosity: How often `-v` was given: 1 shows INFO, 2 the DEBUG records of the core, but not those of other
            libraries, which might show secrets.

    Raises:
        ConfigurationError: `LOG_LEVEL`, `LOG_DIR` or the `.env` file is unusable.
    """
    from kinetic_auth_core.config.environment import Variables, pipes_read_once

    with pipes_read_once():
        variables = Variables.load(env_file)
        if debug or verbosity or variables.find("LOG_LEVEL") or variables.find("LOG_DIR"):
            with _log(env_file, verbosity):
                yield
            return
        handler = WarningPrinter(logging.WARNING)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)


@contextlib.contextmanager
def _log(env_file: str | os.PathLike[str] | None, verbosity: int) -> Iterator[None]:
    from kinetic_auth_core.logs import configure_logging

    configure_logging(env_file)
    current_run().shows_log = True
    root, core = logging.getLogger(), logging.getLogger("kinetic_auth_core")
    before = core.level
    if verbosity:
        root.setLevel(min(root.level, logging.INFO))
    if verbosity > 1:
        core.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        core.setLevel(before)


class WarningPrinter(logging.Handler):
    """Prints warnings to stderr, one paragraph each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one; the error of a failed login is left out."""
        # A failed login logs its error and raises it; the error is printed anyway.
        if record.msg == "%s" and isinstance(record.args, tuple) and isinstance(record.args[0], KineticAuthError):
            return
        label = "Warning:"
        block = wrapped(record.getMessage(), f"{label} ")
        note(styled(label, sys.stderr, fg="yellow", bold=True) + block.removeprefix(label))
