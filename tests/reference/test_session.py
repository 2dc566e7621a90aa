"""The session as the reference describes it, and the REST clients that take it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from kinetic_core import SalesforceClient  # type: ignore[import-untyped]
from simple_salesforce.api import Salesforce

import kinetic_auth_core as kinetic
from kinetic_auth_core import SalesforceSession
from kinetic_auth_core.testing import SalesforceEmulator

PROPERTIES = """
@dataclass
class SalesforceSession:
    access_token: str      # OAuth access token
    instance_url: str      # Salesforce instance URL
    id: str                # Identity URL
    issued_at: str         # Token issue timestamp
    signature: str = ""    # HMAC signature (optional)
"""


@pytest.fixture
def session(sf: SalesforceEmulator) -> SalesforceSession:
    login = sf.default
    made = kinetic.OAuthAuthenticator(
        login.client_id, login.client_secret, login.username, login.password, login.security_token, sf.url
    )
    try:
        return made.authenticate()
    finally:
        made.close()


def test_the_properties_have_the_names_the_order_and_the_default_of_the_reference() -> None:
    namespace: dict[str, Any] = {"dataclass": dataclasses.dataclass}
    exec(PROPERTIES, namespace)  # noqa: S102 - a piece of the reference
    theirs = inspect.signature(namespace["SalesforceSession"]).parameters.values()
    ours = [each for each in inspect.signature(SalesforceSession).parameters.values() if each.kind != each.KEYWORD_ONLY]
    assert [(each.name, each.default) for each in ours] == [(each.name, each.default) for each in theirs]


USAGE = """
from kinetic_core import OAuthAuthenticator, SalesforceClient

# Access session properties
print(f"Instance: {session.instance_url}")
print(f"Token: {session.access_token[:20]}...")

# Pass to client
client = SalesforceClient(session)
"""


def test_the_example_of_usage(
    example: Any, session: SalesforceSession, sf: SalesforceEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    client = example.run(USAGE, module={"session": session})["client"]
    assert capsys.readouterr().out == f"Instance: {sf.url}\nToken: {session.access_token[:20]}...\n"
    assert client.query_one("SELECT Name FROM Account")["Name"] == "Example Account 1"


def test_kinetic_cores_client_reads_and_writes_with_it(session: SalesforceSession) -> None:
    client = SalesforceClient(session)
    account = client.create("Account", {"Name": "ACME Corp"})
    client.update("Account", account, {"Phone": "555-1234"})
    assert client.get("Account", account)["Phone"] == "555-1234"
    client.delete("Account", account)
    assert len(client.query("SELECT Id FROM Account")) == 5


def test_kinetic_cores_client_follows_the_pages_of_a_query(sf: SalesforceEmulator, session: SalesforceSession) -> None:
    sf.policy.query_batch_size = 2
    assert len(SalesforceClient(session).query("SELECT Id FROM Account")) == 5
    assert sf.count("GET") == 3


@pytest.fixture
def tls() -> Iterator[SalesforceEmulator]:
    """simple-salesforce speaks only https."""
    with SalesforceEmulator(tls=True) as emulator:
        yield emulator


@pytest.mark.usefixtures("full_tier")
def test_simple_salesforce_accepts_it_too(tls: SalesforceEmulator) -> None:
    login = tls.default
    made = kinetic.JWTAuthenticator(
        login.client_id, login.username, login.private_key_pem, login_url=tls.url, ca_bundle=tls.ca_bundle
    )
    session = made.authenticate()
    made.close()
    with requests.Session() as http:
        http.trust_env = False
        http.verify = str(tls.ca_bundle)
        client = Salesforce(
            instance_url=session.instance_url,
            session_id=session.access_token,
            version=session.api_version.removeprefix("v"),
            session=http,
        )
        found = client.query("SELECT Id, Name FROM Account")
    assert found["totalSize"] == 5
    assert found["records"][0]["Name"] == "Example Account 1"
