"""The options that count for a whole run, wherever they stand: `-e`, `--json`, `-v`; and errors as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.cli.run import wants_json

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

FILE = """
[environments.dev]
provider = "password"
login_url = "https://test.salesforce.com"

[environments.Prod]
provider = "jwt-bearer"
client_id = "c"
username = "integration@acme.example"
private_key_path = "server.key"
"""


@pytest.fixture
def config() -> None:
    Path("kinetic-auth.toml").write_text(FILE)


@pytest.mark.usefixtures("config")
class TestEnvironment:
    @pytest.mark.parametrize(
        "args",
        [
            ("-e", "prod", "config", "show"),
            ("config", "-e", "prod", "show"),
            ("config", "show", "-e", "prod"),
            ("config", "show", "--environment=prod"),
            ("--environment", "prod", "config", "show"),
            ("-e", "dev", "config", "show", "-e", "prod"),
            ("-e", "dev", "config", "-e", "prod", "show"),
            ("config", "show", "prod"),
            ("config", "show", "PROD"),
            ("config", "show", "prod", "-e", "prod"),
        ],
    )
    def test_it_is_named_before_or_after_the_command_or_in_the_place_of_the_provider(
        self, run: Run, args: tuple[str, ...]
    ) -> None:
        outcome = run(*args)
        assert outcome.code == 0, outcome.err
        assert outcome.table["environment"] == ["Prod"]
        assert outcome.table["provider"] == ["jwt-bearer"]

    @pytest.mark.parametrize("command", ["login", "token", "status", "logout"])
    def test_every_command_with_a_provider_takes_an_environment_in_its_place(self, run: Run, command: str) -> None:
        outcome = run(command, "dev")
        assert outcome.code == 2
        assert "Cannot configure 'password' for the environment 'dev'" in outcome.message

    def test_the_process_may_name_another_one(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "dev")
        assert run("config", "show", "prod").table["environment"] == ["Prod"]

    def test_two_environments_contradict_each_other(self, run: Run) -> None:
        outcome = run("login", "prod", "-e", "dev")
        assert outcome.code == 2
        assert "'prod' is an environment of" in outcome.message
        assert "and -e names another one, 'dev'. Remedy: Name one of them." in outcome.message

    def test_a_provider_wins_over_an_environment_of_its_name(self, run: Run) -> None:
        Path("kinetic-auth.toml").write_text('[environments.password]\nprovider = "jwt-bearer"\n')
        assert run("config", "show", "password").table["provider"] == ["password"]

    def test_a_name_that_is_neither_is_an_unknown_provider(self, run: Run) -> None:
        outcome = run("login", "xyz")
        assert outcome.code == 2
        assert "no provider 'xyz' is installed" in outcome.message

    def test_a_misspelt_environment_is_told_from_a_provider(self, run: Run) -> None:
        message = run("token", "Prdo").message
        assert "no provider 'Prdo' is installed" in message
        assert "(did you mean 'Prod'?)" in message

    def test_a_command_that_has_no_environment_refuses_one(self, run: Run) -> None:
        outcome = run("-e", "prod", "providers")
        assert (outcome.code, outcome.out) == (2, "")
        assert "providers is not for one environment: leave -e out." in outcome.message


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("--json login", True),
        ("config --json show", True),
        ("token --format json", True),
        ("token --format=json", True),
        ("token --format env", False),
        ("exec -- curl --json x", False),
        ("exec curl --json x", False),
        ("--json exec curl", True),
        ("-e exec login --json", True),
        ("login --nonsense --json", True),
        ("login -- --json", False),
        ("new-plugin exec --json", True),
    ],
)
def test_json_is_found_in_a_command_line_that_need_not_be_right(line: str, asks: bool) -> None:
    assert wants_json(line.split()) is asks


class TestJsonErrors:
    @pytest.mark.parametrize(
        ("args", "kind", "code"),
        [
            (("login", "--json"), "ConfigurationError", 2),
            (("--json", "login"), "ConfigurationError", 2),
            (("token", "--format", "json"), "ConfigurationError", 2),
            (("exec", "--", "true"), None, 2),
            (("--json", "exec", "--", "true"), "ConfigurationError", 2),
            (("status", "nosuch", "--json"), "UnknownProviderError", 2),
            (("login", "--nosuch", "--json"), "UsageError", 2),
            (("nosuch", "--json"), "UsageError", 2),
            (("--json",), "UsageError", 2),
            (("config", "--json"), "UsageError", 2),
            (("emulator", "--json", "--port", "x"), "UsageError", 2),
            (("login", "--set", "x", "--json"), "UsageError", 2),
            (("providers", "nosuch", "--json"), "UnknownProviderError", 2),
            (("plugins", "nosuch", "--json"), "UnknownProviderError", 2),
            (("new-plugin", "X", "--kind", "provider", "--json"), "ConfigurationError", 2),
        ],
    )
    def test_an_error_is_the_one_document_on_stdout(
        self, run: Run, args: tuple[str, ...], kind: str | None, code: int
    ) -> None:
        outcome = run(*args)
        assert outcome.code == code
        assert outcome.err.startswith("Error: ")
        if kind is None:
            assert outcome.out == ""
            return
        error = json.loads(outcome.out)["error"]
        assert (error["type"], error["exit_code"]) == (kind, code)
        assert error["message"]
        assert isinstance(error["remedy"], str)

    def test_the_certificates_errors_too(self, run: Run) -> None:
        outcome = run("cert", "show", "nosuch.crt", "--json")
        error = json.loads(outcome.out)["error"]
        assert (outcome.code, error["type"], error["exit_code"]) == (3, "KeyLoadError", 3)

    def test_problems_are_listed(self, run: Run) -> None:
        error = json.loads(run("login", "password", "--json").out)["error"]
        assert len(error["problems"]) >= 3

    def test_an_answer_of_salesforce_is_told_apart(
        self, run: Run, canary: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SF_PASSWORD", "canary-wrong")
        outcome = run("login", "password", "--json")
        error = json.loads(outcome.out)["error"]
        assert (outcome.code, error["type"], error["error"]) == (4, "CredentialsRejectedError", "invalid_grant")
        assert (error["status"], error["retryable"], error["username"]) == (400, False, canary)
        assert outcome.has_no_secret("canary-wrong")
        held_back = json.loads(run("login", "password", "--json").out)["error"]
        assert ("is not tried" in held_back["message"], held_back["type"]) == (True, "CredentialsRejectedError")

    def test_a_document_that_has_the_problems_is_not_followed_by_another(self, run: Run) -> None:
        document = json.loads(run("config", "show", "password", "--json").out)
        assert document["error"]["type"] == "ConfigurationError"
        assert document["problems"] == document["error"]["problems"]


@pytest.mark.usefixtures("canary")
class TestVerbose:
    def test_it_shows_the_log(self, run: Run) -> None:
        assert "INFO kinetic_auth_core" not in run("login", "password", "--fresh").err
        for args in (("-v", "login"), ("login", "-v")):
            outcome = run(*args, "password", "--fresh")
            assert outcome.code == 0
            assert "INFO kinetic_auth_core.login.flow: password login of" in outcome.err
            assert outcome.has_no_secret()

    def test_twice_shows_no_details_of_other_libraries(self, run: Run) -> None:
        outcome = run("login", "password", "--fresh", "-vv")
        assert outcome.code == 0
        assert "DEBUG urllib3" not in outcome.err
        assert outcome.has_no_secret()


@pytest.mark.usefixtures("canary")
def test_set_resolves_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from kinetic_auth_core.config import environment

    made = []
    load = environment.Variables.load.__func__  # type: ignore[attr-defined]

    def counted(cls: type, env_file: object = None) -> object:
        made.append(env_file)
        return load(cls, env_file)

    def calls(*args: str) -> int:
        made.clear()
        assert run("login", "password", *args).code == 0
        return len(made)

    monkeypatch.setattr(environment.Variables, "load", classmethod(counted))
    assert calls("--set", "deadline=30") == calls()
