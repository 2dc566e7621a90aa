"""Sessions at the edges: which sources share one, odd plugins, failing stores, idle workers."""

import asyncio
import dataclasses
import datetime as dt
import json
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import attrs
import httpx
import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.httpx import SalesforceAuth as HttpxAuth
from kinetic_auth_core.adapters.requests import SalesforceAuth
from kinetic_auth_core.login.lockout import HeldBackError
from kinetic_auth_core.stores.base import MemoryStore
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.testing import App, SalesforceEmulator, User

WRONG = "canary-wrong-password"


@attrs.frozen
class Org:
    """A user with a password, an app, and what a login needs but for the password."""

    user: User
    app: App
    settings: dict[str, Any]


@pytest.fixture
def org(sf: SalesforceEmulator) -> Org:
    user = sf.add_user(f"{uuid.uuid4()}@edges.example", "right-horse", trusted_ip=True)
    app = sf.add_app(preauthorised={user.username})
    settings = {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "username": user.username,
        "login_url": sf.url,
    }
    return Org(user, app, settings)


@attrs.frozen
class ByToken:
    """A provider whose users differ only by a secret."""

    client_id: str = kinetic.setting(help="App.")
    refresh_token: str = kinetic.setting(help="Who.", secret=True)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return a_session(f"00D!of-{self.refresh_token}")


def a_session(token: str) -> kinetic.SalesforceSession:
    return kinetic.SalesforceSession(token, "https://acme.my.salesforce.com", "", "0")


def test_users_that_differ_only_by_a_secret_share_no_session() -> None:
    store = MemoryStore()
    alice = kinetic.SessionSource(ByToken("app", "alice"), store=store)
    bob = kinetic.SessionSource(ByToken("app", "bob"), store=store)
    assert alice.session().access_token == "00D!of-alice"
    assert bob.session().access_token == "00D!of-bob"
    assert kinetic.SessionSource(ByToken("app", "alice"), store=store).session() == alice.session()


@attrs.frozen
class Account:
    password: str = attrs.field(repr=False)


@dataclasses.dataclass
class Pair:
    user: str
    password: str = dataclasses.field(repr=False)


