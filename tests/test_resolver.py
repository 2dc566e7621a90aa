"""`resolve` given what people give it."""

import os
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


def test_the_provider_given_by_keyword_is_told_where_it_goes() -> None:
    settings: dict[str, Any] = {"provider": "password"}
    with pytest.raises(kinetic.ConfigurationError, match="the provider is the first argument"):
        kinetic.resolve(**settings, **LOGIN)


def test_a_misspelt_keyword_is_told_even_where_its_value_is_none() -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"passwrd \(from keyword\): unknown setting"):
        kinetic.resolve("password", **LOGIN, passwrd=os.environ.get("NOT_SET"))


def test_a_keyword_of_none_leaves_the_setting_to_the_layers_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_USERNAME", "from-variable")
    source = kinetic.resolve("password", **LOGIN | {"username": None})
    assert {row.name: row.value for row in source.explain()}["username"] == "from-variable"


def test_an_empty_member_of_an_exclusive_group_counts_as_not_given() -> None:
    source = kinetic.resolve("jwt-bearer", client_id="id", username="user", private_key="", private_key_path="key")
    assert {row.name: row.value for row in source.explain()}["private_key_path"] == "key"
