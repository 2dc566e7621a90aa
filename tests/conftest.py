"""Every test starts in an empty folder, with none of the machine's own settings."""

import functools
import importlib.metadata
import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives import serialization

from kinetic_auth_core.lockout import Credential
from kinetic_auth_core.retries import Tries
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets

__all__ = ["leaked_secrets"]  # a fixture from elsewhere

# A machine that is busy is no failed property.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

_OURS = ("SF_", "KINETIC_AUTH_", "LOG_", "DEV_SF_", "PROD_SF_")
_AMBIENT = {"ENVIRONMENT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


@pytest.fixture(autouse=True)
def _clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_OURS) or name.upper() in _AMBIENT:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture(autouse=True, scope="session")
def _short_waits() -> Iterator[None]:
    """What takes time and is not what most tests are about, at a hundredth of it.

    That is the pauses between the tries of a login (0.1 s and more), the hash of a refused credential (50 ms), the
    check that an RSA key's factors are primes, at each loading of it (35 ms), and the search for plugins in what is
    installed (20 ms); the last two are done once for each key, and for each group of plugins.
    """
    all_plugins, of_the_run = importlib.metadata.entry_points, list(sys.path)
    once = functools.cache(all_plugins)

    def entry_points(**wanted: Any) -> Any:
        return once(**wanted) if sys.path == of_the_run else all_plugins(**wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "entry_points", entry_points)
        patch.setattr(Tries, "first_pause_s", 0.002)
        patch.setattr(Credential, "scrypt_n", 2)
        patch.setattr(
            serialization, "load_pem_private_key", functools.lru_cache(100)(serialization.load_pem_private_key)
        )
        yield


@pytest.fixture(scope="session")
def key_pair() -> KeyPair:
    """A key and its certificate, the same for all tests."""
    return new_key_pair()


@pytest.fixture(scope="session")
def _org() -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as org:
        yield org


@pytest.fixture
def sf(_org: SalesforceEmulator) -> Iterator[SalesforceEmulator]:
    """An emulated org, shared by all tests: count by differences, and order faults freely."""
    yield _org
    _org.clear_faults()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged by anybody, at any level, with tracebacks."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)
