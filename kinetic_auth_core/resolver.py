"""From a name and the deployment's config to a source: `resolve`."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.config.environments import Selection, select
from kinetic_auth_core.config.files import ConfigFile, load_config
from kinetic_auth_core.config.layers import Layer, Settled, all_layers, keyword_layer, settle
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, UnknownProviderError
from kinetic_auth_core.login import Plan, Values, make_instance
from kinetic_auth_core.references import BUILTIN_SCHEMES, Reference, parse_reference
from kinetic_auth_core.registry import KEY_LOADERS, check_reference, installed, load_authenticator
from kinetic_auth_core.settings import ExplainedSetting, exactly_one_of, schema
from kinetic_auth_core.source import SessionSource

logger = logging.getLogger(__name__)


def resolve(
    provider: str | None = None,
    /,
    *,
    environment: str | None = None,
    config: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> SessionSource:
    """Choose provider and settings, check them, and give the source of sessions. Nothing is sent; no key is read.

        source = kinetic_auth_core.resolve("jwt-bearer")
        source = kinetic_auth_core.resolve(environment="prod")

    Args:
        provider: The provider's entry-point name. Left out: the one that the environment names.
        environment: A table `[environments.<name>]` of the config file. Left out: `KINETIC_AUTH_ENVIRONMENT`, else
            `ENVIRONMENT` when there is a config file, else the file's `default_environment`.
        config: The config file. Left out: `KINETIC_AUTH_CONFIG`, else `kinetic-auth.toml` in the working directory or a
            parent, else `[tool.kinetic-auth]` of a `pyproject.toml` there, else the user's config folder.
        env_file: The `.env` file. Left out: the nearest in the working directory or a parent, if any.
        **settings: Settings of the provider; they win over everything else. None counts as not given.

    Returns:
        A source that has not logged in yet.

    Raises:
        UnknownProviderError: No such provider is installed.
        ProviderLoadError: It is installed, but does not import or does not fit the hookspec.
        ConfigurationError: Settings are missing, unknown, of the wrong type or contradictory; all of them are named.
    """
    keywords = keyword_layer(settings)
    del settings  # secrets: not among the locals of a traceback
    found = examine(provider, environment=environment, config=config, env_file=env_file, keywords=keywords)
    if found.plan is None:
        assert found.error is not None  # noqa: S101 - one or the other is there
        raise found.error
    return SessionSource._of(found.plan)  # noqa: SLF001 - the one other place that makes sources


@attrs.frozen
class Examination:
    """What a configuration leads to, as far as it is right, and what is wrong with it.

    Attributes:
        config_file: The config file that is used, or None.
        env_file: The `.env` file that is used, or None.
        selection: Provider and environment, where that much is clear.
        cls: The provider's class, where it could be loaded.
        rows: Its settings; where the configuration is wrong, those that are right.
        plan: What a source logs in with; None where something is wrong.
        error: What is wrong, or None.
    """

    config_file: Path | None = None
    env_file: Path | None = None
    selection: Selection | None = None
    cls: type | None = None
    rows: tuple[ExplainedSetting, ...] = ()
    plan: Plan | None = None
    error: ConfigurationError | None = None


def examine(
    provider: str | None = None,
    *,
    environment: str | None = None,
    config: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    keywords: Layer | None = None,
) -> Examination:
    """Look at a configuration without stopping at the first mistake. Nothing is sent; no key is read.

    Args:
        provider: As for `resolve`, and so are the next three.
        environment: See there.
        config: See there.
        env_file: See there.
        keywords: What the caller gives.
    """
    found = Examination()
    try:
        _check_arguments(provider=provider, environment=environment, config=config, env_file=env_file)
        if "provider" in (keywords or {}):
            raise ConfigurationError('the provider is the first argument, without a name: resolve("jwt-bearer").')
        variables = Variables.load(env_file)
        found = attrs.evolve(found, env_file=variables.layers[-1].path)
        file = load_config(config, variables)
        found = attrs.evolve(found, config_file=file.path if file else None)
        selection = select(provider, environment, file, variables)
        found = attrs.evolve(found, selection=selection)
        try:
            plugin, cls = load_authenticator(selection.provider)
        except UnknownProviderError as error:
            if selection.named_by is None:
                raise
            what = f"{error.message.removesuffix('.')} (named by {selection.named_by})."
            raise UnknownProviderError(what, remedy=error.remedy) from error
        found = attrs.evolve(found, cls=cls)
        schemes = {loader.name for loader in installed(KEY_LOADERS)}
        layers = all_layers(schema(cls), keywords or {}, selection, file, variables)
        settled = settle(
            schema(cls),
            exactly_one_of(cls),
            layers,
            lambda text: parse_reference(text, schemes),
            prefix=selection.variable_prefix or "",
        )
        _warn_of_an_empty_environment(selection, file, layers)
        found = attrs.evolve(found, rows=settled.rows)
        if problems := [*settled.problems, *_unfit_references(settled)]:
            where = f" for the environment {selection.environment!r}" if selection.environment else ""
            raise ConfigurationError.of(f"Cannot configure {selection.provider!r}{where}", problems)
        plan = Plan(
            provider=selection.provider,
            make=cls,
            values=settled.values,
            rows=settled.rows,
            distribution=f"{plugin.distribution} {plugin.version}",
            environment=selection.environment,
            lookup=variables.lookup,
        )
        if not any(isinstance(value, Reference) for value in settled.values.values()):
            make_instance(plan, Values(settled.values))  # what only the whole instance can tell is told now
    except ConfigurationError as error:
        return attrs.evolve(found, error=error)
    return attrs.evolve(found, plan=plan)


def _check_arguments(**arguments: object) -> None:
    problems = []
    for name, value in arguments.items():
        expected = "text" if name in ("provider", "environment") else "a path"
        if not isinstance(value, str | None if expected == "text" else str | os.PathLike | None):
            problems.append(f"{name}: expected {expected}, got {type(value).__name__}")
    if problems:
        raise ConfigurationError.of("Cannot resolve", problems)


def _warn_of_an_empty_environment(selection: Selection, file: ConfigFile | None, layers: Sequence[Layer]) -> None:
    """An environment that nothing speaks of is a misspelt one, or the wrong folder."""
    own = [name for layer in layers for name, given in layer.items() if given.source.startswith(_prefix(selection))]
    if selection.environment is not None and file is None and not own:
        logger.warning(
            "environment %r: there is no config file, and no variable begins with %s; the plain SF_* are used",
            *(selection.environment, _prefix(selection)),
        )


def _prefix(selection: Selection) -> str:
    return selection.variable_prefix or "\0"


def _unfit_references(settled: Settled) -> list[str]:
    """A sentence for each reference that has no key loader, or in which its key loader finds a mistake."""
    problems = []
    for row in settled.rows:
        value = settled.values.get(row.name)
        if isinstance(value, Reference) and value.scheme not in BUILTIN_SCHEMES:
            try:
                check_reference(value)
            except KineticAuthError as error:
                problems.append(f"{row.name} (from {row.source}): {error}")
    return problems
