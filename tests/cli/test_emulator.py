"""`kinetic-auth emulator`: it prints a .env file with its settings, runs until a signal, and removes its files."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dotenv
import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.cli.emulator import dotenv_value
from kinetic_auth_core.testing import SalesforceEmulator

pytestmark = pytest.mark.usefixtures("full_tier")

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

NAMES = [
    "SF_CLIENT_ID",
    "SF_CLIENT_SECRET",
    "SF_USERNAME",
    "SF_PASSWORD",
    "SF_SECURITY_TOKEN",
    "SF_PRIVATE_KEY_PATH",
    "SF_REFRESH_TOKEN",
    "SF_SUBJECT_TOKEN",
    "SF_LOGIN_URL",
]


@pytest.fixture(autouse=True)
def _signals_are_heeded() -> Iterator[None]:
    """Where the run ignores them, as under nohup or in the background of a script, a child would inherit that."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: lambda *_: None}
    ignored = [number for number in handlers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, handlers[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


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


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that ends it; not ignored here, as nohup would have it."""
    number: signal.Signals = request.param
    before = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, before)


def test_serves_until_a_signal_and_then_removes_its_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], temporary: Path, number: signal.Signals
) -> None:
    reading, writing = os.pipe()
    seen: list[tuple[dict[str, str], bool, str | None]] = []

    def use(_: threading.Event) -> None:
        with os.fdopen(reading) as stream:
            reader = Reader(stream)
        Path("org.env").write_text(reader.text)
        Path("org.env").chmod(0o600)
        with kinetic.resolve("jwt-bearer", env_file="org.env") as source:
            has_key = Path(reader.values["SF_PRIVATE_KEY_PATH"]).is_file()
            seen.append((reader.values, has_key, source.session().username))

    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert served(["emulator"], use, number) == 0
    [(values, has_key, username)] = seen
    key = Path(values["SF_PRIVATE_KEY_PATH"])
    assert list(values) == NAMES
    assert has_key
    assert temporary in key.parents
    assert username == values["SF_USERNAME"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "until Ctrl-C or SIGTERM" in printed.err
    assert "Traceback" not in printed.err
    assert not key.parent.exists()
    assert list(temporary.iterdir()) == []


def test_json_is_one_document_with_the_settings(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    reading, writing = os.pipe()
    seen: list[Any] = []

    def use(_: threading.Event) -> None:
        with os.fdopen(reading) as stream:
            text = ""
            for line in stream:
                text += line
                if line == "}\n":
                    break
        seen.append(json.loads(text))

    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert served(["emulator", "--json"], use) == 0
    assert list(seen[0]["variables"]) == NAMES
    assert seen[0]["url"] == seen[0]["variables"]["SF_LOGIN_URL"]
    assert seen[0]["org_id"].startswith("00D")


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
def test_the_settings_are_written_to_a_new_file_and_the_login_command_is_shown(
    capsys: pytest.CaptureFixture[str], temporary: Path, file: str, option: str
) -> None:
    path = Path(file).absolute()
    path.parent.mkdir(exist_ok=True)
    users: list[str | None] = []
    modes: list[int] = []

    def use(is_over: threading.Event) -> None:
        while not path.exists() and not is_over.wait(0.01):
            pass
        modes.append(path.stat().st_mode & 0o777)
        with kinetic.resolve("jwt-bearer", env_file=path) as source:
            users.append(source.session().username)
            users.append(dotenv.dotenv_values(path)["SF_USERNAME"])

    assert served(["emulator", "--env-file", file], use) == 0
    assert users[0] == users[1]
    printed = " ".join(capsys.readouterr().err.split())
    assert f"Its settings are in {file}; log in with: kinetic-auth login jwt-bearer{option}, or: " in printed
    assert modes == [0o600]
    assert not path.exists()
    assert list(temporary.iterdir()) == []


def test_the_config_names_an_environment_and_is_removed_at_the_end(temporary: Path) -> None:
    users: list[str | None] = []

    def use(is_over: threading.Event) -> None:
        while not Path(".env").exists() and not is_over.wait(0.01):
            pass
        text = Path("kinetic-auth.toml").read_text()
        assert "PRIVATE KEY" not in text
        with kinetic.resolve() as source:
            users.append(source.session().username)

    assert served(["emulator", "--write-config", "kinetic-auth.toml", "--env-file", ".env"], use) == 0
    assert len(users) == 1
    assert not Path("kinetic-auth.toml").exists()


@pytest.mark.parametrize("option", ["--env-file", "--write-config"])
def test_a_file_of_someone_else_is_neither_replaced_nor_removed(run: Run, option: str) -> None:
    Path("mine").write_text("SF_USERNAME=me\n")
    outcome = run("emulator", option, "mine")
    assert outcome.code == 2
    assert "mine exists, and no emulator has written it" in outcome.message
    assert Path("mine").read_text() == "SF_USERNAME=me\n"


@pytest.mark.parametrize("option", ["--env-file", "--write-config"])
def test_a_file_of_an_emulator_that_runs_is_not_replaced_and_one_of_a_killed_emulator_is(
    run: Run, temporary: Path, option: str
) -> None:
    path, texts = Path("written"), []

    def use(is_over: threading.Event) -> None:
        while not path.exists() and not is_over.wait(0.01):
            pass
        texts.append(path.read_text())

    assert served(["emulator", option, "written"], use) == 0
    path.write_text(texts[0])  # as an emulator leaves it that was killed
    url = re.search(r"http://127.0.0.1:(\d+)", texts[0])
    assert url is not None
    with socket.create_server(("127.0.0.1", int(url[1]))):
        refused = run("emulator", option, "written")
    assert refused.code == 2
    assert f"written has the settings of an emulator at {url[0]}, where something still listens." in refused.message
    assert path.read_text() == texts[0]
    assert served(["emulator", option, "written"], lambda is_over: use_changed(path, texts[0], is_over)) == 0
    assert not path.exists()


def use_changed(path: Path, before: str, is_over: threading.Event) -> None:
    """Wait until a file has another text."""
    while path.read_text() == before and not is_over.wait(0.01):
        pass


def test_a_file_that_changed_meanwhile_stays(temporary: Path) -> None:
    def use(is_over: threading.Event) -> None:
        while not Path("org.env").exists() and not is_over.wait(0.01):
            pass
        Path("org.env").write_text("mine")

    assert served(["emulator", "--env-file", "org.env"], use) == 0
    assert Path("org.env").read_text() == "mine"


def test_the_same_seed_gives_the_same_credentials_and_policies_are_set(temporary: Path) -> None:
    seen: list[dict[str, str | None]] = []
    rules: list[Any] = []

    def use(is_over: threading.Event) -> None:
        while not Path("org.env").exists() and not is_over.wait(0.01):
            pass
        values = dotenv.dotenv_values("org.env")
        headers = {"Authorization": "Bearer token of the test"}
        rules.append(requests.get(f"{values['SF_LOGIN_URL']}/__emulator__/policy", headers=headers, timeout=10).json())
        seen.append({**values, "key": Path(str(values["SF_PRIVATE_KEY_PATH"])).read_text()})

    policies = [
        "--policy",
        "rotate_refresh_tokens=true",
        "--policy",
        "login_hours=09:00-17:00",
        "--policy",
        "client_ip=::1",
    ]
    args = ["emulator", "--env-file", "org.env", "--seed", "s", "--control-token", "token of the test", *policies]
    for _ in range(2):
        assert served(args, use) == 0
    for values in seen:
        assert values.pop("SF_CONTROL_TOKEN") == "token of the test"
        del values["SF_PRIVATE_KEY_PATH"], values["SF_SUBJECT_TOKEN"], values["SF_LOGIN_URL"]
    assert seen[0] == seen[1]
    assert rules[0]["rotate_refresh_tokens"] is True
    assert rules[0]["login_hours"] == ["09:00", "17:00"]
    assert rules[0]["client_ip"] == "::1"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("rotate=true", "--policy rotate: there is no such rule"),
        ("rotate_refresh_tokens=yes", "'yes' does not fit: rotate_refresh_tokens must be true or false."),
        ("login_hours=9-25", "login hours are two times of day, as 09:00-17:00"),
        ("logins_per_hour=-1", "must be a number, 0 or more"),
        ("ip_ranges=nowhere", "does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_a_wrong_policy_is_reported(run: Run, policy: str, message: str) -> None:
    outcome = run("emulator", "--policy", policy)
    assert outcome.code == 2
    assert message in outcome.message


def served(args: list[str], use: Callable[[threading.Event], None], end: signal.Signals = signal.SIGTERM) -> object:
    """The exit code of the program, run in this process, while a thread uses it and then ends it with a signal.

    The thread is handed an event that is set if the program has ended by itself.
    """
    is_over = threading.Event()

    def use_and_end() -> None:
        try:
            use(is_over)
        finally:
            if not is_over.is_set():
                os.kill(os.getpid(), end)

    user = threading.Thread(target=use_and_end)
    user.start()
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main(args)
    finally:
        is_over.set()
        user.join()
    return stop.value.code


@pytest.mark.parametrize(
    ("args", "scheme", "names"),
    [((), "http://127.0.0.1:", NAMES), (("--tls",), "https://localhost:", [*NAMES, "SF_CA_BUNDLE"])],
)
def test_with_tls_it_names_its_certificate_authority(
    monkeypatch: pytest.MonkeyPatch, run: Run, temporary: Path, args: tuple[str, ...], scheme: str, names: list[str]
) -> None:
    reading, writing = os.pipe()
    seen: list[dict[str, str]] = []

    def use(_: threading.Event) -> None:
        with os.fdopen(reading) as stream:
            seen.append(Reader(stream, names[-1]).values)

    before = signal.getsignal(signal.SIGTERM)
    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert served(["emulator", *args], use) == 0
    assert list(seen[0]) == names
    assert seen[0]["SF_LOGIN_URL"].startswith(scheme)
    assert list(temporary.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_ignored_sighup_does_not_stop_it(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reading, writing = os.pipe()
    answers: list[int] = []

    def hang_up(_: threading.Event) -> None:
        with os.fdopen(reading) as stream:
            address = Reader(stream).values["SF_LOGIN_URL"]
            os.kill(os.getpid(), signal.SIGHUP)
            answers.append(requests.get(f"{address}/services/data", timeout=10).status_code)

    try:
        with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert served(["emulator"], hang_up, signal.SIGINT) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert answers == [200]
    assert list(temporary.iterdir()) == []


def test_a_taken_port_is_reported(run: Run, temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("emulator", "--port", str(port))
    assert (outcome.code, outcome.out) == (2, "")
    assert f"Error: the emulator cannot listen on port {port}: " in outcome.message
    assert "Remedy: Choose another --port, or leave it out for a free one." in outcome.message
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machine_is_reported(run: Run, host: str) -> None:
    outcome = run("emulator", "--host", host)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"Error: the emulator cannot listen on {host}, which is not an address of this machine." in outcome.message
    assert "Remedy: Choose another --host, or leave it out for 127.0.0.1." in outcome.message


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if a module, with all that is in it, were not there."""
    for name in [each for each in sys.modules if f"{each}.".startswith(("kinetic_auth_core.testing.", f"{module}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(kinetic, "testing")
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("command", ["emulator", "demo"])
@pytest.mark.parametrize("module", ["werkzeug", "trustme"])
def test_without_its_extra_it_says_how_to_install_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, module: str, command: str
) -> None:
    without(monkeypatch, module)
    outcome = run(command)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.message == (
        f'Error: the emulator needs {module}, which is not installed. Remedy: pip install "kinetic-auth-core[testing]"'
    )


def test_a_defect_of_the_emulator_is_not_reported_as_a_missing_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "kinetic_auth_core.testing.emulator.tls")
    outcome = run("emulator")
    assert outcome.code == 6
    assert "unexpected error: ModuleNotFoundError" in outcome.message


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
