"""A token that can be used once is presented once, and its successor is never lost while the store has it."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
from acme_broker import BrokerAuthenticator
from rotating_org import RotatingOrg, answer, drop, lose_the_answer

import kinetic_auth_core as kinetic
from kinetic_auth_core.login.single_use import SingleUse
from kinetic_auth_core.login.state import StateWriter
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.testing.contracts.checks import at_once, in_a_child, until


@attrs.frozen
class Rotating(kinetic.GrantAuthenticator):
    single_use: ClassVar[bool] = True

    client_id: str = kinetic.setting(help="Consumer Key.")
    token: str = kinetic.setting(help="The first refresh token.", secret=True)
    scope: str = kinetic.setting(default="api", help="What the session may do.")
    client_secret: str = kinetic.setting(default="", help="Consumer Secret.", secret=True, identity=False)

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        token = request.state.get() or self.token
        return {"grant_type": "refresh_token", "client_id": self.client_id, "refresh_token": token}

    def granted(self, request: kinetic.LoginRequest, answer: Mapping[str, object]) -> None:
        if isinstance(token := answer.get("refresh_token"), str):
            request.state.replace(token)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(SingleUse, "retry_after_s", 0.05)
    monkeypatch.setattr(StateWriter, "tries_for_s", 0.2)
    monkeypatch.setattr(SessionCache, "lease_s", 0.5)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def org(measured_programs: None) -> Iterator[RotatingOrg]:
    with RotatingOrg() as org:
        yield org


@pytest.fixture
def store(tmp_path: Path) -> kinetic.FileStore:
    return kinetic.FileStore(tmp_path / "sessions")


@pytest.fixture
def make(org: RotatingOrg, store: kinetic.FileStore) -> Callable[..., kinetic.SessionSource]:
    seed = org.consent()

    def source(store: kinetic.SessionStore | None = store, **settings: Any) -> kinetic.SessionSource:
        settings = {"client_id": "app", "token": seed, "login_url": org.url, "deadline": 1.0, **settings}
        return kinetic.SessionSource(Rotating(**settings), store=store, lockout_guard=0)

    return source


def state_files(store: kinetic.FileStore) -> list[Path]:
    return list(Path(str(store.path)).glob("*.state.session"))


def restrict(store: kinetic.FileStore, mode: int) -> None:
    """Make the store fail: a folder with this mode is refused."""
    Path(str(store.path)).chmod(mode)


# The token that is presented


def test_each_login_presents_the_token_of_the_answer_before(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    for _ in range(3):
        with make() as source:
            source.authenticate()
            source.authenticate()
    assert list(org.presented.values()) == [1] * 6
    assert len(org.kept) == 1


def test_logins_of_many_threads_and_sources_present_each_token_once(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    sources = [make() for _ in range(4)]
    at_once(lambda number: sources[number % 4].authenticate())
    assert set(org.presented.values()) == {1}
    assert org.refusals == 0


def test_a_changed_scope_or_client_secret_does_not_lose_the_token(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    for settings in ({}, {"scope": "api id"}, {"client_secret": "canary-rotated"}, {"api_version": "v60.0"}):
        make(**settings).session()
    assert set(org.presented.values()) == {1}
    assert org.refusals == 0


def test_another_seed_or_app_or_host_begins_its_own_state(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    make().session()
    second = org.consent()
    make(token=second).session()
    assert org.presented[second] == 1


def test_a_spelling_of_the_login_url_does_not_lose_the_token(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    make().session()
    make(login_url=f"{org.url}/".replace("http", "HTTP")).session()
    assert org.refusals == 0


def test_an_instance_made_by_hand_has_the_token_of_the_provider_that_it_is_registered_as(
    org: RotatingOrg, store: kinetic.FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import acme_broker\n\nclass Tickets(acme_broker.BrokerAuthenticator): ...\n"
    (tmp_path / "acme_tickets.py").write_text(code)
    info = tmp_path / "acme_tickets-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tickets\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[kinetic_auth.authenticators]\nacme-tickets = acme_tickets:Tickets\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings: dict[str, Any] = {"client_id": "app", "ticket": org.consent(), "login_url": org.url}
    kinetic.resolve("acme-tickets", store=store, **settings).authenticate()
    tickets = importlib.import_module("acme_tickets").Tickets
    kinetic.SessionSource(tickets(**settings), store=store).authenticate()
    assert set(org.presented.values()) == {1}
    assert org.refusals == 0


def test_a_token_that_is_not_rotated_is_used_again(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    org.rotates = False
    source = make()
    for _ in range(3):
        source.authenticate()
    assert list(org.presented.values()) == [3]


def test_a_session_that_a_guard_refuses_loses_no_token(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore
) -> None:
    refusing = kinetic.SessionSource(
        make()._flow.instance(), store=store, lockout_guard=0, expected_org_id="00Dzz0000000009"
    )
    with pytest.raises(kinetic.SessionRejectedError):
        refusing.session()
    make().session()
    assert org.refusals == 0


# Marks


@pytest.mark.parametrize(
    "fault",
    [
        answer(400, "invalid_client_id", "client identifier invalid"),
        answer(400, "invalid_grant", "ip restricted"),
        answer(400, "invalid_grant", "invalid login hours"),
        answer(429, "slow_down"),
    ],
)
def test_an_answer_that_the_token_was_not_used_frees_it_for_all(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, fault: Any
) -> None:
    org.fail_next(fault)
    with pytest.raises(kinetic.AuthenticationError):
        make().session()
    began = time.monotonic()
    make().session()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "fault",
    [
        drop,
        answer(503, "server_error"),
        answer(400, "unknown_error", "retry your request"),
        answer(400, "invalid_grant", "token request is already being processed"),
    ],
)
def test_without_a_clear_answer_the_token_is_presented_once_more(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, fault: Any
) -> None:
    org.fail_next(fault)
    source = make()
    with pytest.raises(kinetic.AuthenticationError):
        source.session()
    assert len(org.requests) == 1
    assert source.session().is_valid()
    assert list(org.presented.values()) == [2]


def test_if_the_second_try_fails_too_nothing_is_sent_any_more(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    org.fail_next(drop, drop)
    source = make()
    for _ in range(2):
        with pytest.raises(kinetic.TransportError):
            source.session()
    for each in (source, make(), source):
        with pytest.raises(kinetic.CredentialsRejectedError, match="presented twice without an answer") as caught:
            each.session()
        assert "refresh token" in caught.value.remedy
    assert len(org.requests) == 2
    make(token=org.consent()).session()


def test_a_refused_token_is_not_sent_again(make: Callable[..., kinetic.SessionSource], org: RotatingOrg) -> None:
    org.dead_families.add(0)
    with pytest.raises(kinetic.CredentialsRejectedError):
        make().session()
    with pytest.raises(kinetic.CredentialsRejectedError, match="expired access/refresh token"):
        make().session()
    assert len(org.requests) == 1


def test_others_leave_a_marked_token_alone_and_then_one_of_them_tries_it_again(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    org.fail_next(drop)
    began = time.monotonic()
    with pytest.raises(kinetic.TransportError):
        make().session()
    others = [make() for _ in range(4)]
    at_once(lambda number: others[number].session(), 4)
    assert time.monotonic() - began >= 2.4  # 2 x deadline + the lease
    assert sorted(org.presented.values()) == [2]


def test_while_a_session_is_alive_a_marked_token_is_not_presented_again(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    source = make()
    live = source.session()
    org.fail_next(drop)
    for _ in range(2):
        with pytest.raises(kinetic.AuthenticationError):
            source.authenticate()
    assert len(org.requests) == 2
    assert source.session() == live
    source.invalidate(live)
    source.session()
    assert org.refusals == 0


def test_a_refresh_in_the_background_without_an_answer_is_repeated_when_the_session_has_ended(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, caplog: pytest.LogCaptureFixture
) -> None:
    org.life_s = 4.0
    source = make()
    first = source.session()
    org.fail_next(drop)
    until(lambda: source.session().is_valid() and len(org.requests) == 2, "there was no refresh in the background")
    while (session := source.session()) == first:
        assert len(org.requests) == 2
        time.sleep(0.01)
    assert session.is_valid()
    assert sorted(org.presented.values()) == [1, 2]
    assert caplog.text.count("could not be refreshed") == 1
    assert "not tried now" not in caplog.text


def test_a_lost_answer_loses_the_grant_and_says_so(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    org.fail_next(lose_the_answer)
    source = make()
    with pytest.raises(kinetic.TransportError):
        source.session()
    for _ in range(2):
        with pytest.raises(kinetic.CredentialsRejectedError, match="expired access/refresh token"):
            source.session()
    assert len(org.requests) == 2


def test_a_login_that_is_vetoed_sends_nothing_and_marks_nothing(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore
) -> None:
    class Veto:
        @kinetic.hookimpl(wrapper=True)
        def authenticate(self, request: kinetic.LoginRequest) -> Any:
            if request.provider:
                raise RuntimeError("not today")
            return (yield)

    vetoed = kinetic.SessionSource(make()._flow.instance(), store=store, observers=[Veto()])
    with pytest.raises(kinetic.AuthenticationError, match="not today"):
        vetoed.session()
    began = time.monotonic()
    make().session()
    assert time.monotonic() - began < 2
    assert len(org.requests) == 1


def test_an_org_that_is_down_marks_nothing(make: Callable[..., kinetic.SessionSource], org: RotatingOrg) -> None:
    source = make(login_url="http://127.0.0.1:9")
    for _ in range(3):
        with pytest.raises(kinetic.TransportError):
            source.session()


# The store


def test_without_its_store_nothing_is_sent_and_what_is_live_goes_on(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore
) -> None:
    source = make()
    session = source.session()
    restrict(store, 0o755)
    assert source.session() == session
    with pytest.raises(kinetic.StoreUnavailableError, match="can be read or written by others"):
        source.authenticate()
    assert len(org.requests) == 1
    restrict(store, 0o700)
    source.authenticate()
    assert org.refusals == 0


def test_a_new_token_that_the_store_cannot_take_is_kept_and_stored_as_soon_as_it_can(
    make: Callable[..., kinetic.SessionSource],
    org: RotatingOrg,
    store: kinetic.FileStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_the_store(handler: Any, form: dict[str, str]) -> bool:
        restrict(store, 0o755)
        return False

    caplog.set_level(logging.INFO)
    source = make()
    org.fail_next(break_the_store)
    session = source.session()
    assert session.is_valid()
    assert "kept in this process" in caplog.text
    with pytest.raises(kinetic.StoreUnavailableError):
        source.authenticate()
    restrict(store, 0o700)
    until(lambda: "has the new token now" in caplog.text, "the token was not stored")
    make().authenticate()
    assert org.refusals == 0
    assert set(org.presented.values()) == {1}


@pytest.mark.parametrize("content", [b"", b"cut", b"x" * 2000, None], ids=["empty", "cut", "not ours", "other version"])
def test_a_damaged_entry_is_neither_deleted_nor_replaced_by_a_spent_token(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore, content: bytes | None
) -> None:
    make().session()
    (entry,) = state_files(store)
    rest = entry.read_bytes().partition(b"\n")[2].replace(b'"form": 1', b'"form": 2')
    content = hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest if content is None else content
    entry.write_bytes(content)
    with pytest.raises(kinetic.StoreUnavailableError, match=f"{entry.name} cannot be read") as failed:
        make().authenticate()
    assert "logout --local" in failed.value.remedy
    os.utime(entry.with_name("swept"), (0, 0))
    store.put("another", b"", expires_in_s=60)  # what is expired or damaged is swept
    assert entry.read_bytes() == content
    assert len(org.requests) == 1
    store.delete(entry.name.removesuffix(".session"))
    assert not entry.exists()


def test_a_record_that_cannot_be_read_is_neither_used_nor_overwritten(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore
) -> None:
    from cryptography.fernet import Fernet

    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    make(store=kinetic.FileStore(store.path, key=first)).session()
    with pytest.raises(kinetic.StoreUnavailableError, match="cannot be read"):
        make(store=kinetic.FileStore(store.path, key=second)).session()
    make(store=kinetic.FileStore(store.path, key=[second, first])).authenticate()
    assert len(org.requests) == 2
    assert org.refusals == 0


def test_the_token_is_not_in_clear_where_the_store_encrypts(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore
) -> None:
    from cryptography.fernet import Fernet

    make(store=kinetic.FileStore(store.path, key=Fernet.generate_key().decode())).session()
    (token,) = org.kept
    assert state_files(store)
    for path in Path(str(store.path)).rglob("*"):
        assert path.is_dir() or token.encode() not in path.read_bytes()


def test_a_store_that_promises_nothing_is_refused(make: Callable[..., kinetic.SessionSource]) -> None:
    class Forgetful(kinetic.FileStore):
        durable: ClassVar[bool] = False

    with pytest.raises(kinetic.ConfigurationError, match="durable"):
        make(store=Forgetful())


def test_without_a_store_the_users_file_store_has_it(
    make: Callable[..., kinetic.SessionSource], tmp_path: Path
) -> None:
    source = make(store=None)
    source.session()
    assert list((tmp_path / "state").rglob("*.state.session"))
    assert next(row for row in source.explain() if row.name == "store").value == "FileStore"


# Memory


def test_memory_warns_at_the_first_rotation(
    make: Callable[..., kinetic.SessionSource], caplog: pytest.LogCaptureFixture
) -> None:
    source = make(store=kinetic.MemoryStore())
    assert "memory" not in caplog.text
    source.authenticate()
    source.authenticate()
    assert caplog.text.count("in the memory of this process alone") == 1


def test_the_child_of_a_fork_does_not_use_what_is_in_the_memory_of_its_parent(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    source = make(store=kinetic.MemoryStore())
    source.session()

    def child() -> bool:
        try:
            source.authenticate()
        except kinetic.StoreUnavailableError as error:
            return "forked" in str(error)
        return False

    assert in_a_child(child)
    source.authenticate()
    assert org.refusals == 0


def test_a_thread_of_a_child_waits_for_a_login_of_its_parent_even_with_the_number_of_its_thread(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg
) -> None:
    """A new thread of a child often gets the number that a thread of the parent has."""
    source = make(deadline=5.0)
    is_asked = threading.Event()

    def slowly(*_: Any) -> bool:
        is_asked.set()
        time.sleep(1)
        return False

    org.fail_next(slowly)
    login = threading.Thread(target=source.authenticate)
    login.start()
    assert is_asked.wait(10)

    def child() -> bool:
        found: list[object] = []

        def ask() -> None:
            if threading.get_ident() == login.ident:
                try:
                    found.append(source.authenticate().is_valid())
                except kinetic.KineticAuthError as error:
                    found.append(error)
            else:
                time.sleep(0.5)  # so that the next thread has another number

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found == [True]

    assert in_a_child(child)
    login.join()
    assert set(org.presented.values()) == {1}


def test_without_a_source_the_instance_keeps_it_and_warns(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, caplog: pytest.LogCaptureFixture
) -> None:
    instance = make()._flow.instance()
    instance.authenticate()
    instance.authenticate()
    instance.authenticate(kinetic.LoginRequest(reason="refresh"))
    instance.authenticate(kinetic.LoginRequest(reason="refresh"))
    assert org.refusals == 0
    assert caplog.text.count("without a SessionSource") == 1


# Crashes


@pytest.mark.parametrize("stored", [True, False])
def test_a_process_that_dies_leaves_a_token_that_others_use(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore, stored: bool
) -> None:
    """It dies before it has sent anything, or once the answer is stored."""

    class Killer:
        @kinetic.hookimpl(wrapper=True)
        def authenticate(self, request: kinetic.LoginRequest) -> Any:
            if not stored:
                os.kill(os.getpid(), signal.SIGKILL)
            session = yield
            os.kill(os.getpid(), signal.SIGKILL)
            return session

    instance = make()._flow.instance()
    pid = os.fork()
    if not pid:
        kinetic.SessionSource(instance, store=store, observers=[Killer()]).session()
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    make().session()
    assert set(org.presented.values()) == {1}


def test_a_stopped_login_that_answers_too_late_does_not_overwrite_a_newer_token(
    make: Callable[..., kinetic.SessionSource],
    org: RotatingOrg,
    store: kinetic.FileStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    org.rotates = False
    go_on = threading.Event()

    class Slow:
        @kinetic.hookimpl(wrapper=True)
        def authenticate(self, request: kinetic.LoginRequest) -> Any:
            session = yield
            go_on.wait(20)
            request.state.replace("canary-too-late")
            return session

    slow = kinetic.SessionSource(make()._flow.instance(), store=store, observers=[Slow()])
    thread = threading.Thread(target=slow.authenticate)
    thread.start()
    time.sleep(0.1)
    org.rotates = True
    make().authenticate()  # once the mark has ended
    go_on.set()
    thread.join()
    assert "newer token is stored already" in caplog.text
    make().authenticate()
    assert "canary-too-late" not in org.presented


class JobTimeoutError(Exception):
    """What a queue raises in the middle of a job."""


@pytest.mark.parametrize("rotates", [True, False])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, JobTimeoutError])
def test_what_a_signal_handler_raises_in_mid_login_loses_no_token(
    make: Callable[..., kinetic.SessionSource],
    org: RotatingOrg,
    raised: type[BaseException],
    rotates: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The exchange goes on, and the next login uses what it has brought."""
    org.rotates = rotates

    def interrupt(handler: Any, form: dict[str, str]) -> bool:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.3)
        return False

    def on_signal(number: int, frame: Any) -> None:
        raise raised

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        org.fail_next(interrupt)
        source = make()
        with pytest.raises(raised):
            source.session()
    finally:
        signal.signal(signal.SIGUSR1, before)
    source.session()
    make().authenticate()
    assert org.refusals == 0
    assert sorted(org.presented.values()) == ([1, 1, 1] if rotates else [3])
    assert "had no answer" not in caplog.text


