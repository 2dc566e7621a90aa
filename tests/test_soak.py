"""A short run of the soak: many threads and faults, no leaks, and only documented results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("full_tier")

SOAK = Path(__file__).parents[1] / "benchmarks" / "soak.py"


def test_every_call_returns_a_session_or_raises_a_typed_error_and_nothing_leaks() -> None:
    # glibc gives the 16 MiB of each scrypt back at once, so that a short run tells a leak from what a late login needs.
    environ = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, str(SOAK), "8", "32", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env=environ)
    assert done.stdout.endswith("problems: none\n"), done.stdout + done.stderr
    assert done.returncode == 0
    outcomes = done.stdout.splitlines()[1]
    assert "session " in outcomes
    assert "TransportError " in outcomes  # faults there were
