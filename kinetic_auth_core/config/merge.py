"""Merges the layers of settings by precedence: every value with its source, every problem collected."""

import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.config.environment import Configuration, Variables, has_references, interpolate
from kinetic_auth_core.errors import closest, suggest
from kinetic_auth_core.locations import absolute, expanded
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, LiteralText, Setting, group_problem

_LINE_END = "\r\n"  # `echo` and editors leave one behind a value, such as a secret of Kubernetes
_ENVIRONMENT_KEYS = frozenset({"provider", "store"})


class LayeredValue:
    """The value of a setting in one layer.

    Attributes:
        value: The value; None if there is a `problem`.
        source: Where it comes from, for `explain()` and messages.
        text: Numbers and the like are read from text.
        problem: Why it cannot be used.
        is_variable: Whether it is an environment variable.
        found: Where a file that was found by searching decided it: the argument that names that file.
    """

    def __init__(
        self,
        value: Any,
        source: str,
        *,
        text: bool = False,
        problem: str | None = None,
        is_variable: bool = False,
        found: str | None = None,
    ) -> None:
        self.value, self.source, self.text = value, source, text
        self.problem, self.is_variable, self.found = problem, is_variable, found


Layer = Mapping[str, LayeredValue]


def all_layers(schema: Sequence[Setting], keywords: Layer, configuration: Configuration) -> list[Layer]:
    """All layers of `resolve`, highest first."""
    known = {each.name for each in schema}
    defaults = {name: value for name, value in configuration.file.defaults.items() if name in known}
    return [
        keywords,
        *environment_layers(schema, configuration),
        file_layer(schema, configuration.table, ("environments", configuration.environment or ""), configuration),
        file_layer(schema, defaults, ("defaults",), configuration),
        *variable_layers(schema, configuration.variables),
    ]


def keyword_layer(keywords: Mapping[str, Any]) -> Layer:
    """The caller's keywords. None counts as not given, but the name must be a known one."""
    return {name: LayeredValue(_literal(value), "keyword") for name, value in keywords.items()}


def variable_layers(schema: Sequence[Setting], variables: Variables, prefix: str = "") -> list[Layer]:
    """The environment variables: a layer for the process, and one for the `.env` file."""
    return [
        {
            setting.name: LayeredValue(
                value.rstrip(_LINE_END),
                layer.source(prefix + setting.env),
                text=True,
                is_variable=True,
                found=layer.how_to_name_it,
            )
            for setting in schema
            if (value := layer.get(prefix + setting.env)) is not None
        }
        for layer in variables.layers
    ]


def environment_layers(schema: Sequence[Setting], configuration: Configuration) -> list[Layer]:
    """The variables with the environment's prefix; no layers without an environment."""
    prefix = configuration.variable_prefix
    return variable_layers(schema, configuration.variables, prefix) if prefix else []


def file_layer(
    schema: Sequence[Setting],
    table: Mapping[str, Any],
    keys: tuple[str, ...],
    configuration: Configuration,
    but_not: Collection[str] = _ENVIRONMENT_KEYS,
) -> Layer:
    """The settings in a table of the config file; `provider` and `store` are not settings of a provider.

    Args:
        schema: The settings.
        table: The table.
        keys: Its path in the file.
        configuration: The file and the variables.
        but_not: The keys of the table that are no settings.
    """
    if not table:
        return {}
    paths = {each.name for each in schema if each.is_path}
    secrets = {each.name for each in schema if each.secret}
    layer = {}

    def lookup(name: str) -> str | None:
        found = configuration.variables.lookup(name)
        return None if found is None else found.rstrip(_LINE_END)

    for name, raw in table.items():
        if name in but_not:
            continue
        source = configuration.file.source(*keys, name)
        folder = absolute((configuration.file.path or Path()).parent)
        try:
            value = _read(raw, lookup, folder, is_path=name in paths, is_secret=name in secrets)
        except ValueError as error:
            layer[name] = LayeredValue(None, source, problem=str(error))
            continue
        is_text = has_references(raw) and not isinstance(value, LiteralText)
        written = raw if isinstance(raw, str) else " ".join(texts(raw))
        found = configuration.variables.found_file_of(written, configuration.file.how_to_name_it)
        layer[name] = LayeredValue(value, source, text=is_text, found=found)
    return layer


