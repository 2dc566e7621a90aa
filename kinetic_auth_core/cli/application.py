"""What all commands share: `--debug`, the log, and errors that become a block on stderr and an exit code.

The commands print results and raise errors.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import attrs
import click

from kinetic_auth_core.cli.exit_codes import INTERRUPTED, OK, USAGE, exit_code_of
from kinetic_auth_core.cli.output import diagnostics, drop_unread, note, show_error
from kinetic_auth_core.config.variables import pipes_read_once


@attrs.define
class Run:
    """The options of one run that count for every command.

    Attributes:
        debug: Whether `--debug` was given, before or after the command's name.
    """

    debug: bool = False


def _note_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Run).debug = True


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_note_debug,
        help="Show the log, and the traceback of an error.",
    )


class Command(click.Command):
    """A command that runs with its warnings and log on stderr."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. The `.env` file configures the log only for commands that read it anyway."""
        env_file = ctx.params.get("env_file") if "env_file" in ctx.params else os.devnull
        ctx.with_resource(pipes_read_once())
        ctx.with_resource(diagnostics(env_file, debug=ctx.ensure_object(Run).debug))
        return super().invoke(ctx)


class Group(click.Group):
    """A group of commands. Without a command it shows its help and fails as a usage error."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(invoke_without_command=True, callback=_help_without_command)
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())


@click.pass_context
def _help_without_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        note(ctx.get_help())
        ctx.exit(USAGE)


class _PipeClosed(Exception):  # noqa: N818 - internal signal
    """The reader of our output has closed the pipe."""


@contextlib.contextmanager
def _closed_pipe_reported() -> Iterator[None]:
    # click handles a BrokenPipeError itself and exits with 1; it does not know our error.
    try:
        yield
    except BrokenPipeError as error:
        raise _PipeClosed from error


class Application(Group):
    """The outermost group, which ends the process."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line; `--help` and `--version` print from here."""
        with _closed_pipe_reported():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        with _closed_pipe_reported():
            return super().invoke(ctx)

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, print an error as a block, and exit with a code of `exit_codes`."""
        kwargs.update(standalone_mode=False, obj=(run := Run()))
        try:
            # Commands return nothing; `ctx.exit(code)` and `--help` return a number.
            code = super().main(*args, **kwargs) or OK
        except click.Abort:
            code = INTERRUPTED
        except _PipeClosed:
            drop_unread()
            code = OK  # the reader has read what it needs
        except Exception as error:  # noqa: BLE001 - the outermost handler
            code = USAGE if isinstance(error, click.ClickException) else exit_code_of(error)
            try:
                show_error(error, debug=run.debug)
            except BrokenPipeError:
                drop_unread()
        sys.exit(code)
