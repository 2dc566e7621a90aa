"""Clients of other projects, as they are: log in, query, write, lose the token in the middle, and go on."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiosalesforce
import httpcore
import httpx
import kinetic_core  # type: ignore[import-untyped]
import pytest
import requests
from aiosalesforce.auth import ClientCredentialsFlow, JwtBearerFlow
from authlib.integrations.requests_client import (  # type: ignore[import-untyped]
    AssertionSession,
    OAuth2Session,
)
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceExpiredSession

from kinetic_auth_core.testing import SalesforceEmulator, TlsProfile

pytestmark = pytest.mark.usefixtures("full_tier")

HOSTS = ("localhost", "127.0.0.1", "*.salesforce.com", "*.my.salesforce.com")
Works = Callable[..., None]


@pytest.fixture
def org(monkeypatch: pytest.MonkeyPatch) -> Iterator[SalesforceEmulator]:
    """An org over TLS that this process finds at every name of salesforce.com, as clients insist on those."""
    with SalesforceEmulator(tls=TlsProfile(HOSTS)) as org:
        port, real = urlsplit(org.url).port, socket.getaddrinfo

        def routed(host: Any, wanted: Any, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else str(host)
            return (
                real("127.0.0.1", port, *args, **options)
                if name.endswith(".salesforce.com")
                else real(host, wanted, *args, **options)
            )

        monkeypatch.setattr(socket, "getaddrinfo", routed)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(org.ca_bundle))
        org.policy.instance_url = "https://acme.my.salesforce.com"
        org.policy.audiences.add("https://acme.my.salesforce.com")
        yield org


def simple_salesforce_logins(org: SalesforceEmulator) -> dict[str, dict[str, Any]]:
    login = org.default
    app = {"consumer_key": login.client_id}
    secret = {"consumer_secret": login.client_secret}
    return {
        "password": {"username": login.username, "password": login.password + login.security_token, **app, **secret},
        "JWT": {"username": login.username, "privatekey": login.private_key_pem, **app},
        "client credentials": {"domain": "acme.my", **app, **secret},
    }


@pytest.mark.parametrize("flow", ["password", "JWT", "client credentials"])
def test_simple_salesforce(org: SalesforceEmulator, works: Works, flow: str) -> None:
    client: Any = Salesforce(**simple_salesforce_logins(org)[flow])
    assert client.query("SELECT Id, Name FROM Account WHERE name LIKE 'example%' LIMIT 2")["totalSize"] == 2
    org.policy.query_batch_size = 2
    assert len(list(client.query_all_iter("SELECT Id FROM Account"))) == 5
    made = client.Contact.create({"LastName": "Smith"})
    assert client.Contact.update(made["id"], {"LastName": "Jones"}) == 204
    assert client.Contact.get(made["id"])["LastName"] == "Jones"
    assert "LastName" in [field["name"] for field in client.Contact.describe()["fields"]]
    assert "Account" in [each["name"] for each in client.describe()["sobjects"]]
    assert [client.Contact.upsert("Ext__c/1", {"LastName": name}) for name in ("Smith", "Jones")] == [201, 200]
    assert client.Contact.get_by_custom_id("Ext__c", "1")["LastName"] == "Jones"
    assert client.Contact.delete(made["id"]) == 204
    assert client.limits()["DailyApiRequests"]["Max"]
    logins = org.token_requests
    org.expire_all()
    try:  # new versions log in again by themselves
        assert client.query("SELECT COUNT() FROM Account")["totalSize"] == 5
    except SalesforceExpiredSession:
        client = Salesforce(**simple_salesforce_logins(org)[flow])
        assert client.query("SELECT COUNT() FROM Account")["totalSize"] == 5
    assert org.token_requests == logins + 1
    operations = {"query": "yes, also in pages", "write": "create, update, upsert, delete", "also": "describe, limits"}
    works("simple-salesforce", version("simple-salesforce"), flow, **operations, expired_token="yes")


def test_simple_salesforce_with_a_security_token_of_its_own(org: SalesforceEmulator, works: Works) -> None:
    """It logs in by SOAP then, with or without an app."""
    login = org.default
    with pytest.raises(SalesforceAuthenticationFailed, match=r"INVALID_OPERATION.* The emulator has no SOAP"):
        Salesforce(username=login.username, password=login.password, security_token=login.security_token)
    what = "no, as in new orgs: SOAP login() is off"
    works("simple-salesforce", version("simple-salesforce"), "password and security token", log_in=what)


class Rerouted(httpcore.AnyIOBackend):
    """Connects to an emulator whatever the host is: anyio looks names up by itself."""

    def __init__(self, org: SalesforceEmulator) -> None:
        self.port = urlsplit(org.url).port or 0

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return await super().connect_tcp("127.0.0.1", self.port, *args, **options)


@pytest.mark.parametrize("flow", ["JWT", "client credentials"])
def test_aiosalesforce(org: SalesforceEmulator, works: Works, flow: str) -> None:
    login = org.default
    auth: Any = JwtBearerFlow(login.client_id, login.username, org.private_key_path)
    if flow == "client credentials":
        auth = ClientCredentialsFlow(login.client_id, login.client_secret)

    async def use() -> None:
        transport = httpx.AsyncHTTPTransport()
        tls = ssl.create_default_context(cafile=org.ca_bundle)
        transport._pool = httpcore.AsyncConnectionPool(tls, network_backend=Rerouted(org))
        async with httpx.AsyncClient(transport=transport) as http:
            client = aiosalesforce.Salesforce(http, "https://acme.my.salesforce.com", auth=auth)
            names = [row["Name"] async for row in client.query("SELECT Name FROM Account ORDER BY Name DESC")]
            assert names[0] == "Example Account 5"
            made = await client.sobject.create("Contact", {"LastName": "Smith"})
            org.expire_all()  # which it cures by itself
            await client.sobject.update("Contact", made, {"LastName": "Jones"})
            assert (await client.sobject.get("Contact", made))["LastName"] == "Jones"
            made_or_changed = [await client.sobject.upsert("Contact", "1", "Ext__c", {"LastName": "S"}) for _ in "12"]
            assert [each.created for each in made_or_changed] == [True, False]
            await client.sobject.delete("Contact", made)

    asyncio.run(use())
    assert org.token_requests == 2
    operations = {"query": "yes", "write": "create, update, upsert, delete", "expired_token": "yes"}
    works("aiosalesforce", version("aiosalesforce"), flow, **operations)


def test_authlib_with_pkce_and_refresh(org: SalesforceEmulator, works: Works) -> None:
    login, base = org.default, org.url + "/services/oauth2"
    redirect = "http://localhost:1717/OauthRedirect"
    with OAuth2Session(
        login.client_id, login.client_secret, redirect_uri=redirect, scope="api refresh_token",
        code_challenge_method="S256", token_endpoint=f"{base}/token", token_endpoint_auth_method="client_secret_post",
    ) as client:  # fmt: skip
        verifier = "v" * 64
        address, state = client.create_authorization_url(f"{base}/authorize", code_verifier=verifier)
        with requests.Session() as browser:
            browser.verify = str(org.ca_bundle)
            page = browser.post(address, data={"username": login.username, "pw": login.password}, timeout=10)
            asked = page.text.partition('name="authorization" value="')[2].partition('"')[0]
            form = {"authorization": asked, "oaapprove": "1"}
            sent = browser.post(page.url, data=form, timeout=10, allow_redirects=False).headers["Location"]
        assert parse_qs(urlsplit(sent).query)["state"] == [state]
        token = client.fetch_token(f"{base}/token", authorization_response=sent, code_verifier=verifier)
        assert org.is_live(token["access_token"])
        org.policy.rotate_refresh_tokens = True
        renewed = client.refresh_token(f"{base}/token", token["refresh_token"])
        assert renewed["refresh_token"] != token["refresh_token"]
        assert org.is_live(renewed["access_token"])
    works(
        "Authlib", version("authlib"), "authorization code with PKCE", expired_token="yes, by refresh", also="rotation"
    )


@pytest.mark.filterwarnings("ignore")  # of Authlib, about its own use of another package
def test_authlib_with_an_assertion_of_an_hour(org: SalesforceEmulator, works: Works) -> None:
    login = org.default
    audience, endpoint = "https://login.salesforce.com", f"{org.url}/services/oauth2/token"
    with AssertionSession(
        endpoint, login.client_id, login.username, audience, key=login.private_key_pem, header={"alg": "RS256"}
    ) as client:
        client.refresh_token()
        assert org.is_live(client.token["access_token"])
    works("Authlib", version("authlib"), "JWT", also="an assertion that is valid for an hour")


def test_kinetic_core(org: SalesforceEmulator, works: Works) -> None:
    login = org.default
    authenticator = kinetic_core.JWTAuthenticator(
        client_id=login.client_id, username=login.username, private_key_path=str(org.private_key_path),
        login_url="https://login.salesforce.com",
    )  # fmt: skip
    client = kinetic_core.SalesforceClient(authenticator.authenticate())
    assert len(client.query("SELECT Id, Name FROM Account")) == 5
    made = client.create("Contact", {"LastName": "Smith"})
    assert client.update("Contact", made, {"LastName": "Jones"})
    assert client.get("Contact", made)["LastName"] == "Jones"
    assert client.upsert("Contact", "Ext__c", "1", {"LastName": "Smith"}) != made
    assert client.delete("Contact", made)
    org.expire_all()
    with pytest.raises(requests.HTTPError):
        client.query("SELECT Id FROM Account")
    assert kinetic_core.SalesforceClient(authenticator.authenticate()).count("Account") == 5
    operations = {"query": "yes", "write": "create, update, upsert, delete"}
    renewal = "by a new login of the caller"
    works("kinetic-core", version("kinetic-core"), "JWT", **operations, expired_token=renewal)
