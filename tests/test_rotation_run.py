"""A short run of the rotation benchmark: load, crashes at each point and an outage, over both stores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("measured_programs")

ROTATION = Path(__file__).parents[1] / "benchmarks" / "rotation.py"


@pytest.mark.parametrize(
    ("store", "points"), [("file", "marked,sent"), ("file", "spent,answered,stored"), ("redis", "sent")]
)
def test_no_token_is_presented_twice_and_no_grant_is_lost(store: str, points: str) -> None:
    size = ["--processes", "2", "--threads", "3", "--rotations", "10", "--lease", "1", "--deadline", "4"]
    command = [sys.executable, str(ROTATION), "--store", store, *size, "--points", points]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.endswith("problems: none\n"), done.stdout + done.stderr
    assert done.returncode == 0
    assert "10 rotations: " in done.stdout
    assert f"killed: {points.partition(',')[0]}: " in done.stdout
