"""`kinetic-auth config check`: every mistake of an environment, or of all, for CI. Nothing is sent or fetched."""

import os
import re
from collections.abc import Iterator
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.error_output import error_facts
from kinetic_auth_core.cli.exit_codes import exit_code_of
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import emit, emit_json, emit_record, emit_table, short_path
from kinetic_auth_core.cli.source import inspect_choice
from kinetic_auth_core.config.environment import Configuration, interpolate
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.locations import expanded, parse_reference
from kinetic_auth_core.resolution.inspection import Resolution, inspect
from kinetic_auth_core.settings.schema import schema

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")
_URL_SCHEMES = {"http", "https", "socks5", "socks5h"}


@attrs.frozen
class _Checked:
    """An environment, or what there is without one, and its problems."""

    environment: str | None
    provider: str | None
    problems: tuple[str, ...]
    remedy: str = ""

    def facts(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "provider": self.provider,
            "ok": not self.problems,
            "problems": self.problems,
        }


@click.command(cls=Command)
@choice_options
@click.option("--all-environments", is_flag=True, help="Check every environment of the config file.")
@json_option
def check(*, all_environments: bool, as_json: bool, **choice: str | None) -> None:
    """Check the configuration of an environment, or of all: every mistake at once, for CI.

    Missing, misspelt and contradictory settings, ${VARIABLES} that are not set, files of keys and certificates that are
    missing, references with an unknown scheme. No request is sent, no secret is fetched and no key is read. The exit
    code is 2 if anything is wrong.

    \b
    --json prints
      {"config_file", "ok", "environments": [{"environment", "provider", "ok", "problems": [text, ...]}]}
    with null for missing values; and "error" as well, if anything is wrong.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    chosen = Choice(**choice)
    configuration = Configuration.load(chosen.config, chosen.env_file)
    checked = (
        _all(configuration, chosen) if all_environments else [_checked(inspect_choice(chosen), chosen.environment)]
    )
    problems = [*_of_file(configuration), *(text for each in checked for text in _labelled(each))]
    error = ConfigurationError.of("The configuration is wrong", problems) if problems else None
    if error is not None:
        error.remedy = next((each.remedy for each in checked if each.remedy), "")
    if as_json:
        facts: dict[str, Any] = {
            "config_file": configuration.file.path,
            "ok": error is None,
            "environments": [each.facts() for each in checked],
        }
        emit_json(facts if error is None else {**facts, "error": error_facts(error, exit_code_of(error))})
    else:
        _print(configuration, checked)
    if error is not None:
        raise error


def _print(configuration: Configuration, checked: list[_Checked]) -> None:
    emit_record([("config file", short_path(configuration.file.path))])
    emit("")
    emit_table(
        ("environment", "provider", "result"),
        [(each.environment, each.provider, _result(len(each.problems))) for each in checked],
    )


def _result(count: int) -> str:
    return {0: "ok", 1: "1 problem"}.get(count, f"{count} problems")


def _labelled(checked: _Checked) -> Iterator[str]:
    name = checked.environment
    yield from (each if name is None else f"{name}: {each}" for each in checked.problems)


def _all(configuration: Configuration, choice: Choice) -> list[_Checked]:
    if choice.provider is not None or choice.environment is not None:
        raise click.UsageError("--all-environments needs no PROVIDER and no -e.")
    if not configuration.file.environments:
        where = configuration.file.path or "any config file that was found"
        raise ConfigurationError(
            f"there are no environments in {where}.", remedy="Name the config file with --config; or check without it."
        )
    return [
        _checked(inspect(environment=name, configuration=configuration), name)
        for name in configuration.file.environments
    ]


def _of_file(configuration: Configuration) -> Iterator[str]:
    """What is wrong with the file as a whole."""
    file = configuration.file
    if file.default_environment is not None and file.environment_named(file.default_environment) is None:
        known = ", ".join(file.environments) or "none"
        yield f"default_environment: {file.default_environment!r} is not an environment of the file; it has: {known}"


def _checked(found: Resolution, environment: str | None) -> _Checked:
    configuration = found.configuration
    problems = [*(found.error.problems if found.error else ()), *_of_rows(found), *_unknown_schemes(found)]
    if found.error is not None and not configuration.provider:
        default = configuration.file.default_environment
        problems = problems if default is None or configuration.file.environment_named(default) else []
    several = found.error is not None and found.error.problems != (found.error.message,)
    return _Checked(
        configuration.environment or environment,
        configuration.provider or None,
        tuple(dict.fromkeys(problems)),
        found.error.remedy if found.error is not None and several else "",
    )


def _of_rows(found: Resolution) -> Iterator[str]:
    """Files and variables that settings name and that are not there."""
    paths = {each.name for each in schema(found.cls) if each.is_path} if found.cls is not None else set()
    lookup = found.configuration.variables.lookup
    for row in found.rows:
        for text in row.value if isinstance(row.value, list | tuple) else [row.value]:
            problem = None
            if not isinstance(text, str | os.PathLike):
                continue
            if row.name in paths and not row.secret:
                problem = _file_problem(os.fspath(text))
            elif row.secret and isinstance(text, str) and text.startswith("file://"):
                reference = parse_reference(text, ())
                problem = None if reference is None else _file_problem(reference.rest)
            elif row.secret and isinstance(text, str) and text.startswith("env://"):
                reference = parse_reference(text, ())
                if reference is not None and not lookup(reference.rest):
                    problem = f"the variable {reference.rest} is not set"
            if problem:
                yield f"{row.name} (from {row.source}): {problem}"


def _file_problem(text: str) -> str | None:
    """Why a file cannot be read; None if it can be, as far as its permissions say. It is not opened."""
    try:
        path = expanded(text)
        if not path.exists():
            return f"{path} does not exist"
        if path.is_dir():
            return f"{path} is a folder"
        return None if os.access(path, os.R_OK) else f"{path} cannot be read by this user"
    except (OSError, ValueError, KineticAuthError) as error:
        return f"{text} cannot be read: {getattr(error, 'strerror', None) or error}"


def _unknown_schemes(found: Resolution) -> Iterator[str]:
    """Secrets of the config file that look like references to a key loader that is not installed; not quoted."""
    if found.cls is None:
        return
    configuration, secrets = found.configuration, {each.name for each in schema(found.cls) if each.secret}
    sources = {row.name: row.source for row in found.rows}
    tables: list[tuple[tuple[str, ...], Any]] = [(("defaults",), configuration.file.defaults)]
    if configuration.environment is not None:
        tables.append((("environments", configuration.environment), configuration.table))
    for keys, table in tables:
        for name in sorted(secrets & table.keys()):
            source = configuration.file.source(*keys, name)
            for text in _texts(table[name], configuration):
                scheme = _SCHEME.match(text)
                if not scheme or scheme[1] in _URL_SCHEMES or sources.get(name) != source:
                    continue
                if _is_unknown(text, configuration):
                    yield (
                        f"{name} (from {source}): looks like a reference, and no installed key loader has its scheme; "
                        'install the key loader, or write { value = "..." } if it is the secret itself'
                    )


def _texts(raw: object, configuration: Configuration) -> Iterator[str]:
    for each in raw if isinstance(raw, list) else [raw]:
        if isinstance(each, str):
            try:
                yield interpolate(each, configuration.variables.lookup)
            except ValueError:
                continue  # it has been reported


def _is_unknown(text: str, configuration: Configuration) -> bool:
    try:
        return configuration.as_reference(text) is None
    except ConfigurationError:
        return False  # it has been reported
