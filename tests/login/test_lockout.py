"""What was refused is not sent again too soon: one credential in every spelling, and Salesforce's limit on logins."""

import functools
import json
import logging
import math
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.login import lockout
from kinetic_auth_core.login.lockout import (
    LONGEST_PAUSE_S,
    Credential,
    HeldBackError,
    LoginGuard,
)
from kinetic_auth_core.stores.base import process_notes
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.testing import Delay, KeyPair, Reset, SalesforceEmulator, User
from kinetic_auth_password import OAuthAuthenticator

WRONG = "canary-wrong-horse"
LIMIT = ("invalid_grant", "login rate exceeded")


class Clock:
    """The clocks of this process, moved at will."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset_s = 0.0
        for name in ("time", "monotonic"):
            real = getattr(time, name)
            monkeypatch.setattr(time, name, lambda real=real: real() + self.offset_s)

    def move(self, seconds: float) -> None:
        self.offset_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def refused(source: kinetic.SessionSource) -> kinetic.CredentialsRejectedError:
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        source.authenticate()
    return caught.value


def wait_of(error: kinetic.KineticAuthError) -> float:
    """The seconds that a message says until the next try."""
    found = re.search(r"It is tried again in (\d+) s", error.message)
    assert found, error.message
    return float(found[1])


def test_the_pause_doubles_with_each_refusal_up_to_half_an_hour(
    sf: SalesforceEmulator, settings: dict[str, Any], clock: Clock
) -> None:
    source = kinetic.resolve("password", password=WRONG, **settings)
    before, pauses, messages = sf.token_requests, [], []
    for _ in range(8):
        refused(source)
        held = refused(source)
        assert isinstance(held, HeldBackError)
        pauses.append(wait_of(held))
        assert held.retry_after_s == pytest.approx(pauses[-1], abs=1)
        messages.append(held.message)
        clock.move(pauses[-1] + 1)
    assert pauses == pytest.approx([60, 120, 240, 480, 960, 1800, 1800, 1800], abs=2)
    assert sf.token_requests == before + 8
    assert ", 8 times by now), and repeating it could lock the user out" in messages[-1]


def test_a_success_forgets_the_refusals(
    sf: SalesforceEmulator, settings: dict[str, Any], user: User, clock: Clock
) -> None:
    source = kinetic.resolve("password", password="new-horse", **settings)
    refused(source)
    clock.move(61)
    refused(source)
    user.password = "new-horse"
    clock.move(121)
    assert source.authenticate().is_valid()
    user.password = "newer-horse"
    refused(source)
    assert wait_of(refused(source)) == pytest.approx(60, abs=2)


def other_spellings(sf: SalesforceEmulator, settings: dict[str, Any]) -> list[Callable[[], kinetic.SessionSource]]:
    """Sources with the same user and the same wrong password."""
    app = sf.add_app()
    with_password = {**settings, "password": WRONG}
    make = functools.partial(kinetic.resolve, "password")
    variants: list[dict[str, Any]] = [
        {},
        {"username": settings["username"].upper()},
        {"login_url": settings["login_url"].replace("http://", "HTTP://") + "/"},
        {"password": WRONG[:6], "security_token": WRONG[6:]},
        {"password": "env://SPELT"},
        {"password": {"value": WRONG}["value"], "deadline": 20.0, "session_lifetime": 60.0},
        {"client_id": app.client_id, "client_secret": app.client_secret},
    ]
    return [
        *(functools.partial(make, **{**with_password, **variant}) for variant in variants),
        lambda: kinetic.SessionSource(OAuthAuthenticator(**with_password)),
    ]


def test_every_spelling_of_a_credential_is_the_same_one(
    sf: SalesforceEmulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPELT", WRONG)
    makers = other_spellings(sf, settings)
    before = sf.token_requests
    refused(makers[0]())
    for make in makers:
        assert isinstance(refused(make()), HeldBackError)
    assert sf.token_requests == before + 1


@pytest.mark.parametrize("other", ["username", "password", "security_token"])
def test_another_user_or_password_is_another_credential(
    sf: SalesforceEmulator, settings: dict[str, Any], other: str
) -> None:
    mine = {**settings, "password": WRONG}
    refused(kinetic.resolve("password", **mine))
    before = sf.token_requests
    refused(kinetic.resolve("password", **{**mine, other: f"other-{uuid.uuid4()}"}))
    assert sf.token_requests == before + 1


def test_a_wrong_client_secret_can_be_corrected_at_once(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    wrong = {**settings, "password": "right-horse", "client_secret": "not-the-secret"}
    refused(kinetic.resolve("password", **wrong))
    assert isinstance(refused(kinetic.resolve("password", **wrong)), HeldBackError)
    assert kinetic.resolve("password", password="right-horse", **settings).session().is_valid()


@pytest.mark.parametrize("before", ["an outage", "it was right"])
def test_many_sources_at_once_send_a_password_once_that_may_be_wrong_by_now(
    sf: SalesforceEmulator, user: User, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    sources = [kinetic.resolve("password", password="right-horse", **settings) for _ in range(8)]
    if before == "an outage":
        sf.break_transport(Reset())
        with pytest.raises(kinetic.TransportError):
            sources[0].authenticate()
    else:
        monkeypatch.setattr(lockout, "_GOOD_FOR_S", 0.0)
        sources[0].authenticate()
    user.password = "another-horse"
    sent = sf.token_requests
    sf.break_transport(Delay(0.3))
    with ThreadPoolExecutor(len(sources)) as pool:
        list(pool.map(refused, sources))
    assert sf.token_requests - sent == 1


def test_many_sources_at_once_send_a_wrong_password_once(
    sf: SalesforceEmulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPELT", WRONG)
    makers = other_spellings(sf, settings)
    sources = [make() for make in makers * 4]
    before = sf.token_requests
    with ThreadPoolExecutor(len(sources)) as pool:
        list(pool.map(refused, sources))
    assert sf.token_requests == before + 1


IN_A_PROCESS = """
import json, sys, time
offset = 0.0
for name in ("time", "monotonic"):
    setattr(time, name, lambda real=getattr(time, name): real() + offset)
