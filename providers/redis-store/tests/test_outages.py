"""A Redis that is down, silent or back again: errors are raised in bounded time, and the store recovers."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from kinetic_auth_redis_store import RedisStore

pytestmark = pytest.mark.usefixtures("full_tier")

KEY = Fernet.generate_key().decode()
NewStore = Callable[..., RedisStore]


def calls(store: RedisStore) -> list[Callable[[], object]]:
    return [
        lambda: store.get("key"),
        lambda: store.put("key", b"", expires_in_s=60),
        lambda: store.delete("key"),
        lambda: store.acquire("key", "holder", expires_in_s=15),
        lambda: store.release("key", "holder"),
    ]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def connections(listener: socket.socket) -> int:
    """How many connections have been made to a listener."""
    listener.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def test_without_a_server_each_call_raises_at_once(free_port: Callable[[], int], new_store: NewStore) -> None:
    store = new_store(f"redis://:canary@127.0.0.1:{free_port()}", KEY)
    for call in calls(store):
        began = time.monotonic()
        with pytest.raises(redis.ConnectionError) as failed:
            call()
        assert time.monotonic() - began < 5
        assert "canary" not in str(failed.value)


def test_a_silent_server_costs_one_timeout(silent: socket.socket, new_store: NewStore) -> None:
    store = new_store(f"redis://127.0.0.1:{silent.getsockname()[1]}", KEY, timeout=0.1)
    for call in calls(store):
        began = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            call()
        assert time.monotonic() - began > 0.09
        assert connections(silent) == 1  # redis-py by itself would try three times more


def test_a_wrong_password_is_reported_without_showing_it(new_server: Callable[..., Any], new_store: NewStore) -> None:
    server = new_server(password="canary-right")
    assert new_store(server.url, KEY).get("key") is None
    for url in (server.url.replace("canary-right", "canary-wrong"), server.url.replace(":canary-right@", "")):
        with pytest.raises(redis.AuthenticationError) as refused:
            new_store(url, KEY).get("key")
        assert "canary" not in str(refused.value)


def test_a_user_without_permission_gets_an_error(new_server: Callable[..., Any], new_store: NewStore) -> None:
    server = new_server()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", "nopass", "~other:*", "+eval")
    store = new_store(server.url.replace("//", "//app:any@"), KEY)
    for call in calls(store):
        with pytest.raises(redis.ResponseError, match="(?i)permission"):
            call()


def test_the_same_store_works_after_a_kill_and_a_restart(server_to_kill: Any, new_store: NewStore) -> None:
    store = new_store(server_to_kill.url, KEY)
    store.put("key", b"before", expires_in_s=60)
    server_to_kill.stop(signal.SIGKILL)
    for call in calls(store):
        with pytest.raises(redis.ConnectionError):
            call()
    server_to_kill.start()
    assert store.get("key") is None  # the server has no persistence
    assert store.put("key", b"after", expires_in_s=60, generation=0)
    found = store.get("key")
    assert found
    assert found.value == b"after"


def test_an_unnoticed_restart_causes_no_error(server_to_kill: Any, new_store: NewStore) -> None:
    store = new_store(server_to_kill.url, KEY)
    generation = store.put("key", b"before", expires_in_s=60)
    server_to_kill.stop(signal.SIGKILL)
    server_to_kill.start()
    assert store.put("key", b"after", expires_in_s=60, generation=generation) is None  # a new server: another time
    assert store.put("key", b"after", expires_in_s=60)


def test_threads_during_a_kill_get_an_error_or_the_right_value(server_to_kill: Any, new_store: NewStore) -> None:
    store = new_store(server_to_kill.url, KEY)
    store.put("key", b"value", expires_in_s=60)
    outcomes: list[object] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            try:
                found = store.get("key")
                outcomes.append(found and found.value)
            except redis.ConnectionError as error:
                outcomes.append(type(error))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    _until(lambda: b"value" in outcomes)
    server_to_kill.stop(signal.SIGKILL)
    _until(lambda: redis.ConnectionError in outcomes)
    server_to_kill.start()
    _until(lambda: None in outcomes)
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(outcomes) == {b"value", redis.ConnectionError, None}


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Endpoint:
    """An address that leads each new connection to one server, as a name or a balancer in front of a failover does."""

    def __init__(self, port: int) -> None:
        self.leads_to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._forgotten: set[socket.socket] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def forget(self) -> None:
        """Forget the connections without a word, as a gateway does when they were idle for minutes."""
        self._forgotten.update(self._sockets)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                pair = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self.leads_to))
                self._sockets += pair
                for each in (pair, pair[::-1]):
                    threading.Thread(target=self._copy, args=each, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self._forgotten:
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("replicas", [0, 1])
def test_after_a_failover_that_leaves_connections_open_the_new_master_is_found(
    new_server: Callable[..., Any], new_store: NewStore, replicas: int
) -> None:
    before, after = new_server(), new_server()
    endpoint = Endpoint(before.port)
    store = new_store(f"redis://127.0.0.1:{endpoint.port}/0", KEY, replicas=replicas)
    assert store.put("key", b"before", expires_in_s=60)
    with before.client() as client:
        client.replicaof("127.0.0.1", after.port)
    endpoint.leads_to = after.port
    with pytest.raises(redis.ReadOnlyError):
        store.put("key", b"lost", expires_in_s=60)
    assert store.put("key", b"after", expires_in_s=60)
    with after.client() as client:
        assert client.dbsize() == 1
    endpoint.close()


def test_a_connection_that_was_idle_is_replaced_before_it_is_used_as_a_gateway_may_have_forgotten_it(
    server: Any, new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(server.port)
    store = new_store(f"redis://127.0.0.1:{endpoint.port}/0", KEY, timeout=0.5)
    for call in calls(store):
        call()
        endpoint.forget()
        with pytest.raises(redis.TimeoutError):
            call()
        monkeypatch.setattr(RedisStore, "most_idle_s", 0.0)
        call()
        endpoint.forget()
        call()
        monkeypatch.undo()
    endpoint.close()


@pytest.mark.parametrize("put", [("rpush", "a"), ("hset", "a", "b"), ("sadd", "a")])
def test_a_foreign_value_in_the_place_of_a_lease_blocks_no_login(
    empty_server: Any, new_store: NewStore, put: tuple[str, ...]
) -> None:
    store = new_store(empty_server.url, KEY)
    command, *values = put
    with empty_server.client() as client:
        client.execute_command(command, "kinetic-auth:{key}:lease", *values)
        store.release("key", "first")
        assert store.acquire("key", "first", expires_in_s=15)
        assert not store.acquire("key", "second", expires_in_s=15)
        store.release("key", "first")
        assert store.acquire("key", "second", expires_in_s=15)


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_missing_file_of_tls_is_named_and_not_taken_for_a_missing_server(
    new_store: NewStore, tmp_path: Path, option: str
) -> None:
    store = new_store(f"rediss://:canary@127.0.0.1:1/0?{option}={tmp_path}/none.pem", KEY)
    for call in calls(store):
        with pytest.raises(
            kinetic.ConfigurationError, match=f"{option}: {tmp_path}/none.pem cannot be read: No such file"
        ) as failed:
            call()
        assert "canary" not in str(failed.value)
