"""`redirect_logins`: whatever a configuration says, the process logs in at the emulator and nowhere else."""

import asyncio
import logging
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, redirect_logins

pytestmark = pytest.mark.usefixtures("full_tier")

CONFIG = """
default_environment = "prod"

[defaults]
login_url = "https://login.salesforce.com"

[environments.prod]
provider = "jwt-bearer"
client_id = "${PROD_CLIENT_ID}"
username = "integration@acme.example"
private_key_path = "server.key"
api_version = "v61.0"
expected_org_id = "00D000000000001AAA"
allowed_instance_hosts = ["acme.my.salesforce.com"]

[environments.prod.store]
name = "file"
path = "sessions"

[environments.vault]
provider = "jwt-bearer"
client_id = "3MVG9"
username = "integration@acme.example"
private_key = "env://NO_SUCH_VARIABLE"

[environments.password]
provider = "password"
client_id = "3MVG9"
client_secret = "x"
username = "integration@acme.example"
password = "x"

[environments.cli]
provider = "sf-cli"
target_org = "prod"

[environments.refresh]
provider = "refresh-token"
client_id = "3MVG9"
refresh_token = "x"

[environments.token]
provider = "access-token"
access_token = "00D!x"
instance_url = "https://acme.my.salesforce.com"

[environments.own]
provider = "client-credentials"
client_id = "3MVG9"
client_secret = "x"
login_url = "https://acme.my.salesforce.com"
"""
ENVIRONMENTS = ["prod", "vault", "password", "cli", "refresh", "token", "own"]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A config file as an application has it; the hosts that are looked up, and the programs that are started."""
    Path("kinetic-auth.toml").write_text(CONFIG)
    Path("kinetic-auth.toml").chmod(0o600)
    monkeypatch.setenv("PROD_CLIENT_ID", "3MVG9")
    found: list[str] = []
    real = socket.getaddrinfo

    def noted(host: Any, *args: Any, **options: Any) -> Any:
        found.append(str(host))
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **_: found.append(f"started {args}"))
    monkeypatch.setattr(webbrowser, "open", lambda *args, **_: found.append(f"opened {args}"))
    return found


@pytest.fixture
def emulator() -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_provider_of_a_config_logs_in_at_the_emulator(
    emulator: SalesforceEmulator, environment: str, asked: list[str]
) -> None:
    with redirect_logins(emulator), kinetic.resolve(environment=environment) as source:
        session = source.session()
        assert emulator.is_live(session.access_token)
        assert session.instance_url == emulator.url
        assert source.environment == environment
    assert set(asked) <= {"127.0.0.1"}
    assert not Path("sessions").exists()


def test_no_proxy_is_asked(emulator: SalesforceEmulator, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.invalid:8080")
        monkeypatch.setenv(name.lower(), "http://proxy.invalid:8080")
    by_hand = kinetic.JWTAuthenticator(**emulator.settings("jwt-bearer"), proxy="http://proxy.invalid:8080")
    with redirect_logins(emulator):
        assert kinetic.resolve().session().is_valid()
        assert kinetic.resolve(proxy="http://proxy.invalid:8080").session().is_valid()
        assert kinetic.SessionSource(by_hand).session().is_valid()
    assert set(asked) <= {"127.0.0.1"}


def test_the_kind_of_login_and_the_api_version_stay_those_of_the_config(emulator: SalesforceEmulator) -> None:
    with redirect_logins(emulator), kinetic.resolve() as source:
        assert source.session().api_version == "v61.0"
        assert source.provider == "jwt-bearer"
        rows = {row.name: row for row in source.explain()}
    assert emulator.history[-1].grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert rows["login_url"].value == emulator.url
    assert rows["login_url"].source == "redirect_logins"
    assert rows["store"].value == "memory"


def test_it_holds_for_threads_pools_and_tasks(emulator: SalesforceEmulator) -> None:
    sessions: list[Any] = []
    with redirect_logins(emulator):
        thread = threading.Thread(target=lambda: sessions.append(kinetic.resolve().session()))
        thread.start()
        thread.join()
        with kinetic.SourcePool() as pool:
            sessions.append(pool.source("password").session())
        sessions.append(asyncio.run(kinetic.resolve().asession()))
    assert all(emulator.is_live(session.access_token) for session in sessions)
    assert len(sessions) == 3


def test_a_wrong_configuration_is_reported_as_ever(emulator: SalesforceEmulator) -> None:
    with redirect_logins(emulator), pytest.raises(kinetic.ConfigurationError, match="client_idd"):
        kinetic.resolve("jwt-bearer", client_idd="x")


def test_a_source_from_before_raises_even_with_a_live_session(emulator: SalesforceEmulator) -> None:
    source = kinetic.resolve("password", **emulator.settings("password"))
    session = source.session()
    tasks = (lambda: asyncio.run(source.asession()), lambda: source.invalidate(session))
    with SalesforceEmulator() as other, redirect_logins(other):
        for use in (source.session, source.authenticate, source.peek, source.status, *tasks):
            with pytest.raises(kinetic.ConfigurationError, match="resolved before it"):
                use()
    assert emulator.is_live(source.session().access_token)


def test_a_source_from_within_raises_afterwards(emulator: SalesforceEmulator) -> None:
    with redirect_logins(emulator):
        source = kinetic.resolve()
        source.session()
    with pytest.raises(kinetic.ConfigurationError, match="which has ended"):
        source.session()


def test_a_login_of_an_instance_made_by_hand_at_another_host_raises(
    emulator: SalesforceEmulator, key_pair: KeyPair, asked: list[str]
) -> None:
    by_hand = kinetic.JWTAuthenticator("3MVG9", "u@acme.example", key_pair.private_key_pem)
    with redirect_logins(emulator):
        for login in (by_hand.authenticate, kinetic.SessionSource(by_hand).session):
            with pytest.raises(kinetic.ConfigurationError, match=r"nothing was sent to login\.salesforce\.com"):
                login()
        here = kinetic.SessionSource(kinetic.JWTAuthenticator(**emulator.settings("jwt-bearer")))
        assert emulator.is_live(here.session().access_token)
    assert "login.salesforce.com" not in asked


def test_lockout_reach_the_application(emulator: SalesforceEmulator) -> None:
    emulator.policy.password_flow_blocked = True
    with redirect_logins(emulator), pytest.raises(kinetic.CredentialsRejectedError, match="authentication failure"):
        kinetic.resolve(environment="password").session()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_provider_logs_in_at_an_emulator_with_tls(environment: str) -> None:
    with SalesforceEmulator(tls=True) as emulator, redirect_logins(emulator):
        with kinetic.resolve(environment=environment) as source:
            assert emulator.is_live(source.session().access_token)


def test_it_works_over_tls_and_nests(asked: list[str]) -> None:
    with SalesforceEmulator(tls=True) as outer, SalesforceEmulator() as inner, redirect_logins(outer):
        source = kinetic.resolve()
        assert source.session().instance_url == outer.url
        with redirect_logins(inner):
            assert kinetic.resolve().session().instance_url == inner.url
        assert source.session().instance_url == outer.url


def test_an_emulator_that_does_not_run_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no address before it is started"), redirect_logins(SalesforceEmulator()):
        pass


def test_the_fixture_redirects(salesforce_login: SalesforceEmulator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        session = kinetic.resolve().session()
    assert salesforce_login.token_requests == 1
    assert session.access_token not in caplog.text


PROJECT = """
import sys
import time

