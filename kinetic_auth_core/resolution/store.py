"""Which session store a configuration names, and its settings: the `store` table, or a name alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from kinetic_auth_core.config.environment import Selection
from kinetic_auth_core.config.files import ConfigFile
from kinetic_auth_core.config.merge import Layer, file_layer, keyword_layer, settle, variable_layers
from kinetic_auth_core.config.variables import Variables, interpolate
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.login.credentials import Credentials, SecretLoader, references
from kinetic_auth_core.registry.discovery import ALL_ALLOWED
from kinetic_auth_core.registry.loading import load_session_store
from kinetic_auth_core.registry.references import Reference
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, Setting, exactly_one_of, schema
from kinetic_auth_core.stores.base import SessionStore

#: The store that is meant where none is named: the process's own memory.
DEFAULT_STORE = "memory"


@attrs.frozen
class StoreChoice:
    """The outcome.

    Attributes:
        open: Makes the store, or is one that its maker closes; None for the process's own memory.
        rows: For `explain()`.
        problems: Everything that is wrong, as sentences.
        values: The store's settings, some of them references.
    """

    open: SessionStore | Callable[[], SessionStore] | None = attrs.field(repr=False)
    rows: tuple[ExplainedSetting, ...]
    problems: tuple[str, ...] = ()
    values: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class _Named:
    """Where the store is named, and what stands beside the name."""

    name: object
    source: str
    layer: Callable[[Sequence[Setting]], Layer] = attrs.field(repr=False)


def choose_store(
    keyword: object,
    selection: Selection,
    file: ConfigFile | None,
    variables: Variables,
    as_reference: Callable[[str], Reference | None],
) -> StoreChoice:
    """Find the store: in the keyword, else the environment's table, its variables, `[defaults]`, `SF_STORE`.

    Whoever names the store gives its settings; `SF_STORE_*` fill the gaps.

    Args:
        keyword: A store, its name, or a table with `name`; None: not given.
        selection: Provider and environment.
        file: The config file, or None.
        variables: The environment variables.
        as_reference: Reads a secret's text as a reference.
    """
    if isinstance(keyword, SessionStore):
        shown = ExplainedSetting("store", type(keyword).__name__, "keyword", secret=False)
        return StoreChoice(keyword, (shown,))
    prefix = selection.variable_prefix or ""
    allowed = file.allowed if file else ALL_ALLOWED
    try:
        named = _named(keyword, selection, file, variables)
    except ValueError as error:
        return StoreChoice(None, (), (f"store: {error}",))
    if named is None:
        return StoreChoice(None, (ExplainedSetting("store", DEFAULT_STORE, "default", secret=False),))
    if not isinstance(named.name, str) or not named.name:
        what = f"store (from {named.source}): expected a name, or a table with one: {{ name = ... }}"
        return StoreChoice(None, (), (what,))
    try:
        cls = load_session_store(named.name, allowed)[1]
    except ConfigurationError as error:
        return StoreChoice(None, (), (f"store (from {named.source}): {error}",))
    settings = [attrs.evolve(each, env=f"SF_STORE_{each.name.upper()}") for each in schema(cls)]
    layers = [named.layer(settings)]
    if prefix:
        layers += variable_layers(settings, variables, prefix)
    layers += variable_layers(settings, variables)
    settled = settle(settings, exactly_one_of(cls), layers, as_reference, prefix=prefix)
    rows = [ExplainedSetting("store", named.name, named.source, secret=False)]
    rows += [attrs.evolve(row, name=f"store.{row.name}") for row in settled.rows]
    problems = [f"store.{problem}" for problem in settled.problems]
    whole = {name: _whole(value) for name, value in settled.values.items()}
    credentials = Credentials(whole, SecretLoader(variables.lookup, allowed), rows=settled.rows)

    def open_store() -> SessionStore:
        store: SessionStore = cls(**credentials.load(0).by_name)
        return store

    if not problems and not any(references(settled.values)):
        try:
            open_store()  # what only the whole can tell is told now; nothing is sent
        except ConfigurationError as error:
            problems += [f"store (from {named.source}): {problem}" for problem in error.problems]
    is_own = named.name == DEFAULT_STORE
    return StoreChoice(None if is_own else open_store, tuple(rows), tuple(problems), settled.values)


def _whole(value: Any) -> Any:
    """A list stays whole: a store uses all its keys, while a login is tried with one after the other."""
    return list(value.items) if isinstance(value, KeyList) else value


def _named(keyword: object, selection: Selection, file: ConfigFile | None, variables: Variables) -> _Named | None:
    """The highest place that names a store.

    Raises:
        ValueError: A variable in the file is not set.
    """
    prefix = selection.variable_prefix
    if keyword is not None:
        table = dict(keyword) if isinstance(keyword, Mapping) else {"name": keyword}
        name = table.pop("name", None)
        return _Named(name, "keyword", lambda _: keyword_layer(table))
    if file is not None and selection.environment is not None and "store" in selection.table:
        return _in_file(selection.table["store"], ("environments", selection.environment, "store"), file, variables)
    if prefix and (found := variables.find(f"{prefix}SF_STORE")):
        return _Named(*found, lambda _: {})
    if file is not None and "store" in file.defaults:
        return _in_file(file.defaults["store"], ("defaults", "store"), file, variables)
    if found := variables.find("SF_STORE"):
        return _Named(*found, lambda _: {})
    return None


def _in_file(raw: object, keys: tuple[str, ...], file: ConfigFile, variables: Variables) -> _Named:
    table = dict(raw) if isinstance(raw, Mapping) else {"name": raw}
    name = interpolate(table.pop("name", None), variables.lookup)
    return _Named(name, file.source(*keys), lambda settings: file_layer(settings, table, keys, file, variables))
