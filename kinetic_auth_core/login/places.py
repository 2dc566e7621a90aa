"""Where those settings come from that the error of a login speaks of: a file and its table, a variable, a `.env`."""

import re
from collections.abc import Iterable

from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.settings.schema import ExplainedSetting

#: What the caller has written right there.
_OBVIOUS = frozenset({"default", "constructor", "keyword"})


def name_places(error: KineticAuthError, rows: Iterable[ExplainedSetting]) -> None:
    """Add to an error's remedy where those settings come from that it tells the reader to look at.

    Args:
        error: The error of a login; one whose remedy names no setting stays as it is.
        rows: The settings, as `explain()` has them.
    """
    named = [
        f"{row.name} is from {row.source}"
        for row in rows
        if row.source not in _OBVIOUS and row.name != "store" and re.search(rf"\b{row.name}\b", error.remedy)
    ]
    places = "; ".join(named)
    if places and places not in error.remedy:
        error.remedy = f"{error.remedy} ({places}.)"
