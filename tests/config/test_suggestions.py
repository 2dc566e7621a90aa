"""A misspelt key of `[defaults]`, or a misspelt variable, is a warning, because it may log in at the wrong host."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "kinetic_auth_core")


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("loginurl", " (did you mean 'login_url'?)"), ("clinet_id", " (did you mean 'client_id'?)"), ("colour", "")],
)
def test_a_key_of_the_defaults_that_no_provider_has_is_a_warning(
    key: str, suggestion: str, write: Write, login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(f"[defaults]\n{key} = 'https://test.salesforce.com'\n")
    kinetic.resolve("password", **login)
    assert caplog.messages == [f"{path}:defaults.{key} is not a setting of any installed provider{suggestion}"]


def test_a_key_of_the_defaults_that_another_provider_has_causes_no_warning(
    write: Write, login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    write("[defaults]\naudience = 'https://a.com'\nredirect_port = 8080\n[defaults.store]\nname = 'memory'\n")
    kinetic.resolve("password", **login)
    assert caplog.messages == []


@pytest.mark.parametrize("prefix", ["", "PROD_"])
def test_a_misspelt_variable_is_a_warning_with_the_right_one(
    prefix: str, login: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{prefix}SF_LOGIN_ULR", "https://test.salesforce.com")
    monkeypatch.setenv("PROD_SF_DEADLINE", "20")
    kinetic.resolve("password", environment="prod", **login)
    assert caplog.messages == [
        f"the variable {prefix}SF_LOGIN_ULR is not used by any setting (did you mean {prefix}SF_LOGIN_URL?)"
    ]


def test_a_misspelt_variable_of_the_env_file_is_reported_with_the_file(
    write: Write, login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    path = write("SF_LOGINURL=https://test.salesforce.com\n", ".env")
    kinetic.resolve("password", **login)
    assert caplog.messages == [
        f"the variable SF_LOGINURL ({path}) is not used by any setting (did you mean SF_LOGIN_URL?)"
    ]


def test_the_error_for_a_missing_setting_names_the_misspelt_variable(
    login: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_CLIENTID", "3MVG9")
    del login["client_id"]
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", **login)
    assert caught.value.problems == (
        "client_id is missing: give it as keyword, in the config file, or as SF_CLIENT_ID",
        "the variable SF_CLIENTID is not used by any setting (did you mean SF_CLIENT_ID?)",
    )
    assert caplog.messages == []


@pytest.mark.parametrize(
    "name",
    [
        "SF_ORG_API_VERSION",
        "SF_AUDIENCE_URL",
        "SF_ACCESS_TOKEN",
        "SF_PRIVATE_KEY_PATH",
        "MY_SF_LOGINURL",
        "SF_STORE_PATH",
    ],
)
def test_variables_of_other_programs_cause_no_warning(
    name: str, login: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    kinetic.resolve("password", **login)
    assert caplog.messages == []


def test_a_similar_variable_beside_the_correct_one_is_not_reported(
    login: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_LOGIN_URLS", "a")
    monkeypatch.setenv("SF_LOGIN_URL", "https://test.salesforce.com")
    kinetic.resolve("password", **login)
    assert caplog.messages == []


def test_a_pool_warns_once_for_all_its_tenants(
    write: Write, login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    write("[defaults]\nloginurl = 'https://test.salesforce.com'\n[environments.prod]\nprovider = 'password'\n")
    with kinetic.SourcePool(tenants=lambda key: {**login, "environment": "prod", "username": key}) as pool:
        pool.source("a")
        pool.source("b")
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("scheme", ["secretmanager", "secret_manager", "Secret-Manager", "files"])
def test_a_secret_that_resembles_a_reference_is_a_warning_that_does_not_quote_it(
    scheme: str, login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    kinetic.resolve("password", **login | {"password": f"{scheme}://aws/canary"})
    meant = "file" if scheme == "files" else "secret-manager"
    assert caplog.messages == [
        f"password (from keyword) is used as the secret itself, not as a reference (did you mean {meant}://?)"
    ]


@pytest.mark.parametrize("password", ["canary://aws", "https://aws", "secret-manager:/aws", "x secretmanager://aws"])
def test_any_other_secret_causes_no_warning(
    password: str, login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    kinetic.resolve("password", **login | {"password": password})
    assert caplog.messages == []


def test_a_secret_in_a_list_that_resembles_a_reference_is_a_warning(
    login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    keys = ["env://KEY", "secretmanager://aws/canary"]
    kinetic.resolve("jwt-bearer", client_id="id", username="ada@acme.com", private_key=keys)
    assert caplog.messages == [
        "private_key (from keyword) is used as the secret itself, not as a reference (did you mean secret-manager://?)"
    ]


@pytest.mark.parametrize("reference", ["env://SF_USER", "secret-manager://aws/login#username"])
def test_a_reference_in_a_setting_that_is_no_secret_is_a_warning(
    reference: str, login: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    kinetic.resolve("password", **login | {"username": reference})
    said = f"username (from keyword) is used as it is, {reference}: only secrets may be references. In the config file "
    assert caplog.messages == [said + "${VARIABLE} stands for the value of a variable"]


def test_the_variables_of_a_store_that_nothing_names_are_a_warning(
    login: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    monkeypatch.setenv("SF_STORE_URL", "redis://canary")
    monkeypatch.setenv("PROD_SF_STORE_NAME", "redis")
    kinetic.resolve("password", **login)
    kinetic.resolve("password", **login, store="memory")
    kinetic.resolve("access-token", access_token="00Dx!y", instance_url="https://acme.my.salesforce.com")
    write("[environments.prod]\nprovider = 'password'\n")
    kinetic.resolve(environment="prod", **login)
    assert caplog.messages == [
        "no store is named, so this does not count: SF_STORE_URL; set SF_STORE to its name",
        "no store is named, so this does not count: PROD_SF_STORE_NAME, SF_STORE_URL; set PROD_SF_STORE to its name",
    ]
