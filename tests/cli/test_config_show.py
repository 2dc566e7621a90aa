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
def test_shows_each_setting_with_where_it_comes_from(run: Run) -> None:
    outcome = run("config", "show", "--all")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.table["provider"] == ["password"]
    assert outcome.table["environment"] == ["dev"]
    assert outcome.table["config file"] == ["kinetic-auth.toml"]
    assert outcome.table[".env file"] == [".env"]
    assert outcome.table["username"] == ["dev@acme.example", "[environments.dev]"]
    assert outcome.table["login_url"] == ["https://test.salesforce.com", "[defaults]"]
    assert outcome.table["client_secret"] == ["********", "DEV_SF_CLIENT_SECRET (.env)"]
    assert outcome.table["client_id"] == ["3MVG9", "SF_CLIENT_ID (.env)"]
    assert outcome.table["security_token"] == ['""', "default"]
    assert outcome.table["read_timeout"] == ["30.0", "default"]
    assert outcome.has_no_secret()


@pytest.mark.usefixtures("files")
def test_a_reference_of_a_named_environment_is_shown_unresolved(run: Run) -> None:
    outcome = run("config", "show", "-e", "prod")
    assert outcome.code == 0
    assert outcome.table["private_key"] == ["env://PROD_KEY", "[environments.prod]"]
    assert "note: loaded by the core\n" in outcome.out
    assert outcome.table["provider"] == ["jwt-bearer"]


@pytest.mark.usefixtures("files")
def test_settings_at_their_defaults_are_left_out_and_counted(run: Run) -> None:
    outcome = run("config", "show")
    assert outcome.code == 0
    assert {"username", "password", "login_url", "client_id", "client_secret"} <= outcome.table.keys()
    assert not {"read_timeout", "security_token", "store"} & outcome.table.keys()
    hidden = sum(cells[-1:] == ["default"] for cells in run("config", "show", "--all").table.values())
    assert f"\n{hidden} more are at their defaults: --all shows them.\n" in outcome.out


def test_variables_that_do_not_count_are_noted(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_USERNAME", "other@acme.example")
    monkeypatch.setenv("ENVIRONMENT", "staging")
    (files / "kinetic-auth.toml").write_text(CONFIG.replace('default_environment = "dev"', ""))
    outcome = run("config", "show", "-e", "dev")
    assert "note: set and passed over: SF_USERNAME\n" in outcome.out
    outcome = run("config", "show", "password", "--config", str(files / "kinetic-auth.toml"))
    assert "ENVIRONMENT=staging is passed over: kinetic-auth.toml has no such" in " ".join(outcome.out.split())


@pytest.mark.parametrize("option", [(), ("--all",)])
def test_it_fits_80_columns_and_cuts_no_value(run: Run, tmp_path: Path, option: tuple[str, ...]) -> None:
    folder = tmp_path / "a folder" / "of-a-project-deep-down"
    folder.mkdir(parents=True)
    host = "https://a-rather-long-name-of-a-company--integration.sandbox.my.salesforce.com"
    (folder / "kinetic-auth.toml").write_text(
        f'[environments.prod-of-europe]\nprovider = "jwt-bearer"\nlogin_url = "{host}"\nclient_id = "{"3" * 70}"\n'
        'username = "integration@acme.example"\nprivate_key_path = "server.key"\n'
    )
    (folder / ".env").write_text("PROD_OF_EUROPE_SF_DEADLINE=20\nSF_DEADLINE=30\n")
    files = ("--config", str(folder / "kinetic-auth.toml"), "--env-file", str(folder / ".env"))
    outcome = run("config", "show", "-e", "prod-of-europe", *files, *option)
    assert outcome.code == 0, outcome.err
    assert [line for line in outcome.out.splitlines() if len(line) > 80] == []
    assert host in outcome.out
    assert "3" * 70 in outcome.out
    assert "../a folder/of-a-project-deep-down/kinetic-auth.toml" in outcome.out


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
    assert outcome.table["config file"] == ["kinetic-auth.toml"]  # the working directory has moved along
    assert outcome.table[".env file"] == [".env"]


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
    assert outcome.table["client_id"] == ["3MVG9", "SF_CLIENT_ID (.env)"]
    assert outcome.table["client_secret"] == ["********", "DEV_SF_CLIENT_SECRET (.env)"]
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
def test_an_unknown_environment_is_reported_with_the_files_that_were_used(run: Run) -> None:
    outcome = run("config", "show", "-e", "prd")
    assert outcome.code == 2
    assert outcome.table["config file"] == ["kinetic-auth.toml"]
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
