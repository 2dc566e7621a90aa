"""requests: the next call after a token has expired succeeds with one login, without an error for the caller."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.requests import SalesforceAuth, _detach_on_redirect
from kinetic_auth_core.testing import Answer, Dribble, Huge, Redirect, SalesforceEmulator, Truncated

DATA = "/services/data/v62.0"
QUERY = f"{DATA}/query"
ASK = {"q": "SELECT Name FROM Account"}
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@pytest.fixture
def http(source: kinetic.SessionSource) -> Iterator[requests.Session]:
    with requests.Session() as http:
        http.auth = SalesforceAuth(source)
        yield http


def test_an_expired_token_costs_one_login_and_no_failed_call(sf: SalesforceEmulator, http: requests.Session) -> None:
    for logins in (1, 2, 3):
        answer = http.get(sf.url + QUERY, params=ASK, timeout=10)
        assert answer.json()["totalSize"] == 5
        assert sf.token_requests == logins
        sf.revoke_all()
    assert (sf.count("GET", QUERY, 200), sf.count("GET", QUERY, 401)) == (3, 2)


def test_history_request_and_connection_are_set_as_by_requests_own_digest_auth(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session
) -> None:
    old = source.session()
    sf.revoke_all()
    answer = http.get(sf.url + QUERY, params=ASK, timeout=10)
    (refused,) = answer.history
    assert (refused.status_code, refused.json()) == (401, EXPIRED)
    assert refused.request.headers["Authorization"] == f"Bearer {old.access_token}"
    assert answer.request.headers["Authorization"] == f"Bearer {source.session().access_token}"
    assert answer.request is not refused.request
    assert len({record.connection for record in sf.requests if record.path == QUERY}) == 1  # it returned to the pool


def test_a_second_rejection_is_returned(sf: SalesforceEmulator, http: requests.Session) -> None:
    sf.break_transport(Answer(EXPIRED, 401), times=None, path=QUERY)
    assert http.get(sf.url + QUERY, timeout=10).status_code == 401
    assert (sf.count("GET", QUERY), sf.token_requests) == (2, 2)


def test_a_request_that_is_prepared_once_and_sent_again_and_again_gets_a_new_token_each_time(
    sf: SalesforceEmulator, http: requests.Session
) -> None:
    poll = http.prepare_request(requests.Request("GET", f"{sf.url}/services/data/v62.0/limits"))
    for number in range(1, 4):
        assert http.send(poll, timeout=10).status_code == 200
        assert sf.token_requests == number
        sf.expire_all()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, [{"message": "no", "errorCode": "INVALID_AUTH_HEADER"}]),
        (403, [{"message": "no", "errorCode": "INSUFFICIENT_ACCESS"}]),
        (400, [{"message": "No such column 'InvalidSessionId'", "errorCode": "INVALID_FIELD"}]),
        (404, EXPIRED),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_any_other_rejection_is_returned_unchanged(
    sf: SalesforceEmulator, http: requests.Session, status: int, body: object, *, stream: bool
) -> None:
    sf.break_transport(Answer(body, status), path=QUERY)
    with http.get(sf.url + QUERY, timeout=10, stream=stream) as answer:
        assert (answer.status_code, answer.json(), answer.history) == (status, body, [])
    assert (sf.count("GET", QUERY), sf.token_requests) == (1, 1)


def test_a_session_with_insufficient_access_is_neither_retried_nor_invalidated(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session
) -> None:
    session = source.session()
    sf.policy.restrict_rest_sessions = True
    answer = http.get(sf.url + QUERY, params=ASK, timeout=10)
    assert answer.status_code == 401
    assert "not valid for use with the REST API" in answer.text
    assert source.session() is session
    assert (sf.count("GET", QUERY), sf.token_requests) == (1, 1)


def test_head_has_no_body_and_its_401_is_an_expired_session(sf: SalesforceEmulator, http: requests.Session) -> None:
    http.head(sf.url + QUERY, params=ASK, timeout=10)
    sf.revoke_all()
    assert http.head(sf.url + QUERY, params=ASK, timeout=10).status_code == 200
    assert (sf.count("HEAD", QUERY, 401), sf.token_requests) == (1, 2)


def test_userinfo_says_bad_oauth_token(sf: SalesforceEmulator, http: requests.Session) -> None:
    path = "/services/oauth2/userinfo"
    http.get(sf.url + path, timeout=10)
    sf.revoke_all()
    assert http.get(sf.url + path, timeout=10).json()["preferred_username"] == sf.default.username
    assert (sf.count("GET", path, 403), sf.token_requests) == (1, 2)


@pytest.mark.parametrize("body", [{"json": {}}, {"data": b"<x/>", "headers": {"Content-Type": "application/xml"}}])
def test_bulk_v1_uses_its_own_header_and_error(
    sf: SalesforceEmulator, http: requests.Session, body: dict[str, Any]
) -> None:
    path = "/services/async/62.0/job"
    headers = {"X-SFDC-Session": "stale", **body.pop("headers", {})}
    http.post(sf.url + path, headers=headers, timeout=10, **body).raise_for_status()
    sf.revoke_all()
    http.post(sf.url + path, headers=headers, timeout=10, **body).raise_for_status()
    assert (sf.count("POST", path, 400), sf.token_requests) == (1, 2)


# Bodies


def record(name: str) -> bytes:
    return json.dumps({"Name": name}).encode()


def in_a_file(body: bytes) -> Any:
    path = Path("body.json")
    path.write_bytes(b"not this" + body)
    file = path.open("rb")
    file.seek(len(b"not this"))
    return file


BODIES: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "text": bytes.decode,
    "file that stands in its middle": in_a_file,
    "BytesIO": io.BytesIO,
}


@pytest.mark.parametrize("kind", list(BODIES))
def test_a_body_is_sent_again_from_its_first_position(
    sf: SalesforceEmulator, http: requests.Session, kind: str
) -> None:
    http.get(sf.url + QUERY, params=ASK, timeout=10)
    sf.revoke_all()
    body = BODIES[kind](record(kind))
    answer = http.post(f"{sf.url}{DATA}/sobjects/Note__c", data=body, timeout=10)
    assert answer.status_code == 201
    ask = {"q": f"SELECT Id FROM Note__c WHERE Name = '{kind}'"}
    assert http.get(sf.url + QUERY, params=ask, timeout=10).json()["totalSize"] == 1
    assert sf.token_requests == 2
    if hasattr(body, "close"):
        body.close()


class Pipe(io.RawIOBase):
    """Can be read, but not rewound."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._left = body

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        size = len(self._left) if size is None or size < 0 else size
        taken, self._left = self._left[:size], self._left[size:]
        return taken


