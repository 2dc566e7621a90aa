"""`resolve` with wrong arguments."""

import os
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic

LOGIN = {"client_id": "id", "client_secret": "secret", "username": "user", "password": "word"}


@pytest.mark.parametrize(
    ("provider", "arguments", "problem"),
    [
        (5, {}, "provider: expected text, got int"),
        ("password", {"environment": 5}, "environment: expected text, got int"),
        ("password", {"config": 5}, "config: expected a path, got int"),
        ("password", {"env_file": b"x"}, "env_file: expected a path, got bytes"),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(provider: Any, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(kinetic.ConfigurationError, match=f"Cannot resolve: {problem}"):
        kinetic.resolve(provider, **arguments)


def test_the_error_for_the_provider_as_keyword_says_how_to_pass_it() -> None:
    settings: dict[str, Any] = {"provider": "password"}
    with pytest.raises(kinetic.ConfigurationError, match="the provider is the first argument"):
        kinetic.resolve(**settings, **LOGIN)


def test_a_misspelt_keyword_is_reported_even_if_its_value_is_none() -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"passwrd \(from keyword\): unknown setting"):
        kinetic.resolve("password", **LOGIN, passwrd=os.environ.get("NOT_SET"))


def test_a_keyword_of_none_leaves_the_setting_to_lower_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_USERNAME", "from-variable")
    source = kinetic.resolve("password", **LOGIN | {"username": None})  # type: ignore[arg-type]  # for mypy, any parameter's
    assert {row.name: row.value for row in source.explain()}["username"] == "from-variable"


def test_an_empty_member_of_an_exclusive_group_counts_as_not_given() -> None:
    source = kinetic.resolve("jwt-bearer", client_id="id", username="user", private_key="", private_key_path="key")
    assert {row.name: row.value for row in source.explain()}["private_key_path"] == "key"


def test_a_missing_setting_is_named_with_the_environments_own_variable() -> None:
    Path("kinetic-auth.toml").write_text("[environments.dev]\nprovider = 'jwt-bearer'\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="dev")
    assert "client_id is missing: give it as keyword, in the config file, or as DEV_SF_CLIENT_ID" in str(caught.value)
    assert "(as variable: DEV_SF_PRIVATE_KEY or DEV_SF_PRIVATE_KEY_PATH)" in str(caught.value)


def test_the_error_for_an_unknown_provider_names_the_key_of_the_file() -> None:
    Path("kinetic-auth.toml").write_text("[environments.dev]\nprovider = 'jwt'\n")
    where = r"\(named by .*kinetic-auth\.toml:environments\.dev\.provider\)"
    with pytest.raises(kinetic.UnknownProviderError, match=f"no provider 'jwt' is installed.* {where}"):
        kinetic.resolve(environment="dev")


def test_an_environment_without_file_and_variables_is_warned_about(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinetic.resolve("password", environment="prod", **LOGIN)
    assert "environment 'prod': there is no config file, and no variable begins with PROD_" in caplog.text
    caplog.clear()
    monkeypatch.setenv("PROD_SF_DEADLINE", "7")
    kinetic.resolve("password", environment="prod", **LOGIN)
    assert caplog.text == ""


def test_a_misspelt_argument_is_reported_like_a_misspelt_setting() -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"enviroment .*did you mean 'environment'\?"):
        kinetic.resolve("password", **LOGIN, enviroment="prod")
