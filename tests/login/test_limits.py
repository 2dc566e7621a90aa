"""The limits of logins: the guard against lockouts, and the login budget."""

import logging
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.login.flow import LoginBudget
from kinetic_auth_core.login.lockout import HeldBackError
from kinetic_auth_core.stores.base import MemoryStore
from kinetic_auth_core.testing import SalesforceEmulator, User

WRONG = "canary-wrong-password"


def refused(source: kinetic.SessionSource) -> kinetic.CredentialsRejectedError:
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        source.authenticate()
    return caught.value


def test_a_wrong_password_is_sent_once_however_often_a_login_is_tried(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    source = kinetic.resolve("password", password=WRONG, **settings)
    before = sf.token_requests
    first = refused(source)
    for ask in (source.authenticate, source.session):
        with pytest.raises(kinetic.CredentialsRejectedError) as caught:
            ask()
        held = caught.value
        assert isinstance(held, HeldBackError)
        assert (held.error, held.description, held.status) == (first.error, first.description, first.status)
        assert held.remedy == first.remedy
        assert (held.provider, held.username, held.host) == ("password", settings["username"], first.host)
        assert f"password login of {settings['username']} at {first.host} is not tried: the same" in held.message
        assert "(invalid_grant: authentication failure), and repeating it could lock the user out" in held.message
    assert sf.token_requests == before + 1


@pytest.mark.parametrize(
    ("error", "description"),
    [("inactive_user", "user is inactive"), ("invalid_client_id", "client identifier invalid")],
)
def test_every_refused_credential_is_blocked(
    sf: SalesforceEmulator, settings: dict[str, Any], error: str, description: str
) -> None:
    source = kinetic.resolve("password", password="right-horse", **settings)
    sf.refuse(error, description)
    refused(source)
    assert isinstance(refused(source), HeldBackError)


def test_an_error_with_another_cause_does_not_block_the_credential(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    source = kinetic.resolve("password", password="right-horse", **settings)
    sf.refuse("server_error", "try later", status=500, times=4)  # as often as one login tries
    with pytest.raises(kinetic.TransientAuthenticationError):
        source.authenticate()
    assert source.authenticate().is_valid()


def test_other_sources_of_the_same_store_block_it_too_and_a_new_password_is_sent(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    store = MemoryStore()
    refused(kinetic.resolve("password", password=WRONG, store=store, **settings))
    before = sf.token_requests
    assert isinstance(refused(kinetic.resolve("password", password=WRONG, store=store, **settings)), HeldBackError)
    assert sf.token_requests == before
    assert kinetic.resolve("password", password="right-horse", store=store, **settings).session().is_valid()


def test_a_secret_that_another_process_has_fetched_again_is_tried_in_this_process_too(
    sf: SalesforceEmulator, settings: dict[str, Any], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_WORD", "old-horse")
    source = kinetic.resolve("password", password="env://SECRET_WORD", **settings)
    refused(source)
    monkeypatch.setenv("SECRET_WORD", "right-horse")
    assert source.session().is_valid()


def test_a_credential_is_tried_again_after_lockout_guard_seconds(
    sf: SalesforceEmulator, settings: dict[str, Any], user: User
) -> None:
    source = kinetic.resolve("password", password="new-horse", lockout_guard=0.3, **settings)
    refused(source)
    user.password = "new-horse"
    end = time.monotonic() + 10
    while True:
        try:
            assert source.session().is_valid()
        except HeldBackError:
            assert time.monotonic() < end
            time.sleep(0.02)
        else:
            break


def test_the_guard_can_be_switched_off(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("password", password=WRONG, lockout_guard=0, **settings)
    before = sf.token_requests
    refused(source)
    refused(source)
    assert sf.token_requests == before + 2


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # 3.12 and newer: the very thing that is tested
def test_in_a_forked_child_too_the_first_login_is_made_alone(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("password", password=WRONG, **settings)
    session = kinetic.SalesforceSession("00D!dead", sf.url, "", "0")
    assert not source.is_alive(session)  # the provider's instance is there, and has not logged in
    before = sf.token_requests

    def child() -> None:
        start = threading.Barrier(16)

        def ask(_: int) -> None:
            start.wait()
            refused(source)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, range(16)))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert sf.token_requests == before + 1


def test_a_budget_warns_at_four_fifths_and_stops_at_the_end(
    sf: SalesforceEmulator, settings: dict[str, Any], caplog: Any
) -> None:
    source = kinetic.resolve("password", password="right-horse", login_budget=5, **settings)
    called = f"password login of {settings['username']} at {sf.url.partition('//')[2]}"
    before = sf.token_requests

    def logged() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "kinetic_auth_core.login.flow"]

    with caplog.at_level(logging.WARNING, "kinetic_auth_core.login.flow"):
        for _ in range(3):
            source.authenticate()
        assert not logged()
        source.authenticate()
        source.authenticate()
    assert logged() == [f"{called}: 4 of 5 logins of this hour's login_budget are spent"]
    with pytest.raises(kinetic.LoginBudgetError) as caught:
        source.session()
    assert "5 logins within the last hour are all that login_budget allows; the next one in " in caught.value.message
    assert "share one source" in caught.value.remedy
    assert caught.value.username == settings["username"]
    assert caught.value.retry_after_s == pytest.approx(3600, abs=10)
    assert sf.token_requests == before + 5


def test_a_budget_counts_the_last_hour_by_the_clock_that_is_ahead() -> None:
    clocks = {"monotonic": 0.0, "wall": 1_000.0}
    budget = LoginBudget(2, "a login", {}, (lambda: clocks["monotonic"], lambda: clocks["wall"]))
    budget.spend()
    clocks["monotonic"] = 1_800.0
    budget.spend()
    with pytest.raises(kinetic.LoginBudgetError, match="the next one in 1800 s"):
        budget.spend()
    clocks["wall"] += 3_600  # a machine that slept
    budget.spend()


@pytest.mark.parametrize(
    ("settings_", "what"),
    [
        ({"login_budget": 0}, "login_budget (from keyword): must be a number of logins, 1 or more"),
        ({"login_budget": 1.5}, "login_budget (from keyword): expected a whole number, got a number"),
        (
            {"lockout_guard": -1},
            "lockout_guard (from keyword): must be a number of seconds above 0, up to 86400; or 0, for no guard",
        ),
        ({"session_lifetime": 0}, "session_lifetime (from keyword): must be a number of seconds above 0, up to 86400"),
        ({"session_lifetime": "2h"}, "session_lifetime (from keyword): expected a number, got text"),
    ],
)
def test_all_problems_of_the_source_settings_are_reported_at_once(
    settings: dict[str, Any], settings_: dict[str, Any], what: str
) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", password="word", **settings, **settings_)
    assert caught.value.problems == (what,)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.SessionSource(kinetic.OAuthAuthenticator(password="word", **settings), **settings_)
    assert caught.value.problems == (what,)


def test_source_settings_come_from_a_file_and_from_variables(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_SESSION_LIFETIME", "900")
    source = kinetic.resolve("password", password="word", login_budget=7, **settings)
    rows = {row.name: (row.value, row.source) for row in source.explain()}
    assert rows["session_lifetime"] == (900.0, "SF_SESSION_LIFETIME")
    assert rows["login_budget"] == (7, "keyword")
    assert rows["lockout_guard"] == (60.0, "default")
    assert rows["store"] == ("memory", "default")
