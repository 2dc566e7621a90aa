"""The key of the user's own file store in a keyring: made by the command, used by applications as well."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinetic_auth_core.stores.file import FileStore, default_folder
from kinetic_auth_core.stores.sealing import has_keyring_key
from kinetic_auth_core.testing import SalesforceEmulator

pytestmark = pytest.mark.usefixtures("measured_programs")

Run = Callable[..., "subprocess.CompletedProcess[str]"]

COMMAND = "from kinetic_auth_core.cli import main; main()"
APPLICATION = "import kinetic_auth_core as k; print(k.resolve('refresh-token').session().access_token)"


@pytest.fixture
def sf() -> Iterator[SalesforceEmulator]:
    """An org whose refresh tokens rotate, so that the newest has to be kept."""
    with SalesforceEmulator() as org:
        org.policy.rotate_refresh_tokens = True
        yield org


@pytest.fixture
def run(sf: SalesforceEmulator, tmp_path: Path) -> Run:
    """A Python process with the settings of a login by refresh token; with a keyring in a file by default."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("SF_")} | sf.env()
    data = {"XDG_DATA_HOME": str(tmp_path / "data"), "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring"}

    def call(code: str, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", code, *args],
            capture_output=True, text=True, timeout=60, check=False, env=settings | data | env,
        )  # fmt: skip

    return call


def stored() -> bytes:
    """All that is in the folder of the store."""
    return b"\n".join(path.read_bytes() for path in sorted(default_folder().iterdir()) if path.is_file())


def test_what_a_login_keeps_is_encrypted_and_an_application_shares_it(run: Run, sf: SalesforceEmulator) -> None:
    login = run(COMMAND, "login", "refresh-token")
    assert login.returncode == 0, login.stderr
    assert "in clear" not in login.stderr
    assert has_keyring_key(default_folder())
    token = run(COMMAND, "token", "refresh-token").stdout.strip()
    assert sf.is_live(token)
    assert token.encode() not in stored()
    assert b"gAAAA" in stored()
    assert run(APPLICATION).stdout.strip() == token


@pytest.mark.parametrize(
    "backend", ["keyring.backends.null.Keyring", "keyring.backends.fail.Keyring", "nosuch.Keyring"]
)
def test_without_a_keyring_the_file_in_clear_is_named_in_one_line(run: Run, backend: str) -> None:
    login = run(COMMAND, "login", "refresh-token", PYTHON_KEYRING_BACKEND=backend, DBUS_SESSION_BUS_ADDRESS="")
    assert login.returncode == 0, login.stderr
    (line,) = [each for each in login.stderr.splitlines() if "in clear" in each]
    assert str(default_folder()) in line
    assert not has_keyring_key(default_folder())


def test_what_was_in_clear_before_is_still_read_and_then_encrypted(run: Run, sf: SalesforceEmulator) -> None:
    in_clear = run(COMMAND, "login", "refresh-token", PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    assert in_clear.returncode == 0, in_clear.stderr
    token = run(COMMAND, "token", "refresh-token").stdout.strip()  # makes the key
    assert has_keyring_key(default_folder())
    assert token.encode() in stored()
    again = run(COMMAND, "login", "refresh-token", "--fresh")
    assert again.returncode == 0, again.stderr
    new = run(COMMAND, "token", "refresh-token").stdout.strip()
    assert new.encode() not in stored()
    assert sf.is_live(new)


def test_a_keyring_that_lost_the_key_stops_a_login_that_would_present_an_old_token(run: Run, tmp_path: Path) -> None:
    assert run(COMMAND, "login", "refresh-token").returncode == 0
    for path in (tmp_path / "data").rglob("*_pass.cfg"):
        path.unlink()
    failed = run(COMMAND, "login", "refresh-token")
    assert failed.returncode == 5, failed.stderr
    assert "the keyring does not give their key" in " ".join(failed.stderr.split())


def test_a_store_of_another_path_has_nothing_to_do_with_it(run: Run, tmp_path: Path) -> None:
    assert run(COMMAND, "login", "refresh-token").returncode == 0
    store = FileStore(path=tmp_path / "other")
    store.put("a", b"value", expires_in_s=60)
    assert store.file_in_clear("a") == tmp_path / "other" / "a.session"


def test_only_logins_that_keep_a_refresh_token_make_a_key(run: Run) -> None:
    assert run(COMMAND, "login", "password").returncode == 0
    assert not has_keyring_key(default_folder())
