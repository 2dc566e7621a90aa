"""Runs the examples of kinetic-core's reference, with only their import changed.

The org knows the very users, keys and passwords that the examples name, so that of an example's values only those that
are places change: the login URL becomes the emulator's, and a path becomes one that exists.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives import serialization

from kinetic_auth_core.testing import App, KeyPair, SalesforceEmulator

HOSTS = ("https://login.salesforce.com", "https://test.salesforce.com")


@pytest.fixture(autouse=True)
def _a_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, proxies or `.env` but those of the test."""
    for name in list(os.environ):
        ours = name.startswith(("SF_", "DEV_SF_", "PROD_SF_", "KINETIC_AUTH_"))
        if ours or name in {"LOG_LEVEL", "LOG_DIR", "ENVIRONMENT"} or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def keys(key_pair: KeyPair) -> KeyPair:
    return key_pair


@pytest.fixture(scope="session")
def pkcs1(keys: KeyPair) -> str:
    """The key as the reference shows it: BEGIN RSA PRIVATE KEY."""
    key = serialization.load_pem_private_key(keys.private_key_pem.encode(), None)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def key_file(tmp_path: Path, keys: KeyPair) -> Path:
    path = tmp_path / "server.key"
    path.write_text(keys.private_key_pem)
    return path


@attrs.frozen
class Example:
    """A piece of the reference, to be run against an emulated org."""

    sf: SalesforceEmulator
    keys: KeyPair

    def known(self, client_id: str, username: str, **secrets: str) -> App:
        """Let the org know an app and a user by the values of an example."""
        user = self.sf.add_user(username, secrets.get("password"), secrets.get("security_token"))
        return self.sf.add_app(
            client_id,
            secrets.get("client_secret"),
            certificates=[self.keys.certificate_pem],
            preauthorised={user.username},
            scopes={"api", "refresh_token", "offline_access"},
        )

    def here(self, text: str, places: Mapping[str, str] | None = None) -> str:
        """The text with the emulator for the login hosts, and other places as given; each must be in the text."""
        for place, actual in (places or {}).items():
            assert place in text, place
            text = text.replace(place, actual)
        for host in HOSTS:
            text = text.replace(host, self.sf.url)
        return text

    def code(self, text: str, places: Mapping[str, str] | None = None) -> str:
        """Python of the reference with its import changed: the authenticators are ours, the client stays theirs."""
        changed, times = re.subn(
            r"^from kinetic_core import (\w+Authenticator)(, SalesforceClient)?$",
            lambda found: (
                f"from kinetic_auth_core import {found[1]}"
                + ("\nfrom kinetic_core import SalesforceClient" if found[2] else "")
            ),
            text,
            flags=re.MULTILINE,
        )
        assert times == 1, "an example has one import to change"
        return self.here(changed, places)

    def run(
        self, text: str, places: Mapping[str, str] | None = None, module: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run Python of the reference.

        Args:
            text: The example.
            places: Paths that exist, by those in the text.
            module: Its namespace, with what it takes for granted, such as the `time` that it forgets to import.

        Returns:
            The namespace, with the names that it leaves behind.
        """
        module = {} if module is None else module
        exec(compile(self.code(text, places), "<reference>", "exec"), module)  # noqa: S102 - that is the test
        return module


@pytest.fixture
def example(sf: SalesforceEmulator, keys: KeyPair) -> Example:
    return Example(sf, keys)


@pytest.fixture
def python(tmp_path: Path, full_tier: None) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script as a separate process, in the test's folder."""

    def run(*command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