class Shut(io.BytesIO):
    """Reports its position, but cannot be rewound."""

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")

    def __len__(self) -> int:
        return len(self.getvalue())


@pytest.mark.parametrize("make", [lambda body: (each for each in [body]), Pipe, Shut])
def test_a_body_that_cannot_be_rewound_gets_the_rejection_and_the_next_request_succeeds(
    sf: SalesforceEmulator, http: requests.Session, make: Callable[[bytes], Any]
) -> None:
    url = f"{sf.url}{DATA}/sobjects/Stream__c"
    http.get(sf.url + QUERY, params=ASK, timeout=10)
    sf.revoke_all()
    answer = http.post(url, data=make(record("lost")), timeout=10)
    assert (answer.status_code, answer.json(), answer.history) == (401, EXPIRED, [])
    assert sf.token_requests == 1  # no login for a request that cannot be repeated
    assert http.post(url, data=make(record("next")), timeout=10).status_code == 201
    assert sf.token_requests == 2


# Streams


def test_a_stream_without_an_error_status_is_not_read(sf: SalesforceEmulator, http: requests.Session) -> None:
    sf.break_transport(Dribble(interval_s=0.01, endless=True), path=QUERY)
    with http.get(sf.url + QUERY, params=ASK, stream=True, timeout=10) as answer:  # would never return if it read on
        assert answer.status_code == 200
        assert not answer._content_consumed  # type: ignore[attr-defined]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_only_the_beginning_of_a_long_error_is_read_and_the_caller_still_gets_all(
    sf: SalesforceEmulator, http: requests.Session, *, declared: bool, compressed: bool
) -> None:
    @attrs.frozen
    class HugeError(Huge):
        def send(self, wire: Any, head: bytes, body: bytes) -> None:
            super().send(wire, head.replace(b" 200 OK", b" 400 BAD REQUEST"), body)

    sf.break_transport(HugeError(1_000_000, compressed, declared), path=QUERY)
    with http.get(sf.url + QUERY, stream=True, timeout=10) as answer:
        assert answer.status_code == 400
        first = answer.raw.read(10)
        rest = b"".join(answer.iter_content(10_000))
        assert (first, len(first) + len(rest)) == (b'{"access_t', 1_000_000)


