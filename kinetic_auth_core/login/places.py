"""Where those settings come from that the error of a login speaks of: a file and its table, a variable, a `.env`."""

import re
from collections.abc import Iterable

from kinetic_auth_core.errors import ConfigurationError, KeyLoadError, KineticAuthError
from kinetic_auth_core.settings.schema import ExplainedSetting

#: What the caller has written right there.
_OBVIOUS = frozenset({"default", "constructor", "keyword"})


def name_places(error: KineticAuthError, rows: Iterable[ExplainedSetting]) -> None:
    """Say where those settings come from that an error is about, or whose check it recommends.

    Args:
        error: The error of a login. A message that begins with a setting gets its place there; a remedy that names some
            gets theirs at its end.
        rows: The settings, as `explain()` has them.
    """
    rows = [row for row in rows if row.source not in _OBVIOUS and row.name != "store"]
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
    places = "; ".join(named)
    if places and places not in error.remedy:
        error.remedy = f"{error.remedy} ({places}.)".strip()


def _reword(error: KineticAuthError, message: str) -> None:
    if isinstance(error, ConfigurationError) and error.problems == (error.message,):
        error.problems = (message,)
    if error.args == (error.message,):
        error.args = (message,)
    error.message = message
