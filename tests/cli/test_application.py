"""The frame of all commands: help, errors as a block, exit codes, pipes, colours and lazy imports."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
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
        (("logn",), "No such command 'logn'. Did you mean 'login'?"),
        (("config", "chekc"), "No such command 'chekc'. Did you mean 'check'?"),
        (("login", "--tokn"), "--tokn"),
        (("emulator", "--port", "99999"), "Invalid value for '--port': 99999 is not in the range 0<=x<=65535."),
    ],
)
def test_a_wrong_command_line_is_reported_with_the_help_command(run: Run, args: tuple[str, ...], message: str) -> None:
    outcome = run(*args)
    group = {"login", "config"} & set(args)
    command = " ".join(["kinetic-auth", *group])
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


def test_the_choices_of_a_missing_argument_are_in_one_line(run: Run) -> None:
    assert "Choose from: bash, zsh, fish\n" in run("completion").err


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


@pytest.mark.parametrize(
    ("args", "code"), [(("config", "check"), 2), (("config", "check", "--json"), 2), (("status", "password"), 9)]
)
@pytest.mark.usefixtures("default_env")
def test_a_closed_stdout_does_not_change_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: int
) -> None:
    Path("kinetic-auth.toml").write_text('[environments.dev]\nprovider = "password"\nlogin_url = "nowhere"\n')
    if args[0] == "config":
        monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "dev")
    with closed_pipe("stdout", monkeypatch), pytest.raises(SystemExit) as stop:
        cli.main(list(args))
    assert stop.value.code == code


def test_a_closed_stderr_does_not_change_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_pipe("stderr", monkeypatch), pytest.raises(SystemExit) as stop:
        cli.main(["login"])
    assert stop.value.code == 2


@pytest.mark.parametrize(("args", "code"), [(("providers",), 0), (("--help",), 0), (("login", "--json"), 2)])
def test_a_stdout_that_is_missing_is_the_null_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: int
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it if the descriptor is closed
    with pytest.raises(SystemExit) as stop:
        cli.main(list(args))
    assert stop.value.code == code
    assert "unexpected" not in capsys.readouterr().err
    sys.stdout.close()


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
    monkeypatch.setitem(sys.modules, "kinetic_auth_core.cli.application", None)
    with pytest.raises(ModuleNotFoundError, match=r"kinetic_auth_core\.cli\.application"):
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


HEAVY = {"attrs", "cryptography", "dotenv", "jose", "pluggy", "requests", "stevedore", "urllib3", "werkzeug"}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy_and_no_provider(python: Run, option: str) -> None:
    outcome = python(
        "import sys, kinetic_auth_core.cli as cli\n"
        f"sys.argv = ['kinetic-auth', {option!r}]\n"
        "try:\n    cli.main()\n"
        "except SystemExit:\n    print(*sys.modules, file=sys.stderr)"
    )
    loaded = {name.partition(".")[0] for name in outcome.err.split()}
    assert "click" in loaded
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("kinetic_auth")} == {"kinetic_auth_core"}


@pytest.mark.parametrize("args", [("providers", "--help"), ("config", "show", "--help"), ("token", "--help")])
def test_the_help_of_a_command_loads_no_client_and_no_cryptography(python: Run, args: tuple[str, ...]) -> None:
    outcome = python(
        "import sys, kinetic_auth_core.cli as cli\n"
        "sys.argv[0] = 'kinetic-auth'\n"
        "try:\n    cli.main()\n"
        "except SystemExit:\n    print(*sys.modules, file=sys.stderr)",
        *args,
    )
    loaded = {name.partition(".")[0] for name in outcome.err.split()}
    assert not loaded & {"requests", "jose", "cryptography", "werkzeug", "lark"}
    assert {name for name in loaded if name.startswith("kinetic_auth")} == {"kinetic_auth_core"}


def all_commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))


COMMANDS = dict(all_commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example_of_that_command(run: Run, path: tuple[str, ...]) -> None:
    outcome = run(*path, "--help")
    examples = outcome.out.partition("\nExamples:\n")[2].partition("\n\n")[0]
    assert f"kinetic-auth {' '.join(path)}" in examples


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_example_is_a_command_line_that_can_be_parsed(run: Run, path: tuple[str, ...]) -> None:
    lines = [line for example in COMMANDS[path].examples for line in example.splitlines()]
    calls = [call for line in lines for call in re.findall(r"kinetic-auth ([^)>|&#;]*)", line.partition(" -- ")[0])]
    assert calls
    for call in calls:
        outcome = run(*shlex.split(call), "--help")
        assert (outcome.code, outcome.out[:19]) == (0, "Usage: kinetic-auth"), call


def test_the_help_of_a_command_lists_its_own_exit_codes(run: Run) -> None:
    section = run("token", "--help").out.partition("\nExit codes:\n")[2]
    assert [line.split()[0] for line in section.splitlines()] == ["0", "2", "3", "4", "5"]
    assert " 9  there is no live session" in run("status", "--help").out
    assert "Exit codes:\n  0  done\n  2  " in run("config", "show", "--help").out


@pytest.mark.parametrize(
    ("variables", "is_colored"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"CLICOLOR": "0"}, False),
        ({"CLICOLOR": "0", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_variables_say_whether_a_terminal_gets_colours(
    monkeypatch: pytest.MonkeyPatch, terminal: Run, variables: dict[str, str], is_colored: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in terminal("stderr", ["login", "--set", "x"])) is is_colored


@pytest.mark.parametrize(("value", "is_colored"), [("1", True), ("0", False)])
def test_colours_can_be_forced_into_a_pipe(run: Run, value: str, is_colored: bool) -> None:
    assert ("\x1b[" in run("login", "--set", "x", env={"CLICOLOR_FORCE": value}).err) is is_colored
