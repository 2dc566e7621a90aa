"""pytest fixtures for the tests of applications and plugins. pytest finds them by the entry point of this package.

Nothing of the library is imported before a fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kinetic_auth_core.testing import SalesforceEmulator


@pytest.fixture
def salesforce_clock() -> Callable[[], float] | None:
    """The clock of `salesforce_emulator`, in Unix seconds. Define a fixture of this name to set it.

    None, the default, is `time.time`, or what freezegun and its like put in its place.
    """
    return None


@pytest.fixture
def salesforce_emulator(salesforce_clock: Callable[[], float] | None) -> Iterator[SalesforceEmulator]:
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
    from kinetic_auth_core.testing import SalesforceEmulator

    with SalesforceEmulator(clock=salesforce_clock) as emulator:
        emulator.default  # noqa: B018 - made now, so that a test does not measure the time for the key
        yield emulator


@pytest.fixture
def salesforce_login(salesforce_emulator: SalesforceEmulator) -> Iterator[SalesforceEmulator]:
    """Every login of the test goes to `salesforce_emulator`, whatever the application's configuration says.

        def test_the_report_of_production(salesforce_login):
            run_report(kinetic.resolve(environment="prod"))
            assert salesforce_login.token_requests == 1

    See `kinetic_auth_core.testing.redirect_logins`.

    Yields:
        The emulator.
    """
    from kinetic_auth_core.testing import redirect_logins

    with redirect_logins(salesforce_emulator):
        yield salesforce_emulator


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

    from kinetic_auth_core.testing.leaks import secrets_in

    def find(subject: BaseException | str, *secrets: str) -> list[str]:
        return secrets_in(
            subject, *secrets, is_test=lambda file: file.startswith(folder) or file.endswith("conftest.py")
        )

    return find
