"""A cloned project must not steal secrets: files that nobody named decide neither who gets them nor what is run."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.merge import LayeredValue, merge
from kinetic_auth_core.plugins import command_setting
from kinetic_auth_core.settings.schema import schema

Write = Callable[..., Path]

EVIL = "https://evil.example"
CONFIG = f"[environments.prod]\nprovider = 'password'\nlogin_url = '{EVIL}'\n"


def url_of(source: kinetic.SessionSource) -> object:
    return next(row.value for row in source.explain() if row.name == "login_url")


def test_a_foreign_login_url_of_a_found_file_is_an_error_that_says_how_to_name_it(
    write: Write, login: dict[str, str]
) -> None:
    path = write(CONFIG)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", **login)
    assert str(caught.value) == (
        "Cannot configure 'password' for the environment 'prod': "
        f"login_url (from {path}:environments.prod.login_url) is a host that is neither Salesforce's nor this machine, "
        f'and that file was found by searching, not named by you. If you trust it, name it: config="{path}"; or set '
        "PROD_SF_LOGIN_URL in the process"
    )


def test_a_foreign_login_url_counts_from_a_file_that_is_named(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(CONFIG)
    assert url_of(kinetic.resolve(environment="prod", config=path, **login)) == EVIL
    monkeypatch.setenv("KINETIC_AUTH_CONFIG", str(path))
    assert url_of(kinetic.resolve(environment="prod", **login)) == EVIL


def test_a_foreign_login_url_counts_from_keyword_and_process(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(CONFIG)
    assert (
        url_of(kinetic.resolve(environment="prod", login_url="https://own.example", **login)) == "https://own.example"
    )
    monkeypatch.setenv("PROD_SF_LOGIN_URL", "https://own.example")
    assert url_of(kinetic.resolve(environment="prod", **login)) == "https://own.example"


@pytest.mark.parametrize("name", ["kinetic-auth.toml", "pyproject.toml", "../kinetic-auth.toml"])
@pytest.mark.parametrize("table", ["environments.prod", "defaults"])
def test_no_found_config_file_decides_where_credentials_go(
    name: str, table: str, write: Write, login: dict[str, str]
) -> None:
    prefix = "tool.kinetic-auth." if "pyproject" in name else ""
    write(f"[{prefix}environments.prod]\nprovider = 'password'\n[{prefix}{table}.x]\n", name)
    text = f"[{prefix}environments.prod]\nprovider = 'password'\n"
    text += f"login_url = '{EVIL}'\n" if table != "defaults" else f"[{prefix}defaults]\nlogin_url = '{EVIL}'\n"
    write(text, name)
    with pytest.raises(kinetic.ConfigurationError, match="was found by searching, not named by you"):
        kinetic.resolve(environment="prod", **login)


@pytest.mark.parametrize("name", ["SF_LOGIN_URL", "PROD_SF_LOGIN_URL"])
def test_no_found_dotenv_decides_where_credentials_go(name: str, write: Write, login: dict[str, str]) -> None:
    path = write(f"{name}={EVIL}\n", ".env")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", environment="prod", **login)
    assert f'name it: env_file="{path}"' in str(caught.value)
    assert url_of(kinetic.resolve("password", environment="prod", env_file=path, **login)) == EVIL


def test_a_config_file_that_a_found_dotenv_names_counts_as_found(write: Write, login: dict[str, str]) -> None:
    elsewhere = write(CONFIG, "elsewhere.toml")
    dotenv = write(f"KINETIC_AUTH_CONFIG={elsewhere}\n", ".env")
    with pytest.raises(kinetic.ConfigurationError, match="was found by searching, not named by you"):
        kinetic.resolve(environment="prod", **login)
    assert url_of(kinetic.resolve(environment="prod", env_file=dotenv, **login)) == EVIL


def test_a_variable_in_a_named_file_must_not_come_from_a_found_dotenv(write: Write, login: dict[str, str]) -> None:
    path = write("[environments.prod]\nprovider = 'password'\nlogin_url = '${HOST}'\n", "named.toml")
    dotenv = write(f"HOST={EVIL}\n", ".env")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", config=path, **login)
    assert f'name it: env_file="{dotenv}"' in str(caught.value)


def test_a_variable_of_the_process_that_is_the_whole_value_counts(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[environments.prod]\nprovider = 'password'\nlogin_url = '${HOST:-https://evil.example}'\n")
    with pytest.raises(kinetic.ConfigurationError, match="was found by searching"):
        kinetic.resolve(environment="prod", **login)
    monkeypatch.setenv("HOST", "")
    with pytest.raises(kinetic.ConfigurationError, match="was found by searching"):
        kinetic.resolve(environment="prod", **login)
    monkeypatch.setenv("HOST", "https://own.example")
    assert url_of(kinetic.resolve(environment="prod", **login)) == "https://own.example"
    write("[environments.prod]\nprovider = 'password'\nlogin_url = 'https://evil.example/${HOST}'\n")
    monkeypatch.setenv("HOST", "x")
    with pytest.raises(kinetic.ConfigurationError, match="was found by searching"):
        kinetic.resolve(environment="prod", **login)


@pytest.mark.parametrize("url", ["https://acme.my.salesforce.com", "https://acme.my.site.com/x", "http://127.0.0.1:1"])
def test_salesforces_hosts_and_this_machine_count_from_found_files(
    url: str, write: Write, login: dict[str, str]
) -> None:
    write(CONFIG.replace(EVIL, url))
    assert url_of(kinetic.resolve(environment="prod", **login)) == url


def test_from_env_obeys_the_same_rule(write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in login.items():
        monkeypatch.setenv(f"SF_{name.upper()}", value)
    path = write(f"SF_LOGIN_URL={EVIL}\n", ".env")
    with pytest.raises(kinetic.ConfigurationError, match="was found by searching"):
        kinetic.OAuthAuthenticator.from_env()
    assert kinetic.OAuthAuthenticator.from_env(path).login_url == EVIL


def test_a_proxy_and_the_ca_that_it_needs_must_not_both_come_from_found_files(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[environments.prod]\nprovider = 'password'\nproxy = 'http://evil.example:3128'\nca_bundle = 'ca.pem'\n")
    with pytest.raises(kinetic.ConfigurationError, match="ca_bundle .* would let the one who runs that proxy read"):
        kinetic.resolve(environment="prod", **login)
    monkeypatch.setenv("PROD_SF_PROXY", "http://own.example:3128")
    assert kinetic.resolve(environment="prod", **login).environment == "prod"


@attrs.frozen
class RunsAProgram:
    command: str = command_setting("sf", help="The program.")


@pytest.mark.parametrize(("found", "is_refused"), [(None, False), ('config="x"', True)])
def test_a_program_to_run_is_refused_from_a_found_file(found: str | None, is_refused: bool) -> None:
    layer = {"command": LayeredValue("./evil.sh", "x.toml:command", found=found)}
    merged = merge(schema(RunsAProgram), (), [layer])
    problem = (
        "command (from x.toml:command) is a program that would be run, and that file was found by searching, not named "
        'by you. If you trust it, name it: config="x"; or set SF_COMMAND in the process'
    )
    assert merged.problems == ((problem,) if is_refused else ())


def test_a_programs_default_needs_no_file() -> None:
    assert merge(schema(RunsAProgram), (), [{}]).problems == ()
    assert schema(RunsAProgram)[0].default_value(SimpleNamespace()) == "sf"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a link away needs root")
@pytest.mark.parametrize("name", ["kinetic-auth.toml", ".env"])
@pytest.mark.parametrize("kind", ["the file", "its folder", "a link behind mine"])
def test_a_found_file_behind_another_users_link_is_refused(
    name: str, kind: str, write: Write, login: dict[str, str], tmp_path: Path
) -> None:
    stranger = 54321
    target = write("SF_API_VERSION=61\n" if name == ".env" else "[defaults]\n", f"{tmp_path}/mine/{name}")
    theirs = tmp_path / "theirs"
    theirs.symlink_to(target.parent if kind == "its folder" else target)
    os.lchown(theirs, stranger, stranger)
    link = Path.cwd() / name
    link.symlink_to(theirs / name if kind == "its folder" else theirs)
    if kind == "the file":
        os.lchown(link, stranger, stranger)
    with pytest.raises(kinetic.ConfigurationError, match=r"is a symbolic link of another user \(uid 54321\)"):
        kinetic.resolve("password", **login)
    is_dotenv = name == ".env"
    source = kinetic.resolve(
        "password", config=None if is_dotenv else link, env_file=link if is_dotenv else None, **login
    )
    assert source.provider == "password"
