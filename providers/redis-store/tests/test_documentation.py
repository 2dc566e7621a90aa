"""README and docs describe the store correctly."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kinetic_auth_core.plugins import schema
from kinetic_auth_redis_store import RedisStore

REPOSITORY = Path(__file__).parents[3]


def test_the_readme_lists_every_setting_with_its_variable() -> None:
    readme = (REPOSITORY / "providers/redis-store/README.md").read_text("utf-8")
    table = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", readme, re.MULTILINE)
    assert table == [(each.name, f"SF_STORE_{each.name.upper()}") for each in schema(RedisStore)]


def test_the_rights_that_the_docs_ask_for_are_enough(
    new_server: Callable[..., Any], new_store: Callable[..., RedisStore]
) -> None:
    page = (REPOSITORY / "docs/sessions.md").read_text("utf-8")
    [rights] = re.findall(r"^ *(ACL SETUSER .*)$", page, re.MULTILINE)
    server = new_server()
    with server.client() as client:
        client.execute_command(*rights.split())
    store = new_store(server.url.replace("//", "//app:word@"), encrypt=False)
    generation = store.put("key", b"value", expires_in_s=60)
    assert generation
    assert store.get("key")
    assert store.put("key", b"next", expires_in_s=60, generation=generation)
    assert store.delete("key")
    assert store.acquire("key", "holder", expires_in_s=15)
    store.release("key", "holder")
    assert store.acquire("key", "another", expires_in_s=15)
