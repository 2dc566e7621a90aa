"""From arguments and configuration to a source: `resolve`, and `inspect` for all that is right or wrong with both."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from kinetic_auth_core.config.configuration import Configuration, Variables, how_to_name, quoted_values
from kinetic_auth_core.config.construct import located, refused, why_refused
from kinetic_auth_core.config.files import load_config
from kinetic_auth_core.config.merge import (
    Layer,
    MergedSettings,
    all_layers,
    keyword_layer,
    merge,
    name_suggestions,
    reference_suggestions,
)
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, UnknownProviderError
from kinetic_auth_core.locations import BUILTIN_SCHEMES, KNOWN_SCHEMES
from kinetic_auth_core.login.credentials import NO_SECRETS, Credentials, SecretLoader, references
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.identity import identity_of
from kinetic_auth_core.login.spec import (
    DEFAULT_OPTIONS,
    LoginSpec,
    SourceOptions,
    is_single_use,
    make_instance,
    rows_in_memory,
    says_never_stored,
    spec_for,
    store_problem,
)
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, AllowedPlugins, InstalledPlugin, normalized
from kinetic_auth_core.registry.hookspecs import LoginRequest
from kinetic_auth_core.registry.loading import (
    Observers,
    are_loading,
    check_reference,
    configured_observers,
    given_observers,
    load_authenticator,
)
from kinetic_auth_core.resolution.store import DEFAULT_STORE, StoreChoice, choose_store
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.settings.fields import setting
from kinetic_auth_core.settings.schema import ExplainedSetting, exactly_one_of, names_of_bytes, schema
from kinetic_auth_core.transport import connections
from kinetic_auth_core.transport.connections import Redirection

logger = logging.getLogger(__name__)


@secret_boundary
def resolve(
    provider: str | None = None,
    /,
    *,
    environment: str | None = None,
    config: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    observers: Iterable[object] = (),
    **settings: Any,
) -> SessionSource:
    """Choose provider and settings, check them, and return the source of sessions. Nothing is sent; no key is read.

        source = kinetic_auth_core.resolve("jwt-bearer")
        source = kinetic_auth_core.resolve(environment="prod")

    Args:
        provider: The provider's entry-point name; `<distribution>:<name>` where two distributions claim the name.
            Default: the one that the environment names.
        environment: A table `[environments.<name>]` of the config file. Default: `KINETIC_AUTH_ENVIRONMENT`, else
            `ENVIRONMENT` if there is a config file, else the file's `default_environment`.
        config: The config file. Default: `KINETIC_AUTH_CONFIG`, else `kinetic-auth.toml` in the working directory or a
            parent, else `[tool.kinetic-auth]` of a `pyproject.toml` there, else the user's config folder.
        env_file: The `.env` file. Default: the nearest in the working directory or a parent, if any.
        observers: Observers of its logins, beside those that are installed: instances.
        **settings: Settings of the provider, of the source and `store`; they win over everything else. None counts as
            not given.

    Returns:
        A source that has not logged in yet.

    Raises:
        UnknownProviderError: The provider is not installed.
        ProviderLoadError: It is installed, but does not import or does not fit the hookspec.
        ConfigurationError: Settings are missing, unknown, of the wrong type or contradictory, or observers that the
            config file requires cannot be loaded; all of them are named.
    """
    keywords = keyword_layer(settings)
    found = inspect(
        provider,
        environment=environment,
        config=config,
        env_file=env_file,
        keywords=keywords,
        observers=observers,
    )
    if found.spec is None:
        assert found.error is not None  # noqa: S101 - one or the other is there
        raise found.error
    return SessionSource._of(redirected_spec(found.spec))  # noqa: SLF001 - the one other place that makes sources


@attrs.frozen(eq=False, repr=False, match_args=False)
class Resolution:
    """What a configuration leads to, as far as it is valid, and what is wrong with it.

    Attributes:
        configuration: Files and variables, as far as they could be read, with provider and environment.
        cls: The provider's class, if it could be loaded.
        rows: Its settings; if the configuration is wrong, the valid ones.
        spec: What a source logs in with; None if something is wrong.
        error: What is wrong, or None.
    """

    configuration: Configuration = attrs.field(factory=Configuration)
    cls: type | None = None
    rows: tuple[ExplainedSetting, ...] = ()
    spec: LoginSpec | None = None
    error: ConfigurationError | None = None


def inspect(
    provider: str | None = None,
    *,
    environment: str | None = None,
    config: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    keywords: Layer | None = None,
    configuration: Configuration | None = None,
    observers: Iterable[object] = (),
    default_store: str = DEFAULT_STORE,
) -> Resolution:
    """Look at a configuration without stopping at the first mistake. Nothing is sent; no key is read.

    Args:
        provider: As for `resolve`.
        environment: As for `resolve`.
        config: As for `resolve`.
        env_file: As for `resolve`.
        keywords: The settings that the caller gives.
        configuration: Replaces `config` and `env_file`, if they are loaded already.
        observers: As for `resolve`.
        default_store: The store if the configuration names none.
    """
    keywords = dict(keywords or {})
    chosen: Configuration | None = None
    cls: type | None = None
    rows: tuple[ExplainedSetting, ...] = ()
    try:
        check_arguments(provider=provider, environment=environment, config=config, env_file=env_file)
        given = given_observers(observers)
        if "provider" in keywords:
            raise ConfigurationError('the provider is the first argument, without a name: resolve("jwt-bearer").')
        if configuration is None:
            variables = Variables.load(env_file)
            chosen = Configuration(variables)
            configuration = Configuration(variables, load_config(config, variables))
        chosen = configuration
        chosen = configuration.select(provider, environment)
        plugin, cls = _load(chosen)
        rows, problems, spec = _merge(plugin, cls, keywords, chosen, default_store)
        allowed = chosen.allowed
        configured, wrong = ((), ()) if are_loading() else chosen.observers.get(lambda: configured_observers(allowed))
        problems += wrong
        rows += tuple(row for of_plugin in chosen.plugin_rows.values() for row in of_plugin)
        if spec is None or problems:
            where = f" for the environment {chosen.environment!r}" if chosen.environment else ""
            raise ConfigurationError.of(f"Cannot configure {chosen.provider!r}{where}", problems)
        if configured or given or rows != spec.rows:
            spec = attrs.evolve(spec, rows=rows, observers=Observers(configured, given))
    except ConfigurationError as error:
        return Resolution(Configuration() if chosen is None else chosen, cls, rows, error=error)
    return Resolution(chosen, cls, rows, spec)


def _load(configuration: Configuration) -> tuple[InstalledPlugin, type]:
    name = configuration.provider
    try:
        if name not in configuration.loaded:
            configuration.loaded[name] = load_authenticator(name, configuration.allowed)
        return configuration.loaded[name]
    except UnknownProviderError as error:
        if configuration.named_by is None:
            if (problem := configuration.environment_problem(configuration.provider)) is None:
                raise
            raise UnknownProviderError(problem, remedy=how_to_name(configuration.provider)) from error
        what = f"{error.message.removesuffix('.')} (named by {configuration.named_by})."
        raise UnknownProviderError(what, remedy=error.remedy) from error


def _merge(
    plugin: InstalledPlugin, cls: type, keywords: dict[str, Any], configuration: Configuration, default_store: str
) -> tuple[tuple[ExplainedSetting, ...], list[str], LoginSpec | None]:
    """The settings of the provider, of the source and of its store: the rows, and the problems or the spec."""
    store = keywords.pop("store", None)
    settings = [*schema(cls), *schema(SourceOptions)]
    layers = all_layers(settings, keywords, configuration)
    prefix = configuration.variable_prefix
    merged = merge(settings, exactly_one_of(cls), layers, configuration.as_reference, prefix=prefix)
    _warn_of_an_empty_environment(configuration, layers)
    is_stored = not says_never_stored(cls)
    default = DEFAULT_STORE if not is_stored else "file" if is_single_use(cls) else default_store
    choice = choose_store(store.value if store else None, configuration, default)
    everything = {**merged.values, **{f"store.{name}": value for name, value in choice.values.items()}}
    rows, wrong = _check_references(everything, (*merged.rows, *choice.rows), configuration.allowed)
    rows = rows if is_stored else rows_in_memory(rows)
    if configuration.passed_over:
        row = ExplainedSetting("environment", configuration.environment, "default", secret=False)
        rows = (*rows, attrs.evolve(row, note=configuration.passed_over))
    suggestions = [
        *name_suggestions(settings, configuration, lambda: _settings_of_others(configuration.allowed)),
        *reference_suggestions(rows, everything, KNOWN_SCHEMES),
        *quoted_values(settings, rows, everything),
    ]
    problems = [*merged.problems, *choice.problems, *wrong]
    of_source = {each.name for each in schema(SourceOptions)} & merged.values.keys()
    options = DEFAULT_OPTIONS
    if of_source:
        try:
            options = SourceOptions(**{name: merged.values[name] for name in of_source})
        except ValueError:
            problems += refused(SourceOptions, merged)
    values = {name: value for name, value in merged.values.items() if name not in of_source}
    who = (plugin.name, normalized(plugin.distribution))
    has_references = any(references(values))
    allowed = configuration.allowed
    loader = SecretLoader(configuration.variables.lookup, allowed) if has_references else NO_SECRETS
    instances: tuple[Any, ...] = ()
    if merged.problems or has_references:
        problems += refused(cls, merged)
    else:
        try:
            instances = _instances(plugin.name, cls, values, rows)
        except ConfigurationError as error:
            found = why_refused(cls, merged, error.problems)
            if not problems and found == list(error.problems):
                raise  # it says all there is, perhaps with a remedy
            problems += found
    problems += _problems_of_files_and_store(cls, values, merged, choice)
    if problems:
        return rows, [*problems, *suggestions], None
    for each in suggestions:
        if each not in configuration.warned:
            configuration.warned.add(each)
            logger.warning("%s", each)
    spec = LoginSpec(
        provider=plugin.name,
        make=cls,
        values=values,
        rows=rows,
        distribution=plugin.owner,
        environment=configuration.environment,
        loader=loader,
        binary=names_of_bytes(cls),
        options=options,
        store=choice.open,
        allowed=allowed,
        is_grant=issubclass(cls, GrantAuthenticator),
        is_single_use=is_single_use(cls),
        instances=instances,
        cls=cls,
        never_stored=not is_stored,
        identity=identity_of(cls, values, who, loader, instances[0] if instances else None),
    )
    return rows, [], spec


def _problems_of_files_and_store(
    cls: type, values: Mapping[str, Any], merged: MergedSettings, choice: StoreChoice
) -> list[str]:
    """What is wrong with the client certificate's files, and with the store for this provider."""
    problems: list[str] = []
    if issubclass(cls, GrantAuthenticator) and values.get("client_cert") is not None:
        from kinetic_auth_core.transport.connections import client_certificate_problems

        found = client_certificate_problems(values["client_cert"], values.get("client_cert_key"))
        problems += located(found, merged.rows)
    if choice.cls is not None:
        problem = store_problem(cls, values.get("username"), choice.cls)
        where = next(row.source for row in choice.rows if row.name == "store")
        problems += [f"store (from {where}): {problem}"] if problem else []
    return problems


