"""Login hosts: one form for each, and the addresses that are none, with the one to write instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.settings.hosts import canonical_login_url, is_trusted_by_itself, login_host_problem

SIGNED = {"client_id": "key", "username": "ada@acme.com", "private_key": "canary-key"}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("https://Login.Salesforce.COM", "https://login.salesforce.com"),
        ("HTTPS://login.salesforce.com:443", "https://login.salesforce.com"),
        ("https://login.salesforce.com./", "https://login.salesforce.com"),
        (" https://login.salesforce.com//\n", "https://login.salesforce.com"),
        ("https://login.salesforce.com:8443", "https://login.salesforce.com:8443"),
        ("http://LOCALHOST:80", "http://localhost"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://acme.my.site.com/Partners/", "https://acme.my.site.com/Partners"),
        ("https://a.com#", "https://a.com#"),
        ("https://a.com/?", "https://a.com?"),
        ("https://a.com:x", "https://a.com:x"),
        ("https:\\\\a.com", "https:\\\\a.com"),
        ("", ""),
    ],
)
def test_a_url_has_one_form(written: str, canonical: str) -> None:
    assert canonical_login_url(written) == canonical


@given(st.text(max_size=40))
def test_the_form_is_stable(text: str) -> None:
    for url in (text, f"https://{text}"):
        once = canonical_login_url(url)
        assert canonical_login_url(once) == once


@pytest.mark.parametrize(
    ("url", "instead"),
    [
        ("https://acme.lightning.force.com", "https://acme.my.salesforce.com"),
        ("https://acme--uat.sandbox.lightning.force.com/x", "https://acme--uat.sandbox.my.salesforce.com"),
        ("https://acme-dev-ed.develop.my.salesforce-setup.com", "https://acme-dev-ed.develop.my.salesforce.com"),
        ("https://acme--c.vf.force.com", "your My Domain, https://<name>.my.salesforce.com"),
        ("https://www.salesforce.com", "https://login.salesforce.com"),
        ("https://login.salesforce.com/services/Soap/u/59.0", "https://login.salesforce.com"),
        ("https://login.salesforce.com/services/oauth2/token", "https://login.salesforce.com"),
        ("https://acme.my.site.com/partners/services/oauth2/token", "https://acme.my.site.com/partners"),
        ("https://sso.acme.example/services/apexrest/x", "https://sso.acme.example"),
        ("https://acme.my.salesforce.com/lightning/setup/SetupOneHome/home", "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.mil/x", "https://acme.my.salesforce.mil"),
        ("https://login.saleforce.com", "https://login.salesforce.com"),
        ("https://login.salesfroce.com", "https://login.salesforce.com"),
        ("https://login.salesforce.co", "https://login.salesforce.com"),
        ("https://loginsalesforce.com", "https://login.salesforce.com"),
        ("https://tets.salesforce.com", "https://test.salesforce.com"),
        ("https://logn.salesforce.com", "https://login.salesforce.com"),
        ("https://acme.my.saleforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.mi.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.my.sa1esforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.my.s\u0430lesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.my.sites.com", "https://acme.my.site.com"),
    ],
)
def test_an_address_that_is_no_login_host_says_which_to_write(url: str, instead: str) -> None:
    problem = login_host_problem(url)
    assert problem is not None
    assert problem.endswith(f"write {instead}")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("jwt-bearer", login_url=url, **SIGNED)
    assert f"login_url (from keyword): {problem}" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://login.salesforce.com",
        "https://test.salesforce.com",
        "https://acme.my.salesforce.com",
        "https://acme-lightning.my.salesforce.com",
        "https://acme--uat.sandbox.my.salesforce.com",
        "https://na85.salesforce.com",
        "https://cs12.salesforce.com",
        "https://acme.my.site.com/partners",
        "https://acme.force.com/partners",
        "https://acme.secure.force.com/partners",
        "https://acme.cloudforce.com",
        "https://acme.my-salesforce.com",
        "https://acme.my.salesforce.mil",
        "https://login.acme.example/community",
        "https://forge.com",
        "https://suite.com",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ],
)
def test_a_login_host_is_taken(url: str) -> None:
    assert login_host_problem(url) is None
    assert canonical_login_url(url) == url


@pytest.mark.parametrize(
    ("url", "is_it"),
    [
        ("https://login.salesforce.com", True),
        ("https://ACME.my.salesforce.com.", True),
        ("https://acme.my.site.com/x", True),
        ("http://127.0.0.1:1", True),
        ("https://evil.example", False),
        ("https://salesforce.com.evil.example", False),
        ("https://evil-salesforce.com", False),
        ("https://site.com", False),
        ("https://login.salesforce.com@evil.example", False),
        ("https://[", False),
    ],
)
def test_only_salesforces_hosts_and_this_machine_are_trusted_by_themselves(url: str, is_it: bool) -> None:
    assert is_trusted_by_itself(url) is is_it


@pytest.mark.parametrize(
    ("url", "instead"),
    [
        ("https://login.salesforce.com?startURL=/", "has a query or fragment: write https://login.salesforce.com"),
        ("https://acme.my.site.com/portal#x", "has a query or fragment: write https://acme.my.site.com/portal"),
        ("https://acme.lightning.force.com/one/one.app#/home", "write https://acme.my.salesforce.com"),
        ("http://login.salesforce.com/?x", "write https://login.salesforce.com"),
        ("acme.my.salesforce.com", "must begin with https://: write https://acme.my.salesforce.com"),
        ("test", "must begin with https://: write https://test.salesforce.com"),
        ("Login", "must begin with https://: write https://login.salesforce.com"),
        ("acme.my", "must begin with https://: write https://acme.my.salesforce.com"),
        ("acme--uat.sandbox.my", "must begin with https://: write https://acme--uat.sandbox.my.salesforce.com"),
        ("acme", "must begin with https://: write https://acme.my.salesforce.com"),
        ("localhost", "must begin with https://: write https://localhost"),
        ("acme.lightning.force.com", "write https://acme.my.salesforce.com"),
        ("https:/acme.my.salesforce.com", "must begin with https://: write https://acme.my.salesforce.com"),
        ("https:acme.my.salesforce.com", "must begin with https://: write https://acme.my.salesforce.com"),
        ("https://https://acme.my.salesforce.com", "begins with https:// twice: write https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com%2F", "names a host with a character that no host name has"),
        ("https://user:pass@login.salesforce.com?x", "has a user or password in it; leave them out"),
        ("", "must begin with https://"),
    ],
)
def test_an_address_with_more_or_less_than_the_host_says_which_to_write(url: str, instead: str) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("jwt-bearer", **SIGNED, login_url=url)
    assert str(caught.value).endswith(instead)


@pytest.mark.parametrize("url", ["https://Login.Salesforce.com:443/", "https://LOGIN.salesforce.com."])
def test_the_source_has_the_canonical_form(url: str) -> None:
    rows = {row.name: row.value for row in kinetic.resolve("jwt-bearer", login_url=url, **SIGNED).explain()}
    assert rows["login_url"] == "https://login.salesforce.com"
