"""Many threads, many faults, for a long time: every call ends in a session or a typed error, and nothing leaks.

    python benchmarks/soak.py [SECONDS] [THREADS] [PROCESSES]

Threads ask sources for sessions and say now and then that one is dead, while one token request in five runs into a
fault at random: refusals, 5xx, resets, truncated and hostile answers. Ends with 1 if a call ended otherwise, if it took
longer than its deadline allows, or if threads, open files or memory grew from the first part of the run to the last.

Meanwhile signals interrupt the main thread in the middle of its calls, PROCESSES children at a time are forked and some
of them stopped for a while (SIGSTOP), and a process with gevent asks as well.
"""

import collections
import faulthandler
import gc
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import kinetic_auth_core as kinetic

DEADLINE_S = 3.0
#: The org, in its own process: the memory of its login records does not count as a leak.
_SERVER = """
import json, random, sys, threading
from kinetic_auth_core.testing import Html, NotJson, Reset, SalesforceEmulator, Status, Truncated

FAULTY = 0.2
stop, count = threading.Event(), {"faults": 0}

def break_some(sf):
    before = sf.token_requests
    while not stop.wait(0.02):
        now = sf.token_requests
        for _ in range(int((now - before) * FAULTY) + (random.random() < FAULTY)):
            count["faults"] += 1
            if random.random() < 0.3:
                refusals = [("invalid_grant", "ip restricted"), ("unknown_error", "retry your request")]
                sf.refuse(*random.choice(refusals))
            else:
                faults = [Reset(), Status(503), Status(500), Html(), NotJson(), Truncated()]
                sf.break_transport(random.choice(faults))
        before = now

with SalesforceEmulator(records_kept=1000) as sf:
    sf.policy.logins_per_hour = 10**9
    print(json.dumps(sf.env()), flush=True)
    breaker = threading.Thread(target=break_some, args=[sf])
    breaker.start()
    sys.stdin.readline()
    stop.set()
    breaker.join()
    print(json.dumps([sf.token_requests, count["faults"]]), flush=True)
"""
#: What may be more at the end than in the middle of the run: pools fill up, and Python's memory has a grain.
MORE_THREADS, MORE_KIB = 2, 8 * 1024


#: What a process with gevent does until its input ends; 0 if every call ended as it must.
_GREENLETS = """
from gevent import monkey; monkey.patch_all()
import json, logging, random, sys, time
import gevent
import kinetic_auth_core as kinetic

logging.disable(logging.CRITICAL)
settings, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
source = kinetic.resolve("jwt-bearer", session_lifetime=5, **settings)
ends_at = time.monotonic() + seconds

def ask():
    while time.monotonic() < ends_at:
        try:
            session = source.authenticate() if random.random() < 0.2 else source.session()
            if random.random() < 0.1:
                source.invalidate(session)
        except kinetic.KineticAuthError:
            pass
        gevent.sleep(0.01)

jobs = [gevent.spawn(ask) for _ in range(8)]
gevent.joinall(jobs, timeout=seconds + 60, raise_error=True)
sys.exit(0 if all(job.successful() for job in jobs) else 1)
"""


class _InterruptError(Exception):
    """What the signal handler raises."""


