"""`kinetic-auth config show`: every setting with its source, and all that is wrong in one block."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

CONFIG = """\
default_environment = "dev"

[defaults]
login_url = "https://test.salesforce.com"

[environments.dev]
provider = "password"
username = "dev@acme.example"
password = "${DEV_PASSWORD}"

[environments.prod]
provider = "jwt-bearer"
client_id = "3MVG9"
username = "integration@acme.example"
private_key = "env://PROD_KEY"
"""


@pytest.fixture
def files() -> Path:
    Path("kinetic-auth.toml").write_text(CONFIG)
    Path(".env").write_text(
        "DEV_PASSWORD=canary-pass&word+100%\nDEV_SF_CLIENT_SECRET=canary-client-secret\nSF_CLIENT_ID=3MVG9\n"
    )
    for name in ("kinetic-auth.toml", ".env"):
        Path(name).chmod(0o600)
    return Path.cwd()


@pytest.mark.usefixtures("files")
def test_shows_each_setting_with_where_it_comes_from(run: Run, files: Path) -> None:
    outcome = run("config", "show")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.table["provider"] == ["password"]
    assert outcome.table["environment"] == ["dev"]
    assert outcome.table["config file"] == [str(files / "kinetic-auth.toml")]
    assert outcome.table[".env file"] == [str(files / ".env")]
    assert outcome.table["username"] == ["dev@acme.example", f"{files}/kinetic-auth.toml:environments.dev.username"]
    assert outcome.table["login_url"] == [
        "https://test.salesforce.com",
        f"{files}/kinetic-auth.toml:defaults.login_url",
    ]
    assert outcome.table["client_secret"] == ["********", f"DEV_SF_CLIENT_SECRET ({files}/.env)"]
    assert outcome.table["client_id"] == ["3MVG9", f"SF_CLIENT_ID ({files}/.env)"]
    assert outcome.table["security_token"] == ['""', "default"]
    assert outcome.table["read_timeout"] == ["30.0", "default"]
    assert outcome.has_no_secret()


@pytest.mark.usefixtures("files")
def test_a_reference_of_a_named_environment_is_shown_unresolved(run: Run, files: Path) -> None:
    outcome = run("config", "show", "-e", "prod")
    assert outcome.code == 0
    assert outcome.table["private_key"] == [
        "env://PROD_KEY",
        f"{files}/kinetic-auth.toml:environments.prod.private_key",
        "loaded by the core",
    ]
    assert outcome.table["provider"] == ["jwt-bearer"]


@pytest.mark.usefixtures("canary")
def test_without_any_file_the_variables_are_enough(run: Run, canary: str) -> None:
    outcome = run("config", "show", "password")
    assert outcome.code == 0
    assert outcome.table["config file"] == ["-"]
    assert outcome.table[".env file"] == ["-"]
    assert outcome.table["environment"] == ["-"]
    assert outcome.table["username"] == [canary, "SF_USERNAME"]
    assert outcome.table["password"] == ["********", "SF_PASSWORD"]
    assert outcome.has_no_secret()


def test_files_can_be_named(run: Run, files: Path, tmp_path: Path) -> None:
    elsewhere = files.rename(tmp_path / "elsewhere")
    outcome = run("config", "show", "--config", f"{elsewhere}/kinetic-auth.toml", "--env-file", f"{elsewhere}/.env")
    assert outcome.code == 0
    assert outcome.table["config file"] == [f"{elsewhere}/kinetic-auth.toml"]
    assert outcome.table[".env file"] == [f"{elsewhere}/.env"]


@pytest.mark.usefixtures("files")
def test_json_has_the_same(run: Run, files: Path) -> None:
    document = json.loads(run("config", "show", "--environment", "dev", "--json").out)
    rows = {row["name"]: row for row in document.pop("settings")}
    assert document == {
        "provider": "password",
        "environment": "dev",
        "config_file": f"{files}/kinetic-auth.toml",
        "env_file": f"{files}/.env",
        "problems": [],
    }
    assert rows["password"] == {
        "name": "password",
        "value": "********",
        "source": f"{files}/kinetic-auth.toml:environments.dev.password",
        "secret": True,
        "note": "",
    }


def test_a_wrong_configuration_is_shown_with_all_its_problems(run: Run, files: Path) -> None:
    config = files / "kinetic-auth.toml"
    config.write_text(
        '[environments.dev]\nprovider = "password"\nusrname = "x"\npassword = "${NOT_SET}"\nread_timeout = "soon"\n'
    )
    outcome = run("config", "show", "-e", "dev")
    assert outcome.code == 2
    assert outcome.table["provider"] == ["password"]
    assert outcome.table["client_id"] == ["3MVG9", f"SF_CLIENT_ID ({files}/.env)"]
    assert outcome.table["client_secret"] == ["********", f"DEV_SF_CLIENT_SECRET ({files}/.env)"]
    assert "username" not in outcome.table
    assert "Cannot configure 'password' for the environment 'dev', 4 problems:" in outcome.message
    assert (
        f"usrname (from {config}:environments.dev.usrname): unknown setting (did you mean 'username'?)"
        in outcome.message
    )
    assert "username is missing" in outcome.message
    assert "the variable NOT_SET is not set" in outcome.message
    assert f"read_timeout (from {config}:environments.dev.read_timeout): expected a number, got text" in outcome.message
    assert outcome.has_no_secret()


def test_json_of_a_wrong_configuration_lists_the_problems(run: Run, files: Path) -> None:
    (files / "kinetic-auth.toml").write_text('[environments.dev]\nprovider = "password"\n')
    outcome = run("config", "show", "-e", "dev", "--json")
    document = json.loads(outcome.out)
    assert outcome.code == 2
    assert [problem.partition(" ")[0] for problem in document["problems"]] == ["username", "password"]
    assert "Error: Cannot configure" in outcome.message


@pytest.mark.usefixtures("files")
def test_an_unknown_environment_is_reported_with_the_files_that_were_used(run: Run, files: Path) -> None:
    outcome = run("config", "show", "-e", "prd")
    assert outcome.code == 2
    assert outcome.table["config file"] == [f"{files}/kinetic-auth.toml"]
    assert outcome.table["provider"] == ["-"]
    assert "the environment 'prd' (from the argument) is not in" in outcome.message
    assert "it has: dev, prod (did you mean 'prod'?)" in outcome.message


def test_a_provider_that_is_not_installed_is_reported(run: Run, files: Path) -> None:
    (files / "kinetic-auth.toml").write_text('[environments.dev]\nprovider = "sso"\n')
    outcome = run("config", "show", "-e", "dev")
    assert outcome.code == 2
    assert outcome.table["provider"] == ["sso"]
    assert "no provider 'sso' is installed" in outcome.message


def test_an_invalid_toml_file_is_reported_with_its_line(run: Run, files: Path) -> None:
    (files / "kinetic-auth.toml").write_text("[environments.dev\n")
    outcome = run("config", "show")
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{files}/kinetic-auth.toml is not valid TOML" in outcome.message


def test_a_misplaced_secret_is_not_quoted(run: Run) -> None:
    outcome = run("config", "show", "password", "password=canary-client-secret")
    assert outcome.code == 2
    assert outcome.has_no_secret()
