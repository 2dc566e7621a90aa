"""An org that knows an app by its certificate, the settings that log in there, and all that an error shows."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from kinetic_auth_core.testing import App, KeyPair, SalesforceEmulator, User, new_key_pair

# A machine that is busy is no failed property.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

USERNAME = "integration@acme.com"


@pytest.fixture(autouse=True)
def _a_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, proxies or `.env` but those of the test."""
    for name in list(os.environ):
        if name.startswith(("SF_", "KINETIC_AUTH_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture(scope="session")
def other_keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture
def sf() -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def user(sf: SalesforceEmulator) -> User:
    return sf.add_user(USERNAME)


@pytest.fixture
def app(sf: SalesforceEmulator, user: User, keys: KeyPair) -> App:
    return sf.add_app(certificates=[keys.certificate_pem], preauthorised={user.username})


@pytest.fixture
def settings(sf: SalesforceEmulator, app: App, user: User) -> dict[str, Any]:
    """All that a login needs but the key."""
    return {"client_id": app.client_id, "username": user.username, "login_url": sf.url}


@pytest.fixture
def key_file(tmp_path: Path, keys: KeyPair) -> Path:
    path = tmp_path / "server.key"
    path.write_text(keys.private_key_pem)
    return path


@pytest.fixture
def leaked() -> Callable[..., list[str]]:
    """Which secrets an error reporter could print of an error: its chain, its fields, tracebacks with locals.

    Called with the error (or a text, such as a log), the text of a key, of which any line counts, and other secrets.
    """

    def find(told: BaseException | str, key: str = "", *secrets: str) -> list[str]:
        shown = _all_shown(told) if isinstance(told, BaseException) else told
        assert shown, "nothing was told, so nothing is proved"
        return sorted(secret for secret in {*_fragments(key), *secrets} if secret in shown)

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


def _fragments(pem: str) -> set[str]:
    """Pieces of a key's text, short enough to be found even where a line is shown cut off."""
    return {line[:16] for line in pem.splitlines() if line and "-----" not in line and ":" not in line}
