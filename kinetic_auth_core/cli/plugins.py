"""`kinetic-auth plugins`: the plugins of all groups, whose they are, whether they fit, their import time."""

import contextlib
import inspect
import time
from collections.abc import Callable
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.error_output import error_block
from kinetic_auth_core.cli.exit_codes import USAGE
from kinetic_auth_core.cli.options import json_option
from kinetic_auth_core.cli.output import emit, emit_json, emit_table
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.errors import KineticAuthError, UnknownProviderError, suggest
from kinetic_auth_core.registry.discovery import (
    AUTHENTICATORS,
    KEY_LOADERS,
    OBSERVERS,
    SESSION_STORES,
    AllowedPlugins,
    InstalledPlugin,
    misspelt_groups,
)
from kinetic_auth_core.registry.loading import load_authenticator, load_key_loader, load_observer, load_session_store
from kinetic_auth_core.registry.validation import settings_not_declared_secret


@attrs.frozen
class Kind:
    """A kind of plugins.

    Attributes:
        name: What users call a plugin of the group.
        group: The entry points' group.
        load: Imports one by its name, and checks it.
    """

    name: str
    group: str
    load: Callable[[str, AllowedPlugins], object]


#: The kinds, by their groups of entry points.
KINDS = (
    Kind("provider", AUTHENTICATORS, load_authenticator),
    Kind("key-loader", KEY_LOADERS, load_key_loader),
    Kind("session-store", SESSION_STORES, load_session_store),
    Kind("observer", OBSERVERS, load_observer),
)


#: The states of a plugin that the config file leaves out.
NOT_WANTED = ("not allowed", "switched off")


@attrs.frozen
class Row:
    """A plugin, and whether it fits.

    Attributes:
        kind: Its kind.
        plugin: The plugin.
        state: As the help of the command lists them.
        error: Why it does not fit; None if it does.
        import_ms: How long its import took, in milliseconds; None: it was not imported.
        warnings: What its authors should change.
    """

    kind: Kind
    plugin: InstalledPlugin
    state: str
    error: KineticAuthError | None = None
    import_ms: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it fits."""
        return self.state in ("fits", "needs settings")


@click.command(cls=Command)
@click.argument("name", required=False)
@json_option
@click.pass_context
def plugins(context: click.Context, name: str | None, as_json: bool) -> None:
    """List the plugins of all kinds: whose each is, whether it fits the contract or why not, and its import time.

    With a NAME, of a plugin or of a distribution, only those are listed, and the exit code is 2 if one of them does not
    fit: a test for an author's CI.

    \b
    The states:
      fits             it imports and fits the contract
      needs settings   it fits, and its table in the config file lacks settings
      does not import  importing it raises an error
      does not fit     it breaks the contract
      not allowed      allowed_plugins of the config file excludes it; it is not imported
      switched off     its table has enabled = false; it is not imported

    The time counts what no plugin before it in the list has imported. A setting that is called like a secret and is not
    declared as one, and a group of entry points that is misspelt, are warnings.

    \b
    --json prints
      {"plugins": [{"kind", "group", "name", "distribution", "version", "target", "state",
                    "fits", "allowed", "error", "remedy", "warnings", "import_ms"}],
       "misspelt_groups": [...]}
    where "error" is null for a state of "fits", and "import_ms" for a plugin that is not imported.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    allowed = Configuration.load(None, None).allowed
    found = [(kind, plugin) for kind in KINDS for plugin in allowed.search(kind.group)]
    misspelt = misspelt_groups()
    if name is not None:
        found = _named(name, found, misspelt)
    rows = [examined(kind, plugin, allowed) for kind, plugin in found]
    if as_json:
        emit_json({"plugins": [_facts(row) for row in rows], "misspelt_groups": misspelt})
    else:
        _print(rows, misspelt)
    if name is not None and not all(row.fits for row in rows):
        context.exit(USAGE)


def _named(
    name: str, found: list[tuple[Kind, InstalledPlugin]], misspelt: list[str]
) -> list[tuple[Kind, InstalledPlugin]]:
    """The plugins of a name or of a distribution.

    Raises:
        UnknownProviderError: There is none.
    """
    names = {known for _, each in found for known in (each.name, each.distribution, f"{each.distribution}:{each.name}")}
    if name not in names:
        raise UnknownProviderError(
            " ".join([f"no plugin or distribution {name!r} is installed{suggest(name, sorted(names))}.", *misspelt]),
            remedy="kinetic-auth plugins, without a name, lists what is installed.",
        )
    return [
        (kind, each)
        for kind, each in found
        if name in (each.name, each.distribution, f"{each.distribution}:{each.name}")
    ]


def _print(rows: list[Row], misspelt: list[str]) -> None:
    if not rows:
        emit("No plugin is installed.")
    emit_table(
        ("kind", "name", "distribution", "version", "state", "import"),
        [
            (
                row.kind.name,
                row.plugin.name,
                row.plugin.distribution,
                row.plugin.version,
                row.state,
                None if row.import_ms is None else f"{row.import_ms:.0f} ms",
            )
            for row in rows
        ],
    )
    # A name of two distributions is one error.
    for error in {(row.kind.name, row.plugin.name, row.state): row.error for row in rows if row.error}.values():
        emit("\n" + error_block(error.message, error.remedy))
    for warning in [*(warning for row in rows for warning in row.warnings), *misspelt]:
        emit(f"\nWarning: {warning}")


def examined(kind: Kind, plugin: InstalledPlugin, allowed: AllowedPlugins) -> Row:
    """Import a plugin, and find out whether it fits.

    Args:
        kind: Its kind.
        plugin: The plugin.
        allowed: Which plugins may be loaded.
    """
    if not allowed.has(plugin.distribution):  # though another one of that name may be
        return Row(kind, plugin, "not allowed", allowed.refusal(plugin))
    table = allowed.tables.get((kind.group, plugin.name))
    if table is not None and not table.enabled:
        return Row(kind, plugin, "switched off")
    began, error = time.perf_counter(), None
    try:
        kind.load(plugin.name, allowed)
    except KineticAuthError as problem:
        error = problem
    import_ms = round((time.perf_counter() - began) * 1000, 1)
    # An error without a state is one of the settings in the config file.
    state = "fits" if error is None else getattr(error, "state", "needs settings")
    return Row(kind, plugin, state, error, import_ms, _warnings(plugin) if state in ("fits", "needs settings") else ())


def _warnings(plugin: InstalledPlugin) -> tuple[str, ...]:
    with contextlib.suppress(Exception):  # what is wrong with it has been found
        cls = plugin.point.load()  # it has been imported
        if inspect.isclass(cls) and attrs.has(cls):
            return tuple(
                f"the setting {name!r} of {plugin.label} is called like a secret, and is shown in logs and explain(): "
                "declare it with secret=True."
                for name in settings_not_declared_secret(cls)
            )
    return ()


def _facts(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind.name,
        "group": row.kind.group,
        **{name: getattr(row.plugin, name) for name in ("name", "distribution", "version", "target")},
        "state": row.state,
        "fits": row.fits,
        "allowed": row.state != "not allowed",
        "error": row.error.message if row.error else None,
        "remedy": row.error.remedy if row.error else None,
        "warnings": row.warnings,
        "import_ms": row.import_ms,
    }
