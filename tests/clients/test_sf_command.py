"""The `sf` command as it is, against the emulator over TLS: `make clients` installs and runs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kinetic_auth_core.testing import SalesforceEmulator

pytestmark = pytest.mark.usefixtures("full_tier")

QUIET = ("SF_DISABLE_TELEMETRY", "SF_AUTOUPDATE_DISABLE", "SF_USE_GENERIC_UNIX_KEYCHAIN", "SF_SKIP_NEW_VERSION_CHECK")


def test_the_sf_command(tmp_path: Path, works: Callable[..., None]) -> None:
    with SalesforceEmulator(tls=True) as org:
        login, environment = org.default, {**os.environ, **dict.fromkeys(QUIET, "true"), "HOME": str(tmp_path)}
        environment["NODE_EXTRA_CA_CERTS"] = str(org.ca_bundle)

        def sf(command: str, *arguments: str, **variables: str) -> Any:
            ran = subprocess.run(
                ["sf", *command.split(), *arguments, "--json"], env=environment | variables, capture_output=True,
                text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            found = json.loads(ran.stdout)
            assert found["status"] == 0, found
            return found["result"]

        where = ("--instance-url", org.url)
        key = ("--jwt-key-file", str(org.private_key_path))
        sf("org login jwt --alias jwt", "--client-id", login.client_id, "--username", login.username, *key, *where)
        assert sf("org display --target-org jwt")["id"] == org.org_id
        assert sf("data query --target-org jwt --query", "SELECT Name FROM Account LIMIT 2")["totalSize"] == 2
        made = sf("data create record --target-org jwt --sobject Contact --values LastName=Smith")["id"]
        sf("data update record --target-org jwt --sobject Contact --values LastName=Jones --record-id", made)
        assert sf("data get record --target-org jwt --sobject Contact --record-id", made)["LastName"] == "Jones"
        org.expire_all()
        assert sf("data query --target-org jwt --query", "SELECT COUNT() FROM Account")["totalSize"] == 5
        token = org.settings("access-token")["access_token"]
        sf("org login access-token --no-prompt --alias token", *where, SF_ACCESS_TOKEN=token)
        assert sf("data query --target-org token --query", "SELECT Id FROM Account")["totalSize"] == 5
        address = tmp_path / "url.txt"
        secrets = f"{login.client_id}:{login.client_secret}:{org.refresh_token}"
        address.write_text(f"force://{secrets}@{urlsplit(org.url).netloc}")
        sf("org login sfdx-url --alias url --sfdx-url-file", str(address))
        assert sf("data query --target-org url --query", "SELECT Id FROM Account")["totalSize"] == 5
        command = ["sf", "--version"]
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    operations = {"query": "yes", "write": "create, update", "expired_token": "yes", "also": "org display, get record"}
    works("sf", asked.stdout.split()[0].rpartition("/")[2], "JWT; access token; sfdx-url", **operations)