def test_a_login_from_within_a_login_with_the_same_token_does_not_wait_for_itself(
    make: Callable[..., kinetic.SessionSource], store: kinetic.FileStore
) -> None:
    errors: list[kinetic.KineticAuthError] = []

    class Nosy:
        @kinetic.hookimpl(wrapper=True)
        def authenticate(self, request: kinetic.LoginRequest) -> Any:
            if not errors:
                try:
                    source.authenticate()
                except kinetic.KineticAuthError as error:
                    errors.append(error)
            return (yield)

    source = kinetic.SessionSource(make()._flow.instance(), store=store, observers=[Nosy()])
    assert source.authenticate().is_valid()
    assert "from within a login" in str(errors[0])


def test_a_token_that_is_pending_at_the_end_of_a_process_is_stored_then(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore
) -> None:
    def break_the_store(handler: Any, form: dict[str, str]) -> bool:
        restrict(store, 0o755)
        return False

    program = """
import sys, pathlib
import kinetic_auth_core as kinetic
from kinetic_auth_core.login.state import StateWriter
sys.path[:0] = [sys.argv[1]]
from acme_broker import BrokerAuthenticator
StateWriter.tries_for_s, StateWriter._pauses_s = 0.0, (60.0, 60.0)
broker = BrokerAuthenticator("app", sys.argv[2], login_url=sys.argv[3])
kinetic.SessionSource(broker, store=kinetic.FileStore(sys.argv[4])).session()
pathlib.Path(sys.argv[4]).chmod(0o700)
"""
    example = Path(__file__).parents[2] / "docs" / "examples" / "rotating_provider"
    org.fail_next(break_the_store)
    store.put("any", b"", expires_in_s=60)
    command = [sys.executable, "-c", program, str(example), org.consent(), org.url, str(store.path)]
    subprocess.run(command, check=True, timeout=60)
    (record,) = state_files(store)
    assert next(iter(org.kept - {next(iter(org.families))})).encode() in record.read_bytes()


