"""Which failures are retried, how often and when."""

import asyncio
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.oauth.error_codes import ERROR_CODES, Kind, KnownError
from kinetic_auth_core.oauth.retry import FIRST_PAUSE_S, Tries, answered_at, retry_after_s
from kinetic_auth_core.testing import (
    Answer,
    Delay,
    Dribble,
    Html,
    Huge,
    NotJson,
    Redirect,
    Reset,
    SalesforceEmulator,
    Status,
    Truncated,
)
from kinetic_auth_core.testing.leaks import secrets_in
from kinetic_auth_core.transport.connections import tallied

pytestmark = pytest.mark.usefixtures("full_tier")

TRANSIENT_FAULTS = [
    Reset("connect"),
    Reset("request"),
    Reset("headers"),
    Reset("body"),
    Truncated(),
    Delay(20),
    Html(503),
    NotJson(500),
    Status(500),
    Status(502),
    Status(429),
]
ROWS = [pytest.param(row, id=f"{row.error} {row.description}".strip()) for row in ERROR_CODES]
TRANSIENT_ROWS = [each for each in ROWS if each.values[0].kind is Kind.TRANSIENT]  # type: ignore[union-attr]
OTHER_ROWS = [each for each in ROWS if each not in TRANSIENT_ROWS]


def jwt(sf: SalesforceEmulator, **settings: Any) -> Any:
    login = sf.default
    settings = {"login_url": sf.url, "read_timeout": 1, **settings}
    return kinetic.JWTAuthenticator(login.client_id, login.username, login.private_key_pem, **settings)


def password(sf: SalesforceEmulator, **settings: Any) -> Any:
    login = sf.default
    given = {"password": login.password, "security_token": login.security_token, "read_timeout": 1, **settings}
    return kinetic.OAuthAuthenticator(login.client_id, login.client_secret, login.username, login_url=sf.url, **given)


def refused(log_in: Callable[[], object]) -> kinetic.AuthenticationError:
    with pytest.raises(kinetic.AuthenticationError) as caught:
        log_in()
    return caught.value


