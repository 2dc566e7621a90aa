"""The data endpoints, and the real REST clients that must be able to use them."""

from __future__ import annotations

from typing import Any

import kinetic_core  # type: ignore[import-untyped]
import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession

from kinetic_auth_core.testing import SalesforceEmulator

DATA = "/services/data/v62.0"
DEAD = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def query(client: Any, soql: str, path: str = "query") -> Any:
    return client.call(f"{DATA}/{path}", client.token(), params={"q": soql})


def test_versions_are_listed_without_a_token(client: Any) -> None:
    for path in ("/services/data", "/services/data/"):
        versions = client.http.get(client.sf.url + path, timeout=10).json()
        assert {"label": "Winter '25", "url": "/services/data/v62.0", "version": "62.0"} in versions


def test_everything_else_needs_a_live_token(sf: SalesforceEmulator, client: Any) -> None:
    token = client.token()
    assert set(client.call(DATA, token).json()) == {"limits", "query", "queryAll", "sobjects"}
    assert client.call(f"{DATA}/limits/", token).json()["DailyApiRequests"]["Max"] == 15000
    sf.expire_all()
    for path in (
        "",
        "/",
        "/limits",
        "/limits/",
        "/query?q=x",
        "/queryAll?q=x",
        "/query/01g",
        "/sobjects",
        "/sobjects/Account/1",
    ):
        answer = client.call(DATA + path, token)
        assert (answer.status_code, answer.json()) == (401, DEAD)


def test_a_missing_token_counts_as_a_dead_one(client: Any) -> None:
    assert client.http.get(f"{client.sf.url}{DATA}/limits", timeout=10).json() == DEAD
    answer = client.http.get(f"{client.sf.url}{DATA}/limits", headers={"Authorization": "Digest x"}, timeout=10)
    assert answer.status_code == 401


def test_a_restricted_session_gets_the_code_of_a_dead_one_with_another_message(
    sf: SalesforceEmulator, client: Any
) -> None:
    sf.policy.restrict_rest_sessions = True
    answer = client.call(f"{DATA}/limits", client.token())
    assert answer.status_code == 401
    assert answer.json() == [
        {"message": "This session is not valid for use with the REST API", "errorCode": "INVALID_SESSION_ID"}
    ]


def test_bulk_v1_has_its_own_error_for_a_dead_token(client: Any) -> None:
    url, dead = client.sf.url + "/services/async/62.0/job", {"X-SFDC-Session": "dead"}
    xml = client.http.post(url, headers=dead, timeout=10)
    assert (xml.status_code, xml.headers["Content-Type"]) == (400, "application/xml")
    assert "<exceptionCode>InvalidSessionId</exceptionCode>" in xml.text
    as_json = client.http.post(url, headers=dead, json={}, timeout=10)
    assert (as_json.status_code, as_json.json()["exceptionCode"]) == (400, "InvalidSessionId")
    live = client.http.post(url, headers={"X-SFDC-Session": client.token()}, json={}, timeout=10)
    assert (live.status_code, live.json()["state"]) == (201, "Open")
    assert client.call("/services/async/62.0/job/750", client.token()).status_code == 200


def test_a_query_gives_records_with_attributes(client: Any) -> None:
    answer = query(client, "SELECT Id, Name FROM Account LIMIT 2").json()
    assert (answer["totalSize"], answer["done"]) == (2, True)
    record = answer["records"][0]
    assert record["Name"] == "Example Account 1"
    assert record["attributes"] == {"type": "Account", "url": f"{DATA}/sobjects/Account/{record['Id']}"}


