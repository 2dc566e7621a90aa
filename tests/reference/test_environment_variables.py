"""The reference's tables of environment variables, from a `.env` file and from the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator

FOR_JWT = """\
SF_CLIENT_ID=3MVG9...              # Connected App Consumer Key
SF_USERNAME=user@example.com       # Salesforce username
SF_PRIVATE_KEY_PATH=/path/key      # Path to private key
SF_LOGIN_URL=https://test.salesforce.com  # Login URL
"""

FOR_OAUTH = """\
SF_CLIENT_ID=3MVG9...              # Consumer Key
SF_CLIENT_SECRET=ABC123...         # Consumer Secret
SF_USERNAME=user@example.com       # Username
SF_PASSWORD=MyPassword             # Password
SF_SECURITY_TOKEN=XYZ789           # Security token
SF_LOGIN_URL=https://login.salesforce.com
"""

OPTIONAL = """\
SF_API_VERSION=v62.0               # API version (default: v62.0)
LOG_LEVEL=INFO                     # Logging level
LOG_DIR=./logs                     # Log directory
"""

Place = Callable[[str], None]


@pytest.fixture(params=["the .env file", "the process"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Puts the text of a table where its variables are read from."""

    def put(text: str) -> None:
        Path(".env").write_text(text)
        if request.param == "the process":
            for name, value in dotenv_values(".env").items():
                monkeypatch.setenv(name, value or "")
            Path(".env").unlink()

    return put


@pytest.fixture
def for_jwt(example: Any, key_file: Path) -> str:
    example.known("3MVG9...", "user@example.com")
    return str(example.here(FOR_JWT, {"/path/key": str(key_file)}))


def test_the_variables_required_for_jwt(place: Place, for_jwt: str, sf: SalesforceEmulator) -> None:
    place(for_jwt)
    session = kinetic.JWTAuthenticator.from_env().authenticate()
    assert sf.is_live(session.access_token)
    assert sf.history[-1].username == "user@example.com"


def test_the_variables_required_for_oauth(place: Place, example: Any, sf: SalesforceEmulator) -> None:
    secrets = {"client_secret": "ABC123...", "password": "MyPassword", "security_token": "XYZ789"}
    example.known("3MVG9...", "user@example.com", **secrets)
    place(example.here(FOR_OAUTH))
    assert sf.is_live(kinetic.OAuthAuthenticator.from_env().authenticate().access_token)


@pytest.mark.parametrize("name", ["SF_CLIENT_ID", "SF_USERNAME", "SF_PRIVATE_KEY_PATH"])
def test_a_missing_variable_is_named(name: str, for_jwt: str) -> None:
    Path(".env").write_text("\n".join(line for line in for_jwt.splitlines() if not line.startswith(name)))
    with pytest.raises(ValueError, match=rf"{name}\b"):
        kinetic.JWTAuthenticator.from_env()


def test_the_login_url_defaults_to_production(for_jwt: str) -> None:
    Path(".env").write_text("\n".join(line for line in for_jwt.splitlines() if "LOGIN_URL" not in line))
    assert kinetic.JWTAuthenticator.from_env().login_url == "https://login.salesforce.com"


@pytest.mark.parametrize(("written", "meant"), [("v62.0", "v62.0"), ("v61.0", "v61.0"), ("60.0", "v60.0")])
def test_the_api_version(place: Place, written: str, meant: str, for_jwt: str, sf: SalesforceEmulator) -> None:
    place(for_jwt + OPTIONAL.replace("v62.0 ", f"{written} "))
    session = kinetic.JWTAuthenticator.from_env().authenticate()
    assert session.api_version == meant
    assert session.base_url == f"{sf.url}/services/data/{meant}"


def test_the_api_version_has_its_default(for_jwt: str) -> None:
    Path(".env").write_text(for_jwt)
    assert kinetic.JWTAuthenticator.from_env().authenticate().api_version == "v62.0"


JOB = """
import logging
import kinetic_auth_core as kinetic

kinetic.configure_logging()
logging.getLogger("job").debug("details of the job")
logging.getLogger("job").info("start of the job")
with kinetic.resolve("jwt-bearer") as source:
    source.session()
"""


def test_log_level_and_log_dir(place: Place, for_jwt: str, python: Any, tmp_path: Path, sf: SalesforceEmulator) -> None:
    place(for_jwt + OPTIONAL)
    (tmp_path / "job.py").write_text(JOB)
    done = python("job.py")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "logs" / "kinetic-auth.log").read_text()
    assert "INFO job: start of the job" in written
    assert f"jwt-bearer login of user@example.com: org {sf.org_id}" in written
    assert "details of the job" not in written
    assert done.stderr == written


def test_log_level_debug(for_jwt: str, python: Any, tmp_path: Path) -> None:
    Path(".env").write_text(for_jwt + OPTIONAL.replace("INFO ", "DEBUG "))
    (tmp_path / "job.py").write_text(JOB)
    assert "DEBUG job: details of the job" in python("job.py").stderr
