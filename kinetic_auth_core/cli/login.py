"""`kinetic-auth login`: logs in with the current configuration, and keeps the session in the store."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import emit_json, emit_record, note, session_facts
from kinetic_auth_core.cli.source import command_source
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.login.spec import SourceOptions
from kinetic_auth_core.redaction import MASK
from kinetic_auth_core.resolution.resolver import inspect
from kinetic_auth_core.settings.schema import RESERVED_NAMES, schema

_ELSEWHERE = {"environment", "config", "env_file", "provider"}


def _pairs(_ctx: click.Context, _param: click.Parameter, values: Iterable[str]) -> list[tuple[str, str]]:
    """Split `name=value`. Other text is not quoted: it may be a secret."""
    pairs = [text.partition("=") for text in values]
    if any(not (name and equals) for name, equals, _ in pairs):
        raise click.UsageError("--set takes name=value, such as --set username=integration@acme.com.")
    return [(name, value) for name, _, value in pairs]


def set_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--set NAME=VALUE`, as the argument `pairs`; see `given_settings`."""
    return click.option(
        "--set",
        "pairs",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_pairs,
        help="A setting; may be repeated. Not for secrets.",
    )(function)


@click.command(cls=Command, short_help="Log in and keep the session in the store.")
@choice_options
@set_option
@click.option("--fresh", is_flag=True, help="Log in again, even if the store has a live session.")
@click.option("--show-token", is_flag=True, help="Show the access token.")
@json_option
def login(pairs: list[tuple[str, str]], fresh: bool, show_token: bool, as_json: bool, **choice: str | None) -> None:
    """Log in, keep the session in the store, and show it. A live session in the store is shown without a login.

    Without a configured store, sessions are kept in the user's own file store. `token` and `exec` use them.

    PROVIDER may be left out if the environment of the config file names it. Secrets come from the config file, the
    environment or .env, not from the command line.

    \b
    --json prints
      {"provider", "environment", "store", "instance_url", "base_url", "org_id", "user_id", "username",
       "api_version", "issued_at", "issued_at_ms", "scope", "token_type", "access_token"}
    with null for missing values; "issued_at" is ISO 8601 in UTC, "access_token" null
    without --show-token.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    chosen = Choice(**choice)
    settings = given_settings(pairs, chosen)
    with command_source(chosen, settings) as found:
        source = found.source
        session = source._replaced_session() if fresh else source.session()  # noqa: SLF001 - of this package
        file = source.token_in_clear()
    if file is not None:
        note(
            f"The refresh token is in clear in {file}, which only this user can read. The setting key of the store "
            "encrypts it."
        )
    facts = {**found.facts(), **session_facts(session), "access_token": session.access_token if show_token else None}
    if as_json:
        emit_json(facts)
        return
    issued_at = f"{facts['issued_at'] or '-'} ({facts.pop('issued_at_ms')} ms)"
    token = facts["access_token"] or f"{MASK} (--show-token shows it)"
    emit_record({**facts, "issued_at": issued_at, "access_token": token}.items())


def given_settings(pairs: list[tuple[str, str]], choice: Choice) -> dict[str, Any]:
    """The settings of `--set`, converted to their types; `resolve` reports what cannot be converted.

    Raises:
        ConfigurationError: One of them is secret, or has its own option.
    """
    if not pairs:
        return {}
    found = inspect(choice.provider, environment=choice.environment, config=choice.config, env_file=choice.env_file)
    if found.cls is None or not found.configuration.provider:
        return dict(pairs)  # resolve reports what is wrong
    known = {each.name: each for each in (*schema(found.cls), *schema(SourceOptions))}
    settings: dict[str, Any] = {}
    for name, value in pairs:
        settings[name] = value
        if name in _ELSEWHERE & RESERVED_NAMES:
            option = "the argument PROVIDER" if name == "provider" else f"the option --{name.replace('_', '-')}"
            raise ConfigurationError(f"--set {name}: is not a setting.", remedy=f"Use {option}.")
        if (setting := known.get(name)) is None:
            continue
        if setting.secret:
            prefix = found.configuration.variable_prefix
            raise ConfigurationError(
                f"--set {name}: is secret, and the command line is visible in the shell's history and in ps.",
                remedy=f"Set the variable {prefix}{setting.env} in the environment or in a .env file; or set {name} in "
                f"the config file, where it may be a reference such as env://NAME.",
            )
        try:
            settings[name] = setting.accept(value, text=True)
        except ValueError:
            continue
    return settings
