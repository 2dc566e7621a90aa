"""`allowed_token_hosts`: hosts beside the session's instance that get the token, because the caller names them."""

import asyncio
from typing import Any

import httpx
import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters import httpx as httpx_adapter
from kinetic_auth_core.adapters import requests as requests_adapter
from kinetic_auth_core.adapters.token_scope import TokenScope, origin_of
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.testing import Redirect

SESSION = SalesforceSession("00D000000000001!canary", "https://acme.my.salesforce.com", "", "0")


@pytest.mark.parametrize("url", ["https://api.salesforce.com/einstein", "https://API.salesforce.com:8443/"])
def test_a_named_host_and_the_instance_get_the_token(url: str) -> None:
    scope = TokenScope(["Api.Salesforce.com"])
    for each in (url, SESSION.base_url):
        headers: dict[str, str] = {}
        assert scope.attach(headers, origin_of(each), SESSION)
        assert headers == SESSION.auth_header


@pytest.mark.parametrize(
    "url",
    [
        "http://api.salesforce.com/",
        "https://api.salesforce.com.evil.example/",
        "https://evil.api.salesforce.com/",
        "https://salesforce.com/",
        "https://api.salesforce.com@evil.example/",
    ],
)
def test_no_other_host_does(url: str) -> None:
    headers: dict[str, str] = {}
    assert not TokenScope(["api.salesforce.com"]).attach(headers, origin_of(url), SESSION)
    assert headers == {}


@pytest.mark.parametrize(
    "hosts", [["*.salesforce.com"], ["https://api.salesforce.com"], ["api.salesforce.com:443"], [""], [None]]
)
def test_a_value_that_is_no_exact_host_name_is_refused(hosts: Any) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="allowed_token_hosts") as caught:
        TokenScope(hosts)
    assert "api.salesforce.com" in caught.value.remedy


def test_one_text_is_refused_as_it_would_be_a_list_of_letters() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="allowed_token_hosts"):
        TokenScope("api.salesforce.com")


def test_requests_sends_the_token_there(source: kinetic.SessionSource, elsewhere: Any) -> None:
    with requests.Session() as http:
        http.auth = requests_adapter.SalesforceAuth(source, allowed_token_hosts=["127.0.0.1", "localhost"])
        http.get(elsewhere.url, timeout=10)
    assert elsewhere.heard[-1]["authorization"] == source.session().auth_header["Authorization"]


def test_httpx_sends_the_token_there(source: kinetic.SessionSource, elsewhere: Any) -> None:
    auth = httpx_adapter.SalesforceAuth(source, allowed_token_hosts=["127.0.0.1", "localhost"])
    with httpx.Client(auth=auth) as http:
        http.get(elsewhere.url)

    async def ask() -> None:
        async with httpx.AsyncClient(auth=auth) as http:
            await http.get(elsewhere.url)

    asyncio.run(ask())
    wanted = source.session().auth_header["Authorization"]
    assert [heard["authorization"] for heard in elsewhere.heard[-2:]] == [wanted, wanted]


def test_without_it_the_token_stays_here(source: kinetic.SessionSource, elsewhere: Any) -> None:
    with requests.Session() as http:
        http.auth = requests_adapter.SalesforceAuth(source)
        http.get(elsewhere.url, timeout=10)
    assert "authorization" not in elsewhere.heard[-1]


def test_a_redirect_to_a_host_that_is_not_named_does_not_carry_it(
    sf: Any, source: kinetic.SessionSource, elsewhere: Any
) -> None:
    sf.break_transport(Redirect(elsewhere.url), path="/services/data/*")
    with requests.Session() as http:
        http.auth = requests_adapter.SalesforceAuth(source, allowed_token_hosts=["api.salesforce.com"])
        http.get(f"{source.session().base_url}/limits", timeout=10)
    assert "authorization" not in elsewhere.heard[-1]
