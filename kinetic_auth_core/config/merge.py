"""Which value wins: what each place gives for the settings, merged by precedence, checked, every problem collected."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs

from kinetic_auth_core.config.environment import Selection
from kinetic_auth_core.config.files import ConfigFile
from kinetic_auth_core.config.variables import Variables, has_references, interpolate
from kinetic_auth_core.paths import expanded
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, LiteralText, Setting, group_problem, near

_ENVIRONMENT_KEYS = frozenset({"provider", "store"})


@attrs.frozen
class Given:
    """A value as one layer gives it.

    Attributes:
        value: The value; None where `problem` says why there is none.
        source: Where it stands, for people.
        text: Numbers and the like are to be read from text.
        problem: Why it cannot be used.
    """

    value: Any = attrs.field(repr=False)
    source: str
    text: bool = False
    problem: str | None = None


Layer = Mapping[str, Given]


def all_layers(
    schema: Sequence[Setting],
    keywords: Layer,
    selection: Selection,
    file: ConfigFile | None,
    variables: Variables,
) -> list[Layer]:
    """All layers of `resolve`, highest first."""
    layers: list[Layer] = [keywords]
    if file is not None and selection.environment is not None:
        keys = ("environments", selection.environment)
        layers.append(file_layer(schema, selection.table, keys, file, variables))
    if prefix := selection.variable_prefix:
        layers += variable_layers(schema, variables, prefix)
    if file is not None:
        known = {each.name for each in schema}
        defaults = {name: value for name, value in file.defaults.items() if name in known}
        layers.append(file_layer(schema, defaults, ("defaults",), file, variables))
    return layers + variable_layers(schema, variables)


def keyword_layer(keywords: Mapping[str, Any]) -> Layer:
    """What the caller gave. None counts as not given, but the name must be a known one."""
    return {name: Given(_literal(value), "keyword") for name, value in keywords.items()}


def variable_layers(schema: Sequence[Setting], variables: Variables, prefix: str = "") -> list[Layer]:
    """The environment variables, a layer for each place that they come from."""
    return [
        {
            setting.name: Given(value, layer.source(prefix + setting.env), text=True)
            for setting in schema
            if (value := layer.get(prefix + setting.env)) is not None
        }
        for layer in variables.layers
    ]


def file_layer(
    schema: Sequence[Setting], table: Mapping[str, Any], keys: tuple[str, ...], file: ConfigFile, variables: Variables
) -> Layer:
    """What a table of the config file gives; `provider` and `store` are no settings of a provider."""
    paths = {each.name for each in schema if each.is_path}
    secrets = {each.name for each in schema if each.secret}
    layer = {}
    for name, raw in table.items():
        if name in _ENVIRONMENT_KEYS:
            continue
        source = file.source(*keys, name)
        folder = file.path.parent.absolute()
        try:
            value = _read(raw, variables.lookup, folder, is_path=name in paths, is_secret=name in secrets)
        except ValueError as error:
            layer[name] = Given(None, source, problem=str(error))
            continue
        layer[name] = Given(value, source, text=has_references(raw) and not isinstance(value, LiteralText))
    return layer


def _read(raw: Any, lookup: Callable[[str], str | None], folder: Path, *, is_path: bool, is_secret: bool) -> Any:
    """A value as a file gives it: variables put in, and paths relative to the file's folder."""
    if isinstance(raw, list):
        return [_read(item, lookup, folder, is_path=is_path, is_secret=is_secret) for item in raw]
    literal = _literal(raw)
    if isinstance(literal, LiteralText):
        return literal
    value = interpolate(raw, lookup)
    if is_path and isinstance(value, str):
        return str(folder / expanded(value))
    if is_secret and isinstance(value, str) and value.startswith("file://"):
        return f"file://{folder / expanded(value.removeprefix('file://'))}"
    return value


def _literal(value: Any) -> Any:
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict) and value.keys() == {"value"} and isinstance(value["value"], str):
        return LiteralText(value["value"])
    return value


#: What simple-salesforce calls a setting; by its letters alone, none or another one would be the nearest.
_CALLED_ELSEWHERE = {
    "consumer_key": "client_id",
    "consumer_secret": "client_secret",
    "privatekey_file": "private_key_path",
    "domain": "login_url",
    "instance_url": "login_url",
    "version": "api_version",
}
_ARGUMENTS = ("environment", "config", "env_file")  # of `resolve`, beside the settings


@attrs.frozen
class Settled:
    """The outcome of the merge.

    Attributes:
        values: What to give to the constructor: only what was given, defaults left out. References unresolved.
        rows: A row for every setting that is right.
        problems: Everything that is wrong, as sentences.
    """

    values: Mapping[str, Any] = attrs.field(repr=False)
    rows: tuple[ExplainedSetting, ...]
    problems: tuple[str, ...]