def test_queries_filter_order_and_count(sf: SalesforceEmulator, client: Any) -> None:
    sf.add_records("Account", {"Name": "O'Neil", "City": "Cork"})
    assert query(client, "select Name, City from account where Name = 'O\\'Neil'").json()["totalSize"] == 1
    assert query(client, "SELECT Id FROM Account ORDER BY Name DESC LIMIT 4").json()["totalSize"] == 4
    counted = query(client, "SELECT COUNT() FROM Account", "queryAll").json()
    assert (counted["totalSize"], counted["records"]) == (6, [])
    assert query(client, "SELECT City FROM Account LIMIT 1").json()["records"][0]["City"] is None


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("DELETE FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Nothing FROM Account", "INVALID_FIELD"),
    ],
)
def test_an_unsupported_query_is_a_typed_error(client: Any, soql: str, code: str) -> None:
    answer = query(client, soql)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_a_long_result_comes_in_pages(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.query_batch_size = 2
    page = query(client, "SELECT Name FROM Account").json()
    names = [record["Name"] for record in page["records"]]
    while not page["done"]:
        assert page["totalSize"] == 5
        page = client.call(page["nextRecordsUrl"], client.token()).json()
        names += [record["Name"] for record in page["records"]]
    assert names == [f"Example Account {number}" for number in range(1, 6)]
    for locator in ("01gnonsense", "01g", "01gé"):
        assert client.call(f"{DATA}/query/{locator}", client.token()).json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_records_can_be_made_changed_and_deleted(client: Any) -> None:
    token = client.token()
    assert "Account" in [each["name"] for each in client.call(f"{DATA}/sobjects/", token).json()["sobjects"]]
    made = client.call(f"{DATA}/sobjects/Thing__c/", token, "POST", json={"Name": "one"})
    assert (made.status_code, made.json()["success"]) == (201, True)
    path = f"{DATA}/sobjects/Thing__c/{made.json()['id']}"
    assert client.call(path, token, "PATCH", json={"Name": "two"}).status_code == 204
    assert client.call(path, token).json()["Name"] == "two"
    assert client.call(path, token, "DELETE").status_code == 204
    assert client.call(path, token).json()[0]["errorCode"] == "NOT_FOUND"
    assert client.call(f"{DATA}/sobjects/Nothing/1", token, "DELETE").status_code == 404


@pytest.mark.parametrize("body", ["{", "[]", ""])
def test_a_record_other_than_a_json_object_is_a_typed_error(client: Any, body: str) -> None:
    answer = client.call(f"{DATA}/sobjects/Account", client.token(), "POST", data=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")


def test_unknown_paths_versions_and_methods_are_errors_in_json(client: Any) -> None:
    token = client.token()
    assert client.call("/nowhere", token).json()[0]["errorCode"] == "NOT_FOUND"
    assert client.call("/services/data/v20.0/limits", token).status_code == 404
    wrong = client.call(f"{DATA}/limits", token, "DELETE")
    assert (wrong.status_code, wrong.json()[0]["errorCode"]) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.usefixtures("full_tier")
def test_simple_salesforce_can_query_it(connect: Any) -> None:
    with SalesforceEmulator(tls=True) as sf, requests.Session() as http:
        http.trust_env, http.verify = False, str(sf.ca_bundle)
        client = connect(sf)
        client.http.verify = http.verify
        sf.policy.query_batch_size = 2
        salesforce: Any = Salesforce(session_id=client.token(), instance_url=sf.url, session=http)
        records = salesforce.query("SELECT Id, Name FROM Account LIMIT 2")["records"]
        assert [record["Name"] for record in records] == ["Example Account 1", "Example Account 2"]
        assert len(salesforce.query_all("SELECT Id FROM Account")["records"]) == 5
        made = salesforce.Account.create({"Name": "Sixth"})
        assert salesforce.Account.get(made["id"])["Name"] == "Sixth"
        sf.expire_all()
        with pytest.raises(SalesforceExpiredSession):
            salesforce.query("SELECT Id FROM Account")


def test_kinetic_core_can_query_it(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.query_batch_size = 2
    session = kinetic_core.SalesforceSession(instance_url=sf.url, access_token=client.token())
    rest = kinetic_core.SalesforceClient(session)
    assert len(rest.query("SELECT Id, Name FROM Account")) == 5
    assert rest.count("Account") == 5
    sf.expire_all()
    with pytest.raises(requests.HTTPError, match="401|Session expired"):
        rest.query("SELECT Id FROM Account")