def _read(raw: Any, lookup: Callable[[str], str | None], folder: Path, *, is_path: bool, is_secret: bool) -> Any:
    """A value of the file, with variables replaced and paths relative to the file's folder."""
    if isinstance(raw, list):
        return [_read(item, lookup, folder, is_path=is_path, is_secret=is_secret) for item in raw]
    literal = _literal(raw)
    if isinstance(literal, LiteralText):
        return literal
    value = interpolate(raw, lookup)
    if isinstance(value, str):
        value = value.rstrip(_LINE_END)
    if is_path and isinstance(value, str):
        return str(folder / expanded(value))
    if is_secret and isinstance(value, str) and value.startswith("file://") and value != "file://":
        return f"file://{folder / expanded(value.removeprefix('file://'))}"
    return value


def _literal(value: Any) -> Any:
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict) and value.keys() == {"value"} and isinstance(value["value"], str):
        return LiteralText(value["value"])
    return value


#: The settings' names in simple-salesforce; by letters alone the suggestion would be none or a wrong one.
_NAMES_ELSEWHERE = {
    "consumer_key": "client_id",
    "consumer_secret": "client_secret",
    "privatekey_file": "private_key_path",
    "domain": "login_url",
    "instance_url": "login_url",
    "version": "api_version",
}
_ARGUMENTS = ("environment", "config", "env_file", "observers")  # of `resolve`, besides the settings


class MergedSettings:
    """The result of `merge`.

    Attributes:
        values: The arguments of the constructor, without defaults; references are unresolved.
        rows: A row for every valid setting.
        problems: Everything that is wrong, as sentences.
    """

    def __init__(
        self, values: Mapping[str, Any], rows: tuple[ExplainedSetting, ...], problems: tuple[str, ...]
    ) -> None:
        self.values, self.rows, self.problems = values, rows, problems


def merge(
    schema: Sequence[Setting],
    groups: Iterable[Sequence[str]],
    layers: Sequence[Layer],
    as_reference: Callable[[str], object | None] = lambda _: None,
    *,
    how_to_give: str = "give it as keyword, in the config file, or as {variable}",
    prefix: str = "",
) -> MergedSettings:
    """Merge the layers and check every value by type and converter; the validators are for `construct` and `refused`.

    Args:
        schema: The provider's settings.
        groups: Groups of settings of which exactly one must be given.
        layers: Highest first.
        as_reference: Gives the reference that a secret's text is; None if the text is the secret itself.
        how_to_give: What the message about a missing setting says, with `{variable}` for its variable.
        prefix: The prefix of the environment's own variables, such as `PROD_`.
    """
    sets = [tuple(group) for group in groups]
    winners, problems = _winners(schema, sets, layers, how_to_give, prefix)
    problems += _decided_by_found_files(schema, winners, prefix)
    passed_over = _passed_over(schema, sets, layers, winners)
    values: dict[str, Any] = {}
    rows = []
    so_far = SimpleNamespace()  # for defaults that are derived from other settings
    for setting in schema:
        layered = winners.get(setting.name)
        if layered is None and setting.required:
            continue  # reported by _winners
        if layered is None and setting.default_row is not None:
            value, row = setting.default, setting.default_row
        elif layered is None:
            value = _default(setting, so_far)
            row = _default_row(setting, value)
        else:
            try:
                value, displayed = _accepted(setting, layered, as_reference)
            except ValueError as error:
                problems.append(f"{setting.name} (from {layered.source}): {getattr(error, 'message', None) or error}")
                continue
            values[setting.name] = value
            note = passed_over.get(setting.name, "")
            row = ExplainedSetting(setting.name, displayed, layered.source, setting.secret, note)
        setattr(so_far, setting.name, value if setting.secret else row.value)  # which the converter has seen
        rows.append(row)
    return MergedSettings(values, tuple(rows), tuple(problems))


def _default_row(setting: Setting, value: Any) -> ExplainedSetting:
    """The row of a setting whose default is computed: one for all sources with the same one."""
    displayed = setting.displayed(value)
    try:
        return _same_row(setting.name, displayed, setting.secret)
    except TypeError:  # a list, or another value that cannot be hashed
        return ExplainedSetting(setting.name, displayed, "default", setting.secret)


@functools.lru_cache(maxsize=1024, typed=True)
def _same_row(name: str, displayed: Any, secret: bool) -> ExplainedSetting:
    return ExplainedSetting(name, displayed, "default", secret)