def _instances(
    provider: str, cls: type, values: Mapping[str, Any], rows: Sequence[ExplainedSetting]
) -> tuple[Any, ...]:
    """The provider's instance for each set of credentials: what only the whole can tell is reported now."""
    credentials = Credentials(values, NO_SECRETS)
    return tuple(make_instance(provider, cls, rows, credentials.load(number)) for number in range(credentials.count))


def _settings_of_others(allowed: AllowedPlugins) -> Iterator[set[str]]:
    """The names of the settings of each installed provider that loads, ours first."""
    for plugin in sorted(allowed.search(AUTHENTICATORS), key=lambda each: not each.target.startswith("kinetic_auth_")):
        try:
            cls = load_authenticator(f"{plugin.distribution}:{plugin.name}", allowed)[1]
        except ConfigurationError as error:
            logger.debug("%s", error)
        else:
            yield {each.name for each in schema(cls)}


def check_arguments(**arguments: object) -> None:
    """Check the types of the arguments of `resolve`.

    Raises:
        ConfigurationError: One has the wrong type; all of these are named.
    """
    problems = []
    for name, value in arguments.items():
        expected = "text" if name in ("provider", "environment") else "a path"
        if not isinstance(value, str | None if expected == "text" else str | os.PathLike | None):
            problems.append(f"{name}: expected {expected}, got {type(value).__name__}")
    if problems:
        raise ConfigurationError.of("Cannot resolve", problems)


