"""All that a login needs is imported when its source has been made: no thread, fork or signal meets half a module."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import KeyPair, Reset, SalesforceEmulator, Status

LOG_IN = """
import asyncio, json, os, sys, threading
import kinetic_auth_core as kinetic

provider, settings = json.loads(sys.stdin.read())
source = kinetic.resolve(provider, lockout_guard=0, **settings)
before = set(sys.modules)

def attempt(ask, *arguments):
    try:
        ask(*arguments)
    except kinetic.KineticAuthError as error:
        print(type(error).__name__)

for _ in range(2):
    attempt(source.session)
    attempt(source.authenticate)
source.peek()
if session := source.peek():
    attempt(source.is_alive, session)
    attempt(source.revoke, session)
source.close()
print(sorted(set(sys.modules) - before - {"asyncio"}))
"""


def imported(provider: str, settings: dict[str, object]) -> list[str]:
    """What logins print: errors, and last the modules that they imported."""
    done = subprocess.run(
        [sys.executable, "-c", LOG_IN],
        input=json.dumps([provider, settings]),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("provider", ["jwt-bearer", "password", "client-credentials", "refresh-token"])
@pytest.mark.parametrize("store", ["memory", "file"])
def test_a_login_imports_nothing(sf: SalesforceEmulator, provider: str, store: str, tmp_path: Path) -> None:
    settings: dict[str, object] = {**sf.settings(provider), "deadline": 5}
    if store == "file":
        settings["store"] = {"name": "file", "path": str(tmp_path / "sessions")}
    assert imported(provider, settings) == ["[]"]


def test_a_login_with_a_token_of_a_file_imports_nothing(sf: SalesforceEmulator, tmp_path: Path) -> None:
    settings = sf.settings("token-exchange")
    audience = claims_of(settings["subject_token"])["aud"]
    (tmp_path / "token").write_text(settings["subject_token"])
    reference = f"oidc://file{tmp_path / 'token'}?audience={audience}"
    assert imported("token-exchange", {**settings, "subject_token": reference}) == ["[]"]


def test_a_login_that_the_sf_command_has_made_imports_nothing(sf: SalesforceEmulator, tmp_path: Path) -> None:
    session = kinetic.resolve("jwt-bearer", **sf.settings("jwt-bearer")).session()
    result = {"accessToken": session.access_token, "instanceUrl": session.instance_url, "username": "u@acme.example"}
    command = tmp_path / "sf"
    command.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps({'status': 0, 'result': result}))})\n")
    command.chmod(0o700)
    assert imported("sf-cli", {"command": str(command), "allowed_instance_hosts": ["127.0.0.1"]})[-1] == "[]"


def claims_of(token: str) -> dict[str, str]:
    payload = token.split(".")[1]
    claims: dict[str, str] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


@pytest.mark.parametrize("provider", ["jwt-bearer", "password"])
def test_a_login_that_fails_imports_nothing(sf: SalesforceEmulator, provider: str) -> None:
    settings: dict[str, object] = {**sf.settings(provider), "deadline": 5}
    sf.refuse("invalid_grant", "ip restricted")
    for fault in (Status(503), Reset(), Status(503)):
        sf.break_transport(fault)
    *errors, modules = imported(provider, settings)
    assert errors
    assert modules == "[]"


def test_an_unknown_host_imports_nothing(key_pair: KeyPair) -> None:
    settings: dict[str, object] = {
        "client_id": "id",
        "username": "u@acme.example",
        "private_key": key_pair.private_key_pem,
    }
    *errors, modules = imported("jwt-bearer", {**settings, "login_url": "https://login.invalid", "deadline": 1})
    assert set(errors) == {"TransportError"}
    assert modules == "[]"


LOADED = """
import sys
before = set(sys.modules)  # coverage, where it measures this process, has loaded some
{what}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} & set(sys.argv[1:])))
"""
HTTP = {"requests", "urllib3", "jose", "cryptography"}
RESOLVE = "kinetic_auth_core.resolve('jwt-bearer', client_id='id', username='u', private_key='k')"
#: What is not loaded yet at each stage.
STAGES = {
    "import kinetic_auth_core": {*HTTP, "attr", "pluggy", "stevedore", "click", "dotenv", "tomllib"},
    "import kinetic_auth_core.cli.commands": {*HTTP, "redis"},
    "from kinetic_auth_core import LoginRequest, hookimpl": {*HTTP, "ssl", "socket"},
    "from kinetic_auth_jwt_bearer import JWTAuthenticator": {*HTTP, "stevedore", "platformdirs", "dotenv", "tomllib"},
    "import kinetic_auth_core; kinetic_auth_core.resolve": {*HTTP, "click", "dotenv", "tomllib", "rich"},
    f"import kinetic_auth_core; {RESOLVE}": {"click", "dotenv", "tomllib", "rich", "redis", "difflib"},
}


@pytest.mark.parametrize("what", STAGES)
def test_nothing_is_loaded_before_it_is_needed(what: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(what=what), *STAGES[what]],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


LEFT_AT_EXIT = """
import gc, os, sys
if sys.argv[1:] == ["no hooks"]:
    os.register_at_fork = lambda **hooks: None
import kinetic_auth_core
{resolve}
gc.set_debug(gc.DEBUG_STATS)
"""


def left_at_exit(*arguments: str) -> int:
    """How many objects Python's garbage collector walks through when it runs for the last time."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT_AT_EXIT.format(resolve=RESOLVE), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *_, last = re.findall(r"objects in each generation: ([0-9 ]+)", done.stderr)
    return sum(map(int, last.split()))


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="no fork on this system")
def test_the_hooks_of_a_fork_keep_no_modules_at_exit() -> None:
    assert left_at_exit() < 1.3 * left_at_exit("no hooks")


DOES_NOT_IMPORT = """
import json, sys

broken, provider, settings = json.loads(sys.stdin.read())

class Broken:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == broken:
            raise ImportError("it does not support subinterpreters")

sys.meta_path.insert(0, Broken)
import kinetic_auth_core as kinetic

try:
    kinetic.resolve(provider, **settings).session()
except kinetic.KineticAuthError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("broken", "provider", "settings"),
    [
        ("cryptography.hazmat.bindings._rust", "jwt-bearer", {}),
        ("cryptography.hazmat.bindings._rust", "password", {"store": {"name": "file", "key": "x"}}),
        ("urllib3", "password", {}),
    ],
)
def test_a_library_that_does_not_import_is_reported_with_the_reason(
    sf: SalesforceEmulator, broken: str, provider: str, settings: dict[str, object]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DOES_NOT_IMPORT],
        input=json.dumps([broken, provider, {**sf.settings(provider), **settings}]),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    library = "requests" if broken == "urllib3" else "cryptography"
    assert done.stdout.startswith("ConfigurationError"), done.stderr
    assert f"{library}, which does not import: ImportError: it does not support subinterpreters" in done.stdout
    assert "pip install" not in done.stdout
