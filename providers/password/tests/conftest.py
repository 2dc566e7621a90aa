"""An org with one user, the settings that log in there, and all that an error shows."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from kinetic_auth_core.testing import App, SalesforceEmulator, User

# A machine that is busy is no failed property.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

USERNAME = "admin@acme.com.dev"


@pytest.fixture(autouse=True)
def _a_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, proxies or `.env` but those of the test."""
    for name in list(os.environ):
        if name.startswith(("SF_", "KINETIC_AUTH_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sf() -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def user(sf: SalesforceEmulator) -> User:
    return sf.add_user(USERNAME, password="canary-password", security_token="canary-token")


@pytest.fixture
def app(sf: SalesforceEmulator, user: User) -> App:
    return sf.add_app(client_secret="canary-client-secret", preauthorised={user.username})


@pytest.fixture
def settings(sf: SalesforceEmulator, app: App, user: User) -> dict[str, Any]:
    """All that a login needs, by the names of the settings."""
    return {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "username": user.username,
        "password": user.password,
        "security_token": user.security_token,
        "login_url": sf.url,
    }


@pytest.fixture
def leaked() -> Callable[..., list[str]]:
    """Which secrets an error reporter could print of an error: its chain, its fields, tracebacks with locals.

    Called with the error (or a text, such as a log) and the secrets.
    """

    def find(told: BaseException | str, *secrets: str) -> list[str]:
        shown = _all_shown(told) if isinstance(told, BaseException) else told
        assert shown, "nothing was told, so nothing is proved"
        return sorted(secret for secret in secrets if secret in shown)

    return find


def _all_shown(error: BaseException) -> str:
    told = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True, compact=False)
    _without_the_tests_frames(told)
    fields = [f"{link!r} {link} {vars(link)} {link.args}" for link in _chain(error)]
    fields += [repr(getattr(link, "object", "")) for link in _chain(error)]  # what a UnicodeError holds
    return "\n".join([*told.format(), *fields])


def _without_the_tests_frames(told: traceback.TracebackException) -> None:
    """A test's own locals are its secrets; only those of the code under test count."""
    here = str(Path(__file__).parent)
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not frame.filename.startswith(here)]
    )
    for link in (told.__cause__, told.__context__):
        if link is not None:
            _without_the_tests_frames(link)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    if error is not None:
        yield error
        yield from _chain(error.__cause__)
        yield from _chain(error.__context__)
        for inner in error.args:
            if isinstance(inner, BaseException):
                yield from _chain(inner)
