"""Threads and processes that ask at once, and the stores that they share."""

import functools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import redis as redis_client
from comparisons.rounds import Comparison, Contestant, cpu_ms, wall_ms
from comparisons.servers import Org
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic

_THREADS = 64
_DELAY_S = 0.1
_WORKER = """
import json, sys, threading
import kinetic_auth_core as kinetic
store, settings = json.loads(sys.argv[1])
source = kinetic.resolve("jwt-bearer", store=store, **settings)
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=source.session) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done", flush=True)
sys.stdin.readline()
"""


def comparisons(org: Org, folder: Path, redis_url: str | None) -> Iterator[Comparison]:
    """Comparisons of sharing.

    Args:
        org: Speaks plain http.
        folder: For file stores.
        redis_url: Of an empty Redis; None: there is none.
    """
    yield Comparison(
        "64 threads without a session, an endpoint of 100 ms",
        "ms",
        [
            Contestant("floor: one request of 100 ms", lambda: _DELAY_S * 1e3),
            Contestant("kinetic-auth: the last thread has the session", lambda: _herd(org)),
        ],
        note="Until the last thread has it, with reading and checking the key. One token request each time.",
    )
    stores: dict[str, Callable[[int], dict[str, Any]]] = {
        "kinetic-auth: file store": lambda number: {"name": "file", "path": str(folder / str(number))},
    }
    if redis_url is not None:
        key = Fernet.generate_key().decode()
        stores["kinetic-auth: Redis"] = lambda number: {
            "name": "redis",
            "url": f"{redis_url[:-1]}{number % 16}",
            "key": key,
        }
    yield Comparison(
        "8 processes of 8 threads over one store, an endpoint of 100 ms",
        "ms",
        [
            Contestant("floor: one request of 100 ms", lambda: _DELAY_S * 1e3),
            *(Contestant(name, functools.partial(_fleet, org, store)) for name, store in stores.items()),
        ],
        rounds=7,  # and one that does not count: Redis has sixteen databases
        note="Until the last process has the session. One token request each time.",
    )
    yield _file_hits(org, folder / "hits")
    if redis_url is not None:
        yield _redis_hits(org, redis_url)


def _one_request(org: Org, work: Callable[[], float]) -> float:
    org.delay(_DELAY_S)
    before = org.token_requests()
    try:
        took = work()
    finally:
        made = org.token_requests() - before
        org.delay(0)
    if made != 1:
        raise AssertionError(f"{made} token requests")
    return took


def _herd(org: Org) -> float:
    source = kinetic.resolve("jwt-bearer", **org.settings)
    start = threading.Barrier(_THREADS + 1)

    def ask() -> None:
        start.wait()
        source.session()

    def work() -> float:
        with ThreadPoolExecutor(_THREADS) as pool:
            asked = [pool.submit(ask) for _ in range(_THREADS)]
            start.wait()
            return wall_ms(lambda: [each.result() for each in asked])

    return _one_request(org, work)


_numbers = iter(range(1_000))


def _fleet(org: Org, store: Callable[[int], Mapping[str, Any]]) -> float:
    command = [sys.executable, "-c", _WORKER, json.dumps([store(next(_numbers)), org.settings])]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for worker in workers:
        worker.stdout.readline()

    def work() -> float:
        began = time.perf_counter()
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            worker.stdout.readline()
        return (time.perf_counter() - began) * 1e3

    try:
        return _one_request(org, work)
    finally:
        for worker in workers:
            worker.communicate("end\n")


_NOTE = "A source without a session reads the one that another process has stored; CPU time, the mean of 200 calls."


def _file_hits(org: Org, folder: Path) -> Comparison:
    ours = _reader(org, {"name": "file", "path": str(folder)})
    file = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    calls = {"floor: Path.read_bytes()": file.read_bytes, "kinetic-auth": ours}
    return Comparison("a session in the file store", "ms", _contestants(calls), note=_NOTE)


def _redis_hits(org: Org, redis_url: str) -> Comparison:
    ours = _reader(org, {"name": "redis", "url": redis_url, "key": Fernet.generate_key().decode()})
    client = redis_client.Redis.from_url(redis_url)
    name = max(client.scan_iter(), key=lambda key: client.memory_usage(key) or 0)
    get = client.get if client.type(name) == b"string" else client.hgetall
    calls = {"floor: GET": functools.partial(get, name), "kinetic-auth, encrypted": ours}
    return Comparison("a session in Redis", "ms", _contestants(calls), note=_NOTE)


def _reader(org: Org, store: Mapping[str, Any]) -> Callable[[], object]:
    kinetic.resolve("jwt-bearer", store=store, **org.settings).session()
    return kinetic.resolve("jwt-bearer", store=store, **org.settings).peek


def _contestants(calls: Mapping[str, Callable[[], object]]) -> list[Contestant]:
    return [Contestant(name, functools.partial(_many, call)) for name, call in calls.items()]


def _many(call: Callable[[], object], calls: int = 200) -> float:
    return cpu_ms(lambda: [call() for _ in range(calls)]) / calls