# Other providers


@attrs.frozen
class Ticketed:
    """A provider without a grant."""

    single_use: ClassVar[bool] = True

    ticket: str = kinetic.setting(help="The first ticket.", secret=True)
    used: list[str] = attrs.field(factory=list, init=False)
    errors: list[Exception] = attrs.field(factory=list, init=False)

    @kinetic.hookimpl
    def authenticate(self, request: kinetic.LoginRequest) -> kinetic.SalesforceSession:
        ticket = request.state.get() or self.ticket
        self.used.append(ticket)
        if self.errors:
            raise self.errors.pop()
        request.state.replace(f"{ticket}+")
        return kinetic.SalesforceSession(f"00D!{len(self.used)}", "https://acme.my.salesforce.com", "", "1")


def test_a_provider_without_a_grant_may_be_single_use(store: kinetic.FileStore) -> None:
    provider = Ticketed("a")
    source = kinetic.SessionSource(provider, store=store, lockout_guard=0)
    source.authenticate()
    source.authenticate()
    for error in (kinetic.ConfigurationError("nothing was sent"), kinetic.TransportError("no connection")):
        provider.errors.append(error)
        with pytest.raises(kinetic.KineticAuthError):
            source.authenticate()
    source.authenticate()
    assert provider.used == ["a", "a+", "a++", "a++", "a++"]
    for _ in range(2):
        provider.errors.append(RuntimeError("who knows"))
        with pytest.raises(kinetic.AuthenticationError):
            source.authenticate()
    with pytest.raises(kinetic.CredentialsRejectedError, match="cannot be used any more"):
        source.authenticate()
    assert provider.used[5:] == ["a+++", "a+++"]


