"""Clients of `connect`: whatever URL a cursor, an answer or the caller gives, no other host receives anything."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters import kinetic_core, simple_salesforce
from kinetic_auth_core.adapters.requests import InstanceSession, SalesforceAuth
from kinetic_auth_core.testing import Answer, Redirect, SalesforceEmulator

pytestmark = pytest.mark.usefixtures("full_tier")

DATA = "/services/data/v62.0"
INSTANCE = "https://acme.my.salesforce.com"
TOKEN = "00D000000000001!canary"
#: What follows the instance's URL or replaces it, for clients that join texts.
CURSORS = [
    "@evil.example/x",
    ":443@evil.example/x",
    ".evil.example/x",
    "evil.example/x",
]


class Recorder(BaseAdapter):
    """Records what would be sent, and answers with nothing in it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        self.sent.append(request)
        answer = requests.Response()
        answer.request, answer.url, answer.status_code = request, request.url or "", 200
        answer._content = b'{"done": true, "records": [], "totalSize": 0}'
        return answer

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def live() -> kinetic.SessionSource:
    """A source whose session is there without a request."""

    class Provider:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return kinetic.SalesforceSession(TOKEN, INSTANCE, "", "1")

    return kinetic.SessionSource(_as_attrs(Provider)())


def _as_attrs(cls: Any) -> Any:
    import attrs

    return attrs.frozen(cls)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def http(recorder: Recorder) -> Iterator[requests.Session]:
    with requests.Session() as http:
        http.mount("https://", recorder)
        http.mount("http://", recorder)
        yield http


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_foreign_cursor_of_simple_salesforce_sends_nothing_away(
    cursor: str, live: kinetic.SessionSource, http: requests.Session, recorder: Recorder
) -> None:
    client = simple_salesforce.connect(live, session=http)
    with pytest.raises((kinetic.SessionRejectedError, requests.RequestException)) as caught:  # some are no URL at all
        client.query_more(cursor, identifier_is_url=True)
    assert TOKEN not in str(caught.value)
    assert recorder.sent == []


def test_a_backslash_is_read_as_requests_sends_it(
    live: kinetic.SessionSource, http: requests.Session, recorder: Recorder
) -> None:
    client = simple_salesforce.connect(live, session=http)
    client.query_more("\\@evil.example/x", identifier_is_url=True)
    assert [sent.url for sent in recorder.sent] == [f"{INSTANCE}/%5C@evil.example/x"]


def test_the_error_names_the_foreign_host_and_the_sessions_own(
    live: kinetic.SessionSource, http: requests.Session
) -> None:
    client = simple_salesforce.connect(live, session=http)
    with pytest.raises(kinetic.SessionRejectedError) as caught:
        client.query_more("@evil.example/x", identifier_is_url=True)
    assert str(caught.value) == (
        "a request to evil.example would have taken the session's token there, so it was not sent; the session is for "
        "https://acme.my.salesforce.com. Remedy: Check where the URL or cursor comes from. Connect again if the org "
        "has moved to another host."
    )


def test_a_foreign_next_page_of_kinetic_core_sends_nothing_away(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    page = {"totalSize": 2, "done": False, "records": [{"Id": "1"}], "nextRecordsUrl": "@evil.example/x"}
    sf.break_transport(Answer(page), path=f"{DATA}/query/")
    client = kinetic_core.connect(source)
    with pytest.raises(kinetic.SessionRejectedError, match="a request to evil.example would have taken"):
        client.query("SELECT Id FROM Account")


@pytest.mark.parametrize(
    "url", ["http://acme.my.salesforce.com/x", "https://acme.my.salesforce.com:8443/x", "https://evil.example/", "x"]
)
@pytest.mark.parametrize("method", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_every_method_is_refused_for_another_origin(
    method: str, url: str, live: kinetic.SessionSource, http: requests.Session, recorder: Recorder
) -> None:
    wrapped = InstanceSession(http, live)
    with pytest.raises(kinetic.SessionRejectedError):
        getattr(wrapped, method)(url)
    assert recorder.sent == []
    assert getattr(wrapped, method)(f"{INSTANCE}/x").status_code == 200
    assert recorder.sent[-1].method == method.upper()
    assert not hasattr(wrapped, "send")


@pytest.mark.parametrize("body", [f"<s>{TOKEN}</s>", b"<met:sessionId>an older token</met:sessionId>"])
def test_a_redirect_with_a_token_in_the_body_is_not_followed(
    body: str | bytes, sf: SalesforceEmulator, elsewhere: Any
) -> None:
    class Provider:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return kinetic.SalesforceSession(TOKEN, sf.url, "", "1")

    sf.break_transport(Redirect(f"{elsewhere.url}/away", 307), path="/services/Soap/m/62.0")
    with requests.Session() as http:
        http.auth = SalesforceAuth(kinetic.SessionSource(_as_attrs(Provider)()))
        with pytest.raises(
            kinetic.SessionRejectedError, match="redirects a request whose body has the session's token"
        ):
            http.post(f"{sf.url}/services/Soap/m/62.0", data=body, timeout=10)
    assert elsewhere.heard == []
