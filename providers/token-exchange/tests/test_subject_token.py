"""What is read from a token, without verification, before it leaves: audience, issuer, subject, times."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_token_exchange.problems import Problem
from kinetic_auth_token_exchange.subject_token import SKEW_S, SubjectToken

NOW = 1_800_000_000
AUDIENCE = "https://acme.my.salesforce.com"
CLAIMS = {"iss": "https://issuer.example", "sub": "pod", "aud": AUDIENCE, "nbf": NOW - 5, "exp": NOW + 600}


def encoded(claims: Any) -> bytes:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return b"eyJhbGciOiJSUzI1NiJ9." + body + b".c2lnbmF0dXJl"


def read(**claims: Any) -> SubjectToken | Problem:
    found = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return SubjectToken.read(encoded(found), AUDIENCE, NOW, "Name another audience.")


def test_a_token_names_issuer_and_subject_and_is_in_no_repr() -> None:
    token = read()
    assert isinstance(token, SubjectToken)
    assert (token.issuer, token.subject) == ("https://issuer.example", "pod")
    assert token.text == encoded(CLAIMS).decode()
    assert token.text not in repr(token)


@pytest.mark.parametrize(
    "claims",
    [{"aud": [AUDIENCE]}, {"nbf": None}, {"nbf": NOW + SKEW_S}, {"exp": NOW + 0.5}, {"extra": [1]}],
    ids=str,
)
def test_a_usable_token_is_taken(claims: dict[str, Any]) -> None:
    assert isinstance(read(**claims), SubjectToken)


@pytest.mark.parametrize(
    ("claims", "what"),
    [
        ({"aud": "sts.amazonaws.com"}, f"the token is for 'sts.amazonaws.com', not for '{AUDIENCE}' alone"),
        ({"aud": [AUDIENCE, "vault"]}, f"the token is for '{AUDIENCE}' and 'vault', not for '{AUDIENCE}' alone"),
        ({"aud": AUDIENCE + "/"}, f"the token is for '{AUDIENCE}/', not for '{AUDIENCE}' alone"),
        ({"aud": AUDIENCE.upper()}, f"the token is for '{AUDIENCE.upper()}', not for '{AUDIENCE}' alone"),
        ({"aud": None}, f"the token is for no audience, not for '{AUDIENCE}' alone"),
        ({"aud": []}, f"the token is for no audience, not for '{AUDIENCE}' alone"),
        ({"aud": {"a": 1}}, f"the token is for no audience, not for '{AUDIENCE}' alone"),
        ({"iss": AUDIENCE}, f"'{AUDIENCE}' is the token's own issuer, whose interfaces it would open as well"),
        ({"iss": None}, "the token has no iss"),
        ({"sub": ""}, "the token has no sub"),
        ({"sub": 7}, "the token has no sub"),
        ({"exp": None}, "the token does not say until when it is valid"),
        ({"exp": "9999999999"}, "the token does not say until when it is valid"),
        ({"exp": True}, "the token does not say until when it is valid"),
        ({"exp": float("nan")}, "the token does not say until when it is valid"),
        ({"exp": 10**400}, "the token does not say until when it is valid"),
        ({"exp": NOW}, "the token expired 0 s ago"),
        ({"exp": NOW - 3600}, "the token expired 3600 s ago"),
        ({"nbf": NOW + 300}, "the token is not valid for another 300 s"),
        ({"nbf": "soon"}, "the token does not say until when it is valid"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_token_that_must_not_be_sent_says_why(claims: dict[str, Any], what: str) -> None:
    problem = read(**claims)
    assert isinstance(problem, Problem)
    assert problem.what == what
    assert problem.remedy.endswith(".")


@pytest.mark.parametrize("raw", [b"", b"secret", b"a.b", b"a.b.c.d.e", b"a.!!!.c", encoded([1]), b"\xff.a.b"])
def test_what_is_not_a_signed_jwt_is_refused(raw: bytes) -> None:
    problem = SubjectToken.read(raw, AUDIENCE, NOW, "")
    assert isinstance(problem, Problem)
    assert problem.what == "the token is not a signed JWT"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(raw: bytes) -> None:
    assert isinstance(SubjectToken.read(raw, AUDIENCE, NOW, ""), Problem)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "nbf"]), json_values))
def test_any_claims_are_read_without_an_error(claims: dict[str, Any]) -> None:
    found = SubjectToken.read(encoded(claims), AUDIENCE, NOW, "")
    assert isinstance(found, Problem) or claims["aud"] in (AUDIENCE, [AUDIENCE])
