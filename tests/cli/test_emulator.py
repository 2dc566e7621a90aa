"""`kinetic-auth emulator`: lines of a .env file that reach it, until a signal; then nothing is left of it."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dotenv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import kinetic_auth_core
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.cli.emulator import dotenv_value
from kinetic_auth_core.testing import SalesforceEmulator

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

NAMES = [
    "SF_CLIENT_ID",
    "SF_CLIENT_SECRET",
    "SF_USERNAME",
    "SF_PASSWORD",
    "SF_SECURITY_TOKEN",
    "SF_PRIVATE_KEY_PATH",
    "SF_LOGIN_URL",
]
PROGRAM = [sys.executable, "-c", "from kinetic_auth_core.cli import main; main()"]


class Reader:
    """Reads what an emulator prints; its lines come in one piece, the last of them with the address."""

    def __init__(self, stream: Iterable[str] | None, last: str = "SF_LOGIN_URL") -> None:
        assert stream is not None
        self.text = ""
        for line in stream:
            self.text += line
            if line.startswith(last):
                break
        self.values = {name: value or "" for name, value in dotenv.dotenv_values(stream=io.StringIO(self.text)).items()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serves_until_a_signal_then_takes_its_key_away(run: Run, temporary: Path, number: signal.Signals) -> None:
    with subprocess.Popen([*PROGRAM, "emulator"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        values = Reader(process.stdout).values
        assert list(values) == NAMES
        key = Path(values["SF_PRIVATE_KEY_PATH"])
        assert key.is_file()
        assert temporary in key.parents
        for provider in ("password", "jwt-bearer"):
            assert run("login", provider, env=values).code == 0
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""
    assert "until Ctrl-C or SIGTERM" in err
    assert "Traceback" not in err
    assert not key.parent.exists()
    assert list(temporary.iterdir()) == []


def test_a_script_can_put_it_into_the_background_and_wait_for_the_lines(temporary: Path) -> None:
    emulator = f"'{sys.executable}' -c 'from kinetic_auth_core.cli import main; main()'"
    script = f"""
        set -eu
        mkfifo ready
        {emulator} emulator > ready &
        pid=$!
        while IFS= read -r line; do
            printf '%s\\n' "$line" >> .env
            case "$line" in SF_LOGIN_URL=*) break ;; esac
        done < ready
        chmod 600 .env
        {emulator} login password --json > session.json
        kill -INT "$pid"
        wait "$pid"
    """
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert '"provider": "password"' in Path("session.json").read_text()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "option"), [(".env", ""), ("org.env", " --env-file org.env"), ("an org/.env", " --env-file 'an org/.env'")]
)
def test_a_file_that_is_not_there_yet_takes_the_settings_and_the_login_to_type_is_told(
    temporary: Path, file: str, option: str
) -> None:
    Path(file).parent.mkdir(exist_ok=True)
    command = f"'{sys.executable}' -c 'from kinetic_auth_core.cli import main; main()'"
    script = f"""
        set -u
        {command} emulator --env-file '{file}' 2> told &
        pid=$!
        until [ -s '{file}' ]; do kill -0 "$pid" || exit 9; sleep 0.1; done
        {command} login jwt-bearer{option} --json > session.json || exit 8
        kill -TERM "$pid"
        wait "$pid"
    """
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    told = Path("told").read_text()
    assert done.returncode == 0, done.stderr + told
    assert f"Its settings are in {file}; log in with: kinetic-auth login jwt-bearer{option}, or: " in told
    assert Path(file).stat().st_mode & 0o777 == 0o600
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "scheme", "names"),
    [((), "http://127.0.0.1:", NAMES), (("--tls",), "https://localhost:", [*NAMES, "SF_CA_BUNDLE"])],
)
def test_with_tls_it_names_its_certificate_authority(
    monkeypatch: pytest.MonkeyPatch, run: Run, temporary: Path, args: tuple[str, ...], scheme: str, names: list[str]
) -> None:
    reading, writing = os.pipe()
    seen: list[dict[str, str]] = []

    def use_and_stop() -> None:
        with os.fdopen(reading) as stream:
            seen.append(Reader(stream, names[-1]).values)
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    user = threading.Thread(target=use_and_stop)
    user.start()
    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as stop:
            cli.main(["emulator", *args])
    user.join()
    assert stop.value.code == 0
    assert list(seen[0]) == names
    assert seen[0]["SF_LOGIN_URL"].startswith(scheme)
    assert list(temporary.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_nohup_keeps_it_alive(temporary: Path) -> None:
    ignoring = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from kinetic_auth_core.cli import main; main()"
    )
    with subprocess.Popen([sys.executable, "-c", ignoring, "emulator"], stdout=subprocess.PIPE, text=True) as process:
        address = Reader(process.stdout).values["SF_LOGIN_URL"]
        process.send_signal(signal.SIGHUP)
        host, _, port = address.removeprefix("http://").partition(":")
        socket.create_connection((host, int(port)), timeout=10).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert list(temporary.iterdir()) == []


def test_sighup_is_left_alone_where_it_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reading, writing = os.pipe()

    def stop() -> None:
        with os.fdopen(reading) as stream:
            assert Reader(stream).values
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGINT)

    user = threading.Thread(target=stop)
    user.start()
    try:
        with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            with pytest.raises(SystemExit) as stopped:
                cli.main(["emulator"])
    finally:
        user.join()
        signal.signal(signal.SIGHUP, before)
    assert stopped.value.code == 0


def test_a_port_that_is_taken_is_told(run: Run, temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("emulator", "--port", str(port))
    assert (outcome.code, outcome.out) == (2, "")
    assert f"Error: the emulator cannot listen on port {port}: " in outcome.told
    assert "Remedy: Give another --port, or leave it out to take a free one." in outcome.told
    assert list(temporary.iterdir()) == []


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if a module, with all that is in it, were not there."""
    for name in [each for each in sys.modules if f"{each}.".startswith(("kinetic_auth_core.testing.", f"{module}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(kinetic_auth_core, "testing")
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("command", ["emulator", "demo"])
@pytest.mark.parametrize("module", ["werkzeug", "trustme"])
def test_without_its_extra_it_says_how_to_install_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, module: str, command: str
) -> None:
    without(monkeypatch, module)
    outcome = run(command)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.told == (
        f'Error: the emulator needs {module}, which is not installed. Remedy: pip install "kinetic-auth-core[testing]"'
    )


def test_a_fault_in_the_emulator_is_not_passed_off_as_a_missing_extra(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "kinetic_auth_core.testing.emulator.tls")
    outcome = run("emulator")
    assert outcome.code == 6
    assert "unexpected, ModuleNotFoundError" in outcome.told


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
@example("it's a \\ back #slash")
@example(" # ")
def test_any_value_comes_back_from_a_env_file(value: str) -> None:
    stream = io.StringIO(f"NAME={dotenv_value(value)}\n")
    assert dotenv.dotenv_values(stream=stream, interpolate=False) == {"NAME": value}


def test_values_are_quoted_only_where_it_must_be() -> None:
    with SalesforceEmulator() as org:
        assert all(dotenv_value(value) == value for value in org.env().values())
    assert dotenv_value("/Users/some one/x.key") == "'/Users/some one/x.key'"
