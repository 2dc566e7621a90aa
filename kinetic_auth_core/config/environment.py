"""The configuration besides keywords: environment variables and config file, read once, and the environment chosen.

Variables are those of the process, then those of a `.env` file; `os.environ` is never changed. `${NAME}` in the config
file stands for one.
"""

import contextlib
import copy
import io
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

from kinetic_auth_core.concurrency import Lazy
from kinetic_auth_core.config.files import (
    ConfigFile,
    Table,
    load_config,
    no_provider_problem,
    read_text,
    variable_prefix,
    warn_if_others_write,
)
from kinetic_auth_core.errors import ConfigurationError, UnknownProviderError, suggest
from kinetic_auth_core.locations import Reference, expanded, find_upwards, folders_upwards, is_null, parse_reference
from kinetic_auth_core.registry.discovery import KEY_LOADERS, InstalledPlugin, PluginTable, normalized
from kinetic_auth_core.settings.schema import ExplainedSetting, Setting

logger = logging.getLogger(__name__)

#: What a problem says of a setting that has no value, or of a variable that it needs.
MISSING = re.compile(r" is missing: give it as | is needed \(as variable: |the variable \w+ is not set; ")
_REFERENCE = r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?"


def has_references(value: Any) -> bool:
    """Whether a value, or an item of a list or table, contains `${`."""
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(has_references(item) for item in value.values())
    return isinstance(value, list) and any(has_references(item) for item in value)


