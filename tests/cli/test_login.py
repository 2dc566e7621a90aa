"""`kinetic-auth login`: the session on stdout; every failure as a block, with its exit code; no secret."""

import datetime as dt
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import Alter, Html, KeyPair, NotJson, SalesforceEmulator

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


@pytest.mark.usefixtures("default_env")
@pytest.mark.parametrize("provider", ["password", "jwt-bearer"])
def test_logs_in_once_and_shows_the_session_without_its_token(run: Run, sf: SalesforceEmulator, provider: str) -> None:
    before = sf.token_requests
    outcome = run("login", provider)
    assert outcome.code == 0
    assert sf.token_requests == before + 1
    table = outcome.table
    assert table["provider"] == [provider]
    assert table["instance_url"] == [sf.url]
    assert table["base_url"] == [f"{sf.url}/services/data/v62.0"]
    assert table["org_id"] == [sf.org_id]
    assert table["user_id"] == [sf.default.user.id]
    assert table["username"] == [sf.default.username]
    assert table["api_version"] == ["v62.0"]
    assert table["access_token"] == ["******** (--show-token shows it)"]
    issued_at = re.fullmatch(r"(\S+Z) \((\d{13}) ms\)", table["issued_at"][0])
    assert issued_at is not None
    moment, ms = issued_at.groups()
    assert dt.datetime.fromisoformat(moment).timestamp() * 1000 == pytest.approx(int(ms))
    assert outcome.has_no_secret()


@pytest.mark.usefixtures("canary")
def test_the_providers_warning_is_one_paragraph_on_stderr(python: Run) -> None:
    code = "import sys; from kinetic_auth_core.cli import main; sys.argv[1:] = ['login', 'password']; main()"
    outcome = python(code)  # it warns once a process
    assert outcome.message.startswith("Warning: Salesforce ends the username-password flow on 2027-02-20")
    assert outcome.message.count("Warning:") == 1


@pytest.mark.usefixtures("default_env")
def test_the_token_is_shown_on_request_only_and_works(run: Run, sf: SalesforceEmulator) -> None:
    token = run("login", "jwt-bearer", "--show-token").table["access_token"][0]
    assert sf.is_live(token)


@pytest.mark.usefixtures("default_env")
def test_json_has_the_same(run: Run, sf: SalesforceEmulator) -> None:
    document = json.loads(run("login", "jwt-bearer", "--json").out)
    issued_at, issued_at_ms = document.pop("issued_at"), document.pop("issued_at_ms")
    assert dt.datetime.fromisoformat(issued_at).timestamp() * 1000 == pytest.approx(int(issued_at_ms))
    assert document == {
        "provider": "jwt-bearer",
        "environment": None,
        "store": "file",
        "instance_url": sf.url,
        "base_url": f"{sf.url}/services/data/v62.0",
        "org_id": sf.org_id,
        "user_id": sf.default.user.id,
        "username": sf.default.username,
        "api_version": "v62.0",
        "scope": "api id refresh_token",
        "token_type": "Bearer",
        "access_token": None,
    }


@pytest.mark.usefixtures("default_env")
def test_json_has_the_token_on_request_only(run: Run, sf: SalesforceEmulator) -> None:
    assert sf.is_live(json.loads(run("login", "password", "--json", "--show-token").out)["access_token"])


@pytest.mark.usefixtures("default_env")
def test_an_invalid_time_of_issue_is_shown_unchanged(run: Run, sf: SalesforceEmulator) -> None:
    sf.break_transport(Alter({"issued_at": "9999999999999999"}))
    assert run("login", "jwt-bearer").table["issued_at"] == ["- (9999999999999999 ms)"]


@pytest.mark.usefixtures("default_env")
def test_the_environment_of_a_config_file_names_the_provider(run: Run) -> None:
    Path("acme.toml").write_text('[environments.prod]\nprovider = "jwt-bearer"\n')
    outcome = run("login", "-e", "prod", "--config", "acme.toml")
    assert outcome.code == 0
    assert outcome.table["provider"] == ["jwt-bearer"]
    assert outcome.table["environment"] == ["prod"]


