"""A short run of the soak: many threads and faults, no leaks, and only documented results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("full_tier")

SOAK = Path(__file__).parents[1] / "benchmarks" / "soak.py"


KINDS = ["0", pytest.param("2", marks=pytest.mark.skipif(sys.platform == "win32", reason="it has no fork"))]


@pytest.mark.parametrize("processes", KINDS)
def test_every_call_returns_a_session_or_raises_a_typed_error_and_nothing_leaks(processes: str) -> None:
    """With processes: also forks, some of them stopped, signals in the middle of calls, and a process with gevent."""
    # glibc gives the 16 MiB of each scrypt back at once, so that a short run tells a leak from what a late login needs.
    environ = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    environ.pop("PYTHONUNBUFFERED", None)  # where it is set, a log has no buffer, and so no lock that a fork could copy
    command = [sys.executable, str(SOAK), "6", "24", processes]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environ)
    assert done.stdout.endswith("problems: none\n"), done.stdout + done.stderr
    assert done.returncode == 0
    outcomes = done.stdout.splitlines()[1]
    assert "session " in outcomes
    assert "TransportError " in outcomes  # faults there were
    if processes != "0":
        assert all(f"{kind} " in outcomes for kind in ("child", "interrupted", "process with gevent"))
