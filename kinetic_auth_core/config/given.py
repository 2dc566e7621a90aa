"""What each place gives: keywords, tables of the config file, environment variables, each value with its source.

Highest first: keywords; the chosen environment's table; that environment's own variables (`PROD_SF_*`) from the
process, then `.env`; the file's `[defaults]`; `SF_*` from the process, then `.env`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.config.environments import Selection
from kinetic_auth_core.config.files import ConfigFile
from kinetic_auth_core.config.interpolation import has_references, interpolate
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.paths import expanded
from kinetic_auth_core.settings.schema import LiteralText, Setting

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
