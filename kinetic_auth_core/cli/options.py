"""Options and arguments of several commands: provider, environment, files, and the passphrase of a key."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.completers import complete_environments, complete_files, complete_providers_and_environments
from kinetic_auth_core.cli.run import Run
from kinetic_auth_core.config.merge import LayeredValue
from kinetic_auth_core.errors import ConfigurationError

_ELSEWHERE = {"environment", "config", "env_file", "provider"}


@attrs.frozen
class Choice:
    """What to resolve; `resolve` finds what is None.

    Attributes:
        provider: The provider's entry-point name.
        environment: An environment of the config file.
        config: The config file.
        env_file: The `.env` file.
    """

    provider: str | None
    environment: str | None
    config: str | None
    env_file: str | None


def _only_one(_ctx: click.Context, _param: click.Parameter, names: tuple[str, ...]) -> str | None:
    """At most one name. It is not quoted in the error: it may be a misplaced `password=...`."""
    if len(names) > 1 or any("=" in name for name in names):
        raise click.UsageError("give the name of one PROVIDER; each setting needs its own --set.")
    return names[0] if names else None


def provider_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """The optional argument `PROVIDER`."""
    return click.argument(
        "provider",
        nargs=-1,
        callback=_only_one,
        metavar="[PROVIDER]",
        shell_complete=complete_providers_and_environments,
    )(function)


def _environment(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """What `-e` says: after the command's name, else before it."""
    return ctx.ensure_object(Run).environment if value is None else value


def _as_json(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    """Whether `--json` was given, after the command's name or before it."""
    run = ctx.ensure_object(Run)
    run.as_json = run.as_json or value
    return run.as_json


def file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--config` and `--env-file`."""
    for decorator in (
        click.option(
            "--env-file",
            metavar="FILE",
            shell_complete=complete_files,
            help="The .env file. Default: the nearest, here or in a parent.",
        ),
        click.option(
            "--config",
            metavar="FILE",
            shell_complete=complete_files,
            help="The config file. Default: KINETIC_AUTH_CONFIG, else the nearest.",
        ),
    ):
        function = decorator(function)
    return function


def config_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--environment`, `--config` and `--env-file`."""
    return environment_option("The environment. Default: the config file's.")(file_options(function))


def environment_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--environment`, which may also stand before the command's name.

    Args:
        help_text: Its help.
    """
    return click.option(
        "-e",
        "--environment",
        metavar="NAME",
        callback=_environment,
        shell_complete=complete_environments,
        help=help_text,
    )


def choice_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`PROVIDER`, `--environment`, `--config` and `--env-file`: the fields of a `Choice`."""
    return provider_argument(config_options(function))


def _pairs(_ctx: click.Context, _param: click.Parameter, values: Iterable[str]) -> list[tuple[str, str]]:
    """Split `name=value`. Other text is not quoted: it may be a secret."""
    pairs = [text.partition("=") for text in values]
    if any(not (name and equals) for name, equals, _ in pairs):
        raise click.UsageError("--set takes name=value, such as --set username=integration@acme.com.")
    for name, _, _ in pairs:
        if name in _ELSEWHERE:
            option = "the argument PROVIDER" if name == "provider" else f"the option --{name.replace('_', '-')}"
            raise ConfigurationError(f"--set {name}: is not a setting.", remedy=f"Use {option}.")
    return [(name, value) for name, _, value in pairs]


def settings_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--set NAME=VALUE`, as the argument `pairs`; see `settings_layer`.

    Args:
        help_text: Its help.
    """
    return click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, callback=_pairs, help=help_text)


def settings_layer(pairs: Iterable[tuple[str, str]]) -> dict[str, LayeredValue]:
    """The layer of settings that `--set` gives.

    Args:
        pairs: Names and values.
    """
    return {name: LayeredValue(value, "--set", text=True) for name, value in pairs}


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    text = "Print JSON, for programs; an error too."
    return click.option("--json", "as_json", is_flag=True, callback=_as_json, help=text)(function)


def passphrase_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--passphrase-env NAME`.

    Args:
        help_text: What the passphrase is for.
    """
    return click.option("--passphrase-env", metavar="NAME", help=help_text)


def passphrase_in(variable: str | None) -> bytes | None:
    """The passphrase in a variable; None if no variable is named.

    Raises:
        ConfigurationError: It is not set, or empty.
    """
    if variable is None:
        return None
    if text := os.environ.get(variable):
        return os.fsencode(text)
    # Its name is not quoted: it may be the passphrase itself.
    raise ConfigurationError(
        "--passphrase-env names a variable that is not set, or empty.",
        remedy="Give the name of a variable that holds the passphrase, not the passphrase.",
    )
