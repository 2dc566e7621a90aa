"""Config files and `.env` files with arbitrary content are used, or refused with a `ConfigurationError`."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.environment import Variables
from kinetic_auth_core.locations import KNOWN_SCHEMES, parse_reference
from kinetic_auth_core.testing.leaks import secrets_in

Write = Callable[..., Path]

in_one_folder = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

_KEYS = st.sampled_from(
    [
        "provider",
        "client_id",
        "password",
        "login_url",
        "read_timeout",
        "private_key",
        "store",
        "api_version",
        "x.y",
        "proxy",
    ]
)
_VALUES = st.sampled_from(
    [
        *("1", "-1", "nan", "inf", "9" * 30, "true", "[]", "{}", "[[]]", "[1, 'a']", "1979-05-27", "{ value = '${' }"),
        *("'password'", "'jwt-bearer'", "'${HOST}'", "'${GONE}'", "'${GONE:-x}'", "'env://X'", "'file://'", "''"),
        *("'https://a.my.salesforce.com'", "'http://[::1'", "'vault://x'", "'~nobody/x'", '"\\u0000"', "'memory'"),
    ]
)
_PAIRS = st.lists(st.tuples(_KEYS, _VALUES), max_size=6, unique_by=lambda pair: pair[0])


@in_one_folder
@given(_PAIRS, _PAIRS)
def test_a_file_of_any_values_makes_a_source_or_a_configuration_error(
    write: Write, own: list[tuple[str, str]], defaults: list[tuple[str, str]]
) -> None:
    lines = ["[defaults]", *(f"{key} = {value}" for key, value in defaults)]
    lines += ["[environments.a]", *(f"{key} = {value}" for key, value in own)]
    path = write("\n".join(lines))
    with contextlib.suppress(kinetic.ConfigurationError):
        kinetic.resolve(environment="a", config=path)


@in_one_folder
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_config_file_of_any_bytes_is_read_or_a_configuration_error(write: Write, raw: bytes) -> None:
    with contextlib.suppress(kinetic.ConfigurationError):
        kinetic.resolve(config=write(raw))


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a." * 5000 + "b = 1", "[defaults]\n" + "a." * 40 + "b = 1", "a = " + "{b=" * 5000]
)
def test_a_file_that_is_nested_too_deeply_is_an_error(write: Write, text: str) -> None:
    path = write(text)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password")
    assert str(caught.value) == f"the config file {path} is nested too deeply."


def test_a_deeply_nested_pyproject_without_our_table_is_ignored(write: Write, login: dict[str, str]) -> None:
    write("# kinetic-auth\na = " + "[" * 5000, "pyproject.toml")
    assert kinetic.resolve("password", **login).provider == "password"


def test_the_traceback_of_a_number_that_is_too_long_shows_nothing_of_the_file(write: Write) -> None:
    path = write("[environments.a]\npassword = 'canary-word'\nread_timeout = " + "9" * 5000)
    with pytest.raises(kinetic.ConfigurationError, match="is not valid TOML: Exceeds the limit") as caught:
        kinetic.resolve(environment="a", config=path)
    assert secrets_in(caught.value, "canary-word", is_test=lambda file: file == __file__) == []


@in_one_folder
@given(
    st.binary(max_size=100)
    | st.lists(
        st.sampled_from(["A", "=", "'", '"', "\\", "\n", "\r", "#", "${B", "}", ":-", "export ", " ", "\0"])
    ).map(lambda parts: "".join(parts).encode())
)
def test_a_dotenv_of_any_bytes_gives_text_or_a_configuration_error(write: Write, raw: bytes) -> None:
    path = write(raw, "named.env")
    with contextlib.suppress(kinetic.ConfigurationError):
        assert all(isinstance(value, str) for value in Variables.load(path).layers[-1].values.values())


@given(
    st.sampled_from([*sorted(KNOWN_SCHEMES), "vault", "https", ""]),
    st.text(max_size=20),
    st.none() | st.text(max_size=10),
    st.none() | st.text(max_size=10),
)
def test_a_printed_reference_parses_to_the_same_reference(
    scheme: str, rest: str, query: str | None, field: str | None
) -> None:
    text = f"{scheme}://{rest}" + ("" if query is None else f"?{query}") + ("" if field is None else f"#{field}")
    try:
        reference = parse_reference(text, {"vault"})
    except kinetic.ConfigurationError:
        return
    if reference is not None:
        assert str(reference) == text.strip()
        assert parse_reference(str(reference), {"vault"}) == reference
