"""The command line as a user sees it: arguments in; stdout, stderr and an exit code out."""

import contextlib
import importlib
import importlib.metadata
import logging
import os
import re
import secrets
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from click.testing import CliRunner

from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.stores.file import default_folder
from kinetic_auth_core.stores.private_folder import PrivateFolder
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair

CANARIES = {
    "SF_CLIENT_SECRET": "canary-client-secret",
    "SF_PASSWORD": "canary-pass&word+100%",
    "SF_SECURITY_TOKEN": "canary-security-token",
}


@attrs.frozen
class Outcome:
    """The result of one run of the program."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """Stderr in one line."""
        return " ".join(self.err.split())

    @property
    def table(self) -> dict[str, list[str]]:
        """Stdout's aligned lines: the other cells by the first one."""
        lines = (re.split(r" {2,}", line) for line in self.out.splitlines() if line)
        return {first: rest for first, *rest in lines}

    def has_no_secret(self, *more: str) -> bool:
        """Whether no secret was printed."""
        printed = self.out + self.err
        return not re.search(r"00D\w{12}!|eyJ|PRIVATE KEY-----\n", printed) and not any(
            secret in printed for secret in [*CANARIES.values(), *more]
        )


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True, scope="session")
def _installed_packages_read_once() -> Iterator[None]:
    """Read the metadata of site-packages once, and that of a test's own distributions each time.

    Each command looks for plugins several times, which took most of the time of these tests.
    """
    installed = Path(sysconfig.get_path("purelib"))
    seen: dict[tuple[Path, str], Any] = {}

    def remembered(name: str) -> property:
        get = getattr(importlib.metadata.PathDistribution, name).fget

        def look(distribution: Any) -> Any:
            path = distribution._path
            if not isinstance(path, Path) or path.parent != installed:
                return get(distribution)
            if (path, name) not in seen:
                seen[path, name] = get(distribution)
            return seen[path, name]

        return property(look)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("entry_points", "metadata"):
            patch.setattr(importlib.metadata.PathDistribution, name, remembered(name))
        yield


@pytest.fixture(autouse=True)
def _ordinary_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _clean_place: None) -> Iterator[None]:
    """No colours, temporary files in the test's folder, sessions kept before, and logging restored afterwards."""
    PrivateFolder(default_folder()).make()
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder for temporary files, empty at first."""
    return tmp_path / "temporary"


@pytest.fixture
def run() -> Run:
    """The program, in this process."""

    def call(*args: str, program: click.Command = cli, env: Mapping[str, str] | None = None) -> Outcome:
        result = CliRunner().invoke(program, args, prog_name="kinetic-auth", env=env)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def python(measured_programs: None) -> Run:
    """A separate Python process."""

    def call(code: str, *args: str, env: Mapping[str, str] | None = None) -> Outcome:
        command = [sys.executable, "-W", "error", "-c", code, *args]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(env or {})}
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@attrs.frozen
class Shown:
    """The result of one run of the program on a terminal.

    Attributes:
        code: The exit code.
        out: Stdout, where it is a pipe; what the terminal showed otherwise.
        terminal: What the terminal showed.
    """

    code: int
    out: str
    terminal: str


@pytest.fixture
def on_terminal(measured_programs: None) -> Callable[..., Shown]:
    """The program in a process whose stdin and stderr are a terminal, with typed answers."""
    pty = pytest.importorskip("pty")

    def call(*args: str, answers: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> Shown:
        outer, inner = pty.openpty()
        program = [sys.executable, "-c", "from kinetic_auth_core.cli import main; main()", *args]
        process = subprocess.Popen(
            program, stdin=inner, stdout=subprocess.PIPE, stderr=inner, env={**os.environ, **(env or {})}
        )
        os.close(inner)
        os.write(outer, "".join(f"{answer}\n" for answer in answers).encode())
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while piece := os.read(outer, 65536):
                shown += piece
        os.close(outer)
        assert process.stdout is not None
        with process.stdout:
            out = process.stdout.read().decode()
        return Shown(process.wait(timeout=30), out, shown.decode())

    return call


@pytest.fixture
def canary(sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user whose secrets are known, with the variables that log in as them; the username."""
    username = f"canary-{secrets.token_hex(4)}@acme.example"
    user = sf.add_user(username, CANARIES["SF_PASSWORD"], CANARIES["SF_SECURITY_TOKEN"])
    app = sf.add_app(client_secret=CANARIES["SF_CLIENT_SECRET"], preauthorised=[user.username], scopes=["api", "id"])
    variables = {"SF_CLIENT_ID": app.client_id, "SF_USERNAME": username, "SF_LOGIN_URL": sf.url, **CANARIES}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return username


@pytest.fixture
def default_env(sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that log in to the emulator by either provider."""
    for name, value in sf.env().items():
        monkeypatch.setenv(name, value)
    return sf.env()


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a distribution with one plugin, as pip does."""
    modules = set()

    def install(distribution: str, provider: str, target: str, source: str = "", group: str = "authenticators") -> None:
        site = tmp_path / "site"
        info = site / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[kinetic_auth.{group}]\n{provider} = {target}\n")
        modules.add(module := target.partition(":")[0])
        (site / f"{module}.py").write_text(source)
        if str(site) not in sys.path:
            monkeypatch.setattr(sys, "path", [str(site), *sys.path])
        importlib.invalidate_caches()

    yield install
    for module in modules:
        sys.modules.pop(module, None)  # another test may publish one of the same name


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture
def folder(keys: KeyPair) -> Path:
    """The working directory, with a key and its certificate."""
    Path("server.key").write_text(keys.private_key_pem)
    Path("server.crt").write_text(keys.certificate_pem)
    return Path()
