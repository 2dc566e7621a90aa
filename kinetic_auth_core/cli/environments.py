"""`kinetic-auth environments`: the environments of the config file, and which one counts."""

from typing import Any

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import file_options, json_option
from kinetic_auth_core.cli.output import emit, emit_json, emit_record, emit_table, short_path
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.files import searched_places
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.resolution.inspection import inspect


@click.command(cls=Command)
@file_options
@json_option
def environments(*, as_json: bool, config: str | None, env_file: str | None) -> None:
    """List the environments of the config file: the provider and login host of each, the default, and the chosen one.

    The chosen one is that of KINETIC_AUTH_ENVIRONMENT, else of ENVIRONMENT, else the default. An environment is listed
    with what is known of it, also if it is not complete: `config check` finds its mistakes.

    \b
    --json prints
      {"config_file", "default", "chosen",
       "environments": [{"name", "provider", "login_url", "default", "chosen"}]}
    with null for missing values.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    configuration = Configuration.load(config, env_file)
    file = configuration.file
    if file.path is None:
        raise ConfigurationError(
            f"there is no config file; looked for: {searched_places()}.", remedy="Write one: kinetic-auth init."
        )
    chosen, default = _chosen(configuration), file.environment_named(file.default_environment or "")
    rows = [_facts(name, configuration, default, chosen) for name in file.environments]
    if as_json:
        emit_json({"config_file": file.path, "default": default, "chosen": chosen, "environments": rows})
        return
    emit_record([("config file", short_path(file.path))])
    emit("")
    if not rows:
        emit("It has no environments.")
        return
    emit_table(
        ("environment", "provider", "login_url", "note"),
        [(row["name"], row["provider"], row["login_url"], _note(row)) for row in rows],
    )


def _chosen(configuration: Configuration) -> str | None:
    try:
        return configuration.select(None, None).environment
    except ConfigurationError:
        return None


def _facts(name: str, configuration: Configuration, default: str | None, chosen: str | None) -> dict[str, Any]:
    found = inspect(environment=name, configuration=configuration)
    return {
        "name": name,
        "provider": found.configuration.provider or None,
        "login_url": next((row.value for row in found.rows if row.name == "login_url"), None),
        "default": name == default,
        "chosen": name == chosen,
    }


def _note(row: dict[str, Any]) -> str | None:
    return ", ".join(word for word in ("default", "chosen") if row[word]) or None
