"""simple-salesforce's own client, over https: its calls survive an expired token."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession, SalesforceMalformedRequest
from zeep.exceptions import Fault

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.simple_salesforce import connect
from kinetic_auth_core.testing import Answer, Redirect, SalesforceEmulator

pytestmark = pytest.mark.usefixtures("full_tier")

EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@pytest.fixture
def http(tls: SalesforceEmulator) -> Iterator[requests.Session]:
    with requests.Session() as http:
        http.verify = str(tls.ca_bundle)
        yield http


@pytest.fixture
def client(tls_source: kinetic.SessionSource, http: requests.Session) -> Salesforce:
    return connect(tls_source, session=http)


def test_queries_and_records_survive_an_expired_token(tls: SalesforceEmulator, client: Salesforce) -> None:
    assert client.query("SELECT Id FROM Account")["totalSize"] == 5
    tls.revoke_all()
    assert len(client.query_all("SELECT Id FROM Account")["records"]) == 5
    assert tls.token_requests == 2
    tls.revoke_all()
    contacts: Any = client.Contact
    created = contacts.create({"LastName": "Smith"})
    assert created["success"]
    tls.revoke_all()
    assert contacts.get(created["id"])["LastName"] == "Smith"
    assert tls.token_requests == 4


def test_bulk_v1_survives_an_expired_token(tls: SalesforceEmulator, client: Salesforce) -> None:
    handler: Any = client.bulk
    contacts = handler.Contact  # it copied the token when it was created
    contacts._create_job("insert", use_serial=False)
    tls.revoke_all()
    assert contacts._create_job("insert", use_serial=False)["state"] == "Open"
    assert tls.count("POST", "/services/async/62.0/job", 400) == 1
    assert tls.token_requests == 2


def test_bulk_v2_survives_an_expired_token(tls: SalesforceEmulator, client: Salesforce) -> None:
    handler: Any = client.bulk2
    jobs = handler.Contact
    path = "/services/data/v62.0/jobs/ingest/750"
    tls.break_transport(Answer(EXPIRED, 401), path=path)
    tls.break_transport(Answer({"id": "750", "state": "InProgress"}), path=path)
    assert jobs._client.get_job("750", is_query=False)["state"] == "InProgress"
    assert (tls.count("GET", path), tls.token_requests) == (2, 2)


def test_a_second_rejection_raises_simple_salesforces_own_error(tls: SalesforceEmulator, client: Salesforce) -> None:
    tls.break_transport(Answer(EXPIRED, 401), times=2, path="/services/data/*")
    with pytest.raises(SalesforceExpiredSession):
        client.query("SELECT Id FROM Account")
    with pytest.raises(SalesforceMalformedRequest):
        client.query("DROP TABLE Account")


def test_its_version_and_instance_are_the_sessions_and_its_token_is_the_live_one(
    tls: SalesforceEmulator, tls_source: kinetic.SessionSource, client: Salesforce
) -> None:
    assert client.base_url == f"{tls.url}/services/data/v62.0/"
    dead = client.session_id
    tls.revoke_all()
    client.query("SELECT Id FROM Account")
    assert client.session_id == tls_source.session().access_token != dead
    client.headers["Sforce-Auto-Assign"] = "FALSE"
    assert client.headers["Authorization"] == tls_source.session().auth_header["Authorization"]
    assert client.headers["Sforce-Auto-Assign"] == "FALSE"


def test_simple_salesforces_own_options_are_passed_on(
    tls: SalesforceEmulator, tls_source: kinetic.SessionSource
) -> None:
    proxies = {"https": "http://127.0.0.1:9"}
    client = connect(tls_source, version="58.0", object_pairs_hook=dict, proxies=proxies)
    assert client.base_url == f"{tls.url}/services/data/v58.0/"
    assert client.session.proxies == proxies
    client.session.close()


def test_the_clients_session_takes_settings_after_connecting(
    tls: SalesforceEmulator, tls_source: kinetic.SessionSource
) -> None:
    client = connect(tls_source)
    with pytest.raises(requests.exceptions.SSLError):
        client.query("SELECT Id FROM Account")
    client.session.verify = str(tls.ca_bundle)
    assert client.query("SELECT Id FROM Account")["totalSize"] == 5
    client.session.close()


def test_a_test_may_replace_what_the_clients_session_has(client: Salesforce) -> None:
    verified = client.session.verify
    answers: list[str] = []

    def request(method: str, url: str, **_: Any) -> requests.Response:
        answers.append(f"{method} {url}")
        response = requests.Response()
        response.status_code, response._content = 200, b'{"totalSize": 17}'
        return response

    with mock.patch.object(client.session, "request", request), mock.patch.object(client.session, "verify", False):
        assert client.query("SELECT Id FROM Account")["totalSize"] == 17
        assert client.session.verify is False
    assert len(answers) == 1
    assert client.session.verify == verified
    assert client.query("SELECT Id FROM Account")["totalSize"] == 5


def test_the_clients_session_takes_no_other_login(client: Salesforce) -> None:
    with pytest.raises(AttributeError, match="auth: a client of connect"):
        client.session.auth = ("user", "password")


def test_login_options_are_refused(tls_source: kinetic.SessionSource) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="session_id, username: not accepted here"):
        connect(tls_source, username="me", session_id="x")


def test_an_instance_without_tls_is_an_error_that_says_how_to_have_one(source: kinetic.SessionSource) -> None:
    with pytest.raises(
        kinetic.ConfigurationError, match=r"uses https only.*http://127.*SalesforceEmulator\(tls=True\)"
    ):
        connect(source)


def test_the_metadata_api_carries_the_live_token(
    tls: SalesforceEmulator, client: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = client.mdapi
    types = held.CustomObject  # it has a header of its own, made when it was asked for
    tls.revoke_all()
    client.query("SELECT Id FROM Account")
    token = client.session_id
    assert held is client.mdapi
    assert held._session_id == token
    assert held._session_header.sessionId == token
    assert held.CustomObject._session_header.sessionId == token
    assert types._session_header.sessionId != token


def test_the_metadata_api_uses_the_given_session_and_follows_no_redirect_with_the_token(
    tls: SalesforceEmulator, client: Salesforce, elsewhere: Any
) -> None:
    with pytest.raises(Fault, match="The emulator has no /services/Soap/m/62.0"):  # so its CA is that of the session
        client.mdapi.describe_metadata()
    tls.break_transport(Redirect(f"{elsewhere.url}/", 307), path="/services/Soap/*")
    with pytest.raises(kinetic.SessionRejectedError, match="redirects a request whose body has the session's token"):
        client.mdapi.describe_metadata()
    assert elsewhere.heard == []
