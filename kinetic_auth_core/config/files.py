"""The config file: where it is searched for, its structure, and whether a found file is trusted.

A file that the caller names is the caller's choice, and gets a warning at most. Any user could have put a file into a
folder that is searched, so a found file is refused where others can change it. `merge` interprets the values.
"""

import logging
import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from kinetic_auth_core.errors import ConfigurationError, closest, suggest
from kinetic_auth_core.locations import expanded, find_upwards, folders_upwards, is_null, is_there, read_file
from kinetic_auth_core.registry.discovery import (
    ALL_ALLOWED,
    KEY,
    KEY_LOADERS,
    OBSERVERS,
    AllowedPlugins,
    PluginTable,
)

if TYPE_CHECKING:
    from kinetic_auth_core.config.environment import Variables  # which reads .env files by this module


logger = logging.getLogger(__name__)


def read_text(
    path: Path,
    kind: str,
    how_to_name_it: str | None,
    *,
    remedy: str,
    named_by: str = "",
    may_be_pipe: bool = False,
) -> str:
    """Read a file of at most 1 MiB that was named, or one that was found by searching, if it is trusted.

    Args:
        path: The file.
        kind: Its name in messages, such as `config file`.
        how_to_name_it: For a found file: the argument that names it explicitly, such as ``config="..."``.
        remedy: What to do if it cannot be read.
        named_by: The argument or variable that named it, for messages.
        may_be_pipe: Whether a named pipe is read as well.

    Raises:
        ConfigurationError: It cannot be read, is not UTF-8, or is not trusted.
    """

    def check(state: os.stat_result) -> None:
        if how_to_name_it is not None:
            refuse_if_not_ours(path, state, how_to_name_it)

    try:
        raw = read_file(path, may_be_pipe=may_be_pipe, check=check)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, ConfigurationError):
            raise
        source = f" (from {named_by})" if named_by else ""
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"the {kind} {path}{source} cannot be read: {why}.", remedy=remedy) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # it holds the file's bytes, so it must not be chained
        problem = f"the {kind} {path} is not UTF-8 text (byte {error.start})."
    raise ConfigurationError(problem, remedy="Save it as UTF-8.")


def refuse_if_not_ours(path: Path, state: os.stat_result, how_to_name_it: str) -> None:
    """Refuse a found file that another user owns, that others can write, or that another user's link leads to.

    Root's files are trusted: root controls the machine anyway. So is a file that the user's private group can
    write (same name as the user, no other members), which is usual under umask 002.

    Args:
        path: The file.
        state: The state of the open file: others may change what the path leads to.
        how_to_name_it: The argument that names the file explicitly, such as ``config="..."``.

    Raises:
        ConfigurationError: It is not trusted.
    """
    if os.name != "posix":
        return
    if state.st_uid not in (os.getuid(), 0):
        why = f"it belongs to another user (uid {state.st_uid})"
    elif (writable := _writable_by_others(state)) is not None:
        why = writable
    elif (linked := _link_of_another(path)) is not None:
        why = linked
    else:
        return
    raise ConfigurationError(
        f"{path} was found by searching, but {why}, so it is not used.",
        remedy=f"Make it yours (chown, chmod go-w), or name it explicitly: {how_to_name_it}.",
    )


_MOST_LINKS = 40  # as Linux follows


def _link_of_another(path: Path) -> str | None:
    """Whose link a path leads through, if that is neither this user nor root; None if there is no such link."""
    todo, at = list(reversed(path.absolute().parts)), Path()
    links = 0
    while todo:
        part = todo.pop()
        if part == os.pardir:
            at = at.parent
            continue
        at = at / part
        state = at.lstat()
        if not stat.S_ISLNK(state.st_mode):
            continue
        links += 1
        if links > _MOST_LINKS:
            return "it is reached through too many links"
        if state.st_uid not in (os.getuid(), 0):
            return f"{at} is a symbolic link of another user (uid {state.st_uid})"
        todo += reversed(at.readlink().parts)
        at = at.parent
    return None


def variable_prefix(environment: str) -> str:
    """The prefix of an environment's own variables: `PROD_` for `prod`, `EU_WEST_` for `eu-west`."""
    return re.sub(r"\W", "_", environment).upper() + "_"


