"""`kinetic-auth plugins`: the plugins of all groups, whose they are, whether they fit, their import time."""

import time
from collections.abc import Callable
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import json_option
from kinetic_auth_core.cli.output import emit, emit_json, emit_table, error_block
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.registry.discovery import (
    AUTHENTICATORS,
    KEY_LOADERS,
    OBSERVERS,
    SESSION_STORES,
    AllowedPlugins,
    InstalledPlugin,
)
from kinetic_auth_core.registry.loading import load_authenticator, load_key_loader, load_observer, load_session_store


@attrs.frozen
class _Kind:
    """A group of plugins.

    Attributes:
        name: What users call a plugin of the group.
        group: The entry points' group.
        load: Imports one by its name, and checks it.
    """

    name: str
    group: str
    load: Callable[[str, AllowedPlugins], object]


_KINDS = (
    _Kind("provider", AUTHENTICATORS, load_authenticator),
    _Kind("key-loader", KEY_LOADERS, load_key_loader),
    _Kind("session-store", SESSION_STORES, load_session_store),
    _Kind("observer", OBSERVERS, load_observer),
)


@attrs.frozen
class _Row:
    kind: _Kind
    plugin: InstalledPlugin
    allowed: bool
    error: KineticAuthError | None
    import_ms: float | None

    @property
    def state(self) -> str:
        if not self.allowed:
            return "not allowed"
        return "does not fit" if self.error else "fits"


@click.command(cls=Command, short_help="List the plugins of all kinds, and whether they fit.")
@json_option
def plugins(as_json: bool) -> None:
    """List the plugins of all kinds: whose each is, whether it fits the contract or why not, and its import time.

    Each plugin is imported, except those that allowed_plugins of the config file excludes. The time counts what no
    plugin before it in the list has imported.

    \b
    --json prints
      {"plugins": [{"kind", "group", "name", "distribution", "version", "target",
                    "fits", "allowed", "error", "remedy", "import_ms"}]}
    where "error" is null for a plugin that fits, and "import_ms" for one that is not imported.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    allowed = Configuration.load(None, None).allowed
    rows = [_examined(kind, plugin, allowed) for kind in _KINDS for plugin in allowed.search(kind.group)]
    if as_json:
        emit_json({"plugins": [_facts(row) for row in rows]})
        return
    if not rows:
        emit("No plugin is installed.")
        return
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
    for error in {(row.kind.name, row.plugin.name, row.allowed): row.error for row in rows if row.error}.values():
        emit("\n" + error_block(error.message, error.remedy))


def _examined(kind: _Kind, plugin: InstalledPlugin, allowed: AllowedPlugins) -> _Row:
    if not allowed.has(plugin.distribution):  # though another one of that name may be
        return _Row(kind, plugin, allowed=False, error=allowed.refusal(plugin), import_ms=None)
    began, error = time.perf_counter(), None
    try:
        kind.load(plugin.name, allowed)
    except KineticAuthError as problem:
        error = problem
    import_ms = round((time.perf_counter() - began) * 1000, 1)
    return _Row(kind, plugin, allowed=True, error=error, import_ms=import_ms)


def _facts(row: _Row) -> dict[str, Any]:
    return {
        "kind": row.kind.name,
        "group": row.kind.group,
        **{name: getattr(row.plugin, name) for name in ("name", "distribution", "version", "target")},
        "fits": row.state == "fits",
        "allowed": row.allowed,
        "error": row.error.message if row.error else None,
        "remedy": row.error.remedy if row.error else None,
        "import_ms": row.import_ms,
    }
