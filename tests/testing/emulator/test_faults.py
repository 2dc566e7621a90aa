"""Faults on the wire, as a client that reads bytes sees them."""

from __future__ import annotations

import gzip
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from kinetic_auth_core.testing import (
    Alter,
    Answer,
    Delay,
    Dribble,
    Fault,
    Html,
    Huge,
    NotJson,
    Raw,
    Redirect,
    Reset,
    SalesforceEmulator,
    Status,
    Truncated,
)

pytestmark = pytest.mark.usefixtures("full_tier")

TOKEN = "/services/oauth2/token"
VERSIONS = "/services/data"


@contextmanager
def raw_request(sf: SalesforceEmulator, path: str = VERSIONS) -> Iterator[socket.socket]:
    """A connection over which a GET has been sent."""
    port = int(sf.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """All bytes until the end, or until the reset, which is marked."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        data += b"<reset>"
    return data


def test_a_delayed_answer_is_correct_and_late(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Delay(0.2))
    start = time.monotonic()
    assert client.jwt().status_code == 200
    assert time.monotonic() - start >= 0.2
    assert sf.requests[-1].fault == "Delay"


def test_a_reset_on_connecting_is_seen_before_any_request_is_read(sf: SalesforceEmulator) -> None:
    sf.break_transport(Reset("connect"))
    with pytest.raises(requests.ConnectionError):
        requests.get(sf.url + VERSIONS, timeout=10)
    assert sf.requests == []
    assert requests.get(sf.url + VERSIONS, timeout=10).status_code == 200


def test_a_reset_after_the_request_leaves_it_unhandled(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Reset("request"))
    with pytest.raises(requests.ConnectionError):
        client.jwt()
    assert sf.history == []
    assert sf.token_requests == 1
    assert sf.requests[-1].status is None


def test_a_reset_in_the_answer_comes_after_it_has_been_handled(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Reset("headers"))
    with pytest.raises(requests.ConnectionError):
        client.jwt()
    assert [row.status for row in sf.history] == ["Success"]


@pytest.mark.parametrize("at", ["headers", "body"])
def test_a_reset_in_the_middle_is_a_reset_on_the_wire(sf: SalesforceEmulator, at: Any) -> None:
    sf.break_transport(Reset(at), path=VERSIONS)
    with raw_request(sf) as connection:
        data = read_all(connection)
    assert data.endswith(b"<reset>")


def test_a_truncated_answer_ends_early_with_an_orderly_close(sf: SalesforceEmulator) -> None:
    sf.break_transport(Truncated(0.25), path=VERSIONS)
    with raw_request(sf) as connection:
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(body) == promised // 4


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_dribble_is_a_whole_answer_byte_by_byte(sf: SalesforceEmulator, client: Any, part: Any) -> None:
    sf.break_transport(Dribble(0.0001, part=part))
    assert client.jwt().status_code == 200


@pytest.mark.parametrize(("part", "tail"), [("headers", b"xxx"), ("body", b"   ")])
def test_a_dribble_can_go_on_forever(sf: SalesforceEmulator, part: Any, tail: bytes) -> None:
    sf.break_transport(Dribble(0.0001, part=part, endless=True), path=VERSIONS)
    with raw_request(sf) as connection:
        data = b""
        while not data.endswith(tail):
            data += connection.recv(1)
    assert (b"\r\n\r\n" in data) is (part == "body")
    assert b"X-Padding: xxx" in data or part == "body"


def test_raw_bytes_are_sent_unchanged_and_end_the_connection(sf: SalesforceEmulator) -> None:
    sf.break_transport(Raw(b"SSH-2.0-OpenSSH_9.9\r\n"), path=VERSIONS)
    with raw_request(sf) as connection:
        assert connection.makefile("rb").read() == b"SSH-2.0-OpenSSH_9.9\r\n"


def test_raw_bytes_can_go_on_forever(sf: SalesforceEmulator) -> None:
    sf.break_transport(Raw(b"HTTP/1.1 200 OK\r\n", endless=b"X: y\r\n"), path=VERSIONS)
    with raw_request(sf) as connection:
        assert connection.makefile("rb").read(100_001) == b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 16_664


@pytest.mark.parametrize("declared", [True, False])
def test_a_huge_answer_has_the_configured_size(sf: SalesforceEmulator, declared: bool) -> None:
    sf.break_transport(Huge(1_000_001, declared=declared))
    answer = requests.post(sf.url + TOKEN, timeout=20)
    assert len(answer.content) == 1_000_001
    assert ("Content-Length" in answer.headers) is declared


def test_a_huge_answer_can_be_compressed(sf: SalesforceEmulator) -> None:
    sf.break_transport(Huge(10_000_000, compressed=True))
    with requests.post(sf.url + TOKEN, timeout=20, stream=True) as answer:
        packed = answer.raw.read(decode_content=False)
    assert len(packed) < 50_000
    assert len(gzip.decompress(packed)) == 10_000_000


@pytest.mark.parametrize("status", [200, 404, 503])
def test_html_is_sent_with_any_status(sf: SalesforceEmulator, client: Any, status: int) -> None:
    sf.break_transport(Html(status))
    answer = client.jwt()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert sf.history == []


def test_a_status_with_and_without_retry_after(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Status(503))
    sf.break_transport(Status(429, retry_after=7))
    first, second = client.jwt(), client.jwt()
    assert (first.status_code, "Retry-After" in first.headers) == (503, False)
    assert (second.status_code, second.headers["Retry-After"]) == (429, "7")


def test_a_redirect_names_where_to(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Redirect("https://evil.example/token?x=1", 307))
    answer = client.http.post(sf.url + TOKEN, allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://evil.example/token?x=1")


def test_an_answer_can_claim_to_be_json_and_be_invalid(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(NotJson())
    answer = client.jwt()
    assert answer.headers["Content-Type"].startswith("application/json")
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(
    ("body", "sent"), [(b"\xff\x00", b"\xff\x00"), ("é", "é".encode()), ([1], b"[1]"), (None, b"null"), (b"", b"")]
)
def test_an_answer_can_have_any_status_and_body(sf: SalesforceEmulator, client: Any, body: object, sent: bytes) -> None:
    sf.break_transport(Answer(body, 202, "text/x", {"X-Odd": "1"}))
    answer = client.jwt()
    assert (answer.status_code, answer.content) == (202, sent)
    assert (answer.headers["X-Odd"], answer.headers["Content-Type"].split(";")[0]) == ("1", "text/x")


def test_fields_of_the_next_good_answer_can_be_altered(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Alter({"signature": "wrong", "access_token": "a\r\nb", "new": 1}, drop=["issued_at"]))
    assert client.password(password="wrong").status_code == 400
    answer = client.password().json()
    assert (answer["signature"], answer["access_token"], answer["new"]) == ("wrong", "a\r\nb", 1)
    assert "issued_at" not in answer
    assert client.password().json()["signature"] != "wrong"


def test_an_alteration_goes_together_with_another_fault(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Delay(0))
    sf.break_transport(Alter(drop=["scope"]))
    assert "scope" not in client.jwt().json()
    assert sf.requests[-1].fault == "Delay"


def test_an_alteration_ignores_an_answer_that_is_not_an_object(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Alter({"x": 1}), path="*", times=2)
    assert isinstance(client.http.get(sf.url + VERSIONS, timeout=10).json(), list)
    assert client.post("/services/oauth2/revoke", token=sf.grant_refresh_token(client.app, client.user)).content == b""


def test_faults_apply_to_their_path_in_order_and_as_often_as_configured(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Status(500), times=2)
    sf.break_transport(Status(502), path="/services/data*", times=None)
    sf.break_transport(Status(503))

    def get() -> int:
        return int(client.http.get(sf.url + VERSIONS, timeout=10).status_code)

    assert [client.jwt().status_code, get(), client.jwt().status_code, client.jwt().status_code, get()] == [
        500, 502, 500, 503, 502,
    ]  # fmt: skip
    assert client.jwt().status_code == 200
    sf.clear_faults()
    assert get() == 200
    with pytest.raises(ValueError, match="1 or more, or None"):
        sf.break_transport(Status(500), times=0)


def test_an_empty_fault_changes_nothing(sf: SalesforceEmulator, client: Any) -> None:
    sf.break_transport(Fault())
    sf.break_transport(Fault())
    assert client.jwt().status_code == 200
    assert Fault().alter({"a": 1}) == {"a": 1}


class Broken(Fault):
    """A fault of a test's own, with a mistake in it."""

    def send(self, wire: Any, head: bytes, body: bytes) -> None:
        raise RuntimeError("a mistake")


def test_an_error_in_a_custom_fault_is_logged_and_closes_the_connection(
    sf: SalesforceEmulator, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sf.break_transport(Broken())
    with pytest.raises(requests.ConnectionError):
        client.jwt()
    assert "a mistake" in caplog.text
    assert client.jwt().status_code == 200


def test_a_client_that_disconnects_ends_the_fault(sf: SalesforceEmulator) -> None:
    sf.break_transport(Delay(3600), path=VERSIONS)
    with pytest.raises(requests.ReadTimeout):
        requests.get(sf.url + VERSIONS, timeout=0.1)
    assert requests.get(sf.url + VERSIONS, timeout=10).status_code == 200


def test_a_client_that_sends_early_still_waits(sf: SalesforceEmulator) -> None:
    sf.break_transport(Delay(0.2), path=VERSIONS)
    start = time.monotonic()
    with raw_request(sf) as connection:
        connection.sendall(b"GET /services/data HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 2
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("pipelined", [b"", b"GET"])
def test_stopping_ends_every_wait_at_once(pipelined: bytes) -> None:
    with SalesforceEmulator() as sf:
        sf.break_transport(Delay(3600), path=VERSIONS)
        with raw_request(sf) as connection:
            while not sf.requests:
                requests.get(sf.url + "/services/nothing", timeout=10)
            connection.sendall(pipelined)
            start = time.monotonic()
            sf.close()
            assert time.monotonic() - start < 5
            assert b"200 OK" not in read_all(connection)


def test_an_answer_can_follow_another_over_the_same_connection(sf: SalesforceEmulator) -> None:
    sf.break_transport(Status(503), path=VERSIONS)
    connection = http.client.HTTPConnection("127.0.0.1", int(sf.url.rpartition(":")[2]), timeout=10)
    statuses = []
    for _ in range(2):
        connection.request("GET", VERSIONS)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [503, 200]
    assert {record.connection for record in sf.requests} == {1}