def warn_if_others_write(path: Path, named_by: str) -> None:
    """Log a warning for a named file that others can write. It may belong to another user: the caller chose it.

    Args:
        path: The file; a missing one is ignored.
        named_by: The argument or variable that named it, such as `config`.
    """
    if os.name != "posix":
        return
    try:
        state = path.stat()
    except (OSError, ValueError):  # reading it will give a better error
        return
    if stat.S_ISREG(state.st_mode) and (why := _writable_by_others(state)) is not None:
        logger.warning(
            "%s (from %s) decides where credentials are sent, and %s. Run: chmod go-w %s",
            *(path, named_by, why, shlex.quote(str(path))),
        )


def _writable_by_others(state: os.stat_result) -> str | None:
    if state.st_mode & stat.S_IWOTH:
        return "every user can write it"
    if state.st_mode & stat.S_IWGRP and not _is_private_group(state.st_gid):
        return f"its group (gid {state.st_gid}) can write it"
    return None


def _is_private_group(gid: int) -> bool:
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


FILE_NAME = "kinetic-auth.toml"
TABLE_NAME = "kinetic-auth"
#: The tables of tables for single plugins, and their groups.
_PLUGIN_TABLES = {"observers": OBSERVERS, "key_loaders": KEY_LOADERS}
_KEYS = (KEY, "default_environment", "defaults", "environments", *_PLUGIN_TABLES)
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


class ConfigFile:
    """A config file that was read; its values are unchanged.

    Attributes:
        path: The file; None if there is none.
        key_prefix: The prefix of keys in messages: `tool.kinetic-auth.` in a `pyproject.toml`, otherwise nothing.
        default_environment: The environment that applies if none is named, or None.
        defaults: The `[defaults]` table.
        environments: The `[environments.*]` tables by name.
        allowed: The plugins that may be loaded, and the tables `[observers.*]` and `[key_loaders.*]`.
        how_to_name_it: For a file that was found by searching: the argument that names it; None for a named one.
    """

    def __init__(self, path: Path | None = None, key_prefix: str = "", how_to_name_it: str | None = None) -> None:
        self.path, self.key_prefix, self.how_to_name_it = path, key_prefix, how_to_name_it
        self.default_environment: str | None = None
        self.defaults: Mapping[str, Any] = Table()
        self.environments: Mapping[str, Mapping[str, Any]] = Table()
        self.allowed = ALL_ALLOWED

    def environment_named(self, name: str) -> str | None:
        """The environment of that name, as the file spells it; names compare without regard to case."""
        return next((each for each in self.environments if each.casefold() == name.casefold()), None)

    def source(self, *keys: str) -> str:
        """The name of a key of this file, for `explain()` and errors."""
        return f"{self.path}:{self.key_prefix}{'.'.join(keys)}"


def load_config(config: str | os.PathLike[str] | None, variables: "Variables") -> ConfigFile:
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
    if layer := variables.layer_of("KINETIC_AUTH_CONFIG"):
        path, source = expanded(layer.values["KINETIC_AUTH_CONFIG"].rstrip("\r\n")), layer.source("KINETIC_AUTH_CONFIG")
        if layer.how_to_name_it is None:
            return _named(path, source)
        return _found(path, source)  # nobody named the .env that names it
    for path in config_candidates():
        return _found(path, "search")
    return ConfigFile()


def _named(path: Path, named_by: str) -> ConfigFile:
    if is_null(path):
        return ConfigFile()
    warn_if_others_write(path, named_by)
    return _parse(path, named_by)


def _found(path: Path, named_by: str) -> ConfigFile:
    return ConfigFile() if is_null(path) else _parse(path, named_by, how_to_name_it=f'config="{path}"')


def searched_places() -> str:
    """The places that are searched for a config file, for messages."""
    folder = next(folders_upwards(), "the working directory (deleted)")
    return (
        f"{FILE_NAME} or pyproject.toml [tool.{TABLE_NAME}] in {folder} or above it, {_user_file() or 'no home'}"
        f"{_misspelt_file()}"
    )


def _misspelt_file() -> str:
    """A remark on a file in the working directory that has nearly the name of a config file; else nothing."""
    try:
        names = [each.name for each in Path().iterdir() if each.suffix == ".toml" and each.name.isprintable()]
    except OSError:  # such as a folder that is gone, or that this process may not read
        return ""
    close = closest(FILE_NAME, names, 0.8)
    return f" (there is {close}: rename it to {FILE_NAME}, if it is meant)" if close else ""


def _user_file() -> Path | None:
    try:
        return platformdirs.user_config_path(TABLE_NAME, appauthor=False) / FILE_NAME
    except RuntimeError:  # a user without a home, such as a service
        return None


