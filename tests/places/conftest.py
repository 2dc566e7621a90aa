"""An org of this process, and programs in processes of their own that log in to it."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import SalesforceEmulator

Run = Callable[..., str]


@pytest.fixture(scope="session")
def _tls_org(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator(tls=True) as org:
        yield org


@pytest.fixture
def tls_org(_tls_org: SalesforceEmulator) -> Iterator[SalesforceEmulator]:
    """An emulated org that is reached by TLS, shared by all tests: count by differences."""
    yield _tls_org
    _tls_org.clear_faults()


@pytest.fixture
def run(measured_programs: None, tmp_path: Path) -> Run:
    """Runs a program that reads `settings` from its first argument; returns what it printed."""

    def run(program: str, settings: dict[str, Any], *arguments: object, environ: dict[str, str] | None = None) -> str:
        # Unset: where it is set, stderr has no buffer, and so no lock that a child could wait for.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), json.dumps(settings), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env={**inherited, **(environ or {})},
        )
        print(done.stderr, file=sys.stderr)  # shown where the test fails
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    return run
