"""The reference's chapter on the JWT bearer flow, example by example."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kinetic_auth_core import AuthenticationError, SalesforceSession
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator

CLIENT_ID = "3MVG9..."
USERNAME = "user@example.com"

ENV_FILE = """\
SF_CLIENT_ID=3MVG9...your_consumer_key
SF_USERNAME=integration@company.com.sandbox
SF_PRIVATE_KEY_PATH=/path/to/server.key
SF_LOGIN_URL=https://test.salesforce.com # or https://login.salesforce.com
"""

FROM_ENVIRONMENT = """
from kinetic_core import JWTAuthenticator, SalesforceClient

# Load from .env
auth = JWTAuthenticator.from_env()

# Authenticate
session = auth.authenticate()

# Create client
client = SalesforceClient(session)
"""


def test_from_environment_variables(
    example: Any, sf: SalesforceEmulator, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example.known("3MVG9...your_consumer_key", "integration@company.com.sandbox")
    Path(".env").write_text(example.here(ENV_FILE, {"/path/to/server.key": str(key_file)}))
    left = example.run(FROM_ENVIRONMENT)
    assert isinstance(left["session"], SalesforceSession)
    accounts = left["client"].query("SELECT Id, Name FROM Account LIMIT 10")
    assert [account["Name"] for account in accounts] == [f"Example Account {number}" for number in range(1, 6)]
    assert [record.status for record in sf.history] == ["Success"]


MANUAL = """
from kinetic_core import JWTAuthenticator

auth = JWTAuthenticator(
    client_id="3MVG9...",
    username="user@example.com",
    private_key_path="/path/to/server.key",
    login_url="https://test.salesforce.com"
)

session = auth.authenticate()
"""


def test_manual_configuration(example: Any, sf: SalesforceEmulator, key_file: Path) -> None:
    example.known(CLIENT_ID, USERNAME)
    left = example.run(MANUAL, {"/path/to/server.key": str(key_file)})
    assert sf.is_live(left["session"].access_token)


PRIVATE_KEY_STRING = '''
from kinetic_core import JWTAuthenticator

private_key_content = """
-----BEGIN RSA PRIVATE KEY-----
MIIEpAIBAAKCAQEA...
-----END RSA PRIVATE KEY-----
"""

auth = JWTAuthenticator(
    client_id="3MVG9...",
    username="user@example.com",
    private_key=private_key_content,  # Use key content instead of path
    login_url="https://test.salesforce.com"
)

session = auth.authenticate()
'''


def test_private_key_string_with_the_blank_line_that_begins_it(
    example: Any, sf: SalesforceEmulator, pkcs1: str
) -> None:
    example.known(CLIENT_ID, USERNAME)
    begin, *body, end = pkcs1.splitlines()
    assert (begin, end) == ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----")
    left = example.run(PRIVATE_KEY_STRING, {"MIIEpAIBAAKCAQEA...": "\n".join(body)})
    assert left["private_key_content"].startswith("\n-----BEGIN")
    assert sf.is_live(left["session"].access_token)


TRY_EXCEPT = """
from kinetic_core import JWTAuthenticator

auth = JWTAuthenticator.from_env()

try:
    session = auth.authenticate()
    print(f"Authenticated: {session.instance_url}")
except Exception as e:
    print(f"Authentication failed: {e}")
