"""What the contestants log in at: the emulator and a Redis, each a process of its own on the loopback interface."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

_EMULATOR = """
import json, sys
from kinetic_auth_core.testing import Delay, SalesforceEmulator
with SalesforceEmulator(tls=sys.argv[1] == "tls") as sf:
    print(json.dumps(sf.env()), flush=True)
    for line in sys.stdin:
        if line.startswith("delay"):
            sf.clear_faults()
            if float(line.split()[1]):
                sf.break_transport(Delay(float(line.split()[1])), times=None)
        print(sf.token_requests, flush=True)
"""


class Org:
    """An emulated org.

    Args:
        tls: Whether it speaks https.

    Attributes:
        env: The variables that reach it.
        settings: The settings of a login by JWT.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _EMULATOR, "tls" if tls else "http"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.env: dict[str, str] = json.loads(self._process.stdout.readline())
        self.settings = {
            "client_id": self.env["SF_CLIENT_ID"],
            "username": self.env["SF_USERNAME"],
            "login_url": self.env["SF_LOGIN_URL"],
            "private_key_path": self.env["SF_PRIVATE_KEY_PATH"],
        }
        self.ca_bundle = self.env.get("SF_CA_BUNDLE", "")

    def token_requests(self) -> int:
        """How many there were so far."""
        return int(self._ask("count"))

    def delay(self, seconds: float) -> None:
        """Answer token requests that much later from now on."""
        self._ask(f"delay {seconds}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, command: str) -> str:
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return str(self._process.stdout.readline())


@contextlib.contextmanager
def redis() -> Iterator[str | None]:
    """The URL of a Redis without data; None where no redis-server is installed."""
    if (program := shutil.which("redis-server")) is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command: list[Any] = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            give_up_at = time.monotonic() + 10
            while time.monotonic() < give_up_at:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
