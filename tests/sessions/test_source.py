"""The live session: one login for all callers, compare-and-swap on invalidation, threads, asyncio, fork."""

import asyncio
import contextlib
import contextvars
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import Delay, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator


@pytest.fixture
def source(sf: SalesforceEmulator) -> Iterator[kinetic.SessionSource]:
    with kinetic.resolve("password", **sf.settings("password")) as source:
        yield source


@attrs.frozen
class Gate:
    """An authenticator that waits until the test lets it go."""

    entered: threading.Event = attrs.field(factory=threading.Event)
    opened: threading.Event = attrs.field(factory=threading.Event)
    outcomes: list[Any] = attrs.field(factory=list)
    calls: list[int] = attrs.field(factory=list)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        self.calls.append(threading.get_ident())
        self.entered.set()
        assert self.opened.wait(10)
        outcome: kinetic.SalesforceSession | BaseException = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def a_session(token: str = "00D!one") -> kinetic.SalesforceSession:
    return kinetic.SalesforceSession(token, "https://acme.my.salesforce.com", "", "0")


def test_a_source_logs_in_once_and_returns_the_same_session(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    before = sf.token_requests
    assert source.session() is source.session()
    assert sf.token_requests == before + 1


def test_many_threads_at_once_cost_one_login(sf: SalesforceEmulator, source: kinetic.SessionSource) -> None:
    before = sf.token_requests
    start = threading.Barrier(64)

    def ask(_: int) -> kinetic.SalesforceSession:
        start.wait()
        return source.session()

    with ThreadPoolExecutor(64) as pool:
        sessions = set(pool.map(ask, range(64)))
    assert len(sessions) == 1
    assert sf.token_requests == before + 1


def test_authenticate_always_logs_in_and_keeps_the_live_session(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    cached = source.session()
    before = sf.token_requests
    own = source.authenticate()
    assert sf.token_requests == before + 1
    assert own.access_token != cached.access_token
    assert source.session() is cached


def test_a_dead_token_costs_one_login_for_all_threads(sf: SalesforceEmulator, source: kinetic.SessionSource) -> None:
    dead = source.session()
    before = sf.token_requests
    start = threading.Barrier(30)

    def meet_a_401(_: int) -> str:
        start.wait()
        source.invalidate(dead)
        return source.session().access_token

    with ThreadPoolExecutor(30) as pool:
        tokens = set(pool.map(meet_a_401, range(30)))
    assert sf.token_requests == before + 1
    assert len(tokens) == 1
    assert dead.access_token not in tokens


def test_invalidating_an_old_session_keeps_a_newer_one(source: kinetic.SessionSource) -> None:
    old = source.session()
    source.invalidate(old)
    new = source.session()
    source.invalidate(old)
    assert source.session() is new


def test_the_log_reports_a_dead_session_once(
    sf: SalesforceEmulator, source: kinetic.SessionSource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kinetic_auth_core.sessions.source")
    dead = source.session()
    for _ in range(3):
        source.invalidate(dead)
    source.session()
    source.invalidate(dead)
    (message,) = [
        record.getMessage() for record in caplog.records if record.name == "kinetic_auth_core.sessions.source"
    ]
    assert "session rejected (401); it is discarded" in message
    assert sf.default.username in message
    assert dead.access_token not in message


def test_invalidating_before_any_login_does_nothing(sf: SalesforceEmulator, source: kinetic.SessionSource) -> None:
    source.invalidate(a_session())
    assert source.session().access_token != "00D!one"


def test_all_waiting_callers_get_the_error_of_the_one_login(sf: SalesforceEmulator) -> None:
    source = kinetic.resolve("password", **sf.settings("password") | {"password": "wrong"})
    before = sf.token_requests
    sf.break_transport(Delay(0.3))
    start = threading.Barrier(8)

    def ask(_: int) -> BaseException:
        start.wait()
        with pytest.raises(kinetic.CredentialsRejectedError) as caught:
            source.session()
        return caught.value

    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(ask, range(8)))
    assert sf.token_requests == before + 1
    assert {str(error) for error in errors} == {str(errors[0])}
    assert len({id(error) for error in errors}) == 8  # each its own, or their tracebacks would pile up


def test_after_a_failure_the_next_caller_tries_again(sf: SalesforceEmulator) -> None:
    gate = Gate(outcomes=[kinetic.TransportError("no answer"), a_session()])
    gate.opened.set()
    source = kinetic.SessionSource(gate)
    with pytest.raises(kinetic.TransportError, match="no answer"):
        source.session()
    assert source.session().access_token == "00D!one"


def test_a_waiting_caller_takes_over_an_interrupted_login() -> None:
    gate = Gate(outcomes=[KeyboardInterrupt(), a_session()])
    source = kinetic.SessionSource(gate)
    with ThreadPoolExecutor(2) as pool:
        owner = pool.submit(source.session)
        gate.entered.wait(10)
        waiter = pool.submit(source.session)
        gate.opened.set()
        with pytest.raises(KeyboardInterrupt):
            owner.result(10)
        assert waiter.result(10).access_token == "00D!one"
    assert len(gate.calls) == 2


def test_a_login_that_asks_its_own_source_gets_an_error_instead_of_hanging() -> None:
    @attrs.frozen
    class Curious:
        sources: list[kinetic.SessionSource] = attrs.field(factory=list)

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return self.sources[0].session()

    curious = Curious()
    source = kinetic.SessionSource(curious)
    curious.sources.append(source)
    with pytest.raises(kinetic.ConfigurationError, match="called from within the login"):
        source.session()


def test_asession_gives_the_same_session_and_one_login_for_200_tasks(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    before = sf.token_requests

    async def herd() -> set[kinetic.SalesforceSession]:
        return set(await asyncio.gather(*(source.asession() for _ in range(200))))

    assert asyncio.run(herd()) == {source.session()}
    assert sf.token_requests == before + 1


def test_a_login_of_asession_sees_the_context_variables_of_the_caller() -> None:
    span: contextvars.ContextVar[str] = contextvars.ContextVar("span", default="none")
    seen: list[str] = []

    @attrs.frozen
    class Traced:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            seen.append(span.get())
            span.set("inner")
            return kinetic.SalesforceSession(f"00D!{len(seen)}", "https://acme.my.salesforce.com", "", "0")

    async def main() -> str:
        span.set("request")
        await traced.asession()
        return span.get()

    traced = kinetic.SessionSource(Traced())
    assert asyncio.run(main()) == "request"
    assert seen == ["request"]


def test_asession_does_not_block_the_event_loop() -> None:
    gate = Gate(outcomes=[a_session()])
    source = kinetic.SessionSource(gate)

    async def ask_and_go_on() -> str:
        asked = [asyncio.create_task(source.asession()) for _ in range(3)]
        await asyncio.to_thread(gate.entered.wait, 10)
        assert not any(task.done() for task in asked)
        gate.opened.set()  # reached only because the loop is free while the login waits
        return {(await task).access_token for task in asked}.pop()

    assert asyncio.run(ask_and_go_on()) == "00D!one"


def test_a_cancelled_task_does_not_cancel_the_login_of_the_others() -> None:
    gate = Gate(outcomes=[a_session()])
    source = kinetic.SessionSource(gate)

    async def run() -> str:
        owner = asyncio.create_task(source.asession())
        await asyncio.to_thread(gate.entered.wait, 10)
        waiters = [asyncio.create_task(source.asession()) for _ in range(2)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        owner.cancel()
        gate.opened.set()
        return (await waiters[1]).access_token

    assert asyncio.run(run()) == "00D!one"
    assert len(gate.calls) == 1


def test_asession_raises_the_error_of_the_login_to_all_tasks() -> None:
    gate = Gate(outcomes=[kinetic.TransportError("no answer")])
    source = kinetic.SessionSource(gate)

    async def run() -> list[Any]:
        tasks = [asyncio.create_task(source.asession()) for _ in range(3)]
        await asyncio.to_thread(gate.entered.wait, 10)
        await asyncio.sleep(0)
        gate.opened.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    errors = asyncio.run(run())
    assert [type(error) for error in errors] == [kinetic.TransportError] * 3
    assert len(gate.calls) == 1


def test_asession_takes_over_an_interrupted_login() -> None:
    gate = Gate(outcomes=[SystemExit(), a_session()])
    source = kinetic.SessionSource(gate)
    with ThreadPoolExecutor(1) as pool:
        owner = pool.submit(source.session)
        gate.entered.wait(10)

        async def run() -> str:
            task = asyncio.create_task(source.asession())
            await asyncio.sleep(0)
            gate.opened.set()
            return (await task).access_token

        assert asyncio.run(run()) == "00D!one"
        with pytest.raises(SystemExit):
            owner.result(10)


@contextlib.contextmanager
def interrupted_before_a_thread_starts() -> Iterator[None]:
    """As by Ctrl-C: an exception out of nowhere, between two lines."""

    def strike(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is threading.Thread.start.__code__:
            raise KeyboardInterrupt

    sys.setprofile(strike)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_an_asession_interrupted_before_the_login_blocks_no_other() -> None:
    gate = Gate(outcomes=[a_session()])
    gate.opened.set()
    source = kinetic.SessionSource(gate)
    with interrupted_before_a_thread_starts(), pytest.raises(KeyboardInterrupt):
        asyncio.run(source.asession())
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(source.session).result(10).access_token == "00D!one"


def test_after_an_interrupted_refresh_the_next_caller_refreshes() -> None:
    gate = Gate(outcomes=[a_session("00D!due"), a_session("00D!fresh")])
    gate.opened.set()
    source = kinetic.SessionSource(gate)
    source.session()
    cached = source._single_flight.cached
    assert cached is not None
    cached.stale_monotonic, cached.stale_wall = time.monotonic(), time.time()
    with interrupted_before_a_thread_starts(), pytest.raises(KeyboardInterrupt):
        source.session()
    gate.entered.clear()
    source.session()
    assert gate.entered.wait(10)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # 3.12 and newer: the very thing that is tested
def test_a_child_forked_in_the_middle_of_a_login_can_log_in() -> None:
    gate = Gate(outcomes=[a_session("00D!parent")])
    source = kinetic.SessionSource(gate)
    with ThreadPoolExecutor(1) as pool:
        owner = pool.submit(source.session)
        gate.entered.wait(10)
        context = multiprocessing.get_context("fork")
        theirs, ours = context.Pipe()

        def child() -> None:
            gate.opened.set()
            theirs.send(source.session().access_token)

        process = context.Process(target=child)
        process.start()
        assert ours.poll(20), "the child hangs on the parent's login"
        assert ours.recv() == "00D!parent"
        process.join(10)
        gate.opened.set()
        assert owner.result(10).access_token == "00D!parent"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_keeps_the_session_and_opens_its_own_connections(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    session = source.session()
    ports = {request.connection for request in sf.requests}
    context = multiprocessing.get_context("fork")
    theirs, ours = context.Pipe()

    def child() -> None:
        theirs.send((source.session().access_token, source.authenticate().access_token))

    process = context.Process(target=child)
    process.start()
    assert ours.poll(20)
    kept, new = ours.recv()
    process.join(10)
    assert kept == session.access_token
    assert new != kept
    assert sf.requests[-1].connection not in ports
    assert source.authenticate().is_valid()  # the parent's connection was not disturbed


def test_a_source_can_be_used_after_close(source: kinetic.SessionSource) -> None:
    source.session()
    source.close()
    assert source.authenticate().is_valid()


def test_a_source_is_not_pickled_and_says_what_to_do(source: kinetic.SessionSource) -> None:
    with pytest.raises(TypeError, match="resolve it in the worker"):
        pickle.dumps(source)


def test_the_repr_of_a_source_shows_only_provider_and_environment(source: kinetic.SessionSource) -> None:
    source.session()
    assert repr(source) == "SessionSource(provider='password', environment=None)"


def test_a_source_around_an_authenticator_made_by_hand(sf: SalesforceEmulator) -> None:
    login = sf.default
    authenticator = JWTAuthenticator(
        login.client_id, login.username, private_key=login.private_key_pem, login_url=sf.url, connect_timeout=3
    )
    source = kinetic.SessionSource(authenticator)
    assert source.session().username == login.username
    assert source.provider == "jwt-bearer"
    rows = {row.name: row for row in source.explain()}
    assert (rows["client_id"].value, rows["client_id"].source) == (login.client_id, "constructor")
    assert (rows["private_key"].value, rows["private_key"].source) == ("********", "constructor")
    assert (rows["connect_timeout"].value, rows["connect_timeout"].source) == (3, "constructor")
    assert (rows["read_timeout"].value, rows["read_timeout"].source) == (30.0, "default")
    assert (rows["audience"].value, rows["audience"].source) == (sf.url, "default")


def test_an_object_that_is_not_an_authenticator_is_refused() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="object is not an attrs class"):
        kinetic.SessionSource(object())


@pytest.mark.parametrize("store", ["file", "", {"name": "file"}, kinetic.FileStore])
def test_an_object_that_is_not_a_store_is_refused(store: Any) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.SessionSource(Gate(), store=store)
    assert f"store: expected a SessionStore, got {type(store).__name__}. Remedy: Give an instance" in str(caught.value)


def test_no_thread_is_left_behind(sf: SalesforceEmulator) -> None:
    script = """
import sys, threading
import kinetic_auth_core as kinetic
source = kinetic.resolve("password")
source.session()
print(threading.active_count())
"""
    environment = {**os.environ, **{f"SF_{name.upper()}": value for name, value in sf.settings("password").items()}}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


def test_a_login_does_not_wait_for_a_thread_of_the_event_loop() -> None:
    """All threads of the pool wait for the very login that an asynchronous caller has begun."""
    gate = Gate(outcomes=[a_session()])
    source = kinetic.SessionSource(gate)

    async def run() -> set[str]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        tasks = [asyncio.create_task(source.asession())]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(asyncio.to_thread(source.session)) for _ in range(4)]
        await asyncio.sleep(0)
        gate.opened.set()
        return {session.access_token for session in await asyncio.wait_for(asyncio.gather(*tasks), 20)}

    assert asyncio.run(run()) == {"00D!one"}


def test_a_task_cancelled_at_once_leaves_the_source_usable() -> None:
    gate = Gate(outcomes=[a_session()])
    gate.opened.set()
    source = kinetic.SessionSource(gate)

    async def run() -> str:
        task = asyncio.create_task(source.asession())
        await asyncio.sleep(0)
        task.cancel()
        return (await asyncio.wait_for(source.asession(), 20)).access_token

    assert asyncio.run(run()) == "00D!one"


def test_an_error_with_many_waiting_callers_does_not_collect_their_tracebacks() -> None:
    gate = Gate(outcomes=[kinetic.TransportError("no answer")])
    source = kinetic.SessionSource(gate)
    with ThreadPoolExecutor(11) as pool:
        owner = pool.submit(source.session)
        gate.entered.wait(10)
        waiters = [pool.submit(source.session) for _ in range(10)]
        gate.opened.set()
        error = owner.exception(10)
        assert all(waiter.exception(10) is not error for waiter in waiters)
    assert error is not None
    assert len(list(traceback.walk_tb(error.__traceback__))) < 20


def test_a_class_in_place_of_an_instance_is_refused() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="Gate is a class: pass an instance of it"):
        kinetic.SessionSource(Gate)


def test_a_reference_in_an_instance_made_by_hand_is_refused() -> None:
    @attrs.frozen
    class Sso:
        token: str = kinetic.setting(help="", secret=True)

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return a_session(self.token)

    with pytest.raises(kinetic.ConfigurationError, match="Cannot use Sso: token: is a reference"):
        kinetic.SessionSource(Sso("env://TOKEN"))
    assert kinetic.SessionSource(Sso("token")).session().access_token == "token"


@attrs.frozen
class Odd:
    """A plugin with an invalid URL that returns an odd identity and fails to close."""

    login_url: str = "http://[bad"
    events: list[Any] = attrs.field(factory=list)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return kinetic.SalesforceSession("token", "https://acme.my.salesforce.com", "no URL", "0")

    def close(self) -> None:
        raise OSError("close failed")


def test_an_odd_plugin_breaks_no_login() -> None:
    source = kinetic.SessionSource(Odd())
    assert source.session().org_id is None
    source.close()
