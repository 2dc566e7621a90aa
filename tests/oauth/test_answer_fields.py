"""The fields of an answer: unambiguous JSON with usable values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core.oauth.endpoints import NOT_JSON, json_object, session_values, unfit

GOOD = {"access_token": "00D!t", "instance_url": "https://acme.my.salesforce.com", "id": "https://x/id/00D/005"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_an_object_is_parsed_unchanged(fields: dict[str, Any]) -> None:
    assert json_object(json.dumps(fields).encode()) == fields
    assert json_object(b"\xef\xbb\xbf" + json.dumps(fields).encode()) == fields


@given(st.binary())
def test_any_bytes_are_parsed_to_an_object_or_a_reason(body: bytes) -> None:
    assert isinstance(json_object(body), dict | str)


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"null", b"NaN", b'{"a": Infinity}', b"{" * 99_999, b"\xff\xfe{"])
def test_a_json_value_other_than_an_object_is_refused(body: bytes) -> None:
    assert json_object(body) == NOT_JSON


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 1}', b'{"b": [{"a": 1, "\\u0061": 2}]}'])
def test_a_duplicate_name_is_reported(body: bytes) -> None:
    assert json_object(body) == "in which a field stands twice"


def test_empty_fields_count_as_missing_and_unknown_ones_are_ignored() -> None:
    assert session_values({**GOOD, "scope": "", "signature": None, "sfdc_site_url": "x"}) == GOOD


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"access_token": "x" * 20_000}, "has an invalid `access_token` (too long for a header)"),
        ({"token_type": "MAC"}, "has an invalid `token_type` (not Bearer)"),
        ({"issued_at": "1" * 17}, "has an invalid `issued_at` (not a time in milliseconds)"),
        ({"issued_at": "\u0661" * 13}, "has an invalid `issued_at` (not a time in milliseconds)"),
        ({"issued_at": 10**4000}, "has an invalid `issued_at` (not a time in milliseconds)"),
        ({"issued_at": False}, "has an invalid `issued_at` (not text)"),
        ({"id": "a\0b"}, "has an invalid `id` (it has a control character)"),
        ({"scope": "api\u202e"}, "has an invalid `scope` (it has a control character)"),
        ({"id": "\ud800"}, "has an invalid `id` (not valid text)"),
    ],
)
def test_an_invalid_field_is_reported_once_and_not_quoted(changes: dict[str, Any], problem: str) -> None:
    assert unfit(session_values({**GOOD, **changes})) == [problem]


def test_all_problems_are_reported() -> None:
    assert unfit({"access_token": 5, "scope": []}) == [
        "has no `instance_url`",
        "has an invalid `access_token` (not text)",
        "has an invalid `scope` (not text)",
    ]


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_the_case_of_bearer_does_not_matter(token_type: str) -> None:
    assert unfit({**GOOD, "token_type": token_type, "issued_at": "1700000000000", "scope": "api web"}) == []
