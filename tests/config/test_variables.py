"""Environment variables and `.env`: where it is searched for and used, and that `os.environ` is not changed."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.environment import Variables

Write = Callable[..., Path]


def test_a_dotenv_in_the_working_directory_is_found(write: Write) -> None:
    path = write("SF_USERNAME=ada\n", ".env")
    assert Variables.load().find("SF_USERNAME") == ("ada", f"SF_USERNAME ({path})")


def test_only_the_nearest_dotenv_of_the_parents_is_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("SF_USERNAME=far\nSF_CLIENT_ID=far\n", ".env")
    near = write("SF_USERNAME=near\n", "a/.env")
    below = near.parent / "b"
    below.mkdir()
    monkeypatch.chdir(below)
    variables = Variables.load()
    assert variables.find("SF_USERNAME") == ("near", f"SF_USERNAME ({near})")
    assert variables.find("SF_CLIENT_ID") is None


def test_an_explicit_env_file_replaces_the_search(write: Write, login: dict[str, str]) -> None:
    write("SF_LOGIN_URL=https://found.my.salesforce.com\n", ".env")
    named = write("SF_LOGIN_URL=https://named.my.salesforce.com\n", "other.env")
    rows = {each.name: each for each in kinetic.resolve("password", env_file=named, **login).explain()}
    assert rows["login_url"].value == "https://named.my.salesforce.com"
    assert rows["login_url"].source == f"SF_LOGIN_URL ({named})"


def test_an_explicit_env_file_may_begin_at_home(write: Write) -> None:
    Path.home().joinpath("mine.env").write_text("SF_USERNAME=ada\n")
    found = Variables.load("~/mine.env").find("SF_USERNAME")
    assert found is not None
    assert found[0] == "ada"


def test_the_processs_own_variables_win_over_dotenv(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("SF_USERNAME=dotenv\n", ".env")
    monkeypatch.setenv("SF_USERNAME", "process")
    assert Variables.load().find("SF_USERNAME") == ("process", "SF_USERNAME")


def test_an_empty_variable_counts_as_not_set(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("SF_USERNAME=dotenv\nSF_CLIENT_ID=\nSF_BARE\n", ".env")
    monkeypatch.setenv("SF_USERNAME", "")
    variables = Variables.load()
    assert (variables.find("SF_USERNAME") or ("",))[0] == "dotenv"
    assert variables.find("SF_CLIENT_ID") is None
    assert variables.find("SF_BARE") is None


def test_os_environ_is_never_changed(write: Write, login: dict[str, str]) -> None:
    write("SF_LOGIN_URL=https://a.my.salesforce.com\nFRESH=1\nENVIRONMENT=prod\n", ".env")
    write("[environments.prod]\nprovider = 'password'\napi_version = '${FRESH}'\n")
    before = dict(os.environ)
    kinetic.resolve(**login)
    assert dict(os.environ) == before


def test_a_dotenv_serves_the_variables_in_a_config_file(write: Write, login: dict[str, str]) -> None:
    write("HOST=acme.my.salesforce.com\n", ".env")
    write("[environments.prod]\nprovider = 'password'\nlogin_url = 'https://${HOST}'\n")
    rows = {each.name: each.value for each in kinetic.resolve(environment="prod", **login).explain()}
    assert rows["login_url"] == "https://acme.my.salesforce.com"


def test_a_dotenv_saved_by_windows_editors_is_read(write: Write) -> None:
    write(b"\xef\xbb\xbfSF_USERNAME=ada\r\nSF_CLIENT_ID='a key'\r\n", ".env")
    variables = Variables.load()
    assert (variables.find("SF_USERNAME") or ("",))[0] == "ada"
    assert (variables.find("SF_CLIENT_ID") or ("",))[0] == "a key"


_NAMES = st.sampled_from(["A", "B", "C", "HOST", "EMPTY", "UNSET"])
_PIECES = st.one_of(
    st.builds("${{{}}}".format, _NAMES),
    st.builds("${{{}:-{}}}".format, _NAMES, st.sampled_from(["", "x", "${A", "a:b"])),
    st.sampled_from(["text", "$A", "${", "}", ":-", "\\", " ", "$${A}"]),
)
_LINES = st.one_of(
    st.builds("{}={}".format, _NAMES, st.lists(_PIECES, max_size=4).map("".join)),
    st.builds('{}="{}"'.format, _NAMES, st.lists(_PIECES, max_size=4).map("".join)),
    _NAMES,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(_LINES, max_size=8))
def test_a_dotenv_means_the_same_as_to_python_dotenv(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "of-the-process")
    monkeypatch.setenv("EMPTY", "")
    text = "\n".join(lines)
    path = tmp_path / "some.env"
    path.write_text(text)
    expected = {name: value for name, value in dotenv_values(stream=io.StringIO(text)).items() if value is not None}
    assert Variables.load(path).layers[1].values == expected


def test_a_missing_env_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "gone.env"
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", env_file=path)
    assert str(caught.value) == (
        f"the .env file {path} cannot be read: No such file or directory. Remedy: Correct its path or its permissions."
    )


def test_an_env_file_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="cannot be read: Is a directory"):
        Variables.load(tmp_path)


def test_an_env_file_that_is_not_utf_8_is_an_error_without_its_bytes(write: Write) -> None:
    path = write(b"SF_PASSWORD=canary\xff\n", "latin.env")
    with pytest.raises(
        kinetic.ConfigurationError, match=r"is not UTF-8 text \(byte 18\)\. Remedy: Save it as UTF-8\."
    ) as caught:
        Variables.load(path)
    assert caught.value.__cause__ is caught.value.__context__ is None  # they would hold the text


def test_an_env_file_at_the_home_of_nobody_is_a_configuration_error() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="~no-such-user"):
        Variables.load("~no-such-user/.env")


def test_the_values_are_in_no_repr(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("SF_PASSWORD=canary-one\n", ".env")
    monkeypatch.setenv("SF_CLIENT_SECRET", "canary-two")
    assert "canary" not in repr(Variables.load())


def test_from_env_reports_all_missing_variables_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_USERNAME", "ada@acme.com")
    monkeypatch.setenv("SF_DEADLINE", "soon")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.OAuthAuthenticator.from_env()
    text = str(caught.value)
    assert "Cannot configure OAuthAuthenticator from the environment" in text
    for name in ("SF_CLIENT_ID", "SF_CLIENT_SECRET", "SF_PASSWORD", "deadline (from SF_DEADLINE)"):
        assert name in text
    assert "SF_USERNAME" not in text


def test_from_env_reads_a_dotenv_and_an_explicit_file(write: Write) -> None:
    body = "SF_CLIENT_ID=key\nSF_CLIENT_SECRET=s\nSF_USERNAME={}\nSF_PASSWORD=p\nSF_SECURITY_TOKEN=t\n"
    write(body.format("found"), ".env")
    named = write(body.format("named"), "named.env")
    assert kinetic.OAuthAuthenticator.from_env().username == "found"
    assert kinetic.OAuthAuthenticator.from_env(named).username == "named"
    assert kinetic.OAuthAuthenticator.from_env(env_file=str(named)).security_token == "t"


def test_from_env_ignores_config_files_and_an_environments_own_variables(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        "default_environment = 'prod'\n[defaults]\nlogin_url = 'https://file.my.salesforce.com'\n[environments.prod]\n"
    )
    monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "prod")
    for name in ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"SF_{name}", "plain")
        monkeypatch.setenv(f"PROD_SF_{name}", "own")
    made = kinetic.OAuthAuthenticator.from_env()
    assert (made.username, made.login_url) == ("plain", "https://login.salesforce.com")


def test_from_env_needs_exactly_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_CLIENT_ID", "key")
    monkeypatch.setenv("SF_USERNAME", "ada@acme.com")
    with pytest.raises(kinetic.ConfigurationError, match="one of private_key or private_key_path is needed"):
        kinetic.JWTAuthenticator.from_env()
    monkeypatch.setenv("SF_PRIVATE_KEY", "text")
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", "/key.pem")
    with pytest.raises(kinetic.ConfigurationError, match="exclude each other"):
        kinetic.JWTAuthenticator.from_env()
