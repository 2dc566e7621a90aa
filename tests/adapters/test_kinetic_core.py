"""kinetic-core's own clients: what they do outlives its token, in the middle of it too."""

import ast
import copy
import inspect
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import kinetic_core  # type: ignore[import-untyped]
import kinetic_core.core.client  # type: ignore[import-untyped]
import kinetic_core.metadata.soap_client  # type: ignore[import-untyped]
import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.kinetic_core import CachedSession, connect
from kinetic_auth_core.testing import Answer, SalesforceEmulator

DATA = "/services/data/v62.0"
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
SOAP = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>{}</soapenv:Body>'
    "</soapenv:Envelope>"
)
SOAP_DEAD = SOAP.format(
    "<soapenv:Fault><faultcode>sf:INVALID_SESSION_ID</faultcode>"
    "<faultstring>INVALID_SESSION_ID: Invalid Session ID found in SessionHeader</faultstring></soapenv:Fault>"
)
SOAP_DENIED = SOAP.format(
    "<soapenv:Fault><faultcode>sf:INSUFFICIENT_ACCESS</faultcode><faultstring>no</faultstring></soapenv:Fault>"
)
SOAP_DESCRIBED = SOAP.format(
    '<describeMetadataResponse xmlns="http://soap.sforce.com/2006/04/metadata"><result>'
    "<organizationNamespace>acme</organizationNamespace></result></describeMetadataResponse>"
)


@pytest.fixture
def client(source: kinetic.SessionSource) -> Iterator[Any]:
    with requests.Session() as http:
        yield connect(source, session=http)


def test_it_is_kinetic_cores_client(client: Any) -> None:
    assert isinstance(client, kinetic_core.SalesforceClient)
    assert isinstance(client.bulk, kinetic_core.BulkV2Client)
    assert isinstance(client.metadata, kinetic_core.MetadataClient)
    assert type(client).__name__ == "SalesforceClient"
    assert client.query.__doc__ == kinetic_core.SalesforceClient.query.__doc__


def test_every_call_outlives_its_token(sf: SalesforceEmulator, client: Any) -> None:
    contact = client.create("Contact", {"LastName": "First"})
    calls: list[Callable[[], Any]] = [
        lambda: client.query("SELECT Id FROM Account"),
        lambda: client.query_one("SELECT Id FROM Account"),
        lambda: client.count("Account"),
        lambda: client.create("Contact", {"LastName": "Smith"}),
        lambda: client.update("Contact", contact, {"LastName": "Jones"}),
        lambda: client.get("Contact", contact),
        client.list_objects,
        lambda: client.delete("Contact", contact),
    ]
    for logins, call in enumerate(calls, 2):
        sf.revoke_all()
        assert call()
        assert sf.token_requests == logins
    assert len({record.connection for record in sf.requests if record.path.startswith(DATA)}) == 1


def test_a_token_that_dies_between_two_pages_costs_the_page_and_not_the_query(
    sf: SalesforceEmulator, client: Any
) -> None:
    sf.policy.query_batch_size = 2
    second = f"{DATA}/query/*"
    sf.break_transport(Answer(EXPIRED, 401), path=second)
    assert len(client.query("SELECT Id FROM Account")) == 5
    assert (sf.count("GET", status=200), sf.count("GET", status=401), sf.token_requests) == (3, 1, 2)


def test_batches_by_the_composite_api_outlive_their_token(sf: SalesforceEmulator, client: Any) -> None:
    path = f"{DATA}/composite/sobjects"
    sf.break_transport(Answer(EXPIRED, 401), path=path)
    sf.break_transport(Answer([{"id": "003", "success": True, "errors": []}]), path=path)
    assert client.create_batch("Contact", [{"LastName": "Smith"}])[0]["success"]
    assert (sf.count("POST", path), sf.token_requests) == (2, 2)


