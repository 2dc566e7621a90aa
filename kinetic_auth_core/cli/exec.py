"""`kinetic-auth exec`: runs a command with the live session, and without the login's secrets."""

import contextlib
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import FrameType
from typing import Any

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.exit_codes import CANNOT_RUN, NOT_FOUND
from kinetic_auth_core.cli.options import Choice, config_options
from kinetic_auth_core.cli.output import note
from kinetic_auth_core.cli.progress import waiting
from kinetic_auth_core.cli.source import command_source, inspect_choice
from kinetic_auth_core.cli.token import session_variables
from kinetic_auth_core.config.environment import Configuration, interpolate
from kinetic_auth_core.config.files import variable_prefix
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.registry.discovery import (
    AUTHENTICATORS,
    KEY_LOADERS,
    OBSERVERS,
    SESSION_STORES,
    AllowedPlugins,
    installed,
)
from kinetic_auth_core.registry.loading import load
from kinetic_auth_core.settings.schema import Setting, schema

_PASSED_ON = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_REFERENCE = re.compile(r"env://([^\s#$\"',\]]+)")
_NAMED = re.compile(r"\$\{([A-Za-z_]\w*)")


class _ExecCommand(Command):
    """A command whose arguments say whether the mark `--` stands before CMD."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the mark, which click removes where no word precedes it; without it no option may begin CMD."""
        command = self.make_parser(ctx).parse_args(list(args))[0].get("command")
        if isinstance(command, tuple) and args[: -len(command)][-1:] == ["--"]:
            args = [*args[: -len(command)], "--", *command]
        elif isinstance(command, tuple) and command[0].startswith("-") and command[0] != "--":
            option = command[0].partition("=")[0]
            known = [name for each in self.get_params(ctx) for name in each.opts if name.startswith("--")]
            raise click.NoSuchOption(option, possibilities=get_close_matches(option, known), ctx=ctx)
        return super().parse_args(ctx, args)


