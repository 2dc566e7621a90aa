"""Sources of several processes over one Redis: one login for all, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import Delay, KeyPair, SalesforceEmulator

PROCESSES, THREADS = 8, 8

# A process of a deployment: says "ready", waits for a line, then asks for a session in each of its threads.
PROCESS = """
import json, sys, threading
import kinetic_auth_core as kinetic

settings = json.loads(sys.stdin.readline())
threads_wanted = settings.pop("threads")
source = kinetic.resolve("jwt-bearer", **settings)
start = threading.Barrier(threads_wanted)
tokens = []

def ask():
    start.wait()
    tokens.append(source.session().access_token)

threads = [threading.Thread(target=ask) for _ in range(threads_wanted)]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(tokens), flush=True)
"""


@attrs.define
class Process:
    """One of them, from the outside."""

    popen: subprocess.Popen[str]

    @classmethod
    def begin(cls, settings: dict[str, Any], threads: int = 1) -> Process:
        command = [sys.executable, "-c", PROCESS]
        # Not measured: a process that is killed leaves half a file of coverage behind.
        env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
        popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        made = cls(popen)
        made.say(json.dumps({**settings, "threads": threads}))
        return made

    def say(self, line: str = "") -> None:
        assert self.popen.stdin
        self.popen.stdin.write(f"{line}\n")
        self.popen.stdin.flush()

    def hear(self) -> str:
        assert self.popen.stdout
        return self.popen.stdout.readline().strip()

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def begin() -> Iterator[Callable[..., Process]]:
    """Starts a process; it is over at the end of the test."""
    processes = []

    def begin(settings: dict[str, Any], threads: int = 1) -> Process:
        processes.append(Process.begin(settings, threads))
        return processes[-1]

    yield begin
    for process in processes:
        process.end()


@pytest.fixture
def settings(sf: SalesforceEmulator, keys: KeyPair, server_to_kill: Any) -> dict[str, Any]:
    """A login, and a Redis that no other test uses."""
    user = sf.add_user("integration@acme.com")
    app = sf.add_app(certificates=[keys.certificate_pem], preauthorised={user.username})
    store = {"name": "redis", "url": server_to_kill.url, "key": Fernet.generate_key().decode()}
    login = {"client_id": app.client_id, "username": user.username, "private_key": keys.private_key_pem}
    return {**login, "login_url": sf.url, "store": store}


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


def test_two_processes_share_one_login_and_nothing_of_it_is_readable_in_redis(
    sf: SalesforceEmulator, settings: dict[str, Any], begin: Callable[..., Process], server_to_kill: Any
) -> None:
    tokens = []
    for process in (begin(settings), begin(settings)):
        process.say()
        assert process.hear() == "ready"
        tokens += json.loads(process.hear())
    assert len(set(tokens)) == 1
    assert sf.token_requests == 1
    with server_to_kill.client() as client:
        [name] = names(server_to_kill)
        stored = repr((name, client.hgetall(name)))
    assert not any(secret in stored for secret in (tokens[0], "integration", settings["client_id"], "access_token"))


def test_a_burst_of_many_processes_with_many_threads_is_one_login(
    sf: SalesforceEmulator, settings: dict[str, Any], begin: Callable[..., Process]
) -> None:
    processes = [begin(settings, THREADS) for _ in range(PROCESSES)]
    assert [process.hear() for process in processes] == ["ready"] * PROCESSES
    for process in processes:
        process.say()
    tokens = [token for process in processes for token in json.loads(process.hear())]
    assert len(tokens) == PROCESSES * THREADS
    assert len(set(tokens)) == 1
    assert sf.token_requests == 1


def test_the_store_key_is_rotated_while_all_go_on(
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
        assert third.session() == renewed
    assert sf.token_requests == 2


def test_a_process_that_is_killed_while_it_logs_in_holds_the_others_up_no_longer_than_its_lease(
    sf: SalesforceEmulator, settings: dict[str, Any], begin: Callable[..., Process], server_to_kill: Any
) -> None:
    sf.break_transport(Delay(120))
    killed = begin(settings)
    killed.say()
    until(lambda: sf.token_requests == 1)
    assert any(name.endswith(b":lease") for name in names(server_to_kill))
    killed.popen.send_signal(signal.SIGKILL)
    killed.popen.wait()
    began = time.monotonic()
    with kinetic.resolve("jwt-bearer", **settings) as source:
        assert source.session().is_valid()
    assert 1 < time.monotonic() - began < 20  # a lease lasts 15 s
    assert sf.token_requests == 2


def test_redis_is_killed_in_mid_burst_and_comes_back_and_nobody_fails(
    sf: SalesforceEmulator, settings: dict[str, Any], server_to_kill: Any
) -> None:
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