class Masked:
    """As pydantic's SecretStr: all look the same."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Masked('**********')"


class Plain:
    """Shows its address alone."""

    def __init__(self, value: str) -> None:
        self.value = value


@attrs.frozen
class BySecret:
    """A provider with one setting, a secret of any type."""

    secret: Any = kinetic.setting(help="Who.", secret=True)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return a_session(f"00D!of-{uuid.uuid4()}")


@pytest.mark.parametrize(
    "secret",
    [
        lambda who: {"refresh_token": who},
        lambda who: [{"refresh_token": who}],
        lambda who: frozenset({who, "both"}),
        Account,
        lambda who: Pair("ada", who),
        lambda who: dt.date(2026, 1, len(who)),
        Masked,
        Plain,
    ],
    ids=["table", "list of tables", "set", "attrs record", "dataclass", "date", "masked", "plain object"],
)
def test_secrets_of_every_type_distinguish_users(secret: Any) -> None:
    store = MemoryStore()
    ada, bob = (kinetic.SessionSource(BySecret(secret(who)), store=store) for who in ("ada", "robert"))
    assert ada.session() != bob.session()
    assert kinetic.SessionSource(BySecret(secret("ada")), store=store).session() == ada.session()


def test_a_secret_without_a_stable_form_is_shared_with_no_other_source() -> None:
    store = MemoryStore()
    first, second = (kinetic.SessionSource(BySecret(threading.Lock()), store=store) for _ in range(2))
    assert first.session() != second.session()


def test_hosts_that_differ_by_another_setting_share_no_session() -> None:
    @attrs.frozen
    class Sso:
        username: str = kinetic.setting(help="Who.")
        sso_url: str = kinetic.setting(help="Where.")

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return a_session(f"00D!{self.sso_url}")

    store = MemoryStore()
    assert kinetic.SessionSource(Sso("ada", "prod"), store=store).session().access_token == "00D!prod"
    assert kinetic.SessionSource(Sso("ada", "test"), store=store).session().access_token == "00D!test"


@pytest.mark.parametrize("raised", [SystemExit(1), asyncio.CancelledError(), GeneratorExit()])
def test_a_plugin_that_ends_the_login_thread_causes_one_error(raised: BaseException) -> None:
    calls = []

    @attrs.frozen
    class Odd:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            calls.append(1)
            raise raised

    with pytest.raises(kinetic.AuthenticationError, match=f"the login ended with {type(raised).__name__}"):
        asyncio.run(kinetic.SessionSource(Odd()).asession())
    assert len(calls) == 1


def test_a_session_with_extra_fields_is_stored_without_them() -> None:
    @attrs.frozen
    class Dated(kinetic.SalesforceSession):
        at: dt.datetime = attrs.field(default=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), kw_only=True)

    @attrs.frozen
    class Odd:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return Dated("00D!dated", "https://acme.my.salesforce.com", "", "0")

    store = MemoryStore()
    assert asyncio.run(kinetic.SessionSource(Odd(), store=store).asession()).access_token == "00D!dated"
    assert kinetic.SessionSource(Odd(), store=store).session() == a_session("00D!dated")


def test_of_many_threads_that_log_in_at_once_one_sends_the_wrong_password(sf: SalesforceEmulator, org: Org) -> None:
    source = kinetic.resolve("password", password=WRONG, **org.settings)
    before, start = sf.token_requests, threading.Barrier(32)

    def ask(_: int) -> type:
        start.wait()
        with pytest.raises(kinetic.CredentialsRejectedError) as caught:
            source.authenticate()
        return caught.type

    with ThreadPoolExecutor(32) as pool:
        kinds = list(pool.map(ask, range(32)))
    assert sf.token_requests == before + 1
    assert kinds.count(HeldBackError) == 31


def test_an_interrupted_first_login_does_not_block_the_next() -> None:
    interrupts = [KeyboardInterrupt()]

    @attrs.frozen
    class Interrupted:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            if interrupts:
                raise interrupts.pop()
            return a_session("00D!second")

    source = kinetic.SessionSource(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        source.authenticate()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(source.authenticate).result(10).access_token == "00D!second"


def test_a_plugin_without_a_readable_username_can_log_in() -> None:
    @attrs.frozen
    class Shy:
        @property
        def username(self) -> str:
            raise RuntimeError("not before the login")

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return a_session("00D!shy")

    assert kinetic.SessionSource(Shy()).session().access_token == "00D!shy"


def test_a_login_from_within_the_first_login_does_not_wait() -> None:
    @attrs.frozen
    class Curious:
        sources: list[kinetic.SessionSource] = attrs.field(factory=list)

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return self.sources.pop().authenticate() if self.sources else a_session("00D!inner")

    curious = Curious()
    source = kinetic.SessionSource(curious)
    curious.sources.append(source)
    assert source.authenticate().access_token == "00D!inner"


@attrs.define(eq=False)
class Full(MemoryStore):
    """A store on a full disk: it can be read, and not written."""

    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        raise OSError("disk full")


def test_with_a_full_store_a_wrong_password_is_sent_once(
    sf: SalesforceEmulator, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionCache, "outage_pause_s", 0.3)
    source = kinetic.resolve("password", password=WRONG, store=Full(), **org.settings)
    before = sf.token_requests
    for pause_s in (0, 0, SessionCache.outage_pause_s + 0.1):  # after the last, the store is asked again
        time.sleep(pause_s)
        with pytest.raises(kinetic.CredentialsRejectedError):
            source.authenticate()
    assert sf.token_requests == before + 1


def test_the_pool_remembers_the_refusal_of_an_evicted_source(sf: SalesforceEmulator, org: Org) -> None:
    def tenant(_: str) -> dict[str, Any]:
        return {"provider": "password", "password": WRONG, **org.settings}

    before = sf.token_requests
    with kinetic.SourcePool(tenants=tenant, size=1) as pool:
        for _ in range(3):
            for key in ("one", "two"):
                with pytest.raises(kinetic.CredentialsRejectedError):
                    pool.source(key).session()
    assert sf.token_requests == before + 1


def test_connection_settings_do_not_make_another_credential(sf: SalesforceEmulator, org: Org) -> None:
    store, before = MemoryStore(), sf.token_requests
    for timeout_s in (5.0, 6.0, 7.0):
        with pytest.raises(kinetic.CredentialsRejectedError):
            kinetic.resolve(
                "password", password=WRONG, store=store, connect_timeout=timeout_s, **org.settings
            ).session()
    assert sf.token_requests == before + 1


def test_a_refusal_of_several_lines_blocks_the_credential_as_well() -> None:
    calls = []

    @attrs.frozen
    class Wordy:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            calls.append(1)
            raise kinetic.CredentialsRejectedError("no", description="a\nlong\tstory" * 100)

    source = kinetic.SessionSource(Wordy())
    for _ in range(3):
        with pytest.raises(kinetic.CredentialsRejectedError):
            source.session()
    assert len(calls) == 1


@pytest.mark.usefixtures("full_tier")
def test_a_store_that_grants_no_lease_delays_a_login_by_the_lease_at_most(
    caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionCache, "lease_s", 0.5)

    @attrs.define(eq=False)
    class Stingy(MemoryStore):
        def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
            return False

    began = time.monotonic()
    assert kinetic.SessionSource(ByToken("app", "ada"), store=Stingy()).session().is_valid()
    assert 0.5 <= time.monotonic() - began < 5
    assert "logging in without the lease" in caplog.text


@pytest.mark.usefixtures("full_tier")
def test_a_login_that_waits_for_a_person_keeps_its_lease_and_the_others_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SessionCache, "lease_s", 0.3)
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "1")
    store = MemoryStore()
    asked: list[str] = []

    class AsksAPerson(ByToken):
        asks_a_person: ClassVar[bool] = True

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            asked.append("person")
            others.start()
            others.join(2)  # the person takes longer than any lease
            return a_session(f"00D!{uuid.uuid4()}")

    found: list[str] = []
    others = threading.Thread(
        target=lambda: found.append(
            kinetic.SessionSource(AsksAPerson("app", "ada"), store=store).session().access_token
        )
    )
    token = kinetic.SessionSource(AsksAPerson("app", "ada"), store=store).session().access_token
    others.join(30)
    assert found == [token]
    assert asked == ["person"]


@pytest.fixture
def idle(sf: SalesforceEmulator, org: Org) -> Callable[[], tuple[kinetic.SessionSource, kinetic.SalesforceSession]]:
    """A worker that has a dead session in its memory, while a younger one in the store is dead as well."""

    def make() -> tuple[kinetic.SessionSource, kinetic.SalesforceSession]:
        store = MemoryStore()
        settings = {"password": "right-horse", "store": store, **org.settings}
        worker, other = kinetic.resolve("password", **settings), kinetic.resolve("password", **settings)
        first = worker.session()
        sf.revoke(first.access_token)
        other.invalidate(other.session())
        sf.revoke(other.session().access_token)
        return worker, first

    return make


def test_an_idle_worker_replaces_a_dead_session_of_the_store(
    sf: SalesforceEmulator, idle: Callable[[], tuple[kinetic.SessionSource, kinetic.SalesforceSession]]
) -> None:
    worker, first = idle()
    answer = requests.get(f"{first.base_url}/limits", auth=SalesforceAuth(worker), timeout=10)
    assert answer.status_code == 200


def test_an_idle_worker_with_httpx_replaces_it_too(
    sf: SalesforceEmulator, idle: Callable[[], tuple[kinetic.SessionSource, kinetic.SalesforceSession]]
) -> None:
    worker, first = idle()
    assert httpx.get(f"{first.base_url}/limits", auth=HttpxAuth(worker)).status_code == 200
    worker, first = idle()

    async def call() -> int:
        async with httpx.AsyncClient(auth=HttpxAuth(worker)) as client:
            return (await client.get(f"{first.base_url}/limits")).status_code

    assert asyncio.run(call()) == 200


def test_a_store_passed_by_the_caller_is_not_closed() -> None:
    @attrs.define(eq=False)
    class Closing(MemoryStore):
        closed: int = 0

        def close(self) -> None:
            self.closed += 1

    store = Closing()
    with kinetic.SessionSource(ByToken("app", "ada"), store=store) as source:
        source.session()
    assert store.closed == 0
    assert [row.value for row in source.explain() if row.name == "store"] == ["Closing"]


def test_a_discarded_tenant_is_resolved_again_with_its_new_settings(sf: SalesforceEmulator, org: Org) -> None:
    passwords = [WRONG, "right-horse"]

    def tenant(_: str) -> dict[str, Any]:
        return {"provider": "password", "password": passwords.pop(0), **org.settings}

    with kinetic.SourcePool(tenants=tenant) as pool:
        with pytest.raises(kinetic.CredentialsRejectedError):
            pool.source("acme").session()
        pool.discard("acme")
        pool.discard("nobody")
        assert pool.source("acme").session().is_valid()


def test_a_tenant_that_is_not_a_mapping_is_reported_without_its_secret() -> None:
    with kinetic.SourcePool(tenants=lambda _: None, password=WRONG) as pool:  # type: ignore[arg-type,return-value]
        with pytest.raises(kinetic.ConfigurationError, match=r"tenants\(\) returned NoneType, not a mapping") as caught:
            pool.source("acme")
    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    captured.stack = traceback.StackSummary.from_list([each for each in captured.stack if each.filename != __file__])
    assert WRONG not in "".join(captured.format())


def test_a_stored_session_with_a_future_timestamp_is_ignored(org: Org, sf: SalesforceEmulator, caplog: Any) -> None:
    store = MemoryStore()
    source = kinetic.resolve("password", password="right-horse", store=store, **org.settings)
    session = source.session()
    ((key, kept),) = store._values.items()
    entry = json.loads(kept.stored.value) | {"born_at": time.time() + 86_400}
    store.put(key, json.dumps(entry).encode(), expires_in_s=60)
    again = kinetic.resolve("password", password="right-horse", store=store, **org.settings)
    assert again.session().access_token != session.access_token
    assert "ignoring a stored session with a future timestamp" in caplog.text


def test_a_session_is_revoked_while_the_vault_is_down(
    sf: SalesforceEmulator, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", "right-horse")
    source = kinetic.resolve("password", password="env://WORD", **org.settings)
    session = source.authenticate()
    monkeypatch.delenv("WORD")
    assert source.revoke(session) is True
    assert not sf.is_live(session.access_token)


def test_the_rest_api_decides_whether_a_session_is_alive(sf: SalesforceEmulator, org: Org) -> None:
    source = kinetic.resolve("password", password="right-horse", **org.settings)
    session = source.session()
    assert source.is_alive(session) is True
    sf.revoke(session.access_token)
    assert source.is_alive(session) is False


def test_credentials_in_the_instance_url_of_a_session_made_by_hand_are_in_no_message(org: Org) -> None:
    source = kinetic.resolve("password", password="right-horse", **org.settings)
    session = kinetic.SalesforceSession("t", "http://user:canary-word@127.0.0.1:1", "id", "0")
    for ask in (source.revoke, source.is_alive):
        with pytest.raises(kinetic.KineticAuthError) as caught:
            ask(session)
        assert "127.0.0.1:1" in caught.value.message
        assert "canary-word" not in str(caught.value)


def test_an_unfinished_source_has_a_repr() -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.SessionSource(ByToken("app", "ada"), bogus=1)
    assert "not made yet" in "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
