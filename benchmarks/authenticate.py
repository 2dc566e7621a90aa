"""`authenticate()` of the jwt-bearer provider against kinetic-core's `JWTAuthenticator`, on one loopback server.

Both log in at the same emulator, in turns within one run, over plain http and over TLS; the emulator is a process of
its own. Prints the median of each and their ratio.

    python benchmarks/authenticate.py [LOGINS]
"""

import io
import logging
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dotenv import dotenv_values
from kinetic_core import JWTAuthenticator as KineticCoreAuthenticator

from kinetic_auth_jwt_bearer import JWTAuthenticator


@contextmanager
def emulator(*options: str) -> Iterator[dict[str, str]]:
    """A running `kinetic-auth emulator`, as the settings that reach it."""
    command = [Path(sysconfig.get_path("scripts")) / "kinetic-auth", "emulator", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        lines: list[str] = []
        while not (lines and lines[-1].startswith("SF_CA_BUNDLE" if options else "SF_LOGIN_URL")):
            lines.append(process.stdout.readline())
        yield {name: value or "" for name, value in dotenv_values(stream=io.StringIO("".join(lines))).items()}
        process.terminate()


def median_ms(times_s: list[float]) -> float:
    """The median, in milliseconds."""
    return statistics.median(times_s) * 1000


def race(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time each in turns, so that whatever the machine does meanwhile strikes both."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()  # the first login makes connections and prepares keys
    for _ in range(rounds):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return times


def main() -> None:
    """Run both races and print the table."""
    logging.disable(logging.CRITICAL)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"{'':12}{'kinetic-core':>14}{'jwt-bearer':>14}{'ratio':>8}   (median ms of {rounds} logins, in turns)")
    for title, options in (("http", ()), ("https", ("--tls",))):
        with emulator(*options) as settings:
            os.environ["REQUESTS_CA_BUNDLE"] = settings.get("SF_CA_BUNDLE", "")
            names = {name.removeprefix("SF_").lower(): value for name, value in settings.items()}
            login = {name: names[name] for name in ("client_id", "username", "private_key_path", "login_url")}
            times = race(
                {
                    "kinetic-core": KineticCoreAuthenticator(**login).authenticate,
                    "jwt-bearer": JWTAuthenticator(**login).authenticate,
                },
                rounds,
            )
        theirs, ours = (median_ms(times[name]) for name in ("kinetic-core", "jwt-bearer"))
        print(f"{title:12}{theirs:14.2f}{ours:14.2f}{theirs / ours:7.1f}x")


if __name__ == "__main__":
    main()