import kinetic_auth_core as kinetic
how, settings, folder = json.loads(sys.argv[1])
if how == "by hand":
    from kinetic_auth_password import OAuthAuthenticator
    source = kinetic.SessionSource(OAuthAuthenticator(**settings), store=kinetic.FileStore(folder))
else:
    source = kinetic.resolve("password", store={"name": "file", "path": folder}, **settings)
print("ready", flush=True)
for line in sys.stdin:
    offset = float(line)
    try:
        source.session()
        print("logged in", flush=True)
    except kinetic.KineticAuthError as error:
        print(json.dumps([type(error).__name__, error.message]), flush=True)
"""


class Worker:
    """Another process with a source of its own."""

    def __init__(self, how: str, settings: dict[str, Any], folder: Path, env: dict[str, str]) -> None:
        pipe, argument = subprocess.PIPE, json.dumps([how, settings, str(folder)])
        command = [sys.executable, "-c", IN_A_PROCESS, argument]
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **env}
        )

    def ready(self) -> None:
        assert self.answer() == "ready\n"

    def ask(self, offset_s: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{offset_s}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def workers(
    sf: SalesforceEmulator, settings: dict[str, Any], tmp_path: Path, full_tier: None
) -> Iterator[list[Worker]]:
    """Eight processes and a store, each with another spelling of the same wrong password."""
    app = sf.add_app()
    mine = {**settings, "password": WRONG}
    spellings: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("resolve", {}, {}),
        ("by hand", {}, {}),
        ("resolve", {"username": settings["username"].upper()}, {}),
        ("resolve", {"login_url": settings["login_url"].replace("http", "HTTP") + "/"}, {}),
        ("resolve", {"password": WRONG[:6], "security_token": WRONG[6:]}, {}),
        ("resolve", {"password": "env://SPELT"}, {"SPELT": WRONG}),
        ("resolve", {"client_id": app.client_id, "client_secret": app.client_secret}, {}),
        ("by hand", {"deadline": 20.0, "password": WRONG[:1], "security_token": WRONG[1:]}, {}),
    ]
    made = [Worker(how, {**mine, **other}, tmp_path / "store", env) for how, other, env in spellings]
    for worker in made:
        worker.ready()
    yield made
    for worker in made:
        worker.process.kill()
        worker.process.communicate()


def test_a_wrong_password_in_a_loop_for_a_day_pauses_half_an_hour_before_it_locks_the_user_out(
    sf: SalesforceEmulator, user: User, workers: list[Worker]
) -> None:
    before, now_s, at_the_first_long_pause = sf.token_requests, 0.0, None
    while now_s < 86_400:
        for worker in workers:
            worker.ask(now_s)
            kind, message = json.loads(worker.answer())
            assert kind in ("CredentialsRejectedError", "HeldBackError")
            wait = re.search(r"tried again in (\d+) s", message)
            if wait and int(wait[1]) > 1700 and at_the_first_long_pause is None:
                at_the_first_long_pause = sf.token_requests - before
        now_s += 60 if now_s < 4000 else 900
    assert at_the_first_long_pause is not None
    assert at_the_first_long_pause < 10  # as many in a row lock the user out
    assert sf.token_requests - before < 60


def test_processes_that_start_together_send_a_wrong_password_once(
    sf: SalesforceEmulator, workers: list[Worker]
) -> None:
    before = sf.token_requests
    for worker in workers:
        worker.ask(0.0)
    kinds = [json.loads(worker.answer())[0] for worker in workers]
    assert sf.token_requests == before + 1
    assert sorted(kinds) == ["CredentialsRejectedError", *["HeldBackError"] * 7]


def test_after_salesforces_limit_nothing_is_sent_for_a_growing_pause(
    sf: SalesforceEmulator, settings: dict[str, Any], clock: Clock
) -> None:
    source = kinetic.resolve("password", password="right-horse", **settings)
    sf.refuse(*LIMIT, times=4)
    before, pauses = sf.token_requests, []
    for _ in range(4):
        with pytest.raises(kinetic.RateLimitedError) as caught:
            source.session()
        assert caught.value.attempts == 1
        assert caught.value.retry_after_s is not None
        assert not caught.value.retryable
        assert "3,600 logins" in caught.value.remedy
        pauses.append(caught.value.retry_after_s)
        with pytest.raises(kinetic.RateLimitedError, match="is not tried") as held:
            source.session()
        assert held.value.retry_after_s == pytest.approx(pauses[-1], abs=2)
        assert (held.value.error, held.value.description, held.value.status) == (*LIMIT, 400)
        assert held.value.remedy == caught.value.remedy
        assert wait_of(held.value) == pytest.approx(pauses[-1], abs=2)
        clock.move(pauses[-1] + 1)
    assert pauses == [300, 600, 1200, 1800]
    assert sf.token_requests == before + 4
    assert source.session().is_valid()


def test_the_sources_of_a_user_share_the_pause_whatever_they_log_in_with(
    sf: SalesforceEmulator, settings: dict[str, Any], user: User, key_pair: KeyPair
) -> None:
    app = sf.add_app(certificates=[key_pair.certificate_pem], preauthorised={user.username})
    theirs = kinetic.resolve(
        "jwt-bearer",
        client_id=app.client_id,
        username=user.username.upper(),
        private_key=key_pair.private_key_pem,
        login_url=sf.url,
    )
    sf.refuse(*LIMIT)
    with pytest.raises(kinetic.RateLimitedError):
        kinetic.resolve("password", password="right-horse", **settings).session()
    before = sf.token_requests
    with pytest.raises(kinetic.RateLimitedError, match="is not tried"):
        theirs.session()
    assert sf.token_requests == before


def test_who_shares_the_store_pauses_too_and_uses_what_is_live(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    store = kinetic.MemoryStore()
    mine = {**settings, "password": "right-horse", "store": store}
    live = kinetic.resolve("password", **mine)
    token = live.session().access_token
    sf.refuse(*LIMIT)
    with pytest.raises(kinetic.RateLimitedError):
        live.authenticate()
    process_notes.cache_clear()  # as in another process
    before = sf.token_requests
    with pytest.raises(kinetic.RateLimitedError, match="is not tried"):
        kinetic.resolve("password", **mine).authenticate()
    assert kinetic.resolve("password", **mine).session().access_token == token
    assert live.session().access_token == token
    assert sf.token_requests == before


def test_logins_that_meet_the_limit_together_count_as_one(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("password", password="right-horse", **settings)
    source.authenticate()  # from now on logins run in parallel
    sf.refuse(*LIMIT, times=8)

    def ask(_: int) -> float:
        with pytest.raises(kinetic.RateLimitedError) as caught:
            source.authenticate()
        assert caught.value.retry_after_s is not None
        return caught.value.retry_after_s

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(ask, range(8))) <= 300


def test_a_refused_credential_leaves_no_trace_by_which_it_can_be_guessed(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    @attrs.define(eq=False)
    class Watched(kinetic.MemoryStore):
        seen: list[tuple[str, bytes]] = attrs.field(factory=list)

        def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
            self.seen.append((key, value))
            return super().put(key, value, expires_in_s=expires_in_s, generation=generation)

        def naming_key(self) -> bytes:
            return b"of this store"

    store = Watched()
    refused(kinetic.resolve("password", password=WRONG, store=store, **settings))
    ((name, kept),) = store.seen
    (record,) = json.loads(kept)["refusals"]
    instance = OAuthAuthenticator(password=WRONG, **settings)
    assert record["tag"] == Credential(instance).password_tag(b"of this store")
    assert record["tag"] != Credential(instance).password_tag(b"of another")
    assert name == f"{Credential(instance).user_tag(b'of this store')}.refused"
    for text in (WRONG, settings["username"], settings["client_id"]):
        assert text.encode() not in kept
        assert text not in name


OF_NOBODY = kinetic.SalesforceSession("token", "https://acme.my.salesforce.com", "", "0")


def planted(value: bytes) -> LoginGuard:
    """A guard, in whose store another writer has put a value."""
    store = kinetic.MemoryStore()
    cache = SessionCache("key", store, 60, None)
    guard = LoginGuard(cache, 60, "a login", {})
    store.put(f"{Credential(OF_NOBODY).user_tag(store.naming_key())}.refused", value, expires_in_s=60)
    return guard


@with_settings(max_examples=50)
@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda found: json.dumps(found).encode()
    )
    | st.fixed_dictionaries(
        {
            "refusals": st.lists(
                st.fixed_dictionaries(
                    {
                        "tag": st.text() | st.none(),
                        "at": st.floats() | st.integers(),
                        "times": st.integers() | st.floats(),
                        "status": st.none() | st.integers(),
                        "error": st.text() | st.none(),
                        "description": st.text() | st.integers(),
                    }
                )
            ),
            "limit": st.none() | st.text() | st.dictionaries(st.text(), st.integers()),
        }
    ).map(lambda found: json.dumps(found).encode())
)
def test_arbitrary_values_in_the_store_break_no_login(found: bytes) -> None:
    planted(found).check(Credential(OF_NOBODY))


def test_malformed_refusals_in_the_store_do_not_block_a_login() -> None:
    credential = Credential(OF_NOBODY)
    tag = credential.tag(kinetic.MemoryStore().naming_key())
    record = {"tag": tag, "times": 1, "error": "invalid_grant", "description": None, "status": 400}
    for at in (time.time() + 86_400, math.inf, 7):
        planted(json.dumps({"refusals": [{**record, "at": at}], "limit": None}).encode()).check(credential)
    limit = {**{name: record[name] for name in ("times", "error", "description", "status")}, "at": time.time()}
    for pause_s in (math.inf, 1e9, -1.0, "long"):
        planted(json.dumps({"refusals": [], "limit": {**limit, "pause_s": pause_s}}).encode()).check(credential)
    others = [{**record, "tag": f"{each:04x}", "at": time.time()} for each in range(1000)]
    planted(json.dumps({"refusals": [*others, {**record, "at": time.time()}], "limit": None}).encode()).check(
        credential
    )


def test_a_longer_lockout_guard_is_not_shortened(
    sf: SalesforceEmulator, settings: dict[str, Any], clock: Clock
) -> None:
    source = kinetic.resolve("password", password=WRONG, lockout_guard=2 * LONGEST_PAUSE_S, **settings)
    refused(source)
    assert wait_of(refused(source)) == pytest.approx(2 * LONGEST_PAUSE_S, abs=2)
    clock.move(2 * LONGEST_PAUSE_S + 1)
    refused(source)
    assert wait_of(refused(source)) == pytest.approx(2 * LONGEST_PAUSE_S, abs=2)


def test_another_key_in_the_same_file_is_another_credential(
    sf: SalesforceEmulator, user: User, key_pair: KeyPair, tmp_path: Path
) -> None:
    app = sf.add_app(certificates=[key_pair.certificate_pem], preauthorised={user.username})
    path = tmp_path / "server.key"
    path.write_text(sf.default.private_key_pem)
    path.chmod(0o600)
    settings: dict[str, Any] = {"client_id": app.client_id, "username": user.username, "login_url": sf.url}
    settings["private_key_path"] = path
    refused(kinetic.resolve("jwt-bearer", **settings))
    assert isinstance(refused(kinetic.resolve("jwt-bearer", **settings)), HeldBackError)
    path.write_text(key_pair.private_key_pem + "\n")
    assert kinetic.resolve("jwt-bearer", **settings).session().is_valid()


def test_the_budget_counts_what_may_have_reached_salesforce_and_names_the_last_failure(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    nowhere = {**settings, "login_url": "http://127.0.0.1:1", "password": "right-horse"}
    source = kinetic.resolve("password", login_budget=2, **nowhere)
    for _ in range(5):  # nothing listens there
        with pytest.raises(kinetic.TransportError):
            source.session()
    counted = kinetic.resolve("password", password="right-horse", login_budget=2, **settings)
    sf.refuse("server_error", "out of order", status=500, times=8)
    for _ in range(2):
        with pytest.raises(kinetic.TransientAuthenticationError):
            counted.session()
    with pytest.raises(kinetic.LoginBudgetError) as caught:
        counted.session()
    assert "The last failure: password login of" in caught.value.message
    assert "server_error: out of order" in caught.value.message


class Veto:
    """Refuses every login before it is made, while it is told to."""

    is_on = True
    error: kinetic.AuthenticationError | None = None

    @kinetic.hookimpl(wrapper=True)
    def authenticate(self) -> Iterator[None]:
        if self.is_on:
            raise self.error or kinetic.AuthenticationError("not today.")
        return (yield)


@attrs.frozen
class OwnClient:
    """Sends its requests itself."""

    username: str = "ada@own.example"
    fails_with: Any = None

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        if self.fails_with is not None:
            raise self.fails_with
        return OF_NOBODY


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (kinetic.AuthenticationError("the server said no."), True),
        (kinetic.TransportError("no answer.", unanswered=True), True),
        (kinetic.TransportError("no connection."), False),
        (kinetic.KeyLoadError("no key."), False),
        (kinetic.InteractionRequiredError("a person is needed."), False),
        (ZeroDivisionError("a bug"), True),
    ],
)
def test_a_plugin_that_sends_by_itself_is_counted_unless_it_did_not_get_through(error: Exception, counts: bool) -> None:
    source = kinetic.SessionSource(OwnClient(fails_with=error), login_budget=1)
    with pytest.raises(kinetic.KineticAuthError):
        source.authenticate()
    with pytest.raises(kinetic.KineticAuthError) as caught:
        source.authenticate()
    assert isinstance(caught.value, kinetic.LoginBudgetError) is counts


def test_a_vetoed_login_is_not_counted(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    veto = Veto()
    made = OAuthAuthenticator(password="right-horse", **settings)
    for authenticator in (OwnClient(), made):
        veto.is_on = True
        source = kinetic.SessionSource(authenticator, observers=[veto], login_budget=1)
        for _ in range(3):
            with pytest.raises(kinetic.AuthenticationError, match="not today"):
                source.authenticate()
        veto.is_on = False
        assert source.authenticate().is_valid()
        with pytest.raises(kinetic.LoginBudgetError):
            source.authenticate()


@pytest.mark.parametrize("kind", [kinetic.CredentialsRejectedError, kinetic.RateLimitedError])
def test_a_veto_holds_back_no_other_login(sf: SalesforceEmulator, settings: dict[str, Any], kind: Any) -> None:
    veto, store = Veto(), kinetic.MemoryStore()
    veto.error = kind("not today.", error="invalid_grant", description="authentication failure")
    authenticator = OAuthAuthenticator(password="right-horse", **settings)
    vetoed = kinetic.SessionSource(authenticator, observers=[veto], store=store)
    with pytest.raises(kind, match="not today"):
        vetoed.session()
    assert kinetic.SessionSource(authenticator, store=store).session().is_valid()


def test_a_first_login_waits_for_another_process_no_longer_than_a_lease(
    sf: SalesforceEmulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    store = kinetic.MemoryStore()
    source = kinetic.resolve("password", password="right-horse", store=store, **settings)
    name = Credential(OAuthAuthenticator(password="right-horse", **settings)).user_tag(store.naming_key())
    assert store.acquire(f"{name}.refused", "a process that has died", expires_in_s=3600)
    monkeypatch.setattr(SessionCache, "lease_s", 0.2)
    with caplog.at_level(logging.WARNING):
        assert source.session().is_valid()
