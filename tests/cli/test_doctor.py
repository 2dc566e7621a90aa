"""`kinetic-auth doctor`: its report, its requests, and what it leaves alone. `test_doctor_faults` plants faults."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.cli.doctor.host import audience_problem, kind_of_org
from kinetic_auth_core.cli.doctor.log_warnings import split_advice
from kinetic_auth_core.testing import Answer, SalesforceEmulator

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it
Publish = Callable[..., None]

ORDER = [
    ".env file",
    "config file",
    "environment",
    "provider",
    "plugins",
    "settings",
    "API version",
    "login host",
    "secrets",
    "certificate",
    "key",
    "store",
    "pauses",
    "proxy",
    "DNS",
    "TCP",
    "TLS",
    "host",
    "clock",
    "login",
    "scopes",
    "REST API",
    "API limits",
]


def checks(outcome: Any) -> dict[str, dict[str, Any]]:
    """The checks of a JSON document, by name; the last of those that have the same."""
    return {check["name"]: check for check in json.loads(outcome.out)["checks"]}


@pytest.mark.usefixtures("default_env")
def test_a_deployment_that_works_has_no_failure_and_nobody_logs_in(run: Run, sf: SalesforceEmulator) -> None:
    before, requests = sf.token_requests, len(sf.requests)
    outcome = run("doctor", "jwt-bearer", "--json")
    document = json.loads(outcome.out)
    assert outcome.code == 0
    assert outcome.err == ""
    assert document["root_cause"] is None
    assert [check["name"] for check in document["checks"]] == ORDER
    assert {check["status"] for check in document["checks"]} == {"ok", "skipped"}
    assert all(
        set(check) == {"name", "status", "message", "remedy", "setting", "source"} for check in document["checks"]
    )
    assert sf.token_requests == before
    assert [request.path for request in sf.requests[requests:]] == ["/.well-known/openid-configuration"]
    assert checks(outcome)["login"]["message"] == "needs a login: add --login."


@pytest.mark.usefixtures("default_env")
def test_with_login_one_login_and_one_rest_call_are_made(run: Run, sf: SalesforceEmulator) -> None:
    requests = len(sf.requests)
    outcome = run("doctor", "jwt-bearer", "--login", "--json")
    assert outcome.code == 0
    made = [(request.method, request.path) for request in sf.requests[requests:]]
    assert made[1:] == [("POST", "/services/oauth2/token"), ("GET", "/services/data/v62.0/limits")]
    found = checks(outcome)
    assert found["login"]["message"] == f"{sf.default.username} of org {sf.org_id} at {sf.url}."
    assert found["scopes"]["message"] == "api, id, refresh_token."
    assert "of 15000 API requests" in found["API limits"]["message"]
    assert outcome.has_no_secret(sf.default.client_secret, sf.default.password)


@pytest.mark.usefixtures("default_env")
@pytest.mark.parametrize("provider", ["password", "client-credentials", "refresh-token", "access-token"])
def test_other_providers_have_no_failure_either(
    run: Run, sf: SalesforceEmulator, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SF_PRIVATE_KEY_PATH")
    for name, value in sf.settings(provider).items():
        monkeypatch.setenv(f"SF_{name.upper()}", str(value))
    outcome = run("doctor", provider, "--login", "--json")
    assert json.loads(outcome.out)["root_cause"] is None
    assert outcome.code == 0


@pytest.mark.usefixtures("default_env")
def test_a_damaged_refresh_token_in_the_store_is_a_failure(
    run: Run, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SF_PRIVATE_KEY_PATH")
    for name, value in sf.settings("refresh-token").items():
        monkeypatch.setenv(f"SF_{name.upper()}", str(value))
    assert run("login", "refresh-token").code == 0
    (entry,) = tmp_path.rglob("*.state.session")
    entry.write_bytes(entry.read_bytes()[:-1])
    outcome = run("doctor", "refresh-token", "--json")
    found = checks(outcome)["refresh token"]
    assert outcome.code == 5
    assert found["status"] == "failure"
    assert entry.name in found["message"]
    assert "logout --local" in found["remedy"]


@pytest.mark.usefixtures("default_env")
def test_a_warning_is_a_line_of_the_report_and_is_not_printed_too(run: Run, sf: SalesforceEmulator) -> None:
    Path("server.key").write_text(sf.default.private_key_pem)
    Path("server.key").chmod(0o644)
    outcome = run("doctor", "jwt-bearer", "--set", "private_key_path=server.key", "--json")
    warnings = [
        each for each in json.loads(outcome.out)["checks"] if (each["name"], each["status"]) == ("key", "warning")
    ]
    assert [each["remedy"] for each in warnings] == ["Close it: chmod 600 server.key"]
    assert outcome.err == ""


@pytest.mark.usefixtures("default_env")
def test_the_live_session_in_the_store_stays(run: Run, sf: SalesforceEmulator) -> None:
    token = run("token", "jwt-bearer").out.strip()
    assert run("doctor", "jwt-bearer", "--login").code == 0
    assert run("token", "jwt-bearer").out.strip() == token
    assert sf.is_live(token)


def test_the_settings_say_where_they_come_from(run: Run, default_env: dict[str, str]) -> None:
    Path("kinetic-auth.toml").write_text('[environments.prod]\nprovider = "jwt-bearer"\nclient_id = "3MVG9"\n')
    outcome = run("doctor", "-e", "prod", "--set", "audience=https://acme.example", "--json", env=default_env)
    path = Path("kinetic-auth.toml").absolute()
    listed, passed_over = [each for each in json.loads(outcome.out)["checks"] if each["name"] == "settings"]
    assert f"client_id ({path}:environments.prod.client_id)" in listed["message"]
    assert "username (SF_USERNAME)" in listed["message"]
    assert "audience (--set)" in listed["message"]
    assert (passed_over["setting"], passed_over["source"]) == ("client_id", f"{path}:environments.prod.client_id")
    assert checks(outcome)["config file"]["message"] == f"{path} (found by searching)."


@pytest.mark.usefixtures("default_env")
def test_what_a_failure_makes_moot_is_skipped_and_says_why(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", "/nowhere/key")
    found = checks(run("doctor", "jwt-bearer", "--login", "--json"))
    assert found["key"]["status"] == "failure"
    assert found["clock"]["status"] == "ok"  # it needs no key
    assert (found["login"]["status"], found["login"]["message"]) == ("skipped", "not checked: key comes first.")
    assert found["REST API"]["status"] == "skipped"


@pytest.mark.usefixtures("default_env")
def test_people_read_the_root_cause_at_the_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("doctor", "jwt-bearer").out.rstrip().endswith("All is well.")
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", "/nowhere/key")
    outcome = run("doctor", "jwt-bearer")
    assert outcome.code == 3
    end = " ".join(outcome.out.partition("Root cause: ")[2].split())
    assert end.startswith("key: private_key_path (from SF_PRIVATE_KEY_PATH): Private key not found")
    assert "Remedy: Verify private_key_path" in end


@pytest.mark.usefixtures("default_env")
def test_a_suspicion_is_a_warning_once_the_login_succeeds(
    run: Run, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sf.default.app.client_secret = '"quoted"'
    monkeypatch.setenv("SF_CLIENT_SECRET", '"quoted"')
    monkeypatch.delenv("SF_PRIVATE_KEY_PATH")
    try:
        assert run("doctor", "client-credentials").code == 2
        outcome = run("doctor", "client-credentials", "--login", "--json")
    finally:
        sf.renew_default()
    assert outcome.code == 0
    assert checks(outcome)["settings"]["status"] == "warning"
    assert "The login succeeded in spite of it." in checks(outcome)["settings"]["message"]


@pytest.mark.usefixtures("default_env")
def test_a_refusal_that_is_mended_in_the_org_is_not_held_back(run: Run, sf: SalesforceEmulator) -> None:
    sf.refuse("oauth_flow_disabled", "flow or app disabled")
    assert run("doctor", "jwt-bearer", "--login").code == 4
    assert run("doctor", "jwt-bearer", "--login").code == 0


@pytest.mark.usefixtures("default_env")
def test_a_password_that_was_refused_is_held_back(
    run: Run, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_PASSWORD", "wrong")
    assert run("doctor", "password", "--login").code == 4
    before = sf.token_requests
    outcome = run("doctor", "password", "--login", "--json")
    assert outcome.code == 4
    assert sf.token_requests == before
    assert "the same credential was refused" in json.loads(outcome.out)["root_cause"]["message"]


@pytest.mark.usefixtures("default_env")
def test_of_two_keys_one_that_is_unusable_is_a_warning(run: Run, sf: SalesforceEmulator) -> None:
    Path("kinetic-auth.toml").write_text(
        '[environments.prod]\nprovider = "jwt-bearer"\nprivate_key = ["file:key.pem", "damaged"]\n'.replace(
            "file:key.pem", f"file://{sf.private_key_path}"
        )
    )
    outcome = run("doctor", "-e", "prod", "--login", "--json", env={"SF_PRIVATE_KEY_PATH": ""})
    assert outcome.code == 0
    found = [check for check in json.loads(outcome.out)["checks"] if check["name"] == "key"]
    assert [check["status"] for check in found] == ["warning"]


@pytest.mark.usefixtures("default_env")
def test_an_unknown_answer_of_the_rest_api_is_a_failure(run: Run, sf: SalesforceEmulator) -> None:
    sf.break_transport(Answer("<html>", 418), path="/services/data/*")
    outcome = run("doctor", "jwt-bearer", "--login", "--json")
    assert outcome.code == 4
    assert json.loads(outcome.out)["root_cause"]["message"] == "the REST API did not take the session (HTTP 418)."


def test_a_browser_login_without_a_terminal_says_which_command_to_run(
    run: Run, sf: SalesforceEmulator, default_env: dict[str, str]
) -> None:
    outcome = run("doctor", "web-login", "--login", "--json", env={**default_env, "SF_PRIVATE_KEY_PATH": ""})
    assert outcome.code == 4
    document = json.loads(outcome.out)
    assert document["root_cause"]["name"] == "login"
    assert "kinetic-auth login" in document["root_cause"]["remedy"]
    [token] = [check for check in document["checks"] if check["name"] == "refresh token"]
    assert (token["status"], token["message"]) == (
        "warning",
        "none is kept: the next login asks a person, in a browser.",
    )


_UNFIT = """
import attrs, kinetic_auth_core as kinetic
@attrs.frozen
class Sso:
    @kinetic.hookimpl
    def authentikate(self, request): ...
