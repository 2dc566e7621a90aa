"""What a configuration leads to: provider, settings, source options and store, or everything that is wrong with it."""

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from kinetic_auth_core.config.environment import Selection, select
from kinetic_auth_core.config.files import ConfigFile, load_config
from kinetic_auth_core.config.merge import Layer, all_layers, settle
from kinetic_auth_core.config.suggestions import near_misses, near_references
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, UnknownProviderError
from kinetic_auth_core.login.credentials import Credentials, SecretLoader, references
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.spec import LoginSpec, SourceOptions, make_instance, plain_secret
from kinetic_auth_core.registry.discovery import ALL_ALLOWED, KEY_LOADERS, AllowedPlugins, InstalledPlugin, installed
from kinetic_auth_core.registry.loading import check_reference, load_authenticator
from kinetic_auth_core.registry.references import (
    BUILTIN_SCHEMES,
    KNOWN_SCHEMES,
    Reference,
    parse_reference,
)
from kinetic_auth_core.resolution.store import choose_store
from kinetic_auth_core.settings.schema import ExplainedSetting, exactly_one_of, schema

logger = logging.getLogger(__name__)

T = TypeVar("T")


@attrs.frozen
class Surroundings:
    """Where settings come from beside keywords: the variables and the config file, as they are now.

    What is looked up among the installed plugins is kept, too: many sources may be made in the same surroundings.
    """

    variables: Variables = attrs.field(repr=False)
    file: ConfigFile | None = attrs.field(repr=False)
    _kept: dict[tuple[str, str], Any] = attrs.field(init=False, repr=False, factory=dict)

    @property
    def allowed(self) -> AllowedPlugins:
        """Whose plugins may be loaded, as the config file says."""
        return self.file.allowed if self.file else ALL_ALLOWED

    @property
    def schemes(self) -> set[str]:
        """Those of the installed key loaders; listed when a value first looks like a reference, as that takes time."""
        return self.kept("schemes", "", lambda: {loader.name for loader in installed(KEY_LOADERS)})

    def kept(self, what: str, name: str, look_up: Callable[[], T]) -> T:
        """What `look_up` gave when it was called for this first."""
        key = (what, name)
        if key not in self._kept:
            self._kept[key] = look_up()
        found: T = self._kept[key]
        return found

    @classmethod
    def load(cls, config: str | os.PathLike[str] | None, env_file: str | os.PathLike[str] | None) -> "Surroundings":
        """Find and read them.

        Raises:
            ConfigurationError: A file is missing, unreadable, no TOML, or not to be trusted.
        """
        _check_arguments(config=config, env_file=env_file)
        variables = Variables.load(env_file)
        return cls(variables, load_config(config, variables))


@attrs.frozen
class Examination:
    """What a configuration leads to, as far as it is right, and what is wrong with it.

    Attributes:
        config_file: The config file that is used, or None.
        env_file: The `.env` file that is used, or None.
        selection: Provider and environment, where that much is clear.
        cls: The provider's class, where it could be loaded.
        rows: Its settings; where the configuration is wrong, those that are right.
        spec: What a source logs in with; None where something is wrong.
        error: What is wrong, or None.
    """

    config_file: Path | None = None
    env_file: Path | None = None
    selection: Selection | None = None
    cls: type | None = None
    rows: tuple[ExplainedSetting, ...] = ()
    spec: LoginSpec | None = None
    error: ConfigurationError | None = None


def examine(
    provider: str | None = None,
    *,
    environment: str | None = None,
    config: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    keywords: Layer | None = None,
    surroundings: Surroundings | None = None,
) -> Examination:
    """Look at a configuration without stopping at the first mistake. Nothing is sent; no key is read.

    Args:
        provider: As for `resolve`, and so are the next three.
        environment: See there.
        config: See there.
        env_file: See there.
        keywords: What the caller gives.
        surroundings: In place of `config` and `env_file`, where they are loaded already.
    """
    found = Examination()
    keywords = dict(keywords or {})
    try:
        _check_arguments(provider=provider, environment=environment, config=config, env_file=env_file)
        if "provider" in keywords:
            raise ConfigurationError('the provider is the first argument, without a name: resolve("jwt-bearer").')
        if surroundings is None:
            variables = Variables.load(env_file)
            found = attrs.evolve(found, env_file=variables.layers[-1].path)
            surroundings = Surroundings(variables, load_config(config, variables))
        file, variables = surroundings.file, surroundings.variables
        found = attrs.evolve(found, env_file=variables.layers[-1].path, config_file=file.path if file else None)
        selection = select(provider, environment, file, variables)
        found = attrs.evolve(found, selection=selection)
        plugin, cls = surroundings.kept(
            "authenticator", selection.provider, lambda: _load(selection, surroundings.allowed)
        )
        found = attrs.evolve(found, cls=cls)
        rows, problems, spec = _settle(plugin, cls, keywords, selection, surroundings)
        found = attrs.evolve(found, rows=rows)
        if spec is None:
            where = f" for the environment {selection.environment!r}" if selection.environment else ""
            raise ConfigurationError.of(f"Cannot configure {selection.provider!r}{where}", problems)
        if not any(references(spec.values)):
            spec = attrs.evolve(spec, instances=_instances(spec))
    except ConfigurationError as error:
        return attrs.evolve(found, error=error)
    return attrs.evolve(found, spec=spec)


