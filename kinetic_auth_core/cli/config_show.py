"""`kinetic-auth config show`: what is set, masked where secret, and where it comes from."""

from collections.abc import Iterable, Iterator

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.error_output import error_facts
from kinetic_auth_core.cli.exit_codes import exit_code_of
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import displayed, emit, emit_json, emit_record, short_path, shortened, wrapped
from kinetic_auth_core.cli.source import inspect_choice
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.resolution.inspection import Resolution
from kinetic_auth_core.settings.schema import ExplainedSetting

_WIDTH = 80  # whatever the terminal is, so that it can be pasted anywhere


@click.command(cls=Command)
@choice_options
@click.option("--all", "everything", is_flag=True, help="Show the settings at their defaults, too.")
@json_option
def show(
    *,
    as_json: bool,
    everything: bool,
    provider: str | None,
    environment: str | None,
    config: str | None,
    env_file: str | None,
) -> None:
    """Show what is set, secrets masked, with where it comes from; and the variables that are set and do not count.

    Paths are relative to the working directory or to ~. Nothing is sent and no key is read. A wrong configuration is
    shown as far as it is right; all its problems are reported on stderr.

    \b
    --json prints all settings, with paths in full:
      {"provider", "environment", "config_file", "env_file",
       "settings": [{"name", "value", "source", "secret", "note"}], "problems": [text, ...]}
    with null for missing values; "value" is masked where "secret" is true. With problems
    it has "error" as well.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    found = inspect_choice(Choice(provider, environment, config, env_file))
    if as_json:
        _print_json(found)
    elif found.configuration.provider or found.configuration.file.path is not None:
        _print(found, everything=everything)
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


def _print(found: Resolution, *, everything: bool) -> None:
    configuration = found.configuration
    emit_record(
        [
            ("provider", configuration.provider or None),
            ("environment", configuration.environment),
            ("config file", short_path(configuration.file.path)),
            (".env file", short_path(configuration.env_file)),
        ]
    )
    rows = [row for row in found.rows if everything or row.note or row.source != "default"]
    if rows:
        emit("\n" + "\n".join(_lines(rows, configuration)))
    if hidden := len(found.rows) - len(rows):
        emit(f"\n{hidden} more {'is at its default' if hidden == 1 else 'are at their defaults'}: --all shows them.")


def _lines(rows: Iterable[ExplainedSetting], configuration: Configuration) -> Iterator[str]:
    """Each setting in a line, in more where it would be too long: values are never cut, so that they can be copied."""
    cells = [
        ("setting", "value", "source"),
        *((row.name, displayed(shortened(row.value)), _source(row, configuration)) for row in rows),
    ]
    notes = ["", *(shortened(row.note) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    room = _WIDTH - widths[0] - 2 - widths[2] - 2
    width = max((len(value) for _, value, _ in cells if len(value) <= room), default=0)
    for (name, value, source), note in zip(cells, notes, strict=True):
        head = f"{name:<{widths[0]}}  "
        if len(value) <= width:
            yield f"{head}{value:<{width}}  {source}"
        elif len(head) + len(value) <= _WIDTH:
            yield from (head + value, f"{'':<{len(head)}}{source}")
        elif ", " in value:
            yield from (f"{head}{source}", wrapped(value, "  ", width=_WIDTH))  # a list
        else:
            yield from (f"{head}{source}", f"  {value}")
        if note:
            yield wrapped(note, f"{'':<{widths[0] + 2}}note: ", width=_WIDTH)


def _source(row: ExplainedSetting, configuration: Configuration) -> str:
    """Where a setting comes from: a table of the config file without the file and the key, which are shown anyway."""
    begin = configuration.file.source()
    if configuration.env_file is not None and row.source.endswith(f" ({configuration.env_file})"):
        return row.source.replace(str(configuration.env_file), configuration.env_file.name)
    if configuration.file.path is None or not row.source.startswith(begin):
        return str(shortened(row.source))
    keys = row.source.removeprefix(begin)
    last = row.name.rpartition(".")[2]
    return f"[{configuration.file.key_prefix}{keys.removesuffix(f'.{last}')}]"