"""


@pytest.mark.usefixtures("default_env")
@pytest.mark.parametrize(
    ("distribution", "provider", "owners"),
    [("acme-sso", "acme-sso", ["acme-sso 1.5"]), ("acme-jwt", "jwt-bearer", ["acme-jwt", "kinetic-auth-jwt-bearer"])],
    ids=["it does not fit", "another package has the same name"],
)
def test_a_plugin_that_cannot_be_used_is_the_cause(
    run: Run, publish: Publish, distribution: str, provider: str, owners: list[str]
) -> None:
    publish(distribution, provider, f"{distribution.replace('-', '_')}:Sso", _UNFIT)
    outcome = run("doctor", provider, "--json")
    assert outcome.code == 2
    cause = json.loads(outcome.out)["root_cause"]
    assert cause["name"] == "provider"
    assert all(owner in cause["message"] for owner in owners)
    assert cause["remedy"]


@pytest.mark.usefixtures("default_env")
def test_a_plugin_that_does_not_fit_is_a_warning_where_it_is_not_used(run: Run, publish: Publish) -> None:
    publish("acme-sso", "acme-sso", "acme_sso2:Sso", _UNFIT)
    outcome = run("doctor", "jwt-bearer", "--json")
    assert outcome.code == 0
    assert checks(outcome)["plugins"]["status"] == "warning"
    assert "acme-sso 1.5" in checks(outcome)["plugins"]["message"]


_RAISES = """
import attrs, kinetic_auth_core as kinetic
@attrs.frozen
class Sso(kinetic.GrantAuthenticator):
    private_key: str | bytes = kinetic.setting(help="Key.", secret=True)
    def grant(self, request):
        raise RuntimeError(self.private_key)