def test_a_small_error_response_can_be_read_in_every_way(sf: SalesforceEmulator, http: requests.Session) -> None:
    body = b'[{"message":"no","errorCode":"OTHER"}]'
    ways: list[Callable[[requests.Response], bytes]] = [
        lambda answer: answer.content,
        lambda answer: answer.raw.read(),
        lambda answer: answer.raw.read(5) + answer.raw.read(),
        lambda answer: b"".join(answer.raw.stream(7)),
        lambda answer: b"".join(answer.iter_content(3)),
        lambda answer: b"\n".join(answer.iter_lines()),
    ]
    for way in ways:
        sf.break_transport(Answer(body, 403), path=QUERY)
        with http.get(sf.url + QUERY, stream=True, timeout=10) as answer:
            assert way(answer) == body


def test_a_rejection_with_an_incomplete_body_is_an_error_of_the_connection_and_keeps_the_session(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session
) -> None:
    session = source.session()
    sf.revoke_all()
    sf.break_transport(Truncated(0), path=QUERY)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        http.get(sf.url + QUERY, params=ASK, timeout=10)
    assert source.session() is session


# Failing logins


def test_the_error_of_a_failed_login_is_raised_unchanged(sf: SalesforceEmulator, http: requests.Session) -> None:
    sf.refuse("odd_error", "an unknown description")  # neither transient nor a rejected credential
    with pytest.raises(kinetic.AuthenticationError, match="odd_error"):
        http.get(sf.url + QUERY, timeout=10)
    assert sf.count("GET", QUERY) == 0
    http.get(sf.url + QUERY, params=ASK, timeout=10)
    sf.revoke_all()
    sf.refuse("odd_error", "an unknown description")  # neither transient nor a rejected credential
    with pytest.raises(kinetic.AuthenticationError, match="odd_error") as caught:
        http.get(sf.url + QUERY, params=ASK, timeout=10)
    assert caught.value.__context__ is caught.value.__cause__  # the rejected request is not chained
    assert http.get(sf.url + QUERY, params=ASK, timeout=10).status_code == 200


# Other hosts


