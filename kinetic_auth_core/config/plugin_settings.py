"""The settings of observers and key loaders: the tables `[observers.NAME]` and `[key_loaders.NAME]` of the config file.

They come from that table alone: `${VAR}` there reads a variable, and a secret may be `env://NAME` or `file://PATH`.
"""

from typing import Any

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import construct, file_layer, merge
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError, ProviderLoadError
from kinetic_auth_core.redaction import describe, redacted_cause
from kinetic_auth_core.registry.discovery import PluginTable
from kinetic_auth_core.registry.references import BUILTIN_SCHEMES, Reference, load_builtin
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, LiteralText, Setting, exactly_one_of, schema


def make_plugin(
    table: PluginTable, cls: type, configuration: Configuration
) -> tuple[object, tuple[ExplainedSetting, ...]]:
    """Make an observer or key loader with the settings of its table.

    Args:
        table: The table.
        cls: The plugin's attrs class.
        configuration: The file and the variables.

    Returns:
        The plugin, and a row for each of its settings, named as in the file: `observers.audit.path`.

    Raises:
        ConfigurationError: Settings are missing, unknown or wrong, or a secret cannot be read; all are named.
    """
    settings = schema(cls)
    layer = file_layer(settings, table.settings, table.keys, configuration, but_not=())
    merged = merge(
        settings, exactly_one_of(cls), [layer], configuration.as_reference, how_to_give=f"give it in {table.source}"
    )
    values: dict[str, Any] = {}
    problems = []
    for each in settings:
        if each.name not in merged.values:
            continue
        try:
            values[each.name] = _resolved(merged.values[each.name], each, configuration)
        except (KeyLoadError, ConfigurationError) as error:
            problems.append(f"{each.name} (from {table.source}.{each.name}): {error.message}")
    made: object = None
    wrong: list[str] = []
    cause: BaseException | None = None
    try:
        made, wrong = construct(cls, attrs.evolve(merged, values=values, problems=(*merged.problems, *problems)))
    except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
        raise_interruption(error)
        secrets = [values[each.name] for each in settings if each.secret and isinstance(values.get(each.name), str)]
        cause = redacted_cause(error, secrets)
    if cause is not None:
        raise ProviderLoadError(f"{table.source}: its class cannot be instantiated: {describe(cause)}.") from cause
    if wrong:
        raise ConfigurationError.of(f"Cannot make the plugin of {table.source}", wrong)
    place = ".".join(table.keys)
    return made, tuple(attrs.evolve(row, name=f"{place}.{row.name}") for row in merged.rows)


def _resolved(value: Any, setting: Setting, configuration: Configuration) -> Any:
    if isinstance(value, KeyList | list):
        return [
            _resolved(item, setting, configuration) for item in (value.items if isinstance(value, KeyList) else value)
        ]
    if not isinstance(value, Reference):
        return value
    if value.scheme not in BUILTIN_SCHEMES:
        raise ConfigurationError(f"{value} is not read here: a plugin's own secret may be env:// or file://")
    raw = load_builtin(value, configuration.variables.lookup)
    try:
        return LiteralText(raw.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        if setting.takes_bytes:
            return raw
    raise KeyLoadError(f"{value}: the secret is not UTF-8 text")
