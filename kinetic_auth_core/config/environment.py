"""Which environment of the config file applies, and which provider it names."""

import re
from collections.abc import Mapping
from typing import Any

import attrs

from kinetic_auth_core.config.files import ConfigFile, Table, searched_places
from kinetic_auth_core.config.variables import Variables, interpolate
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.settings.schema import near


@attrs.frozen
class Selection:
    """What was chosen.

    Attributes:
        provider: The provider's entry-point name.
        environment: The environment's name, or None.
        table: That environment's table in the file, its values as written; empty where there is none.
        named_by: The key of the file that names the provider; None where the caller did.
    """

    provider: str
    environment: str | None = None
    table: Mapping[str, Any] = attrs.field(factory=Table, repr=False)
    named_by: str | None = None

    @property
    def variable_prefix(self) -> str | None:
        """`PROD_` for the environment `prod`: what stands before `SF_*` in its own variables."""
        return None if self.environment is None else re.sub(r"\W", "_", self.environment).upper() + "_"


def select(provider: str | None, environment: str | None, file: ConfigFile | None, variables: Variables) -> Selection:
    """Choose provider and environment.

    Args:
        provider: As given to `resolve`, or None.
        environment: As given to `resolve`, or None.
        file: The config file, or None.
        variables: The environment variables.

    Raises:
        ConfigurationError: No provider is known, the environment is not in the file, or its provider is another one.
    """
    name, named_by = _name(environment, file, variables)
    if name is not None and file is not None and name not in file.environments:
        known = ", ".join(file.environments) or "none"
        raise ConfigurationError(
            f"the environment {name!r} (from {named_by}) is not in {file.path}; "
            f"it has: {known}{near(name, file.environments)}."
        )
    table = file.environments[name] if file is not None and name is not None else Table()
    own_provider = None if file is None else _provider_of(file, name, table, variables)
    if provider is None:
        if own_provider is None:
            raise ConfigurationError(*_no_provider(file, name))
        return Selection(own_provider, name, table, file.source(*_provider_keys(name, table)) if file else None)
    if name is None or own_provider in (None, provider):
        return Selection(provider, name, table)
    if named_by == "default_environment":
        return Selection(provider)
    raise ConfigurationError(
        f"the environment {name!r} (from {named_by}) is for the provider {own_provider!r}, "
        f"but {provider!r} was asked for.",
        remedy="Name one or the other, or an environment of that provider.",
    )


def _name(environment: str | None, file: ConfigFile | None, variables: Variables) -> tuple[str | None, str]:
    if environment is not None:
        return environment, "the argument"
    if found := variables.find("KINETIC_AUTH_ENVIRONMENT"):
        return found
    if file is None:
        return None, ""
    return variables.find("ENVIRONMENT") or (file.default_environment, "default_environment")


def _provider_of(file: ConfigFile, name: str | None, table: Mapping[str, Any], variables: Variables) -> str | None:
    keys = _provider_keys(name, table)
    value = table.get("provider", file.defaults.get("provider"))
    if value is None:
        return None
    try:
        value = interpolate(value, variables.lookup)
    except ValueError as error:
        raise ConfigurationError(f"{file.source(*keys)}: {error}.") from None
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{file.source(*keys)}: expected text, the name of a provider.")
    return value


def _provider_keys(name: str | None, table: Mapping[str, Any]) -> tuple[str, ...]:
    return ("environments", name, "provider") if name and "provider" in table else ("defaults", "provider")


def _no_provider(file: ConfigFile | None, name: str | None) -> tuple[str]:
    how = 'resolve("jwt-bearer"), kinetic-auth login jwt-bearer, or provider = "..." in a config file'
    if file is None:
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
    return (f"no provider was named, {why}. Name one: {how}.",)
