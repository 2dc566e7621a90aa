"""`kinetic-auth config show`: every setting, masked where secret, and where it comes from."""

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.inspection import Inspection, inspect
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import emit, emit_json, emit_record, emit_table


@click.command(cls=Command)
@choice_options
@json_option
def show(as_json: bool, **choice: str | None) -> None:
    """Show every setting, secrets masked, with where it comes from.

    Nothing is sent and no key is read. A configuration that is wrong is shown as far as it is right; then all that is
    wrong with it is told at once, on stderr.

    \b
    --json prints
      {"provider", "environment", "config_file", "env_file",
       "settings": [{"name", "value", "source", "secret"}], "problems": [text, ...]}
    with null for what there is none of; "value" is masked where "secret" is true.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be filled
    inspection = inspect(Choice(**choice))
    if as_json:
        _print_json(inspection)
    else:
        _print_table(inspection)
    if inspection.error is not None:
        raise inspection.error


def _print_json(inspection: Inspection) -> None:
    emit_json(
        {
            "provider": inspection.provider,
            "environment": inspection.environment,
            "config_file": inspection.config_file,
            "env_file": inspection.env_file,
            "settings": [
                {"name": row.name, "value": row.value, "source": row.source, "secret": row.secret}
                for row in inspection.rows
            ],
            "problems": inspection.error.problems if inspection.error else [],
        }
    )


def _print_table(inspection: Inspection) -> None:
    emit_record(
        [
            ("provider", inspection.provider),
            ("environment", inspection.environment),
            ("config file", inspection.config_file),
            (".env file", inspection.env_file),
        ]
    )
    if inspection.rows:
        emit("")
        emit_table(("setting", "value", "source"), [(row.name, row.value, row.source) for row in inspection.rows])
