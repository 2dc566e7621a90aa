"""Precedence: every layer against every lower one, mutually exclusive settings, and all problems at once."""

import gc
import itertools
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.construct import with_place
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import LayeredValue, merge
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError
from kinetic_auth_core.settings.schema import ExplainedSetting, schema

REQUIRED = {"client_id": "key", "client_secret": "canary-secret", "username": "ada@acme.com", "password": "canary-word"}
SIGNED = {"client_id": "key", "username": "ada@acme.com"}
KEYS = ("private_key", "private_key_path")

# Highest first, as documented; the last one applies if no other has a value.
KEYWORD, OWN_VARIABLE, OWN_DOTENV, TABLE, DEFAULTS, VARIABLE, DOTENV, DEFAULT = LAYERS = (
    "keyword",
    "PROD_SF_* of the process",
    "PROD_SF_* of .env",
    "the environment's table",
    "[defaults]",
    "SF_* of the process",
    "SF_* of .env",
    "the provider's default",
)
PAIRS = [*itertools.pairwise(LAYERS)]

Write = Callable[..., Path]
Values = Mapping[str, Mapping[str, str]]  # layer -> setting -> value


def resolved(provider: str, values: Values, given: Mapping[str, str]) -> kinetic.SessionSource:
    """Put each layer's values where they belong, in an empty folder, and resolve."""

    def table(layer: str) -> str:
        return "".join(f"{name} = '{value}'\n" for name, value in values.get(layer, {}).items())

    def variables(layer: str, prefix: str) -> dict[str, str]:
        return {f"{prefix}SF_{name.upper()}": value for name, value in values.get(layer, {}).items()}

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        toml = f"[defaults]\n{table(DEFAULTS)}\n[environments.prod]\nprovider = '{provider}'\n{table(TABLE)}"
        Path("kinetic-auth.toml").write_text(toml)
        dotenv = variables(OWN_DOTENV, "PROD_") | variables(DOTENV, "")
        Path(".env").write_text("".join(f"{name}={value}\n" for name, value in dotenv.items()))
        Path("kinetic-auth.toml").chmod(0o600)
        Path(".env").chmod(0o600)
        for name, value in (variables(OWN_VARIABLE, "PROD_") | variables(VARIABLE, "")).items():
            patch.setenv(name, value)
        return kinetic.resolve(environment="prod", **{**given, **values.get(KEYWORD, {})})


def row(source: kinetic.SessionSource, name: str) -> kinetic.ExplainedSetting:
    return next(each for each in source.explain() if each.name == name)


def url_of(layer: str) -> str:
    return f"https://layer-{LAYERS.index(layer)}.my.salesforce.com"


def expected_source(layer: str, name: str) -> str:
    """The source of a value as it is displayed, without the folder."""
    variable = f"SF_{name.upper()}"
    return {
        KEYWORD: "keyword",
        TABLE: f"kinetic-auth.toml:environments.prod.{name}",
        OWN_VARIABLE: f"PROD_{variable}",
        OWN_DOTENV: f"PROD_{variable} (.env)",
        DEFAULTS: f"kinetic-auth.toml:defaults.{name}",
        VARIABLE: variable,
        DOTENV: f"{variable} (.env)",
        DEFAULT: "default",
    }[layer]


def without_folder(source: str) -> str:
    before, slash, after = source.partition("/")
    return before + after.rpartition("/")[2] if slash else source


@pytest.mark.parametrize(("higher", "lower"), PAIRS, ids=[f"{higher} over {lower}" for higher, lower in PAIRS])
def test_a_layer_wins_over_the_next_lower_one(higher: str, lower: str) -> None:
    source = resolved(
        "password", {layer: {"login_url": url_of(layer)} for layer in (higher, lower) if layer != DEFAULT}, REQUIRED
    )
    found = row(source, "login_url")
    assert found.value == url_of(higher)
    assert without_folder(found.source) == expected_source(higher, "login_url")


@pytest.mark.parametrize("highest", LAYERS)
def test_a_layer_wins_over_all_lower_ones_together(highest: str) -> None:
    lower = LAYERS[LAYERS.index(highest) : -1]
    found = row(resolved("password", {layer: {"login_url": url_of(layer)} for layer in lower}, REQUIRED), "login_url")
    assert found.value == (url_of(highest) if highest != DEFAULT else "https://login.salesforce.com")
    assert without_folder(found.source) == expected_source(highest, "login_url")


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(LAYERS[:-1]), st.sets(st.sampled_from(["login_url", "username", "proxy"]))))
def test_of_any_layers_the_highest_that_has_a_setting_wins(speaking: dict[str, set[str]]) -> None:
    values = {layer: dict.fromkeys(names, url_of(layer)) for layer, names in speaking.items()}
    given_besides = {name: value for name, value in REQUIRED.items() if name != "username"}
    named = {
        name: [layer for layer in LAYERS if name in values.get(layer, {})]
        for name in ("login_url", "username", "proxy")
    }
    if not named["username"]:
        with pytest.raises(kinetic.ConfigurationError, match=r"username is missing.*SF_USERNAME"):
            resolved("password", values, given_besides)
        return
    source = resolved("password", values, given_besides)
    for name, layers in named.items():
        found = row(source, name)
        winner = layers[0] if layers else DEFAULT
        assert without_folder(found.source) == expected_source(winner, name)
        if name != "proxy" and layers:
            assert found.value == url_of(winner)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(LAYERS[:-1]), st.sets(st.sampled_from(KEYS), min_size=1)))
