"""The configuration besides keywords: environment variables and config file, read once, and the environment chosen."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.concurrency import Lazy
from kinetic_auth_core.config.files import ConfigFile, Table, load_config, searched_places, variable_prefix
from kinetic_auth_core.config.variables import Variables, interpolate
from kinetic_auth_core.errors import ConfigurationError, UnknownProviderError, suggest
from kinetic_auth_core.locations import Reference, parse_reference
from kinetic_auth_core.registry.discovery import KEY_LOADERS, AllowedPlugins, InstalledPlugin, PluginTable, normalized
from kinetic_auth_core.settings.schema import ExplainedSetting


@attrs.frozen(eq=False, repr=False, match_args=False)
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

    variables: Variables = attrs.field(default=Variables(()), repr=False)
    file: ConfigFile = attrs.field(factory=ConfigFile, repr=False)
    provider: str = ""
    environment: str | None = None
    table: Mapping[str, Any] = attrs.field(factory=Table, repr=False)
    named_by: str | None = None
    allowed: AllowedPlugins = attrs.field(
        default=attrs.Factory(lambda self: self._allowed().searched_once(), takes_self=True), repr=False
    )
    warned: set[str] = attrs.field(factory=set, repr=False)
    observers: Lazy[Any] = attrs.field(factory=Lazy, repr=False, eq=False)
    loaded: dict[str, tuple[InstalledPlugin, type]] = attrs.field(factory=dict, repr=False, eq=False)
    plugin_rows: dict[str, tuple[ExplainedSetting, ...]] = attrs.field(factory=dict, repr=False, eq=False)
    passed_over: str = ""

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

    @property
    def variable_prefix(self) -> str:
        """`PROD_` for the environment `prod`: the prefix of its own `SF_*` variables; empty without an environment."""
        return "" if self.environment is None else variable_prefix(self.environment)

    def _allowed(self) -> AllowedPlugins:
        """Which plugins may be loaded; those with a table in the file are made with its settings."""
        from kinetic_auth_core.config.construct import make_plugin  # which needs this module

        def make(table: PluginTable, cls: type) -> object:
            made, self.plugin_rows[table.source] = make_plugin(table, cls, self)
            return made

        tables = {key: attrs.evolve(table, make=make) for key, table in self.file.allowed.tables.items()}
        return attrs.evolve(self.file.allowed, tables=tables)

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
        chosen = own_provider if provider is None else provider
        if chosen is None:
            raise ConfigurationError(_no_provider(self.file, name))
        if name is None or own_provider is None or _is_same(own_provider, chosen):
            key = self.file.source(*keys) if provider is None else None
            if own_provider is not None and ":" in own_provider and ":" not in chosen:
                chosen = own_provider  # the file says whose
            return attrs.evolve(
                self, provider=chosen, environment=name, table=table, named_by=key, passed_over=passed_over
            )
        if named_by == "default_environment":
            return attrs.evolve(self, provider=chosen, passed_over=passed_over)
        if problem := self.environment_problem(chosen):
            raise UnknownProviderError(problem, remedy=how_to_name(chosen))
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
            return *found, ""
        if self.file.path is None:
            return None, "", ""
        passed_over = ""
        if found := self.variables.find("ENVIRONMENT"):
            why = self._why_not(found[0], provider)
            if not why:
                return *found, ""
            passed_over = f"{found[1]}={found[0]} is passed over: {why}"
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


def _no_provider(file: ConfigFile, name: str | None) -> str:
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
