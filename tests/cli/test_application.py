"""The frame of all commands: help, errors as a block, exit codes, pipes, colours and lazy imports."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import click
import pytest

import kinetic_auth_core.cli as door
from kinetic_auth_core.cli.application import Application, Command
from kinetic_auth_core.cli.commands import cli

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


def failing(error: BaseException) -> Application:
    @click.command("fail", cls=Command)
    def fail() -> None:
        raise error

    return Application("kinetic-auth", commands=[fail])


def test_the_version_is_the_distributions(run: Run) -> None:
    assert run("--version").out == f"kinetic-auth {version('kinetic-auth-core')}\n"


@pytest.mark.parametrize("args", [(), ("config",)])
def test_without_a_command_the_help_is_printed_to_stderr_as_a_usage_error(run: Run, args: tuple[str, ...]) -> None:
    outcome = run(*args)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: kinetic-auth")
    assert "Commands:" in outcome.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("logn",), "No such command 'logn'."),
        (("login", "--tokn"), "--tokn"),
        (("emulator", "--port", "99999"), "Invalid value for '--port': 99999 is not in the range 0<=x<=65535."),
    ],
)
def test_a_wrong_command_line_is_reported_with_the_help_command(run: Run, args: tuple[str, ...], message: str) -> None:
    outcome = run(*args)
    command = "kinetic-auth login" if "login" in args else "kinetic-auth"
    assert (outcome.code, outcome.out) == (2, "")
    assert message.rstrip(".") in outcome.message
    assert f"Remedy: {command}" in outcome.message
    assert "--help shows its options." in outcome.message
    assert "Traceback" not in outcome.err


def test_a_click_error_without_a_command_is_a_usage_error(run: Run) -> None:
    outcome = run("fail", program=failing(click.FileError("x.toml", "no such file")))
    assert outcome.code == 2
    assert "Could not open file 'x.toml': no such file Remedy: kinetic-auth --help" in outcome.message


def test_an_unexpected_error_hints_at_debug_and_quotes_nothing(run: Run) -> None:
    outcome = run("fail", program=failing(KeyError("canary-value")))
    assert outcome.code == 6
    assert (
        outcome.message
        == "Error: unexpected error: KeyError. Remedy: Run it again with --debug to see where it happened."
    )


def test_an_error_of_the_system_says_which_file_and_why(run: Run) -> None:
    outcome = run("fail", program=failing(OSError(28, "No space left on device", "/tmp/x")))
    assert outcome.code == 6
    assert "OSError: [Errno 28] No space left on device: '/tmp/x'" in outcome.message


@pytest.mark.parametrize("args", [("--debug", "fail"), ("fail", "--debug")])
def test_debug_shows_the_traceback_before_the_block(run: Run, args: tuple[str, ...]) -> None:
    outcome = run(*args, program=failing(KeyError("x")))
    assert outcome.code == 6
    trace, _, block = outcome.err.partition("\nError: ")
    assert "Traceback (most recent call last)" in trace
    assert "raise error" in trace
    assert " ".join(block.split()) == "unexpected error: KeyError. Remedy: Report this, with the traceback above."


def test_an_interrupt_ends_as_shells_expect(run: Run) -> None:
    outcome = run("fail", program=failing(KeyboardInterrupt()))
    assert outcome.code == 130
    assert outcome.err.strip() == ""


def test_a_command_that_ends_the_process_keeps_its_code(run: Run) -> None:
    assert run("fail", program=failing(SystemExit(17))).code == 17


@contextlib.contextmanager
def closed_pipe(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stream whose reader has closed it."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, name, stream)
    yield
    with contextlib.suppress(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize("args", [("providers",), ("--help",)])
def test_a_closed_stdout_is_not_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: tuple[str, ...]
) -> None:
    with closed_pipe("stdout", monkeypatch), pytest.raises(SystemExit) as stop:
        cli.main(list(args))
    assert stop.value.code == 0
    assert capsys.readouterr().err == ""


def test_a_closed_stderr_does_not_change_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_pipe("stderr", monkeypatch), pytest.raises(SystemExit) as stop:
        cli.main(["login"])
    assert stop.value.code == 2


@pytest.mark.usefixtures("full_tier")
def test_a_pipe_into_head_is_quiet() -> None:
    script = (
        f'set -o pipefail; "{sys.executable}" -c "from kinetic_auth_core.cli import main; main()" providers jwt-bearer'
    )
    done = subprocess.run(
        ["bash", "-c", f"{script} | head -n 1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("jwt-bearer, of kinetic-auth-jwt-bearer")
    assert done.stderr == ""


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch, terminal: Run) -> None:
    def error_on_terminal() -> Any:
        return terminal("stderr", ["login", "--set", "x"])

    assert "\x1b[31m\x1b[1mError:\x1b[0m --set takes name=value" in error_on_terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    assert error_on_terminal().startswith("Error: --set takes name=value")


def test_a_table_on_a_terminal_fits_its_width(monkeypatch: pytest.MonkeyPatch, terminal: Run) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    shown = terminal("stdout", ["providers", "jwt-bearer"])
    assert "\x1b[1mvariable" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    plain = terminal("stdout", ["providers", "jwt-bearer"])
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 70
    assert "[" not in plain or "[/" not in plain


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the program with one of its streams on a terminal; what the terminal got."""
    pty = pytest.importorskip("pty")

    def call(name: str, args: list[str]) -> str:
        outer, inner = pty.openpty()
        with os.fdopen(inner, "w") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, name, stream)
            with contextlib.suppress(SystemExit):
                cli.main(args)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while piece := os.read(outer, 65536):
                shown += piece
        os.close(outer)
        return shown.decode().replace("\r\n", "\n")

    return call


def test_main_runs_the_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["kinetic-auth", "--version"])
    with pytest.raises(SystemExit) as stop:
        door.main()
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("kinetic-auth ")


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    for name in [each for each in sys.modules if each.startswith("kinetic_auth_core.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as stop:
        door.main()
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", f'kinetic-auth needs {missing}: pip install "kinetic-auth-core[cli]"\n')


def test_another_missing_module_is_not_reported_as_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [each for each in sys.modules if each.startswith("kinetic_auth_core.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kinetic_auth_core.cli.login", None)
    with pytest.raises(ModuleNotFoundError, match=r"kinetic_auth_core\.cli\.login"):
        door.main()


def test_an_interrupt_while_loading_has_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "kinetic_auth_core.cli.commands":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "kinetic_auth_core.cli.commands")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as stop:
        door.main()
    assert stop.value.code == 130


def test_heavy_modules_are_imported_only_by_the_commands_that_need_them(python: Run) -> None:
    outcome = python(
        "import json, sys\n"
        "heavy = {'requests', 'jose', 'cryptography', 'werkzeug', 'rich', 'kinetic_auth_core.testing'}\n"
        "import kinetic_auth_core.cli\n"
        "at_the_door = sorted((heavy | {'click'}) & set(sys.modules))\n"
        "import kinetic_auth_core.cli.commands\n"
        "print(json.dumps([at_the_door, sorted(heavy & set(sys.modules))]))"
    )
    assert json.loads(outcome.out) == [[], []]