def settle(
    schema: Sequence[Setting],
    groups: Iterable[Sequence[str]],
    layers: Sequence[Layer],
    as_reference: Callable[[str], object | None] = lambda _: None,
    *,
    how_to_give: str = "give it as keyword, in the config file, or as",
    prefix: str = "",
) -> Settled:
    """Merge the layers and check every value.

    Args:
        schema: The provider's settings.
        groups: Groups of settings of which exactly one must be given.
        layers: Highest first.
        as_reference: The reference that a secret's text is, or None if it is meant as it stands.
        how_to_give: What a message about a missing setting says before the name of its variable.
        prefix: What stands before the environment's own variables, such as `PROD_`.
    """
    won, problems = _winners(schema, [tuple(group) for group in groups], layers, how_to_give, prefix)
    values: dict[str, Any] = {}
    rows = []
    so_far = SimpleNamespace()  # what a default that is derived from other settings looks at
    for setting in schema:
        given = won.get(setting.name)
        if given is None and setting.required:
            continue  # told by _winners
        if given is None:
            value = _default(setting, so_far)
            row = ExplainedSetting(setting.name, setting.displayed(value), "default", setting.secret)
        else:
            try:
                value, shown = _accepted(setting, given, as_reference)
            except ValueError as error:
                problems.append(f"{setting.name} (from {given.source}): {getattr(error, 'message', None) or error}")
                continue
            values[setting.name] = value
            row = ExplainedSetting(setting.name, shown, given.source, setting.secret)
        setattr(so_far, setting.name, value)
        rows.append(row)
    return Settled(values, tuple(rows), tuple(problems))


def _winners(
    schema: Sequence[Setting], groups: Sequence[tuple[str, ...]], layers: Sequence[Layer], how_to_give: str, prefix: str
) -> tuple[dict[str, Given], list[str]]:
    """The value that wins for each setting; what is unknown, missing or contradictory."""
    problems = list(_unknown(schema, layers))
    won: dict[str, Given] = {}
    for group in groups:
        members = ({name: layer[name] for name in group if _speaks(layer, name, but_not="")} for layer in layers)
        chosen = next(filter(None, members), {})
        won |= chosen
        if problem := group_problem(schema, group, chosen, prefix):
            problems.append(problem + _both_from(chosen))
    grouped = {name for group in groups for name in group}
    for setting in schema:
        highest = next((layer for layer in layers if _speaks(layer, setting.name)), None)
        if setting.name in grouped:
            continue
        if highest is not None:
            won[setting.name] = highest[setting.name]
        elif setting.required:
            problems.append(f"{setting.name} is missing: {how_to_give} {prefix}{setting.env}")
    return won, problems


def _speaks(layer: Layer, name: str, *, but_not: object = None) -> bool:
    """Whether a layer gives a setting: something else than None and `but_not`, or a value that is wrong."""
    given = layer.get(name)
    return given is not None and (given.problem is not None or given.value not in (None, but_not))


def _default(setting: Setting, so_far: object) -> Any:
    """The default for `explain()`; None where it cannot be told, as the setting that it comes from is wrong."""
    try:
        return setting.default_value(so_far)
    except Exception:  # noqa: BLE001 - a factory of other people's
        return None


def _accepted(setting: Setting, given: Given, as_reference: Callable[[str], object | None]) -> tuple[Any, Any]:
    if given.problem:
        raise ValueError(given.problem)
    if setting.secret and setting.takes_list and isinstance(given.value, list | tuple):
        return _accepted_list(setting, given, as_reference)
    if setting.secret and isinstance(given.value, str | os.PathLike) and not isinstance(given.value, LiteralText):
        reference = as_reference(str(given.value))
        if reference is not None:
            return reference, str(reference)
    value = setting.accept(given.value, text=given.text)
    return value, setting.displayed(value)


def _accepted_list(
    setting: Setting, given: Given, as_reference: Callable[[str], object | None]
) -> tuple[Any, tuple[Any, ...]]:
    """A list of secrets, each of which may be a reference."""
    if not given.value:
        raise ValueError("is an empty list")
    items, shown = [], []
    for number, item in enumerate(given.value, 1):
        reference = as_reference(item) if isinstance(item, str) and not isinstance(item, LiteralText) else None
        if item in (None, ""):
            raise ValueError(f"no. {number} of the list is empty")
        try:
            items.append(setting.accept([item], text=given.text)[0] if reference is None else reference)
        except ValueError as error:
            raise ValueError(f"no. {number} of the list: {error}") from error
        shown.append(setting.displayed(item) if reference is None else str(reference))
    return KeyList(tuple(items)) if setting.takes_key_list else items, tuple(shown)


def _unknown(schema: Sequence[Setting], layers: Sequence[Layer]) -> Iterator[str]:
    known = [each.name for each in schema]
    for layer in layers:
        for name, given in layer.items():
            if name not in known:
                names = [*known, *_ARGUMENTS] if given.source == "keyword" else known
                yield f"{name} (from {given.source}): unknown setting{near(_CALLED_ELSEWHERE.get(name, name), names)}"


def _both_from(given: Mapping[str, Given]) -> str:
    sources = [f"{name} from {each.source}" for name, each in given.items()]
    return f" ({', '.join(sources)})" if sources else ""
