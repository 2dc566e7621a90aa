"""Which URLs may carry credentials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core.locations import is_loopback, url_problem


@pytest.mark.parametrize(
    "url",
    [
        "https://login.salesforce.com",
        "https://acme.my.salesforce.com:8443",
        "https://acme.example.com/community",
        "HTTPS://login.salesforce.com",
        "http://localhost",
        "http://LOCALHOST:8080",
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "http://[::1]:8080",
    ],
)
def test_https_and_plain_http_on_loopback_are_fine(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (None, "expected text"),
        (5, "expected text"),
        ("", "must begin with https://"),
        ("login.salesforce.com", "must begin with https://"),
        ("https:login.salesforce.com", "must begin with https://"),
        ("ftp://login.salesforce.com", "must begin with https://"),
        ("//login.salesforce.com", "must begin with https://"),
        ("https://", "names no host"),
        ("https://:443", "names no host"),
        ("https://a b", "has a blank or control character"),
        ("https://a\n.com", "has a blank or control character"),
        ("https://a\x00", "has a blank or control character"),
        ("https://a:99999", "is not a valid URL"),
        ("https://a:port", "is not a valid URL"),
        ("https://[::1", "is not a valid URL"),
        ("https://ada:canary@a.com", "has a user or password in it"),
        ("https://@a.com", "has a user or password in it"),
        ("https://a.com?x=canary", "has a query or fragment"),
        ("https://a.com#canary", "has a query or fragment"),
        ("https://a.com#", "has a query or fragment"),
        ("https://a.com/?", "has a query or fragment"),
        ("http://a.com", "is plain http, which would send credentials in the clear: write https://a.com"),
        ("http://127.0.0.1.evil.com", "is plain http"),
        ("http://localhost.evil.com", "is plain http"),
        ("http://0.0.0.0", "is plain http"),
        ("http://[fe80::1]", "is plain http"),
    ],
)
def test_all_others_are_refused_with_the_reason(url: object, problem: str) -> None:
    found = url_problem(url)
    assert found is not None
    assert problem in found
    assert "canary" not in found


@given(st.text())
def test_any_text_is_accepted_or_gets_a_problem(text: str) -> None:
    assert url_problem(text) is None or isinstance(url_problem(text), str)
    url_problem(f"https://{text}")


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), ("a.com", False), ("", False)],
)
def test_only_this_machine_is_loopback(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it
