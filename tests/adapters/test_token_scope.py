"""The token is sent only to the session's own instance, by https or on loopback."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core.adapters.token_scope import BULK_HEADER, TokenScope, carries, detach, is_own, origin_of
from kinetic_auth_core.session import SalesforceSession

TOKEN = "00D000000000001!canary"


def session(instance_url: str = "https://acme.my.salesforce.com") -> SalesforceSession:
    return SalesforceSession(TOKEN, instance_url, "", "0")


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.my.salesforce.com",
        "https://acme.my.salesforce.com:443/services/data",
        "HTTPS://ACME.my.Salesforce.COM/?q=1",
    ],
)
def test_the_instance_gets_the_token(url: str) -> None:
    headers: dict[str, str] = {}
    assert TokenScope().attach(headers, origin_of(url), session())
    assert headers == {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.my.salesforce.com/",
        "https://acme.my.salesforce.com:8443/",
        "https://acme.my.salesforce.com.evil.example/",
        "https://acme.my.salesforce.com@evil.example/",
        "https://evil.example/acme.my.salesforce.com",
        "https://evil.example?https://acme.my.salesforce.com",
        "https://salesforce.com/",
        "https://acme.my.salesforce.com./",
        "ftp://acme.my.salesforce.com/",
        "//acme.my.salesforce.com/",
        "https:///services",
        "https://acme.my.salesforce.com:port/",
        "https://[acme.my.salesforce.com/",
        "",
    ],
)
def test_no_other_host_gets_the_token_and_its_headers_are_unchanged(url: str) -> None:
    headers = {"Authorization": "Basic theirs", BULK_HEADER: "theirs"}
    assert not TokenScope().attach(headers, origin_of(url), session())
    assert headers == {"Authorization": "Basic theirs", BULK_HEADER: "theirs"}


@pytest.mark.parametrize(
    ("instance_url", "own"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080", True),
        ("http://acme.my.salesforce.com", False),
        ("http://10.0.0.1:8080", False),
    ],
)
def test_plain_http_is_only_for_loopback_even_if_the_instance_url_says_otherwise(instance_url: str, own: bool) -> None:
    assert is_own(origin_of(f"{instance_url}/x"), session(instance_url)) is own


def test_the_callers_authorization_is_replaced_and_the_bulk_header_filled() -> None:
    headers = {"Authorization": "Basic theirs", BULK_HEADER: "stale"}
    TokenScope().attach(headers, origin_of("https://acme.my.salesforce.com/"), session())
    assert headers == {"Authorization": f"Bearer {TOKEN}", BULK_HEADER: TOKEN}
    assert carries(headers, session())
    detach(headers, session())
    assert headers == {}


def test_only_the_sessions_own_token_is_removed() -> None:
    headers = {"Authorization": "Basic theirs", BULK_HEADER: "theirs"}
    detach(headers, session())
    assert headers == {"Authorization": "Basic theirs", BULK_HEADER: "theirs"}


def test_a_foreign_host_is_warned_about_once_without_path_query_or_token(caplog: pytest.LogCaptureFixture) -> None:
    places = TokenScope()
    with caplog.at_level(logging.WARNING, "kinetic_auth_core"):
        for url in ("https://a.example/p?secret=1", "https://u:pw@a.example/q", "https://b.example/", "https:///"):
            places.attach({}, origin_of(url), session())
    assert caplog.messages == [
        f"a request to {where} is sent without the session's token, which is only for https://acme.my.salesforce.com"
        for where in ("https://a.example:443", "https://b.example:443", "a URL without a host")
    ]


@given(st.text(max_size=60))
def test_no_arbitrary_text_is_the_own_url_or_raises(url: str) -> None:
    target = origin_of(url)
    assert not is_own(target, session()) or (target is not None and target.host == "acme.my.salesforce.com")
