"""Completion in a real shell: commands, options, environments, providers."""

import os
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

pytestmark = pytest.mark.usefixtures("measured_programs")

FILE = """
[environments.prod]
provider = "password"

[environments.preview]
provider = "jwt-bearer"
"""


@pytest.fixture
def bash() -> Callable[..., list[str]]:
    """What bash offers after some words, the last of which is being typed."""

    def complete(*words: str) -> list[str]:
        line = " ".join(map(shlex.quote, ["kinetic-auth", *words]))
        script = (
            'eval "$(kinetic-auth completion bash)" || exit 1\n'
            f"COMP_WORDS=({line}); COMP_CWORD={len(words)}\n"
            "function=$(complete -p kinetic-auth | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
            '$function kinetic-auth\nprintf "%s\\n" "${COMPREPLY[@]}"'
        )
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "PATH": path},
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    return complete


def test_commands_and_those_of_a_group(bash: Callable[..., list[str]]) -> None:
    assert bash("lo") == ["login", "logout"]
    assert bash("config", "") == ["show", "check"]
    assert {"init", "token", "environments", "completion"} <= set(bash(""))


def test_options(bash: Callable[..., list[str]]) -> None:
    assert bash("login", "--fr") == ["--fresh"]
    assert set(bash("--ver")) == {"--version", "--verbose"}
    assert bash("token", "--format", "h") == ["header"]


@pytest.mark.parametrize("words", [("token", "-e"), ("-e",), ("config", "-e"), ("config", "show", "--environment")])
def test_environments_of_the_file_that_counts(bash: Callable[..., list[str]], words: tuple[str, ...]) -> None:
    Path("kinetic-auth.toml").write_text(FILE)
    assert bash(*words, "pr") == ["prod", "preview"]
    assert bash(*words, "x") == []


def test_environments_of_a_file_that_is_named(bash: Callable[..., list[str]]) -> None:
    Path("other.toml").write_text("[environments.staging]\n")
    assert bash("token", "--config", "other.toml", "-e", "") == ["staging"]


def test_providers_and_environments(bash: Callable[..., list[str]]) -> None:
    Path("kinetic-auth.toml").write_text(FILE)
    assert bash("login", "p") == ["prod", "preview", "password"]
    assert bash("init", "--provider", "jwt") == ["jwt-bearer"]


def test_a_file_that_cannot_be_used_offers_nothing_and_says_nothing(bash: Callable[..., list[str]]) -> None:
    Path("kinetic-auth.toml").write_text("[environments.prod\n")
    assert bash("token", "-e", "") == []
    Path("kinetic-auth.toml").write_text(FILE)
    Path("kinetic-auth.toml").chmod(0o666)
    assert bash("token", "-e", "") == []


@pytest.mark.parametrize(("shell", "check"), [("zsh", "zsh -n"), ("fish", "fish --no-execute")])
def test_the_other_shells_get_a_script(run: Run, shell: str, check: str, tmp_path: Path) -> None:
    outcome = run("completion", shell)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"_KINETIC_AUTH_COMPLETE={shell}_complete" in outcome.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(outcome.out)
        subprocess.run([*check.split(), str(tmp_path / "script")], check=True, timeout=30)


def test_another_shell_is_a_usage_error(run: Run) -> None:
    assert run("completion", "tcsh").code == 2
