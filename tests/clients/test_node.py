"""Node.js clients, as they are from npm: `make clients` installs and runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinetic_auth_core.testing import SalesforceEmulator

pytestmark = pytest.mark.usefixtures("full_tier")

SCRIPTS = Path(__file__).parent / "node"
CLIENTS = [
    ("jsforce", "password", {"expired_token": "yes, by refresh", "also": "describe, limits"}),
    ("salesforce-core", "JWT; access token; sfdx-url", {"write": "create", "expired_token": "yes"}),
]


@pytest.mark.parametrize(("client", "login", "operations"), CLIENTS)
def test_a_client_from_npm(
    tmp_path: Path, works: Callable[..., None], client: str, login: str, operations: dict[str, str]
) -> None:
    quiet = ("SF_DISABLE_TELEMETRY", "SF_DISABLE_LOG_FILE", "SF_USE_GENERIC_UNIX_KEYCHAIN", "SF_AUTOUPDATE_DISABLE")
    with SalesforceEmulator() as sf:
        environment = {**os.environ, **sf.env(), "HOME": str(tmp_path), **dict.fromkeys(quiet, "true")}
        command = ["node", "--no-warnings", str(SCRIPTS / f"{client}.cjs")]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert ran.returncode == 0, ran.stderr
    operations = {"query": "yes", "write": "create, update, upsert, delete", **operations}
    works({"salesforce-core": "@salesforce/core"}.get(client, client), ran.stdout.strip(), login, **operations)
