"""What the tests of all packages share: which of them are fast, and what need not take its full time."""

import functools
import importlib.metadata
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from kinetic_auth_core.login.lockout import first_tries
from kinetic_auth_core.oauth.retry import Tries
from kinetic_auth_core.stores.base import process_notes
from kinetic_auth_core.stores.session_cache import SessionCache

# A busy machine does not fail a property. The tiers fast and compat try fewer examples; full tries all.
hypothesis.settings.register_profile(
    "ours",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")),
)
hypothesis.settings.load_profile("ours")


# A shell ignores Ctrl-C for what it starts in the background, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Coverage measures pytest's workers and their forks. A program that a test starts would take 0.12 s longer.
_MEASURES_PROGRAMS = os.environ.pop("COVERAGE_PROCESS_CONFIG", None) if "PYTEST_XDIST_WORKER" in os.environ else None


@pytest.fixture
def measured_programs(monkeypatch: pytest.MonkeyPatch, full_tier: None) -> None:  # noqa: ARG001 - for its tests
    """Requested by tests whose programs run what no other test does: coverage measures them, too."""
    if _MEASURES_PROGRAMS is not None:
        monkeypatch.setenv("COVERAGE_PROCESS_CONFIG", _MEASURES_PROGRAMS)


@pytest.fixture(scope="session")
def full_tier() -> None:
    """Requested by fixtures that start a server or a process, and by tests that take long: they are not `fast`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the fast tier before `-m fast` selects them; there, sockets are blocked."""
    for item in items:
        if not {"full_tier", "salesforce_emulator"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.fast)


@pytest.fixture(autouse=True, scope="session")
def _short_waits() -> Iterator[None]:
    """Spend little time on what most tests are not about.

    The pauses between the tries of a login (0.1 s and more) take a hundredth of their time. The check that an RSA
    key's factors are primes (35 ms) and the search for plugins among the installed packages (20 ms) are done once for
    each key, and once for each group of plugins.
    """
    all_plugins, path_of_the_run = importlib.metadata.entry_points, list(sys.path)
    once = functools.cache(all_plugins)

    def entry_points(**wanted: Any) -> Any:
        return once(**wanted) if sys.path == path_of_the_run else all_plugins(**wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "entry_points", entry_points)
        patch.setattr(Tries, "first_pause_s", 0.002)
        for module, name in (
            (serialization, "load_pem_private_key"),
            (serialization, "load_der_private_key"),
            (pkcs12, "load_key_and_certificates"),
            (rsa, "rsa_recover_prime_factors"),
        ):
            patch.setattr(module, name, functools.lru_cache(100)(getattr(module, name)))
        yield


@pytest.fixture(autouse=True)
def _no_refusals_of_other_tests() -> None:
    """A credential that one test has refused is not held back in the next one."""
    process_notes.cache_clear()
    first_tries.cache_clear()


@pytest.fixture
def short_outage_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that failed is tried again after 0.2 s instead of 5 s."""
    monkeypatch.setattr(SessionCache, "outage_pause_s", 0.2)
