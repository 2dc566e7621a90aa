"""The config file: where it is searched for, in which order, and the errors for an invalid one."""

from collections.abc import Callable
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.environment import Variables
from kinetic_auth_core.config.files import ConfigFile, load_config

Write = Callable[..., Path]

USERS_FILE = "../home/.config/kinetic-auth/kinetic-auth.toml"


def loaded(config: str | Path | None = None) -> ConfigFile:
    return load_config(config, Variables.load())


def path_of(file: ConfigFile) -> Path | None:
    return file.path and file.path.resolve()


def test_without_any_file_no_config_file_is_found() -> None:
    assert loaded().path is None


def test_the_config_file_is_searched_from_the_argument_to_the_users_folder(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = write("", USERS_FILE).resolve()
    assert path_of(loaded()) == users
    pyproject = write("[tool.kinetic-auth]\n", "pyproject.toml")
    assert path_of(loaded()) == pyproject
    ours = write("")
    assert path_of(loaded()) == ours
    by_variable = write("", "by-variable.toml")
    monkeypatch.setenv("KINETIC_AUTH_CONFIG", "by-variable.toml")
    assert path_of(loaded()) == by_variable
    by_argument = write("", "by-argument.toml")
    assert path_of(loaded("by-argument.toml")) == by_argument


def test_a_file_in_a_parent_is_found_and_the_nearest_wins(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    far, near = write(""), write("", "a/kinetic-auth.toml")
    (near.parent / "b").mkdir()
    monkeypatch.chdir(near.parent / "b")
    assert path_of(loaded()) == near
    near.unlink()
    assert path_of(loaded()) == far


def test_a_kinetic_auth_toml_in_a_parent_wins_over_a_nearer_pyproject(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = write("")
    nearer = write("[tool.kinetic-auth]\n", "a/pyproject.toml")
    monkeypatch.chdir(nearer.parent)
    assert path_of(loaded()) == ours


def test_a_pyproject_without_our_table_is_ignored_for_one_in_a_parent(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = write("[tool.kinetic-auth]\ndefault_environment = 'dev'\n", "pyproject.toml")
    nearer = write("[project]\nname = 'kinetic-auth-user'\n[tool.other]\n", "a/pyproject.toml")
    monkeypatch.chdir(nearer.parent)
    assert path_of(loaded()) == above


@pytest.mark.parametrize("text", ["not toml [", "name = 'kinetic-auth'\nnot toml ["])
def test_a_broken_pyproject_without_our_table_is_ignored(write: Write, text: str) -> None:
    write(text, "pyproject.toml")
    assert loaded().path is None


def test_a_broken_pyproject_with_our_table_is_an_error(write: Write) -> None:
    write("[tool.kinetic-auth]\nnot toml [\n", "pyproject.toml")
    with pytest.raises(kinetic.ConfigurationError, match="is not valid TOML"):
        loaded()


def test_a_pyproject_gives_its_table_and_keys_are_named_with_it(write: Write, login: dict[str, str]) -> None:
    path = write("[tool.kinetic-auth.environments.dev]\nprovider = 'password'\nread_timeout = 9\n", "pyproject.toml")
    rows = {each.name: each for each in kinetic.resolve(environment="dev", **login).explain()}
    assert rows["read_timeout"].value == 9
    assert rows["read_timeout"].source == f"{path}:tool.kinetic-auth.environments.dev.read_timeout"


def test_a_pyproject_that_was_named_must_have_our_table(write: Write) -> None:
    path = write("[tool.other]\n", "pyproject.toml")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        loaded(path)
    assert str(caught.value) == f"{path} (from config) has no [tool.kinetic-auth] table."


@pytest.mark.parametrize(
    "text",
    [
        "[tool]\nkinetic-auth = 5\n",
        "[tool]\nkinetic-auth = 'dev'\n",
        "[[tool.kinetic-auth]]\n",
        "tool = ['kinetic-auth']\n",
    ],
)
def test_a_pyproject_whose_entry_is_not_a_table_is_a_configuration_error(write: Write, text: str) -> None:
    path = write(text, "pyproject.toml")
    with pytest.raises(kinetic.ConfigurationError, match="pyproject.toml"):
        loaded(path)


def test_a_pyproject_whose_tool_is_not_a_table_is_ignored(write: Write) -> None:
    write("tool = 5 # kinetic-auth\n", "pyproject.toml")
    assert loaded().path is None


@pytest.mark.parametrize("by_argument", [True, False])
def test_a_named_file_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, by_argument: bool) -> None:
    path = Path.home() / "mine.toml"
    path.write_text("")
    if not by_argument:
        monkeypatch.setenv("KINETIC_AUTH_CONFIG", "~/mine.toml")
    assert path_of(loaded("~/mine.toml" if by_argument else None)) == path


def test_a_named_file_at_the_home_of_nobody_is_a_configuration_error() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="~no-such-user"):
        loaded("~no-such-user/kinetic-auth.toml")


def test_a_missing_file_that_was_named_is_an_error_that_says_by_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gone.toml"
    with pytest.raises(kinetic.ConfigurationError) as caught:
        loaded(path)
    assert str(caught.value) == (
        f"the config file {path} (from config) cannot be read: No such file or directory. "
        "Remedy: Correct the path, or leave it out to have the file searched for."
    )
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    monkeypatch.setenv("KINETIC_AUTH_CONFIG", str(path))
    with pytest.raises(kinetic.ConfigurationError, match="from KINETIC_AUTH_CONFIG"):
        loaded()


def test_kinetic_auth_config_may_be_in_dotenv(write: Write) -> None:
    dotenv = write("KINETIC_AUTH_CONFIG=gone.toml\n", ".env")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        loaded()
    assert f"(from KINETIC_AUTH_CONFIG ({dotenv}))" in str(caught.value)


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="cannot be read: Is a directory"):
        loaded(tmp_path)


def test_broken_toml_is_an_error_with_the_line_and_without_the_document(write: Write) -> None:
    path = write("[environments.prod]\npassword = canary-word\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    assert str(caught.value).startswith(f"the config file {path} is not valid TOML: ")
    assert "line 2" in str(caught.value)
    assert "canary-word" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None  # they would hold the text


def test_a_file_that_is_not_utf_8_is_an_error(write: Write) -> None:
    path = write(b"# caf\xe9\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    assert str(caught.value) == f"the config file {path} is not UTF-8 text (byte 5). Remedy: Save it as UTF-8."


def test_all_problems_of_a_malformed_file_are_reported(write: Write) -> None:
    path = write(
        "defaults = 1\ndefault_enviroment = 'dev'\ndefault_environment = 2\n[environments]\nprod = 'x'\nqa = 1\n"
    )
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    assert str(caught.value).splitlines() == [
        f"Cannot use {path}, 5 problems:",
        "  - default_enviroment: unknown key (did you mean 'default_environment'?)",
        "  - default_environment: expected text, the name of an environment",
        "  - defaults: expected a table, [defaults]",
        "  - environments.prod: expected a table, [environments.prod]",
        "  - environments.qa: expected a table, [environments.qa]",
    ]


def test_environments_that_are_not_tables_are_one_problem(write: Write) -> None:
    path = write("environments = ['prod']\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve()
    assert str(caught.value) == f"Cannot use {path}: environments: expected tables, [environments.<name>]"


def test_in_a_deleted_working_directory_no_file_is_found(
    tmp_path: Path, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert kinetic.resolve("password", **login).environment is None


def test_values_of_the_file_are_in_no_repr(write: Write) -> None:
    write("[defaults]\npassword = 'canary'\n[environments.prod]\npassword = 'canary'\n")
    assert "canary" not in repr(loaded())


def test_a_top_level_key_inside_a_table_is_an_error_because_it_has_no_effect_there(write: Write) -> None:
    path = write("[defaults]\nallowed_plugins = ['acme-sso']\n\n[environments.dev]\ndefault_environment = 'dev'\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", config=path)
    assert caught.value.problems == (
        "defaults.allowed_plugins: belongs to the top of the file, before its first [table]",
        "environments.dev.default_environment: belongs to the top of the file, before its first [table]",
    )


@pytest.mark.parametrize(
    ("line", "hint"),
    [('login_url = "https://acme', "a quote at the end of the line is missing"), (r'path = "C:\keys"', "a backslash")],
)
def test_a_mistake_in_quotes_says_what_is_wrong(tmp_path: Path, line: str, hint: str) -> None:
    (tmp_path / "given.toml").write_text(f"[defaults]\n{line}\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", config=tmp_path / "given.toml")
    assert hint in str(caught.value)
    assert "acme" not in str(caught.value)
