"""Sources of several processes over one Redis: one login for all, whichever process dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import Delay, KeyPair, SalesforceEmulator

PROCESSES, THREADS = 8, 8
LEASE_S = 15

# A deployment: processes, forked from one so that what they import is imported once; all their threads ask at once.
DEPLOYMENT = """
import json, multiprocessing, sys, threading
import cryptography.fernet, jose.jwt, redis, requests
import kinetic_auth_core as kinetic

settings = json.loads(sys.stdin.read())
processes, threads = settings.pop("processes"), settings.pop("threads")
forking = multiprocessing.get_context("fork")
start, tokens = forking.Barrier(processes * threads), forking.SimpleQueue()

def serve():
    source = kinetic.resolve("jwt-bearer", **settings)

    def ask():
        start.wait()
        tokens.put(source.session().access_token)

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking: thread.start()
    for thread in asking: thread.join()

serving = [forking.Process(target=serve) for _ in range(processes)]
for process in serving: process.start()
print(json.dumps([tokens.get() for _ in range(processes * threads)]))
for process in serving: process.join()
"""

# A process that logs in, until it is killed.
LOGIN = """
import json, sys
import kinetic_auth_core as kinetic
kinetic.resolve("jwt-bearer", **json.loads(sys.stdin.read())).session()
"""


@contextlib.contextmanager
def python(code: str, settings: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A process that runs code with these settings on its stdin; it is over at the end."""
    # Not measured: a process that is killed leaves an incomplete coverage file.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdin
        process.stdin.write(json.dumps(settings))
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def login(sf: SalesforceEmulator, keys: KeyPair) -> dict[str, Any]:
    user = sf.add_user("integration@acme.com")
    app = sf.add_app(certificates=[keys.certificate_pem], preauthorised={user.username})
    who = {"client_id": app.client_id, "username": user.username, "private_key": keys.private_key_pem}
    return {**who, "login_url": sf.url}


def stored_in(server: Any, login: dict[str, Any]) -> dict[str, Any]:
    return {**login, "store": {"name": "redis", "url": server.url, "key": Fernet.generate_key().decode()}}


@pytest.fixture
def settings(empty_server: Any, login: dict[str, Any]) -> dict[str, Any]:
    """A login, and an empty Redis."""
    return stored_in(empty_server, login)


def names(server: Any) -> list[bytes]:
    with server.client() as client:
        found: list[bytes] = client.keys("*")
        return found