def config_candidates() -> Iterator[Path]:
    """The config files that a search finds, the one that counts first."""
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
        raw = read_file(path)
    except (OSError, ValueError):
        return False
    if TABLE_NAME.encode() not in raw:
        return False
    try:
        import tomllib

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
    return _with_tables(ConfigFile(path, prefix, how_to_name_it), document)


def _document(text: str) -> Table | str:
    """The file as TOML, or its problem. Returned, not raised: an error raised here would hold the file's text."""
    import tomllib

    try:
        table: Table = _masked(tomllib.loads(text))
    except ValueError as error:  # from tomllib, or a number that is too long
        said, hint = str(error), ""
        if "escape" in said or "Invalid hex value" in said:
            hint = "; in double quotes a backslash begins an escape: write a Windows path in single quotes"
        elif "Illegal character '\\n'" in said:
            hint = "; a quote at the end of the line is missing"
        return f"is not valid TOML: {error}{hint}"
    except RecursionError:
        return "is nested too deeply"
    return table


def _with_tables(file: ConfigFile, document: Table) -> ConfigFile:
    """The file, once its tables are read.

    Raises:
        ConfigurationError: It has unknown keys, or a key of the wrong type or in the wrong place.
    """
    problems = [
        f"{key}: unknown key{suggest(key, _KEYS) or ' (settings belong into [defaults] or [environments.NAME])'}"
        for key in document
        if key not in _KEYS
    ]
    allowed = ALL_ALLOWED
    try:
        allowed = AllowedPlugins.read(document.get(KEY), file.source(KEY))
    except ValueError as error:
        problems.append(f"{KEY}: {error}")
    plugins, wrong = _plugin_tables(file, document)
    problems += wrong
    default = document.get("default_environment")
    if default is not None and not isinstance(default, str):
        problems.append("default_environment: expected text, the name of an environment")
    defaults, environments = document.get("defaults", Table()), document.get("environments", Table())
    tables = {"defaults": defaults}
    if isinstance(environments, dict):
        tables |= {f"environments.{name}": table for name, table in environments.items()}
        problems += _same_variables(environments)
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
    file.default_environment, file.defaults, file.environments = default, defaults, environments
    file.allowed = allowed._replace(tables=plugins)
    return file


def _same_variables(environments: Mapping[str, Any]) -> Iterator[str]:
    """The environments that would read each other's variables, and so send one org's password to the other."""
    by_prefix: dict[str, list[str]] = {}
    for name in environments:
        by_prefix.setdefault(variable_prefix(name), []).append(name)
    for prefix, names in by_prefix.items():
        if len(names) > 1:
            yield f"environments {' and '.join(names)} read the same variables, {prefix}SF_*: rename all but one"


def _plugin_tables(file: ConfigFile, document: Table) -> tuple[dict[tuple[str, str], PluginTable], list[str]]:
    """The tables of single plugins, and what is wrong with them."""
    found, problems = {}, []
    for key, group in _PLUGIN_TABLES.items():
        tables = document.get(key, Table())
        if not isinstance(tables, dict):
            problems.append(f"{key}: expected tables, [{key}.<name>]")
            continue
        for name, table in tables.items():
            if not isinstance(table, dict):
                problems.append(f"{key}.{name}: expected a table, [{key}.{name}]")
                continue
            try:
                found[group, name] = PluginTable(table, file.source(key, name), (key, name))
            except ValueError as error:
                problems.append(f"{key}.{name}: {error}")
    return found, problems


def no_provider_problem(file: ConfigFile, name: str | None) -> str:
    """What to say where neither the caller nor the file names a provider.

    Args:
        file: The config file.
        name: The environment, or None.
    """
    how = 'resolve("jwt-bearer"), kinetic-auth login jwt-bearer, or provider = "..." in a config file'
    if file.path is None:
        why = f"and there is no config file; looked for: {searched_places()}"
    elif name is None and file.environments:
        first = next(iter(file.environments))
        known = ", ".join(file.environments)
        why = f"nor an environment, and {file.path} has no default_environment; it has: {known}"
        how = (
            f'resolve(environment="{first}"), kinetic-auth login -e {first}, KINETIC_AUTH_ENVIRONMENT={first}, '
            f'or default_environment = "{first}" at the top of the file'
        )
    elif name is None:
        why = f"and {file.path} has no environments"
    else:
        why = f"and {file.source('environments', name)} has no provider key"
    return f"no provider was named, {why}. Name one: {how}."
