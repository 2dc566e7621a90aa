"""The options that every command has, before or after its name: `-e`, `--json`, `-v`, `--debug`."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from kinetic_auth_core.cli.completers import complete_environments

_WITH_VALUE = {"-e", "--environment", "--config", "--env-file"}


class Run:
    """One run of the program.

    Attributes:
        environment: What `-e` says before the command's name; None if it does not stand there.
        as_json: Whether the result is to be JSON.
        verbosity: How often `-v` was given.
        debug: Whether `--debug` was given.
        shows_log: Whether the log is on stderr.
        has_printed: Whether the JSON document has been printed: there is one at most.
    """

    def __init__(self) -> None:
        self.environment: str | None = None
        self.as_json = False
        self.verbosity = 0
        self.debug = False
        self.shows_log = False
        self.has_printed = False


def current_run() -> Run:
    """The run of the command that is being executed; a new one outside of any."""
    ctx = click.get_current_context(silent=True)
    return Run() if ctx is None else ctx.ensure_object(Run)


def wants_json(args: Iterable[str]) -> bool:
    """Whether the words of a command line ask for JSON, also where they cannot be parsed.

    Args:
        args: The words after the program's name.
    """
    words, is_command = iter(args), True
    for word in words:
        if word in {"--json", "--format=json"} or (word == "--format" and next(words, "") == "json"):
            return True
        if word == "--" or (is_command and word == "exec"):
            return False  # the rest belongs to another program
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            is_command = False
    return False


def run_options(*, hidden: bool, with_choice: bool) -> list[click.Parameter]:
    """The options of a command or a group that count for the whole run.

    Args:
        hidden: Leave them out of the help.
        with_choice: Whether `-e` and `--json` are among them; a command declares them itself, if it has them.
    """

    def remember(name: str) -> Callable[..., None]:
        def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
            run = ctx.ensure_object(Run)
            if name == "verbosity":
                run.verbosity += value
            elif value:
                setattr(run, name, value)

        return callback

    choice = [
        click.Option(
            ["-e", "--environment"],
            metavar="NAME",
            help="The environment, for the command that follows.",
            shell_complete=complete_environments,
            callback=remember("environment"),
            expose_value=False,
            hidden=hidden,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="Print JSON, for programs; an error too.",
            callback=remember("as_json"),
            expose_value=False,
            hidden=hidden,
        ),
    ]
    return [
        *(choice if with_choice else []),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            is_eager=True,
            help="Show the log; -vv shows its details.",
            callback=remember("verbosity"),
            expose_value=False,
            hidden=hidden,
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            is_eager=True,
            help="Show the log, and the traceback of an error.",
            callback=remember("debug"),
            expose_value=False,
            hidden=hidden,
        ),
    ]