def texts(value: Any) -> list[str]:
    """The texts in a value: itself, or those of a list."""
    items = value.items if isinstance(value, KeyList) else value if isinstance(value, list | tuple) else [value]
    return [item for item in items if isinstance(item, str)]


def _winners(
    schema: Sequence[Setting], groups: Sequence[tuple[str, ...]], layers: Sequence[Layer], how_to_give: str, prefix: str
) -> tuple[dict[str, LayeredValue], list[str]]:
    """The value that wins for each setting, and what is unknown, missing or contradictory."""
    problems = list(_unknown(schema, layers))
    winners: dict[str, LayeredValue] = {}
    for group in groups:
        members = ({name: layer[name] for name in group if _has(layer, name, but_not="")} for layer in layers)
        chosen = next(filter(None, members), {})
        winners |= chosen
        if problem := group_problem(schema, group, chosen, prefix):
            problems.append(problem + _both_from(chosen))
    grouped = {name for group in groups for name in group}
    present = {name for layer in layers for name in layer}
    for setting in schema:
        if setting.name in grouped:
            continue
        highest = None
        if setting.name in present:
            highest = next((layer for layer in layers if _has(layer, setting.name)), None)
        if highest is not None:
            winners[setting.name] = highest[setting.name]
        elif setting.required:
            how = how_to_give.replace("{variable}", f"{prefix}{setting.env}")
            problems.append(f"{setting.name} is missing: {how}")
    return winners, problems


def _decided_by_found_files(schema: Sequence[Setting], winners: Layer, prefix: str) -> Iterator[str]:
    """The settings that a file must not decide which nobody named: it may have come with a project from elsewhere."""
    for setting in schema:
        layered = winners.get(setting.name)
        if layered is None or layered.found is None or layered.problem is not None:
            continue
        value = layered.value
        problem = setting.problem_in_found_file(value)
        proxy = winners.get("proxy")
        if setting.name == "ca_bundle" and proxy is not None and proxy.found is not None:
            problem = "would let the one who runs that proxy read what is sent"
        if problem is not None:
            yield (
                f"{setting.name} (from {layered.source}) {problem}, and that file was found by searching, not named by "
                f"you. If you trust it, name it: {layered.found}; or set {prefix}{setting.env} in the process"
            )


def _passed_over(
    schema: Sequence[Setting], groups: Sequence[tuple[str, ...]], layers: Sequence[Layer], winners: Layer
) -> dict[str, str]:
    """For each setting that has a value: the variables that are set and do not count, as a note."""
    notes = {}
    for setting in schema:
        if (winner := winners.get(setting.name)) is None:
            continue
        names = next((group for group in groups if setting.name in group), (setting.name,))
        set_ = [layer[name] for layer in layers for name in names if name in layer]
        sources = [each.source for each in set_ if each.is_variable and all(each is not w for w in winners.values())]
        if sources and not (winner.is_variable and winner.source in sources):
            notes[setting.name] = f"set and passed over: {', '.join(dict.fromkeys(sources))}"
    return notes


def _has(layer: Layer, name: str, *, but_not: object = None) -> bool:
    """Whether a layer has a setting: a value other than None and `but_not`, or a problem."""
    layered = layer.get(name)
    return layered is not None and (layered.problem is not None or layered.value not in (None, but_not))


def _default(setting: Setting, so_far: object) -> Any:
    """The default for `explain()`; None if it is derived from a setting that is wrong."""
    try:
        return setting.default_value(so_far)
    except Exception as error:  # noqa: BLE001 - the factory is a plugin's
        raise_interruption(error)
        return None


def _accepted(setting: Setting, layered: LayeredValue, as_reference: Callable[[str], object | None]) -> tuple[Any, Any]:
    if layered.problem:
        raise ValueError(layered.problem)
    if setting.secret and setting.takes_list and isinstance(layered.value, list | tuple):
        return _accepted_list(setting, layered, as_reference)
    if setting.secret and isinstance(layered.value, str | os.PathLike) and not isinstance(layered.value, LiteralText):
        reference = as_reference(str(layered.value))
        if reference is not None:
            return reference, str(reference)
    value = setting.accept(layered.value, text=layered.text)
    return value, setting.displayed(setting.converted(value))


