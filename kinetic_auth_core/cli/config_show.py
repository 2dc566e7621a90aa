"""`kinetic-auth config show`: every setting, masked where secret, and where it comes from."""

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.error_output import error_facts
from kinetic_auth_core.cli.exit_codes import exit_code_of
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import emit, emit_json, emit_record, emit_table
from kinetic_auth_core.cli.source import inspect_choice
from kinetic_auth_core.resolution.resolver import Resolution


@click.command(cls=Command)
@choice_options
@json_option
def show(
    as_json: bool, provider: str | None, environment: str | None, config: str | None, env_file: str | None
) -> None:
    """Show every setting, secrets masked, with where it comes from.

    Nothing is sent and no key is read. A wrong configuration is shown as far as it is right; all its problems are
    reported on stderr.

    \b
    --json prints
      {"provider", "environment", "config_file", "env_file",
       "settings": [{"name", "value", "source", "secret", "note"}], "problems": [text, ...]}
    with null for missing values; "value" is masked where "secret" is true.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    found = inspect_choice(Choice(provider, environment, config, env_file))
    if as_json:
        _print_json(found)
    elif found.configuration.provider or found.configuration.file.path is not None:
        _print_table(found)
    if found.error is not None:
        raise found.error


def _print_json(found: Resolution) -> None:
    emit_json(
        {
            "provider": found.configuration.provider or None,
            "environment": found.configuration.environment,
            "config_file": found.configuration.file.path,
            "env_file": found.configuration.env_file,
            "settings": [
                {"name": row.name, "value": row.value, "source": row.source, "secret": row.secret, "note": row.note}
                for row in found.rows
            ],
            "problems": found.error.problems if found.error else [],
            **({"error": error_facts(found.error, exit_code_of(found.error))} if found.error else {}),
        }
    )


def _print_table(found: Resolution) -> None:
    emit_record(
        [
            ("provider", found.configuration.provider or None),
            ("environment", found.configuration.environment),
            ("config file", found.configuration.file.path),
            (".env file", found.configuration.env_file),
        ]
    )
    if found.rows:
        emit("")
        with_notes = any(row.note for row in found.rows)
        emit_table(
            ("setting", "value", "source", *(["note"] if with_notes else [])),
            [(row.name, row.value, row.source, *([row.note or None] if with_notes else [])) for row in found.rows],
        )
