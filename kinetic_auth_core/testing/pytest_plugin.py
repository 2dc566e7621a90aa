"""A pytest fixture for the tests of those who use the library.

Put this into a `conftest.py`:

    pytest_plugins = ["kinetic_auth_core.testing.pytest_plugin"]
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kinetic_auth_core.testing import SalesforceEmulator


@pytest.fixture
def salesforce_emulator() -> Iterator[SalesforceEmulator]:
    """A running Salesforce org of one user and one app that all flows accept; each test gets a fresh one.

    `salesforce_emulator.default` has `client_id`, `client_secret`, `username`, `password`, `security_token` and
    `private_key_pem`. `salesforce_emulator.private_key_path` is the key as a file, and `salesforce_emulator.env()` all
    of it as environment variables. For example:

        def test_the_report_survives_a_token_that_dies(salesforce_emulator, monkeypatch):
            for name, value in salesforce_emulator.env().items():
                monkeypatch.setenv(name, value)
            run_report(after_login=salesforce_emulator.expire_all)
            assert salesforce_emulator.token_requests == 2

    Yields:
        The emulator, closed after the test.
    """
    with SalesforceEmulator() as emulator:
        emulator.default  # noqa: B018 - made now, so that a test does not pay for the key while it measures
        yield emulator
