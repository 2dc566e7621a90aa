"""`kinetic-auth providers`: the installed providers, their problems and settings, and those that can be installed."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.error_output import error_block
from kinetic_auth_core.cli.options import json_option, provider_argument
from kinetic_auth_core.cli.output import emit, emit_json, emit_table, wrapped
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import merge
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.login.spec import SourceOptions, says_never_stored
from kinetic_auth_core.registry.discovery import (
    AUTHENTICATORS,
    PUBLISHED,
    SESSION_STORES,
    AllowedPlugins,
    InstalledPlugin,
)
from kinetic_auth_core.registry.loading import load_authenticator, load_session_store
from kinetic_auth_core.settings.schema import Setting, exactly_one_of, schema


@click.command(cls=Command)
@provider_argument
@json_option
def providers(provider: str | None, as_json: bool) -> None:
    """List the providers; or the settings of one PROVIDER, with those of its source and of the session stores.

    Each installed provider is loaded, so that a broken one is reported, except those that allowed_plugins of the config
    file excludes.

    \b
    --json prints
      {"providers": [{"name", "distribution", "version", "target", "error", "remedy"}],
       "not_installed": [{"name", "install"}]}
    and with a PROVIDER
      {"name", "distribution", "version", "target", "exactly_one_of": [[name, ...]],
       "settings": [{"name", "variable", "required", "default", "secret", "help"}],
       "source_settings": [as "settings"],
       "stores": [{"name", "distribution", "version", "settings": [as "settings"]}]}
    where "error" is null for a provider that works.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    allowed = Configuration.load(None, None).allowed
    if provider is None:
        _list(as_json, allowed)
    else:
        _describe(provider, as_json, allowed)


@attrs.frozen
class _Row:
    plugin: InstalledPlugin
    error: ConfigurationError | None
    allowed: bool

    @property
    def state(self) -> str:
        if not self.allowed:
            return "not allowed"
        return getattr(self.error, "state", "does not fit") if self.error else "works"


def _list(as_json: bool, allowed: AllowedPlugins) -> None:
    rows = [
        _Row(plugin, _problem(plugin, allowed), allowed.has(plugin.distribution))
        for plugin in allowed.search(AUTHENTICATORS)
    ]
    names = {row.plugin.name for row in rows}
    missing = {
        name: f"pip install {package}" for name, package in PUBLISHED[AUTHENTICATORS].items() if name not in names
    }
    if as_json:
        emit_json(
            {
                "providers": [
                    {
                        **_identity(row.plugin),
                        "error": row.error.message if row.error else None,
                        "remedy": row.error.remedy if row.error else None,
                    }
                    for row in rows
                ],
                "not_installed": [{"name": name, "install": install} for name, install in missing.items()],
            }
        )
        return
    if rows:
        emit_table(
            ("provider", "distribution", "version", "state"),
            [(row.plugin.name, row.plugin.distribution, row.plugin.version, row.state) for row in rows],
        )
    else:
        emit("No provider is installed.")
    # A name of two distributions is one error.
    for error in {(row.plugin.name, row.allowed): row.error for row in rows if row.error}.values():
        emit("\n" + error_block(error.message, error.remedy))
    if missing:
        emit("\nNot installed:")
        emit_table(("provider", "install"), missing.items())


def _identity(plugin: InstalledPlugin) -> dict[str, str]:
    return {name: getattr(plugin, name) for name in ("name", "target", "distribution", "version")}


def _problem(plugin: InstalledPlugin, allowed: AllowedPlugins) -> ConfigurationError | None:
    if not allowed.has(plugin.distribution):  # though another one of that name may be
        return allowed.refusal(plugin)
    try:
        load_authenticator(plugin.name, allowed)
    except ConfigurationError as error:
        return error
    return None


def _describe(name: str, as_json: bool, allowed: AllowedPlugins) -> None:
    plugin, cls = load_authenticator(name, allowed)
    settings, groups, stores = schema(cls), exactly_one_of(cls), list(_stores(cls, allowed))
    if as_json:
        emit_json(
            {
                **_identity(plugin),
                "exactly_one_of": groups,
                "settings": _facts(settings),
                "source_settings": _facts(schema(SourceOptions)),
                "stores": [
                    {
                        **{key: getattr(store, key) for key in ("name", "distribution", "version")},
                        "settings": _facts(of_store),
                    }
                    for store, of_store in stores
                ],
            }
        )
        return
    emit(f"{plugin.name}, of {plugin.owner}\n")
    chosen = {name: f"(one of {', '.join(group)})" for group in groups for name in group}
    _print_settings(settings, chosen)
    emit("\nOf the source, whatever the provider:\n")
    _print_settings(schema(SourceOptions))
    if stores:
        emit(wrapped("\nThe session store is named by SF_STORE, or by [environments.NAME.store] of the config file."))
    for store, of_store in stores:
        emit(f"\nOf the session store {store.name!r}, of {store.owner}:\n")
        _print_settings(of_store)
    if says_never_stored(cls):
        emit(wrapped("\nIts sessions are kept in the memory of the process, whatever the store."))


def _stores(cls: type, allowed: AllowedPlugins) -> Iterator[tuple[InstalledPlugin, list[Setting]]]:
    """The session stores that have settings, for a provider whose sessions are stored."""
    if says_never_stored(cls):
        return
    for plugin in allowed.search(SESSION_STORES):
        try:
            loaded = load_session_store(f"{plugin.distribution}:{plugin.name}", allowed)[1]
        except ConfigurationError:
            continue  # `plugins` reports it
        if settings := schema(loaded):
            yield plugin, [each.of_store() for each in settings]


def _print_settings(settings: Sequence[Setting], chosen: Mapping[str, str] = MappingProxyType({})) -> None:
    emit_table(
        ("setting", "variable", "default", "secret", "help"),
        [
            (
                each["name"],
                each["variable"],
                "(required)" if each["required"] else chosen.get(each["name"], each["default"]),
                "secret" if each["secret"] else None,
                each["help"],
            )
            for each in _facts(settings)
        ],
    )


def _facts(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    defaults = {row.name: row.value for row in merge(settings, (), []).rows}
    return [
        {
            "name": each.name,
            "variable": each.env,
            "required": each.required,
            "default": defaults.get(each.name),
            "secret": each.secret,
            "help": each.help,
        }
        for each in settings
    ]
