"""Which responses reject an expired session."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core.oauth.error_codes import MAX_REFUSAL_BYTES, is_dead_session

EXPIRED = b'[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]'
RESTRICTED = b'[{"message":"This session is not valid for use with the REST API","errorCode":"INVALID_SESSION_ID"}]'
XML = (
    b'<?xml version="1.0" encoding="UTF-8"?><Errors><Error><errorCode>INVALID_SESSION_ID</errorCode>'
    b"<message>Session expired or invalid</message></Error></Errors>"
)
BULK_XML = (
    b'<?xml version="1.0" encoding="UTF-8"?><error xmlns="http://www.force.com/2009/06/asyncapi/dataload">'
    b"<exceptionCode>InvalidSessionId</exceptionCode><exceptionMessage>Invalid session id</exceptionMessage></error>"
)
BULK_JSON = b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}'


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, EXPIRED),
        (401, b"\n" + EXPIRED + b"\r\n"),
        (401, b'{"errorCode":"INVALID_SESSION_ID"}'),
        (401, EXPIRED.decode().encode("utf-16")),
        (401, XML),
        (401, XML.replace(b">INVALID_SESSION_ID<", b">\n  INVALID_SESSION_ID\n<")),
        (401, b""),
        (401, b" \r\n"),
        (401, b"Bad_OAuth_Token"),
        (403, b"Bad_OAuth_Token"),
        (403, b'"Bad_OAuth_Token"\n'),
        (400, BULK_XML),
        (400, BULK_XML.replace(b"<exception", b"<ns:exception").replace(b"</exception", b"</ns:exception")),
        (400, BULK_JSON),
        (400, b'[{"errorCode":"URL_NOT_RESET","message":"The URL returned from login must be set"}]'),
    ],
)
def test_an_expired_session_is_recognised_by_its_error_code(status: int, body: bytes) -> None:
    assert is_dead_session(status, body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, RESTRICTED),
        (401, XML.replace(b"Session expired or invalid", b"This session is not valid for use with the REST API")),
        (401, b'[{"message":"no","errorCode":"INVALID_AUTH_HEADER"}]'),
        (401, b"<html>INVALID_SESSION_ID</html>"),
        (401, b'[{"message":"INVALID_SESSION_ID","errorCode":"OTHER"}]'),
        (401, b'["INVALID_SESSION_ID"]'),
        (401, b'[{"errorCode":401}]'),
        (403, EXPIRED),
        (403, b""),
        (403, b'[{"message":"no access","errorCode":"INSUFFICIENT_ACCESS"}]'),
        (403, b"Bad_Id"),
        (400, b""),
        (400, EXPIRED),
        (400, b'[{"message":"No such column \'InvalidSessionId\'","errorCode":"INVALID_FIELD"}]'),
        (
            400,
            BULK_XML.replace(b"InvalidSessionId", b"InvalidBatch").replace(b"Invalid session id", b"InvalidSessionId"),
        ),
        (200, EXPIRED),
        (404, b""),
        (500, EXPIRED),
    ],
)
def test_nothing_else_is_loopback(status: int, body: bytes) -> None:
    assert not is_dead_session(status, body)


def test_a_response_that_is_too_long_is_not_a_rejection() -> None:
    assert not is_dead_session(401, b" " * (MAX_REFUSAL_BYTES + 1))
    assert is_dead_session(401, EXPIRED.ljust(MAX_REFUSAL_BYTES))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b"9" * 60_000,
        b"<" * 60_000,
        b"<" + b"a" * 60_000,
        b"<errorCode>" * 5_000,
        b"<errorCode>" + b" " * 60_000,
        b"\xff\xfe[",
    ],
)
def test_hostile_bodies_are_not_rejections_and_cost_no_time(body: bytes) -> None:
    assert not is_dead_session(401, body)


@given(st.sampled_from([400, 401, 403, 500]), st.binary(max_size=2_000) | st.text(max_size=500).map(str.encode))
def test_no_bytes_make_it_raise(status: int, body: bytes) -> None:
    assert is_dead_session(status, body) in {True, False}


documents = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["errorCode", "message", "a"]), inner),
    max_leaves=8,
)


@given(st.sampled_from([400, 401, 403]), documents)
def test_json_without_the_error_codes_is_not_a_rejection(status: int, document: object) -> None:
    assert not is_dead_session(status, json.dumps(document).encode())


@given(st.lists(st.fixed_dictionaries({"errorCode": st.text(max_size=9), "message": st.text(max_size=9)}), max_size=3))
def test_the_code_is_found_among_other_errors(others: list[dict[str, str]]) -> None:
    assert is_dead_session(401, json.dumps([*others, {"errorCode": "INVALID_SESSION_ID"}]).encode())
