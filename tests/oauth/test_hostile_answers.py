"""Any answer gives a usable session or a typed error, which never shows what was sent."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

import kinetic_auth_core as kinetic
from kinetic_auth_core.locations import url_problem
from kinetic_auth_core.oauth.endpoints import RequestContext, read_response
from kinetic_auth_core.transport.client import TokenRequest, TokenResponse

SECRET = "canary-word"
CONTEXT = RequestContext("password", "acme.my.salesforce.com", "ada@acme.com")
REQUEST = TokenRequest({"grant_type": "password", "username": "ada@acme.com", "password": SECRET}, [SECRET])

_NAMES = st.sampled_from(
    [
        "access_token",
        "instance_url",
        "id",
        "issued_at",
        "signature",
        "token_type",
        "scope",
        "error",
        "error_description",
    ]
)
_TEXTS = st.sampled_from(
    ["", "00D!AQ", "Bearer", "https://a.my.salesforce.com", "http://127.0.0.1:1", "https://u@h", SECRET, "\ud800", "\n"]
) | st.text(max_size=20)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3))
_FIELDS = st.dictionaries(_NAMES | st.text(max_size=5), _LEAVES | _VALUES, max_size=9)
_SESSIONS = st.fixed_dictionaries(
    {
        "access_token": st.just("00D5g!AQ") | _LEAVES,
        "instance_url": st.just("https://a.my.salesforce.com") | _LEAVES,
        "id": st.just("https://login.salesforce.com/id/00D5g00000AbCdEEAC/0055g00000XyZwVAAA") | _LEAVES,
    },
    optional=dict.fromkeys(("issued_at", "signature", "token_type", "scope", "error"), _LEAVES),
)
_BODIES = st.binary(max_size=100) | (_VALUES | _FIELDS | _SESSIONS).map(lambda value: json.dumps(value).encode())
_HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Date", "X"]),
    st.text(max_size=20) | st.sampled_from(["Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0100 00:00:00 -0000"]),
)
_CASES: Mapping[str, Any] = {
    "status": st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]) | st.integers(100, 599),
    "headers": _HEADERS,
    "body": _BODIES,
    "client_secret": st.none() | st.just("s"),
    "must_be_signed": st.booleans(),
}


@given(**_CASES)
@example(status=200, headers={}, body=b"[" * 100_000, client_secret=None, must_be_signed=False)
@example(status=200, headers={}, body=b"1" * 5000, client_secret=None, must_be_signed=False)
def test_any_answer_is_a_session_or_a_typed_error(
    status: int, headers: Mapping[str, str], body: bytes, client_secret: str | None, must_be_signed: bool
) -> None:
    response = TokenResponse(status, CaseInsensitiveDict(headers), body, at=0.0)
    options: Any = {"client_secret": client_secret, "must_be_signed": must_be_signed}
    outcome: kinetic.SalesforceSession | kinetic.AuthenticationError
    try:
        outcome = read_response(response, CONTEXT, REQUEST, api_version="v62.0", **options)
    except kinetic.AuthenticationError as error:
        outcome = error
    if isinstance(outcome, kinetic.AuthenticationError):
        assert SECRET not in str(outcome)
        assert str(outcome).isprintable()
        return
    assert status == 200
    assert outcome.is_valid()
    assert url_problem(outcome.instance_url) is None
    assert outcome.auth_header["Authorization"].isascii()
    assert outcome.auth_header["Authorization"].isprintable()
    assert outcome.issued_at
