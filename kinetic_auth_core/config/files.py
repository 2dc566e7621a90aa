"""The config file: where it is searched for, and its structure. `merge` interprets its values."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import platformdirs

from kinetic_auth_core.config.trusted_files import (
    find_upwards,
    folders_upwards,
    read_text,
    warn_if_others_write,
)
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.paths import expanded, is_there
from kinetic_auth_core.registry.discovery import ALL_ALLOWED, KEY, AllowedPlugins
from kinetic_auth_core.settings.schema import suggest

FILE_NAME = "kinetic-auth.toml"
TABLE_NAME = "kinetic-auth"
_KEYS = (KEY, "default_environment", "defaults", "environments")
# A dotted key adds a level for each dot, without limit, and functions that walk through them recurse.
_MAX_LEVELS = 32


class Table(dict[str, Any]):
    """A table of the file. Its values may be secrets, so `repr` shows keys only, also in a traceback with locals."""

    def __repr__(self) -> str:
        """The keys."""
        return f"<table of {', '.join(self)}>"


def _masked(value: Any, levels: int = _MAX_LEVELS) -> Any:
    """A TOML value with every table in it as a `Table`.

    Raises:
        RecursionError: It has more than `levels` levels.
    """
    if not levels:
        raise RecursionError
    if isinstance(value, dict):
        return Table({key: _masked(item, levels - 1) for key, item in value.items()})
    return [_masked(item, levels - 1) for item in value] if isinstance(value, list) else value


@attrs.frozen
class ConfigFile:
    """A config file that was read; its values are unchanged.

    Attributes:
        path: The file; None if there is none.
        key_prefix: The prefix of keys in messages: `tool.kinetic-auth.` in a `pyproject.toml`, otherwise nothing.
        default_environment: The environment that applies if none is named, or None.
        defaults: The `[defaults]` table.
        environments: The `[environments.*]` tables by name.
        allowed: The plugins that may be loaded.
    """

    path: Path | None = None
    key_prefix: str = ""
    default_environment: str | None = None
    defaults: Mapping[str, Any] = attrs.field(factory=Table, repr=False)
    environments: Mapping[str, Mapping[str, Any]] = attrs.field(factory=Table, repr=False)
    allowed: AllowedPlugins = ALL_ALLOWED

    def source(self, *keys: str) -> str:
        """The name of a key of this file, for `explain()` and errors."""
        return f"{self.path}:{self.key_prefix}{'.'.join(keys)}"


def load_config(config: str | os.PathLike[str] | None, variables: Variables) -> ConfigFile:
    """Read the config file that was named or found; an empty one without a path if there is none.

    Args:
        config: Its path. Left out: `KINETIC_AUTH_CONFIG`; else `kinetic-auth.toml` in the working directory or a
            parent; else `[tool.kinetic-auth]` of a `pyproject.toml` there; else the user's config folder.
        variables: The environment.

    Raises:
        ConfigurationError: It is missing, unreadable, not TOML, malformed, or was found and is not trusted.
    """
    if config is not None:
        return _named(expanded(config), "config")
    if named := variables.find("KINETIC_AUTH_CONFIG"):
        return _named(expanded(named[0]), named[1])
    for path in _candidates():
        return _parse(path, "search", how_to_name_it=f'config="{path}"')
    return ConfigFile()


def _named(path: Path, named_by: str) -> ConfigFile:
    warn_if_others_write(path, named_by)
    return _parse(path, named_by)


def searched_places() -> str:
    """The places that are searched for a config file, for messages."""
    return f"{FILE_NAME} or pyproject.toml [tool.{TABLE_NAME}] here or in a parent folder, {_user_file() or 'no home'}"


def _user_file() -> Path | None:
    try:
        return platformdirs.user_config_path(TABLE_NAME, appauthor=False) / FILE_NAME
    except RuntimeError:  # a user without a home, such as a service
        return None


def _candidates() -> Iterator[Path]:
    if path := find_upwards(FILE_NAME):
        yield path
    for folder in folders_upwards():
        if is_there(path := folder / "pyproject.toml") and _mentions_us(path):
            yield path
    if (user_file := _user_file()) and is_there(user_file):
        yield user_file


def _mentions_us(path: Path) -> bool:
    """Whether a `pyproject.toml` has our table. A broken file that does not even mention it is ignored."""
    try:
        raw = path.read_bytes()
    except OSError:
        return False
    if TABLE_NAME.encode() not in raw:
        return False
    try:
        tool = tomllib.loads(raw.decode("utf-8-sig")).get("tool", {})
        return isinstance(tool, dict) and TABLE_NAME in tool
    except (ValueError, RecursionError):
        return f"tool.{TABLE_NAME}".encode() in raw


def _parse(path: Path, named_by: str, how_to_name_it: str | None = None) -> ConfigFile:
    """Read a file; one that was found instead of named must be trusted."""
    remedy = "Correct the path, or leave it out to have the file searched for."
    document = _document(read_text(path, "config file", how_to_name_it, remedy=remedy, named_by=named_by))
    if isinstance(document, str):
        raise ConfigurationError(f"the config file {path} {document}.")
    prefix = ""
    if path.name == "pyproject.toml":
        tool = document.get("tool")
        if not isinstance(tool, dict) or not isinstance(tool.get(TABLE_NAME), dict):
            raise ConfigurationError(f"{path} (from {named_by}) has no [tool.{TABLE_NAME}] table.")
        document, prefix = tool[TABLE_NAME], f"tool.{TABLE_NAME}."
    return _shaped(ConfigFile(path, prefix), document)


def _document(text: str) -> Table | str:
    """The file as TOML, or its problem. Returned, not raised: an error raised here would hold the file's text."""
    try:
        table: Table = _masked(tomllib.loads(text))
    except ValueError as error:  # from tomllib, or a number that is too long
        return f"is not valid TOML: {error}"
    except RecursionError:
        return "is nested too deeply"
    return table


def _shaped(file: ConfigFile, document: Table) -> ConfigFile:
    """The file with its tables.

    Raises:
        ConfigurationError: It has unknown keys, or a key of the wrong type or in the wrong place.
    """
    problems = [f"{key}: unknown key{suggest(key, _KEYS)}" for key in document if key not in _KEYS]
    allowed = ALL_ALLOWED
    try:
        allowed = AllowedPlugins.read(document.get(KEY), file.source(KEY))
    except ValueError as error:
        problems.append(f"{KEY}: {error}")
    default = document.get("default_environment")
    if default is not None and not isinstance(default, str):
        problems.append("default_environment: expected text, the name of an environment")
    defaults, environments = document.get("defaults", Table()), document.get("environments", Table())
    tables = {"defaults": defaults}
    if isinstance(environments, dict):
        tables |= {f"environments.{name}": table for name, table in environments.items()}
    else:
        problems.append("environments: expected tables, [environments.<name>]")
    for name, table in tables.items():
        if not isinstance(table, dict):
            problems.append(f"{name}: expected a table, [{name}]")
            continue
        problems += [  # TOML has no way back up after a [table]
            f"{name}.{key}: belongs to the top of the file, before its first [table]"
            for key in (KEY, "default_environment")
            if key in table
        ]
    if problems:
        raise ConfigurationError.of(f"Cannot use {file.path}", problems)
    return attrs.evolve(
        file, default_environment=default, defaults=defaults, environments=environments, allowed=allowed
    )