@pytest.mark.usefixtures("canary")
def test_a_env_file_can_be_named(run: Run, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SF_USERNAME")
    Path("acme.env").write_text(f"SF_USERNAME={canary}\n")
    outcome = run("login", "password", "--env-file", "acme.env")
    assert outcome.table["username"] == [canary]


@pytest.mark.usefixtures("default_env")
def test_the_api_version_of_the_environment_is_honoured(run: Run) -> None:
    assert run("login", "password", env={"SF_API_VERSION": "61"}).table["api_version"] == ["v61.0"]


class TestSet:
    @pytest.mark.usefixtures("default_env")
    def test_accepts_settings_of_any_type(self, run: Run) -> None:
        outcome = run("login", "password", "--set", "api_version=60.0", "--set", "read_timeout=2.5")
        assert outcome.code == 0
        assert outcome.table["api_version"] == ["v60.0"]

    @pytest.mark.usefixtures("default_env")
    def test_accepts_settings_of_the_source_too(self, run: Run) -> None:
        outcome = run(
            "login", "password", "--set", "login_budget=5", "--set", "allowed_instance_hosts=*.acme.com, 127.0.0.1"
        )
        assert outcome.code == 0, outcome.err

    @pytest.mark.usefixtures("default_env")
    def test_all_unusable_settings_are_reported_at_once(self, run: Run) -> None:
        outcome = run("login", "password", "--set", "usrname=x", "--set", "read_timeout=soon")
        assert outcome.code == 2
        assert "usrname (from --set): unknown setting (did you mean 'username'?)" in outcome.message
        assert "read_timeout (from --set): expected a number, got text" in outcome.message

    @pytest.mark.usefixtures("canary")
    @pytest.mark.parametrize("name", ["password", "client_secret", "security_token", "proxy"])
    def test_refuses_secrets_and_says_where_they_belong(self, run: Run, sf: SalesforceEmulator, name: str) -> None:
        before = sf.token_requests
        outcome = run("login", "password", "--set", f"{name}=canary-client-secret")
        assert (outcome.code, outcome.out) == (2, "")
        assert (
            f"--set {name}: is secret, and the command line is visible in the shell's history and in ps."
            in outcome.message
        )
        assert (
            f"Remedy: Set the variable SF_{name.upper()} in the environment or in a .env file; or set {name}"
            in outcome.message
        )
        assert outcome.has_no_secret()
        assert sf.token_requests == before

    def test_names_the_variable_of_the_environment(self, run: Run) -> None:
        Path("kinetic-auth.toml").write_text('[environments.prod]\nprovider = "password"\n')
        Path("kinetic-auth.toml").chmod(0o600)
        outcome = run("login", "-e", "prod", "--set", "password=canary-client-secret")
        assert "Set the variable PROD_SF_PASSWORD in" in outcome.message
        assert outcome.has_no_secret()

    @pytest.mark.parametrize(
        ("name", "instead"),
        [
            ("environment", "the option --environment"),
            ("config", "the option --config"),
            ("env_file", "the option --env-file"),
            ("provider", "the argument PROVIDER"),
        ],
    )
    def test_names_the_option_for_a_misspelt_setting(self, run: Run, name: str, instead: str) -> None:
        outcome = run("login", "password", "--set", f"{name}=x")
        assert outcome.code == 2
        assert outcome.message == f"Error: --set {name}: is not a setting. Remedy: Use {instead}."

    @pytest.mark.parametrize("args", [("--set", "canary-client-secret"), ("--set", "=canary-client-secret")])
    def test_does_not_quote_an_argument_that_is_not_a_pair(self, run: Run, args: tuple[str, ...]) -> None:
        outcome = run("login", "password", *args)
        assert outcome.code == 2
        assert "--set takes name=value, such as --set username=integration@acme.com." in outcome.message
        assert outcome.has_no_secret()

    @pytest.mark.parametrize(
        "args", [("username=x", "password=canary-client-secret"), ("password=canary-client-secret",)]
    )
    def test_does_not_quote_a_pair_without_its_option(self, run: Run, args: tuple[str, ...]) -> None:
        outcome = run("login", *args)
        assert outcome.code == 2
        assert "each setting needs its own --set" in outcome.message
        assert outcome.has_no_secret()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.usefixtures("default_env")
@pytest.mark.parametrize("debug", [(), ("--debug",)])
class TestFailures:
    def test_all_missing_settings_are_reported_at_once(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, debug: tuple[str, ...]
    ) -> None:
        for name in ("SF_CLIENT_ID", "SF_USERNAME"):
            monkeypatch.delenv(name)
        outcome = run("login", "password", *debug)
        assert (outcome.code, outcome.out) == (2, "")
        assert "client_id is missing" in outcome.message
        assert "username is missing" in outcome.message
        assert ("Traceback" in outcome.err) == bool(debug)

    def test_a_missing_key_exits_with_3(self, run: Run, debug: tuple[str, ...]) -> None:
        outcome = run("login", "jwt-bearer", "--set", "private_key_path=nowhere.key", *debug)
        assert (outcome.code, outcome.out) == (3, "")
        assert "Error: private_key_path (from --set): Private key not found:" in outcome.message
        assert f"{Path('nowhere.key').absolute()} does not exist. Remedy: Verify private_key" in outcome.message

    def test_a_wrong_key_exits_with_4_and_the_remedy(self, run: Run, keys: KeyPair, debug: tuple[str, ...]) -> None:
        Path("other.key").write_text(keys.private_key_pem)
        outcome = run("login", "jwt-bearer", "--set", "private_key_path=other.key", *debug)
        assert (outcome.code, outcome.out) == (4, "")
        assert "invalid_grant: invalid assertion (HTTP 400)." in outcome.message
        assert (
            "Remedy: The private key and the certificate that is uploaded to the app do not belong together"
            in outcome.message
        )
        assert outcome.has_no_secret()

    def test_a_wrong_password_exits_with_4_and_names_user_and_host(
        self, run: Run, sf: SalesforceEmulator, debug: tuple[str, ...]
    ) -> None:
        user = sf.add_user(f"wrong-{len(sf.history)}@acme.example")
        outcome = run("login", "password", "--set", f"username={user.username}", *debug)
        assert (outcome.code, outcome.out) == (4, "")
        host = sf.url.partition("://")[2]
        assert (
            f"password login of {user.username} at {host} failed: invalid_grant: authentication failure"
            in outcome.message
        )
        assert "Remedy: Check username and password" in outcome.message
        assert outcome.has_no_secret(sf.default.password, sf.default.security_token, sf.default.client_secret)

    def test_a_session_rejected_by_a_guard_exits_with_4(
        self, run: Run, sf: SalesforceEmulator, debug: tuple[str, ...]
    ) -> None:
        sf.break_transport(Alter({"signature": "d3Jvbmc="}))
        outcome = run("login", "password", *debug)
        assert outcome.code == 4
        assert "the signature of the answer is wrong" in outcome.message
        assert outcome.has_no_secret()

    def test_a_temporary_failure_exits_with_5(self, run: Run, sf: SalesforceEmulator, debug: tuple[str, ...]) -> None:
        sf.refuse("unknown_error", "retry your request", times=None)
        outcome = run("login", "jwt-bearer", *debug)
        assert outcome.code == 5
        assert "Remedy: Salesforce asks to try again" in outcome.message

    def test_maintenance_exits_with_5(self, run: Run, sf: SalesforceEmulator, debug: tuple[str, ...]) -> None:
        sf.break_transport(Html(503), times=None)
        outcome = run("login", "jwt-bearer", *debug)
        assert outcome.code == 5
        assert "HTTP 503 with text/html instead of JSON. Given up after 4 tries within" in outcome.message
        assert "Remedy: Try later" in outcome.message

    def test_an_answer_that_is_not_json_exits_with_5(
        self, run: Run, sf: SalesforceEmulator, debug: tuple[str, ...]
    ) -> None:
        sf.break_transport(NotJson(), times=None)
        assert run("login", "jwt-bearer", *debug).code == 5

    def test_a_host_that_does_not_answer_exits_with_5(self, run: Run, debug: tuple[str, ...]) -> None:
        outcome = run("login", "password", "--set", f"login_url=http://127.0.0.1:{free_port()}", *debug)
        assert outcome.code == 5
        assert "refused" in outcome.message.lower()
        assert "Traceback" in outcome.err or not debug

    def test_text_of_the_server_cannot_steer_the_terminal(
        self, run: Run, sf: SalesforceEmulator, debug: tuple[str, ...]
    ) -> None:
        sf.refuse("odd_error", "\x1b[2Jgone", times=None)
        outcome = run("login", "jwt-bearer", *debug)
        assert outcome.code == 4
        assert "\x1b" not in outcome.err


@pytest.mark.usefixtures("default_env")
def test_an_error_is_printed_once(run: Run, sf: SalesforceEmulator) -> None:
    sf.refuse("inactive_user", "user frozen or deactivated")
    outcome = run("login", "jwt-bearer")
    assert outcome.message.count("inactive_user") == 1


class TestLog:
    @pytest.mark.usefixtures("canary")
    @pytest.mark.parametrize("args", [(), ("--debug",), ("--show-token",)])
    @pytest.mark.parametrize("faulty", [False, True])
    def test_no_secret_is_in_it_at_any_level(
        self, run: Run, sf: SalesforceEmulator, tmp_path: Path, args: tuple[str, ...], faulty: bool
    ) -> None:
        if faulty:
            sf.refuse("invalid_grant", "authentication failure canary-pass&word+100%canary-security-token")
        env = {"LOG_LEVEL": "DEBUG", "LOG_DIR": str(tmp_path / "logs")}
        outcome = run("login", "password", *args, env=env)
        log = (tmp_path / "logs" / "kinetic-auth.log").read_text()
        assert outcome.code == (4 if faulty else 0)
        assert "DEBUG urllib3.connectionpool" in log
        if "--show-token" not in args:
            assert outcome.has_no_secret()
        assert type(outcome)(0, log, outcome.err).has_no_secret()

    @pytest.mark.usefixtures("default_env")
    def test_its_level_comes_from_the_env_file_too(self, run: Run) -> None:
        Path("acme.env").write_text("LOG_LEVEL=INFO\n")
        outcome = run("login", "jwt-bearer", "--env-file", "acme.env")
        assert "INFO kinetic_auth_core.login.flow: jwt-bearer login of" in outcome.err

    @pytest.mark.usefixtures("default_env")
    def test_is_shown_by_debug(self, run: Run) -> None:
        assert "INFO kinetic_auth_core.login.flow:" in run("login", "jwt-bearer", "--debug").err

    @pytest.mark.usefixtures("default_env")
    def test_nothing_is_logged_otherwise(self, run: Run) -> None:
        assert run("login", "jwt-bearer").err == ""

    def test_an_unknown_log_level_is_a_usage_error(self, run: Run) -> None:
        outcome = run("providers", env={"LOG_LEVEL": "LOUD"})
        assert (outcome.code, outcome.out) == (2, "")
        assert "LOG_LEVEL: 'LOUD' is not a log level; use one of" in outcome.message


@pytest.mark.usefixtures("full_tier")
def test_an_emulator_with_tls_is_reached_by_its_own_variables(run: Run) -> None:
    with SalesforceEmulator(tls=True) as org:
        outcome = run("login", "password", env=org.env())
        assert outcome.code == 0
        assert outcome.table["instance_url"] == [org.url]
        untrusting = run("login", "password", "--fresh", env={**org.env(), "SF_CA_BUNDLE": ""})
    assert untrusting.code == 5
    assert "certificate" in untrusting.message
