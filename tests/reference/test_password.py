"""The reference's chapter on the OAuth 2.0 password flow, example by example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core import AuthenticationError
from kinetic_auth_core.testing import SalesforceEmulator

ENV_FILE = """\
SF_CLIENT_ID=3MVG9...your_consumer_key
SF_CLIENT_SECRET=1234567890ABCDEF...
SF_USERNAME=user@example.com
SF_PASSWORD=YourPassword
SF_SECURITY_TOKEN=ABC123XYZ789
SF_LOGIN_URL=https://login.salesforce.com
"""

FROM_ENVIRONMENT = """
from kinetic_core import OAuthAuthenticator, SalesforceClient

# Load from .env
auth = OAuthAuthenticator.from_env()

# Authenticate
session = auth.authenticate()

# Create client
client = SalesforceClient(session)
"""


def test_from_environment_variables(example: Any, sf: SalesforceEmulator) -> None:
    example.known(
        "3MVG9...your_consumer_key",
        "user@example.com",
        client_secret="1234567890ABCDEF...",
        password="YourPassword",
        security_token="ABC123XYZ789",
    )
    Path(".env").write_text(example.here(ENV_FILE))
    left = example.run(FROM_ENVIRONMENT)
    assert len(left["client"].query("SELECT Id, Name FROM Account")) == 5
    assert [(record.grant_type, record.status) for record in sf.history] == [("password", "Success")]


MANUAL = """
from kinetic_core import OAuthAuthenticator

auth = OAuthAuthenticator(
    client_id="3MVG9...",
    client_secret="1234567890ABCDEF",
    username="user@example.com",
    password="YourPassword",
    security_token="ABC123",
    login_url="https://login.salesforce.com"
)

session = auth.authenticate()
"""


def test_manual_configuration(example: Any, sf: SalesforceEmulator) -> None:
    example.known(
        "3MVG9...",
        "user@example.com",
        client_secret="1234567890ABCDEF",
        password="YourPassword",
        security_token="ABC123",
    )
    assert sf.is_live(example.run(MANUAL)["session"].access_token)


def test_it_raises_what_the_reference_says(example: Any) -> None:
    example.known("3MVG9...", "user@example.com", client_secret="1234567890ABCDEF", password="Changed")
    with pytest.raises(AuthenticationError):
        example.run(MANUAL)
