"""Makes an instance of merged settings, or says all that is wrong with them, each problem with the setting's source.

Also where settings make no instance yet, because others are missing, wrong or still references: a validator then gets
an object of the class that has those that are known; where it reads another, its verdict does not count, and it is
asked again with the instance.

The settings of observers and key loaders are in the tables `[observers.NAME]` and `[key_loaders.NAME]` of the config
file. They come from that table alone: `${VAR}` there reads a variable, and a secret may be `env://NAME` or
`file://PATH`.
"""

import functools
import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import MergedSettings, file_layer, merge
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError, KineticAuthError, ProviderLoadError
from kinetic_auth_core.locations import BUILTIN_SCHEMES, Reference, expanded, load_builtin
from kinetic_auth_core.redaction import describe, mask, redacted_cause
from kinetic_auth_core.registry.discovery import PluginTable
from kinetic_auth_core.settings.schema import (
    ExplainedSetting,
    KeyList,
    LiteralText,
    Setting,
    exactly_one_of,
    schema,
    texts_in,
)


def construct(cls: type, merged: MergedSettings) -> tuple[Any, list[str]]:
    """An instance of merged settings without references; else what is wrong, each with the setting's source.

    Args:
        cls: The class whose settings they are; `merged` may have others beside them.
        merged: The settings.
    """
    problems = list(merged.problems)
    if not problems:
        names = {each.name for each in schema(cls)}
        try:
            return cls(**{name: value for name, value in merged.values.items() if name in names}), []
        except (ValueError, TypeError) as error:
            return None, why_refused(cls, merged, getattr(error, "problems", (str(error),)))
    return None, [*problems, *refused(cls, merged)]


def why_refused(cls: type, merged: MergedSettings, problems: Iterable[str]) -> list[str]:
    """Why the constructor of a class refused merged settings, each problem with the setting's source.

    Args:
        cls: The class.
        merged: The settings.
        problems: What the constructor said. attrs stops at the first problem; so where the class does not check itself
            (`ValidatedMeta`), all validators are asked.
    """
    found = [] if getattr(cls, "validates_after_init", False) else refused(cls, merged)
    values = [merged.values.get(each.name) for each in schema(cls) if each.secret]
    secrets = list(texts_in([list(value.items) if isinstance(value, KeyList) else value for value in values]))
    return [mask(problem, secrets) for problem in found or located(problems, merged.rows)]


def located(problems: Iterable[str], rows: Iterable[ExplainedSetting]) -> list[str]:
    """Problems of an instance, `name: what`, with the source of each setting: `name (from source): what`.

    Where the value is what a reference names, the reference stands at the end.
    """
    places = {row.name: (row.source, f" (what {row.value} names)" if _is_reference(row) else "") for row in rows}
    found = []
    for problem in problems:
        name, colon, what = problem.partition(": ")
        if colon and name in places:
            source, reference = places[name]
            found.append(f"{name} (from {source}): {what}{reference}")
        else:
            found.append(problem)
    return found


def _is_reference(row: ExplainedSetting) -> bool:
    """Whether a row has a reference, which is shown as it is; other secrets are masked."""
    return row.secret and isinstance(row.value, str) and "://" in row.value


def with_place(error: KineticAuthError, rows: Iterable[ExplainedSetting]) -> KineticAuthError:
    """An error of a login about a file, with the setting that names the file and where that was set.

    Args:
        error: The error.
        rows: The settings.

    Returns:
        A copy of it; the error itself where it names no file of a setting, or says where that was set.
    """
    rows = list(rows)
    is_named = any(error.message.startswith(f"{row.name}: ") for row in rows)  # `name_places` adds where it was set
    if is_named or not isinstance(error, KeyLoadError | ConfigurationError):
        return error
    for row in sorted(rows, key=lambda row: not re.search(rf"\b{row.name}\b", error.remedy)):  # two may name one file
        is_path = not row.secret and isinstance(row.value, str | os.PathLike) and row.source not in _OWN_SOURCES
        if is_path and row.source not in error.message and _names_file(error.message, os.fspath(row.value)):
            return error.met_at(f"{row.name} (from {row.source})")
    return error


def name_places(error: KineticAuthError, rows: Iterable[ExplainedSetting]) -> None:
    """Say where those settings come from that an error is about, or whose check it recommends.

    Args:
        error: The error of a login. A message that begins with a setting gets its place there; a remedy that names some
            gets theirs at its end.
        rows: The settings, as `explain()` has them.
    """
    everything = list(rows)
    rows = [row for row in everything if row.source not in _OWN_SOURCES and row.name != "store"]
    for row in rows:
        name, colon, what = error.message.partition(": ")
        if colon and name == row.name:
            _reword(error, f"{name} (from {row.source}): {what}")
    text = f"{error.message} {error.remedy}" if isinstance(error, KeyLoadError) else error.remedy
    named = [
        f"{row.name} is from {row.source}"
        for row in rows
        if re.search(rf"\b{row.name}\b", text) and f"{row.name} (from " not in error.message
    ]
    named += [
        f"{row.name} is not set"
        for row in everything
        if row.secret and row.value is None and re.search(rf"\bCheck {row.name}\b", error.remedy)
    ]
    places = "; ".join(named)
    if places and places not in error.remedy:
        error.remedy = f"{error.remedy} ({places}.)".strip()


