"""Which session store a configuration names, and its settings: the `store` table, or a name alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from kinetic_auth_core.config.configuration import Configuration, interpolate
from kinetic_auth_core.config.construct import refused, why_refused
from kinetic_auth_core.config.merge import Layer, environment_layers, file_layer, keyword_layer, merge, variable_layers
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.login.credentials import Credentials, SecretLoader, references
from kinetic_auth_core.registry.loading import import_modules_of, load_session_store
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, Setting, exactly_one_of, schema
from kinetic_auth_core.stores.base import SessionStore

#: The store if none is named: the process's own memory.
DEFAULT_STORE = "memory"


@attrs.frozen(eq=False, repr=False, match_args=False)
class StoreChoice:
    """The chosen store.

    Attributes:
        open: Makes the store; or the caller's own store, which the caller closes; None for the process's own memory.
        rows: For `explain()`.
        problems: Everything that is wrong, as sentences.
        values: The store's settings, some of them references.
        cls: The store's class; None: this process's memory, or nobody knows.
    """

    open: SessionStore | Callable[[], SessionStore] | None = attrs.field(repr=False)
    rows: tuple[ExplainedSetting, ...]
    problems: tuple[str, ...] = ()
    values: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    cls: type[SessionStore] | None = None


_MEMORY = StoreChoice(None, (ExplainedSetting("store", DEFAULT_STORE, "default", secret=False),))


@attrs.frozen(eq=False, repr=False, match_args=False)
class _Opener:
    """Makes the store."""

    cls: type[SessionStore]
    credentials: Credentials = attrs.field(repr=False)

    def __call__(self) -> SessionStore:
        return self.cls(**self.credentials.load(0).by_name)

    def import_modules(self) -> None:
        """Import what the store needs, and the key loaders of its settings."""
        import_modules_of(self.cls)
        self.credentials.import_modules()


@attrs.frozen(eq=False, repr=False, match_args=False)
class _Named:
    """The place that names the store, and the settings beside the name."""

    name: object
    source: str
    layer: Callable[[Sequence[Setting]], Layer] = attrs.field(repr=False)


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
    try:
        cls = load_session_store(named.name, configuration.allowed)[1]
    except ConfigurationError as error:
        return StoreChoice(None, (), (f"store (from {named.source}): {error}",))
    settings = [attrs.evolve(each, env=f"SF_STORE_{each.name.upper()}") for each in schema(cls)]
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
    whole = {name: _whole(value) for name, value in merged.values.items()}
    credentials = Credentials(whole, SecretLoader(variables.lookup, configuration.allowed), rows=merged.rows)

    open_store = _Opener(cls, credentials)
    if wrong or any(references(merged.values)):
        wrong += refused(cls, merged)
    else:
        try:
            open_store()  # to find now what only the whole instance can check; nothing is sent
        except ValueError as error:
            wrong += why_refused(cls, merged, getattr(error, "problems", (str(error),)))
    said = {*merged.problems, *(f"{row.name} (from {row.source})" for row in merged.rows)}
    problems = [
        f"store.{each}" if said & {each, each.partition(": ")[0]} else f"store (from {named.source}): {each}"
        for each in wrong
    ]
    is_own = named.name == DEFAULT_STORE
    return StoreChoice(None if is_own else open_store, tuple(rows), tuple(problems), merged.values, cls)


def _whole(value: Any) -> Any:
    """A list stays whole: a store uses all its keys at once, while a login tries one after the other."""
    return list(value.items) if isinstance(value, KeyList) else value


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
