"""`kinetic-auth token` and `exec`: what `login` made is what they hand out."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from kinetic_auth_core.cli.exec import secret_variables
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.stores.file import default_folder
from kinetic_auth_core.testing import SalesforceEmulator

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it
SHOW = "import os, json; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def kinetic_auth(measured_programs: None) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program, as a process of its own."""

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from kinetic_auth_core.cli import main; main()", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return call


@pytest.mark.usefixtures("default_env")
def test_three_calls_cost_one_login_and_print_the_token_alone(run: Run, sf: SalesforceEmulator) -> None:
    before = sf.token_requests
    assert run("login", "jwt-bearer").code == 0
    first, second = run("token", "jwt-bearer"), run("token", "jwt-bearer")
    assert sf.token_requests == before + 1
    assert first.out == second.out
    assert first.err == ""
    assert first.out.count("\n") == 1
    assert sf.is_live(first.out.strip())


@pytest.mark.usefixtures("default_env", "measured_programs")
@pytest.mark.parametrize("stderr", ["a pipe that nobody reads", "a full disk", "closed"])
@pytest.mark.parametrize(
    "args", [("token", "password"), ("exec", "password", "--", "echo", "ran"), ("login", "nobody")]
)
def test_a_stderr_that_cannot_be_written_changes_nothing(stderr: str, args: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    if stderr == "a full disk":
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    program = f'exec "{sys.executable}" -c "from kinetic_auth_core.cli import main; main()" "$@"'
    program += " 2>&-" if stderr == "closed" else ""
    done = subprocess.run(
        ["sh", "-c", program, "sh", *args], stdout=subprocess.PIPE, stderr=writing, text=True, timeout=60, check=False
    )
    os.close(writing)
    expected = {"token": (0, "00D"), "exec": (0, "ran"), "login": (2, "")}[args[0]]
    assert (done.returncode, done.stdout[:3]) == expected


@pytest.mark.usefixtures("default_env")
def test_a_fresh_login_replaces_the_stored_session_and_revokes_nothing(run: Run, sf: SalesforceEmulator) -> None:
    old = run("token", "jwt-bearer").out.strip()
    assert run("login", "jwt-bearer", "--fresh").code == 0
    new = run("token", "jwt-bearer").out.strip()
    assert new != old
    assert sf.is_live(old)


@pytest.mark.usefixtures("default_env")
def test_a_fresh_login_that_fails_takes_the_live_session_from_nobody(run: Run, sf: SalesforceEmulator) -> None:
    old = run("token", "jwt-bearer").out
    sf.refuse("invalid_grant", "inactive organization")
    assert run("login", "jwt-bearer", "--fresh").code == 4
    before = sf.token_requests
    assert run("token", "jwt-bearer").out == old
    assert run("status", "jwt-bearer").code == 0
    assert sf.token_requests == before


@pytest.mark.usefixtures("default_env")
def test_the_formats(run: Run, sf: SalesforceEmulator) -> None:
    token = run("token", "jwt-bearer").out.strip()
    assert run("token", "jwt-bearer", "--format", "header").out == f"Authorization: Bearer {token}\n"
    lines = run("token", "jwt-bearer", "--format", "env").out.splitlines()
    assert dict(shlex.split(line)[0].split("=", 1) for line in lines) == {
        "SF_ACCESS_TOKEN": token,
        "SF_INSTANCE_URL": sf.url,
    }
    document = {"access_token": token, "instance_url": sf.url, "expires_at": None}
    assert json.loads(run("token", "jwt-bearer", "--format", "json").out) == document
    assert json.loads(run("token", "jwt-bearer", "--json").out) == document


@pytest.mark.usefixtures("default_env")
def test_where_sessions_are_kept_is_said_once(run: Run) -> None:
    default_folder().rmdir()
    first = run("token", "jwt-bearer")
    assert f"No store is configured: sessions are kept in {default_folder()}" in first.message
    assert default_folder().stat().st_mode & 0o777 == 0o700
    assert run("token", "jwt-bearer").err == ""


@pytest.mark.usefixtures("default_env")
def test_without_a_usable_home_the_session_is_kept_in_memory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "no-folder").write_text("")
    outcome = run("token", "jwt-bearer", env={"HOME": str(tmp_path / "no-folder"), "XDG_STATE_HOME": ""})
    assert outcome.code == 0
    assert outcome.message.startswith("The session is not kept for the next command: ")
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.usefixtures("default_env")
def test_a_refused_password_is_not_sent_again_by_a_loop_of_commands(run: Run, sf: SalesforceEmulator) -> None:
    before = sf.token_requests
    outcomes = [run("token", "password", env={"SF_PASSWORD": "canary-wrong"}) for _ in range(4)]
    assert {each.code for each in outcomes} == {4}
    assert sf.token_requests == before + 1
    assert not any(each.out for each in outcomes)


