"""No value and no token in a log, even at DEBUG, nor in anything that an error shows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from kinetic_auth_core import KeyLoadError

Load = Callable[..., Any]
Leaked = Callable[..., list[str]]

VALUE = "canary-7331"
TOKEN = "canary-azure-token"
HEADER = "canary-identity-header"


def test_the_debug_logs_of_the_sdk_have_no_value_and_no_token(
    vault: Any, load: Load, leaked: Leaked, caplog: pytest.LogCaptureFixture
) -> None:
    vault.set_secret("logged", f'{{"k": "{VALUE}"}}')
    vault.create_key("logged")
    with caplog.at_level(logging.DEBUG):
        load(f"secret-manager://azure/{vault.host}/logged#k")
        load(f"kms://azure/{vault.host}/logged").sign(b"message")
    assert any(record.name.startswith("azure.") for record in caplog.records)
    assert leaked(caplog.text, VALUE, TOKEN, HEADER) == []


REFUSALS = [(403, "Forbidden", "ForbiddenByRbac", "no longer"), (400, "BadParameter", "", "never")]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["denied", "refused"])
def test_a_refusal_shows_neither_value_nor_token(
    refusal: tuple[int, str, str, str], vault: Any, load: Load, leaked: Leaked
) -> None:
    vault.set_secret("then-refused", VALUE)
    uri = f"secret-manager://azure/{vault.host}/then-refused"
    load(uri)
    vault.refusal = refusal
    with pytest.raises(KeyLoadError) as caught:
        load(uri, fresh=True)
    assert leaked(caught.value, VALUE, TOKEN, HEADER) == []


def test_an_error_about_a_field_shows_no_value(vault: Any, load: Load, leaked: Leaked) -> None:
    vault.set_secret("fields", f'{{"k": "{VALUE}", "{VALUE}": 1}}')
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://azure/{vault.host}/fields#absent")
    assert leaked(caught.value, VALUE, TOKEN, HEADER) == []