@click.command(
    cls=_ExecCommand,
    name="exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@config_options
@click.option("--keep-env", is_flag=True, help="Leave the variables of secrets in the command's environment.")
@click.argument("command", nargs=-1, required=True, metavar="[PROVIDER] -- CMD [ARG]...", type=click.UNPROCESSED)
def exec_command(command: tuple[str, ...], keep_env: bool, **choice: str | None) -> None:
    """Run CMD with SF_ACCESS_TOKEN, SF_INSTANCE_URL and SF_API_VERSION in its environment.

    An environment or a provider may stand before the mark: kinetic-auth exec prod -- make nightly.

    The session is the one that `token` prints. Variables that could fill a secret setting of an environment or a store
    (such as SF_PASSWORD, PROD_SF_CLIENT_SECRET) are left out of CMD's environment, unless --keep-env is given.

    SIGINT, SIGTERM and SIGHUP are passed on to CMD. The exit code is that of CMD; 128 + N if signal N ended it; 127 if
    CMD was not found and 126 if it cannot be run.
    """
    provider = None
    if command[0] == "--":
        command = command[1:]
    elif command[1:2] == ("--",):
        provider, command = command[0], command[2:]
    elif shutil.which(command[0]) is None and _is_provider_or_environment(command[0], Choice(provider=None, **choice)):
        raise click.UsageError(_without_mark(*command))
    if not command:
        raise click.UsageError("which command?")
    chosen_by = Choice(provider=provider, **choice)
    with _hint_at_the_mark(chosen_by), command_source(chosen_by) as chosen:
        with waiting("Logging in"):
            session = chosen.source.session()
        hidden = set() if keep_env else secret_variables(chosen.configuration)
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    variables |= session_variables(session) | {"SF_API_VERSION": session.api_version}
    sys.exit(_run(command, variables))


def _without_mark(name: str, *words: str) -> str:
    """What to write where a provider or an environment stands before something else than the mark."""
    end = words.index("--") if "--" in words and words[0].startswith("-") else 0
    program = next((word for word in words[end:] if word != "--"), "CMD")
    where = "the options before it and the mark after it" if end else "the mark after it"
    return (
        f"{name} is a provider or an environment, not a command: put {where}: kinetic-auth exec "
        f"{' '.join([*words[:end], name])} -- {program} ..."
    )


@contextlib.contextmanager
def _hint_at_the_mark(choice: Choice) -> Iterator[None]:
    """Say how to run a program whose name was given in the place of an environment or provider."""
    try:
        yield
    except ConfigurationError as error:
        word = choice.provider
        if word is not None and shutil.which(word) and not _is_provider_or_environment(word, choice):
            hint = f"To run the program {word}, put the mark before it: kinetic-auth exec -- {word} ..."
            error.remedy = f"{error.remedy} {hint}".strip()
        raise


def _is_provider_or_environment(word: str, choice: Choice) -> bool:
    if installed(AUTHENTICATORS, word):
        return True
    return inspect_choice(choice).configuration.file.environment_named(word) is not None


def secret_variables(configuration: Configuration) -> set[str]:
    """The variables of this process that could fill a secret setting of any environment or store.

    These are the variables of the secret settings of all installed providers and stores, also with the prefix of an
    environment; and those from which such a value is made: by `${NAME}` or `env://NAME` in the config file, by
    `env://NAME` in a variable, or by `${NAME}` in the `.env` file. Plugins that the config file does not allow are not
    imported. Of an environment whose provider or store is not known here, any setting may be a secret.

    Args:
        configuration: The files.
    """
    variables, allowed = configuration.variables, configuration.allowed
    of_stores, of_providers = _secrets(SESSION_STORES, allowed), _secrets(AUTHENTICATORS, allowed)
    others = [setting for group in (OBSERVERS, KEY_LOADERS) for setting in _secrets(group, allowed, with_table=True)]
    ends = {each.of_store().env for each in of_stores} | {each.env for each in of_providers}
    is_secret = re.compile(rf"(?:.*_)?(?:{'|'.join(map(re.escape, sorted(ends)))})", re.IGNORECASE)
    found = {name for layer in variables.layers for name in layer.values if is_secret.fullmatch(name)}
    file = configuration.file
    tables = [file.defaults, file.environments, *(table.settings for table in file.allowed.tables.values())]
    secret_keys = {each.name for each in (*of_stores, *of_providers, *others)}
    unknown = {name: table for name, table in file.environments.items() if not _has_known_plugins(table, configuration)}
    own = tuple(f"{variable_prefix(name)}SF_" for name in unknown)
    found |= {name for layer in variables.layers for name in layer.values if name.upper().startswith(own)}
    todo = [*found, *_named_in(tables, secret_keys, variables.lookup)]
    todo += _named_in(unknown, secret_keys, variables.lookup, is_secret=True)
    while todo:
        name = todo.pop()
        found.add(name)
        made_of = (
            each
            for layer in variables.layers
            for each in (*_REFERENCE.findall(layer.values.get(name, "")), *layer.made_of.get(name, ()))
        )
        todo += {*made_of} - found
    return found


def _has_known_plugins(table: Mapping[str, Any], configuration: Configuration) -> bool:
    """Whether provider and store of an environment are installed, allowed and load.

    One that the environment does not name counts: the command may name it.
    """
    for group, key in ((AUTHENTICATORS, "provider"), (SESSION_STORES, "store")):
        named = table.get(key, configuration.file.defaults.get(key))
        named = named.get("name") if isinstance(named, Mapping) else named
        try:
            if (name := interpolate(named, configuration.variables.lookup)) is not None:
                load(group, str(name), configuration.allowed)
        except (KineticAuthError, ValueError):  # ValueError: a variable that is not set
            return False
    return True


def _secrets(group: str, allowed: AllowedPlugins, *, with_table: bool = False) -> list[Setting]:
    """The secret settings of a group's plugins; with `with_table`, of those that have a table in the config file."""
    found: list[Setting] = []
    for plugin in allowed.search(group):
        if with_table and plugin.name not in allowed.tables_of(group):
            continue
        with contextlib.suppress(KineticAuthError):  # a plugin that does not load has no variables
            loaded = load(group, f"{plugin.distribution}:{plugin.name}", allowed)[1]
            found += [setting for setting in schema(loaded) if setting.secret] if inspect.isclass(loaded) else []
    return found


def _named_in(
    value: object, secret_keys: Container[str], lookup: Callable[[str], str | None], *, is_secret: bool = False
) -> Iterator[str]:
    """The variables that a config file names for secrets."""
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
        if is_secret:
            yield from _NAMED.findall(value)
            with contextlib.suppress(ValueError):  # a variable that is not set
                yield from _REFERENCE.findall(interpolate(value, lookup))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _named_in(each, secret_keys, lookup, is_secret=is_secret or key in secret_keys)
    elif isinstance(value, Iterable):
        for each in value:
            yield from _named_in(each, secret_keys, lookup, is_secret=is_secret)


def _run(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a command, pass signals on to it, and return its exit code as a shell would."""
    waiting: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
            return  # Ctrl-C: the terminal sends it to the command as well
        if child is None:
            waiting.append(number)
        else:
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        child = subprocess.Popen(command, env=dict(variables))  # noqa: S603 - it is what the user typed
        for number in waiting:
            child.send_signal(number)
        code = child.wait()
    except FileNotFoundError:
        note(f"{command[0]}: command not found")
        return NOT_FOUND
    except OSError as error:
        note(f"{command[0]} cannot be run: {error.strerror or error}")
        return CANNOT_RUN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code
