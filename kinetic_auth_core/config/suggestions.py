"""Suggestions for names that are not used by any setting but are so similar to one that they look misspelt.

`[defaults]` and variables may hold settings of other programs, so an unknown name there is not an error. But `loginurl`
for `login_url` would log in at the wrong host. And a secret may be any text: with `secretmanager://` before it, the
name of a password would be sent as the password.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from kinetic_auth_core.config.configuration import Configuration
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, LiteralText, Setting

#: High, since other programs have similar names: Salesforce's own command line reads SF_ORG_API_VERSION.
_SIMILAR = 0.9
_SIMILAR_SCHEME = 0.8
_SCHEME = re.compile(r"([^:/?#\s]+)://")


def name_suggestions(schema: Sequence[Setting], configuration: Configuration) -> list[str]:
    """The misspelt names in `[defaults]` and among the variables: a sentence without its full stop for each.

    Args:
        schema: The settings that are read.
        configuration: The file and the variables.
    """
    found = [
        f"{configuration.file.source('defaults', name)} is not a setting of {configuration.provider!r} "
        f"(did you mean {meant!r}?)"
        for name, meant in _misspelt(configuration.file.defaults, [each.name for each in schema])
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
    """The secrets that look like a misspelt reference: a sentence for each, which does not quote the secret.

    Args:
        rows: The settings, as `explain()` has them.
        values: Their values.
        schemes: The schemes of references.
    """
    found = []
    for row in rows:
        value = values.get(row.name)
        for text in value.items if isinstance(value, KeyList) else value if isinstance(value, list) else [value]:
            if not row.secret or not isinstance(text, str) or isinstance(text, LiteralText):
                continue
            begin = _SCHEME.match(text)
            meant = get_close_matches(begin[1], sorted(schemes), n=1, cutoff=_SIMILAR_SCHEME) if begin else []
            if meant and begin and begin[1] != meant[0]:
                found.append(
                    f"{row.name} (from {row.source}) is used as the secret itself, not as a reference "
                    f"(did you mean {meant[0]}://?)"
                )
    return found


def _misspelt(names: Iterable[str], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each misspelt name with the correct one; a name beside the correct one is there on purpose."""
    names = set(names)
    for name in sorted(names.difference(known)):
        if (meant := get_close_matches(name, known, n=1, cutoff=_SIMILAR)) and meant[0] not in names:
            yield name, meant[0]