def _accepted_list(
    setting: Setting, layered: LayeredValue, as_reference: Callable[[str], object | None]
) -> tuple[Any, tuple[Any, ...]]:
    """A list of secrets, each of which may be a reference."""
    if not layered.value:
        raise ValueError("is an empty list")
    items, displayed = [], []
    for number, item in enumerate(layered.value, 1):
        reference = as_reference(item) if isinstance(item, str) and not isinstance(item, LiteralText) else None
        if item in (None, ""):
            raise ValueError(f"no. {number} of the list is empty")
        try:
            items.append(setting.accept([item], text=layered.text)[0] if reference is None else reference)
        except ValueError as error:
            raise ValueError(f"no. {number} of the list: {error}") from error
        displayed.append(setting.displayed(item) if reference is None else str(reference))
    return KeyList(tuple(items)) if setting.takes_key_list else items, tuple(displayed)


def _unknown(schema: Sequence[Setting], layers: Sequence[Layer]) -> Iterator[str]:
    known = [each.name for each in schema]
    for layer in layers:
        for name, layered in layer.items():
            if name not in known:
                names = [*known, *_ARGUMENTS] if layered.source == "keyword" else known
                similar = suggest(_NAMES_ELSEWHERE.get(name, name), names)
                yield f"{name} (from {layered.source}): unknown setting{similar}"


def _both_from(values: Layer) -> str:
    sources = [f"{name} from {each.source}" for name, each in values.items()]
    return f" ({', '.join(sources)})" if sources else ""


#: High, since other programs have similar names: Salesforce's own command line reads SF_ORG_API_VERSION.
_SIMILAR = 0.9
_SIMILAR_SCHEME = 0.8
_SCHEME = r"([^:/?#\s]+)://"
_ONLY_REFERENCES = ("env://", "secret-manager://")  # a file:// or kms:// may be what a plugin's setting is about


def name_suggestions(
    schema: Sequence[Setting], configuration: Configuration, others: Callable[[], Iterable[Collection[str]]]
) -> list[str]:
    """The misspelt names in `[defaults]` and among the variables: a sentence without its full stop for each.

    Args:
        schema: The settings that are read.
        configuration: The file and the variables.
        others: Gives the names of the settings of each other provider; asked where `[defaults]` has another key.
    """
    known = {each.name for each in schema}
    unknown = set(configuration.file.defaults) - known - _ENVIRONMENT_KEYS
    for names in others() if unknown else ():
        unknown.difference_update(names)
        if not unknown:
            break
    found = [
        f"{configuration.file.source('defaults', name)} is not a setting of any installed provider"
        f"{suggest(name, sorted(known))}"
        for name in sorted(unknown)
    ]
    names = [each.env for each in schema]
    for layer in configuration.variables.layers:
        for prefix in dict.fromkeys(("", configuration.variable_prefix)):
            variables = [name.removeprefix(prefix) for name in layer.values if name.startswith(f"{prefix}SF_")]
            found += [
                f"the variable {layer.source(prefix + name)} is not used by any setting "
                f"(did you mean {prefix + meant}?)"
                for name, meant in _misspelt(variables, names)
            ]
    return found


def reference_suggestions(
    rows: Iterable[ExplainedSetting], values: Mapping[str, Any], schemes: Collection[str]
) -> list[str]:
    """The secrets that look like a misspelt reference, and the references in other settings: a sentence for each.

    None quotes a secret.

    Args:
        rows: The settings, as `explain()` has them.
        values: Their values.
        schemes: The schemes of references.
    """
    found = []
    for row in rows:
        for text in texts(values.get(row.name)):
            if isinstance(text, LiteralText):
                continue
            if not row.secret:
                if text.startswith(_ONLY_REFERENCES):
                    found.append(
                        f"{row.name} (from {row.source}) is used as it is, {text}: only secrets may be references. In "
                        "the config file ${VARIABLE} stands for the value of a variable"
                    )
                continue
            begin = re.match(_SCHEME, text) if "://" in text else None
            meant = closest(begin[1], sorted(schemes), _SIMILAR_SCHEME) if begin else None
            if meant and begin and begin[1] != meant:
                found.append(
                    f"{row.name} (from {row.source}) is used as the secret itself, not as a reference "
                    f"(did you mean {meant}://?)"
                )
    return found


def _misspelt(names: Iterable[str], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each misspelt name with the correct one; a name beside the correct one is there on purpose."""
    names = set(names)
    for name in sorted(names.difference(known)):
        if (meant := closest(name, known, _SIMILAR)) and meant not in names:
            yield name, meant
