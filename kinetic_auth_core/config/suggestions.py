"""Names that nothing reads, and that are so near to one which is read that somebody has misspelt it.

`[defaults]` and variables may hold what is meant for others, so a strange name there is no error. But `loginurl` for
`login_url` would log in elsewhere than was meant. And a secret may be any text: with `secretmanager://` before it, what
should name a password would be sent as one.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from kinetic_auth_core.config.environment import Selection
from kinetic_auth_core.config.files import ConfigFile
from kinetic_auth_core.config.variables import Variables
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, LiteralText, Setting

#: High, since others' names are alike: the command line of Salesforce reads SF_ORG_API_VERSION.
_NEAR = 0.9
_NEAR_SCHEME = 0.8
_SCHEME = re.compile(r"([^:/?#\s]+)://")


def near_misses(
    schema: Sequence[Setting], selection: Selection, file: ConfigFile | None, variables: Variables
) -> list[str]:
    """What is misspelt in `[defaults]` and among the variables, a sentence without its end for each.

    Args:
        schema: The settings that are read.
        selection: Provider and environment.
        file: The config file, or None.
        variables: The environment variables.
    """
    found = []
    if file is not None:
        found += [
            f"{file.source('defaults', name)} is no setting of {selection.provider!r} (did you mean {meant!r}?)"
            for name, meant in _misspelt(file.defaults, [each.name for each in schema])
        ]
    names = [each.env for each in schema]
    prefixes = ("", selection.variable_prefix or "")
    for layer in variables.layers:
        for prefix in dict.fromkeys(prefixes):
            given = [name.removeprefix(prefix) for name in layer.values if name.startswith(f"{prefix}SF_")]
            found += [
                f"the variable {layer.source(prefix + name)} is read by nothing (did you mean {prefix + meant}?)"
                for name, meant in _misspelt(given, names)
            ]
    return found


def near_references(rows: Iterable[ExplainedSetting], values: Mapping[str, Any], schemes: Collection[str]) -> list[str]:
    """Which secrets begin nearly like a reference, a sentence without its end for each. Nothing of them is told.

    Args:
        rows: The settings, as they are explained.
        values: Their values.
        schemes: Those of references.
    """
    found = []
    for row in rows:
        value = values.get(row.name)
        for text in value.items if isinstance(value, KeyList) else value if isinstance(value, list) else [value]:
            if not row.secret or not isinstance(text, str) or isinstance(text, LiteralText):
                continue
            begin = _SCHEME.match(text)
            near = get_close_matches(begin[1], sorted(schemes), n=1, cutoff=_NEAR_SCHEME) if begin else []
            if near and begin and begin[1] != near[0]:
                found.append(
                    f"{row.name} (from {row.source}) is no reference but the secret itself (did you mean {near[0]}://?)"
                )
    return found


def _misspelt(given: Iterable[str], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each name with the one that was meant; none that has the right one beside it, as it will be there on purpose."""
    names = set(given)
    for name in sorted(names.difference(known)):
        if (near := get_close_matches(name, known, n=1, cutoff=_NEAR)) and near[0] not in names:
            yield name, near[0]
