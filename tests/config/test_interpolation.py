"""`${VAR}` in a config file: defaults, unset variables, and which values are interpolated."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.environment import has_references, interpolate

Write = Callable[..., Path]

VARIABLES = {"HOST": "acme", "EMPTY": "", "TRICK": "${HOST}"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${HOST}", "acme"),
        ("https://${HOST}.example.com/${HOST}", "https://acme.example.com/acme"),
        ("${HOST:-other}", "acme"),
        ("${GONE:-other}", "other"),
        ("${GONE:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("${GONE:-https://a.example.com:8443/x?y=1}", "https://a.example.com:8443/x?y=1"),
        ("${TRICK}", "${HOST}"),
        ("$HOST and $$ and {HOST}", "$HOST and $$ and {HOST}"),
        (5, 5),
        (["${HOST}", 1], ["acme", 1]),
        ({"a": {"b": "${HOST}"}}, {"a": {"b": "acme"}}),
    ],
)
def test_variables_are_interpolated(written: object, read: object) -> None:
    assert interpolate(written, VARIABLES.get) == read


@pytest.mark.parametrize("written", ["${", "${}", "${1A}", "${HOST", "${HO ST}", "a ${HOST} ${-x}"])
def test_an_invalid_interpolation_is_an_error_that_shows_the_literal_form(written: str) -> None:
    with pytest.raises(ValueError, match=r'has a "\$\{" that is not \$\{VARIABLE\}.*\{ value = "\.\.\." \}'):
        interpolate(written, VARIABLES.get)


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_a_reference_is_not_changed(text: str) -> None:
    assert interpolate(text, VARIABLES.get) == text
    assert not has_references(text)


@given(st.text(), st.text())
def test_the_value_of_a_variable_is_not_interpolated_again(value: str, around: str) -> None:
    around = around.replace("$", "")
    assert interpolate(f"{around}${{A}}{around}", {"A": value}.get) == f"{around}{value}{around}"


@pytest.mark.parametrize(
    ("value", "has"), [("${A}", True), (["x", "${A}"], True), ({"a": ["${"]}, True), ({"a": 1}, False)]
)
def test_a_reference_inside_a_value_is_recognised(value: object, has: bool) -> None:
    assert has_references(value) is has


def test_an_unset_variable_names_file_key_and_variable(write: Write, login: dict[str, str]) -> None:
    path = write("[environments.prod]\nprovider = 'password'\nlogin_url = 'https://${MY_HOST}'\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", **login)
    assert str(caught.value) == (
        f"Cannot configure 'password' for the environment 'prod': login_url (from {path}:environments.prod.login_url): "
        "the variable MY_HOST is not set; set it, or give a default: ${MY_HOST:-...}"
    )


def test_only_the_chosen_environment_is_interpolated(write: Write, login: dict[str, str]) -> None:
    write(
        "[environments.dev]\nprovider = 'password'\n[environments.prod]\nprovider = '${GONE}'\nlogin_url = '${GONE}'\n"
    )
    assert kinetic.resolve(environment="dev", **login).environment == "dev"


def test_an_unset_variable_that_a_higher_layer_overrides_is_not_an_error(write: Write, login: dict[str, str]) -> None:
    write("[defaults]\nlogin_url = '${GONE}'\n[environments.prod]\nprovider = 'password'\nlogin_url = '${GONE}'\n")
    source = kinetic.resolve(environment="prod", login_url="https://a.example.com", **login)
    assert source.provider == "password"


def test_defaults_are_interpolated_too(write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("[defaults]\nlogin_url = 'https://${HOST_NAME}'\n")
    monkeypatch.setenv("HOST_NAME", "a.my.salesforce.com")
    rows = {each.name: each for each in kinetic.resolve("password", **login).explain()}
    assert (rows["login_url"].value, rows["login_url"].source) == (
        "https://a.my.salesforce.com",
        f"{path}:defaults.login_url",
    )


def test_the_text_of_a_value_table_is_literal(write: Write, login: dict[str, str]) -> None:
    write("[environments.prod]\nprovider = 'password'\nclient_id = { value = 'a ${b} $c' }\n")
    del login["client_id"]
    rows = {each.name: each.value for each in kinetic.resolve(environment="prod", **login).explain()}
    assert rows["client_id"] == "a ${b} $c"


def test_a_table_other_than_a_value_table_has_the_wrong_type(write: Write, login: dict[str, str]) -> None:
    write("[environments.prod]\nprovider = 'password'\nclient_id = { value = 'a', more = 'b' }\n")
    del login["client_id"]
    with pytest.raises(kinetic.ConfigurationError, match="client_id .*: expected text, got a table"):
        kinetic.resolve(environment="prod", **login)


def test_the_provider_itself_may_come_from_a_variable(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("default_environment = 'prod'\n[environments.prod]\nprovider = '${WHICH}'\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(**login)
    assert str(caught.value).startswith(f"{path}:environments.prod.provider: the variable WHICH is not set")
    monkeypatch.setenv("WHICH", "password")
    assert kinetic.resolve(**login).provider == "password"