"""


def test_a_plugin_that_raises_hides_no_other_check_and_shows_no_secret(
    run: Run, publish: Publish, sf: SalesforceEmulator
) -> None:
    publish("acme-raises", "acme-raises", "acme_raises:Sso", _RAISES)
    outcome = run("doctor", "acme-raises", "--json", env={"SF_PRIVATE_KEY": "canary-key", "SF_LOGIN_URL": sf.url})
    assert outcome.code == 6
    found = checks(outcome)
    assert found["key"]["message"] == "key could not be checked: RuntimeError was raised."
    assert found["clock"]["status"] == "ok"
    assert outcome.has_no_secret("canary-key")


def test_secrets_are_not_taken_from_the_command_line(run: Run) -> None:
    outcome = run("doctor", "jwt-bearer", "--set", "private_key=canary")
    assert outcome.code == 2
    assert "canary" not in outcome.out + outcome.err


@pytest.mark.usefixtures("default_env")
def test_a_session_that_another_login_stored_is_read(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SF_STORE", "file")
    monkeypatch.setenv("SF_STORE_PATH", str(tmp_path / "store"))
    with kinetic.resolve("jwt-bearer") as source:
        source.session()
    assert checks(run("doctor", "jwt-bearer", "--json"))["store"]["message"] == "file: it can be read and written."
    assert sorted((tmp_path / "store").iterdir())


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://login.salesforce.com", "production"),
        ("https://acme.my.salesforce.com", "production"),
        ("https://test.salesforce.com", "sandbox"),
        ("https://acme--dev.sandbox.my.salesforce.com", "sandbox"),
        ("https://connect-ability-4.scratch.my.salesforce.com", "sandbox"),
        ("https://acme.my.site.com", None),
        ("https://login.acme.example", None),
    ],
)
def test_the_kind_of_an_org_is_told_by_its_host(url: str, kind: str | None) -> None:
    assert kind_of_org(url) == kind


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://login.salesforce.com", "https://login.salesforce.com"),
        ("https://acme.my.salesforce.com", "https://login.salesforce.com"),
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme--dev.sandbox.my.salesforce.com", "https://test.salesforce.com"),
        ("https://acme.my.site.com/customers", "https://login.salesforce.com"),
        ("http://127.0.0.1:8080", "https://test.salesforce.com"),
    ],
)
def test_an_audience_that_may_be_right_is_not_suspected(url: str, audience: str) -> None:
    assert audience_problem(url, audience) is None


def test_a_warning_is_split_into_what_is_and_what_to_do() -> None:
    assert split_advice("the file is open. Close it: chmod 600 key") == ("the file is open.", "Close it: chmod 600 key")
    assert split_advice("it is so") == ("it is so", "")