def test_mutually_exclusive_settings_count_as_one_across_layers(speaking: dict[str, set[str]]) -> None:
    values = {layer: dict.fromkeys(names, f"/{LAYERS.index(layer)}") for layer, names in speaking.items()}
    highest = next((layer for layer in LAYERS if layer in speaking), None)
    if highest is None:
        with pytest.raises(kinetic.ConfigurationError, match="one of private_key or private_key_path is needed"):
            resolved("jwt-bearer", values, SIGNED)
    elif len(speaking[highest]) == 2:
        with pytest.raises(kinetic.ConfigurationError, match="private_key and private_key_path exclude each other"):
            resolved("jwt-bearer", values, SIGNED)
    else:
        (winner,) = speaking[highest]
        (loser,) = set(KEYS) - {winner}
        source = resolved("jwt-bearer", values, SIGNED)
        assert without_folder(row(source, winner).source) == expected_source(highest, winner)
        assert row(source, loser).source == "default"
        assert row(source, loser).value is None


def test_two_mutually_exclusive_settings_in_one_layer_are_named_with_their_places(write: Write) -> None:
    path = write("[environments.prod]\nprovider = 'jwt-bearer'\nprivate_key = 'canary-key'\nprivate_key_path = '/k'\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", **SIGNED)
    text = str(caught.value)
    assert "private_key and private_key_path exclude each other: give one of them" in text
    assert f"private_key from {path}:environments.prod.private_key" in text
    assert f"private_key_path from {path}:environments.prod.private_key_path" in text
    assert "canary-key" not in text