@contextmanager
def at_each_retry(call: Callable[[], object]) -> Iterator[None]:
    """Call something in the moment before the pause."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            call()

    logger, listener = logging.getLogger("kinetic_auth_core.oauth.retry"), Listener()
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)


# What is


@pytest.mark.parametrize("fault", TRANSIENT_FAULTS, ids=repr)
def test_a_transient_fault_costs_one_more_request(sf: SalesforceEmulator, fault: Any) -> None:
    sf.break_transport(fault)
    with tallied() as tally:
        session = jwt(sf, read_timeout=0.5 if isinstance(fault, Delay) else 5).authenticate()
    assert sf.is_live(session.access_token)
    assert tally.attempts == 2
    assert 0 <= tally.waited_s <= Tries.first_pause_s


@pytest.mark.parametrize("row", TRANSIENT_ROWS)
def test_a_transient_refusal_costs_one_more_request(sf: SalesforceEmulator, row: KnownError) -> None:
    for make in (jwt, password):
        before = sf.token_requests
        sf.refuse(row.error, row.description)
        assert make(sf).authenticate().is_valid()
        assert sf.token_requests == before + 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Reset(), kinetic.TransportError), (Html(503), kinetic.ServiceUnavailableError)],
    ids=repr,
)
def test_a_persistent_fault_is_given_up_after_four_tries(sf: SalesforceEmulator, fault: Any, kind: type) -> None:
    sf.break_transport(fault, times=None)
    before = sf.token_requests
    error = refused(jwt(sf).authenticate)
    assert type(error) is kind
    assert error.retryable
    assert error.attempts == 4
    assert sf.token_requests == before + 4
    assert "jwt-bearer login of" in error.message
    _, _, elapsed = error.message.partition(" Given up after 4 tries within ")
    assert 0 <= float(elapsed.removesuffix(" s.")) <= 10
    assert 0 < error.waited_s <= 13 * Tries.first_pause_s


def test_the_error_of_a_persistent_refusal_is_that_of_the_last_try(sf: SalesforceEmulator) -> None:
    sf.refuse("server_error", "the first", times=3)
    sf.refuse("unknown_error", "retry your request")
    error = refused(jwt(sf).authenticate)
    assert type(error) is kinetic.TransientAuthenticationError
    assert (error.error, error.attempts) == ("unknown_error", 4)


def test_a_refused_connection_is_tried_four_times() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        authenticator = kinetic.OAuthAuthenticator("id", "secret", "ada@acme.com", "password", login_url=url)
        with tallied() as tally:
            error = refused(authenticator.authenticate)
    assert isinstance(error, kinetic.TransportError)
    assert not error.unanswered
    assert error.attempts == tally.attempts == 4


def test_an_org_that_recovers_is_reached() -> None:
    with SalesforceEmulator() as sf:
        authenticator = jwt(sf)
        sf.close()
        once = iter([sf.start])
        with at_each_retry(lambda: [start() for start in once]):
            assert sf.is_live(authenticator.authenticate().access_token)
        assert sf.token_requests == 1


def test_a_name_is_resolved_again_only_after_a_temporary_dns_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    failure: list[socket.gaierror] = []

    def resolve(*args: object, **settings: object) -> None:
        raise failure[0]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    authenticator = kinetic.OAuthAuthenticator(
        "id", "secret", "ada@acme.com", "password", login_url="https://acme.my.salesforce.com", proxy=None
    )
    for code, attempts in ((socket.EAI_AGAIN, 4), (socket.EAI_NONAME, 1)):
        failure[:] = [socket.gaierror(code, "simulated")]
        error = refused(authenticator.authenticate)
        assert "acme.my.salesforce.com does not resolve" in error.message
        assert (error.attempts, error.retryable) == (attempts, attempts > 1)


def test_each_try_signs_a_new_assertion(sf: SalesforceEmulator) -> None:
    @attrs.frozen
    class Counting(kinetic.GrantAuthenticator):
        client_id: str = kinetic.setting(help="Consumer Key.")
        client_secret: str = kinetic.setting(help="Consumer Secret.", secret=True)
        times: list[float] = attrs.field(factory=list, kw_only=True)

        def grant(self, request: kinetic.LoginRequest) -> dict[str, str]:
            self.times.append(request.now)
            return {
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": self.client_secret,
            }

    user = sf.add_user("signs-again@emulator.example")
    app = sf.add_app(flows={"client_credentials"}, run_as=user.username)
    authenticator = Counting(app.client_id, app.client_secret, login_url=sf.url)
    sf.refuse("server_error", times=2)
    authenticator.authenticate()
    assert len(authenticator.times) == 3
    assert authenticator.times == sorted(set(authenticator.times))


# What is not


@pytest.mark.parametrize("row", OTHER_ROWS)
def test_every_other_refusal_fails_at_once(sf: SalesforceEmulator, row: KnownError) -> None:
    for make in (jwt, password):
        before = sf.token_requests
        sf.refuse(row.error, row.description)
        error = refused(make(sf).authenticate)
        assert (error.error, error.attempts) == (row.error, 1)
        assert "Given up" not in error.message
        assert sf.token_requests == before + 1


@pytest.mark.parametrize(
    "fault",
    [
        Html(200),
        Html(404),
        NotJson(200),
        NotJson(400),
        Redirect("https://evil.example/"),
        Huge(5_000_000),
        Answer(b"no gzip", headers={"Content-Encoding": "gzip"}),
        Answer({"access_token": "t"}),
    ],
    ids=repr,
)
def test_an_answer_of_another_server_fails_at_once(sf: SalesforceEmulator, fault: Any) -> None:
    sf.break_transport(fault)
    before = sf.token_requests
    error = refused(jwt(sf).authenticate)
    assert type(error) is kinetic.TransportError
    assert (error.retryable, error.attempts) == (False, 1)
    assert sf.token_requests == before + 1


def test_a_wrong_certificate_fails_at_once() -> None:
    with SalesforceEmulator(tls=True) as sf, tallied() as tally:
        error = refused(jwt(sf).authenticate)
    assert "certificate" in error.message
    assert error.attempts == tally.attempts == 1


@pytest.mark.parametrize(
    "fault", [Reset("request"), Reset("body"), Truncated(), Delay(20), Status(502), Status(504), Status(524)]
)
def test_a_password_that_may_have_arrived_is_not_sent_again(sf: SalesforceEmulator, fault: Any) -> None:
    sf.break_transport(fault)
    before = sf.token_requests
    error = refused(password(sf, read_timeout=0.5 if isinstance(fault, Delay) else 5).authenticate)
    assert isinstance(error, kinetic.TransportError)
    assert (error.unanswered, error.retryable, error.attempts) == (True, True, 1)
    assert sf.token_requests == before + 1


@pytest.mark.parametrize("fault", [Html(503), Status(500), Status(429)])
def test_a_password_that_was_not_processed_is_sent_again(sf: SalesforceEmulator, fault: Any) -> None:
    sf.break_transport(fault)
    assert password(sf).authenticate().is_valid()


def test_a_wrong_password_is_sent_once_after_any_earlier_faults(sf: SalesforceEmulator) -> None:
    app, user = sf.default, sf.add_user("counted@emulator.example", password="right-horse")
    sf.break_transport(Html(503), times=2)
    authenticator = kinetic.OAuthAuthenticator(
        app.client_id, app.client_secret, user.username, "wrong-horse", login_url=sf.url
    )
    error = refused(authenticator.authenticate)
    assert isinstance(error, kinetic.CredentialsRejectedError)
    assert error.attempts == 3
    assert user.failed_logins == 1


# When


def test_the_pauses_are_random_up_to_0_2_0_6_and_1_8_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[float, float]] = []

    def longest(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    def fail() -> None:
        raise kinetic.TransportError("no answer", retryable=True)

    slept: list[float] = []
    monkeypatch.setattr(Tries, "first_pause_s", FIRST_PAUSE_S)
    monkeypatch.setattr(random, "uniform", longest)
    monkeypatch.setattr(time, "sleep", slept.append)
    error = refused(lambda: Tries(10, lambda _: False, may_repeat_unanswered=True).run(fail))
    assert slept == pytest.approx([0.2, 0.6, 1.8])
    assert asked[:3] == [(0, pause_s) for pause_s in slept]
    assert error.waited_s == pytest.approx(2.6)


def test_seconds_of_retry_after_are_waited_for(sf: SalesforceEmulator) -> None:
    sf.break_transport(Status(429, retry_after=1))
    began = time.monotonic()
    with tallied() as tally:
        jwt(sf).authenticate()
    assert 1 <= tally.waited_s <= 1.2
    assert time.monotonic() - began >= 1


def test_a_date_of_retry_after_is_waited_for_by_the_servers_clock(sf: SalesforceEmulator) -> None:
    headers = {"Retry-After": formatdate(1_700_000_001, usegmt=True), "Date": formatdate(1_700_000_000, usegmt=True)}
    assert retry_after_s(headers, time.time()) == 1
    sf.break_transport(Status(503, retry_after=formatdate(sf.now() + 2, usegmt=True)))
    with tallied() as tally:
        jwt(sf).authenticate()
    assert 1 <= tally.waited_s <= 2.2


@pytest.mark.parametrize("retry_after", ["120", formatdate(4_000_000_000, usegmt=True)])
def test_a_wait_that_does_not_fit_into_the_deadline_is_not_begun(sf: SalesforceEmulator, retry_after: str) -> None:
    sf.break_transport(Status(503, retry_after=retry_after))
    before = sf.token_requests
    with tallied() as tally:
        error = refused(jwt(sf, deadline=60).authenticate)
    assert error.retry_after_s is not None
    assert error.message.endswith(
        f"Given up after 1 try: the server asks to wait {error.retry_after_s:.0f} s, and the deadline is 60 s."
    )
    assert (error.attempts, error.waited_s, tally.waited_s) == (1, 0, 0)
    assert sf.token_requests == before + 1


@pytest.mark.parametrize("header", ["soon", "-1", "1.5", "", "²", formatdate(0, usegmt=True)])
def test_an_invalid_retry_after_is_ignored(sf: SalesforceEmulator, header: str) -> None:
    assert not retry_after_s({"Retry-After": header}, time.time())


@settings(max_examples=50)
@given(st.text(), st.text())
def test_any_header_can_be_parsed_for_times(retry_after: str, date: str) -> None:
    headers = {"Retry-After": retry_after, "Date": date}
    assert (retry_after_s(headers, 0.0) or 0.0) >= 0
    answered_at(headers)


def test_the_deadline_spans_all_tries(sf: SalesforceEmulator) -> None:
    sf.break_transport(Delay(20), times=None)
    began = time.monotonic()
    error = refused(jwt(sf, read_timeout=0.4, deadline=1).authenticate)
    assert 1 < error.attempts < 4
    assert f"Given up after {error.attempts} tries within" in error.message
    assert error.message.endswith(": the deadline of 1 s leaves no time for another.")
    assert time.monotonic() - began < 5


def test_a_try_that_exhausts_the_deadline_is_the_last(sf: SalesforceEmulator) -> None:
    sf.break_transport(Dribble(0.02, endless=True))
    error = refused(jwt(sf, deadline=0.5).authenticate)
    assert error.message.endswith("no complete answer from 127.0.0.1 within the deadline of 0.5 s.")
    assert error.attempts == 1


# Who notices


def test_all_waiting_callers_get_the_result_of_one_login(sf: SalesforceEmulator) -> None:
    def at_once(ask: Callable[[kinetic.SessionSource], Any]) -> list[Any]:
        start = threading.Barrier(8)
        source = kinetic.SessionSource(jwt(sf))

        def one(_: int) -> Any:
            start.wait()
            return ask(source)

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(one, range(8)))

    before = sf.token_requests
    sf.break_transport(Status(503, retry_after=1))  # long enough for all to come
    assert len({session.access_token for session in at_once(lambda source: source.session())}) == 1
    assert sf.token_requests == before + 2
    sf.break_transport(Status(503, retry_after=1))
    sf.refuse("server_error", times=3)
    errors = at_once(lambda source: refused(source.session))
    assert {error.attempts for error in errors} == {4}
    assert len({error.message for error in errors}) == 1
    assert sf.token_requests == before + 6


def test_retries_count_as_one_login_for_the_limits(sf: SalesforceEmulator) -> None:
    source = kinetic.resolve("jwt-bearer", **sf.settings("jwt-bearer"), login_budget=1)
    sf.refuse("server_error", times=2)
    assert source.session().is_valid()
    with pytest.raises(kinetic.LoginBudgetError) as caught:
        source.authenticate()
    assert caught.value.attempts == 0


def test_each_retry_is_logged_and_the_failure_is_raised(
    sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sf.refuse("server_error", times=4)
    with kinetic.SessionSource(jwt(sf)) as source:
        error = refused(source.session)
    retries = [record for record in caplog.records if record.name == "kinetic_auth_core.oauth.retry"]
    assert [record.levelname for record in retries] == ["INFO"] * 3
    assert "failed: server_error (HTTP 400). Trying again in 0." in retries[0].message
    assert retries[0].message.endswith(" s, 2 of 4.")
    assert "Given up after 4 tries within" in error.message
    assert "Given up" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_task_that_waits_for_the_next_try_does_not_block_the_event_loop(sf: SalesforceEmulator) -> None:
    async def wait() -> None:
        loop, paused = asyncio.get_running_loop(), asyncio.Event()
        source = kinetic.SessionSource(jwt(sf))
        with at_each_retry(lambda: loop.call_soon_threadsafe(paused.set)):
            login = asyncio.create_task(source.asession())
            await paused.wait()
            assert not login.done()
            assert (await login).is_valid()

    sf.break_transport(Status(503, retry_after=1))
    asyncio.run(wait())


@pytest.mark.parametrize("make", [jwt, password])
def test_the_error_after_the_last_try_shows_no_secret(sf: SalesforceEmulator, make: Any) -> None:
    authenticator = make(sf)
    sf.break_transport(Html(503), times=None)
    error = refused(authenticator.authenticate)
    login = sf.default
    secrets = (login.password, login.client_secret, login.private_key_pem)
    assert secrets_in(error, *secrets, is_test=lambda file: file == __file__) == []
