"""Refresh tokens that rotate, under load and crashes: each is presented once, but for one retry, and no grant is lost.

    python benchmarks/rotation.py [--store file|redis] [--processes 8] [--threads 8] [--rotations 1000] ...

Processes with threads ask for sessions that live for a fraction of a second, from an org in this process that ends a
grant when a spent token is presented. Then, one after the other:

- a random process is killed with SIGKILL at each of four points: before it sends, when its request has arrived, when
  its token is spent and before it gets the answer, and with the answer before its token is stored;
- the store fails: Redis is killed and started again; the folder cannot be written; the disk is full.

The org counts how often each token is presented. Ends with 1 if one was presented twice although its answer arrived,
more often than twice, or if a grant was lost whose answer was not.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

sys.path[:0] = [str(Path(__file__).parent / "rotating")]

from rotating_org import Fault, RotatingOrg, kill_after, kill_before  # noqa: E402 - the path is above

LIFE_S = 0.4
#: A worker: threads that ask one source for sessions. It prints what they have got, once in a while.
_WORKER = """
import collections, json, os, signal, sys, threading, time
import attrs
import kinetic_auth_core as kinetic
from kinetic_auth_core.stores.session_cache import SessionCache
sys.path[:0] = [sys.argv[1]]
from acme_broker import BrokerAuthenticator

options = json.loads(sys.argv[2])
SessionCache.lease_s = options["lease_s"]

def dies_at(point):
    try:
        os.rename(options["order"] + "." + point, options["order"] + ".taken")  # one process gets the order
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

@attrs.frozen
class Broker(BrokerAuthenticator):
    def grant(self, request):
        return {**super().grant(request), "pid": str(os.getpid())}

    def granted(self, request, answer):
        dies_at("answered")
        super().granted(request, answer)

class Killer:
    @kinetic.hookimpl(wrapper=True)
    def authenticate(self, request):
        dies_at("marked")
        session = yield
        dies_at("stored")
        return session

if options["store"] == "file":
    store = kinetic.FileStore(options["path"])
else:
    from kinetic_auth_redis_store import RedisStore
    store = RedisStore(options["url"], key=options["key"])
broker = Broker("app", options["ticket"], login_url=options["login_url"], deadline=options["deadline_s"])
source = kinetic.SessionSource(broker, store=store, observers=[Killer()], lockout_guard=0, login_budget=10**9)
outcomes, stop = collections.Counter(), threading.Event()

def ask():
    while not stop.is_set():
        began = time.monotonic()
        try:
            session = source.session()
            outcomes["session"] += 1
        except kinetic.KineticAuthError as error:
            outcomes[type(error).__name__] += 1
            stop.wait(0.1)
        took_s = time.monotonic() - began
        outcomes["longest_ms"] = max(outcomes["longest_ms"], int(took_s * 1000))
        stop.wait(0.005)

threads = [threading.Thread(target=ask) for _ in range(options["threads"])]
for thread in threads:
    thread.start()
sys.stdin.readline()
stop.set()
for thread in threads:
    thread.join()
