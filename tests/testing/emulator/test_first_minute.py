"""What clients ask in their first minute: the answer is Salesforce's, or says that the emulator has none."""

from __future__ import annotations

import gzip
import zlib
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import soap_login

from kinetic_auth_core.testing import Answer, SalesforceEmulator

DATA = "/services/data/v62.0"
XML = {"Accept": "application/xml"}


@pytest.fixture
def token(client: Any) -> str:
    return str(client.token())


@pytest.fixture
def account(client: Any, token: str) -> str:
    """The path of a record."""
    found = client.call(f"{DATA}/query", token, params={"q": "SELECT Id FROM Account LIMIT 1"}).json()["records"][0]
    return str(found["attributes"]["url"])


def code_in(answer: requests.Response) -> str:
    """The `errorCode` of an error in XML."""
    assert answer.headers["Content-Type"].startswith("application/xml")
    return str(ET.fromstring(answer.content).findtext("Error/errorCode"))


@pytest.mark.parametrize(
    "path",
    [
        "recent", "search?q=FIND+%7Bx%7D", "parameterizedSearch?q=x", "tabs", "theme", "chatter/users/me", "appMenu/x",
        "tooling", "tooling/query?q=SELECT+Id+FROM+ApexClass", "composite", "composite/batch", "composite/sobjects",
        "jobs/ingest", "jobs/query", "query?explain=SELECT+Id+FROM+Account", "sobjects/Account/listviews",
        "sobjects/Account/updated/?start=x", "sobjects/Account/describe/layouts", "sobjects/User/005/password",
        "graphql", "nowhere.xml",
    ],
)  # fmt: skip
def test_what_is_not_emulated_says_so_and_is_401_to_a_dead_token(
    sf: SalesforceEmulator, client: Any, token: str, path: str
) -> None:
    live = client.call(f"{DATA}/{path}", token)
    assert live.status_code == 404
    assert f"The emulator does not have this resource: {DATA}/{path.partition('?')[0]}" in live.text
    assert code_in(client.call(f"{DATA}/{path}", token, headers=XML)) == "NOT_FOUND"
    sf.expire_all()
    dead = client.call(f"{DATA}/{path}", token)
    assert (dead.status_code, "INVALID_SESSION_ID" in dead.text) == (401, True)
    assert code_in(client.call(f"{DATA}/{path}", token, headers=XML)) == "INVALID_SESSION_ID"


def test_the_streaming_api_is_refused_in_the_form_of_its_protocol(
    sf: SalesforceEmulator, client: Any, token: str
) -> None:
    sent = [{"channel": "/meta/handshake", "id": "1", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}]
    [live] = client.call("/cometd/62.0", token, "POST", json=sent).json()
    assert (live["channel"], live["id"], live["successful"]) == ("/meta/handshake", "1", False)
    assert live["error"] == "404::The emulator does not have this resource: /cometd/62.0"
    assert live["advice"] == {"reconnect": "none"}
    sf.expire_all()
    [dead] = client.call("/cometd/62.0", token, "POST", json=sent[0]).json()
    assert dead["error"] == "401::Authentication invalid"
    for body in (b"", b"[1]", b"message=x"):
        assert client.call("/cometd/62.0", token, "POST", data=body).status_code == 404


@pytest.mark.parametrize("path", [DATA, f"{DATA}/limits", f"{DATA}/sobjects/Account/describe", "/services/data"])
def test_who_wants_xml_alone_gets_no_json(client: Any, token: str, path: str) -> None:
    for headers, query in ((XML, ""), ({}, "?format=xml")):
        answer = client.call(path + query, token, headers=headers)
        assert (answer.status_code, code_in(answer)) == (406, "NOT_ACCEPTABLE")
    before = client.call(f"{DATA}/query", token, params={"q": "SELECT COUNT() FROM Account"}).json()["totalSize"]
    assert client.call(f"{DATA}/sobjects/Account", token, "POST", json={}, headers=XML).status_code == 406
    after = client.call(f"{DATA}/query", token, params={"q": "SELECT COUNT() FROM Account"}).json()["totalSize"]
    assert before == after
    for headers in ({"Accept": "application/xml, */*;q=0.1"}, {"Accept": "text/html"}, {"X-PrettyPrint": "1"}):
        assert client.call(path, token, headers=headers).json()