import freezegun
import pytest


def test_nothing_is_imported_before_a_fixture_is_used():
    assert "kinetic_auth_core.testing.pytest_plugin" in sys.modules
    unwanted = {"kinetic_auth_core.testing.emulator", "kinetic_auth_core.errors", "werkzeug", "requests"}
    assert not unwanted & set(sys.modules)


def test_the_fixtures_are_found(salesforce_emulator, salesforce_login, no_ambient_settings):
    assert salesforce_login is salesforce_emulator


def test_the_emulator_follows_a_frozen_clock(salesforce_emulator):
    import kinetic_auth_core as kinetic

    with freezegun.freeze_time("2049-05-05"):
        assert kinetic.resolve("jwt-bearer", **salesforce_emulator.settings("jwt-bearer")).session()
        assert time.gmtime(salesforce_emulator.now()).tm_year == 2049


class TestWithAClock:
    @pytest.fixture
    def salesforce_clock(self):
        return lambda: 1_900_000_000.0

    def test_the_emulator_takes_a_clock(self, salesforce_emulator):
        assert salesforce_emulator.now() == 1_900_000_000.0
"""


@pytest.mark.parametrize("conftest", ["", 'pytest_plugins = ["kinetic_auth_core.testing.pytest_plugin"]\n'])
def test_pytest_finds_the_fixtures_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conftest: str) -> None:
    monkeypatch.undo()
    (tmp_path / "test_project.py").write_text(PROJECT)
    (tmp_path / "conftest.py").write_text(conftest)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