def until(holds: Callable[[], object], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_sources_share_one_login(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    first, second = kinetic.resolve("jwt-bearer", **settings), kinetic.resolve("jwt-bearer", **settings)
    with first, second:
        session = first.session()
        assert second.session() == session
        assert sf.token_requests == 1
        second.invalidate(session)
        assert second.session() != session
        first.invalidate(session)
        assert first.session() == second.session()
        assert sf.token_requests == 2


def test_the_tenants_of_a_pool_share_the_connections_to_redis(settings: dict[str, Any], empty_server: Any) -> None:
    def tenant(key: str) -> dict[str, Any]:
        return {"provider": "jwt-bearer", "session_lifetime": 3600 + int(key), **settings}

    with empty_server.client() as client, kinetic.SourcePool(tenants=tenant, size=15) as pool:
        others = len(client.client_list())
        session = pool.source("0").session()
        for key in range(1, 20):  # five of which are closed on the way
            assert pool.source(str(key)).session() == session
        assert len(client.client_list()) == others + 1
        evicted = pool.source("0")
        for key in range(1, 20):
            pool.source(str(key))
        evicted.invalidate(session)  # code that holds it goes on to use it
        session = evicted.session()
        pool.close()
        until(lambda: len(client.client_list()) == others)
        assert pool.source("0").session() == session


def test_many_processes_with_many_threads_log_in_once_and_redis_holds_no_plain_text(
    sf: SalesforceEmulator, settings: dict[str, Any], empty_server: Any
) -> None:
    with python(DEPLOYMENT, {**settings, "processes": PROCESSES, "threads": THREADS}) as deployment:
        assert deployment.stdout
        tokens = json.loads(deployment.stdout.read())
        assert deployment.wait(30) == 0
    assert len(tokens) == PROCESSES * THREADS
    assert len(set(tokens)) == 1
    assert sf.token_requests == 1
    with empty_server.client() as client:
        [name] = names(empty_server)
        stored = repr((name, client.hgetall(name)))
    assert not any(secret in stored for secret in (tokens[0], "integration", settings["client_id"], "access_token"))


def test_the_store_key_is_rotated_while_all_processes_keep_running(
    sf: SalesforceEmulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of keys arrives whole, each item resolved: with the first alone, the session would be unreadable."""
    old, new = settings["store"]["key"], Fernet.generate_key().decode()
    monkeypatch.setenv("OLD_STORE_KEY", old)
    monkeypatch.setenv("NEW_STORE_KEY", new)
    listed = {**settings, "store": {**settings["store"], "key": ["env://NEW_STORE_KEY", "env://OLD_STORE_KEY"]}}
    after = {**settings, "store": {**settings["store"], "key": new}}
    with kinetic.resolve("jwt-bearer", **settings) as first, kinetic.resolve("jwt-bearer", **listed) as second:
        session = first.session()
        assert second.session() == session
        assert sf.token_requests == 1
        second.invalidate(session)
        renewed = second.session()
    with kinetic.resolve("jwt-bearer", **after) as third:
        assert third.session() != renewed  # the names are made with the oldest key, which it does not have
        assert third.session().is_valid()
    assert sf.token_requests == 3


def test_a_process_killed_during_a_login_blocks_others_no_longer_than_its_lease(
    sf: SalesforceEmulator, settings: dict[str, Any], empty_server: Any
) -> None:
    sf.break_transport(Delay(120))
    with python(LOGIN, settings) as killed:
        until(lambda: sf.token_requests == 1)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    [lease] = [name for name in names(empty_server) if name.endswith(b":lease")]
    with kinetic.resolve("jwt-bearer", **settings) as source, ThreadPoolExecutor(1) as pool:
        session = pool.submit(source.session)
        with pytest.raises(TimeoutError):
            session.result(0.3)
        with empty_server.client() as client:
            assert 0 < client.pttl(lease) <= LEASE_S * 1000
            client.pexpire(lease, 1)  # so much for its time
        assert session.result(30).is_valid()
    assert sf.token_requests == 2


def test_no_login_fails_when_redis_is_killed_and_restarted_during_a_burst(
    login: dict[str, Any], server_to_kill: Any, short_outage_pause: None
) -> None:
    settings = stored_in(server_to_kill, login)
    sources = [kinetic.resolve("jwt-bearer", **settings) for _ in range(4)]
    failures: list[BaseException] = []
    served = [0] * 8
    is_over = threading.Event()

    def work(number: int) -> None:
        source = sources[number % len(sources)]
        try:
            while not is_over.wait(0.02):
                session = source.session()
                served[number] += 1
                if served[number] % 5 == 0:
                    source.note_taken(session)  # it worked for a while
                    source.invalidate(session)
        except BaseException as error:  # noqa: BLE001 - what fails is what is looked for
            failures.append(error)

    def all_go_on() -> None:
        before = list(served)
        until(lambda: failures or all(now >= then + 10 for then, now in zip(before, served, strict=True)))
        assert failures == []

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(served))]
    for thread in threads:
        thread.start()
    all_go_on()
    server_to_kill.stop(signal.SIGKILL)
    all_go_on()
    server_to_kill.start()
    until(lambda: failures or any(name.endswith(b":value") for name in names(server_to_kill)))
    all_go_on()
    is_over.set()
    for thread in threads:
        thread.join()
    for source in sources:
        source.close()
    assert failures == []
