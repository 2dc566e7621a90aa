"""What a configuration leads to, a spec to log in with, or all that is wrong with it: the work of `resolve`.

Provider and settings, references, and the session store: the `store` table, or a name alone.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.config.construct import located, refusals, refused, why_refused
from kinetic_auth_core.config.environment import (
    Configuration,
    Variables,
    how_to_name,
    interpolate,
    quoted_values,
    secrets_with_line_ends,
)
from kinetic_auth_core.config.files import load_config
from kinetic_auth_core.config.merge import (
    Layer,
    MergedSettings,
    all_layers,
    environment_layers,
    file_layer,
    keyword_layer,
    merge,
    name_suggestions,
    reference_suggestions,
    variable_layers,
)
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, UnknownProviderError
from kinetic_auth_core.locations import KNOWN_SCHEMES
from kinetic_auth_core.login.credentials import NO_SECRETS, Credentials, SecretLoader, check_references, references
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
    store_problem,
)
from kinetic_auth_core.redaction import describe, mask, redact_error, redacted_cause
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, AllowedPlugins, InstalledPlugin, normalized
from kinetic_auth_core.registry.loading import (
    Observers,
    are_loading,
    configured_observers,
    given_observers,
    import_modules_of,
    load_authenticator,
    load_session_store,
)
from kinetic_auth_core.settings.schema import (
    ExplainedSetting,
    KeyList,
    Setting,
    exactly_one_of,
    names_of_bytes,
    schema,
    texts_in,
)
from kinetic_auth_core.stores.base import SessionStore

logger = logging.getLogger(__name__)

#: The store if none is named: the process's own memory.
DEFAULT_STORE = "memory"


class StoreChoice:
    """The chosen store.

    Attributes:
        open: Makes the store; or the caller's own store, which the caller closes; None for the process's own memory.
        rows: For `explain()`.
        problems: Everything that is wrong, as sentences.
        values: The store's settings, some of them references.
        cls: The store's class; None: this process's memory, or nobody knows.
    """

    def __init__(
        self,
        open: SessionStore | Callable[[], SessionStore] | None,  # noqa: A002 - the attribute's name
        rows: tuple[ExplainedSetting, ...],
        problems: tuple[str, ...] = (),
        values: Mapping[str, Any] | None = None,
        cls: type[SessionStore] | None = None,
    ) -> None:
        self.open, self.rows, self.problems, self.values, self.cls = open, rows, problems, values or {}, cls


_MEMORY = StoreChoice(None, (ExplainedSetting("store", DEFAULT_STORE, "default", secret=False),))


class _Opener:
    """Makes the store."""

    def __init__(self, cls: type[SessionStore], credentials: Credentials, rows: Sequence[ExplainedSetting]) -> None:
        self.cls, self.credentials, self.rows = cls, credentials, rows

    def __call__(self) -> SessionStore:
        values = self.credentials.load(0).by_name
        secrets = list(texts_in([values.get(each.name) for each in schema(self.cls) if each.secret]))
        try:
            return self.cls(**values)
        except ConfigurationError as error:
            raise_interruption(error)
            redact_error(error, secrets)
            found = refusals(self.cls, values)  # attrs says neither which setting it is nor more than the first
            problems = located([f"{name}: {why}" for name, why in found.items()] or error.problems, self.rows)
            failure: KineticAuthError = ConfigurationError.of("Cannot make the store", problems)
            failure.remedy = error.remedy
            cause = error.__cause__
        except KineticAuthError as error:
            raise_interruption(error)
            redact_error(error, secrets)
            raise
        except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
            raise_interruption(error)
            cause = redacted_cause(error, secrets)
            what = mask(str(error), secrets) if isinstance(error, ValueError | TypeError) else describe(cause)
            failure = KineticAuthError(what)
        raise failure from cause

    def import_modules(self) -> None:
        """Import what the store needs, and the key loaders of its settings."""
        import_modules_of(self.cls)
        self.credentials.import_modules()


class _Named(NamedTuple):
    """The place that names the store, and the settings beside the name."""

    name: object
    source: str
    layer: Callable[[Sequence[Setting]], Layer]


class Resolution(NamedTuple):
    """What a configuration leads to, as far as it is valid, and what is wrong with it.

    Attributes:
        configuration: Files and variables, as far as they could be read, with provider and environment.
        cls: The provider's class, if it could be loaded.
        rows: Its settings; if the configuration is wrong, the valid ones.
        spec: What a source logs in with; None if something is wrong.
        error: What is wrong, or None.
    """

    configuration: Configuration
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
        if isinstance(spec, ConfigurationError) and problems == list(spec.problems):
            raise spec  # it says all there is, perhaps with a remedy
        if not isinstance(spec, LoginSpec) or problems:
            where = f" for the environment {chosen.environment!r}" if chosen.environment else ""
            refused = ConfigurationError.of(f"Cannot configure {chosen.provider!r}{where}", problems)
            refused.remedy = chosen.remedy_for_missing(problems, rows)
            raise refused
        if configured or given or rows != spec.rows:
            spec = attrs.evolve(spec, rows=rows, observers=Observers(configured, given))
    except ConfigurationError as error:
        rows = _valid(rows, error.problems, cls)
        return Resolution(Configuration() if chosen is None else chosen, cls, rows, error=error)
    return Resolution(chosen, cls, rows, spec)


def _valid(
    rows: tuple[ExplainedSetting, ...], problems: Iterable[str], cls: type | None
) -> tuple[ExplainedSetting, ...]:
    """The rows without those of settings that a check refused, which may be anything, also a misplaced secret.

    Defaults that are computed from other settings are left out with them.
    """
    refused = {problem.partition("): ")[0] for problem in problems}
    valid = tuple(row for row in rows if f"{row.name} (from {row.source}" not in refused)
    if cls is None or len(valid) == len(rows):
        return valid
    computed = {each.name for each in schema(cls) if each.default_row is None}
    return tuple(row for row in valid if row.source != "default" or row.name not in computed)


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
) -> tuple[tuple[ExplainedSetting, ...], list[str], LoginSpec | ConfigurationError | None]:
    """The settings of the provider, of the source and of its store: the rows, the problems, and the spec.

    In place of the spec, where the class alone refused its settings, its error, whose problems are among those.
    """
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
    rows, wrong = check_references(everything, (*merged.rows, *choice.rows), configuration.allowed)
    rows = rows if is_stored else rows_in_memory(rows)
    if configuration.passed_over:
        row = ExplainedSetting("environment", configuration.environment, "default", secret=False)
        rows = (*rows, attrs.evolve(row, note=configuration.passed_over))
    suggestions = [
        *name_suggestions(settings, configuration, lambda: _settings_of_others(configuration.allowed)),
        *reference_suggestions(rows, everything, KNOWN_SCHEMES),
        *quoted_values(settings, rows, everything),
        *secrets_with_line_ends(settings, rows, everything),
        *(_variables_without_a_store(configuration, choice) if is_stored else ()),
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
    refusal: ConfigurationError | None = None
    if merged.problems or has_references:
        problems += refused(cls, merged)
    else:
        try:
            sets = Credentials(values, NO_SECRETS)
            # One instance for each: what only the whole can tell is reported now.
            instances = tuple(make_instance(plugin.name, cls, rows, sets.load(each)) for each in range(sets.count))
        except ConfigurationError as error:
            found = why_refused(cls, merged, error.problems)
            if found == list(error.problems):
                refusal = error
            problems += found
    problems += _problems_of_files_and_store(cls, values, merged, choice)
    if problems:
        return rows, [*problems, *suggestions], refusal
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


#: Variables that are meant for a store, and not for the one that the command has where none is named.
_STORE_VARIABLES = ("SF_STORE_NAME", "SF_STORE_URL")


def _variables_without_a_store(configuration: Configuration, choice: StoreChoice) -> list[str]:
    """The variables of a store that do not count, because no store is named: a sentence."""
    if not any(row.name == "store" and row.source == "default" for row in choice.rows):
        return []
    prefixes = dict.fromkeys((configuration.variable_prefix, ""))
    found = [
        layer.source(prefix + name)
        for layer in configuration.variables.layers
        for prefix in prefixes
        for name in _STORE_VARIABLES
        if layer.get(prefix + name) is not None
    ]
    variable = f"{configuration.variable_prefix}SF_STORE"
    return (
        [f"no store is named, so this does not count: {', '.join(found)}; set {variable} to its name"] if found else []
    )


def choose_store(keyword: object, configuration: Configuration, default: str = DEFAULT_STORE) -> StoreChoice:
    """Find the store: in the keyword, else the environment's variables, its table, `[defaults]`, `SF_STORE`.

    The place that names the store also gives its settings; the variables of the environment win over a file's, and
    `SF_STORE_*` fill the gaps.

    Args:
        keyword: A store, its name, or a table with `name`; None: not given.
        configuration: File, variables and environment.
        default: The name of the store if none is named.
    """
    if isinstance(keyword, SessionStore):
        note = _passed_over("keyword", configuration)
        row = ExplainedSetting("store", type(keyword).__name__, "keyword", secret=False, note=note)
        return StoreChoice(keyword, (row,), cls=type(keyword))
    try:
        named = _named(keyword, configuration)
    except ValueError as error:
        return StoreChoice(None, (), (f"store: {error}",))
    if named is None and default == DEFAULT_STORE:
        return _MEMORY
    named = named or _Named(default, "default", lambda _: {})
    if not isinstance(named.name, str) or not named.name:
        what = f"store (from {named.source}): expected a name, or a table with one: {{ name = ... }}"
        return StoreChoice(None, (), (what,))
    if "://" in named.name:  # not quoted: it may have a password in it
        what = (
            f"store (from {named.source}): is an address: write the name of a store, such as redis, and this as its url"
        )
        return StoreChoice(None, (), (what,))
    try:
        cls = load_session_store(named.name, configuration.allowed)[1]
    except ConfigurationError as error:
        return StoreChoice(None, (), (f"store (from {named.source}): {error}",))
    settings = [each.of_store() for each in schema(cls)]
    variables = configuration.variables
    own, variables_of_environment = named.layer(settings), environment_layers(settings, configuration)
    by_environment = [own, *variables_of_environment] if keyword is not None else [*variables_of_environment, own]
    layers = [*by_environment, *variable_layers(settings, variables)]
    prefix = configuration.variable_prefix
    merged = merge(settings, exactly_one_of(cls), layers, configuration.as_reference, prefix=prefix)
    note = _passed_over(named.source, configuration)
    rows = [ExplainedSetting("store", named.name, named.source, secret=False, note=note)]
    rows += [attrs.evolve(row, name=f"store.{row.name}") for row in merged.rows]
    wrong = list(merged.problems)
    # A list stays whole: a store uses all its keys at once, while a login tries one after the other.
    whole = {name: list(each.items) if isinstance(each, KeyList) else each for name, each in merged.values.items()}
    credentials = Credentials(whole, SecretLoader(variables.lookup, configuration.allowed), rows=merged.rows)

    open_store = _Opener(cls, credentials, merged.rows)
    if wrong or any(references(merged.values)):
        wrong += refused(cls, merged)
    else:
        try:
            open_store()  # to find now what only the whole instance can check; nothing is sent
        except KineticAuthError as error:
            wrong += why_refused(cls, merged, getattr(error, "problems", (str(error),)))
    said = {*merged.problems, *(f"{row.name} (from {row.source})" for row in merged.rows)}
    problems = [
        f"store.{each}" if said & {each, each.partition(": ")[0]} else f"store (from {named.source}): {each}"
        for each in wrong
    ]
    is_own = named.name == DEFAULT_STORE
    return StoreChoice(None if is_own else open_store, tuple(rows), tuple(problems), merged.values, cls)


def _named(keyword: object, configuration: Configuration) -> _Named | None:
    """The highest place that names a store.

    Raises:
        ValueError: A variable in the file is not set.
    """
    prefix, variables = configuration.variable_prefix, configuration.variables
    if keyword is not None:
        table = dict(keyword) if isinstance(keyword, Mapping) else {"name": keyword}
        name = table.pop("name", None)
        return _Named(name, "keyword", lambda _: keyword_layer(table))
    if prefix and (found := variables.find(f"{prefix}SF_STORE")):
        return _Named(*found, lambda _: {})
    if "store" in configuration.table:
        keys = ("environments", configuration.environment or "", "store")
        return _in_file(configuration.table["store"], keys, configuration)
    if "store" in configuration.file.defaults:
        return _in_file(configuration.file.defaults["store"], ("defaults", "store"), configuration)
    if found := variables.find("SF_STORE"):
        return _Named(*found, lambda _: {})
    return None


def _passed_over(source: str, configuration: Configuration) -> str:
    """The note on the variables that name a store as well, below the place that counts."""
    names = dict.fromkeys(f"{prefix}SF_STORE" for prefix in (configuration.variable_prefix, ""))
    layers = configuration.variables.layers
    found = [layer.source(name) for name in names for layer in layers if layer.values.get(name)]
    others = [each for each in found if each != source]
    return f"set and passed over: {', '.join(others)}" if others else ""


def _in_file(raw: object, keys: tuple[str, ...], configuration: Configuration) -> _Named:
    table = dict(raw) if isinstance(raw, Mapping) else {"name": raw}
    name = interpolate(table.pop("name", None), configuration.variables.lookup)
    return _Named(
        name, configuration.file.source(*keys), lambda settings: file_layer(settings, table, keys, configuration)
    )
