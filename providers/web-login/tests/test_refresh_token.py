"""Logins with a refresh token that rotates."""

from __future__ import annotations

from typing import Any

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator


def test_each_login_uses_the_token_that_the_last_one_got(settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    with kinetic.resolve("refresh-token", **settings) as source:
        sessions = [source.authenticate() for _ in range(4)]
    assert len({each.access_token for each in sessions}) == 4
    assert sf.is_live(sessions[-1].access_token)


def test_a_new_process_without_a_store_named_goes_on_with_the_newest_token(settings: dict[str, Any]) -> None:
    sources = [kinetic.resolve("refresh-token", **settings) for _ in range(3)]
    for source in sources:
        with source:
            source.authenticate()
    rows = {row.name: row for row in sources[-1].explain()}
    assert (rows["store"].value, rows["store"].source) == ("file", "default")
