"""The warning about the end of this flow: once in a process, with its date and the alternatives."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

_SCRIPT = """
import json, logging, sys, threading
from kinetic_auth_password import OAuthAuthenticator
import kinetic_auth_core as kinetic

settings, mode = json.load(sys.stdin)
kept = []

class Keep(logging.Handler):
    def emit(self, record):
        kept.append(f"{record.levelname} {record.getMessage()}")

logging.getLogger("kinetic_auth_password").addHandler(Keep())
made = OAuthAuthenticator(**settings)
if mode == "fail":
    try:
        OAuthAuthenticator(**{**settings, "password": "wrong"}).authenticate()
    except kinetic.AuthenticationError:
        pass
elif mode == "threads":
    threads = [threading.Thread(target=made.authenticate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
elif mode == "often":
    for _ in range(2):
        made.authenticate()
        OAuthAuthenticator(**settings).authenticate()
    with kinetic.resolve("password", **settings) as source:
        source.invalidate(source.session())
        source.session()
print(json.dumps(kept))
"""


def warnings_of(settings: dict[str, Any], mode: str) -> list[str]:
    """What a new process logs."""
    given = json.dumps([settings, mode])
    ran = subprocess.run([sys.executable, "-c", _SCRIPT], input=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: list[str] = json.loads(ran.stdout)
    return found


def test_the_warning_names_the_date_the_alternatives_the_user_and_the_host(settings: dict[str, Any]) -> None:
    (warning,) = warnings_of(settings, "fail")  # a failed login warns as well
    assert warning.startswith("WARNING Salesforce ends the username-password flow on 2027-02-20;")
    assert warning.index("'client-credentials' (kinetic-auth-client-credentials)") < warning.index("'jwt-bearer'")
    assert settings["username"] in warning
    assert settings["login_url"] in warning
    assert "canary" not in warning


@pytest.mark.parametrize("mode", ["often", "threads"])
def test_a_process_warns_once_however_many_authenticators_and_threads_log_in(
    settings: dict[str, Any], mode: str
) -> None:
    assert len(warnings_of(settings, mode)) == 1


def test_constructing_an_authenticator_does_not_warn(settings: dict[str, Any]) -> None:
    assert warnings_of(settings, "make") == []


def test_a_password_that_ends_with_the_security_token_is_told(caplog: pytest.LogCaptureFixture) -> None:
    from kinetic_auth_core import LoginRequest
    from kinetic_auth_password import OAuthAuthenticator

    def told(**secrets: Any) -> list[str]:
        caplog.clear()
        made = OAuthAuthenticator("key", "secret", "ada@acme.example", **secrets)
        made.grant(LoginRequest())
        made.grant(LoginRequest())
        return [each.getMessage() for each in caplog.records if "security token" in each.getMessage()]

    (warning,) = told(password="canary-wordTok12345", security_token="Tok12345")
    assert warning.startswith("the password of ada@acme.example already ends with the security token")
    assert "canary" not in warning
    assert "Tok12345" not in warning
    assert told(password="canary-word", security_token="Tok12345") == []
    assert told(password="canary-word", security_token="") == []