def test_the_end_of_a_path_asks_for_json_or_xml(client: Any, token: str, account: str) -> None:
    assert client.call(f"{DATA}/limits.json", token).json()["DailyApiRequests"]
    assert client.call(f"{account}.json", token).json()["Name"] == "Example Account 1"
    assert code_in(client.call(f"{DATA}/limits.xml", token)) == "NOT_FOUND"


def test_head_is_get_without_a_body(client: Any, token: str, account: str) -> None:
    for path in ("/services/data", f"{DATA}/limits", f"{DATA}/sobjects/Account/describe", account):
        answer = client.call(path, token, "HEAD")
        assert (answer.status_code, answer.content) == (200, b"")
        assert client.call(path, token, "OPTIONS").status_code == 405
        assert client.call(path, token).status_code == 200


def test_a_body_may_come_in_gzip_or_deflate(client: Any, token: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    def create(body: bytes, **other: str) -> requests.Response:
        answer: requests.Response = client.call(
            f"{DATA}/sobjects/Account", token, "POST", data=body, headers=headers | other
        )
        return answer

    made = create(gzip.compress(b'{"Name": "packed"}')).json()["id"]
    assert client.call(f"{DATA}/sobjects/Account/{made}", token).json()["Name"] == "packed"
    assert create(zlib.compress(b'{"Name": "packed"}'), **{"Content-Encoding": "deflate"}).status_code == 201
    for broken in (b"not gzip", gzip.compress(b"{}")[:-9], b""):
        assert create(broken).json()[0]["errorCode"] == "JSON_PARSER_ERROR"
    assert create(b"{}", **{"Content-Encoding": "br"}).status_code == 415
    assert create(gzip.compress(b"<Account/>"), **{"Content-Type": "application/xml"}).status_code == 415


def test_post_may_stand_for_patch_and_delete(sf: SalesforceEmulator, client: Any, token: str, account: str) -> None:
    assert client.call(f"{account}?_HttpMethod=PATCH", token, "POST", json={"Name": "new"}).status_code == 204
    assert client.call(account, token).json()["Name"] == "new"
    assert sf.requests[-2].method == "POST"
    assert "unsupported_grant_type" in client.post("/services/oauth2/token?_HttpMethod=GET", grant_type="x").text
    assert client.call(f"{account}?_HttpMethod=DELETE", token).json()["Name"] == "new"  # a GET stays one
    assert client.call(f"{account}?_HttpMethod=DELETE", token, "POST").status_code == 204
    assert client.call(account, token).status_code == 404


def test_users_and_the_organization_have_their_times(client: Any, token: str) -> None:
    for kind in ("User", "Organization"):
        since = f"SELECT Id, CreatedDate FROM {kind} WHERE SystemModstamp >= 2020-01-01T00:00:00Z"
        assert client.call(f"{DATA}/query", token, params={"q": since}).json()["totalSize"] == 1
        fields = client.call(f"{DATA}/sobjects/{kind}/describe", token).json()["fields"]
        assert fields[0]["name"] == "Id"
        assert "IsDeleted" not in {each["name"] for each in fields}
        assert {each["name"]: each["type"] for each in fields}["SystemModstamp"] == "datetime"


def test_the_identity_url_fills_the_version_in_and_takes_the_token_from_the_query(
    sf: SalesforceEmulator, client: Any, token: str
) -> None:
    path = f"/id/{sf.org_id}/{client.user.id}"
    assert client.call(path, token).json()["urls"]["rest"] == f"{sf.url}/services/data/v{{version}}/"
    asked = client.call(path, token, params={"version": "58.0", "format": "json"}).json()["urls"]
    assert asked["query"] == f"{sf.url}/services/data/v58.0/query/"
    newest = client.http.get(f"{sf.url}/services/data", timeout=10).json()[-1]
    latest = client.http.get(f"{sf.url}{path}", params={"version": "latest", "oauth_token": token}, timeout=10).json()
    assert latest["urls"]["rest"] == f"{sf.url}{newest['url']}/"
    for headers, query in ((XML, ""), ({}, "?format=xml")):
        assert client.call(path + query, token, headers=headers).status_code == 406
        assert client.call("/services/oauth2/userinfo" + query, token, headers=headers).status_code == 406
        assert client.call(path + query, "dead", headers=headers).text == "Bad_OAuth_Token"


@pytest.mark.parametrize("kind", ["xml", "json"])
def test_a_bulk_job_is_remembered_and_has_the_state_that_it_was_given(client: Any, token: str, kind: str) -> None:
    headers = {"X-SFDC-Session": token, "Content-Type": f"application/{kind}"}

    def call(path: str, state: str | None = None) -> tuple[int, str]:
        body = f'{{"state": "{state}"}}' if kind == "json" else f"<jobInfo><state>{state}</state></jobInfo>"
        method, url = "GET" if state is None else "POST", f"{client.sf.url}/services/async/62.0/job{path}"
        answer = client.http.request(method, url, headers=headers, data=body if state else None, timeout=10)
        assert kind in answer.headers["Content-Type"]
        return answer.status_code, answer.text

    status, text = call("", "Open")
    job = "/750" + text.partition("750")[2][:15]
    assert (status, "Open" in text) == (201, True)
    for state in ("Closed", "Aborted"):
        status, text = call(job, state)
        assert (status, state in text, state in call(job)[1]) == (200, True, True)
    assert (call("/750unknown")[0], "InvalidJob" in call("/750unknown")[1]) == (400, True)


LOGIN = '<env:Body><n1:login xmlns:n1="urn:partner.soap.sforce.com"><n1:username>x</n1:username></n1:login></env:Body>'


def test_soap_login_is_refused_in_words_that_simple_salesforce_shows(sf: SalesforceEmulator) -> None:
    headers = {"content-type": "text/xml", "SOAPAction": "login"}
    with pytest.raises(SalesforceAuthenticationFailed, match="The emulator has no SOAP: log in by OAuth") as caught:
        soap_login(f"{sf.url}/services/Soap/u/59.0", LOGIN, headers, None)
    assert caught.value.code == "INVALID_OPERATION"


def test_soap_says_in_xml_that_a_token_is_dead_or_that_it_is_not_emulated(
    sf: SalesforceEmulator, client: Any, token: str
) -> None:
    path = "/services/Soap/m/62.0"

    def fault(envelope: str = "<x/>", token: str = "") -> tuple[int, str]:
        answer = client.call(path, token, "POST", data=envelope, headers={"Content-Type": "text/xml"})
        assert answer.headers["Content-Type"].startswith("text/xml")
        return answer.status_code, str(next(ET.fromstring(answer.content).iter("faultcode")).text)

    enclosed = f"<met:sessionId>{token}</met:sessionId>"
    assert fault(enclosed) == (500, "sf:NOT_FOUND")
    assert fault(token=token) == (404, "sf:NOT_FOUND")
    sf.add_endpoint(path, Answer("<described/>", content_type="text/xml"))
    assert client.call(path, token, "POST", data="<x/>").text == "<described/>"
    sf.expire_all()
    assert client.call(path, token, "POST", data="<x/>").status_code == 401
    sf.clear_faults()
    path = "/services/Soap/u/62.0/00D"
    assert fault(enclosed) == (500, "sf:INVALID_SESSION_ID")
    assert fault(token=token) == (401, "sf:INVALID_SESSION_ID")
    assert fault() == (401, "sf:INVALID_SESSION_ID")
