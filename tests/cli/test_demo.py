"""`kinetic-auth demo`: its story, independent of the machine's settings."""

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core import ConfigurationError
from kinetic_auth_core.cli.demo import program, stage

pytestmark = pytest.mark.usefixtures("full_tier")

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


def test_shows_the_way_from_a_config_file_to_rest_calls_and_remedies(run: Run, temporary: Path) -> None:
    outcome = run("demo")
    assert outcome.code == 0
    printed = " ".join(outcome.out.split())
    for part in (
        '[environments.dev] # a user\'s password; the secrets are in .env provider = "password"',
        'provider = "jwt-bearer"',
        "DEV_PASSWORD=********",
        'source = kinetic.resolve(environment="dev")',
        "CredentialsRejectedError",
        "invalid_app_access: user is not admin approved to access this app",
        "Remedy: Assign the user's profile or a permission set to the app",
        "invalid_grant: invalid assertion",
        "Remedy: The private key and the certificate that is uploaded to the app do not belong together",
        "The emulator and its files are gone.",
    ):
        assert part in printed
    assert outcome.table["dev"][:2] == ["password", "dev@acme.example"]
    assert outcome.table["prod"][:2] == ["jwt-bearer", "integration@acme.example"]
    assert outcome.table["prod"][-1] == "Example Account 1, Example Account 2"
    assert outcome.table["client_secret"] == ["********", "DEV_SF_CLIENT_SECRET (.env)"]
    assert outcome.table["username"] == ["dev@acme.example", "kinetic-auth.toml:environments.dev.username"]
    assert "\x1b" not in outcome.out
    assert str(temporary) not in outcome.out
    assert outcome.has_no_secret()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "scripts", "typed"),
    [
        ("bin", ".venv/bin", "kinetic-auth"),
        ("elsewhere", ".venv/bin", str(Path(".venv/bin/kinetic-auth"))),
        ("elsewhere", "nowhere", "kinetic-auth"),
    ],
)
def test_the_commands_to_type_next_work_without_an_activated_environment(
    monkeypatch: pytest.MonkeyPatch, found: str, scripts: str, typed: str
) -> None:
    for folder in ("bin", ".venv/bin"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "kinetic-auth").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(Path(found).absolute()))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(Path(scripts).absolute()))
    assert program() == typed


@pytest.mark.parametrize("args", [(), ("--debug",)])
def test_ignores_the_machines_settings_and_leaves_them_unchanged(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    Path("kinetic-auth.toml").write_text("invalid TOML")
    Path(".env").write_text("SF_USERNAME=somebody@else.example\nDEV_SF_PASSWORD=x\nLOG_LEVEL=LOUD\n")
    Path(".env").chmod(0o666)
    hostile = {
        "SF_USERNAME": "somebody@else.example",
        "SF_PROXY": "http://127.0.0.1:9",
        "PROD_SF_AUDIENCE": "https://wrong.example",
        "SF_API_VERSION": "nonsense",
        "SF_DEADLINE": "soon",
        "DEV_PASSWORD": "canary-password",
        "ENVIRONMENT": "staging",
        "KINETIC_AUTH_ENVIRONMENT": "staging",
        "KINETIC_AUTH_CONFIG": "nowhere.toml",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    netrc = Path.home() / ".netrc"
    netrc.write_text("default login somebody password something\n")
    netrc.chmod(0o600)
    before = dict(os.environ)
    outcome = run("demo", *args)
    assert outcome.code == 0, outcome.err
    assert outcome.table["prod"][-1] == "Example Account 1, Example Account 2"
    assert dict(os.environ) == before


def test_no_secret_is_in_its_log(run: Run, tmp_path: Path) -> None:
    outcome = run("demo", env={"LOG_LEVEL": "DEBUG", "LOG_DIR": str(tmp_path / "logs")})
    log = (tmp_path / "logs" / "kinetic-auth.log").read_text()
    assert outcome.code == 0
    assert "urllib3" in log
    assert outcome.has_no_secret()
    assert type(outcome)(0, log, "").has_no_secret()


def test_its_secrets_are_nowhere_in_what_it_shows() -> None:
    with stage() as built:
        secrets = [line.partition("=")[2] for line in built.env_file.read_text().splitlines()]
        assert len(secrets) == 3
        shown = built.masked_env() + built.config.read_text()
        assert not any(secret in shown for secret in secrets)
        assert {path.stat().st_mode & 0o777 for path in built.folder.iterdir()} == {0o600}
    assert not built.folder.exists()


def test_a_failure_in_it_leaves_nothing_behind(temporary: Path) -> None:
    before = dict(os.environ)
    with pytest.raises(ConfigurationError), stage():
        raise ConfigurationError("x")
    assert list(temporary.iterdir()) == []
    assert dict(os.environ) == before


def test_without_a_provider_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests  # noqa: F401 - what is imported stays so

    monkeypatch.setattr(sys, "path", [])
    outcome = run("demo")
    assert (outcome.code, outcome.out) == (2, "")
    assert "Remedy: pip install kinetic-auth-password" in outcome.message
