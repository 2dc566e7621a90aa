"""httpx, with threads and with asyncio: as `test_requests` for requests, and no event loop is blocked."""

import asyncio
import gzip
import io
import json
import logging
import secrets
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import httpx
import pytest
import trio

import kinetic_auth_core as kinetic
from kinetic_auth_core.adapters.httpx import SalesforceAuth
from kinetic_auth_core.testing import Answer, Delay, Dribble, Redirect, SalesforceEmulator, Truncated

DATA = "/services/data/v62.0"
QUERY = f"{DATA}/query"
ASK = {"q": "SELECT Name FROM Account"}
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@attrs.frozen
class Caller:
    """One way to use httpx: a `Client`, or an `AsyncClient` in its own event loop."""

    kind: str
    source: kinetic.SessionSource

    def __call__(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Make a call and read its response."""
        return self.read(method, url, lambda answer: answer.read(), lambda answer: answer.aread(), **options)

    def read(self, method: str, url: str, sync: Any, unsync: Any, **options: Any) -> httpx.Response:
        """Make a call; the caller reads the response."""
        auth = SalesforceAuth(self.source)
        client = {"auth": auth, "timeout": 10, "trust_env": False, **options.pop("client", {})}
        if self.kind == "Client":
            with httpx.Client(**client) as http, http.stream(method, url, **options) as answer:
                sync(answer)
                return answer

        async def run() -> httpx.Response:
            async with httpx.AsyncClient(**client) as http, http.stream(method, url, **options) as answer:
                await unsync(answer)
                return answer

        return asyncio.run(run())


@pytest.fixture(params=["Client", "AsyncClient"])
def call(request: pytest.FixtureRequest, source: kinetic.SessionSource) -> Caller:
    return Caller(request.param, source)


def test_an_expired_token_costs_one_login_and_no_failed_call(sf: SalesforceEmulator, call: Caller) -> None:
    for logins in (1, 2, 3):
        assert call("GET", sf.url + QUERY, params=ASK).json()["totalSize"] == 5
        assert sf.token_requests == logins
        sf.revoke_all()
    assert (sf.count("GET", QUERY, 200), sf.count("GET", QUERY, 401)) == (3, 2)


def test_the_rejection_is_in_the_history_and_its_connection_is_reused(sf: SalesforceEmulator, call: Caller) -> None:
    call.source.session()
    sf.revoke_all()
    answer = call("GET", sf.url + QUERY, params=ASK)
    (refused,) = answer.history
    assert (refused.status_code, refused.json()) == (401, EXPIRED)
    assert answer.request.headers["Authorization"] == f"Bearer {call.source.session().access_token}"
    assert len({record.connection for record in sf.requests if record.path == QUERY}) == 1


def test_a_second_rejection_is_returned(sf: SalesforceEmulator, call: Caller) -> None:
    sf.break_transport(Answer(EXPIRED, 401), times=None, path=QUERY)
    assert call("GET", sf.url + QUERY).status_code == 401
    assert (sf.count("GET", QUERY), sf.token_requests) == (2, 2)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, [{"message": "no", "errorCode": "INVALID_AUTH_HEADER"}]),
        (403, [{"message": "no", "errorCode": "INSUFFICIENT_ACCESS"}]),
        (400, [{"message": "No such column 'InvalidSessionId'", "errorCode": "INVALID_FIELD"}]),
    ],
)
def test_any_other_rejection_is_returned_unchanged(
    sf: SalesforceEmulator, call: Caller, status: int, body: object
) -> None:
    sf.break_transport(Answer(body, status), path=QUERY)
    answer = call("GET", sf.url + QUERY)
    assert (answer.status_code, answer.json(), answer.history) == (status, body, [])
    assert (sf.count("GET", QUERY), sf.token_requests) == (1, 1)


def test_a_session_with_insufficient_access_is_neither_retried_nor_invalidated(
    sf: SalesforceEmulator, call: Caller
) -> None:
    session = call.source.session()
    sf.policy.restrict_rest_sessions = True
    assert "not valid for use" in call("GET", sf.url + QUERY, params=ASK).text
    assert call.source.session() is session
    assert (sf.count("GET", QUERY), sf.token_requests) == (1, 1)


def test_head_and_userinfo_and_bulk_v1_are_understood(sf: SalesforceEmulator, call: Caller) -> None:
    job = "/services/async/62.0/job"
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("HEAD", QUERY, {"params": ASK}),
        ("GET", "/services/oauth2/userinfo", {}),
        ("POST", job, {"headers": {"X-SFDC-Session": "stale"}, "json": {}}),
        ("POST", job, {"headers": {"X-SFDC-Session": "stale"}, "content": b"<x/>"}),
    ]
    call.source.session()
    for logins, (method, path, options) in enumerate(calls, 2):
        sf.revoke_all()
        call(method, sf.url + path, **options).raise_for_status()
        assert sf.token_requests == logins


# Bodies


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


def standing_in_its_middle(body: bytes) -> io.BytesIO:
    file = io.BytesIO(b"not this" + body)
    file.seek(len(b"not this"))
    return file


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


@pytest.mark.parametrize("how", ["content", "json", "multipart"])
def test_a_body_is_sent_again(sf: SalesforceEmulator, call: Caller, how: str) -> None:
    call.source.session()
    sf.revoke_all()
    name = f"{how} by {call.kind}"
    if how == "multipart":  # which the emulator cannot parse: the test only checks that the request was repeated
        answer = call("POST", f"{sf.url}{DATA}/sobjects/Note__c", files={"file": io.BytesIO(b"x")}, data={"a": "b"})
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")
    else:
        record = {"Name": name}
        body: Any = {"json": record} if how == "json" else {"content": json.dumps(record).encode()}
        assert call("POST", f"{sf.url}{DATA}/sobjects/Note__c", **body).status_code == 201
        ask = {"q": f"SELECT Id FROM Note__c WHERE Name = '{name}'"}
        assert call("GET", sf.url + QUERY, params=ask).json()["totalSize"] == 1
    assert sf.token_requests == 2


def test_a_file_is_sent_again_from_its_first_position(sf: SalesforceEmulator, source: kinetic.SessionSource) -> None:
    source.session()
    sf.revoke_all()
    body = standing_in_its_middle(b'{"Name": "a file by httpx"}')
    headers = {"Content-Length": "27"}  # httpx counts from the file's beginning
    with httpx.Client(auth=SalesforceAuth(source), trust_env=False) as http:
        http.post(f"{sf.url}{DATA}/sobjects/Note__c", content=body, headers=headers).raise_for_status()
        ask = {"q": "SELECT Id FROM Note__c WHERE Name = 'a file by httpx'"}
        assert http.get(sf.url + QUERY, params=ask).json()["totalSize"] == 1
    assert sf.token_requests == 2


@pytest.mark.parametrize("make", ["iterator", Pipe, Shut, "form"])
def test_a_body_that_cannot_be_rewound_gets_the_rejection_and_the_next_request_succeeds(
    sf: SalesforceEmulator, call: Caller, make: Any
) -> None:
    def options() -> dict[str, Any]:
        body = b'{"Name": "once"}'
        if make == "form":
            return {"files": {"file": Pipe(body)}}
        if call.kind == "AsyncClient":
            return {"content": in_pieces(body)}
        return {"content": (each for each in [body]) if make == "iterator" else make(body)}

    url = f"{sf.url}{DATA}/sobjects/Stream__c"
    call.source.session()
    sf.revoke_all()
    answer = call("POST", url, **options())
    assert (answer.status_code, answer.json(), answer.history) == (401, EXPIRED, [])
    assert sf.token_requests == 1
    assert call("POST", url, **options()).status_code == (400 if make == "form" else 201)
    assert sf.token_requests == 2


# Streams


def test_a_stream_without_an_error_status_is_not_read(sf: SalesforceEmulator, call: Caller) -> None:
    async def leave(_: httpx.Response) -> None:
        """Read nothing."""

    sf.break_transport(Dribble(interval_s=0.01, endless=True), path=QUERY)
    answer = call.read("GET", sf.url + QUERY, lambda _: None, leave, params=ASK)
    assert answer.status_code == 200
    assert not answer.is_stream_consumed


@pytest.mark.parametrize("compressed", [True, False])
def test_only_the_beginning_of_a_long_error_is_read_and_the_caller_still_gets_all(
    sf: SalesforceEmulator, call: Caller, *, compressed: bool
) -> None:
    body = secrets.token_bytes(1_000_000)
    packed = Answer(gzip.compress(body, 1), 400, headers={"Content-Encoding": "gzip"})
    sf.break_transport(packed if compressed else Answer(body, 400), path=QUERY)
    answer = call("GET", sf.url + QUERY)
    assert answer.status_code == 400
    assert answer.content == body


def test_a_compressed_rejection_is_recognised(sf: SalesforceEmulator, call: Caller) -> None:
    body = gzip.compress(json.dumps(EXPIRED).encode())
    sf.break_transport(Answer(body, 401, headers={"Content-Encoding": "gzip"}), path=QUERY)
    assert call("GET", sf.url + QUERY, params=ASK).status_code == 200
    assert sf.token_requests == 2


def test_a_response_that_claims_to_be_compressed_and_is_not_is_not_a_rejection(
    sf: SalesforceEmulator, call: Caller
) -> None:
    sf.break_transport(Answer(EXPIRED, 401, headers={"Content-Encoding": "gzip"}), path=QUERY)
    with pytest.raises(httpx.DecodingError):
        call("GET", sf.url + QUERY)


def test_a_rejection_with_an_incomplete_body_is_an_error_of_the_connection(
    sf: SalesforceEmulator, call: Caller
) -> None:
    session = call.source.session()
    sf.revoke_all()
    sf.break_transport(Truncated(0), path=QUERY)
    with pytest.raises(httpx.RemoteProtocolError):
        call("GET", sf.url + QUERY, params=ASK)
    assert call.source.session() is session


# Failing logins


def test_the_error_of_a_failed_login_is_raised_unchanged(sf: SalesforceEmulator, call: Caller) -> None:
    call.source.session()
    sf.revoke_all()
    sf.refuse("odd_error", "an unknown description")  # neither transient nor a rejected credential
    with pytest.raises(kinetic.AuthenticationError, match="odd_error"):
        call("GET", sf.url + QUERY, params=ASK)
    assert call("GET", sf.url + QUERY, params=ASK).status_code == 200


# Other hosts


def test_another_host_gets_no_token_and_keeps_the_callers_header(
    sf: SalesforceEmulator, call: Caller, elsewhere: Any
) -> None:
    elsewhere.answers.append((401, json.dumps(EXPIRED).encode(), {}))
    assert call("GET", elsewhere.url).status_code == 401
    call("GET", elsewhere.url, headers={"Authorization": "Basic theirs"})
    first, second = elsewhere.heard
    assert "authorization" not in first
    assert second["authorization"] == "Basic theirs"
    assert sf.token_requests == 1


def test_a_redirect_to_another_host_does_not_receive_the_token(
    sf: SalesforceEmulator, call: Caller, elsewhere: Any
) -> None:
    sf.break_transport(Redirect(f"{elsewhere.url}/away"), path=QUERY)
    elsewhere.answers.append((401, json.dumps(EXPIRED).encode(), {}))
    assert call("GET", sf.url + QUERY, client={"follow_redirects": True}).status_code == 401
    assert "authorization" not in elsewhere.heard[0]
    assert sf.token_requests == 1


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_another_host_does_not_receive_the_token_of_bulk_v1(
    sf: SalesforceEmulator, call: Caller, elsewhere: Any, status: int
) -> None:
    job = "/services/async/62.0/job"
    sf.break_transport(Redirect(f"{elsewhere.url}/away", status), path=job)
    elsewhere.answers.append((401, json.dumps(EXPIRED).encode(), {}))
    headers = {"x-sfdc-session": "stale"}
    answer = call("POST", sf.url + job, headers=headers, json={}, client={"follow_redirects": True})
    assert answer.status_code == 401
    assert {"authorization", "x-sfdc-session"} & elsewhere.heard[0].keys() == set()
    assert sf.token_requests == 1


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_does_not_take_a_body_with_the_token_along(
    sf: SalesforceEmulator, source: kinetic.SessionSource, call: Caller, elsewhere: Any, status: int
) -> None:
    soap = "/services/Soap/u/62.0"
    sf.break_transport(Redirect(f"{elsewhere.url}/away", status), path=soap)
    body = f"<sessionId>{source.session().access_token}</sessionId>"
    with pytest.raises(kinetic.SessionRejectedError, match="whose body has the session's token is redirected"):
        call("POST", sf.url + soap, content=body, client={"follow_redirects": True})
    assert not any("authorization" in headers for headers in elsewhere.heard)


def test_a_body_with_the_token_is_sent_again_after_a_login(source: kinetic.SessionSource) -> None:
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(b"".join(request.stream))  # type: ignore[arg-type]  # a synchronous one
        return httpx.Response(401, json=EXPIRED) if len(seen) == 1 else httpx.Response(200)

    url = f"{source.session().instance_url}/services/Soap/u/62.0"
    with httpx.Client(auth=SalesforceAuth(source), transport=httpx.MockTransport(handle)) as http:
        assert http.post(url, content=b"<sessionId>old</sessionId>").status_code == 200
    assert seen == [b"<sessionId>old</sessionId>"] * 2


def test_the_token_of_bulk_v1_is_on_the_request_for_any_transport(source: kinetic.SessionSource) -> None:
    token, base = source.session().access_token, source.session().instance_url
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return (
            httpx.Response(302, headers={"Location": "https://evil.example/"})
            if len(seen) == 1
            else httpx.Response(200)
        )

    transport = httpx.MockTransport(handle)
    with httpx.Client(auth=SalesforceAuth(source), transport=transport, follow_redirects=True) as http:
        http.get(f"{base}/services/async/62.0/job", headers={"X-SFDC-Session": ""})
    assert seen[0].headers["X-SFDC-SESSION"] == token
    assert (b"X-SFDC-Session", token.encode()) in seen[0].headers.raw
    assert token not in str(seen[1].headers.raw)


def test_a_session_that_moved_to_another_host_is_not_sent_to_the_old_one(sf: SalesforceEmulator, call: Caller) -> None:
    call.source.session()
    sf.revoke_all()
    sf.policy.instance_url = "https://moved.my.salesforce.com"
    answer = call("GET", sf.url + QUERY)
    assert (answer.status_code, answer.json()) == (401, EXPIRED)
    assert sf.count("GET", QUERY) == 1


# The event loop


@attrs.frozen
class Gate:
    """An authenticator that waits for the test, and then logs in with another source."""

    inner: kinetic.SessionSource
    entered: threading.Event = attrs.field(factory=threading.Event)
    opened: threading.Event = attrs.field(factory=threading.Event)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        self.entered.set()
        assert self.opened.wait(20), "not opened: the event loop is blocked"
        return self.inner.authenticate()


@pytest.mark.parametrize("first", [True, False])
def test_the_event_loop_keeps_running_during_a_login(
    sf: SalesforceEmulator, source: kinetic.SessionSource, *, first: bool
) -> None:
    gate = Gate(source)
    gated = kinetic.SessionSource(gate)
    if not first:  # the login after a rejection
        gate.opened.set()
        gated.session()
        sf.revoke_all()
        gate.opened.clear()
        gate.entered.clear()

    async def run() -> list[int]:
        async with httpx.AsyncClient(auth=SalesforceAuth(gated), timeout=20, trust_env=False) as http:
            calls = [asyncio.create_task(http.get(sf.url + QUERY, params=ASK)) for _ in range(5)]
            await asyncio.to_thread(gate.entered.wait, 20)
            assert (await http.get(sf.url, auth=httpx.BasicAuth("a", "b"))).status_code == 404
            gate.opened.set()  # reached only if the loop is not blocked by the login
            return [(await each).status_code for each in calls]

    assert asyncio.run(run()) == [200] * 5


def test_the_event_loop_keeps_running_while_the_token_endpoint_is_slow(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    sf.break_transport(Delay(0.5))

    async def run() -> int:
        async with httpx.AsyncClient(auth=SalesforceAuth(source), timeout=20, trust_env=False) as http:
            call, ticks = asyncio.create_task(http.get(sf.url + QUERY, params=ASK)), 0
            while not call.done():
                await asyncio.wait([call], timeout=0.01)
                ticks += 1
            assert (await call).status_code == 200
            return ticks

    assert asyncio.run(run()) > 10


def test_a_cancelled_call_leaves_the_source_usable(sf: SalesforceEmulator, source: kinetic.SessionSource) -> None:
    async def run() -> int:
        async with httpx.AsyncClient(auth=SalesforceAuth(source), timeout=20, trust_env=False) as http:
            sf.break_transport(Delay(5), path=QUERY)
            cancelled = asyncio.create_task(http.get(sf.url + QUERY, params=ASK))
            while sf.count("GET", QUERY) == 0:
                await asyncio.wait([cancelled], timeout=0.01)
            cancelled.cancel()
            return (await http.get(sf.url + QUERY, params=ASK)).status_code

    assert asyncio.run(run()) == 200
    assert sf.token_requests == 1


def test_repr_shows_nothing_of_the_session(
    sf: SalesforceEmulator, source: kinetic.SessionSource, caplog: pytest.LogCaptureFixture
) -> None:
    auth = SalesforceAuth(source)
    with caplog.at_level(logging.DEBUG), httpx.Client(auth=auth, trust_env=False) as http:
        http.get(sf.url + QUERY, params=ASK).raise_for_status()
        dead = source.session().access_token
        sf.revoke_all()
        http.get(sf.url + QUERY, params=ASK).raise_for_status()
    for token in (dead, source.session().access_token):
        assert token not in caplog.text + repr(auth) + repr(vars(auth))


def test_a_dead_token_is_replaced_while_all_workers_of_the_loop_wait_for_calls(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    """Synchronous code in the loop's executor that waits for the asynchronous client, as in Django's adapters."""

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        async with httpx.AsyncClient(auth=SalesforceAuth(source), trust_env=False) as http:

            async def call() -> int:
                return (await http.get(sf.url + QUERY, params=ASK)).status_code

            def wait_for_call() -> int:
                return asyncio.run_coroutine_threadsafe(call(), loop).result(timeout=20)

            await http.get(sf.url + QUERY, params=ASK)
            sf.revoke_all()
            return await asyncio.gather(*(asyncio.to_thread(wait_for_call) for _ in range(2)))

    assert asyncio.run(run()) == [200, 200]
    assert sf.token_requests == 2


def test_in_another_event_loop_than_asyncios_the_error_says_what_to_do_and_no_login_begins(
    sf: SalesforceEmulator, source: kinetic.SessionSource
) -> None:
    async def call() -> None:
        async with httpx.AsyncClient(auth=SalesforceAuth(source), trust_env=False) as http:
            await http.get(sf.url + QUERY)

    for wanted in (call, source.asession):
        with pytest.raises(kinetic.ConfigurationError, match=r"needs an event loop of asyncio.*source\.session"):
            trio.run(wanted)
    by_hand = source.asession()
    with pytest.raises(kinetic.ConfigurationError, match=r"needs an event loop of asyncio.*none runs here"):
        by_hand.send(None)
    assert sf.token_requests == 0
