"""`kinetic-auth demo`: shows what the library does, with an emulated org on this machine."""

import contextlib
import os
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.emulator import load_testing
from kinetic_auth_core.cli.error_output import error_block
from kinetic_auth_core.cli.output import emit, emit_table, styled, wrapped
from kinetic_auth_core.errors import AuthenticationError
from kinetic_auth_core.redaction import MASK
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, find
from kinetic_auth_core.resolution.resolver import resolve
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource

_QUERY = "SELECT Name FROM Account LIMIT 2"
# Variables that could change the demo's logins.
_AMBIENT = re.compile(r"(.*_)?SF_.*|ENVIRONMENT|KINETIC_AUTH_.*|.*_PROXY|(REQUESTS|CURL)_CA_BUNDLE", re.IGNORECASE)

_CONFIG = """\
default_environment = "dev"

[defaults]
login_url = "{url}"
client_id = "{client_id}"

[environments.dev]             # a user's password; the secrets are in .env
provider = "password"
username = "dev@acme.example"
password = "${{DEV_PASSWORD}}"

[environments.prod]            # a signed assertion; no password, no secret on the wire
provider = "jwt-bearer"
username = "integration@acme.example"
private_key_path = "server.key"
"""


@click.command(cls=Command)
def demo() -> None:
    """Show each step from a config file to a REST call, with an emulated org on this machine.

    It takes a few seconds. Nothing leaves the machine. Your SF_* variables, config and .env files are not read. Needs
    the extra "testing" and the providers "password" and "jwt-bearer".
    """
    for provider in ("password", "jwt-bearer"):
        find(AUTHENTICATORS, provider)
    with stage() as built:
        _Story(built).tell()
    emit("\nThe emulator and its files are gone. Continue with your own org:")
    emit(
        _indented(
            f"{program()} providers jwt-bearer   # its settings",
            f"{program()} config show jwt-bearer",
            f"{program()} login jwt-bearer",
        )
    )


def program() -> str:
    """What to type for this command: its name if the shell finds it, else its path."""
    installed = Path(sysconfig.get_path("scripts")) / "kinetic-auth"
    if shutil.which("kinetic-auth") or not installed.is_file():
        return "kinetic-auth"
    here = Path.cwd()
    return str(installed.relative_to(here) if installed.is_relative_to(here) else installed)


@attrs.frozen
class Stage:
    """An emulated org and the files of a deployment.

    Attributes:
        org: The emulator, running.
        folder: The deployment's folder: `kinetic-auth.toml`, `.env`, `server.key`, `server.crt`, `other.key`.
    """

    org: Any
    folder: Path

    @property
    def config(self) -> Path:
        """The config file."""
        return self.folder / "kinetic-auth.toml"

    @property
    def env_file(self) -> Path:
        """The `.env` file."""
        return self.folder / ".env"

    def masked_env(self) -> str:
        """The `.env` file's text with its values masked."""
        return re.sub(r"=.*", f"={MASK}", self.env_file.read_text("utf-8"))

    def short(self, text: object) -> Any:
        """Text with paths relative to the folder; anything else unchanged."""
        return text.replace(f"{self.folder}{os.sep}", "") if isinstance(text, str) else text


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Set everything up, and remove it afterwards.

    Raises:
        ConfigurationError: The extra `testing` is not installed.
    """
    testing = load_testing()
    with (
        _without_ambient_variables(),
        tempfile.TemporaryDirectory(prefix="kinetic-auth-demo-") as folder,
        testing.SalesforceEmulator() as org,
    ):
        built = Stage(org, Path(folder).resolve())
        _set_up(built, testing.new_key_pair(), testing.new_key_pair())
        yield built


def _set_up(built: Stage, keys: Any, other_keys: Any) -> None:
    """Add two users who are approved for one app and a third who is not; write the deployment's files."""
    dev = built.org.add_user("dev@acme.example")
    integration = built.org.add_user("integration@acme.example")
    built.org.add_user("newcomer@acme.example")
    app = built.org.add_app(
        "3MVG9.ConsumerKeyOfTheDemo",
        certificates=[keys.certificate_pem],
        preauthorised=[dev.username, integration.username],
        scopes=["api", "id"],
    )
    _write(built.folder / "server.key", keys.private_key_pem)
    _write(built.folder / "server.crt", keys.certificate_pem)
    _write(built.folder / "other.key", other_keys.private_key_pem)
    _write(built.config, _CONFIG.format(url=built.org.url, client_id=app.client_id))
    _write(
        built.env_file,
        f"DEV_PASSWORD={dev.password}\n"
        f"DEV_SF_SECURITY_TOKEN={dev.security_token}\n"
        f"DEV_SF_CLIENT_SECRET={app.client_secret}\n",
    )


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")