def test_another_host_gets_no_token_and_keeps_the_callers_header(
    sf: SalesforceEmulator, http: requests.Session, elsewhere: Any, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere.answers.append((401, json.dumps(EXPIRED).encode(), {}))
    assert http.get(elsewhere.url, timeout=10).status_code == 401
    http.get(elsewhere.url, headers={"Authorization": "Basic theirs", "X-SFDC-Session": "theirs"}, timeout=10)
    first, second = elsewhere.heard
    assert "authorization" not in first
    assert (second["authorization"], second["x-sfdc-session"]) == ("Basic theirs", "theirs")
    assert sf.token_requests == 1  # another host's 401 does not invalidate our session
    assert [message for message in caplog.messages if "is sent without" in message] == [
        f"a request to {elsewhere.url} is sent without the session's token, which is only for {sf.url}"
    ]


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("after_a_refusal", [False, True])
def test_a_redirect_to_another_host_does_not_receive_the_token(
    sf: SalesforceEmulator,
    source: kinetic.SessionSource,
    http: requests.Session,
    elsewhere: Any,
    status: int,
    *,
    after_a_refusal: bool,
) -> None:
    path = "/services/async/62.0/job"
    source.session()
    if after_a_refusal:
        sf.break_transport(Answer(EXPIRED, 401), path=path)
    sf.break_transport(Redirect(f"{elsewhere.url}/away", status), path=path)
    elsewhere.answers.append((401, json.dumps(EXPIRED).encode(), {}))
    answer = http.post(sf.url + path, headers={"X-SFDC-Session": ""}, data=b"{}", timeout=10)
    assert answer.status_code == 401
    (heard,) = elsewhere.heard
    assert {"authorization", "x-sfdc-session"} & heard.keys() == set()
    assert sf.token_requests == 1 + after_a_refusal


@pytest.mark.parametrize("after_a_refusal", [False, True])
def test_a_redirect_within_the_instance_keeps_the_token(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session, *, after_a_refusal: bool
) -> None:
    source.session()
    if after_a_refusal:
        sf.revoke_all()
        sf.break_transport(Answer(EXPIRED, 401), path=DATA)
    sf.break_transport(Redirect(f"{QUERY}?q=SELECT+Id+FROM+Account"), path=DATA)
    answer = http.get(sf.url + DATA, timeout=10)
    assert (answer.status_code, answer.json()["totalSize"]) == (200, 5)
    assert sf.token_requests == 1 + after_a_refusal


@pytest.mark.parametrize(
    ("location", "kept"), [("/y", True), ("https://localhost/y", False), ("//evil.example/y", False)]
)
def test_a_redirect_from_http_to_https_is_another_origin(location: str, *, kept: bool) -> None:
    session = kinetic.SalesforceSession("00D!canary", "http://localhost", "", "0")
    redirect = requests.Response()
    redirect.url = "http://localhost/x"
    redirect.headers["Location"] = location
    headers = {**session.auth_header, "X-SFDC-Session": "00D!canary"}
    _detach_on_redirect(headers, redirect, session)
    assert bool(headers) is kept


def test_a_session_that_moved_to_another_host_is_not_sent_to_the_old_one(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session
) -> None:
    source.session()
    sf.revoke_all()
    sf.policy.instance_url = "https://moved.my.salesforce.com"
    answer = http.get(sf.url + QUERY, timeout=10)
    assert (answer.status_code, answer.json()) == (401, EXPIRED)
    assert sf.count("GET", QUERY) == 1
    assert source.session().instance_url == "https://moved.my.salesforce.com"


def test_cookies_of_both_responses_reach_the_session(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session
) -> None:
    source.session()
    sf.break_transport(Answer(EXPIRED, 401, headers={"Set-Cookie": "first=1"}), path=QUERY)
    sf.break_transport(Answer({}, headers={"Set-Cookie": "second=2"}), path=QUERY)
    answer = http.get(sf.url + QUERY, timeout=10)
    assert answer.request.headers["Cookie"] == "first=1"
    assert http.cookies.get_dict() == {"first": "1", "second": "2"}


def test_hooks_of_the_caller_see_the_final_response(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session
) -> None:
    source.session()
    sf.revoke_all()
    seen: list[int] = []
    hooks = {"response": lambda answer, **_: seen.append(answer.status_code)}
    http.get(sf.url + QUERY, params=ASK, timeout=10, hooks=hooks)
    assert seen == [200]


def test_repr_shows_nothing_of_the_session(
    sf: SalesforceEmulator, source: kinetic.SessionSource, http: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        http.get(sf.url + QUERY, params=ASK, timeout=10).raise_for_status()
        dead = source.session().access_token
        sf.revoke_all()
        http.get(sf.url + QUERY, params=ASK, timeout=10).raise_for_status()
    for token in (dead, source.session().access_token):
        assert token not in caplog.text + repr(http.auth) + repr(vars(http.auth))