print(json.dumps(outcomes))
"""


@attrs.define
class Place:
    """Where the tokens are kept.

    Attributes:
        options: For the workers.
        failures: What may be done to it: a name, and a function that makes it fail and one that mends it.
    """

    options: dict[str, Any]
    failures: list[tuple[str, Callable[[], None], Callable[[], None]]] = attrs.field(factory=list)


@contextlib.contextmanager
def file_place() -> Iterator[Place]:
    """A folder, on a disk of its own where this user may mount one."""
    with tempfile.TemporaryDirectory() as root:
        disk = Path(root) / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(disk)]
        is_mounted = sys.platform == "linux" and not subprocess.run(mount, capture_output=True, check=False).returncode
        folder = disk / "store"
        place = Place({"store": "file", "path": str(folder)})
        place.failures.append(
            ("folder that others can write", lambda: folder.chmod(0o777), lambda: folder.chmod(0o700))
        )
        if is_mounted:
            place.failures.append(
                (
                    "read-only disk",
                    lambda: _until_done(["mount", "-o", "remount,ro", str(disk)]),
                    lambda: _until_done(["mount", "-o", "remount,rw", str(disk)]),
                )
            )
            place.failures.append(("full disk", lambda: _fill(disk / "filler"), (disk / "filler").unlink))
        try:
            yield place
        finally:
            if is_mounted:
                _until_done(["umount", str(disk)])


def _until_done(command: list[str]) -> None:
    for _ in range(100):
        if not subprocess.run(command, capture_output=True, check=False).returncode:
            return
        time.sleep(0.05)
    subprocess.run(command, check=True)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


@contextlib.contextmanager
def redis_place() -> Iterator[Place]:
    """A Redis that writes each value to its file before it answers."""
    from cryptography.fernet import Fernet

    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        running: list[subprocess.Popen[bytes]] = []
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            sys.exit("--store redis needs redis-server or valkey-server on PATH")
        options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]

        def start() -> None:
            running.append(subprocess.Popen([program, *options, *durable], stdout=subprocess.DEVNULL))

        def kill() -> None:
            running[-1].kill()
            running.pop().wait()

        start()
        url, key = f"redis://127.0.0.1:{port}/0", Fernet.generate_key().decode()
        place = Place({"store": "redis", "url": url, "key": key})
        place.failures.append(("Redis killed and started again", kill, start))
        try:
            yield place
        finally:
            kill()


@attrs.define
class Run:
    """Workers, an org and a store."""

    org: RotatingOrg
    place: Place
    processes: int
    threads: int
    deadline_s: float
    lease_s: float
    folder: Path
    workers: list[subprocess.Popen[str]] = attrs.field(factory=list)
    ticket: str = ""
    problems: list[str] = attrs.field(factory=list)

    def begin(self) -> None:
        """Begin a grant, and start all workers with it."""
        self.ticket = self.org.consent()
        for _ in range(self.processes):
            self.start_one()

    def start_one(self) -> None:
        """Start a worker."""
        options = {
            **self.place.options,
            "ticket": self.ticket,
            "login_url": self.org.url,
            "deadline_s": self.deadline_s,
            "lease_s": self.lease_s,
            "threads": self.threads,
            "order": str(self.folder / "die"),
        }
        example = Path(__file__).parents[1] / "docs" / "examples" / "rotating_provider"
        command = [sys.executable, "-c", _WORKER, str(example), json.dumps(options)]
        pipe = subprocess.PIPE
        log = (self.folder / "log").open("a")
        self.workers.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True))
        log.close()

    def end(self) -> dict[str, int]:
        """Stop the workers; what their threads have got."""
        total: dict[str, int] = {}
        for worker in self.workers:
            if worker.poll() is not None:
                worker.communicate()
                continue
            try:
                said, _ = worker.communicate("\n", timeout=6 * self.deadline_s + 4 * self.lease_s + 30)
            except subprocess.TimeoutExpired:
                self.problems.append("a worker hangs")
                worker.kill()
                worker.communicate()
                continue
            for name, count in json.loads(said or "{}").items():
                total[name] = max(total.get(name, 0), count) if name == "longest_ms" else total.get(name, 0) + count
        self.workers.clear()
        return total

    def wait_for(self, rotations: int, timeout_s: float) -> None:
        """Wait until the org has issued that many more tokens."""
        until, wanted = time.monotonic() + timeout_s, self.org.issued + rotations
        while self.org.issued < wanted:
            if all(worker.poll() is not None for worker in self.workers):
                self.problems.append("all workers have ended")
                return
            if time.monotonic() > until:
                self.problems.append(f"there were no {rotations} rotations within {timeout_s:.0f} s")
                return
            time.sleep(0.01)

    def kill_one(self, point: str) -> None:
        """Have one worker die at a point, and wait until it has."""
        fault: Fault | None = {"sent": kill_before, "spent": kill_after}.get(point)
        if fault is not None:
            self.org.fail_next(fault)
        else:
            (self.folder / f"die.{point}").touch()
        until = time.monotonic() + 60
        while all(worker.poll() is None for worker in self.workers):
            if time.monotonic() > until:
                self.problems.append(f"no worker died at the point {point!r}")
                return
            time.sleep(0.01)
        (self.folder / "die.taken").unlink(missing_ok=True)

    def is_lost(self) -> bool:
        """Whether the grant that the workers use has ended."""
        return self.org.families[self.ticket] in self.org.dead_families


#: Where a process dies, and whether the answer is lost between the org and the store.
POINTS = {"marked": False, "sent": False, "spent": True, "answered": True, "stored": False}


def run(run: Run, rotations: int, points: list[str], *, failures: bool) -> None:
    """Make one run and print what came of it."""
    patience_s = 2 * run.deadline_s + run.lease_s
    began, before = time.monotonic(), run.org.issued
    run.begin()
    run.wait_for(rotations, rotations * 2 + 60)
    _report(run, f"{rotations} rotations", began, before, may_be_lost=False)
    for point in points:
        began, before = time.monotonic(), run.org.issued
        run.begin()
        run.wait_for(random.randint(5, 15), 60)  # noqa: S311 - hides nothing
        run.kill_one(point)
        if POINTS[point]:
            time.sleep(patience_s + 2)
        else:
            run.wait_for(10, patience_s + 60)
        if point == "answered":  # the answer has arrived, and died with its process: the retry is due
            run.org.unanswered.update(run.org.presented_too_often()[:1])
        _report(run, f"killed: {point}", began, before, may_be_lost=POINTS[point])
    for name, fail, mend in run.place.failures if failures else ():
        began, before = time.monotonic(), run.org.issued
        run.begin()
        run.wait_for(10, 60)
        fail()
        time.sleep(3)
        mend()
        run.wait_for(10, 90)
        _report(run, name, began, before, may_be_lost=False)


def _report(run: Run, name: str, began: float, before: int, *, may_be_lost: bool) -> None:
    total = run.end()
    took_s, lost = time.monotonic() - began, run.is_lost()
    if lost and not may_be_lost:
        run.problems.append(f"{name}: the grant is lost")
    if too_often := run.org.presented_too_often():
        run.problems.append(f"{name}: {len(too_often)} tokens were presented too often")
        run.org.unanswered.update(too_often)
    outcomes = ", ".join(f"{kind} {count}" for kind, count in sorted(total.items()))
    what = ("grant lost with the answer" if may_be_lost else "grant LOST") if lost else "grant kept"
    print(f"{name}: {run.org.issued - before - 1} rotations in {took_s:.0f} s, {what}; {outcomes}", flush=True)


def main() -> int:
    """Run it; 1 if there was a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("file", "redis"), default="file")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--rotations", type=int, default=1000)
    parser.add_argument("--lease", type=float, default=15.0, help="seconds of the lease (15)")
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds that a login may take (10)")
    parser.add_argument("--points", default=",".join(POINTS), help="where processes are killed")
    parser.add_argument("--no-failures", action="store_true", help="the store does not fail")
    asked = parser.parse_args()
    points = [each for each in asked.points.split(",") if each]
    where = file_place if asked.store == "file" else redis_place
    with where() as place, RotatingOrg(LIFE_S) as org, tempfile.TemporaryDirectory() as folder:
        made = Run(org, place, asked.processes, asked.threads, asked.deadline, asked.lease, Path(folder))
        try:
            run(made, asked.rotations, points, failures=not asked.no_failures)
        finally:
            for worker in made.workers:
                worker.kill()
        if "Traceback" in (log := (Path(folder) / "log").read_text()):
            made.problems.append(log[log.index("Traceback") :][:2000])
    print(f"problems: {'; '.join(made.problems) or 'none'}")
    return 1 if made.problems else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    sys.exit(main())
