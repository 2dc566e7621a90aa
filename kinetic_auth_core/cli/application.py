"""What all commands share: how they are found, their help, the log, and errors that become a block and an exit code.

The commands print results and raise errors. A command's module is imported when the command is needed.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from kinetic_auth_core.cli.diagnostics import diagnostics
from kinetic_auth_core.cli.error_output import error_facts, show_error
from kinetic_auth_core.cli.exit_codes import INTERRUPTED, MEANINGS, OK, USAGE, exit_code_of
from kinetic_auth_core.cli.output import drop_unread, emit_json, note, open_missing_streams
from kinetic_auth_core.cli.run import Run, run_options, wants_json

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """What is known of a command before its module is imported.

    Attributes:
        name: Its name.
        target: Module and attribute below `kinetic_auth_core.cli`: `login:login`.
        summary: One line for the list of commands.
        codes: The exit codes that it can end with; those that any command can end with are left out.
        examples: What to type, at least once.
    """

    name: str
    target: str
    summary: str
    codes: tuple[int, ...]
    examples: tuple[str, ...]

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command: click.Command = getattr(import_module(f"kinetic_auth_core.cli.{module}"), attribute)
        if isinstance(command, Command):
            command.codes, command.examples = self.codes, self.examples
        return command


class Command(click.Command):
    """A command that runs with its warnings and log on stderr.

    Attributes:
        codes: As of `Entry`.
        examples: As of `Entry`.
    """

    codes: tuple[int, ...] = ()
    examples: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += run_options(hidden=False, with_choice=False)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. The `.env` file configures the log only for commands that read it anyway."""
        run = ctx.ensure_object(Run)
        if run.environment is not None and "environment" not in ctx.params:
            raise click.UsageError(f"{self.name} is not for one environment: leave -e out.", ctx)
        env_file = ctx.params.get("env_file") if "env_file" in ctx.params else os.devnull
        ctx.with_resource(diagnostics(env_file, debug=run.debug, verbosity=run.verbosity))
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        super().format_epilog(ctx, formatter)
        write_examples(formatter, self.examples)
        if self.codes:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), MEANINGS[code]) for code in sorted({OK, *self.codes})])


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Write examples into a help text, one per line, unwrapped."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write("\n".join(f"{'':>{formatter.current_indent}}{line}" for line in example.splitlines()))
                formatter.write("\n")


class Group(click.Group):
    """A group of commands. Without a command it shows its help and fails as a usage error.

    Args:
        name: Its name.
        entries: Its commands, which are imported when they are needed.
        examples: As of `Entry`.
        hidden_options: Whether its help leaves out the options that count for every command.
        **kwargs: As for click's.
    """

    command_class = Command

    def __init__(
        self,
        name: str,
        entries: Sequence[Entry] = (),
        *,
        examples: Sequence[str] = (),
        hidden_options: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.update(invoke_without_command=True, callback=_help_without_command)
        super().__init__(name, **kwargs)
        self.entries = {each.name: each for each in entries}
        self.examples = examples
        self.params += run_options(hidden=hidden_options, with_choice=True)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line; an unknown one is an error that names the most similar one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if close and "Did you mean" not in error.message:
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from error
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names: the entries in their order, then the others."""
        return [*self.entries, *(name for name in super().list_commands(ctx) if name not in self.entries)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; its module is imported now."""
        if cmd_name not in self.commands and cmd_name in self.entries:
            self.add_command(self.entries[cmd_name].load())
        return super().get_command(ctx, cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Complete the names of commands, without importing one, and options."""
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=self._summary(name)) for name in names]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def _summary(self, name: str) -> str:
        entry = self.entries.get(name)
        return self.commands[name].get_short_help_str() if entry is None else entry.summary

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(name)) for name in self.list_commands(ctx)])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples before it."""
        write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)


@click.pass_context
def _help_without_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        if ctx.ensure_object(Run).as_json:
            raise click.UsageError("which command?", ctx)
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

    def main(self, args: Sequence[str] | None = None, *rest: Any, **kwargs: Any) -> NoReturn:
        """Run, report an error, and exit with a code of `exit_codes`."""
        open_missing_streams()
        kwargs.update(standalone_mode=False, obj=(run := Run()))
        run.as_json = wants_json(sys.argv[1:] if args is None else args)
        error: BaseException | None = None
        try:
            # Commands return nothing; `ctx.exit(code)` and `--help` return a number.
            code = super().main(args, *rest, **kwargs) or OK
        except click.Abort as abort:
            code, error = INTERRUPTED, abort
        except _PipeClosed:
            drop_unread()
            code = OK  # the reader has read what it needs
        except Exception as problem:  # noqa: BLE001 - the outermost handler
            code, error = USAGE if isinstance(problem, click.ClickException) else exit_code_of(problem), problem
        if error is not None:
            _report(error, code, run)
        sys.exit(code)


def _report(error: BaseException, code: int, run: Run) -> None:
    """Report an error: to people on stderr, and to programs as the JSON document, if there is none yet."""
    if run.as_json and not run.has_printed:
        with contextlib.suppress(OSError):  # the disk is full; people read the error below
            emit_json({"error": error_facts(error, code)})
    if not isinstance(error, click.Abort):
        show_error(error, debug=run.debug)
