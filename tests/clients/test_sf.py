"""The provider sf-cli with the real `sf`, which is logged in to an emulated org: `make clients` runs this."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_sf_cli import SfCliAuthenticator

Sf = Callable[..., dict[str, Any]]


@pytest.fixture
def emulator() -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def sf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sf:
    """The command, with a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SF_DISABLE_TELEMETRY", "SF_AUTOUPDATE_DISABLE", "SF_USE_GENERIC_UNIX_KEYCHAIN"):
        monkeypatch.setenv(name, "true")
    for name in ("SF_TARGET_ORG", "SF_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> dict[str, Any]:
        ran = subprocess.run(
            ["sf", *arguments, "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        found: dict[str, Any] = json.loads(ran.stdout)
        assert found["status"] == 0, found["message"]
        return found

    return run


@pytest.fixture
def logged_in(sf: Sf, emulator: SalesforceEmulator) -> str:
    """An alias of the emulated org, to which `sf` is logged in by JWT."""
    login = emulator.default
    sf(
        *("org", "login", "jwt", "--client-id", login.client_id, "--username", login.username, "--alias", "emulated"),
        *("--jwt-key-file", str(emulator.private_key_path), "--instance-url", emulator.url),
    )
    return "emulated"


def test_the_session_of_sf_is_taken_over(emulator: SalesforceEmulator, logged_in: str) -> None:
    with kinetic.resolve("sf-cli", target_org=logged_in) as source:
        session = source.session()
    assert emulator.holder_of(session.access_token) == (emulator.default.username, emulator.default.client_id)
    assert (session.instance_url, session.username) == (emulator.url, emulator.default.username)
    assert session.org_id == emulator.org_id[:15]


def test_the_form_with_the_token_in_org_display_is_read_as_well(
    emulator: SalesforceEmulator, logged_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_TEMP_SHOW_SECRETS", "true")
    session = SfCliAuthenticator(logged_in).authenticate()
    assert emulator.is_live(session.access_token)


def test_a_refused_session_is_renewed_by_sf(emulator: SalesforceEmulator, logged_in: str) -> None:
    with kinetic.resolve("sf-cli", target_org=logged_in) as source:
        first = source.session()
        emulator.expire_all()
        assert not source.is_alive(first)
        source.invalidate(first)
        second = source.session()
        assert source.is_alive(second)
    assert second.access_token != first.access_token


def test_a_session_that_sf_cannot_renew_needs_a_person(emulator: SalesforceEmulator, logged_in: str) -> None:
    with kinetic.resolve("sf-cli", target_org=logged_in) as source:
        first = source.session()
        emulator.expire_all()
        emulator.default.app.enabled = False
        source.invalidate(first)
        with pytest.raises(kinetic.InteractionRequiredError, match="could not renew") as caught:
            source.session()
    assert "sf org login web" in caught.value.remedy


def test_an_org_that_sf_does_not_know_needs_a_person(sf: Sf) -> None:
    with pytest.raises(kinetic.InteractionRequiredError, match="NamedOrgNotFoundError") as caught:
        SfCliAuthenticator("nobody@acme.com").authenticate()
    assert "sf org login web" in caught.value.remedy


def test_without_a_default_org_the_remedy_says_how_to_choose_one(sf: Sf) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="NoDefaultEnvError") as caught:
        SfCliAuthenticator().authenticate()
    assert "SF_TARGET_ORG" in caught.value.remedy


def test_the_commands_of_the_docs_print_a_session(sf: Sf) -> None:
    page = (Path(__file__).parents[2] / "providers" / "sf-cli" / "docs.md").read_text("utf-8")
    section = page.partition("\n## Try it without an org\n")[2].partition("\n## ")[0]
    steps = [step for step in re.findall(r"```console\n(.*?)```", section, re.DOTALL) if "pip install" not in step]
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["bash", "-e", "-c", "\n".join([*steps, "wait"])],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PATH": programs},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^org_id +00D", ran.stdout, re.MULTILINE), ran.stdout


def test_the_deadline_holds_for_sf(logged_in: str) -> None:
    with pytest.raises(kinetic.TransportError, match="within the deadline"):
        SfCliAuthenticator(logged_in, deadline=0.2).authenticate()