def test_for_mutually_exclusive_settings_process_and_dotenv_are_two_layers(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("SF_PRIVATE_KEY_PATH=/from/dotenv\n", ".env")
    monkeypatch.setenv("SF_PRIVATE_KEY", "text")
    assert row(kinetic.resolve("jwt-bearer", **SIGNED), "private_key").source == "SF_PRIVATE_KEY"


def test_a_keyword_of_none_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_LOGIN_URL", "https://ambient.my.salesforce.com")
    assert row(kinetic.resolve("password", **REQUIRED, login_url=None), "login_url").source == "SF_LOGIN_URL"


def test_a_variable_without_prefix_never_overrides_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("default_environment = 'dev'\n[environments.dev]\nprovider = 'password'\nusername = 'from-file'\n")
    monkeypatch.setenv("SF_USERNAME", "ambient")
    monkeypatch.setenv("SF_LOGIN_URL", "https://ambient.my.salesforce.com")
    source = kinetic.resolve(client_id="key", client_secret="s", password="p")
    assert row(source, "username").value == "from-file"
    assert row(source, "login_url").value == "https://ambient.my.salesforce.com"


def test_defaults_that_the_provider_lacks_are_ignored(write: Write, login: dict[str, str]) -> None:
    write(
        "[defaults]\nprivate_key_path = 'k.pem'\naudience = 'x'\nnonsense = 1\nlogin_url = 'https://a.my.salesforce.com'\n"
    )
    found = row(kinetic.resolve("password", **login), "login_url")
    assert found.value == "https://a.my.salesforce.com"


def test_the_same_key_in_an_environments_table_is_unknown(write: Write, login: dict[str, str]) -> None:
    path = write("[environments.prod]\nprovider = 'password'\naudience = 'x'\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", **login)
    assert f"audience (from {path}:environments.prod.audience): unknown setting" in str(caught.value)


def test_a_name_reserved_for_resolve_is_not_a_setting_of_an_environment(write: Write, login: dict[str, str]) -> None:
    write("[environments.prod]\nprovider = 'password'\nenv_file = '.env'\n")
    with pytest.raises(
        kinetic.ConfigurationError, match=r"env_file \(from .*:environments\.prod\.env_file\): unknown setting"
    ):
        kinetic.resolve(environment="prod", **login)


def test_a_guard_is_a_setting_like_any_other(write: Write, login: dict[str, str]) -> None:
    path = write("[environments.prod]\nprovider = 'password'\nexpected_org_id = '00D'\nallowed_instance_hosts = []\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", **login)
    assert [problem.partition(" (from ")[0] for problem in caught.value.problems] == [
        "expected_org_id",
        "allowed_instance_hosts",
    ]
    assert f"(from {path}:environments.prod.expected_org_id): must be the id of an org" in caught.value.problems[0]
    assert "must be a list of host names, such as *.my.salesforce.com" in caught.value.problems[1]


def test_all_problems_are_reported_at_once_each_with_key_place_and_suggestion(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        "[environments.prod]\nprovider = 'password'\nuser_name = 'ada'\nclient_id = 5\nlogin_url = '${NOWHERE}'\n"
        "connect_timeout = 'soon'\n"
    )
    monkeypatch.setenv("SF_READ_TIMEOUT", "never")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", passwort="canary-word", deadline=True)
    text = str(caught.value)
    prod = f"{path}:environments.prod"
    for problem in (
        "Cannot configure 'password' for the environment 'prod'",
        "passwort (from keyword): unknown setting (did you mean 'password'?)",
        f"user_name (from {prod}.user_name): unknown setting (did you mean 'username'?)",
        f"client_id (from {prod}.client_id): expected text, got a whole number",
        "client_secret is missing",
        "username is missing",
        "password is missing",
        f"login_url (from {prod}.login_url): the variable NOWHERE is not set",
        f"connect_timeout (from {prod}.connect_timeout): expected a number, got text",
        "read_timeout (from SF_READ_TIMEOUT): expected a number, got text",
        "deadline (from keyword): expected a number, got true or false",
    ):
        assert problem in text
    assert len(caught.value.problems) == 10
    assert "canary-word" not in text


def test_what_the_class_refuses_hides_no_other_problem(write: Write, login: dict[str, str]) -> None:
    path = write("[defaults]\nloginurl = 'https://test.salesforce.com'\n[observers.audit]\nrequired = true\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", **login, api_version="latest", client_cert="missing.pem")
    wrong = ("api_version (", "client_cert (", f"{path}:defaults.loginurl ", f"{path}:observers.audit")
    assert [*map(str.startswith, caught.value.problems, wrong)] == [True] * 4


def test_a_missing_setting_names_its_variable(login: dict[str, str]) -> None:
    del login["username"]
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", **login)
    assert str(caught.value) == (
        "Cannot configure 'password': username is missing: give it as keyword, in the config file, or as SF_USERNAME"
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("login_url = 'http://acme.example.com'", "is plain http"),
        ("login_url = 'ftp://acme.example.com'", "must begin with https://"),
        ("login_url = 'https://acme.example.com/services/oauth2/token'", "must be the host alone"),
        ("proxy = 'proxy.internal:3128'", "was refused|must begin with http://"),
        ("deadline = -1", "must be a number of seconds above 0"),
        ("api_version = 'latest'", "must look like v62.0"),
        ("username = ''", "is empty"),
    ],
)
def test_an_invalid_value_is_an_error_of_resolve(write: Write, login: dict[str, str], line: str, problem: str) -> None:
    path = write(f"[environments.prod]\nprovider = 'password'\n{line}\n")
    login.pop(line.partition(" ")[0], None)
    with pytest.raises(kinetic.ConfigurationError, match=problem) as caught:
        kinetic.resolve(environment="prod", **login)
    assert f"(from {path}:environments.prod.{line.partition(' ')[0]})" in str(caught.value)


def test_a_source_does_not_keep_what_was_read(login: dict[str, str]) -> None:
    def configurations() -> int:
        gc.collect()
        return sum(isinstance(each, Configuration) for each in gc.get_objects())

    before = configurations()
    with kinetic.resolve("password", **login):
        assert configurations() == before


def test_the_scheme_of_a_proxy_may_be_in_capitals(login: dict[str, str]) -> None:
    with kinetic.resolve("password", **login, proxy="HTTP://proxy.internal:3128") as source:
        assert row(source, "proxy").source == "keyword"


def test_numbers_are_read_from_variables_and_from_interpolated_text(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_CONNECT_TIMEOUT", " 1.5 ")
    monkeypatch.setenv("WAIT", "7")
    write("[environments.prod]\nprovider = 'password'\nread_timeout = '${WAIT}'\n")
    with kinetic.resolve(environment="prod", **login) as source:
        assert row(source, "connect_timeout").source == "SF_CONNECT_TIMEOUT"
        assert row(source, "read_timeout").source.endswith(":environments.prod.read_timeout")


def test_a_relative_path_in_a_file_is_relative_to_that_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        "[environments.prod]\nprovider = 'jwt-bearer'\nprivate_key_path = 'keys/prod.pem'\n"
        "[defaults]\nca_bundle = '../ca.pem'\n"
    )
    below = Path.cwd() / "deep" / "down"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    source = kinetic.resolve(environment="prod", **SIGNED)
    assert row(source, "private_key_path").value == str(path.parent / "keys/prod.pem")
    assert row(source, "ca_bundle").value == str(path.parent / "../ca.pem")