"""


@pytest.fixture
def configured(example: Any, sf: SalesforceEmulator, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a user after the setup."""
    example.known(CLIENT_ID, USERNAME)
    monkeypatch.setenv("SF_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("SF_USERNAME", USERNAME)
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", str(key_file))
    monkeypatch.setenv("SF_LOGIN_URL", sf.url)


@pytest.mark.usefixtures("configured")
def test_the_example_of_error_handling_prints_the_instance(
    example: Any, sf: SalesforceEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    example.run(TRY_EXCEPT)
    assert capsys.readouterr().out == f"Authenticated: {sf.url}\n"


@pytest.mark.usefixtures("configured")
def test_the_example_of_error_handling_prints_what_happened_and_what_to_do(
    example: Any, sf: SalesforceEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    sf.refuse("inactive_user", "user frozen or deactivated")
    example.run(TRY_EXCEPT)
    assert capsys.readouterr().out == (
        f"Authentication failed: jwt-bearer login of {USERNAME} at {sf.url.removeprefix('http://')} failed: "
        "inactive_user: user frozen or deactivated (HTTP 400). "
        "Remedy: The user is frozen or deactivated: reactivate it (Setup, Users, the user, Unfreeze; or Edit, Active), "
        "or use another.\n"
    )


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("raised", [AuthenticationError, FileNotFoundError, ValueError])
def test_authenticate_raises_what_the_reference_says(
    raised: type[Exception], example: Any, sf: SalesforceEmulator, key_file: Path
) -> None:
    if raised is AuthenticationError:
        sf.refuse("invalid_grant", "invalid assertion")
    elif raised is FileNotFoundError:
        key_file.unlink()
    else:  # "If JWT creation fails"
        key_file.write_text("no key")
    with pytest.raises(raised):
        example.run(FROM_ENVIRONMENT)


@pytest.mark.usefixtures("configured")
def test_the_session_has_what_the_reference_says(example: Any, sf: SalesforceEmulator) -> None:
    session = example.run(FROM_ENVIRONMENT)["session"]
    assert sf.is_live(session.access_token)
    assert session.instance_url == sf.url
    assert session.id.startswith(f"{sf.url}/id/{sf.org_id}/")
    assert int(session.issued_at) > 1_600_000_000_000


DEBUG_MODE = """
from kinetic_core import JWTAuthenticator

import logging
logging.basicConfig(level=logging.DEBUG)

auth = JWTAuthenticator.from_env()
session = auth.authenticate()  # Will print debug info
"""


@pytest.mark.usefixtures("configured")
def test_debug_mode_names_user_and_host_and_prints_no_secret(
    example: Any, python: Any, keys: KeyPair, sf: SalesforceEmulator
) -> None:
    Path("debug.py").write_text(example.code(DEBUG_MODE) + "\nprint(session.access_token)")
    done = python("debug.py")
    assert done.returncode == 0, done.stderr
    assert "DEBUG:" in done.stderr
    assert "/services/oauth2/token" in done.stderr
    secrets = [done.stdout.strip(), "eyJhbGciOi", *keys.private_key_pem.splitlines()]
    assert [secret for secret in secrets if secret in done.stderr] == []
    lines = [line for line in done.stderr.splitlines() if ":kinetic_auth" in line]
    assert [line for line in lines if USERNAME in line and sf.url.removeprefix("http://") in line]


OPENSSL = """
# Generate private key
openssl genrsa -out server.key 2048

# Generate certificate
openssl req -new -x509 -key server.key -out server.crt -days 365

# Optional: Generate PKCS12 for backup
openssl pkcs12 -export -in server.crt -inkey server.key -out server.p12
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the reference calls openssl")
def test_the_key_that_the_openssl_commands_make_logs_in(example: Any, sf: SalesforceEmulator) -> None:
    for command in re.findall(r"^openssl .*$", OPENSSL, re.MULTILINE):
        # Answers to what the commands ask: the default for each name of the certificate, or a password, twice.
        answers = "backup\nbackup\n" if "pkcs12" in command else "\n" * 12
        # Without a terminal openssl asks on the standard input.
        subprocess.run(
            shlex.split(command), input=answers, text=True, capture_output=True, check=True, start_new_session=True
        )
    app = example.known(CLIENT_ID, USERNAME)
    app.certificates.clear()
    sf.upload_certificate(app, Path("server.crt").read_text())
    left = example.run(MANUAL, {"/path/to/server.key": str(Path("server.key").absolute())})
    assert sf.is_live(left["session"].access_token)
    restore = "openssl pkcs12 -in server.p12 -nocerts -nodes -passin pass:backup -out restored.key"
    subprocess.run(shlex.split(restore), capture_output=True, check=True)
    left = example.run(MANUAL, {"/path/to/server.key": str(Path("restored.key").absolute())})
    assert sf.is_live(left["session"].access_token)


DOCKERFILE = """\
FROM python:3.11-slim

WORKDIR /app

# Copy private key
COPY server.key /app/certs/server.key
RUN chmod 600 /app/certs/server.key

# Install package
RUN pip install kinetic-core

# Set environment
ENV SF_CLIENT_ID=3MVG9...
ENV SF_USERNAME=integration@company.com
ENV SF_PRIVATE_KEY_PATH=/app/certs/server.key
ENV SF_LOGIN_URL=https://test.salesforce.com

CMD ["python", "sync_job.py"]
"""


def test_the_environment_of_the_docker_example(
    example: Any, sf: SalesforceEmulator, key_file: Path, tmp_path: Path, python: Any
) -> None:
    example.known("3MVG9...", "integration@company.com")
    (tmp_path / "certs").mkdir()
    key_file.rename(tmp_path / "certs" / "server.key").chmod(0o600)
    (tmp_path / "sync_job.py").write_text(example.code(FROM_ENVIRONMENT) + "print(client.count('Account'))\n")
    dockerfile = example.here(DOCKERFILE, {"/app/certs": str(tmp_path / "certs")})
    environment = dict(re.findall(r"^ENV (\w+)=(.*)$", dockerfile, re.MULTILINE))
    assert len(environment) == 4
    done = python("sync_job.py", env=environment)
    assert (done.stdout, done.returncode) == ("5\n", 0), done.stderr
    assert [record.username for record in sf.history] == ["integration@company.com"]


MULTI_ENVIRONMENT = """
import os
from kinetic_core import JWTAuthenticator

# Load config based on environment
env = os.getenv('ENVIRONMENT', 'dev')

configs = {
    'dev': {
        'client_id': os.getenv('DEV_SF_CLIENT_ID'),
        'username': os.getenv('DEV_SF_USERNAME'),
        'private_key_path': '/certs/dev-key.pem',
        'login_url': 'https://test.salesforce.com'
    },
    'prod': {
        'client_id': os.getenv('PROD_SF_CLIENT_ID'),
        'username': os.getenv('PROD_SF_USERNAME'),
        'private_key_path': '/certs/prod-key.pem',
        'login_url': 'https://login.salesforce.com'
    }
}

config = configs[env]
auth = JWTAuthenticator(**config)
session = auth.authenticate()
"""


@pytest.mark.parametrize("environment", [None, "dev", "prod"])
def test_the_multi_environment_setup(
    environment: str | None, example: Any, sf: SalesforceEmulator, keys: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = environment or "dev"
    example.known(f"3MVG9.{chosen}", f"{chosen}@company.com")
    for name in ("dev", "prod"):
        monkeypatch.setenv(f"{name.upper()}_SF_CLIENT_ID", f"3MVG9.{name}")
        monkeypatch.setenv(f"{name.upper()}_SF_USERNAME", f"{name}@company.com")
    if environment is not None:
        monkeypatch.setenv("ENVIRONMENT", environment)
    Path(f"{chosen}-key.pem").write_text(keys.private_key_pem)  # the other one's file is not there
    with SalesforceEmulator() as other:  # the host of the other environment
        other_host = {"dev": "https://login.salesforce.com", "prod": "https://test.salesforce.com"}[chosen]
        left = example.run(MULTI_ENVIRONMENT, {"/certs": str(Path.cwd()), other_host: other.url})
        assert other.token_requests == 0
    assert sf.is_live(left["session"].access_token)
    assert sf.history[-1].username == f"{chosen}@company.com"


TOKEN_REFRESH = '''
from kinetic_core import JWTAuthenticator, SalesforceClient

auth = JWTAuthenticator.from_env()

def get_client():
    """Get authenticated client with fresh session"""
    session = auth.authenticate()
    return SalesforceClient(session)

# Use in long-running process
while True:
    client = get_client()  # Fresh session
    # Do work...
    time.sleep(3600)  # Re-authenticate every hour
'''


class EnoughError(Exception):
    """Ends the endless loop."""


@pytest.mark.usefixtures("configured")
def test_the_token_refresh_loop(example: Any, sf: SalesforceEmulator) -> None:
    tokens: list[str] = []

    def sleep(seconds: float) -> None:
        """Do the work, then let the hour pass in which the session dies."""
        client = module["client"]
        assert len(client.query("SELECT Id FROM Account")) == 5
        assert seconds == 3600
        tokens.append(client.session.access_token)
        assert sf.expire_all() == 1
        if len(tokens) == 3:
            raise EnoughError

    module: dict[str, Any] = {"time": SimpleNamespace(sleep=sleep)}
    with pytest.raises(EnoughError):
        example.run(TOKEN_REFRESH, module=module)
    assert len(set(tokens)) == 3
    assert sf.token_requests == 3
    assert len({request.connection for request in sf.requests if request.method == "POST"}) == 1