@pytest.fixture
def environment(default_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment `dev` of a config file, whose password is in a variable of another name."""
    path = Path.cwd() / "kinetic-auth.toml"
    path.write_text('[environments.dev]\nprovider = "password"\npassword = "${ITS_WORD}"\n')
    path.chmod(0o600)
    monkeypatch.setenv("ITS_WORD", default_env["SF_PASSWORD"])
    return "dev"


def test_exec_hands_the_session_on_and_leaves_secrets_out(
    kinetic_auth: Any, environment: str, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROD_SF_CLIENT_SECRET", "canary-other-environment")
    monkeypatch.setenv("SF_STORE_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("SF_PASSPHRASE", "env://ELSEWHERE")
    monkeypatch.setenv("ELSEWHERE", "canary-elsewhere")
    monkeypatch.setenv("HARMLESS", "1")
    outcome = kinetic_auth("exec", "-e", environment, "--", sys.executable, "-c", SHOW)
    assert outcome.returncode == 0, outcome.stderr
    seen = json.loads(outcome.stdout)
    assert sf.is_live(seen["SF_ACCESS_TOKEN"])
    assert (seen["SF_INSTANCE_URL"], seen["SF_API_VERSION"], seen["HARMLESS"]) == (sf.url, "v62.0", "1")
    hidden = {"SF_PASSWORD", "SF_CLIENT_SECRET", "SF_SECURITY_TOKEN", "ITS_WORD", "PROD_SF_CLIENT_SECRET"}
    assert not {*hidden, "SF_STORE_KEY", "SF_PASSPHRASE", "ELSEWHERE"} & seen.keys()
    kept = kinetic_auth("exec", "-e", environment, "--keep-env", "--", sys.executable, "-c", SHOW)
    assert hidden <= json.loads(kept.stdout).keys()


@pytest.mark.parametrize("who", ["dev", "password"])
def test_exec_takes_an_environment_or_a_provider_before_the_mark(
    kinetic_auth: Any, environment: str, sf: SalesforceEmulator, who: str
) -> None:
    outcome = kinetic_auth("exec", who, "--", sys.executable, "-c", SHOW, "--", "x")
    assert outcome.returncode == 0, outcome.stderr
    assert sf.is_live(json.loads(outcome.stdout)["SF_ACCESS_TOKEN"])
    assert kinetic_auth("exec", who, "--").returncode == 2
    wrong = " ".join(kinetic_auth("exec", "nobody", "--", "true").stderr.split())
    assert "no provider 'nobody' is installed" in wrong
    assert "kinetic-auth.toml; it has: dev." in wrong
    assert "the mark" not in wrong


@pytest.mark.parametrize("before", [("-e", "dev"), ("-edev", "--keep-env"), ("--environment=dev",)])
def test_exec_runs_a_command_that_has_a_mark_of_its_own(
    kinetic_auth: Any, environment: str, before: tuple[str, ...]
) -> None:
    outcome = kinetic_auth("exec", *before, "--", "env", "--", sys.executable, "-c", "print('ran')")
    assert (outcome.returncode, outcome.stdout) == (0, "ran\n"), outcome.stderr
    wrong = kinetic_auth("exec", *before, "env", "--", "true")
    assert wrong.returncode == 2
    assert "'env'" in wrong.stderr
    assert "kinetic-auth exec -- env" in " ".join(wrong.stderr.split())


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("words", [("dev", "true"), ("DEV", "sh", "-c", "true"), ("password", "dev", "--", "true")])
def test_exec_without_the_mark_does_not_run_an_environment_or_a_provider(
    kinetic_auth: Any, sf: SalesforceEmulator, words: tuple[str, ...]
) -> None:
    before = sf.token_requests
    wrong = kinetic_auth("exec", *words)
    message = " ".join(wrong.stderr.split())
    assert wrong.returncode == 2
    assert f"put the mark after it: kinetic-auth exec {words[0]} -- {words[1]} ..." in message
    assert sf.token_requests == before


@pytest.mark.usefixtures("environment")
def test_exec_says_where_the_options_stand(kinetic_auth: Any) -> None:
    wrong = kinetic_auth("exec", "dev", "--keep-env", "--", "true")
    assert wrong.returncode == 2
    meant = "put the options before it and the mark after it: kinetic-auth exec --keep-env dev -- true ..."
    assert meant in " ".join(wrong.stderr.split())


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("option", ["--enviroment", "--enviroment=prod", "--enviromnent"])
def test_exec_does_not_run_a_misspelt_option(kinetic_auth: Any, sf: SalesforceEmulator, option: str) -> None:
    before = sf.token_requests
    wrong = kinetic_auth("exec", option, "prod", "--", "true")
    assert wrong.returncode == 2
    assert f"No such option '{option.partition('=')[0]}'" in wrong.stderr
    assert "--environment" in wrong.stderr
    assert sf.token_requests == before
    assert kinetic_auth("exec", "-e", "dev", "--", "--enviroment").returncode == 127


def test_exec_says_nothing_of_a_program_that_is_named_like_the_environment(kinetic_auth: Any) -> None:
    path = Path.cwd() / "kinetic-auth.toml"
    path.write_text('[environments.test]\nprovider = "password"\nlogin_url = "nowhere"\n')
    path.chmod(0o600)
    wrong = kinetic_auth("exec", "test", "--", "env")
    assert wrong.returncode == 2
    assert "login_url" in wrong.stderr
    assert "the mark" not in wrong.stderr


@pytest.mark.parametrize(
    ("dotenv", "password"),
    [
        ("SF_PASSWORD=env://ITS_WORD", None),
        ("SF_PASSWORD=${ITS_WORD}", None),
        ("STEP=${ITS_WORD}\nSF_PASSWORD=${STEP}", None),
        ("STEP=env://ITS_WORD", "${STEP}"),
        ("WHICH=ITS_WORD", "env://${WHICH}"),
        ("", "${NOT_SET:-env://ITS_WORD}"),
        ("", "env://ITS_WORD#password"),
    ],
)
def test_a_variable_that_fills_a_secret_by_way_of_others_is_left_out(
    dotenv: str, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_WORD", "canary-word")
    monkeypatch.setenv("HARMLESS", "1")
    Path("given.env").write_text(dotenv)
    line = f'password = "{password}"\n' if password else ""
    Path("given.toml").write_text(f'[environments.dev]\nprovider = "password"\n{line}')
    hidden = secret_variables(Configuration.load("given.toml", "given.env"))
    assert "ITS_WORD" in hidden
    assert not {"HARMLESS", "HOME", "PATH"} & hidden


def test_the_variable_of_an_observers_secret_is_left_out(publish: Any) -> None:
    source = (
        "import attrs, kinetic_auth_core as kinetic\n@attrs.frozen\nclass Audit:\n"
        "    at: str = kinetic.setting(help='Where.')\n    word: str = kinetic.setting(help='Word.', secret=True)\n"
        "    @kinetic.hookimpl\n    def session_issued(self, session): pass\n"
    )
    publish("acme-audit", "acme-audit", "acme_audit_of_exec:Audit", source, group="observers")
    Path("given.toml").write_text('[observers.acme-audit]\nword = "${AUDIT_WORD}"\nat = "${HOME}/audit"\n')
    hidden = secret_variables(Configuration.load("given.toml", os.devnull))
    assert "AUDIT_WORD" in hidden
    assert "HOME" not in hidden


def test_exec_imports_no_plugin_that_is_not_allowed(publish: Any) -> None:
    publish("acme-other", "acme-other", "acme_other_of_exec:Other", "raise SystemExit('imported')\n")
    Path("given.toml").write_text('allowed_plugins = ["kinetic-auth-password"]\n')
    assert "SF_PASSWORD" in secret_variables(Configuration.load("given.toml", _dotenv("SF_PASSWORD=x")))
    assert "acme_other_of_exec" not in sys.modules


@pytest.mark.parametrize("allowed", ["", 'allowed_plugins = ["kinetic-auth-jwt-bearer"]\n'])
def test_of_an_environment_whose_provider_is_not_known_every_variable_may_be_a_secret(allowed: str) -> None:
    provider = "password" if allowed else "acme-not-installed"
    Path("given.toml").write_text(
        f'{allowed}[environments.dev]\nprovider = "{provider}"\nword = "${{ITS_WORD}}"\nname = ["env://ITS_NAME"]\n'
        '[environments.prod]\nprovider = "jwt-bearer"\nusername = "${ITS_USER}"\n'
    )
    hidden = secret_variables(
        Configuration.load("given.toml", _dotenv("DEV_SF_WORD=x\nPROD_SF_USERNAME=y\nHARMLESS=z\n"))
    )
    assert {"DEV_SF_WORD", "ITS_WORD", "ITS_NAME"} <= hidden
    assert not {"PROD_SF_USERNAME", "ITS_USER", "HARMLESS", "HOME", "PATH"} & hidden


def test_of_an_environment_whose_store_is_not_known_every_variable_may_be_a_secret() -> None:
    Path("given.toml").write_text(
        '[environments.dev]\nprovider = "password"\nstore = { name = "acme-not-installed", word = "${ITS_WORD}" }\n'
        '[environments.prod]\nprovider = "password"\nusername = "${ITS_USER}"\nstore = "memory"\n'
    )
    hidden = secret_variables(Configuration.load("given.toml", _dotenv("DEV_SF_STORE_WORD=x\nPROD_SF_USERNAME=y\n")))
    assert {"DEV_SF_STORE_WORD", "ITS_WORD"} <= hidden
    assert not {"PROD_SF_USERNAME", "ITS_USER"} & hidden


def _dotenv(text: str) -> str:
    Path("given.env").write_text(text)
    return "given.env"


@pytest.mark.usefixtures("environment")
def test_a_dotenv_that_is_a_pipe_is_read_once_for_all(sf: SalesforceEmulator, full_tier: None) -> None:
    """As of `--env-file <(op inject ...)`: what has been read is not there a second time."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"HARMLESS=1\n")
        os.close(writing)
        command = [sys.executable, "-c", "from kinetic_auth_core.cli import main; main()", "exec", "-e", "dev"]
        command += ["--env-file", f"/dev/fd/{reading}", "--", sys.executable, "-c", SHOW]
        done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False, pass_fds=[reading])
    finally:
        os.close(reading)
    assert done.returncode == 0, done.stderr
    assert sf.is_live(json.loads(done.stdout)["SF_ACCESS_TOKEN"])


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(7)", 7), ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM)],
)
def test_exec_gives_the_exit_code_of_its_command(kinetic_auth: Any, code: str, expected: int) -> None:
    assert kinetic_auth("exec", "-e", "dev", sys.executable, "-c", code).returncode == expected


@pytest.mark.usefixtures("environment")
def test_exec_of_what_cannot_be_run_is_127_or_126(kinetic_auth: Any, tmp_path: Path) -> None:
    missing = kinetic_auth("exec", "-e", "dev", "--", "no-such-command-here")
    assert (missing.returncode, missing.stdout) == (127, "")
    assert "no-such-command-here: command not found" in missing.stderr
    (tmp_path / "text").write_text("")
    assert kinetic_auth("exec", "-e", "dev", "--", str(tmp_path / "text")).returncode == 126


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_exec_passes_signals_on(number: signal.Signals, tmp_path: Path) -> None:
    code = (
        "import signal, sys, pathlib\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "signal.pause()\n"
    )
    main = "from kinetic_auth_core.cli import main; main()"
    command = [sys.executable, "-c", main, "exec", "-e", "dev", "--", sys.executable, "-c", code]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(number)
    assert process.wait(30) == 42
