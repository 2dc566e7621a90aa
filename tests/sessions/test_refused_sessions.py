"""Sessions that are refused as soon as they are made: a few logins, then a pause, and the caller sees the 401."""

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import attrs
import httpx
import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.httpx import SalesforceAuth as HttpxAuth
from kinetic_auth_core.adapters.requests import SalesforceAuth
from kinetic_auth_core.session import CachedSession
from kinetic_auth_core.testing import SalesforceEmulator


@attrs.frozen
class Tokens:
    """An authenticator that gives out these tokens, one after the other."""

    tokens: Iterator[str] = attrs.field(factory=lambda: map("00D!{}".format, itertools.count(1)))
    instance_url: str = "https://acme.my.salesforce.com"
    logins: list[float] = attrs.field(factory=list)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        self.logins.append(time.time())
        return kinetic.SalesforceSession(next(self.tokens), self.instance_url, "", "0")


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


def refuse(source: kinetic.SessionSource, times: int = 1) -> list[str]:
    """Use the source as a caller does whose every call is answered by 401; returns the tokens."""
    tokens = []
    for _ in range(times):
        session = source.session()
        tokens.append(session.access_token)
        source.invalidate(session)
    return tokens


def test_after_three_fresh_sessions_the_source_pauses_and_hands_out_the_refused_one(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Tokens()
    source = kinetic.SessionSource(provider)
    with caplog.at_level(logging.WARNING):
        assert refuse(source, 40) == ["00D!1", "00D!2", *["00D!3"] * 38]
    assert len(provider.logins) == 3
    (warning,) = [each.getMessage() for each in caplog.records]
    assert "3 sessions in a row were refused right after their login; the next login is made in 60 s" in warning
    assert "locked to the IP address" in warning


def test_the_pause_doubles_up_to_half_an_hour(clock: Clock) -> None:
    provider = Tokens()
    source = kinetic.SessionSource(provider)
    refuse(source, 4)
    pauses = []
    for _ in range(7):
        before, began = len(provider.logins), clock.offset_s
        while len(provider.logins) == before:
            clock.move(10)
            refuse(source)
        pauses.append(clock.offset_s - began)
    assert pauses == pytest.approx([60, 120, 240, 480, 960, 1800, 1800], abs=11)


def test_a_caller_that_reports_nothing_gets_a_new_session_after_the_pause(clock: Clock) -> None:
    provider = Tokens()
    source = kinetic.SessionSource(provider)
    refuse(source, 3)
    assert source.session().access_token == "00D!3"
    clock.move(61)
    assert source.session().access_token == "00D!4"


def test_a_session_that_lived_for_a_minute_ends_the_row(clock: Clock) -> None:
    provider = Tokens()
    source = kinetic.SessionSource(provider)
    refuse(source, 2)
    source.session()
    clock.move(61)
    assert refuse(source, 4) == ["00D!3", "00D!4", "00D!5", "00D!6"]
    assert source.session().access_token == "00D!6"  # only now are there three fresh ones in a row


def test_a_login_that_gives_back_the_refused_token_is_no_cure(clock: Clock) -> None:
    provider = Tokens(itertools.repeat("00D!same"))
    source = kinetic.SessionSource(provider)
    source.session()
    clock.move(3600)
    assert set(refuse(source, 40)) == {"00D!same"}
    assert len(provider.logins) == 4  # the first, and three that gave it back
    store = kinetic.MemoryStore()
    provider = Tokens(itertools.repeat("00D!same"))
    refuse(kinetic.SessionSource(provider, store=store), 2)
    assert kinetic.SessionSource(Tokens(), store=store).peek() is None


def test_each_session_counts_once_however_many_report_it(clock: Clock) -> None:
    provider = Tokens()
    source = kinetic.SessionSource(provider)
    session = source.session()
    for _ in range(20):
        source.invalidate(session)
    assert source.session().access_token == "00D!2"
    assert refuse(source, 2) == ["00D!2", "00D!3"]


def test_a_session_of_another_process_ends_the_pause(clock: Clock) -> None:
    store = kinetic.MemoryStore()
    provider = Tokens()
    source = kinetic.SessionSource(provider, store=store)
    refuse(source, 4)
    other = kinetic.SessionSource(Tokens(iter(["00D!other"])), store=store)
    # two instances of one class with a setting that cannot be written down share nothing, so it is put there by hand
    name = source._cache.key
    assert name != other._cache.key
    source._cache.write(CachedSession.of(other.session(), 7200))
    assert source.session().access_token == "00D!other"


class Refusing(BaseHTTPRequestHandler):
    """Answers every call as Salesforce answers a dead token, and counts."""

    calls: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.calls.append(self.headers["Authorization"])
        body = b'[{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]'
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def refusing(full_tier: None) -> Iterator[str]:
    """The URL of an org that refuses every token."""
    Refusing.calls.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_calls_get_their_401_and_are_not_repeated_in_the_pause(refusing: str, library: str) -> None:
    provider = Tokens(instance_url=refusing)
    source = kinetic.SessionSource(provider, allowed_instance_hosts=["127.0.0.1"])
    with requests.Session() as by_requests, httpx.Client(auth=HttpxAuth(source)) as by_httpx:
        by_requests.auth = SalesforceAuth(source)
        client: Any = by_requests if library == "requests" else by_httpx
        statuses = [client.get(f"{refusing}/limits", timeout=5).status_code for _ in range(20)]
    assert statuses == [401] * 20
    assert len(provider.logins) == 3
    assert len(Refusing.calls) == 20 + 2  # only while there was another session to try


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_a_session_that_was_taken_and_dies_within_a_minute_is_not_refused_fresh(
    sf: SalesforceEmulator, library: str
) -> None:
    source = kinetic.resolve("jwt-bearer", **sf.settings("jwt-bearer"))
    url, before = f"{source.session().base_url}/limits", sf.token_requests
    with requests.Session() as by_requests, httpx.Client(auth=HttpxAuth(source)) as by_httpx:
        by_requests.auth = SalesforceAuth(source)
        client: Any = by_requests if library == "requests" else by_httpx
        for _ in range(6):
            sf.expire_all()
            assert client.get(url, timeout=5).status_code == 200
    assert sf.token_requests == before + 6
