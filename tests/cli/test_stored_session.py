"""`kinetic-auth status` and `logout`: the stored session is shown and revoked."""

import datetime as dt
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import Reset, SalesforceEmulator, Status

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


@pytest.fixture
def stored(default_env: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> kinetic.SalesforceSession:
    """A session in the file store of the commands."""
    monkeypatch.setenv("SF_STORE", "file")
    monkeypatch.setenv("SF_STORE_PATH", str(tmp_path / "store"))
    with kinetic.resolve("jwt-bearer") as source:
        return source.session()


def test_a_live_session_is_shown_without_its_token_and_without_a_login(
    run: Run, sf: SalesforceEmulator, stored: kinetic.SalesforceSession
) -> None:
    before = sf.token_requests
    outcome = run("status", "jwt-bearer")
    assert outcome.code == 0
    assert outcome.table["alive"] == ["true"]
    assert outcome.table["store"] == ["file"]
    assert outcome.table["username"] == [sf.default.username]
    assert stored.access_token not in outcome.out + outcome.message
    assert sf.token_requests == before


def test_status_says_since_when_and_until_when_a_session_is_live(run: Run, stored: kinetic.SalesforceSession) -> None:
    facts = json.loads(run("status", "jwt-bearer", "--json").out)
    since, until = (dt.datetime.fromisoformat(facts[name]) for name in ("since", "until"))
    assert until - since == dt.timedelta(hours=2)
    assert (facts["paused_until"], facts["pauses"], facts["grant"]) == (None, [], None)


@pytest.mark.usefixtures("default_env")
def test_status_says_until_when_no_login_is_made_and_why(run: Run, sf: SalesforceEmulator) -> None:
    sf.refuse("invalid_grant", "user hasn't approved this consumer")
    assert run("login", "jwt-bearer").code == 4
    outcome = run("status", "jwt-bearer")
    assert outcome.code == 9
    assert f"No login is made until {outcome.table['paused_until'][0]} (refused credential)" in outcome.message
    assert "user hasn't approved this consumer" in outcome.message
    (pause,) = json.loads(run("status", "jwt-bearer", "--json").out)["pauses"]
    assert pause["kind"] == "refused credential"
    assert pause["remedy"].startswith("Pre-approve the connected app")


def test_a_dead_session_exits_with_nine(run: Run, sf: SalesforceEmulator, stored: kinetic.SalesforceSession) -> None:
    sf.revoke(stored.access_token)
    outcome = run("status", "jwt-bearer", "--json")
    assert outcome.code == 9
    assert json.loads(outcome.out)["alive"] is False
    assert "To replace it: kinetic-auth login --fresh" in run("status", "jwt-bearer").message
    assert run("login", "jwt-bearer", "--fresh").code == 0
    assert run("status", "jwt-bearer").code == 0


@pytest.mark.usefixtures("default_env")
def test_the_json_of_status_has_the_same_fields_with_and_without_a_session(run: Run) -> None:
    without = json.loads(run("status", "jwt-bearer", "--json").out)
    assert run("login", "jwt-bearer").code == 0
    assert set(without) == set(json.loads(run("status", "jwt-bearer", "--json").out))
    assert (without["instance_url"], without["issued_at"], without["token_type"]) == (None, None, None)


@pytest.mark.usefixtures("default_env")
def test_with_the_store_memory_there_is_no_session_to_show(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_STORE", "memory")
    outcome = run("status", "jwt-bearer")
    assert outcome.code == 9
    assert "The configured store is memory: each process keeps its session in its own memory." in outcome.message
    outcome = run("logout", "jwt-bearer", "--shared")
    assert outcome.code == 0
    assert outcome.table["revoked"] == ["false"]


@pytest.mark.usefixtures("default_env")
def test_without_a_configured_store_login_status_and_logout_use_the_users_own(run: Run, sf: SalesforceEmulator) -> None:
    assert run("status", "jwt-bearer").code == 9
    token = json.loads(run("login", "jwt-bearer", "--json", "--show-token").out)["access_token"]
    assert run("status", "jwt-bearer").table["alive"] == ["true"]
    assert run("logout", "jwt-bearer").table["revoked"] == ["true"]
    assert not sf.is_live(token)


@pytest.mark.usefixtures("default_env")
@pytest.mark.parametrize(
    ("command", "printed"), [(("status",), {"alive": None}), (("logout", "--shared"), {"revoked": False})]
)
def test_a_store_that_does_not_respond_is_not_taken_for_an_empty_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...], printed: dict[str, object]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SF_STORE", "file")
    monkeypatch.setenv("SF_STORE_PATH", str(tmp_path / "file" / "store"))  # no folder can be there
    outcome = run(*command, "jwt-bearer")
    assert outcome.code == 5
    assert "The store does not respond. It may still hold a live session" in " ".join(outcome.message.split())
    outcome = run(*command, "jwt-bearer", "--json")
    assert outcome.code == 5
    assert json.loads(outcome.out).items() >= printed.items()


def test_an_instance_that_does_not_respond_is_reported(
    run: Run, sf: SalesforceEmulator, stored: kinetic.SalesforceSession
) -> None:
    sf.break_transport(Reset(), path="/services/data/*")
    outcome = run("status", "jwt-bearer")
    assert outcome.code == 5
    assert "check of the session of" in outcome.message


def test_logout_revokes_a_shared_session_only_with_shared(
    run: Run, sf: SalesforceEmulator, stored: kinetic.SalesforceSession
) -> None:
    outcome = run("logout", "jwt-bearer")
    assert outcome.code == 2
    assert "the session in the store 'file' is shared" in outcome.message
    assert sf.is_live(stored.access_token)
    outcome = run("logout", "jwt-bearer", "--shared", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["revoked"] is True
    assert not sf.is_live(stored.access_token)
    assert run("status", "jwt-bearer").code == 9
    assert "The store has no session for this login." in run("logout", "jwt-bearer", "--shared").message
    assert os.environ["SF_STORE"] == "file"


def test_an_inconclusive_answer_leaves_alive_false(
    run: Run, sf: SalesforceEmulator, stored: kinetic.SalesforceSession
) -> None:
    sf.break_transport(Status(503), path="/services/data/*")
    outcome = run("status", "jwt-bearer")
    assert outcome.code == 5
    assert "HTTP 503; cannot tell whether the session is still valid" in outcome.message


def test_credentials_of_netrc_do_not_take_the_place_of_the_token(
    run: Run, sf: SalesforceEmulator, stored: kinetic.SalesforceSession
) -> None:
    netrc = Path.home() / ".netrc"
    netrc.write_text("machine 127.0.0.1 login joe password netrc-word")
    netrc.chmod(0o600)
    assert run("status", "jwt-bearer").code == 0
