"""What is to be done about a problem of the configuration, from what it says itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.cli.advice import advice, place_of

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


@pytest.mark.parametrize(
    ("problem", "place"),
    [
        ("client_id (from a.toml:defaults.client_id): unknown", ("client_id", "a.toml:defaults.client_id")),
        ("client_id is missing: give it as SF_CLIENT_ID", ("client_id", None)),
        ("dev: client_id is missing: give it as SF_CLIENT_ID", ("client_id", None)),
        ("dev: store.key (from SF_STORE_KEY): is not a Fernet key", ("store.key", "SF_STORE_KEY")),
        ("the environment 'prdo' is not in a.toml", (None, None)),
    ],
)
def test_a_problem_says_which_setting_it_is_about(problem: str, place: tuple[str | None, str | None]) -> None:
    assert place_of(problem) == place


@pytest.mark.parametrize(
    ("variables", "hint"),
    [
        (["SFDC_USERNAME"], "SFDC_USERNAME is set"),
        (["PRDO_SF_USERNAME", "sf_username"], "sf_username is set"),
        (["HOME", "USER", "PGUSER"], ""),
    ],
)
def test_a_missing_variable_may_be_one_that_is_misspelt(variables: list[str], hint: str) -> None:
    found = advice("username is missing: give it as keyword, in the config file, or as SF_USERNAME", variables)
    assert found.startswith("Set SF_USERNAME in the environment or in .env, or username in the config file.")
    assert hint in found
    assert ("rename it" in found) is bool(hint)


def test_an_error_of_the_configuration_has_a_remedy_for_programs(run: Run) -> None:
    Path("kinetic-auth.toml").write_text('[environments.prod]\nprovider = "password"\n')
    for words in (("token", "prod"), ("config", "check", "--all-environments")):
        error = json.loads(run(*words, "--json").out)["error"]
        assert error["remedy"].startswith("Set PROD_SF_CLIENT_ID in the environment or in .env, or client_id in")
    assert "install the package" in json.loads(run("token", "nobody", "--json").out)["error"]["remedy"]
