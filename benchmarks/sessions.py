"""What sessions cost: reading the live one, a cold herd, a revoke in mid-burst, ten thousand tenants in one process.

    python benchmarks/sessions.py [TENANTS]

With BENCHMARK_REDIS_URL=redis://127.0.0.1:6379/0 a fleet over that Redis is measured, too.

Everything runs against the emulator in a process of its own, over loopback http. Each figure stands beside a floor or a
peer that is measured in the same run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.requests import SalesforceAuth

_SERVER = """
import json, sys
from kinetic_auth_core.testing import SalesforceEmulator
with SalesforceEmulator() as sf:
    print(json.dumps(sf.env()), flush=True)
    for line in sys.stdin:
        if line == "revoke\\n":
            sf.revoke_all()
        print(sf.token_requests, flush=True)
"""


class Org:
    """The emulator in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.env: dict[str, str] = json.loads(self._ask(None))
        self.settings = {
            "client_id": self.env["SF_CLIENT_ID"],
            "username": self.env["SF_USERNAME"],
            "login_url": self.env["SF_LOGIN_URL"],
            "private_key_path": self.env["SF_PRIVATE_KEY_PATH"],
        }

    def token_requests(self) -> int:
        """How many there were so far."""
        return int(self._ask("count"))

    def revoke_all(self) -> None:
        """Kill every session."""
        self._ask("revoke")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, command: str | None) -> str:
        to_server, from_server = self._process.stdin, self._process.stdout
        if command is not None:
            to_server.write(f"{command}\n")
            to_server.flush()
        return from_server.readline()


def per_call_ns(function: Callable[[], Any], calls: int = 200_000, rounds: int = 5) -> float:
    """The median over some rounds."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(calls):
            function()
        found.append((time.perf_counter_ns() - began) / calls)
    return statistics.median(found)


def reading(org: Org) -> None:
    """The live path, against the two clocks that it has to read."""
    source = kinetic.resolve("jwt-bearer", **org.settings)
    source.session()

    def two_clocks() -> tuple[float, float]:
        return time.monotonic(), time.time()

    ours, floor = per_call_ns(source.session), per_call_ns(two_clocks)
    print(f"read the live session: {ours:.0f} ns; reading two clocks alone: {floor:.0f} ns; ratio {ours / floor:.1f}")


def cold_herd(org: Org, threads: int = 64) -> None:
    """All threads ask at once; beside it, one thread that logs in alone."""
    warm = kinetic.resolve("jwt-bearer", **org.settings)
    warm.session()
    began = time.perf_counter()
    warm.authenticate()
    alone = time.perf_counter() - began
    source = kinetic.resolve("jwt-bearer", **org.settings)
    before, start = org.token_requests(), threading.Barrier(threads + 1)

    def ask() -> None:
        start.wait()
        source.session()

    with ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(ask) for _ in range(threads)]
        start.wait()
        began = time.perf_counter()
        for each in asked:
            each.result()
        took = time.perf_counter() - began
    print(
        f"cold herd of {threads} threads: {org.token_requests() - before} token request(s), {took * 1000:.0f} ms with "
        f"the key's parsing; one prepared login alone: {alone * 1000:.1f} ms"
    )


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
"""


def fleet(org: Org, store: dict[str, Any], processes: int = 8) -> None:
    """Processes of 8 threads each over one store, all cold, all at once."""
    before = org.token_requests()
    command = [sys.executable, "-c", _WORKER, json.dumps([store, org.settings])]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for worker in workers:
        worker.stdout.readline()
    began = time.perf_counter()
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.stdout.readline()
    took = time.perf_counter() - began
    for worker in workers:
        worker.communicate()
    print(
        f"{processes} processes x 8 threads over the store {store['name']!r}: {org.token_requests() - before} token "
        f"request(s), all have the session after {took * 1000:.0f} ms"
    )


def revoked_in_mid_burst(org: Org, threads: int = 64, calls: int = 2_000, revokes: int = 5) -> None:
    """REST calls through the adapter for requests, while everything is revoked again and again."""
    source = kinetic.resolve("jwt-bearer", **org.settings)
    auth = SalesforceAuth(source)
    url = f"{source.session().base_url}/limits"
    local = threading.local()
    before = org.token_requests()

    def call(_: int) -> int:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return int(local.session.get(url, auth=auth, timeout=60).status_code)

    began = time.perf_counter()
    statuses: list[int] = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(revokes):
            statuses += pool.map(call, range(calls // (revokes + 1)))
            org.revoke_all()
        statuses += pool.map(call, range(calls - len(statuses)))
    took = time.perf_counter() - began
    failed = sum(status != 200 for status in statuses)
    print(
        f"{len(statuses)} REST calls of {threads} threads with {revokes} revokes in between: "
        f"{org.token_requests() - before} logins, {failed} failed calls, {len(statuses) / took:.0f} calls/s"
    )


def tenants(org: Org, count: int) -> None:
    """Sources for many tenants in one process: made, then logged in."""
    pool = kinetic.SourcePool(
        tenants=lambda _: {"provider": "jwt-bearer", "read_timeout": 30, **org.settings}, size=count
    )
    pool.source("warm").session()
    before = _rss_kib()
    began = time.perf_counter()
    for number in range(count - 1):
        pool.source(str(number))
    made = time.perf_counter() - began
    made_kib = _rss_kib() - before
    logged_in = min(count, 500)
    began = time.perf_counter()
    for number in range(logged_in - 1):
        pool.source(str(number)).session()
    took = time.perf_counter() - began
    live_kib = _rss_kib() - before - made_kib
    print(
        f"{count} tenants: {made / count * 1e3:.2f} ms and {made_kib / count:.1f} KiB each to make; the first "
        f"{logged_in} logged in: {took / logged_in * 1e3:.1f} ms and {live_kib / logged_in:.1f} KiB each more"
    )
    pool.close()


def _rss_kib() -> int:
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


if __name__ == "__main__":
    org = Org()
    try:
        reading(org)
        cold_herd(org)
        with tempfile.TemporaryDirectory() as folder:
            fleet(org, {"name": "file", "path": f"{folder}/store"})
        if url := os.environ.get("BENCHMARK_REDIS_URL"):
            fleet(org, {"name": "redis", "url": url, "encrypt": False})
        revoked_in_mid_burst(org)
        tenants(org, int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    finally:
        org.close()
