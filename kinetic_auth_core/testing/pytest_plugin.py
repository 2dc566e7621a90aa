"""pytest fixtures for the tests of applications and plugins.

Put this into a `conftest.py`:

    pytest_plugins = ["kinetic_auth_core.testing.pytest_plugin"]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_core.testing.leaks import secrets_in


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
        emulator.default  # noqa: B018 - made now, so that a test does not measure the time for the key
        yield emulator


@pytest.fixture
def no_ambient_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's settings: `SF_*`, `KINETIC_AUTH_*` and proxy variables; the working directory is empty.

    The variables of an environment, such as `PROD_SF_CLIENT_ID`, are removed too.
    """
    for name in list(os.environ):
        if name.startswith(("SF_", "KINETIC_AUTH_")) or "_SF_" in name or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def leaked_secrets(request: pytest.FixtureRequest) -> Callable[..., list[str]]:
    """Finds secrets in an error, with its chain, fields and tracebacks with locals, or in a text such as a log.

        def test_the_key_is_not_shown(leaked_secrets, caplog):
            with pytest.raises(KeyLoadError) as caught:
                log_in(private_key=KEY)
            assert leaked_secrets(caught.value, KEY) == []
            assert leaked_secrets(caplog.text, KEY) == []

    Of a text of several lines, such as a key in PEM, any line counts. Locals of the test's folder and of every
    `conftest.py` do not count.

    Returns:
        A function of the error or text and the secrets, which returns those that it found.
    """
    folder = f"{request.path.parent}{os.sep}"

    def find(subject: BaseException | str, *secrets: str) -> list[str]:
        return secrets_in(
            subject, *secrets, is_test=lambda file: file.startswith(folder) or file.endswith("conftest.py")
        )

    return find