class Soak:
    """One run.

    Args:
        env: The variables that reach the org.
        threads: How many ask.
        seconds: For how long.
        processes: How many children are forked at a time; 0: neither these, nor signals, nor greenlets.
    """

    def __init__(self, env: dict[str, str], threads: int, seconds: float, processes: int = 0) -> None:
        self._threads = threads
        self._processes = processes
        self._is_armed = False
        self._seconds = seconds
        self._start = threading.Barrier(threads)
        self._stop = threading.Event()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.bad: list[str] = []
        self.longest_s = 0.0
        settings = self._settings = {
            "client_id": env["SF_CLIENT_ID"],
            "username": env["SF_USERNAME"],
            "private_key_path": env["SF_PRIVATE_KEY_PATH"],
            "login_url": env["SF_LOGIN_URL"],
            "deadline": DEADLINE_S,
            "login_budget": 10**9,
            "lockout_guard": 0.05,
        }
        self._sources = [
            kinetic.resolve("jwt-bearer", session_lifetime=lifetime_s, **settings) for lifetime_s in (0.5, 5, 7200)
        ]

    def run(self) -> list[dict[str, int]]:
        """Run it; what was held, sampled ten times."""
        workers = [threading.Thread(target=self._ask, daemon=True) for _ in range(self._threads)]
        for thread in workers:
            thread.start()
        others = [threading.Thread(target=self._fork, daemon=True) for _ in range(self._processes)]
        if self._processes:
            others.append(threading.Thread(target=self._run_greenlets, daemon=True))
            signal.signal(signal.SIGALRM, self._interrupt)
        for thread in others:
            thread.start()
        samples = []
        for _ in range(10):
            self._wait(time.monotonic() + self._seconds / 10)
            samples.append(held())
        self._stop.set()
        self._end(others, 120, "a process hangs")
        self._end(workers, 60, "a thread hangs")
        if self.bad:
            faulthandler.dump_traceback(all_threads=True)
        for source in self._sources:
            source.close()
        return samples

    def _end(self, threads: list[threading.Thread], patience_s: float, problem: str) -> None:
        give_up_at = time.monotonic() + patience_s
        for thread in threads:
            thread.join(max(give_up_at - time.monotonic(), 0))
            if thread.is_alive():
                self.bad.append(problem)

    def _interrupt(self, *_: object) -> None:
        if self._is_armed:
            raise _InterruptError

    def _wait(self, ends_at: float) -> None:
        """Let time pass; with calls that signals interrupt, if there are processes at all."""
        source = self._sources[0]
        while (left_s := ends_at - time.monotonic()) > 0:
            if not self._processes:
                time.sleep(left_s)
                continue
            try:
                try:
                    self._is_armed = True
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 0.05))  # noqa: S311 - picks moments
                    source.invalidate(source.session())
                    self.outcomes["session"] += 1
                finally:
                    self._is_armed = False
            except _InterruptError:
                self.outcomes["interrupted"] += 1
            except kinetic.KineticAuthError as error:
                self.outcomes[type(error).__name__] += 1
            except BaseException as error:  # noqa: BLE001 - this is what must not be
                self.bad.append(f"interrupted: {type(error).__name__}: {error}")
            self._is_armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _fork(self) -> None:
        """Fork one child after the other, each in the middle of what the threads do; stop every second one."""
        number = 0
        while not self._stop.wait(0.2):
            number += 1
            pid = os.fork()
            if pid == 0:
                self._be_child()
            if number % 2:
                time.sleep(0.02)
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.3)
                os.kill(pid, signal.SIGCONT)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            self.outcomes["child"] += 1
            if status:
                self.bad.append(f"a child ended with {status}")

    def _be_child(self) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.dump_traceback_later(60, exit=True)  # a child that hangs ends with 1, and says where
        status = 0
        for source in self._sources:
            for ask in (source.session, source.authenticate):
                try:
                    ask()
                except kinetic.KineticAuthError:
                    pass
                except BaseException:  # noqa: BLE001 - this is what must not be
                    status = 1
        os._exit(status)

    def _run_greenlets(self) -> None:
        command = [sys.executable, "-c", _GREENLETS, json.dumps(self._settings), str(self._seconds * 0.8)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.outcomes["process with gevent"] += 1
        if done.returncode:
            self.bad.append(f"the process with gevent ended with {done.returncode}: {done.stderr[-500:]}")

    def _ask(self) -> None:
        chance = random.Random()  # noqa: S311 - picks faults
        at_first = list(self._sources)  # all threads log in at once, after which the connection pools grow no more
        self._start.wait()
        while not self._stop.is_set():
            logs_in = bool(at_first) or chance.random() < 0.2
            source = at_first.pop() if at_first else chance.choice(self._sources)
            began = time.monotonic()
            try:
                session = source.authenticate() if logs_in else source.session()
                if chance.random() < 0.1:
                    source.invalidate(session)
                self.outcomes["session"] += 1
            except kinetic.KineticAuthError as error:
                self.outcomes[type(error).__name__] += 1
            except BaseException as error:  # noqa: BLE001 - this is what must not be
                self.bad.append(f"{type(error).__name__}: {error}")
            self.longest_s = max(self.longest_s, time.monotonic() - began)


def held() -> dict[str, int]:
    """Threads, open files and memory of this process."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return {"threads": threading.active_count(), "files": len(list(Path("/proc/self/fd").iterdir())), "KiB": rss}


def leaks(samples: list[dict[str, int]], threads: int) -> list[str]:
    """What was more in the last third than in the middle; each thread may hold one more connection."""
    limits = {"threads": MORE_THREADS, "files": threads, "KiB": MORE_KIB}
    found = []
    for name, limit in limits.items():
        middle = min(sample[name] for sample in samples[3:6])
        end = min(sample[name] for sample in samples[7:])
        if end > middle + limit:
            found.append(f"{name} grew from {middle} to {end}")
    return found


def main() -> int:
    """Run it and print what came of it."""
    log = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - with a buffer and its lock, as logs have
    logging.basicConfig(level=logging.DEBUG, stream=log)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    processes = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        soak = Soak(json.loads(server.stdout.readline()), threads, seconds, processes)
        samples = soak.run()
        token_requests, faults = json.loads(server.communicate("stop\n")[0])
    problems = [*soak.bad[:10], *leaks(samples, threads)]
    print(
        f"{seconds:.0f} s, {threads} threads, {processes} processes: {sum(soak.outcomes.values())} calls, "
        f"{token_requests} token requests, {faults} faults"
    )
    print("outcomes:", ", ".join(f"{name} {count}" for name, count in soak.outcomes.most_common()))
    print(f"longest call: {soak.longest_s:.2f} s")
    for name in samples[0]:
        print(f"{name}, ten times: {' '.join(str(sample[name]) for sample in samples)}")
    print("problems:", "; ".join(problems) or "none")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
