"""Salesforce record ids: a three-character prefix, twelve characters, and the three that make case irrelevant."""

from __future__ import annotations

import secrets
import string

_LETTERS = string.ascii_letters + string.digits
_CHECK = string.ascii_uppercase + "012345"


def long_id(short: str) -> str:
    """Extend a 15-character record id to its 18-character form.

    Args:
        short: The case-sensitive id of 15 characters.

    Returns:
        The same with its suffix: for each group of five, one character that encodes which of them are capitals.
    """
    groups = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(
        _CHECK[sum(1 << place for place, char in enumerate(group) if char in string.ascii_uppercase)]
        for group in groups
    )


def new_id(prefix: str) -> str:
    """Make up a record id.

    Args:
        prefix: The three characters that tell the kind of record: `00D` an organisation, `005` a user.

    Returns:
        An id of 18 characters.
    """
    return long_id(prefix + "".join(secrets.choice(_LETTERS) for _ in range(12)))
