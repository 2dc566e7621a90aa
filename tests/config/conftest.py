"""What the tests of the config package share: a password login's settings, and files beside the test."""

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def login() -> dict[str, str]:
    """The settings that the password provider requires, as keywords."""
    return {"client_id": "key", "client_secret": "canary-secret", "username": "ada@acme.com", "password": "canary-word"}


@pytest.fixture
def write() -> Write:
    """Write a private file, by default `kinetic-auth.toml`, into the working directory."""

    def write(text: str | bytes, name: str = "kinetic-auth.toml") -> Path:
        path = Path.cwd() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o600)
        return path

    return write
