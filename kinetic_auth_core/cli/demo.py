"""`kinetic-auth demo`: the product within a minute, on this machine alone."""

import shutil
import sys
import sysconfig
import time
from pathlib import Path

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.demo_stage import Stage, stage
from kinetic_auth_core.cli.diagnostics import error_block
from kinetic_auth_core.cli.output import emit, emit_table, styled, wrapped
from kinetic_auth_core.errors import AuthenticationError
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, find
from kinetic_auth_core.resolution.resolver import resolve
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource

_QUERY = "SELECT Name FROM Account LIMIT 2"


@click.command(cls=Command, short_help="See it all work: config, logins, REST calls, errors.")
def demo() -> None:
    """Show the whole way from a config file to a REST call, against an emulated org on this machine.

    It takes a few seconds. Nothing leaves the machine, and nothing of yours is read: neither SF_* variables nor your
    config and .env files. Needs the extra "testing" and the providers "password" and "jwt-bearer".
    """
    for provider in ("password", "jwt-bearer"):
        find(AUTHENTICATORS, provider)
    with stage() as built:
        _Story(built).tell()
    emit("\nThe emulator and its files are gone. On with your own org:")
    emit(
        _indented(
            f"{program()} providers jwt-bearer   # its settings",
            f"{program()} config show jwt-bearer",
            f"{program()} login jwt-bearer",
        )
    )


def program() -> str:
    """What to type for this command: its name alone where the shell finds it, else where it is installed."""
    installed = Path(sysconfig.get_path("scripts")) / "kinetic-auth"
    if shutil.which("kinetic-auth") or not installed.is_file():
        return "kinetic-auth"
    here = Path.cwd()
    return str(installed.relative_to(here) if installed.is_relative_to(here) else installed)


@attrs.define
class _Story:
    stage: Stage
    _chapters: int = attrs.field(default=0, init=False)

    def tell(self) -> None:
        """Print it all."""
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
        emit("Like Salesforce it checks signature, audience, password, security token and approval.")
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
        emit("\nThe session's repr, as it may turn up in a log, has no token:")
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
            "A user whom nobody has approved for the app:",
            'kinetic.resolve(environment="prod", username="newcomer@acme.example").session()',
            self._resolve("prod", username="newcomer@acme.example"),
        )
        self._failure(
            "A key that is not that of the uploaded certificate:",
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
    import requests  # noqa: F401 - loaded now, so that the time is the login's

    began = time.perf_counter()
    session = source.session()
    duration_ms = (time.perf_counter() - began) * 1000
    return source.environment, source.provider, session.username, f"{duration_ms:.0f} ms", _names(session)


def _names(session: SalesforceSession) -> str:
    """The names that the query gives."""
    import requests

    with requests.Session() as client:
        client.trust_env = False  # a ~/.netrc would put its own credentials in place of the token
        answer = client.get(f"{session.base_url}/query", params={"q": _QUERY}, headers=session.auth_header, timeout=10)
    answer.raise_for_status()
    return ", ".join(record["Name"] for record in answer.json()["records"])
