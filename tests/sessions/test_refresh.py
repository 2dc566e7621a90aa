"""Refreshing a session: in the background while it is stale, by one login for all callers once it has expired."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.sessions.refresh import RefusedSessions
from kinetic_auth_core.testing import Delay, SalesforceEmulator


@pytest.fixture
def settings(sf: SalesforceEmulator) -> dict[str, Any]:
    return sf.settings("password")


def eventually(holds: Callable[[], bool], within_s: float = 10) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def make_due(source: kinetic.SessionSource) -> None:
    """Let three quarters of the lifetime of its session be over."""
    cached = source._single_flight.cached
    assert cached is not None
    cached.stale_monotonic, cached.stale_wall = time.monotonic(), time.time()


def test_a_stale_session_is_replaced_in_the_background(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("password", **settings)
    first = source.session()
    before = sf.token_requests
    sf.break_transport(Delay(0.5))
    make_due(source)
    assert source.session() is first  # and did not wait for the login that it began
    assert source.session() is first
    eventually(lambda: source.session() is not first)
    assert source.session().access_token != first.access_token
    assert sf.token_requests == before + 1


def test_with_an_expired_session_all_callers_wait_for_one_login(
    sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    source = kinetic.resolve("password", session_lifetime=0.05, **settings)
    first = source.session()
    time.sleep(0.06)  # its life, not a synchronisation
    before = sf.token_requests
    sf.break_transport(Delay(0.1))
    start = threading.Barrier(16)

    def ask(_: int) -> kinetic.SalesforceSession:
        start.wait()
        return source.session()

    with ThreadPoolExecutor(16) as pool:
        sessions = list(pool.map(ask, range(16)))
    assert first not in sessions
    assert sf.token_requests - before <= 2  # sixteen threads may well take longer than one such life


@attrs.frozen
class Failing:
    """Logs in once, and then fails."""

    calls: list[float] = attrs.field(factory=list)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        self.calls.append(time.monotonic())
        if len(self.calls) > 1:
            raise kinetic.TransportError("no answer")
        return kinetic.SalesforceSession("00D!first", "https://acme.my.salesforce.com", "", "0")


@pytest.mark.usefixtures("full_tier")
def test_a_refresh_that_fails_is_logged_once_and_the_session_stays_in_use(caplog: Any) -> None:
    failing = Failing()
    source = kinetic.SessionSource(failing, session_lifetime=2)
    source.session()
    with caplog.at_level(logging.WARNING, "kinetic_auth_core"):
        eventually(lambda: bool(source.session()) and len(failing.calls) == 2)
        eventually(lambda: "could not be refreshed; it stays in use" in caplog.text)
        for _ in range(1000):
            assert source.session().access_token == "00D!first"
    assert len(failing.calls) == 2  # it backs off
    with pytest.raises(kinetic.TransportError, match="no answer"):
        eventually(lambda: source.session() is None)  # expired: now every caller gets the error


def test_no_reader_sees_a_mixture_of_two_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RefusedSessions, "fresh_s", 0.0)  # fifty are refused at once
    """Twenty threads read while the session is replaced fifty times; token and URL of one login belong together."""

    @attrs.frozen
    class Numbered:
        calls: list[int] = attrs.field(factory=list)

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            self.calls.append(len(self.calls))
            number = self.calls[-1]
            return kinetic.SalesforceSession(
                f"00D!{number}", f"https://number{number}.my.salesforce.com", "", str(number)
            )

    numbered = Numbered()
    source = kinetic.SessionSource(numbered, login_budget=10_000)
    reads, refreshes, threads = 4_000, 50, 20
    turns = threading.Barrier(threads + 1)

    def read() -> int:
        torn = 0
        for turn in range(reads):
            session = source.session()
            number = session.access_token.removeprefix("00D!")
            torn += session.instance_url != f"https://number{number}.my.salesforce.com" or session.issued_at != number
            if turn % (reads // refreshes) == 0:
                turns.wait()
        return torn

    with ThreadPoolExecutor(threads) as pool:
        readers = [pool.submit(read) for _ in range(threads)]
        for _ in range(refreshes):
            turns.wait()
            source.invalidate(source.session())
        assert [reader.result() for reader in readers] == [0] * threads
    source.session()
    assert len(numbered.calls) == refreshes + 1


def test_a_refresh_does_not_delay_the_end_of_the_process(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    code = f"""
import time, kinetic_auth_core as kinetic
source = kinetic.resolve("password", session_lifetime=2, **{settings!r})
first = source.session()
while time.monotonic() and not source._single_flight._flight:
    source.session()
print("refreshing")
"""
    sf.break_transport(Delay(0))  # the first login
    sf.break_transport(Delay(20))
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=15)
    assert (done.returncode, done.stdout) == (0, "refreshing\n")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 15