def _load(selection: Selection, allowed: AllowedPlugins) -> tuple[InstalledPlugin, type]:
    try:
        return load_authenticator(selection.provider, allowed)
    except UnknownProviderError as error:
        if selection.named_by is None:
            raise
        what = f"{error.message.removesuffix('.')} (named by {selection.named_by})."
        raise UnknownProviderError(what, remedy=error.remedy) from error


def _settle(
    plugin: InstalledPlugin, cls: type, keywords: dict[str, Any], selection: Selection, surroundings: Surroundings
) -> tuple[tuple[ExplainedSetting, ...], list[str], LoginSpec | None]:
    """All settings, those of the provider, of the source and of its store: the rows, and the problems or the spec."""
    variables, file = surroundings.variables, surroundings.file

    def as_reference(text: str) -> Reference | None:
        return parse_reference(text, surroundings.schemes) if "://" in text else None

    store = keywords.pop("store", None)
    settings = [*schema(cls), *schema(SourceOptions)]
    layers = all_layers(settings, keywords, selection, file, variables)
    settled = settle(settings, exactly_one_of(cls), layers, as_reference, prefix=selection.variable_prefix or "")
    _warn_of_an_empty_environment(selection, file, layers)
    choice = choose_store(store.value if store else None, selection, file, variables, as_reference)
    rows = (*settled.rows, *choice.rows)
    named = [*references(settled.values), *((f"store.{name}", each) for name, each in references(choice.values))]
    rows, unfit = _looked_at(named, rows, surroundings.allowed)
    who = f"{selection.provider} {selection.environment}"
    misspelt = surroundings.kept("misspelt", who, lambda: near_misses(settings, selection, file, variables))
    given = {**settled.values, **{f"store.{name}": value for name, value in choice.values.items()}}
    misspelt = [*misspelt, *near_references(rows, given, KNOWN_SCHEMES)]
    if problems := [*settled.problems, *choice.problems, *unfit]:
        return rows, [*problems, *misspelt], None
    for each in misspelt:
        surroundings.kept("told", each, partial(logger.warning, "%s", each))
    of_source = {each.name for each in schema(SourceOptions)}
    values = {name: value for name, value in settled.values.items() if name not in of_source}
    spec = LoginSpec(
        provider=selection.provider,
        make=cls,
        values=values,
        rows=rows,
        distribution=plugin.owner,
        environment=selection.environment,
        lookup=variables.lookup,
        binary=[each.name for each in schema(cls) if each.takes_bytes],
        options=SourceOptions(**{name: settled.values[name] for name in of_source if name in settled.values}),
        store=choice.open,
        allowed=surroundings.allowed,
        origin=plugin.distribution,
        is_grant=issubclass(cls, GrantAuthenticator),
        secrets={
            each.name: plain_secret(values[each.name]) for each in schema(cls) if each.secret and each.name in values
        },
    )
    return rows, [], spec


def _instances(spec: LoginSpec) -> tuple[Any, ...]:
    """The provider's instance for each set of credentials: what only the whole can tell is reported now."""
    credentials = Credentials(spec.values, SecretLoader(spec.lookup, spec.allowed))
    return tuple(make_instance(spec, credentials.load(number)) for number in range(credentials.count))


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


def _looked_at(
    named: Sequence[tuple[str, Reference]], rows: Sequence[ExplainedSetting], allowed: AllowedPlugins
) -> tuple[tuple[ExplainedSetting, ...], list[str]]:
    """The rows, those of references with a note on who loads them; and a sentence for each reference that is unfit."""
    sources = {row.name: row.source for row in rows}
    notes: dict[str, str] = {}
    problems = []
    for name, reference in named:
        if reference.scheme in BUILTIN_SCHEMES:
            notes[name] = "loaded by the core"
            continue
        try:
            notes[name] = f"loaded by {check_reference(reference, allowed).owner}"
        except KineticAuthError as error:
            problems.append(f"{name} (from {sources[name]}): {error}")
    return tuple(attrs.evolve(row, note=notes.get(row.name, row.note)) for row in rows), problems
