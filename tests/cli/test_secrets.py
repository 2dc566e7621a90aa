"""Each command that logs in or shows settings, with --debug and --json, as things go well and as they go wrong: no
output shows a secret.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import (
    ERROR_ROWS,
    Alter,
    Answer,
    Fault,
    Html,
    KeyPair,
    Redirect,
    Reset,
    SalesforceEmulator,
    Status,
    Truncated,
)

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

COMMANDS = [
    ("login",),
    ("login", "--json"),
    ("status",),
    ("status", "--json"),
    ("logout", "--shared"),
    ("config", "show"),
    ("config", "show", "--json"),
    ("providers",),
    ("providers", "--json"),
]
PASSWORD, SECRET, TOKEN, PROXY = (
    "canary-pass&word+100%",
    "canary-client-secret",
    "canary-security-token",
    "canary-proxy",
)
ECHO = f"{PASSWORD}{TOKEN} {SECRET}"
FAULTS: list[Fault] = [
    Html(503),
    Html(200),
    Status(429),
    Redirect(f"https://evil.example/?password={SECRET}"),
    Reset("request"),
    Truncated(),
    Alter({"signature": "d3Jvbmc="}),
    Alter({"instance_url": f"https://user:{SECRET}@evil.example"}),
    Alter({"access_token": "a\r\nb"}),
]


@pytest.fixture
def every_command(
    run: Run, keys: KeyPair, canary: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[str]]:
    """Runs all commands by one provider, and gives the command lines that showed a secret."""
    monkeypatch.setenv("SF_DEADLINE", "0.5")  # what passes by itself need not be waited for
    monkeypatch.setenv("SF_STORE", "file")
    monkeypatch.setenv("SF_STORE_PATH", str(tmp_path / "store"))
    secrets = [*keys.private_key_pem.splitlines()[1:-1], PROXY, "canary.ACCESS"]

    def run_all(provider: str, *more: str) -> list[str]:
        found = []
        for command in COMMANDS:
            outcome = run("--debug", *command, provider)
            if not outcome.has_no_secret(*secrets, *more):
                found.append(" ".join(command))
        return found

    return run_all


@pytest.fixture(params=["password", "jwt-bearer"])
def provider(
    request: pytest.FixtureRequest, sf: SalesforceEmulator, keys: KeyPair, canary: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    if request.param == "jwt-bearer":
        app = sf.add_app(certificates=[keys.certificate_pem], preauthorised=[canary], scopes=["api", "id"])
        monkeypatch.setenv("SF_CLIENT_ID", app.client_id)
        monkeypatch.setenv("SF_PRIVATE_KEY", keys.private_key_pem)
        monkeypatch.delenv("SF_CLIENT_SECRET")
    return str(request.param)


def test_no_secret_after_success(run: Run, every_command: Callable[..., list[str]], provider: str) -> None:
    with kinetic.resolve(provider) as source:
        token = source.session().access_token  # which the store keeps
    assert run("login", provider).code == run("status", provider).code == 0
    assert every_command(provider, token) == []
    assert run("status", provider).code == 9  # logged out


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_no_secret_after_a_network_fault(
    sf: SalesforceEmulator, every_command: Callable[..., list[str]], provider: str, fault: Fault
) -> None:
    sf.break_transport(fault, times=None)
    assert every_command(provider) == []


def test_no_secret_after_the_server_echoes_the_request(
    sf: SalesforceEmulator, every_command: Callable[..., list[str]]
) -> None:
    sf.break_transport(Answer({"error": "invalid_grant", "error_description": ECHO}, status=400), times=None)
    assert every_command("password") == []


@pytest.mark.parametrize("row", ERROR_ROWS, ids=" ".join)
def test_no_secret_after_a_rejected_login(
    sf: SalesforceEmulator,
    run: Run,
    keys: KeyPair,
    provider: str,
    row: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SF_DEADLINE", "0.5")
    sf.refuse(*row, times=None)
    outcome = run("--debug", "login", provider)
    assert outcome.code in {4, 5}
    assert outcome.has_no_secret(*keys.private_key_pem.splitlines()[1:-1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SF_PASSWORD", f"{PASSWORD}wrong"),
        ("SF_PROXY", f"http://user:{PROXY}@127.0.0.1:1"),
        ("SF_PROXY", f"{PROXY}"),
        ("SF_LOGIN_URL", f"https://user:{SECRET}@login.salesforce.com"),
        ("SF_DEADLINE", SECRET),
        ("SF_CLIENT_SECRET", "env://NO_SUCH_VARIABLE"),
        ("SF_CLIENT_SECRET", "secret-manager://nowhere/sf"),
    ],
)
def test_no_secret_after_a_wrong_setting(
    every_command: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert every_command("password") == []


@pytest.mark.parametrize("provider", ["password", "jwt-bearer"], indirect=True)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SF_LOGIN_URL", f"https://user:{SECRET}@login.salesforce.com"),
        ("SF_STORE", f"redis://:{SECRET}@cache.internal"),
        ("SF_ALLOWED_INSTANCE_HOSTS", f"https://user:{SECRET}@acme.my.salesforce.com"),
    ],
)
def test_no_secret_after_a_wrong_setting_beside_another(
    every_command: Callable[..., list[str]], provider: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("SF_DEADLINE", "soon")
    assert every_command(provider) == []


def test_no_secret_after_a_broken_config_file(every_command: Callable[..., list[str]]) -> None:
    Path("kinetic-auth.toml").write_text(f'password = "{PASSWORD}" "{TOKEN}"\n')
    assert every_command("password") == []


@pytest.mark.parametrize("provider", ["jwt-bearer"], indirect=True)
@pytest.mark.parametrize("damage", [(0, 5), (3, -3), (1, -1)])
def test_no_secret_after_a_damaged_key(
    every_command: Callable[..., list[str]],
    keys: KeyPair,
    provider: str,
    monkeypatch: pytest.MonkeyPatch,
    damage: tuple[int, int],
) -> None:
    lines = keys.private_key_pem.splitlines()
    monkeypatch.setenv("SF_PRIVATE_KEY", "\n".join(lines[damage[0] : damage[1]]))
    assert every_command(provider) == []
