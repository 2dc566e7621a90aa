"""Which environment applies, which provider it names, and what happens if two names disagree."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic

Write = Callable[..., Path]

THREE = """
default_environment = "dev"

[environments.dev]
provider = "password"
login_url = "https://dev.my.salesforce.com"

[environments.test]
provider = "password"
login_url = "https://test.my.salesforce.com"

[environments.prod]
provider = "jwt-bearer"
login_url = "https://prod.my.salesforce.com"
private_key = "text"
"""


def url(source: kinetic.SessionSource) -> object:
    return next(each.value for each in source.explain() if each.name == "login_url")


def test_the_argument_wins_over_both_variables(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(THREE)
    monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "prod")
    monkeypatch.setenv("ENVIRONMENT", "prod")
    source = kinetic.resolve(environment="test", **login)
    assert (source.provider, source.environment, url(source)) == ("password", "test", "https://test.my.salesforce.com")


def test_kinetic_auth_environment_wins_over_environment(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(THREE)
    monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "test")
    monkeypatch.setenv("ENVIRONMENT", "prod")
    assert kinetic.resolve(**login).environment == "test"


def test_environment_wins_over_the_files_default(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(THREE)
    monkeypatch.setenv("ENVIRONMENT", "test")
    assert kinetic.resolve(**login).environment == "test"


def test_the_variables_may_be_in_dotenv(write: Write, login: dict[str, str]) -> None:
    write(THREE)
    write("ENVIRONMENT=test\n", ".env")
    assert kinetic.resolve(**login).environment == "test"


def test_the_files_default_is_the_last_resort(write: Write, login: dict[str, str]) -> None:
    write(THREE)
    source = kinetic.resolve(**login)
    assert (source.provider, source.environment, url(source)) == ("password", "dev", "https://dev.my.salesforce.com")
    assert repr(source) == "SessionSource(provider='password', environment='dev')"


def test_environment_means_nothing_without_a_config_file(
    login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("PRODUCTION_SF_LOGIN_URL", "https://own.my.salesforce.com")
    source = kinetic.resolve("password", **login)
    assert source.environment is None
    assert url(source) == "https://login.salesforce.com"


@pytest.mark.parametrize("by_argument", [True, False])
def test_a_named_environment_has_its_own_variables_even_without_a_config_file(
    login: dict[str, str], monkeypatch: pytest.MonkeyPatch, by_argument: bool
) -> None:
    monkeypatch.setenv("PROD_SF_LOGIN_URL", "https://own.my.salesforce.com")
    monkeypatch.setenv("SF_LOGIN_URL", "https://ambient.my.salesforce.com")
    if not by_argument:
        monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "prod")
    source = kinetic.resolve("password", environment="prod" if by_argument else None, **login)
    assert (source.environment, url(source)) == ("prod", "https://own.my.salesforce.com")


@pytest.mark.parametrize(
    ("name", "variable"),
    [("prod", "PROD"), ("prod-eu", "PROD_EU"), ("prod.eu west", "PROD_EU_WEST"), ("Qa2", "QA2"), ("über", "ÜBER")],
)
def test_an_environments_own_variables_take_its_name_in_upper_case_with_underscores(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    write(f'[environments."{name}"]\nprovider = "password"\n')
    monkeypatch.setenv(f"{variable}_SF_LOGIN_URL", "https://own.my.salesforce.com")
    rows = {each.name: each for each in kinetic.resolve(environment=name, **login).explain()}
    assert rows["login_url"].value == "https://own.my.salesforce.com"
    assert rows["login_url"].source == f"{variable}_SF_LOGIN_URL"


@pytest.mark.parametrize("how", ["the argument", "KINETIC_AUTH_ENVIRONMENT", "ENVIRONMENT", "default_environment"])
def test_an_unknown_environment_lists_those_that_the_file_has(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = write(THREE.replace('"dev"', '"pord"') if how == "default_environment" else THREE)
    if how.isupper():
        monkeypatch.setenv(how, "pord")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="pord" if how == "the argument" else None, **login)
    assert str(caught.value) == (
        f"the environment 'pord' (from {how}) is not in {path}; it has: dev, test, prod (did you mean 'prod'?)."
    )


def test_an_environment_variable_in_dotenv_is_named_with_its_file(write: Write) -> None:
    write(THREE)
    dotenv = write("KINETIC_AUTH_ENVIRONMENT=nowhere\n", ".env")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    assert f"'nowhere' (from KINETIC_AUTH_ENVIRONMENT ({dotenv}))" in str(caught.value)


def test_a_file_without_environments_says_so(write: Write) -> None:
    path = write("[defaults]\n")
    with pytest.raises(kinetic.ConfigurationError, match=f"is not in {path}; it has: none"):
        kinetic.resolve(environment="prod")


def test_the_default_environment_of_another_provider_is_ignored(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(THREE + '[defaults]\nread_timeout = 9\nprivate_key = "x"\n')
    monkeypatch.setenv("DEV_SF_LOGIN_URL", "https://own.my.salesforce.com")
    source = kinetic.resolve("jwt-bearer", client_id="key", username="ada")
    assert (source.provider, source.environment) == ("jwt-bearer", None)
    rows = {each.name: each for each in source.explain()}
    assert rows["login_url"].source == "default"
    assert rows["read_timeout"].value == 9


def test_the_default_environment_of_the_same_provider_applies(write: Write, login: dict[str, str]) -> None:
    write(THREE)
    source = kinetic.resolve("password", **login)
    assert (source.environment, url(source)) == ("dev", "https://dev.my.salesforce.com")


@pytest.mark.parametrize("how", ["the argument", "KINETIC_AUTH_ENVIRONMENT"])
def test_a_named_environment_of_another_provider_is_an_error(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    write(THREE)
    if how.isupper():
        monkeypatch.setenv(how, "prod")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", environment="prod" if how == "the argument" else None, **login)
    assert str(caught.value) == (
        f"the environment 'prod' (from {how}) is for the provider 'jwt-bearer', but 'password' was asked for. "
        "Remedy: Name one or the other, or an environment of that provider."
    )


def test_a_named_environment_of_the_same_provider_applies(write: Write, login: dict[str, str]) -> None:
    write(THREE)
    assert url(kinetic.resolve("password", environment="test", **login)) == "https://test.my.salesforce.com"


def test_an_environment_without_a_provider_uses_the_callers(write: Write, login: dict[str, str]) -> None:
    write("[environments.prod]\nlogin_url = 'https://prod.my.salesforce.com'\n")
    source = kinetic.resolve("password", environment="prod", **login)
    assert (source.environment, url(source)) == ("prod", "https://prod.my.salesforce.com")


def test_without_provider_and_config_file_the_error_lists_the_searched_places() -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    text = str(caught.value)
    assert text.startswith("no provider was named, and there is no config file; looked for: kinetic-auth.toml")
    assert str(Path.home() / ".config" / "kinetic-auth" / "kinetic-auth.toml") in text
    assert 'resolve("jwt-bearer")' in text


def test_a_config_file_whose_name_is_misspelt_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "kinetic_auth.toml").touch()
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    assert f" in {tmp_path} or above it, " in str(caught.value)
    assert "(there is kinetic_auth.toml: rename it to kinetic-auth.toml, if it is meant)" in str(caught.value)


def test_a_working_directory_that_is_gone_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for provider in (None, "password"):
        with pytest.raises(kinetic.ConfigurationError, match=r"in the working directory \(deleted\) or above it"):
            kinetic.resolve(provider)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("files", "what"),
    [((), "No .env file and no config file was found"), (("kinetic-auth.toml",), "No .env file was found")],
)
def test_a_program_that_was_started_in_another_folder_says_which(
    files: tuple[str, ...], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password")
    assert caught.value.remedy.startswith(f"{what} in {tmp_path} or above it: ")
    assert f"SF_PASSWORD\nRemedy: {what}" in str(caught.value)  # not in the line of the last problem


@pytest.mark.parametrize(
    "given",
    ["client_id = '${PROD_CLIENT_ID}'\nprivate_key_path = 'server.key'", "client_id = '3MVG9'"],
    ids=["a variable of the file", "one of two"],
)
def test_a_named_config_file_does_not_lead_to_the_env_file_beside_it(
    given: str, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(f"[environments.prod]\nprovider = 'jwt-bearer'\nusername = 'ada@acme.com'\n{given}\n")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod", config=path)
    assert caught.value.remedy.startswith(f"No .env file was found in {elsewhere} or above it: ")


def test_where_a_variable_is_set_or_an_env_file_was_found_the_folder_is_not_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SF_USERNAME", "ada@acme.com")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password")
    assert caught.value.remedy == ""
    monkeypatch.delenv("SF_USERNAME")
    (tmp_path / ".env").write_text("SF_USERNAME=ada@acme.com\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password")
    assert caught.value.remedy == ""


def test_no_provider_and_no_environment_lists_the_environments_and_how_to_name_one(write: Write) -> None:
    path = write("[environments.prod]\nprovider = 'jwt-bearer'\n[environments.dev]\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    assert str(caught.value) == (
        f"no provider was named, nor an environment, and {path} has no default_environment; it has: prod, dev. "
        'Name one: resolve(environment="prod"), kinetic-auth login -e prod, KINETIC_AUTH_ENVIRONMENT=prod, '
        'or default_environment = "prod" at the top of the file.'
    )


def test_no_provider_in_an_empty_file_says_that_there_are_no_environments(write: Write) -> None:
    path = write("")
    with pytest.raises(kinetic.ConfigurationError, match=f"no provider was named, and {path} has no environments"):
        kinetic.resolve()


def test_an_environment_without_a_provider_is_named_if_the_caller_names_none(write: Write) -> None:
    path = write("[environments.a]\n")
    with pytest.raises(kinetic.ConfigurationError, match=f"{path}:environments.a has no provider key"):
        kinetic.resolve(environment="a")


@pytest.mark.parametrize("value", ["5", "''", "['password']"])
def test_a_provider_key_that_is_not_text_is_an_error(write: Write, value: str) -> None:
    path = write(f"[environments.a]\nprovider = {value}\n")
    with pytest.raises(kinetic.ConfigurationError, match=f"{path}:environments.a.provider: expected text"):
        kinetic.resolve(environment="a")


def test_an_unknown_provider_in_the_file_is_an_unknown_provider_error(write: Write) -> None:
    write("[environments.a]\nprovider = 'nope'\n")
    with pytest.raises(kinetic.UnknownProviderError, match="no provider 'nope' is installed"):
        kinetic.resolve(environment="a")


# Names of environments


@pytest.mark.parametrize(("one", "other"), [("prod-eu", "prod_eu"), ("prod", "PROD"), ("eu.west", "EU-WEST")])
@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_environments_that_read_the_same_variables_are_an_error_whichever_is_chosen(
    write: Write, login: dict[str, str], one: str, other: str, chosen: int
) -> None:
    path = write("".join(f"[environments.'{name}']\nprovider = 'password'\n" for name in (one, other, "dev")))
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment=(one, other, "dev")[chosen], **login)
    prefix = re.sub(r"\W", "_", one).upper()
    assert str(caught.value) == (
        f"Cannot use {path}: environments {one} and {other} read the same variables, {prefix}_SF_*: rename all but one"
    )


@pytest.mark.parametrize("name", ["PROD", "Prod", "prod"])
def test_the_name_of_an_environment_has_no_case(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write("[environments.prod]\nprovider = 'password'\n")
    assert kinetic.resolve(environment=name, **login).environment == "prod"
    monkeypatch.setenv("ENVIRONMENT", name)
    assert kinetic.resolve(**login).environment == "prod"


@pytest.mark.parametrize("where", ["process", ".env"])
def test_an_ambient_environment_that_the_file_lacks_stops_no_app_that_names_a_provider(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = write(THREE)
    source_of_it = "ENVIRONMENT"
    if where == "process":
        monkeypatch.setenv("ENVIRONMENT", "staging")
    else:
        source_of_it = f"ENVIRONMENT ({write('ENVIRONMENT=staging', '.env')})"
    source = kinetic.resolve("password", **login)
    assert source.environment == "dev"
    row = next(row for row in source.explain() if row.name == "environment")
    assert (row.value, row.note) == (
        "dev",
        f"{source_of_it}=staging is passed over: {path} has no such environment",
    )


def test_an_ambient_environment_of_another_provider_is_passed_over(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(THREE)
    monkeypatch.setenv("ENVIRONMENT", "prod")
    notes = [row.note for row in kinetic.resolve("password", **login).explain() if row.name == "environment"]
    assert notes == ["ENVIRONMENT=prod is passed over: that environment is for the provider 'jwt-bearer'"]


def test_an_ambient_environment_is_passed_over_where_the_file_has_none(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[defaults]\nprovider = 'password'\n")
    monkeypatch.setenv("ENVIRONMENT", "staging")
    source = kinetic.resolve(**login)
    assert source.environment is None
    assert [row.name for row in source.explain() if "passed over" in row.note] == ["environment"]


@pytest.mark.parametrize("default", ["", "default_environment = 'dev'\n"])
@pytest.mark.parametrize("name", ["prod", "PROD"])
def test_an_environment_in_place_of_a_provider_says_how_to_write_it(write: Write, default: str, name: str) -> None:
    path = write(default + "[environments.dev]\nprovider = 'password'\n[environments.prod]\nprovider = 'password'\n")
    with pytest.raises(kinetic.UnknownProviderError) as caught:
        kinetic.resolve(name)
    assert str(caught.value) == (
        f"{name!r} is an environment of {path}, not a provider. "
        f'Remedy: Write resolve(environment="{name}"), or kinetic-auth with -e {name}.'
    )


def test_an_environment_in_place_of_a_provider_is_told_beside_a_named_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(THREE)
    monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "dev")
    with pytest.raises(kinetic.UnknownProviderError, match="'prod' is an environment of"):
        kinetic.resolve("prod")