@contextlib.contextmanager
def _without_ambient_variables() -> Iterator[None]:
    """Remove variables that would change a login from the process's environment, temporarily."""
    before = dict(os.environ)
    for name in [*filter(_AMBIENT.fullmatch, before), "DEV_PASSWORD"]:
        os.environ.pop(name, None)
    os.environ["NO_PROXY"] = "127.0.0.1"  # not even the proxy of the system settings
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@attrs.define
class _Story:
    stage: Stage
    _chapters: int = attrs.field(default=0, init=False)

    def tell(self) -> None:
        """Print the whole story."""
        self._org()
        self._deployment()
        dev, prod = self._resolve("dev"), self._resolve("prod")
        with dev, prod:
            self._sessions(dev, prod)
            self._explain(dev)
        self._errors()

    def _org(self) -> None:
        org = self.stage.org
        self._chapter("An org to log in to")
        emit(f"A Salesforce emulator runs at {org.url} (org {org.org_id}).")
        emit("Like Salesforce, it checks signature, audience, password, security token and approval.")
        emit("A new RSA key is in server.key; its certificate, server.crt, is uploaded to the connected app.")

    def _deployment(self) -> None:
        self._chapter("The deployment's part: kinetic-auth.toml, and .env for the secrets")
        self._code(*self.stage.config.read_text("utf-8").splitlines())
        emit("")
        self._code(*self.stage.masked_env().splitlines())

    def _sessions(self, *sources: SessionSource) -> None:
        self._chapter("The app's part: the same lines for every environment")
        self._code(
            "import kinetic_auth_core as kinetic",
            "",
            'source = kinetic.resolve(environment="dev")   # then "prod"',
            "session = source.session()                    # one login, shared by all threads",
            "",
            f'query = {{"q": "{_QUERY}"}}',
            'requests.get(f"{session.base_url}/query", params=query, headers=session.auth_header)',
        )
        emit("")
        emit_table(
            ("environment", "provider", "logged in as", "login", "accounts, by REST"), [_row(each) for each in sources]
        )
        emit("\nThe session's repr, which may end up in a log, has no token:")
        self._code(*wrapped(repr(sources[-1].session())).splitlines())

    def _explain(self, source: SessionSource) -> None:
        self._chapter("Where dev's settings come from: source.explain()")
        rows = [row for row in source.explain() if row.source != "default"]
        emit_table(
            ("setting", "value", "source"),
            [(row.name, self.stage.short(row.value), self.stage.short(row.source)) for row in rows],
        )
        emit(f"... and {len(source.explain()) - len(rows)} at their defaults.")

    def _errors(self) -> None:
        self._chapter("When a login fails: what happened, where, and what to do")
        self._failure(
            "A user who is not approved for the app:",
            'kinetic.resolve(environment="prod", username="newcomer@acme.example").session()',
            self._resolve("prod", username="newcomer@acme.example"),
        )
        self._failure(
            "A key that does not belong to the uploaded certificate:",
            'kinetic.resolve(environment="prod", private_key_path="other.key").session()',
            self._resolve("prod", private_key_path=str(self.stage.folder / "other.key")),
        )

    def _failure(self, title: str, code: str, source: SessionSource) -> None:
        emit(f"\n{title}")
        self._code(code)
        with source:
            try:
                source.session()
            except AuthenticationError as error:
                emit(f"{type(error).__name__}\n{error_block(error.message, error.remedy)}")

    def _resolve(self, environment: str, **settings: str) -> SessionSource:
        return resolve(environment=environment, config=self.stage.config, env_file=self.stage.env_file, **settings)

    def _chapter(self, title: str) -> None:
        self._chapters += 1
        emit(("\n" if self._chapters > 1 else "") + styled(f"{self._chapters}. {title}", sys.stdout, bold=True))

    def _code(self, *lines: str) -> None:
        emit(_indented(*lines))


def _indented(*lines: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in lines)


def _row(source: SessionSource) -> tuple[str | None, ...]:
    """Log in and make a REST call."""
    import requests  # noqa: F401 - loaded now, so that only the login is timed

    began = time.perf_counter()
    session = source.session()
    duration_ms = (time.perf_counter() - began) * 1000
    return source.environment, source.provider, session.username, f"{duration_ms:.0f} ms", _names(session)


def _names(session: SalesforceSession) -> str:
    """The names in the query's result."""
    import requests

    with requests.Session() as client:
        client.trust_env = False  # a ~/.netrc would replace the token with its own credentials
        response = client.get(
            f"{session.base_url}/query", params={"q": _QUERY}, headers=session.auth_header, timeout=10
        )
    response.raise_for_status()
    return ", ".join(record["Name"] for record in response.json()["records"])
