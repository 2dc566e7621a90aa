"""The data endpoints, and the real REST clients that must be able to use them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree as ET

import kinetic_core  # type: ignore[import-untyped]
import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession

from kinetic_auth_core.testing import Answer, SalesforceEmulator

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
    resources = client.call(DATA, token).json()
    assert set(resources) == {"limits", "query", "queryAll", "sobjects", "identity"}
    assert resources["identity"] == f"{sf.url}/id/{sf.org_id}/{client.user.id}"
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
    assert client.call(f"/services/async/62.0/job/{live.json()['id']}", client.token()).status_code == 200


def test_bulk_v1_has_no_list_of_jobs(client: Any) -> None:
    listed = client.call("/services/async/62.0/job", client.token())
    assert (listed.status_code, listed.headers["Content-Type"]) == (404, "application/xml")
    assert "the emulator has no list of jobs" in listed.text


def test_bulk_v1_answers_in_the_content_type_of_the_request(client: Any) -> None:
    headers = {"X-SFDC-Session": client.token(), "Content-Type": "application/xml; charset=UTF-8"}
    url = client.sf.url + "/services/async/62.0/job"
    job = client.http.post(url, headers=headers, data=b"<jobInfo/>", timeout=10)
    fields = {each.tag.rpartition("}")[2]: each.text for each in ET.fromstring(job.content)}
    assert (job.status_code, fields["state"]) == (201, "Open")
    batch = client.http.post(f"{url}/{fields['id']}/batch", headers=headers, data=b"x", timeout=10)
    assert (batch.status_code, batch.headers["Content-Type"]) == (404, "application/xml")
    assert ET.fromstring(batch.content)[1].text == f"the emulator has no /services/async/62.0/job/{fields['id']}/batch"


@pytest.mark.parametrize(
    "path",
    [
        "/services/apexrest/Foo",
        "/services/data/v62.0/nowhere",
        "/services/data/v62.0/composite",
        "/services/x/y",
        "/services",
    ],
)
def test_every_path_below_services_checks_the_token_and_then_says_that_it_is_not_emulated(
    client: Any, path: str
) -> None:
    dead = client.call(path, "00Ddead!x", "POST")
    assert (dead.status_code, dead.json()) == (401, DEAD)
    as_xml = client.call(path, "00Ddead!x", headers={"Accept": "application/xml"})
    assert as_xml.status_code == 401
    assert ET.fromstring(as_xml.content)[0][0].text == "INVALID_SESSION_ID"
    live = client.call(path, client.token())
    assert (live.status_code, live.json()[0]["errorCode"]) == (404, "NOT_FOUND")
    assert live.json()[0]["message"] == f"The emulator does not have this resource: {path}"
    assert "<errorCode>NOT_FOUND" in client.call(path, client.token(), headers={"Accept": "application/xml"}).text


def test_an_endpoint_of_ones_own_is_behind_the_token_check(sf: SalesforceEmulator, client: Any) -> None:
    sf.add_endpoint("/services/apexrest/Foo", Answer({"foo": 1}))
    sf.add_endpoint("/services/apexrest/Echo", lambda request: Answer(request.get_data(), content_type="text/plain"))
    token = client.token()
    assert client.call("/services/apexrest/Foo", token).json() == {"foo": 1}
    assert client.call("/services/apexrest/Echo", token, "POST", data=b"hello").content == b"hello"
    sf.expire_all()
    assert client.call("/services/apexrest/Foo", token).status_code == 401
    with pytest.raises(ValueError, match="below /services/"):
        sf.add_endpoint("/elsewhere", Answer({}))


def test_a_query_gives_records_with_attributes(client: Any) -> None:
    answer = query(client, "SELECT Id, Name FROM Account LIMIT 2").json()
    assert (answer["totalSize"], answer["done"]) == (2, True)
    record = answer["records"][0]
    assert record["Name"] == "Example Account 1"
    assert record["attributes"] == {"type": "Account", "url": f"{DATA}/sobjects/Account/{record['Id']}"}


@pytest.fixture
def rows(sf: SalesforceEmulator) -> None:
    sf.add_records(
        "Thing__c",
        {"Name": "O'Neil", "Size__c": 3, "On__c": True, "At__c": "2026-01-02T00:00:00.000+0000"},
        {"Name": "beta%", "Size__c": 1.5, "On__c": False, "At__c": "2026-03-01T00:00:00.000+0000"},
        {"Name": "Alpha", "Size__c": None, "On__c": True, "At__c": None},
    )


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("name = 'o\\'neil'", ["O'Neil"]),
        ("NAME != 'ALPHA'", ["O'Neil", "beta%"]),
        ("Size__c > 1.5", ["O'Neil"]),
        ("Size__c >= 1.5 AND On__c = false", ["beta%"]),
        ("Size__c = null", ["Alpha"]),
        ("Size__c != 3", ["beta%", "Alpha"]),
        ("Name IN ('alpha', 'x')", ["Alpha"]),
        ("Name NOT IN ('alpha')", ["O'Neil", "beta%"]),
        ("Name LIKE '%A%'", ["beta%", "Alpha"]),
        ("Name LIKE 'beta\\%'", ["beta%"]),
        ("Name LIKE 'alph_'", ["Alpha"]),
        ("Name LIKE 'alpha_'", []),
        ("At__c < 2026-02-01T00:00:00Z", ["O'Neil"]),
        ("At__c >= 2026-03-01", ["beta%"]),
        ("(Name = 'alpha' OR Name = 'beta%') AND NOT On__c = true", ["beta%"]),
    ],
)
def test_conditions_find_the_rows_that_salesforce_would(client: Any, condition: str, names: list[str]) -> None:
    answer = query(client, f"SELECT Name FROM thing__C WHERE {condition}")
    assert answer.status_code == 200, answer.text
    assert [row["Name"] for row in answer.json()["records"]] == names


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("Name", ["Alpha", "beta%", "O'Neil"]),
        ("name desc", ["O'Neil", "beta%", "Alpha"]),
        ("Size__c", ["Alpha", "beta%", "O'Neil"]),
        ("Size__c DESC NULLS LAST", ["O'Neil", "beta%", "Alpha"]),
        ("On__c, Name DESC LIMIT 2", ["beta%", "O'Neil"]),
        ("Name LIMIT 1 OFFSET 1", ["beta%"]),
        ("Name OFFSET 2", ["O'Neil"]),
    ],
)
def test_rows_come_in_order(client: Any, order: str, names: list[str]) -> None:
    answer = query(client, f"SELECT Name FROM Thing__c ORDER BY {order}").json()
    assert [row["Name"] for row in answer["records"]] == names


@pytest.mark.usefixtures("rows")
def test_rows_are_counted(client: Any) -> None:
    counted = query(client, "SELECT COUNT() FROM Thing__c WHERE On__c = true", "queryAll").json()
    assert (counted["totalSize"], counted["done"], counted["records"]) == (2, True, [])


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("DELETE FROM Account", "MALFORMED_QUERY"),
        ("SELECTName FROM Account", "MALFORMED_QUERY"),
        ("SELECT Owner.Name FROM Account", "MALFORMED_QUERY"),
        ("SELECT Name FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "MALFORMED_QUERY"),
        ("SELECT Name FROM Account GROUP BY Name", "MALFORMED_QUERY"),
        ("SELECT COUNT(Id) FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE CreatedDate = TODAY", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-13-01", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT Id FROM Account)", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account -- a comment", "MALFORMED_QUERY"),
        ('SELECT Id FROM Account WHERE Name = "a"', "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE IsDeleted > true", "MALFORMED_QUERY"),
        (f"SELECT Id FROM Account WHERE {'NOT ' * 800} Name = 'x'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Nothing FROM Account", "INVALID_FIELD"),
        ("SELECT Id, name, Name FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Id = '001'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Contact WHERE Id IN ('001000000000000', 'x')", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE Nmae = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Nmae", "INVALID_FIELD"),
        ("SELECT COUNT() FROM Account WHERE Nmae = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Thing__c WHERE Size__c = '5'", "INVALID_FIELD"),
        ("SELECT Id FROM Thing__c WHERE Size__c LIKE '5'", "INVALID_FIELD"),
        ("SELECT Id FROM Thing__c WHERE On__c = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name > 2026-01-01", "INVALID_FIELD"),
    ],
)
def test_a_query_that_is_not_understood_is_an_error_and_never_wrong_rows(client: Any, soql: str, code: str) -> None:
    answer = query(client, soql)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_an_id_is_found_in_both_of_its_forms(client: Any) -> None:
    record_id = query(client, "SELECT Id FROM Account LIMIT 1").json()["records"][0]["Id"]
    for form in (record_id, record_id[:15]):
        assert query(client, f"SELECT Id FROM Account WHERE Id = '{form}'").json()["totalSize"] == 1
        assert client.call(f"{DATA}/sobjects/account/{form}", client.token()).json()["Id"] == record_id


def test_users_and_the_organization_are_those_of_the_org(sf: SalesforceEmulator, client: Any) -> None:
    token = client.token()
    user = client.call(f"/services/data/v51.0/sobjects/User/{client.user.id}", token).json()
    assert (user["Id"], user["Username"], user["IsActive"]) == (client.user.id, client.user.username, True)
    found = query(client, f"SELECT Username FROM User WHERE Id = '{client.user.id}'").json()["records"]
    assert found[0]["Username"] == client.user.username
    org = query(client, "SELECT Id, Name, IsSandbox, InstanceName, TrialExpirationDate FROM Organization").json()
    assert org["records"][0]["Id"] == sf.org_id
    profile = query(client, "SELECT username, profileid, id FROM User").json()["records"][0]["ProfileId"]
    found = query(client, "SELECT id, name FROM Profile").json()["records"]
    assert [(row["Id"], row["Name"]) for row in found] == [(profile, "System Administrator")]
    refused = client.call(f"{DATA}/sobjects/User", token, "POST", json={"Username": "x"})
    assert (refused.status_code, "read-only" in refused.text) == (400, True)


def test_columns_and_descriptions_name_the_fields(sf: SalesforceEmulator, client: Any) -> None:
    sf.add_records("Account", {"Name": "x", "Size__c": 2})
    token = client.token()
    asked = {"q": "SELECT id, name FROM account", "columns": "true"}
    columns = client.call(f"{DATA}/query", token, params=asked).json()
    assert [each["columnName"] for each in columns["columnMetadata"]] == ["Id", "Name"]
    assert (columns["entityName"], columns["idSelected"]) == ("Account", True)
    fields = {each["name"]: each for each in client.call(f"{DATA}/sobjects/account/describe", token).json()["fields"]}
    assert (fields["Id"]["type"], fields["Size__c"]["type"], fields["Size__c"]["custom"]) == ("id", "double", True)
    basic = client.call(f"{DATA}/sobjects/Account", token).json()
    assert basic["objectDescribe"]["keyPrefix"] == "001"
    assert client.call(f"{DATA}/sobjects/Nothing/describe", token).status_code == 404


@pytest.mark.parametrize(("number", "status"), [("30.0", 410), ("31.0", 200), ("66.0", 200), ("99.0", 404), ("x", 404)])
def test_versions_from_31_to_the_newest_exist(client: Any, number: str, status: int) -> None:
    assert client.call(f"/services/data/v{number}/limits", client.token()).status_code == status
    elsewhere = client.call(f"/services/data/v{number}/search", client.token())
    assert (elsewhere.status_code == 410) is (status == 410)


def test_the_newest_version_follows_the_clock(sf: SalesforceEmulator, client: Any) -> None:
    newest = client.http.get(f"{sf.url}/services/data", timeout=10).json()[-1]["version"]
    sf.advance(365 * 86400)
    later = client.http.get(f"{sf.url}/services/data", timeout=10).json()[-1]["version"]
    assert float(later) == float(newest) + 3


def test_answers_count_the_calls_of_the_day(client: Any) -> None:
    token = client.token()
    first, second = (client.call(f"{DATA}/limits", token).headers["Sforce-Limit-Info"] for _ in range(2))
    assert (first, second) == ("api-usage=1/15000", "api-usage=2/15000")


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


@pytest.mark.parametrize("value", [[], {"a": 1}, 5, True, "\x00"])
def test_a_value_of_any_type_is_stored_and_queried_without_a_failure(client: Any, value: Any) -> None:
    token = client.token()
    for fields in ({"LastName": value, "FirstName": value}, {"LastName": "x", "Thing__c": value}):
        assert client.call(f"{DATA}/sobjects/Contact", token, "POST", json=fields).status_code in {201, 400}
    for more in ("", " WHERE Thing__c = 'x'", " WHERE Thing__c > 1", " ORDER BY Thing__c, Name"):
        assert query(client, f"SELECT Id, Name, Thing__c FROM Contact{more}").status_code in {200, 400}


def test_thousands_of_records_are_found_at_once(sf: SalesforceEmulator, client: Any) -> None:
    began = time.monotonic()
    sf.add_records("Contact", *({"LastName": f"Smith {number}"} for number in range(4000)))
    page = query(client, "SELECT Id, Name FROM Contact WHERE Name LIKE 'Smith%' ORDER BY Name").json()
    assert (page["totalSize"], len(page["records"])) == (4000, 2000)
    assert time.monotonic() - began < 10  # quadratic in the records, it took 20 s and more


def test_what_fails_in_an_endpoint_of_ones_own_is_an_answer(sf: SalesforceEmulator, client: Any) -> None:
    sf.add_endpoint("/services/apexrest/Broken", lambda request: Answer(request.args["missing"]))
    sf.add_endpoint("/services/apexrest/Fails", lambda _: Answer(str(1 / 0)))
    token = client.token()
    assert client.call("/services/apexrest/Fails", token).json() == [
        {"message": "the emulator failed: ZeroDivisionError", "errorCode": "UNKNOWN_EXCEPTION"}
    ]
    assert client.call("/services/apexrest/Broken", token).status_code >= 400


def test_a_client_may_ask_for_smaller_pages_of_200_or_more(sf: SalesforceEmulator, client: Any) -> None:
    sf.add_records("Thing__c", *({"Name": str(number)} for number in range(210)))
    asked = {"q": "SELECT Id FROM Thing__c"}
    for size, records in (("10", 200), ("205", 205), ("2000", 210)):
        headers = {"Sforce-Query-Options": f"batchSize={size}"}
        page = client.call(f"{DATA}/query", client.token(), params=asked, headers=headers).json()
        assert (len(page["records"]), page["done"]) == (records, records == 210)


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


def test_a_record_is_changed_or_made_by_the_value_of_a_custom_field(client: Any) -> None:
    token = client.token()

    def upsert(value: str, fields: dict[str, Any], version: str = "v62.0") -> Any:
        return client.call(f"/services/data/{version}/sobjects/contact/ext__c/{value}", token, "PATCH", json=fields)

    made = upsert("A%2F1", {"LastName": "Smith"})
    key = made.json()["id"]
    assert (made.status_code, made.json()) == (201, {"id": key, "success": True, "errors": [], "created": True})
    changed = upsert("a%2F1", {"LastName": "Jones"})
    assert (changed.status_code, changed.json()["id"], changed.json()["created"]) == (200, key, False)
    assert upsert("a%2F1", {"FirstName": "Jo"}, "v45.0").status_code == 204
    path = f"{DATA}/sobjects/Contact/Ext__c/A%2F1"
    assert (client.call(path, token).json()["Id"], client.call(path, token).json()["Name"]) == (key, "Jo Jones")
    assert client.call(path, token, "DELETE").status_code == 204
    assert client.call(path, token).json()[0]["message"] == "The requested resource does not exist"
    assert upsert("2", {}).json()[0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert "ext__c field should not be specified" in upsert("2", {"Ext__c": "2"}).json()[0]["message"]
    assert upsert("2", {"LastName": "Brown"}).json()["id"] != key
    client.sf.add_records("Contact", {"LastName": "Twin", "Ext__c": 2})
    assert upsert("2", {"LastName": "Brown"}).status_code == 300
    other = client.call(f"{DATA}/sobjects/Contact/Other__c/1", token).json()[0]["message"]
    assert other == "Provided external ID field does not exist or is not accessible: Other__c"


def test_many_threads_that_upsert_one_value_make_one_record(client: Any) -> None:
    token = client.token()
    with ThreadPoolExecutor(8) as pool:
        path = f"{DATA}/sobjects/Thing__c/Ext__c/1"
        made = [pool.submit(client.call, path, token, "PATCH", json={"Name": str(each)}) for each in range(32)]
    assert [each.result().status_code for each in made].count(201) == 1
    assert len({each.result().json()["id"] for each in made}) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("POST", "Account", {}, (400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]")),
        ("POST", "contact", {"lastname": ""}, (400, "REQUIRED_FIELD_MISSING", "[LastName]")),
        ("POST", "Lead", {}, (400, "REQUIRED_FIELD_MISSING", "[LastName, Company]")),
        ("PATCH", "Account/ID", {"name": None}, (400, "REQUIRED_FIELD_MISSING", "[Name]")),
        ("POST", "Account", {"Nmae": 1}, (400, "INVALID_FIELD", "No such column 'Nmae' on sobject of type Account")),
        ("PATCH", "Account/ID", {"Nmae": 1}, (400, "INVALID_FIELD", "No such column 'Nmae'")),
        ("POST", "Account", {"Name": "x", "Id": "1"}, (400, "INVALID_FIELD_FOR_INSERT_UPDATE", "fields: Id")),
        ("POST", "Nothing", {"Name": "x"}, (404, "NOT_FOUND", "The requested resource does not exist")),
        ("GET", "Account/001000000000000AAA", None, (404, "NOT_FOUND", "The requested resource does not exist")),
        ("GET", "Account/malformed", None, (404, "NOT_FOUND", "not accessible: malformed")),
        ("DELETE", "Account/malformed", None, (404, "NOT_FOUND", "Provided external ID field does not exist")),
    ],
)
def test_a_client_learns_what_is_wrong_with_its_record(
    client: Any, method: str, path: str, body: dict[str, Any] | None, error: tuple[int, str, str]
) -> None:
    account = query(client, "SELECT Id FROM Account").json()["records"][0]["Id"]
    answer = client.call(f"{DATA}/sobjects/{path.replace('ID', account)}", client.token(), method, json=body)
    [found] = answer.json()
    assert (answer.status_code, found["errorCode"]) == error[:2]
    assert error[2] in found["message"]
    if error[1] == "REQUIRED_FIELD_MISSING":
        assert found["fields"] == found["message"].partition("[")[2].strip("]").split(", ")
    assert query(client, "SELECT COUNT() FROM Account").json()["totalSize"] == 5
    assert query(client, "SELECT Nmae FROM Account").json()[0]["errorCode"] == "INVALID_FIELD"


def test_objects_and_fields_that_are_standard_or_custom_can_be_written(client: Any) -> None:
    token = client.token()
    case = client.call(f"{DATA}/sobjects/case", token, "POST", json={"Subject": "x"}).json()["id"]
    assert case.startswith("500")
    fields = {"LastName": "Smith", "FirstName": "Jo", "Size__c": 2, "MailingCity": "Rome"}
    made = client.call(f"{DATA}/sobjects/Contact", token, "POST", json=fields).json()["id"]
    found = client.call(f"{DATA}/sobjects/Contact/{made}", token).json()
    assert (found["Name"], found["Size__c"], found["AccountId"]) == ("Jo Smith", 2, None)
    types = client.call(f"{DATA}/sobjects/Contact/describe", token).json()["fields"]
    found = {each["name"]: (each["type"], each["soapType"]) for each in types}
    assert found["AccountId"] == ("reference", "tns:ID")
    assert found["IsDeleted"] == ("boolean", "xsd:boolean")
    assert found["Birthdate"] == ("date", "xsd:date")
    assert found["Email"] == ("email", "xsd:string")


def test_a_deleted_record_is_in_the_recycle_bin(sf: SalesforceEmulator, client: Any) -> None:
    token, path = client.token(), query(client, "SELECT Id FROM Account").json()["records"][0]["attributes"]["url"]
    gone = client.call(path, token, "DELETE")
    assert (gone.status_code, gone.content, gone.headers.get("Content-Type")) == (204, b"", None)
    for method in ("DELETE", "PATCH"):
        again = client.call(path, token, method, json={"Name": "x"})
        assert (again.status_code, again.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")
    assert query(client, "SELECT Id FROM Account").json()["totalSize"] == 4
    sf.policy.query_batch_size = 3
    page = query(client, "SELECT Id, IsDeleted FROM Account", "queryAll").json()
    more = client.call(page["nextRecordsUrl"], token).json()
    rows = [*page["records"], *more["records"]]
    assert (page["totalSize"], [row["IsDeleted"] for row in rows].count(True)) == (5, 1)


@pytest.mark.parametrize("body", ["{", "[]", ""])
def test_a_record_other_than_a_json_object_is_a_typed_error(client: Any, body: str) -> None:
    answer = client.call(f"{DATA}/sobjects/Account", client.token(), "POST", data=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")


def test_unknown_paths_versions_and_methods_are_errors_in_json(client: Any) -> None:
    token = client.token()
    assert client.call("/nowhere", token).json()[0]["errorCode"] == "NOT_FOUND"
    wrong = client.call(f"{DATA}/limits", token, "DELETE")
    assert (wrong.status_code, wrong.json()[0]["errorCode"]) == (405, "METHOD_NOT_ALLOWED")
    assert wrong.json()[0]["message"] == "HTTP Method 'DELETE' not allowed. Allowed are GET,HEAD"
    assert client.call("/cometd/62.0", token).json()[0]["message"].startswith("The emulator does not have")


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
