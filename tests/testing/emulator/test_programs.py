"""Programs of other projects, each in an environment of its own: log in, query, write, lose the token, and go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from kinetic_auth_core.testing import Fault, SalesforceEmulator, TlsProfile

HOSTS = ("localhost", "127.0.0.1", "*.salesforce.com", "*.my.salesforce.com")
PROGRAMS = Path(__file__).parent / "programs"
Ran = subprocess.CompletedProcess[str]


@attrs.frozen
class Expire(Fault):
    """Every access token expires just before the request is handled."""

    org: SalesforceEmulator

    def replace(self) -> None:
        self.org.expire_all()


def environment_with(requirement: str, folder: Path) -> Path:
    """The programs of a new virtual environment."""
    uv = shutil.which("uv")
    assert uv, "these tests need uv: pip install uv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, requirement], check=True, timeout=300)
    return python.parent


@pytest.fixture
def org(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator(tls=TlsProfile(HOSTS)) as org:
        org.policy.instance_url = "https://acme.my.salesforce.com"
        org.policy.audiences.add("https://acme.my.salesforce.com")
        org.policy.query_batch_size = 2
        yield org


@pytest.fixture
def run(org: SalesforceEmulator, tmp_path: Path) -> Callable[..., Ran]:
    """Runs a program that finds the org at every name of salesforce.com."""

    def run(*command: str | Path, **variables: str) -> Ran:
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(PROGRAMS),
            "EMULATOR_PORT": str(urlsplit(org.url).port),
            "REQUESTS_CA_BUNDLE": str(org.ca_bundle),
        }
        return subprocess.run(
            [str(part) for part in command], env=own | variables, capture_output=True, text=True, check=False,
            timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


# tap-salesforce


@pytest.fixture(scope="module")
def tap(full_tier: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with("tap-salesforce==2.8.1", tmp_path_factory.mktemp("tap") / "venv") / "tap-salesforce"


@pytest.fixture
def config(org: SalesforceEmulator, tmp_path: Path) -> Path:
    """The tap's configuration, into which it writes its refresh token when that rotates."""
    org.policy.rotate_refresh_tokens = True
    settings = org.settings("refresh-token")
    own = {name: settings[name] for name in ("client_id", "client_secret", "refresh_token")}
    more = {"start_date": "2020-01-01T00:00:00Z", "api_type": "REST", "select_fields_by_default": True}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(own | more))
    return path


def discover(run: Callable[..., Ran], tap: Path, config: Path) -> Path:
    """The catalog, with the objects selected that the tests want."""
    ran = run(tap, "--config", config, "--discover")
    assert ran.returncode == 0, ran.stderr
    catalog = json.loads(ran.stdout)
    for stream in catalog["streams"]:
        about = next(each["metadata"] for each in stream["metadata"] if not each["breadcrumb"])
        about["selected"] = stream["stream"] in {"Account", "User"}
        about |= {"replication-method": "INCREMENTAL", "replication-key": about["valid-replication-keys"][0]}
    path = config.with_name("catalog.json")
    path.write_text(json.dumps(catalog))
    return path


def messages(ran: Ran, kind: str) -> list[dict[str, Any]]:
    return [each for each in map(json.loads, ran.stdout.splitlines()) if each["type"] == kind]


def test_tap_salesforce(
    org: SalesforceEmulator, run: Callable[..., Ran], tap: Path, config: Path, works: Callable[..., None]
) -> None:
    first = json.loads(config.read_text())["refresh_token"]
    catalog = discover(run, tap, config)
    command = [tap, "--config", config, "--properties", catalog]
    ran = run(*command)
    assert ran.returncode == 0, ran.stderr
    names = [each["record"]["Name"] for each in messages(ran, "RECORD") if each["stream"] == "Account"]
    assert names == [f"Example Account {number}" for number in range(1, 6)]
    users = [each["record"]["Username"] for each in messages(ran, "RECORD") if each["stream"] == "User"]
    assert users == [org.default.username]
    assert json.loads(config.read_text())["refresh_token"] not in {first, ""}
    org.break_transport(Expire(org), path="/services/data/v61.0/query/*")  # the second page
    ended = run(*command)
    assert (ended.returncode, "INVALID_SESSION_ID" in ended.stderr) == (1, True)
    state = config.with_name("state.json")
    state.write_text(json.dumps(messages(ended, "STATE")[-1]["value"]))
    resumed = run(*command, "--state", state)
    assert resumed.returncode == 0, resumed.stderr
    assert {each["record"]["Name"] for each in messages(resumed, "RECORD") if each["stream"] == "Account"} == {*names}
    operations = {
        "query": "sync of User and Account by REST, in pages",
        "expired_token": "by the next run, with its state",
    }
    works("tap-salesforce", "2.8.1", "refresh token", **operations, also="discover, rotation")


def test_tap_salesforce_by_bulk_api_says_that_it_is_not_emulated(
    run: Callable[..., Ran], tap: Path, config: Path, works: Callable[..., None]
) -> None:
    config.write_text(json.dumps(json.loads(config.read_text()) | {"api_type": "BULK"}))
    ended = run(tap, "--config", config, "--properties", discover(run, tap, config))
    assert ended.returncode == 1
    assert "the emulator has no /services/async/61.0/job/" in ended.stderr
    works(
        "tap-salesforce",
        "2.8.1",
        "refresh token (api_type BULK)",
        query="no: jobs of the Bulk API have no batches here",
    )


# Airflow


@pytest.fixture(scope="module")
def airflow(full_tier: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("airflow") / "venv"
    return environment_with("apache-airflow-providers-salesforce==5.15.1", folder) / "python"


def test_the_hook_of_airflow(
    org: SalesforceEmulator, run: Callable[..., Ran], airflow: Path, works: Callable[..., None]
) -> None:
    login = org.default
    app = {"consumer_key": login.client_id}
    secret = {**app, "consumer_secret": login.client_secret}
    user = {"conn_type": "salesforce", "login": login.username}
    connections: dict[str, dict[str, Any]] = {
        "password": user | {"password": login.password + login.security_token, "extra": secret},
        "jwt": user | {"extra": app | {"private_key": login.private_key_pem}},
        "credentials": {"conn_type": "salesforce", "extra": secret | {"domain": "acme.my"}},
        "soap": user | {"password": login.password, "extra": secret | {"security_token": login.security_token}},
    }
    org.break_transport(Expire(org), times=3, path="*/limits/")
    variables = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}
    ran = run(airflow, PROGRAMS / "airflow_hook.py", *connections, **variables)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    failed = json.loads(ran.stdout.splitlines()[-1])
    assert "SOAP API login() is disabled by default in this org." in failed.pop("soap")
    assert failed == dict.fromkeys(failed)
    assert [row.status for row in org.history] == ["Success"] * 6
    operations = {"query": "yes, also in pages", "write": "create, update", "expired_token": "yes"}
    for flow in ("password", "JWT", "client credentials"):
        works("Airflow SalesforceHook", "5.15.1", flow, **operations, also="test_connection, describe")
    what = "no, as in new orgs: SOAP login() is off"
    works("Airflow SalesforceHook", "5.15.1", "password and security token", log_in=what)