@attrs.frozen
class Remembering:
    """A provider that keeps something which it may present as often as it likes."""

    user: str = kinetic.setting(help="Who.")
    found: list[str | None] = attrs.field(factory=list, init=False)

    @kinetic.hookimpl
    def authenticate(self, request: kinetic.LoginRequest) -> kinetic.SalesforceSession:
        self.found.append(request.state.get())
        request.state.replace(str(len(self.found)))
        return kinetic.SalesforceSession("00D!x", "https://acme.my.salesforce.com", "", "1")


def test_any_provider_may_keep_something(store: kinetic.FileStore) -> None:
    provider = Remembering("who")
    for _ in range(3):
        kinetic.SessionSource(provider, store=kinetic.FileStore(store.path)).authenticate()
    assert provider.found == [None, "1", "2"]
    source = kinetic.SessionSource(provider, store=store)
    source.authenticate()
    restrict(store, 0o755)
    source.authenticate()
    source.authenticate()
    assert provider.found[3:] == ["3", "4", "5"]


@pytest.mark.parametrize("kept", [5, None, b"bytes", {"token": "canary-of-a-state"}])
def test_what_is_not_text_is_not_kept_and_the_state_before_stays(store: kinetic.FileStore, kept: object) -> None:
    @attrs.frozen
    class Forgetful(Remembering):
        @kinetic.hookimpl
        def authenticate(self, request: kinetic.LoginRequest) -> kinetic.SalesforceSession:
            request.state.replace(kept)  # type: ignore[arg-type]
            return kinetic.SalesforceSession("00D!x", "https://acme.my.salesforce.com", "", "1")

    provider = Remembering("who")
    kinetic.SessionSource(provider, store=store).authenticate()
    with pytest.raises(kinetic.KineticAuthError, match=f"was given {type(kept).__name__}, not text") as caught:
        kinetic.SessionSource(Forgetful("who"), store=store).authenticate()
    assert "canary" not in str(caught.value)
    kinetic.SessionSource(provider, store=kinetic.FileStore(store.path)).authenticate()
    assert provider.found == [None, "1"]


