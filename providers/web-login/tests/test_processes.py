"""Processes that share a store: one of them asks the person, the others wait for it and open no second browser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_core.testing.contracts.checks import until

#: Prints the token. Its browser appends the address to a file.
_PROGRAM = """
import json, sys, webbrowser
import kinetic_auth_core as kinetic
from kinetic_auth_core.stores.session_cache import SessionCache
SessionCache.lease_s = 2.0

def opened(address):
    with open(sys.argv[2], "a") as file:
        file.write(address + "\\n")

webbrowser.open = opened
print(kinetic.resolve("web-login", **json.loads(sys.argv[1])).session().access_token)
"""


@pytest.fixture
def addresses(tmp_path: Path) -> Path:
    return tmp_path / "addresses"


@pytest.fixture
def start(web_settings: dict[str, Any], addresses: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started = []

    def start(*, interactive: bool = True) -> subprocess.Popen[str]:
        environ = {**os.environ, "KINETIC_AUTH_INTERACTIVE": "1" if interactive else "0"}
        command = [sys.executable, "-c", _PROGRAM, json.dumps(web_settings), str(addresses)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environ))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def opened(addresses: Path) -> list[str]:
    return addresses.read_text().splitlines() if addresses.exists() else []


def test_a_second_process_waits_and_gets_the_session_of_the_first(
    start: Callable[..., subprocess.Popen[str]], addresses: Path, person: Any
) -> None:
    first = start()
    until(lambda: opened(addresses), "no browser was opened")
    others = [start(), start(interactive=False)]
    time.sleep(2.5)  # longer than the lease of the first, which goes on being renewed
    assert all(each.poll() is None for each in others)
    person.walk(opened(addresses)[0])
    tokens = {each.communicate(timeout=30)[0] for each in (first, *others)}
    assert len(tokens) == 1
    assert tokens != {""}
    assert len(opened(addresses)) == 1


def test_when_the_process_that_asks_dies_another_one_asks(
    start: Callable[..., subprocess.Popen[str]], addresses: Path, person: Any
) -> None:
    first = start()
    until(lambda: opened(addresses), "no browser was opened")
    second = start()
    time.sleep(1.5)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    until(lambda: len(opened(addresses)) == 2, "no second browser was opened")
    person.walk(opened(addresses)[1])
    assert second.communicate(timeout=30)[0]


def test_who_waits_for_the_session_of_the_first_does_not_refresh_it_before_it_is_stored(
    web_settings: dict[str, Any], person: Any, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(SessionCache, "lease_s", 0.3)
    store = {"name": "file", "path": str(tmp_path / "shared")}
    tokens: list[str] = []
    waiting = threading.Thread(
        target=lambda: tokens.append(kinetic.resolve("web-login", store=store, **web_settings).session().access_token)
    )

    class SlowObserver:
        @kinetic.hookimpl
        def session_issued(self) -> None:
            waiting.join(1.5)  # the refresh token is in the store by now, the session is not

    def meanwhile(_address: str) -> None:
        waiting.start()
        time.sleep(0.6)  # longer than a lease that is not extended

    person.meanwhile = meanwhile
    first = kinetic.resolve("web-login", store=store, observers=[SlowObserver()], **web_settings)
    token = first.session().access_token
    waiting.join(30)
    assert tokens == [token]
    assert sf.token_requests == 1
