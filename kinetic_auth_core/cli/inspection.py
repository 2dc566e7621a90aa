"""A look at the configuration that does not stop at the first mistake: what was found, and what is wrong with it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.cli.options import Choice
from kinetic_auth_core.config.environments import Selection, select
from kinetic_auth_core.config.files import ConfigFile, load_config
from kinetic_auth_core.config.layers import all_layers, settle
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.references import parse_reference
from kinetic_auth_core.registry import KEY_LOADERS, installed, load_authenticator
from kinetic_auth_core.resolver import resolve
from kinetic_auth_core.settings import ExplainedSetting, exactly_one_of, schema


@attrs.frozen
class Inspection:
    """What a `Choice` leads to.

    Attributes:
        config_file: The config file that is used, or None.
        env_file: The `.env` file that is used, or None.
        provider: The provider, where that much is clear.
        environment: The environment of the config file, or None.
        rows: Its settings; where the configuration is wrong, those that are right.
        error: What is wrong with the configuration, or None.
    """

    config_file: Path | None
    env_file: Path | None
    provider: str | None = None
    environment: str | None = None
    rows: tuple[ExplainedSetting, ...] = ()
    error: ConfigurationError | None = None


def inspect(choice: Choice) -> Inspection:
    """Find out what a choice leads to. Nothing is sent; no key is read.

    Raises:
        ConfigurationError: The files cannot even be read.
    """
    variables = Variables.load(choice.env_file)
    file = load_config(choice.config, variables)
    found = Inspection(file.path if file else None, variables.layers[-1].path)
    try:
        source = resolve(
            choice.provider, environment=choice.environment, config=choice.config, env_file=choice.env_file
        )
    except ConfigurationError as error:
        return attrs.evolve(found, error=error, **_what_is_right(choice, file, variables))
    return attrs.evolve(found, provider=source.provider, environment=source.environment, rows=source.explain())


def provider_class(choice: Choice) -> tuple[Selection, type]:
    """The provider's class that a choice leads to, and how it was chosen.

    Raises:
        ConfigurationError: There is none.
    """
    variables = Variables.load(choice.env_file)
    selection = select(choice.provider, choice.environment, load_config(choice.config, variables), variables)
    return selection, load_authenticator(selection.provider)[1]


def _what_is_right(choice: Choice, file: ConfigFile | None, variables: Variables) -> dict[str, Any]:
    """The fields of an `Inspection` that can be told of a wrong configuration."""
    known: dict[str, Any] = {}
    try:
        selection = select(choice.provider, choice.environment, file, variables)
        known.update(provider=selection.provider, environment=selection.environment)
        cls = load_authenticator(selection.provider)[1]
    except ConfigurationError:
        return known
    schemes = {loader.name for loader in installed(KEY_LOADERS)}
    layers = all_layers(schema(cls), {}, selection, file, variables)
    settled = settle(schema(cls), exactly_one_of(cls), layers, lambda text: parse_reference(text, schemes))
    known["rows"] = tuple(_without_missing(cls, settled.rows))
    return known


def _without_missing(cls: type, rows: Iterable[ExplainedSetting]) -> Iterable[ExplainedSetting]:
    required = {each.name for each in schema(cls) if each.required}
    return (row for row in rows if not (row.name in required and row.source == "default"))