def test_what_a_store_cannot_take_is_kept_and_stored_as_soon_as_it_can(tmp_path: Path) -> None:
    class FullStore(kinetic.FileStore):
        is_full = False

        def put(self, name: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
            if self.is_full and name.endswith(".state"):
                raise OSError("no space left on the device")
            return super().put(name, value, expires_in_s=expires_in_s, generation=generation)

    store, provider = FullStore(tmp_path / "sessions"), Remembering("who")
    source = kinetic.SessionSource(provider, store=store)
    source.authenticate()
    store.is_full = True
    source.authenticate()
    source.authenticate()
    assert provider.found == [None, "1", "2"]
    store.is_full = False
    source.authenticate()
    kinetic.SessionSource(provider, store=kinetic.FileStore(store.path)).authenticate()
    assert provider.found == [None, "1", "2", "3", "4"]


def test_a_state_that_could_not_be_read_again_stays_in_memory(
    store: kinetic.FileStore, caplog: pytest.LogCaptureFixture
) -> None:
    @attrs.frozen
    class Hoarding(Remembering):
        @kinetic.hookimpl
        def authenticate(self, request: kinetic.LoginRequest) -> kinetic.SalesforceSession:
            self.found.append((request.state.get() or "")[:1])
            request.state.replace("x" * 100_000)
            return kinetic.SalesforceSession("00D!x", "https://acme.my.salesforce.com", "", "1")

    provider = Hoarding("who")
    source = kinetic.SessionSource(provider, store=store)
    source.authenticate()
    source.authenticate()
    assert provider.found == ["", "x"]
    assert "a state of more than 100000 bytes cannot be stored" in caplog.text


def test_what_granted_has_kept_stays_where_it_raises_afterwards(org: RotatingOrg, store: kinetic.FileStore) -> None:
    @attrs.frozen
    class Raising(Rotating):
        def granted(self, request: kinetic.LoginRequest, answer: Mapping[str, object]) -> None:
            super().granted(request, answer)
            raise RuntimeError("after it")

    source = kinetic.SessionSource(Raising("app", org.consent(), login_url=org.url), store=store, lockout_guard=0)
    for _ in range(2):
        with pytest.raises(kinetic.AuthenticationError, match="granted"):
            source.authenticate()
    assert org.refusals == 0
    assert set(org.presented.values()) == {1}


BROKER = """
import sys
import kinetic_auth_core as kinetic
sys.path[:0] = [sys.argv[1]]
from acme_broker import BrokerAuthenticator
broker = BrokerAuthenticator("app", sys.argv[2], login_url=sys.argv[3])
source = kinetic.SessionSource(broker, store=kinetic.FileStore(sys.argv[4]))
source.session()
"""


def run_broker(program: str, seed: str, org: RotatingOrg, store: kinetic.FileStore) -> str:
    """Run a program that has a `source` of the docs' example, and its first session; what it printed."""
    example = Path(__file__).parents[2] / "docs" / "examples" / "rotating_provider"
    command = [sys.executable, "-c", BROKER + program, str(example), seed, org.url, str(store.path)]
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout


def test_a_program_that_ends_in_the_middle_of_a_refresh_in_the_background_loses_no_token(
    make: Callable[..., kinetic.SessionSource], org: RotatingOrg, store: kinetic.FileStore
) -> None:
    def slowly(handler: Any, form: dict[str, str]) -> bool:
        time.sleep(0.5)
        return False

    program = """
import time
time.sleep(3.6)  # 90 % of its life
source.session()  # begins the refresh
time.sleep(0.2)
"""
    org.life_s = 4.0
    org.fail_next(lambda handler, form: False, slowly)
    seed = org.consent()
    run_broker(program, seed, org, store)
    assert len(org.requests) == 2
    source = kinetic.SessionSource(BrokerAuthenticator("app", seed, login_url=org.url), store=store)
    source.authenticate()
    assert org.refusals == 0
    assert set(org.presented.values()) == {1}


def test_a_daemon_thread_presents_no_token_once_the_program_has_begun_to_end(
    org: RotatingOrg, store: kinetic.FileStore
) -> None:
    def slowly(handler: Any, form: dict[str, str]) -> bool:
        time.sleep(5)
        return False

    program = """
import atexit, threading, time
def too_late():
    while threading.main_thread().is_alive():
        time.sleep(0.001)
    try:
        source.authenticate()
    except kinetic.KineticAuthError as error:
        print(error, flush=True)
threading.Thread(target=too_late, daemon=True).start()
atexit.register(time.sleep, 1)  # the program ends while the org still thinks
"""
    org.fail_next(lambda handler, form: False, slowly)
    seed = org.consent()
    assert "is not tried now: the program is ending" in run_broker(program, seed, org, store)
    assert len(org.requests) == 1
    kinetic.SessionSource(BrokerAuthenticator("app", seed, login_url=org.url), store=store).authenticate()
    assert org.refusals == 0
    assert set(org.presented.values()) == {1}