def interpolate(value: Any, lookup: Callable[[str], str | None]) -> Any:
    """Replace `${NAME}` by the variables' values. The values are not interpolated again.

    Args:
        value: Text, or a list or table of text; anything else is returned unchanged.
        lookup: Returns a variable's value, or None if it is not set.

    Raises:
        ValueError: A variable is not set and has no default, or a `${` is not a reference.
    """
    if isinstance(value, dict):
        return {key: interpolate(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, lookup) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value

    def replacement(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None or "${" in (default or ""):
            raise ValueError('has a "${" that is not ${VARIABLE}; for literal text write { value = "..." }')
        found = lookup(name)
        if found is None and default is None:
            raise ValueError(f"the variable {name} is not set; set it, or give a default: ${{{name}:-...}}")
        return default if found is None or (found == "" and default is not None) else found

    return re.sub(_REFERENCE, replacement, value)


class VariableLayer:
    """The variables of the process, or of a `.env` file.

    Attributes:
        values: Name to text. An empty value counts as not set.
        path: The `.env` file; None for the process.
        how_to_name_it: For a file that was found by searching: the argument that names it; None otherwise.
        made_of: The variables that python-dotenv has put into a value, in the place of `${NAME}`.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        path: Path | None = None,
        how_to_name_it: str | None = None,
        made_of: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.values, self.path, self.how_to_name_it, self.made_of = values, path, how_to_name_it, made_of or {}

    def get(self, name: str) -> str | None:
        """The value, or None if it is not set or empty."""
        return self.values.get(name) or None

    def source(self, name: str) -> str:
        """The name of the variable, for `explain()` and errors."""
        return name if self.path is None else f"{name} ({self.path})"


class Variables:
    """All layers of variables, highest first."""

    def __init__(self, layers: tuple[VariableLayer, ...]) -> None:
        self.layers = layers

    @classmethod
    def load(cls, env_file: str | os.PathLike[str] | None = None) -> Self:
        """Load the variables of the process and of `.env`.

        Args:
            env_file: A `.env` file. Default: the nearest one in the working directory or a parent, if any.

        Raises:
            ConfigurationError: The file is missing, unreadable or not UTF-8; or was found and is not trusted.
        """
        path: Path | None
        how_to_name_it = None
        if env_file is not None:
            path = expanded(env_file)
            warn_if_others_write(path, "env_file")
        elif path := find_upwards(".env", may_be_pipe=True):
            how_to_name_it = f'env_file="{path}"'
        process = VariableLayer(os.environ)
        if path is None or is_null(path):
            return cls((process,))
        return cls((process, _read(path, how_to_name_it)))

    def find(self, name: str) -> tuple[str, str] | None:
        """Value and source of a variable, from the highest layer that sets it."""
        layer = self.layer_of(name)
        return None if layer is None else (layer.values[name], layer.source(name))

    def layer_of(self, name: str) -> VariableLayer | None:
        """The highest layer that sets a variable."""
        return next((layer for layer in self.layers if layer.get(name) is not None), None)

    def lookup(self, name: str) -> str | None:
        """The value for a `${NAME}` in a config file; an empty value counts here."""
        return next((layer.values[name] for layer in self.layers if name in layer.values), None)

    def found_file_of(self, text: str, found: str | None) -> str | None:
        """Whether a value of a config file was decided by a file that nobody named.

        Args:
            text: The value as it is written in the config file.
            found: How to name that config file, if it was found by searching.

        Returns:
            How to name the file that decided it: `.env`, if a variable came from there, or the config file; None if the
            caller did, who named the files, or set the variable that is all of the value.
        """
        names = [match[1] for match in re.finditer(_REFERENCE, text) if match[1]]
        layers = [next((layer for layer in self.layers if name in layer.values), None) for name in names]
        for layer in layers:
            if layer is not None and layer.how_to_name_it is not None:
                return layer.how_to_name_it
        is_a_variable = len(layers) == 1 and layers[0] is not None and re.fullmatch(_REFERENCE, text)
        return None if is_a_variable and layers[0] and layers[0].values[names[0]] else found


_pipes: ContextVar[dict[Path, str] | None] = ContextVar("kinetic_auth_pipes", default=None)


@contextlib.contextmanager
def pipes_read_once() -> Iterator[None]:
    """While this holds, a `.env` that is a pipe is read once: what was read is not there a second time."""
    token = _pipes.set({})
    try:
        yield
    finally:
        _pipes.reset(token)


def _text_of(path: Path, how_to_name_it: str | None) -> str:
    """The text of a file; one that was found instead of named must be trusted."""
    kept = _pipes.get()
    if kept is not None and path in kept:
        return kept[path]
    remedy = "Correct its path or its permissions."
    text = read_text(path, ".env file", how_to_name_it, remedy=remedy, may_be_pipe=True)
    if kept is not None and path.is_fifo():
        kept[path] = text
    return text


def _read(path: Path, how_to_name_it: str | None) -> VariableLayer:
    from dotenv.main import DotEnv

    text = _text_of(path, how_to_name_it)
    lines = list(DotEnv(None, io.StringIO(text, newline=None), interpolate=False).parse())
    values = _with_dotenv_interpolation(lines)
    written = dict(lines) if "${" in text else {}
    _warn_of_gaps(path, written, values)
    return VariableLayer(
        {name: value for name, value in values.items() if value is not None},
        path,
        how_to_name_it,
        {name: [match[1] for match in re.finditer(_IN_DOTENV, value or "")] for name, value in written.items()},
    )


def _with_dotenv_interpolation(lines: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """The values of a `.env` file with each `${NAME}` replaced, as python-dotenv replaces it.

    By the value of a line further up, else by the process's variable, else by the default, else by nothing.
    python-dotenv does it in a time that grows with the square of the number of lines.

    Args:
        lines: The names and values as they are written, in their order; None for a name without a value.
    """
    values: dict[str, str | None] = {}

    def replacement(match: re.Match[str]) -> str:
        name, default = match[1], match[2] or ""
        return (values[name] or "") if name in values else os.environ.get(name, default)

    for name, value in lines:
        values[name] = None if value is None else re.sub(_IN_DOTENV, replacement, value)
    return values


def _warn_of_gaps(path: Path, written: Mapping[str, str | None], values: Mapping[str, str | None]) -> None:
    """Warn of the variables of ours in which python-dotenv has put nothing in the place of a `${NAME}`."""
    for variable, value in written.items():
        unset = [
            match[1]
            for match in re.finditer(_IN_DOTENV, value or "")
            if match[2] is None and match[1] not in os.environ and match[1] not in values
        ]
        if unset and "SF_" in variable:
            logger.warning(
                "%s (%s): ${%s} is not set, so nothing stands in its place; a password that contains ${ cannot be "
                "written into a .env file: set it in the environment of the process, or in the config file as "
                "{ value = ... }",
                *(variable, path, "}, ${".join(unset)),
            )


_IN_DOTENV = r"\$\{([^}:]*)(?::-([^}]*))?\}"


#: The source of a value from a variable: `SF_PASSWORD`, or `SF_PASSWORD (/srv/app/.env)`.
_FROM_VARIABLE = r"[A-Z_][A-Z0-9_]*(?: \(|$)"


def quoted_values(
    settings: Sequence[Setting], rows: Iterable[ExplainedSetting], values: Mapping[str, Any]
) -> list[str]:
    """The variables whose value is in quotes, as `docker run --env-file` leaves them: a sentence for each.

    Args:
        settings: The settings; those that take keys are left out, whose quotes are removed.
        rows: The same, as `explain()` has them.
        values: Their values.
    """
    keys = {each.name for each in settings if each.takes_bytes}
    found = []
    for row in rows:
        text = values.get(row.name)
        if not isinstance(text, str) or row.name in keys or len(text) < 2:
            continue
        if text[0] == text[-1] and text[0] in "\"'" and re.match(_FROM_VARIABLE, row.source):
            found.append(
                f"{row.name} (from {row.source}) is in quotes, which count as a part of it: docker run --env-file and "
                "some shells leave them there; write the value without them"
            )
    return found


def secrets_with_line_ends(
    settings: Sequence[Setting], rows: Iterable[ExplainedSetting], values: Mapping[str, Any]
) -> list[str]:
    """The secrets that end in a line break, as a file does that is passed on as a keyword: a sentence for each.

    Values of variables and files have lost theirs, but for literals.

    Args:
        settings: The settings; those that take keys are left out, as a PEM text ends in one.
        rows: The same, as `explain()` has them.
        values: Their values.
    """
    keys = {each.name for each in settings if each.takes_bytes}
    return [
        f"{row.name} (from {row.source}) ends in a line break, which counts as a part of it: remove it"
        for row in rows
        if row.secret
        and row.name not in keys
        and isinstance(text := values.get(row.name), str)
        and text.endswith(("\n", "\r"))
    ]


class Configuration:
    """Environment variables and config file as they were read, with the provider and environment that `select` chose.

    Attributes:
        variables: The environment variables of the process and of the `.env` file.
        file: The config file; empty if there is none.
        provider: The provider's entry-point name; empty until `select`.
        environment: The environment's name, or None.
        table: The environment's table in the file, its values as written; empty if there is none.
        named_by: The key of the file that names the provider; None if the caller named it.
        allowed: The plugins that may be loaded. The installed packages are searched once per configuration.
        warned: The warnings that were logged, so that the sources of a pool do not repeat them.
        observers: Holds the observers that the file has tables for, so that the sources of a pool share them.
        loaded: The providers that were loaded, by name, so that the sources of a pool do not load them again.
        plugin_rows: The settings of the plugins that were made with a table of the file, by table.
        passed_over: What `ENVIRONMENT` says, where that is not taken for the name of an environment, and why.
    """

    def __init__(self, variables: Variables | None = None, file: ConfigFile | None = None) -> None:
        self.variables, self.file = variables or Variables(()), file or ConfigFile()
        self.provider, self.passed_over = "", ""
        self.environment: str | None = None
        self.table: Mapping[str, Any] = Table()
        self.named_by: str | None = None
        self.warned: set[str] = set()
        self.observers: Lazy[Any] = Lazy()
        self.loaded: dict[str, tuple[InstalledPlugin, type]] = {}
        self.plugin_rows: dict[str, tuple[ExplainedSetting, ...]] = {}
        allowed = self.file.allowed  # which sources keep: with the maker they would keep all of this, too
        self.allowed = allowed.searched_once(self._make if allowed.tables else None)

    @classmethod
    def load(cls, config: str | os.PathLike[str] | None, env_file: str | os.PathLike[str] | None) -> "Configuration":
        """Find and read the files.

        Raises:
            ConfigurationError: A file is missing, unreadable, not TOML, or not trusted.
        """
        variables = Variables.load(env_file)
        return cls(variables, load_config(config, variables))

    @property
    def env_file(self) -> Path | None:
        """The path of the `.env` file."""
        return self.variables.layers[-1].path if self.variables.layers else None

    def remedy_for_missing(self, problems: Iterable[str], rows: Iterable[ExplainedSetting]) -> str:
        """What to do where settings are missing, no `.env` was found, and no keyword or variable is set; else nothing.

        A program that cron, systemd or an IDE starts runs in another folder than its author thinks.

        Args:
            problems: The problems of the configuration, of which some may be about missing settings.
            rows: The settings with their sources.
        """
        is_given = any(row.source == "keyword" or row.source in os.environ for row in rows)
        if is_given or len(self.variables.layers) > 1 or not any(map(MISSING.search, problems)):
            return ""
        what, name = (
            ("No .env file and no config file was found", 'env_file="..." or config="..." (--env-file, --config)')
            if self.file.path is None
            else ("No .env file was found", 'env_file="..." (--env-file)')
        )
        folder = next(folders_upwards(), "the working directory (deleted)")
        return f"{what} in {folder} or above it: if there is one elsewhere, start there, or name it, {name}."

    @property
    def variable_prefix(self) -> str:
        """`PROD_` for the environment `prod`: the prefix of its own `SF_*` variables; empty without an environment."""
        return "" if self.environment is None else variable_prefix(self.environment)

    def _make(self, table: PluginTable, cls: type) -> object:
        """A plugin with the settings of its table in the file."""
        from kinetic_auth_core.config.construct import make_plugin  # which needs this module

        made, self.plugin_rows[table.source] = make_plugin(table, cls, self)
        return made

    def as_reference(self, text: str) -> Reference | None:
        """The reference that a secret's text is; None if the text is the secret itself."""
        if "://" not in text:
            return None
        scheme = text.strip().partition("://")[0]
        return parse_reference(text, {loader.name for loader in self.allowed.search(KEY_LOADERS, scheme)})

    def select(self, provider: str | None, environment: str | None) -> "Configuration":
        """Choose provider and environment.

        Args:
            provider: As given to `resolve`, or None.
            environment: As given to `resolve`, or None.

        Raises:
            ConfigurationError: No provider is known, the environment is not in the file, or it names another provider.
        """
        name, named_by, passed_over = self._environment(environment, provider)
        table: Mapping[str, Any] = Table()
        if name is not None and self.file.path is not None:
            found = self.file.environment_named(name)
            if found is None:
                known = ", ".join(self.file.environments) or "none"
                raise ConfigurationError(
                    f"the environment {name!r} (from {named_by}) is not in {self.file.path}; "
                    f"it has: {known}{suggest(name, self.file.environments)}."
                )
            name, table = found, self.file.environments[found]
        keys = ("environments", name, "provider") if name and "provider" in table else ("defaults", "provider")
        own_provider = self._provider(table.get("provider", self.file.defaults.get("provider")), keys)
        wanted = own_provider if provider is None else provider
        if wanted is None:
            raise ConfigurationError(no_provider_problem(self.file, name))
        chosen = copy.copy(self)
        chosen.provider, chosen.passed_over = wanted, passed_over
        if name is None or own_provider is None or _is_same(own_provider, wanted):
            if own_provider is not None and ":" in own_provider and ":" not in wanted:
                chosen.provider = own_provider  # the file says whose
            chosen.environment, chosen.table = name, table
            chosen.named_by = self.file.source(*keys) if provider is None else None
            return chosen
        if named_by == "default_environment":
            return chosen
        if problem := self.environment_problem(wanted):
            raise UnknownProviderError(problem, remedy=how_to_name(wanted))
        raise ConfigurationError(
            f"the environment {name!r} (from {named_by}) is for the provider {own_provider!r}, "
            f"but {provider!r} was asked for.",
            remedy="Name one or the other, or an environment of that provider.",
        )

    def environment_problem(self, provider: str) -> str | None:
        """What to say of a provider that is the name of an environment; None if it is not."""
        name = self.file.environment_named(provider)
        return None if name is None else f"{provider!r} is an environment of {self.file.path}, not a provider."

    def _environment(self, environment: str | None, provider: str | None) -> tuple[str | None, str, str]:
        """The environment's name, what named it, and what `ENVIRONMENT` says if that was passed over.

        Other programs use `ENVIRONMENT` too. It stops nothing where the caller names a provider, or where the file has
        no environments.
        """
        if environment is not None:
            return environment, "the argument", ""
        if found := self.variables.find("KINETIC_AUTH_ENVIRONMENT"):
            return found[0].rstrip("\r\n"), found[1], ""
        if self.file.path is None:
            return None, "", ""
        passed_over = ""
        if found := self.variables.find("ENVIRONMENT"):
            ambient = found[0].rstrip("\r\n")
            why = self._why_not(ambient, provider)
            if not why:
                return ambient, found[1], ""
            passed_over = f"{found[1]}={ambient} is passed over: {why}"
        return self.file.default_environment, "default_environment", passed_over

    def _why_not(self, ambient: str, provider: str | None) -> str:
        """Why an ambient name is not taken for an environment; empty if it is, rightly or wrongly."""
        name = self.file.environment_named(ambient)
        if name is None:
            is_harmless = provider is not None or not self.file.environments
            return f"{self.file.path} has no such environment" if is_harmless else ""
        own = self.file.environments[name].get("provider", self.file.defaults.get("provider"))
        if provider is None or not isinstance(own, str) or "${" in own or _is_same(own, provider):
            return ""
        return f"that environment is for the provider {own!r}"

    def _provider(self, value: Any, keys: tuple[str, ...]) -> str | None:
        """The provider that the file names."""
        if value is None:
            return None
        try:
            value = interpolate(value, self.variables.lookup)
        except ValueError as error:
            raise ConfigurationError(f"{self.file.source(*keys)}: {error}.") from None
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{self.file.source(*keys)}: expected text, the name of a provider.")
        return value


def how_to_name(environment: str) -> str:
    """How to write what was meant by an environment that was given as a provider."""
    return f'Write resolve(environment="{environment}"), or kinetic-auth with -e {environment}.'


def _is_same(one: str, other: str) -> bool:
    """Whether two names of a provider mean the same: one may say whose it is, `<distribution>:<name>`."""
    (its, _, name), (theirs, _, other_name) = one.rpartition(":"), other.rpartition(":")
    return name == other_name and (not its or not theirs or normalized(its) == normalized(theirs))
