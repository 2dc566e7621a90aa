"""A key file that other users of the machine can read works, and a warning names the command to protect it."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_jwt_bearer import JWTAuthenticator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file permissions as in POSIX")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o660])
def test_an_exposed_key_file_causes_one_warning_with_the_chmod_command(
    mode: int, settings: dict[str, Any], key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = key_file.rename(key_file.parent / "server of 'acme'.key")
    shared.chmod(mode)
    made = JWTAuthenticator(**settings, private_key_path=shared)
    made.authenticate()
    made.authenticate()
    mend = f"Close it: chmod 600 {shlex.quote(str(shared))}"
    printed = f"the private key file {shared} is open to other users of this machine (mode {mode:04o}). {mend}"
    assert warnings(caplog) == [printed]
    subprocess.run(warnings(caplog)[0].partition("Close it: ")[2], shell=True, check=True)  # noqa: S602 - as users do
    caplog.clear()
    JWTAuthenticator(**settings, private_key_path=shared).authenticate()
    assert warnings(caplog) == []


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_key_file_causes_no_warning(
    mode: int, settings: dict[str, Any], key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key_file.chmod(mode)
    JWTAuthenticator(**settings, private_key_path=key_file).authenticate()
    assert warnings(caplog) == []


def test_a_key_given_as_text_has_no_mode(
    settings: dict[str, Any], key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    JWTAuthenticator(**settings, private_key=key_file.read_text()).authenticate()
    assert warnings(caplog) == []