def _reword(error: KineticAuthError, message: str) -> None:
    if isinstance(error, ConfigurationError) and error.problems == (error.message,):
        error.problems = (message,)
    if error.args == (error.message,):
        error.args = (message,)
    error.message = message


_OWN_SOURCES = {"default", "constructor", "keyword"}  # nothing to look up


def _names_file(message: str, path: str | bytes) -> bool:
    """Whether a message has a path: as it is, without `~`, or made absolute."""
    text = os.fsdecode(path)
    if not text or not {os.sep, "."} & set(text):
        return False
    try:
        forms = {text, str(expanded(text)), str(expanded(text).absolute())}
    except (OSError, ConfigurationError):
        forms = {text}
    return any(re.search(rf"(?<![\w./-]){re.escape(form)}(?![\w/-])", message) for form in forms)


def refused(cls: type, merged: MergedSettings) -> list[str]:
    """What the validators of a class say of merged settings that make no instance yet, each with its source.

    That is so where others are missing or wrong, or where secrets are references: what cannot be judged without those
    is judged with the instance.
    """
    settings = {each.name: each for each in schema(cls)}
    sources = {row.name: row.source for row in merged.rows if row.name in settings}
    given = {name: value for name, value in merged.values.items() if name in settings}
    lists = {name: value.items for name, value in given.items() if isinstance(value, KeyList)}
    found: dict[str, None] = {}
    for number in range(max(map(len, lists.values()), default=1)):
        values = {
            name: lists[name][min(number, len(lists[name]) - 1)] if name in lists else value
            for name, value in given.items()
        }
        unknown = {name for name, value in values.items() if _has_reference(value)} | (settings.keys() - sources)
        for name, problem in refusals(cls, values, unknown).items():
            which = f"no. {number + 1} of the list: " if name in lists else ""
            found[f"{name} (from {sources[name]}): {which}{problem}"] = None
    return list(found)


def _has_reference(value: Any) -> bool:
    return any(isinstance(item, Reference) for item in (value if isinstance(value, list | tuple) else [value]))


_READ = "_kinetic_auth_read_unknown"


class _Partial:
    """What makes an object of a class one that lacks some of its settings, and knows when one of those was read."""

    __slots__ = ()

    def __init_subclass__(cls, **_options: Any) -> None:
        """Do nothing: hooks of the plugin's class for subclasses do not apply."""

    def __getattr__(self, name: str) -> Any:
        """Called for an attribute that is not there."""
        if not name.startswith("__"):
            object.__setattr__(self, _READ, True)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@functools.cache
def _partial(cls: type) -> type:
    names = {"__qualname__": cls.__qualname__, "__module__": cls.__module__}
    partial: Any = type(cls)(cls.__name__, (_Partial, cls), names)
    partial.__abstractmethods__ = frozenset()
    return partial  # type: ignore[no-any-return]


def refusals(cls: type, values: Mapping[str, Any], unknown: Collection[str] = ()) -> dict[str, str]:
    """For each setting that a validator refuses: why, without a secret. Settings that are not given have defaults.

    Args:
        cls: The attrs class.
        values: The values, as for the constructor.
        unknown: The settings that have no value yet.
    """
    settings = {each.name: each for each in schema(cls)}
    try:
        instance = _instance_of(cls, settings, values, unknown)
    except Exception as error:  # noqa: BLE001 - a metaclass that makes no subclass; the instance itself is checked later
        raise_interruption(error)
        return {}
    secrets = list(texts_in([value for name, value in values.items() if settings[name].secret]))
    found = {}
    for name, setting in settings.items():
        object.__setattr__(instance, _READ, False)
        value = getattr(instance, setting.attribute_name, None)
        if getattr(instance, _READ):
            continue  # it has no value itself
        try:
            setting.validate(instance, value)
        except ValueError as error:
            if not getattr(instance, _READ):
                found[name] = mask(str(error), secrets)
    return found


def _instance_of(
    cls: type, settings: Mapping[str, Setting], values: Mapping[str, Any], unknown: Collection[str]
) -> Any:
    instance: Any = object.__new__(_partial(cls))
    for attribute in attrs.fields(cls):
        name = attribute.alias or attribute.name
        setting = settings.get(name) if attribute.init else None
        if setting is not None and name in unknown:
            continue
        try:
            value = values[name] if setting is not None and name in values else _default(attribute.default, instance)
            object.__setattr__(instance, attribute.name, value if setting is None else setting.converted(value))
        except Exception as error:  # noqa: BLE001 - a plugin's factory or converter; its field is unknown then
            raise_interruption(error)
    return instance


def _default(default: Any, instance: Any) -> Any:
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, whatever its stub says
        return default.factory(instance) if default.takes_self else default.factory()
    if default is attrs.NOTHING:
        raise LookupError
    return default


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
        made, wrong = construct(cls, MergedSettings(values, merged.rows, (*merged.problems, *problems)))
    except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
        raise_interruption(error)
        secrets = texts_in([values.get(each.name) for each in settings if each.secret])
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
