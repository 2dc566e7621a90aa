"""What the docs print works: Python blocks run against the emulator, config files resolve, commands are understood.

A page is read top to bottom. A block that begins with a file's name as a comment is that file; the Python blocks share
one namespace, as a reader's session would. `<!-- not run: why -->` above a block exempts it.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

import kinetic_auth_core as kinetic
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.config.environment import Variables
from kinetic_auth_core.config.files import load_config

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(path for path in (ROOT / "docs").glob("**/*.md") if path.parent.name != "providers"),  # those are copies
    *sorted(ROOT.glob("providers/*/README.md")),
    *sorted(ROOT.glob("providers/*/docs.md")),
    ROOT / "README.md",
]

_FENCE = re.compile(r"^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FIXTURES = "kinetic_auth_core.testing.pytest_plugin"
_PROGRAM = Path(sysconfig.get_path("scripts")) / "kinetic-auth"


@attrs.frozen
class Block:
    """A fenced block of a page; `line` is that of its text, from 1, `note` the HTML comment right above it."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def file_name(self) -> str | None:
        """The name of the block's file, if its first line is a comment with only a name."""
        named = re.match(r"# ([\w-]*\.\w+)\n", self.text)
        return named[1] if named else None


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of these languages, top to bottom."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        note = re.search(r"<!-- (.*) -->\n+\Z", before)
        if match["language"] in languages:
            found.append(Block(page, before.count("\n") + 2, match["language"], match["text"], note[1] if note else ""))
    return found


def pages_with(*languages: str) -> list[Any]:
    """The pages that have such a block, as parameters."""
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page, *languages)]


@pytest.mark.parametrize("page", pages_with("python", "pycon"))
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path, fill: Callable[[str], str]) -> None:
    reader: dict[str, Any] = {"__name__": "reader"}
    for block in blocks(page, "python", "pycon", "toml", "ini"):
        text = fill(block.text)
        if block.note.startswith("not run: "):
            continue
        if block.file_name:
            Path(block.file_name).write_text(text)
            Path(block.file_name).chmod(0o600)
        elif block.language == "pycon":
            check_session(text, block, reader)
        elif block.language == "python":
            # Blank lines before it, so that a traceback has the page's own line.
            exec(compile("\n" * (block.line - 1) + text, page, "exec"), reader)  # noqa: S102 - the docs are ours
    if list(Path.cwd().glob("test_*.py")):
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
            capture_output=True, text=True, check=False,
            # Our fixtures and no others, as in a reader's project.
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": FIXTURES},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout


def check_session(text: str, block: Block, reader: dict[str, Any]) -> None:
    """Compare what an interactive session prints with what the page shows; `...` stands for anything."""
    test = doctest.DocTestParser().get_doctest(text, reader, str(block.page), str(block.page), block.line - 1)
    assert test.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    printed = io.StringIO()
    runner.run(test, out=printed.write, clear_globs=False)
    reader.update(test.globs)
    assert runner.failures == 0, printed.getvalue()


@pytest.mark.parametrize("page", pages_with("toml"))
def test_every_toml_block_is_toml_and_every_config_file_resolves(page: Path, fill: Callable[[str], str]) -> None:
    for block in blocks(page, "toml"):
        document = tomllib.loads(block.text)
        ours = document.get("tool", {}).get("kinetic-auth", document)
        path = Path("kinetic-auth.toml" if ours is document else "pyproject.toml")
        path.write_text(fill(block.text))
        if "environments" not in ours:
            assert "project" in document or load_config(path, Variables(())).allowed.tables
            continue
        for environment in ours["environments"]:
            with kinetic.resolve(environment=environment, config=path) as source:
                assert source.provider == ours["environments"][environment]["provider"]


@pytest.mark.parametrize("page", pages_with("console"))
def test_every_command_of_a_page_can_be_parsed(page: Path) -> None:
    for block in blocks(page, "console"):
        for line in re.findall(r"^(?:\S+/)?kinetic-auth (.*)", block.text, re.MULTILINE):
            words = shlex.split(re.split(r" (?:[>|&#]|-- )", line)[0])
            asked = CliRunner().invoke(cli, [*words, "--help"], prog_name="kinetic-auth")
            assert asked.exit_code == 0, f"{page.name}: {line}\n{asked.stderr}"
            assert asked.stdout.startswith("Usage: kinetic-auth")


@pytest.mark.parametrize("page", [ROOT / "docs" / "getting-started.md"], ids=lambda page: page.name)
def test_the_first_steps_of_the_shell_run_unchanged(page: Path) -> None:
    steps = [block.text for block in blocks(page, "console") if "pip install" not in block.text]
    assert steps
    script = "\n".join(steps).replace(". .venv/bin/activate", f"export PATH={shlex.quote(str(_PROGRAM.parent))}:$PATH")
    ours = {name: value for name, value in os.environ.items() if "SF_" not in name}
    ran = subprocess.run(
        ["bash", "-e", "-c", f"{script}\nwait"], capture_output=True, text=True, check=False, timeout=90, env=ours
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^org_id +00D", ran.stdout, re.MULTILINE), ran.stdout


def try_it_steps(page: Path) -> str:
    """The commands of a provider's section "Try it without an org", but for the installation."""
    section = page.read_text("utf-8").partition("\n## Try it without an org\n")[2].partition("\n## ")[0]
    steps = [match["text"] for match in _FENCE.finditer(section) if match["language"] == "console"]
    return "".join(step for step in steps if "pip install" not in step)


TRY_IT = [pytest.param(page, id=page.parent.name) for page in PAGES if page.name == "docs.md" and try_it_steps(page)]


@pytest.mark.parametrize("page", TRY_IT)
def test_the_commands_of_a_providers_page_print_a_session(page: Path, tmp_path: Path) -> None:
    programs = os.pathsep.join([str(_PROGRAM.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {name: value for name, value in os.environ.items() if "SF_" not in name}
    (tmp_path / "reader").mkdir()
    ran = subprocess.run(
        ["bash", "-e", "-c", f"{try_it_steps(page)}\nwait"],
        capture_output=True, text=True, check=False, timeout=100, env={**ours, "PATH": programs},
        cwd=tmp_path / "reader",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^org_id +00D", ran.stdout, re.MULTILINE), ran.stdout


def test_each_grant_of_ours_has_such_commands() -> None:
    assert {"client-credentials", "jwt-bearer", "password", "access-token", "sf-cli"} <= {each.id for each in TRY_IT}


def test_the_output_of_a_session_is_compared() -> None:
    block = Block(Path("page.md"), 1, "pycon", ">>> 1 + 1\n3\n", "")
    with contextlib.suppress(AssertionError):
        check_session(block.text, block, {})
        pytest.fail("a wrong output was taken")
