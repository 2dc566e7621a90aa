"""The guards of a deployment: the expected org, and the allowed hosts of sessions."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.settings.hosts import SALESFORCE_HOSTS, Guards, default_hosts
from kinetic_auth_core.testing import SalesforceEmulator

OTHER_ORG = "00D000000000009"


@pytest.fixture
def org(sf: SalesforceEmulator) -> Iterator[SalesforceEmulator]:
    before = sf.policy.instance_url
    yield sf
    sf.policy.instance_url = before


def session(instance_url: str = "https://acme.my.salesforce.com", org_id: str = OTHER_ORG) -> kinetic.SalesforceSession:
    return kinetic.SalesforceSession(
        "00D!canary-token", instance_url, f"https://login.salesforce.com/id/{org_id}/005000000000001AAA", "0"
    )


def refused(source: kinetic.SessionSource) -> kinetic.SessionRejectedError:
    with pytest.raises(kinetic.SessionRejectedError) as caught:
        source.session()
    with pytest.raises(kinetic.SessionRejectedError):
        source.authenticate()
    return caught.value


# The org


def test_a_session_of_the_expected_org_is_returned_for_15_and_18_characters(
    sf: SalesforceEmulator,
) -> None:
    for expected in (sf.org_id, sf.org_id[:15]):
        source = kinetic.resolve("password", **sf.settings("password"), expected_org_id=expected)
        assert source.session().org_id == source.authenticate().org_id == sf.org_id


def test_a_session_of_another_org_is_rejected_before_it_is_returned(sf: SalesforceEmulator) -> None:
    error = refused(kinetic.resolve("password", **sf.settings("password"), expected_org_id=OTHER_ORG))
    host = sf.url.removeprefix("http://")
    assert error.message == (
        f"password login of {sf.default.username} at {host} succeeded, and its session is refused: "
        f"it is for org {sf.org_id}, not for {OTHER_ORG}."
    )
    assert error.remedy.startswith("Check login_url and the credentials, or set expected_org_id")
    assert (error.provider, error.host, error.username) == ("password", host, sf.default.username)
    assert not error.retryable


def test_the_case_of_an_org_id_matters() -> None:
    assert Guards("00Dabcdefghijkl").refusal(session(org_id="00DABCDEFGHIJKLAAA"))
    assert not Guards("00DabcdefghijklAAA").refusal(session(org_id="00Dabcdefghijkl"))


@pytest.mark.parametrize("value", ["00D", "005000000000001AAA", "00D0000000000010", "00D00000000000-", 15, ""])
def test_an_invalid_org_id_is_an_error_of_resolve(sf: SalesforceEmulator, value: object) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="expected_org_id"):
        kinetic.resolve("password", **sf.settings("password"), expected_org_id=value)


def test_the_org_may_come_from_a_variable_of_the_environment(
    sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROD_SF_EXPECTED_ORG_ID", OTHER_ORG)
    monkeypatch.setenv("PROD_SF_ALLOWED_INSTANCE_HOSTS", "127.0.0.1, *.salesforce.com")
    source = kinetic.resolve("password", environment="prod", **sf.settings("password"))
    assert {row.name: row.value for row in source.explain()}["allowed_instance_hosts"] == (
        "127.0.0.1",
        "*.salesforce.com",
    )
    refused(source)


# The hosts


def test_a_session_for_a_foreign_host_is_rejected(org: SalesforceEmulator) -> None:
    org.policy.instance_url = "https://acme.my.salesforce.com.evil.example"
    error = refused(kinetic.resolve("password", **org.settings("password")))
    assert "its instance acme.my.salesforce.com.evil.example is not in allowed_instance_hosts (" in error.message
    assert "add it to allowed_instance_hosts" in error.remedy


def test_salesforces_own_hosts_and_the_login_host_are_allowed_by_default(org: SalesforceEmulator) -> None:
    source = kinetic.resolve("password", **org.settings("password"))
    assert source.authenticate().instance_url == org.url
    org.policy.instance_url = "https://acme--dev.sandbox.my.salesforce.com"
    assert source.authenticate().instance_url == org.policy.instance_url


def test_configured_hosts_replace_the_default(org: SalesforceEmulator) -> None:
    refused(kinetic.resolve("password", **org.settings("password"), allowed_instance_hosts=["*.my.salesforce.com"]))
    source = kinetic.resolve("password", **org.settings("password"), allowed_instance_hosts=["127.0.0.1"])
    assert source.session().instance_url == org.url


@pytest.mark.parametrize(
    ("glob", "host"),
    [
        ("*.my.salesforce.com", "acme.my.salesforce.com"),
        ("*.my.salesforce.com", "acme--uat.sandbox.my.salesforce.com"),
        ("*.My.Salesforce.com", "ACME.my.salesforce.COM"),
        ("*.my.salesforce.com", "acme.my.salesforce.com."),
        ("*.my.salesforce.com", "acme.my.salesforce.com:8443"),
        ("acme--*.my.salesforce.com", "acme--uat.my.salesforce.com"),
        ("*-acme*.salesforce.com", "the-acme-1.salesforce.com"),
        ("::1", "[::1]:8443"),
        ("sf_gateway", "sf_gateway"),
    ],
)
def test_a_glob_matches_the_whole_host(glob: str, host: str) -> None:
    assert Guards(hosts=(glob,)).refusal(session(f"https://{host}")) is None


@pytest.mark.parametrize(
    ("glob", "host"),
    [
        ("*.my.salesforce.com", "my.salesforce.com"),
        ("*.my.salesforce.com", "evilmy.salesforce.com"),
        ("*.my.salesforce.com", "acme.my.salesforce.com.evil.example"),
        ("*.my.salesforce.com", "evil.example?.my.salesforce.com"),
        ("*.my.salesforce.com", "evil.example\\.my.salesforce.com"),
        ("*.my.salesforce.com", "evil.example#.my.salesforce.com"),
        ("*.my.salesforce.com", "acme.my.salesforce.com@evil.example"),
        ("*.my.salesforce.com", "evil.example%2f.my.salesforce.com"),
        ("*.my.salesforce.com", "evil.example\u3002.my.salesforce.com"),
        ("*.my.salesforce.com", "acme.my.\u017falesforce.com"),
        ("*.my.salesforce.com", ".my.salesforce.com"),
        ("acme--*.my.salesforce.com", "acme--a.evil.my.salesforce.com"),
        ("acme.my.salesforce.com", "acmeXmy.salesforce.com"),
    ],
)
def test_a_glob_matches_no_other_host(glob: str, host: str) -> None:
    assert Guards(hosts=(glob,)).refusal(session(f"https://{host}"))


@given(st.text())
def test_no_text_before_a_slash_or_after_a_name_gets_past_the_guard(text: str) -> None:
    guards = Guards(hosts=("acme.my.salesforce.com",))
    try:
        found = session(f"https://{text}.evil.example")
    except kinetic.ConfigurationError:
        return  # no URL at all
    refusal = guards.refusal(found)
    assert refusal is not None
    assert "canary" not in refusal.what


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        "acme.my.salesforce.com",
        ["https://acme.my.salesforce.com"],
        ["acme.my.salesforce.com:443"],
        ["acme.my.salesforce.com/x"],
        ["*"],
        ["acme.*"],
        ["acme.my.salesforce.c*m"],
        [""],
        [5],
    ],
)
def test_an_invalid_list_of_hosts_is_an_error_of_resolve(sf: SalesforceEmulator, hosts: object) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="allowed_instance_hosts"):
        kinetic.resolve("password", **sf.settings("password"), allowed_instance_hosts=hosts)


def test_the_default_is_explained_with_the_login_host(sf: SalesforceEmulator) -> None:
    def hosts(source: kinetic.SessionSource) -> tuple[object, str]:
        return next((row.value, row.source) for row in source.explain() if row.name == "allowed_instance_hosts")

    expected = ((*SALESFORCE_HOSTS, "localhost", "127.0.0.1", "::1"), "default")
    assert hosts(kinetic.resolve("password", **sf.settings("password"))) == expected
    assert hosts(kinetic.SessionSource(kinetic.OAuthAuthenticator(**sf.settings("password")))) == expected
    assert default_hosts("https://login.acme.example") == (*SALESFORCE_HOSTS, "login.acme.example")
    assert default_hosts("https://acme.my.salesforce.com") == SALESFORCE_HOSTS
    assert default_hosts("https://[broken") == default_hosts(None) == default_hosts(5)


def test_an_emulated_org_may_use_another_name_of_the_loopback_interface(sf: SalesforceEmulator) -> None:
    login_url = sf.url.replace("127.0.0.1", "localhost")
    with kinetic.resolve("password", **{**sf.settings("password"), "login_url": login_url}) as source:
        assert source.session().instance_url == sf.url
    assert default_hosts("http://127.0.0.5:8080")[-1] == "127.0.0.5"


# Sessions of any provider


@attrs.frozen
class Sso:
    """A third-party provider, which returns a given session."""

    made: Any = kinetic.setting(help="")

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        made: kinetic.SalesforceSession = self.made
        return made


def test_a_third_party_providers_sessions_are_guarded_as_well() -> None:
    good = session()
    assert kinetic.SessionSource(Sso(good), expected_org_id=OTHER_ORG).session() == good
    refused(kinetic.SessionSource(Sso(good), expected_org_id="00D000000000001"))
    assert "it is for an unknown org" in str(
        refused(kinetic.SessionSource(Sso(attrs.evolve(good, id="")), expected_org_id=OTHER_ORG))
    )
    refused(kinetic.SessionSource(Sso(good), allowed_instance_hosts=["*.example"]))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://acme.my.salesforce.com", "is plain http"),
        ("https://user:canary-token@acme.my.salesforce.com", "has a user or password in it"),
        ("https://acme.my.salesforce.com/path", "has a path"),
        ("", "must begin with https://"),
    ],
)
def test_a_third_party_providers_instance_url_is_checked_like_salesforces(url: str, why: str) -> None:
    error = refused(kinetic.SessionSource(Sso(session(url))))
    assert f"its instance_url {why}" in error.message
    assert "canary" not in str(error)


def test_the_error_for_a_rejected_session_shows_no_token(leaked_secrets: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = refused(kinetic.SessionSource(Sso(session("https://evil.example"))))
    assert leaked_secrets(error, "00D!canary-token") == []
    assert leaked_secrets(caplog.text, "00D!canary-token") == []


# From a store


def test_a_stored_session_that_a_guard_rejects_is_ignored_and_replaced(
    sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path("sessions")
    careless = kinetic.resolve("password", **sf.settings("password"), store={"name": "file", "path": str(folder)})
    first = careless.session()
    strict = kinetic.resolve(
        "password",
        **sf.settings("password"),
        store={"name": "file", "path": str(folder)},
        allowed_instance_hosts=["*.my.salesforce.com"],
    )
    assert strict.peek() is None
    refused(strict)
    assert "ignoring a stored session that a guard rejects: its instance 127.0.0.1" in caplog.text
    assert first.access_token not in caplog.text
    sf.policy.instance_url = "https://acme.my.salesforce.com"
    try:
        assert strict.session().instance_url == "https://acme.my.salesforce.com"
        fourth = kinetic.resolve("password", **sf.settings("password"), store={"name": "file", "path": str(folder)})
        assert fourth.session() == strict.session()
    finally:
        sf.policy.instance_url = None


def test_a_session_of_another_org_stored_by_another_process_costs_one_login(sf: SalesforceEmulator) -> None:
    store = kinetic.MemoryStore()
    made = kinetic.OAuthAuthenticator(**sf.settings("password"))
    kinetic.SessionSource(made, store=store).session()
    before = sf.token_requests
    source = kinetic.SessionSource(made, store=store, expected_org_id=sf.org_id)
    source.session()
    assert sf.token_requests == before
    refused(kinetic.SessionSource(made, store=store, expected_org_id=OTHER_ORG))
    assert sf.token_requests == before + 2