def test_a_bulk_job_whose_token_dies_at_every_step_is_one_job(sf: SalesforceEmulator, client: Any) -> None:
    ingest = f"{DATA}/jobs/ingest"
    job = {"id": "750", "object": "Contact", "operation": "insert", "state": "Open", "createdDate": "2026-01-01T00:00Z"}
    steps = [
        (ingest, job, 200),
        (f"{ingest}/750/batches", b"", 201),
        (f"{ingest}/750", {**job, "state": "UploadComplete"}, 200),
        (f"{ingest}/750/successfulResults", b"sf__Id,LastName\n003,Smith\n", 200),
        (f"{ingest}/750/failedResults", b"sf__Id,sf__Error\n", 200),
    ]
    for path, body, status in steps:
        sf.break_transport(Answer(EXPIRED, 401), path=path)
        sf.break_transport(Answer(body, status), path=path)
    sf.break_transport(Answer(EXPIRED, 401), path=f"{ingest}/750")
    done = {**job, "state": "JobComplete", "numberRecordsProcessed": 1, "numberRecordsFailed": 0}
    sf.break_transport(Answer(done), path=f"{ingest}/750")
    result = client.bulk.insert("Contact", [{"LastName": "Smith"}])
    assert [record["LastName"] for record in result.success_records] == ["Smith"]
    assert sf.count("POST", ingest) == 2
    assert sf.count(status=401) == 6
    assert sf.token_requests == 7


def test_the_metadata_api_gets_a_new_token_in_its_envelope(sf: SalesforceEmulator, client: Any) -> None:
    path = "/services/Soap/m/62.0"
    sf.break_transport(Answer(SOAP_DEAD, 500, "text/xml"), path=path)
    sf.break_transport(Answer(SOAP_DESCRIBED, content_type="text/xml"), path=path)
    described = client.metadata.soap_client.describe_metadata()
    assert described["organizationNamespace"] == "acme"
    assert (sf.count("POST", path), sf.token_requests) == (2, 2)


@pytest.mark.parametrize(("answers", "fault"), [([SOAP_DENIED], "INSUFFICIENT_ACCESS"), ([SOAP_DEAD] * 2, "INVALID")])
def test_other_faults_and_a_second_refusal_of_the_metadata_api_are_its_own(
    sf: SalesforceEmulator, client: Any, answers: list[str], fault: str
) -> None:
    for answer in answers:
        sf.break_transport(Answer(answer, 500, "text/xml"), path="/services/Soap/*")
    with pytest.raises(RuntimeError, match=fault):
        client.metadata.soap_client.describe_metadata()
    assert sf.token_requests == len(answers)


def test_other_errors_are_kinetic_cores_own(client: Any) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        client.get("Account", "001000000000000AAA")


COVERED = [
    kinetic_core.SalesforceClient,
    kinetic_core.BulkV2Client,
    kinetic_core.MetadataClient,
    kinetic_core.metadata.soap_client.MetadataSOAPClient,
]


@pytest.mark.parametrize("cls", COVERED)
def test_whatever_speaks_http_in_kinetic_core_is_a_plain_method_of_a_class_that_is_covered(cls: type) -> None:
    tree = ast.parse(inspect.getsource(sys.modules[cls.__module__]))
    speaking = {
        id(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "requests"
    }
    methods = [
        method
        for each in tree.body
        if isinstance(each, ast.ClassDef) and each.name == cls.__name__
        for method in each.body
        if isinstance(method, ast.FunctionDef) and not method.decorator_list
    ]
    assert speaking == {id(node) for method in methods for node in ast.walk(method)} & speaking
    assert cls.__bases__ == (object,)


def test_neither_requests_nor_kinetic_core_is_changed(client: Any, source: kinetic.SessionSource) -> None:
    assert kinetic_core.core.client.requests is requests
    assert requests.get.__module__ == "requests.api"
    plain = kinetic_core.SalesforceClient(source.session())
    assert type(plain).query is kinetic_core.SalesforceClient.query
    assert type(client).query is not kinetic_core.SalesforceClient.query


def test_the_session_is_the_live_one_at_each_access_and_shows_nothing(
    sf: SalesforceEmulator, source: kinetic.SessionSource, caplog: pytest.LogCaptureFixture
) -> None:
    live = CachedSession(source)
    first = live.access_token
    sf.revoke_all()
    source.invalidate(source.session())
    assert live.access_token == source.session().access_token != first
    assert live.base_url == source.session().base_url
    assert repr(live) == "CachedSession(SessionSource(provider='password', environment=None))"
    assert copy.copy(live).access_token == live.access_token
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(live)
    with caplog.at_level(logging.DEBUG), requests.Session() as http:
        connect(source, session=http).query("SELECT Id FROM Account")
    assert live.access_token not in caplog.text
