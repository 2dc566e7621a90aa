"""What a Redis may lose is said where a token depends on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from kinetic_auth_redis_store import RedisStore
from kinetic_auth_redis_store.store import configuration_problems

KEY = Fernet.generate_key().decode()
DURABLE = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory": "0", "maxmemory-policy": "noeviction"}


@pytest.mark.parametrize(
    ("changed", "connected", "said"),
    [
        ({"appendonly": "no"}, 0, "appendonly is off"),
        ({"appendfsync": "no"}, 0, "appendfsync is no"),
        ({"maxmemory": "100", "maxmemory-policy": "allkeys-lru"}, 0, "maxmemory-policy is allkeys-lru"),
        ({"maxmemory": "100", "maxmemory-policy": "volatile-ttl"}, 0, "maxmemory-policy is volatile-ttl"),
        ({}, 2, "it has replicas"),
    ],
)
def test_each_setting_that_may_lose_a_value_is_named(changed: dict[str, str], connected: int, said: str) -> None:
    (problem,) = configuration_problems({**DURABLE, **changed}, connected, 0)
    assert problem.startswith(said)


def test_a_durable_server_has_no_problem() -> None:
    assert configuration_problems(DURABLE, 0, 0) == []
    assert configuration_problems(DURABLE, 2, 1) == []


def test_the_server_is_asked(new_server: Callable[..., Any], new_store: Callable[..., RedisStore]) -> None:
    server = new_server("--appendonly", "yes")
    assert new_store(server.url, key=KEY).durability_problems() == []
    with server.client() as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    (problem,) = new_store(server.url, key=KEY).durability_problems()
    assert "set noeviction" in problem


def test_a_server_that_may_not_be_asked_is_not_taken_for_durable(
    new_server: Callable[..., Any], new_store: Callable[..., RedisStore]
) -> None:
    server = new_server("--rename-command", "CONFIG", "")
    (problem,) = new_store(server.url, key=KEY).durability_problems()
    assert "may not be read" in problem


def test_a_replica_that_does_not_confirm_is_reported(
    server: Any, new_store: Callable[..., RedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    store = new_store(server.url, key=KEY, replicas=1, timeout=0.4)
    assert store.put("replicated", b"value", expires_in_s=60)
    assert "0 of 1 replicas" in caplog.text


def test_replicas_are_asked_over_the_connection_that_has_written(
    server: Any, new_store: Callable[..., RedisStore]
) -> None:
    store = new_store(server.url, key=KEY, replicas=1, timeout=0.2)
    is_over = threading.Event()

    def use_connections() -> None:
        while not is_over.is_set():
            store.release("key", "holder")

    with server.client() as client, client.monitor() as monitor, ThreadPoolExecutor(32) as threads:
        for _ in range(4):
            threads.submit(use_connections)
        list(threads.map(lambda number: store.put(f"value-{number}", b"value", expires_in_s=60), range(500)))
        is_over.set()
        client.echo("the end")
        before: dict[str, str] = {}
        asked = []
        for each in monitor.listen():
            if each["command"].startswith("ECHO"):
                break
            if each["client_type"] == "tcp":
                asked += [before.get(each["client_port"], "")] if each["command"].startswith("WAIT") else []
                before[each["client_port"]] = each["command"]
    assert ["PEXPIRE" in command for command in asked] == [True] * 500  # the script that stores


def test_a_number_of_replicas_below_zero_is_refused() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="replicas: must be a number of replicas"):
        RedisStore("redis://localhost", KEY, replicas=-1)
