"""An org, and the fixtures of all providers."""

from __future__ import annotations

from collections.abc import Iterator

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
