"""An org, and the fixtures of all providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets as leaked
from kinetic_auth_core.testing.pytest_plugin import no_ambient_settings

__all__ = ["leaked", "no_ambient_settings"]  # fixtures from elsewhere


@pytest.fixture(autouse=True)
def _no_ambient_settings(no_ambient_settings: None) -> None:
    """In every test."""


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


class StandIn:
    """An executable that answers as `sf` does, with what a test has put there, and records how it is called."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.path = folder / "sf"
        self.script('case "$*" in *show-access-token*) cat "$here/token";; *) cat "$here/display";; esac')

    def script(self, body: str) -> None:
        head = (
            'here=$(dirname "$0")\n'
            'echo "$* NO_COLOR=${NO_COLOR-unset} FORCE_COLOR=${FORCE_COLOR-unset}" >> "$here/calls"\n'
        )
        self.path.write_text(f"#!/bin/sh\n{head}{body}\n")
        self.path.chmod(0o700)

    def shows(self, token: str, instance_url: str, *, redacted: bool = True, **more: Any) -> None:
        """Be logged in: in the form since sf 2.136.8, or with the token in `org display` as before."""
        shown = "[REDACTED] Use 'sf org auth show-access-token' to view" if redacted else token
        result = {
            "id": "00D5g000004tXyzEAA",
            "apiVersion": "66.0",
            "accessToken": shown,
            "instanceUrl": instance_url,
            "username": "ada@acme.com",
            "clientId": "PlatformCLI",
            "connectedStatus": "Connected",
            **more,
        }
        warnings = ["Secrets are now hidden from 'sf org display' command output."]
        self.answers({"status": 0, "result": result, "warnings": warnings})
        self.write("token", {"status": 0, "result": {"accessToken": token}, "warnings": []})

    def fails(self, name: str, message: str) -> None:
        """Answer with an error."""
        self.answers({"name": name, "message": message, "exitCode": 1, "stack": "", "status": 1, "warnings": []})

    def answers(self, answer: object) -> None:
        """Print this for `org display`."""
        self.write("display", answer)

    def write(self, name: str, answer: object) -> None:
        text = answer if isinstance(answer, str) else json.dumps(answer, indent=2)
        (self.folder / name).write_text(text)

    @property
    def calls(self) -> list[str]:
        """How it was called: arguments and colour variables."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def stand_in(tmp_path: Path, full_tier: None) -> StandIn:
    return StandIn(tmp_path / "bin")