def test_a_path_in_a_file_may_be_absolute_or_begin_at_home(write: Write) -> None:
    write("[environments.prod]\nprovider = 'jwt-bearer'\nprivate_key_path = '~/prod.pem'\nca_bundle = '/etc/ca.pem'\n")
    source = kinetic.resolve(environment="prod", **SIGNED)
    assert row(source, "private_key_path").value == str(Path.home() / "prod.pem")
    assert row(source, "ca_bundle").value == "/etc/ca.pem"


def test_a_path_at_the_home_of_nobody_is_a_configuration_error(write: Write, login: dict[str, str]) -> None:
    write("[environments.prod]\nprovider = 'password'\nca_bundle = '~no-such-user/ca.pem'\n")
    with pytest.raises(kinetic.ConfigurationError, match=r"ca_bundle \(from .*:environments\.prod\.ca_bundle\)"):
        kinetic.resolve(environment="prod", **login)


def test_a_relative_path_as_keyword_is_not_changed() -> None:
    source = kinetic.resolve("jwt-bearer", **SIGNED, private_key_path="keys/prod.pem")
    assert row(source, "private_key_path").value == "keys/prod.pem"


@attrs.frozen
class Derived:
    """Settings whose defaults are derived from others."""

    host: str = kinetic.setting("a.example.com", help="")
    audience: str = kinetic.setting(attrs.Factory(lambda self: f"https://{self.host}", takes_self=True), help="")
    port: int = kinetic.setting(attrs.Factory(lambda self: len(self.audience), takes_self=True), help="")


def test_a_default_derived_from_other_settings_is_displayed_with_its_value() -> None:
    settled = merge(schema(Derived), (), [{"host": LayeredValue("b.example.com", "keyword")}])
    assert [(each.name, each.value, each.source) for each in settled.rows] == [
        ("host", "b.example.com", "keyword"),
        ("audience", "https://b.example.com", "default"),
        ("port", 21, "default"),
    ]
    assert settled.values == {"host": "b.example.com"}


def test_a_default_derived_from_an_invalid_setting_is_displayed_as_none() -> None:
    settled = merge(schema(Derived), (), [{"audience": LayeredValue(5, "keyword")}])
    assert [(each.name, each.value) for each in settled.rows] == [("host", "a.example.com"), ("port", None)]
    assert settled.problems == ("audience (from keyword): expected text, got a whole number",)


def test_merging_keeps_values_out_of_reprs() -> None:
    @attrs.frozen
    class Tokened:
        token: str = kinetic.setting(help="", secret=True)

    layers: Iterable[Mapping[str, LayeredValue]] = [{"token": LayeredValue("canary-token", "keyword")}]
    settled = merge(schema(Tokened), (), [*layers])
    assert "canary-token" not in repr(layers) + repr(settled)


def test_for_simple_salesforces_name_of_a_setting_ours_is_suggested(login: dict[str, str]) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("jwt-bearer", consumer_key="a", privatekey_file="server.key", domain="test", version="59.0")
    suggestions = dict(problem.split(" (from keyword): unknown setting") for problem in caught.value.problems[:4])
    assert suggestions == {
        "consumer_key": " (did you mean 'client_id'?)",
        "privatekey_file": " (did you mean 'private_key_path'?)",
        "domain": " (did you mean 'login_url'?)",
        "version": " (did you mean 'api_version'?)",
    }
    with pytest.raises(kinetic.ConfigurationError, match=r"privatekey_file \(from keyword\): unknown setting$"):
        kinetic.resolve("password", privatekey_file="server.key", **login)


_KEY_FILE = "/srv/app/server.key"
_ROWS = [
    ExplainedSetting("private_key_path", _KEY_FILE, "SF_PRIVATE_KEY_PATH", secret=False),
    ExplainedSetting("ca_bundle", _KEY_FILE, "SF_CA_BUNDLE", secret=False),
]


def test_an_error_about_a_file_that_two_settings_name_gets_the_place_of_the_one_that_its_remedy_names() -> None:
    error = KeyLoadError(f"{_KEY_FILE} is a key.", remedy="Set ca_bundle to a CA file.")
    assert with_place(error, _ROWS).message == f"ca_bundle (from SF_CA_BUNDLE): {_KEY_FILE} is a key."


def test_an_error_that_begins_with_its_setting_gets_the_place_of_no_other() -> None:
    error = ConfigurationError(f"ca_bundle: {_KEY_FILE} cannot be used.")
    assert with_place(error, _ROWS) is error
