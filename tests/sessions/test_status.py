"""`SessionSource.status`: what is live, until when no login is made, and why. Nothing is sent for it."""

import time
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.sessions.refresh import IN_A_ROW
from kinetic_auth_core.testing import SalesforceEmulator


def test_a_live_session_is_shown_with_its_times_and_without_its_token(sf: SalesforceEmulator) -> None:
    before = time.time()
    with kinetic.resolve("jwt-bearer", **sf.settings("jwt-bearer")) as source:
        assert source.status().session is None
        session = source.session()
        requests = len(sf.requests)
        status = source.status()
        assert len(sf.requests) == requests
    live = status.session
    assert live is not None
    assert (live.username, live.org_id, live.instance_url) == (sf.default.username, sf.org_id, sf.url)
    assert before <= live.since <= time.time()
    assert live.until - live.since == pytest.approx(7200, abs=1)
    assert (status.pauses, status.paused_until, status.logins, status.grant) == ((), None, 1, None)
    assert session.access_token not in repr(status)


def test_a_session_in_the_store_is_live_for_another_source(sf: SalesforceEmulator, tmp_path: Path) -> None:
    settings = {**sf.settings("jwt-bearer"), "store": {"name": "file", "path": str(tmp_path / "store")}}
    with kinetic.resolve("jwt-bearer", **settings) as one, kinetic.resolve("jwt-bearer", **settings) as other:
        one.session()
        mine, found = one.status(), other.status()
    assert mine.session is not None
    assert found.session is not None
    assert (found.session.username, found.session.since) == (mine.session.username, mine.session.since)
    assert (mine.logins, found.logins) == (1, 0)


def test_a_refused_credential_pauses_with_the_reason_and_its_end(sf: SalesforceEmulator) -> None:
    with kinetic.resolve("jwt-bearer", **sf.settings("jwt-bearer")) as source:
        sf.refuse("invalid_grant", "user hasn't approved this consumer")
        with pytest.raises(kinetic.CredentialsRejectedError):
            source.session()
        status = source.status()
    (pause,) = status.pauses
    assert pause.kind == "refused credential"
    assert pause.until == pytest.approx(time.time() + 60, abs=5)
    assert status.paused_until == pause.until
    assert "user hasn't approved this consumer" in pause.reason
    assert pause.remedy.startswith("Pre-approve the connected app")


def test_salesforces_limit_pauses_for_five_minutes(sf: SalesforceEmulator) -> None:
    with kinetic.resolve("jwt-bearer", **sf.settings("jwt-bearer")) as source:
        sf.refuse("invalid_grant", "login rate exceeded")
        with pytest.raises(kinetic.RateLimitedError):
            source.session()
        (pause,) = source.status().pauses
    assert pause.kind == "rate limit"
    assert pause.until == pytest.approx(time.time() + 300, abs=5)


def test_sessions_that_are_refused_at_once_pause_with_the_usual_causes(sf: SalesforceEmulator) -> None:
    with kinetic.resolve("jwt-bearer", **sf.settings("jwt-bearer")) as source:
        for _ in range(IN_A_ROW):
            source.invalidate(source.session())
        (pause,) = source.status().pauses
    assert pause.kind == "refused sessions"
    assert "locked to the IP address of their login" in pause.reason


def test_a_spent_budget_pauses_until_the_oldest_login_is_an_hour_old(sf: SalesforceEmulator) -> None:
    with kinetic.resolve("jwt-bearer", login_budget=1, **sf.settings("jwt-bearer")) as source:
        source.authenticate()
        status = source.status()
    assert [pause.kind for pause in status.pauses] == ["login budget"]
    assert status.pauses[0].until == pytest.approx(time.time() + 3600, abs=5)
    assert (status.logins, status.login_budget) == (1, 1)


def test_a_token_that_can_be_presented_once_is_unused_marked_or_lost(sf: SalesforceEmulator, tmp_path: Path) -> None:
    store = {"name": "file", "path": str(tmp_path / "store")}
    with kinetic.resolve("refresh-token", **sf.settings("refresh-token"), store=store) as source:
        assert source.status().grant == "unused"
        sf.refuse("server_error", "", status=500, times=None)
        with pytest.raises(kinetic.AuthenticationError):
            source.session()
        assert source.status().grant == "marked"
        sf.clear_faults()
        sf.refuse("invalid_grant", "expired access/refresh token")
        with pytest.raises(kinetic.CredentialsRejectedError):
            source.session()
        assert source.status().grant == "lost"


def test_a_secret_of_a_key_loader_is_not_fetched(sf: SalesforceEmulator, tmp_path: Path) -> None:
    settings = {
        **sf.settings("token-exchange"),
        "subject_token": f"oidc://file{tmp_path}/none?audience=https://x.example",
    }
    with kinetic.resolve("token-exchange", **settings) as source:
        status = source.status()
    assert (status.session, status.pauses) == (None, ())
