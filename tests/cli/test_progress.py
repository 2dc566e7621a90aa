"""While a login takes its time, a terminal shows it; a pipe gets nothing."""

import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from kinetic_auth_core.cli.progress import waiting
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_core.testing.emulator.faults import Delay

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

pytestmark = pytest.mark.usefixtures("default_env")


@pytest.fixture
def slow(sf: SalesforceEmulator) -> None:
    """The next login takes more than a second."""
    sf.break_transport(Delay(1.2))


def last_line(shown: str) -> str:
    """What is left to see in the last line after its carriage returns."""
    seen = ""
    for part in shown.rpartition("\n")[2].split("\r"):
        seen = part + seen[len(part) :]
    return seen.strip()


@pytest.mark.usefixtures("slow")
def test_a_terminal_shows_the_wait_and_is_clean_afterwards(on_terminal: Run, sf: SalesforceEmulator) -> None:
    outcome = on_terminal("token", "password")
    assert outcome.code == 0, outcome.terminal
    assert sf.is_live(outcome.out.strip())
    assert re.search(r"[|/\\-] Logging in \(1 s\)", outcome.terminal)
    assert last_line(outcome.terminal) == ""
    assert outcome.terminal.isascii()


def test_a_quick_login_shows_nothing(on_terminal: Run) -> None:
    assert on_terminal("login", "password").code == 0
    assert "Logging in" not in on_terminal("token", "password").terminal


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(("args", "env"), [((), {"TERM": "dumb"}), (("-v",), {}), ((), {"LOG_LEVEL": "INFO"})])
def test_nothing_moves_where_it_cannot_or_the_log_is_shown(
    on_terminal: Run, args: tuple[str, ...], env: dict[str, str]
) -> None:
    outcome = on_terminal(*args, "token", "password", env=env)
    assert outcome.code == 0
    assert "Logging in" not in outcome.terminal


@pytest.mark.usefixtures("slow")
def test_a_pipe_gets_nothing(python: Run) -> None:
    outcome = python("from kinetic_auth_core.cli import main; main()", "token", "jwt-bearer")
    assert (outcome.code, outcome.err) == (0, "")


def test_what_is_written_meanwhile_has_its_own_lines(full_tier: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty")
    outer, inner = pty.openpty()
    with os.fdopen(inner, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with waiting("Waiting"):
            time.sleep(0.6)
            print("Open this address:", file=sys.stderr)
            time.sleep(0.3)
            print("no line end", end="", file=sys.stderr)
            time.sleep(0.3)
        assert sys.stderr is terminal
        shown = os.read(outer, 65536).decode()
    os.close(outer)
    lines = [last_line(line) for line in shown.split("\r\n")]
    assert lines == ["Open this address:", "no line end"]
    assert "Waiting" in shown