def _warn_of_an_empty_environment(configuration: Configuration, layers: Sequence[Layer]) -> None:
    """An environment without a config file and without variables is misspelt, or the working folder is wrong."""
    prefix = configuration.variable_prefix
    if not prefix or configuration.file.path is not None:
        return
    if not any(value.source.startswith(prefix) for layer in layers for value in layer.values()):
        logger.warning(
            "environment %r: there is no config file, and no variable begins with %s; the plain SF_* are used",
            *(configuration.environment, prefix),
        )


def _check_references(
    values: dict[str, Any], rows: Sequence[ExplainedSetting], allowed: AllowedPlugins
) -> tuple[tuple[ExplainedSetting, ...], list[str]]:
    """The rows, those of references with a note on what loads them; and a sentence for each invalid reference."""
    sources = {row.name: row.source for row in rows}
    notes: dict[str, str] = {}
    problems = []
    for name, reference in references(values):
        if reference.scheme in BUILTIN_SCHEMES:
            notes[name] = "loaded by the core"
            continue
        try:
            notes[name] = f"loaded by {check_reference(reference, allowed).owner}"
        except KineticAuthError as error:
            problems.append(f"{name} (from {sources[name]}): {error}")
    noted = (
        attrs.evolve(row, note="; ".join(filter(None, (notes[row.name], row.note)))) if row.name in notes else row
        for row in rows
    )
    return tuple(noted), problems


