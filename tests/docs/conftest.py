"""A folder with the files that the pages mention, and an emulated org for their placeholders."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from kinetic_auth_core.testing import SalesforceEmulator

Fill = Callable[[str], str]

_PEM = re.compile(r"-----BEGIN RSA PRIVATE KEY-----\n.*?-----END RSA PRIVATE KEY-----", re.DOTALL)


def _values(sf: SalesforceEmulator) -> Mapping[str, str]:
    login = sf.default
    return {
        "https://login.salesforce.com": sf.url,
        "https://test.salesforce.com": sf.url,
        "https://acme.my.salesforce.com": sf.url,
        "3MVG9...": login.client_id,
        "1234567890ABCDEF": login.client_secret,
        "user@example.com": login.username,
        "integration@acme.com": login.username,
        "YourPassword": login.password,
        '"ABC123"': f'"{login.security_token}"',
        "/path/to/server.key": str(sf.private_key_path),
        "/certs/dev-key.pem": str(sf.private_key_path),
        "/certs/prod-key.pem": str(sf.private_key_path),
        "while True:": "for _ in range(2):",
        "time.sleep(3600)": "time.sleep(0)",
    }


@pytest.fixture
def fill(sf: SalesforceEmulator) -> Fill:
    """Replace the values of a page with those of the emulated org, and end every loop."""

    def fill(text: str) -> str:
        for placeholder, value in _values(sf).items():
            text = text.replace(placeholder, value)
        return _PEM.sub(lambda _: sf.default.private_key_pem.strip(), text)

    return fill


@pytest.fixture(autouse=True)
def _a_deployment(sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that reach the org, plain and for the environments `dev` and `prod`; the key in the folder."""
    for name, value in sf.env().items():
        for prefix in ("", "DEV_", "PROD_"):
            monkeypatch.setenv(prefix + name, value)
    for name in ("STORE_KEY", "NEXT_STORE_KEY"):
        monkeypatch.setenv(name, Fernet.generate_key().decode())
    monkeypatch.setenv("PROD_CLIENT_SECRET", sf.default.client_secret)
    token = sf.issue_access_token(sf.default.app, sf.default.user)
    monkeypatch.setenv("SF_ACCESS_TOKEN", token)
    monkeypatch.setenv("SF_INSTANCE_URL", sf.url)
    _write_stand_in_for_sf(Path("bin"), token, sf.url)
    monkeypatch.setenv("PATH", f"{Path('bin').absolute()}{os.pathsep}{os.environ['PATH']}")
    for name in ("KEY_PASSPHRASE", "PROD_CLIENT_ID"):
        monkeypatch.setenv(name, sf.default.client_id)
    for prefix in ("DEV_", "PROD_"):  # those come from the pages' files
        monkeypatch.delenv(f"{prefix}SF_LOGIN_URL")
    for path in ("server.key", "keys/prod.key"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(sf.default.private_key_pem)


def _write_stand_in_for_sf(folder: Path, token: str, instance_url: str) -> None:
    """An executable `sf` that is logged in to the org, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    answer = json.dumps({"status": 0, "result": {"accessToken": token, "instanceUrl": instance_url}})
    (folder / "sf").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (folder / "sf").chmod(0o700)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
