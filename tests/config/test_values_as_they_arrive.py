"""Values as shells, Docker, Kubernetes and python-dotenv leave them: line ends, quotes, gaps."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic

Write = Callable[..., Path]


def given(source: kinetic.SessionSource) -> Any:
    """The provider's instance with its values."""
    return source._flow.instance()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_line_break_at_the_end_of_a_variable_is_dropped(
    login: dict[str, str], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    del login["password"], login["client_id"]
    monkeypatch.setenv("SF_PASSWORD", f" two\nlines {end}")
    monkeypatch.setenv("SF_CLIENT_ID", f"key{end}")
    instance = given(kinetic.resolve("password", **login))
    assert instance.password == " two\nlines "
    assert instance.client_id == "key"


@pytest.mark.parametrize("variable", ["ENVIRONMENT", "KINETIC_AUTH_ENVIRONMENT"])
def test_so_it_is_in_the_variables_that_choose_file_and_environment(
    login: dict[str, str], write: Write, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    rows = "".join(f'{name} = "{value}"\n' for name, value in login.items())
    path = write(f'[environments.prod]\nprovider = "password"\n{rows}', "of-this-pod.toml")
    monkeypatch.setenv("KINETIC_AUTH_CONFIG", f"{path}\n")
    monkeypatch.setenv(variable, "prod\n")
    assert given(kinetic.resolve()).client_id == login["client_id"]


def test_so_it_is_in_a_file_and_in_what_a_file_takes_from_a_variable(
    login: dict[str, str], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    del login["password"], login["client_secret"]
    monkeypatch.setenv("HOST", "acme.my.salesforce.com\n")
    write(
        '[environments.prod]\nprovider = "password"\nlogin_url = "https://${HOST}"\npassword = "word\\n"\n'
        'client_secret = { value = "literal\\n" }\n'
    )
    instance = given(kinetic.resolve(environment="prod", **login))
    assert instance.login_url == "https://acme.my.salesforce.com"
    assert instance.password == "word"
    assert instance.client_secret == "literal\n"


def test_quotes_that_docker_leaves_are_told_and_those_of_a_keyword_are_not(
    login: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del login["client_secret"]
    monkeypatch.setenv("SF_CLIENT_SECRET", '"canary-secret"')
    login["password"] = "'canary-word'"
    with caplog.at_level(logging.WARNING):
        kinetic.resolve("password", **login)
    (warning,) = [each.getMessage() for each in caplog.records]
    assert "client_secret (from SF_CLIENT_SECRET) is in quotes, which count as a part of it" in warning
    assert "canary" not in warning


def test_a_line_break_at_the_end_of_a_keyword_counts_and_is_told(
    login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    login["password"] = "canary-word\n"
    with caplog.at_level(logging.WARNING):
        assert given(kinetic.resolve("password", **login)).password == "canary-word\n"
    (warning,) = [each.getMessage() for each in caplog.records]
    assert warning == "password (from keyword) ends in a line break, which counts as a part of it: remove it"


def test_what_dotenv_replaces_by_nothing_is_told(
    login: dict[str, str], write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    del login["password"]
    path = write('OTHER="${GONE}"\nHERE=x\nSF_USERNAME="${HERE}"\nSF_PASSWORD=canary${gap}word\n', ".env")
    with caplog.at_level(logging.WARNING):
        kinetic.resolve("password", **login)
    (warning,) = [each.getMessage() for each in caplog.records]
    assert warning.startswith(f"SF_PASSWORD ({path}): ${{gap}} is not set, so nothing stands in its place")
    assert "canary" not in warning


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("29.0", "Salesforce has retired v29.0: each REST call is answered by HTTP 410"),
        (30, "Salesforce has retired v30.0"),
        ("v40.0", "Salesforce ends v40.0 with Summer '28"),
        ("v41.0", ""),
    ],
)
def test_a_retired_api_version_is_told(
    login: dict[str, str], version: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    from kinetic_auth_core.settings.fields import _warn_of_end

    _warn_of_end.cache_clear()
    with caplog.at_level(logging.WARNING):
        kinetic.resolve("password", api_version=version, **login)
    assert (told in caplog.text) if told else not caplog.text
