"""The stored values are encrypted, and the key can be rotated."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet

from kinetic_auth_redis_store import RedisStore

MARKER = b"canary-6c1e"
OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))

NewStore = Callable[..., RedisStore]


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def everything(server: Any) -> bytes:
    """All names and values in Redis."""
    with server.client() as client:
        kinds = {b"hash": client.hgetall, b"string": client.get}
        return repr([(name, kinds[client.type(name)](name)) for name in client.keys("*")]).encode()


def test_redis_does_not_hold_the_value_in_clear(server: Any, new_store: NewStore, name: str) -> None:
    new_store(server.url, OLD).put(name, MARKER * 10, expires_in_s=60)
    assert name.encode() in everything(server)
    assert MARKER not in everything(server)
    new_store(server.url, encrypt=False).put(f"{name}.clear", MARKER, expires_in_s=60)
    assert MARKER in everything(server)  # so the look would have found it
    new_store(server.url, encrypt=False).delete(f"{name}.clear")


def test_every_key_in_redis_expires(server: Any, new_store: NewStore, name: str) -> None:
    store = new_store(server.url, OLD)
    store.put(name, b"", expires_in_s=60)
    store.acquire(name, "holder", expires_in_s=15)
    with server.client() as client:
        left_ms = sorted(client.pttl(each) for each in client.keys("*") if name.encode() in each)
        assert 0 < left_ms[0] <= 15_000 < left_ms[1] <= 60_000
        store.delete(name)
        store.release(name, "holder")
        assert [each for each in client.keys("*") if name.encode() in each] == []


def test_a_key_is_rotated_without_losing_a_session(server: Any, new_store: NewStore, name: str) -> None:
    before, during, after = (new_store(server.url, key) for key in (OLD, [NEW, OLD], NEW))
    generation = before.put(name, b"session", expires_in_s=60)
    assert during.get(name) == before.get(name)
    assert during.put(name, b"next", expires_in_s=60, generation=generation)
    assert after.get(name) == during.get(name)


def test_a_value_encrypted_with_another_key_is_ignored_with_one_warning(
    server: Any, new_store: NewStore, name: str, caplog: Any
) -> None:
    new_store(server.url, OLD).put(name, MARKER, expires_in_s=60)
    store = new_store(server.url, OTHER)
    with caplog.at_level(logging.DEBUG):
        assert [store.get(name) for _ in range(3)] == [None] * 3
    [record] = [record for record in caplog.records if record.name.startswith("kinetic_auth")]
    assert record.levelname == "WARNING"
    assert "wrong key or corrupted" in record.getMessage()
    assert not any(secret in caplog.text for secret in (OLD, OTHER, MARKER.decode()))
    assert store.put(name, b"mine", expires_in_s=60, generation=0) is None
    assert store.put(name, b"mine", expires_in_s=60)
    found = store.get(name)
    assert found
    assert found.value == b"mine"


def test_values_of_another_key_alone_are_a_problem_of_the_key(server: Any, new_store: NewStore, name: str) -> None:
    prefix = f"app*{name}:"
    assert new_store(server.url, OTHER, prefix=prefix).key_problems() == []
    new_store(server.url, OLD, prefix=prefix).put(name, MARKER, expires_in_s=60)
    (problem,) = new_store(server.url, OTHER, prefix=prefix).key_problems()
    assert problem == "none of the 1 values there can be decrypted: they were written with another key"
    assert new_store(server.url, [NEW, OLD], prefix=prefix).key_problems() == []
    assert new_store(server.url, encrypt=False, prefix=prefix).key_problems() == []
    new_store(server.url, OTHER, prefix=prefix).put(f"{name}.2", MARKER, expires_in_s=60)
    assert new_store(server.url, OTHER, prefix=prefix).key_problems() == []


@pytest.mark.parametrize(
    "garbage",
    [
        lambda client, name: client.set(name, b"text"),
        lambda client, name: client.delete(name) and client.rpush(name, b"a", b"list"),
        lambda client, name: client.hset(name, mapping={"value": b"no token", "generation": b"7"}),
        lambda client, name: client.hset(name, mapping={"value": b"", "generation": b"1e300"}),
        lambda client, name: client.hdel(name, "value"),
        lambda client, name: client.hset(name, "generation", b"nonsense"),
        lambda client, name: client.hdel(name, "generation"),
        lambda client, name: client.hset(name, "value", client.hget(name, "value")[:-1] + b"!"),
    ],
)
def test_garbage_is_ignored_and_replaced(
    server: Any, new_store: NewStore, name: str, garbage: Callable[[Any, str], Any], caplog: Any
) -> None:
    store = new_store(server.url, OLD)
    store.put(name, b"value", expires_in_s=60)
    with server.client() as client:
        [stored] = client.keys(f"*{name}*")
        garbage(client, stored)
    assert store.get(name) is None
    assert "wrong key or corrupted" in caplog.text
    generation = store.put(name, b"new", expires_in_s=60)
    found = store.get(name)
    assert found
    assert (found.value, found.generation) == (b"new", generation)


def test_a_value_moved_to_another_name_is_ignored(server: Any, new_store: NewStore, name: str) -> None:
    store = new_store(server.url, OLD)
    store.put(name, b"ada's", expires_in_s=60)
    with server.client() as client:
        [stored] = client.keys(f"*{name}*")
        client.copy(stored, stored.replace(name.encode(), b"bob" + name.encode()))
    assert store.get(f"bob{name}") is None


def test_two_prefixes_are_two_places(server: Any, new_store: NewStore, name: str) -> None:
    new_store(server.url, OLD, prefix="one:").put(name, b"", expires_in_s=60)
    assert new_store(server.url, OLD, prefix="two:").get(name) is None


def test_generations_do_not_decrease_when_the_clock_is_set_back(server: Any, new_store: NewStore, name: str) -> None:
    store = new_store(server.url, encrypt=False)
    store.put(name, b"", expires_in_s=60)
    with server.client() as client:
        [stored] = client.keys(f"*{name}*")
        client.hset(stored, "generation", 2**52)  # as of a clock that is ahead by decades
    assert store.put(name, b"", expires_in_s=60, generation=2**52) == 2**52 + 1


@pytest.mark.parametrize("field", ["value", "generation"])
def test_a_value_that_is_too_long_is_ignored_and_never_sent(
    server: Any, new_store: NewStore, name: str, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = new_store(server.url, OLD)
    store.put(name, MARKER, expires_in_s=60)
    with server.client() as client:
        stored = next(each for each in client.keys("*") if name.encode() in each)
        client.eval("redis.call('HSET', KEYS[1], ARGV[1], string.rep('x', ARGV[2]))", 1, stored, field, 8 * 2**20)
        sent_before = client.info()["total_net_output_bytes"]
        assert store.get(name) is None
        assert client.info()["total_net_output_bytes"] - sent_before < 2**20
    assert "or longer than 1 MiB" in caplog.text
    store.put(name, MARKER, expires_in_s=60)
    assert store.get(name) is not None
