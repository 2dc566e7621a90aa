"""Secrets of an Azure Key Vault, with the real SDK and its real credential chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Load = Callable[..., Any]


def test_a_secret_is_returned_unchanged(vault: Any, load: Load) -> None:
    vault.set_secret("whole", "canary\nvalue ü")
    assert load(f"secret-manager://azure/{vault.host}/whole") == "canary\nvalue ü".encode()


def test_an_empty_secret_is_empty(vault: Any, load: Load) -> None:
    vault.set_secret("empty", "")
    assert load(f"secret-manager://azure/{vault.host}/empty") == b""


def test_a_field_of_a_json_secret_is_taken(vault: Any, load: Load) -> None:
    vault.set_secret("json", json.dumps({"private_key": "canary", "other": "x"}))
    assert load(f"secret-manager://azure/{vault.host}/json#private_key") == b"canary"


def test_the_current_version_is_read_unless_another_is_named(vault: Any, load: Load) -> None:
    old = vault.set_secret("versioned", "old")
    vault.set_secret("versioned", "new")
    assert load(f"secret-manager://azure/{vault.host}/versioned") == b"new"
    assert load(f"secret-manager://azure/{vault.host}/versioned?version={old}") == b"old"


def test_two_fields_of_a_secret_cost_one_request(vault: Any, load: Load) -> None:
    vault.set_secret("two-fields", '{"a": "1", "b": "2"}')
    assert load(f"secret-manager://azure/{vault.host}/two-fields#a") == b"1"
    assert load(f"secret-manager://azure/{vault.host}/two-fields#b") == b"2"
    assert len(vault.calls) == 1