@attrs.frozen
class EmulatorLogin(GrantAuthenticator):
    """Logs in at an emulator, instead of a provider that starts a program or a browser, or is not known to it."""

    client_id: str = setting(help="Consumer Key of the emulator's app.")
    client_secret: str = setting(help="Consumer Secret of the emulator's app.", secret=True)

    def grant(self, _request: LoginRequest) -> Mapping[str, str]:
        """The fields of the client credentials grant."""
        fields = {"client_id": self.client_id, "client_secret": self.client_secret}
        return {"grant_type": "client_credentials", **fields}


def redirected_spec(spec: LoginSpec) -> LoginSpec:
    """The spec to log in with: the one that was configured, or while logins are redirected, one for the emulator.

    That one has the emulator's credentials and keeps its session in memory. Of what was configured it has the name of
    the provider and its kind of login where the emulator has credentials for it, the API version, the observers that
    the application gave, and the options of the source but those that would refuse the emulator's org.

    Args:
        spec: What was configured.
    """
    target = connections.current_redirection()
    if target is None:
        return spec
    options = attrs.evolve(spec.options, expected_org_id=None, allowed_instance_hosts=None)
    replaced = spec_for(_authenticator(target, spec), options)
    return attrs.evolve(
        replaced,
        provider=spec.provider,
        environment=spec.environment,
        rows=tuple(attrs.evolve(row, source="redirect_logins") for row in replaced.rows),
        observers=Observers(given=spec.observers.given),
        allowed=spec.allowed,  # whose tables name the observers to leave out
    )


def _authenticator(target: Redirection, spec: LoginSpec) -> object:
    version = spec.displayed("api_version")
    more: dict[str, Any] = {} if version is None else {"api_version": version}
    cls = spec.cls
    is_own = cls is not None and cls.__module__.startswith("kinetic_auth_") and not spec.is_single_use
    if cls is not None and is_own:
        try:
            return cls(**target.settings(spec.provider), **more)
        except ValueError:  # the emulator has no credentials for this provider
            pass
    return EmulatorLogin(**target.settings("client-credentials"), **more)
