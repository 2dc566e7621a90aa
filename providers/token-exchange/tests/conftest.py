"""An org that trusts an identity provider, and the places where a job and a pod find their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.plugins import Reference, parse_reference
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets as leaked
from kinetic_auth_core.testing.pytest_plugin import no_ambient_settings
from kinetic_auth_token_exchange import github

__all__ = ["leaked", "no_ambient_settings"]  # fixtures from elsewhere

AUDIENCE = "https://acme.my.salesforce.com"
SUBJECT = "repo:acme/report:ref:refs/heads/main"


@pytest.fixture(autouse=True)
def _no_ambient_settings(no_ambient_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every test; and no token of the job that runs the tests."""
    for name in (github.URL, github.TOKEN, "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(github, "PAUSES_S", (0.01, 0.01))


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        login = emulator.default
        login.app.token_handlers[0].subjects[SUBJECT] = login.username
        yield emulator


@pytest.fixture
def settings(sf: SalesforceEmulator) -> dict[str, Any]:
    """All that a login needs but the subject token."""
    return {"client_id": sf.default.client_id, "login_url": sf.url}


@pytest.fixture
def job(sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """This process is a job of GitHub Actions; the reference to its token."""
    for name, value in sf.identity_provider.github_variables(SUBJECT).items():
        monkeypatch.setenv(name, value)
    return f"oidc://github?audience={AUDIENCE}"


@pytest.fixture
def pod(tmp_path: Path, sf: SalesforceEmulator) -> Callable[..., str]:
    """Projects a token with these claims into a file, in place of the one before; gives the reference to it."""

    def project(subject: str = SUBJECT, **claims: Any) -> str:
        (tmp_path / "sf").write_text(sf.identity_provider.issue(subject, **claims))
        return f"oidc://file{tmp_path / 'sf'}?audience={AUDIENCE}"

    return project


@pytest.fixture
def reference() -> Callable[[str], Reference]:
    def parse(uri: str) -> Reference:
        parsed = parse_reference(uri, {"oidc"})
        assert parsed is not None
        return parsed

    return parse
