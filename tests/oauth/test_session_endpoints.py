"""Revoking and introspecting: the requests, and the sessions that a source discards."""

import traceback
import uuid
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.stores.base import MemoryStore
from kinetic_auth_core.testing import KeyPair, Reset, SalesforceEmulator


@pytest.fixture(scope="module")
def keys(key_pair: KeyPair) -> KeyPair:
    return key_pair


@pytest.fixture
def settings(sf: SalesforceEmulator, keys: KeyPair) -> dict[str, Any]:
    user = sf.add_user(f"{uuid.uuid4()}@revoke.example")
    app = sf.add_app(certificates=[keys.certificate_pem], preauthorised={user.username})
    return {
        "client_id": app.client_id,
        "username": user.username,
        "private_key": keys.private_key_pem,
        "client_secret": app.client_secret,
        "login_url": sf.url,
    }


def test_a_revoked_session_is_dead_and_the_next_one_is_new(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("jwt-bearer", **settings)
    session = source.session()
    assert source.revoke(session) is True
    assert not sf.is_live(session.access_token)
    assert source.revoke(session) is False  # it was dead already
    assert source.session().access_token != session.access_token


def test_only_the_named_session_is_revoked(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("jwt-bearer", **settings)
    live, own = source.session(), source.authenticate()
    source.revoke(own)
    assert source.session() is live
    assert sf.is_live(live.access_token)
    source.close()
    assert sf.is_live(live.access_token)


def test_a_revoked_session_leaves_the_store(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    store = MemoryStore()
    first = kinetic.resolve("jwt-bearer", store=store, **settings)
    second = kinetic.resolve("jwt-bearer", store=store, **settings)
    session = first.session()
    assert second.session() == session
    own = first.authenticate()
    first.revoke(own)
    assert kinetic.resolve("jwt-bearer", store=store, **settings).session() == session
    first.revoke(session)
    before = sf.token_requests
    kinetic.resolve("jwt-bearer", store=store, **settings).session()
    assert sf.token_requests == before + 1


def test_introspection_of_a_live_session_returns_its_times(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("jwt-bearer", **settings)
    session = source.session()
    found = source.introspect(session)
    assert found.active
    assert found.username == settings["username"]
    assert found.client_id == settings["client_id"]
    assert found.sub == session.id
    assert found.exp is not None
    assert found.iat is not None
    assert found.exp > found.iat
    sf.revoke(session.access_token)
    assert source.introspect(session) == kinetic.Introspection(active=False)


def test_introspection_needs_the_app_s_secret(settings: dict[str, Any]) -> None:
    del settings["client_secret"]
    source = kinetic.resolve("jwt-bearer", **settings)
    with pytest.raises(kinetic.ConfigurationError, match="jwt-bearer: introspection needs client_secret"):
        source.introspect(source.session())


def test_a_rejected_app_raises_an_error_without_secrets(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    settings["client_secret"] = "canary-secret"
    source = kinetic.resolve("jwt-bearer", **settings)
    session = source.session()
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        source.introspect(session)
    assert f"jwt-bearer introspection of {settings['username']} at " in caught.value.message
    assert "invalid_client: invalid client credentials" in caught.value.message
    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    captured.stack = traceback.StackSummary.from_list([each for each in captured.stack if each.filename != __file__])
    shown = "".join(captured.format())
    assert "canary-secret" not in shown
    assert session.access_token not in shown


def test_an_instance_that_does_not_answer_raises_an_error(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    source = kinetic.resolve("jwt-bearer", **settings)
    session = source.session()
    sf.break_transport(Reset(), path="/services/oauth2/revoke", times=None)
    with pytest.raises(kinetic.TransportError, match=r"jwt-bearer revocation of .* failed"):
        source.revoke(session)
    assert source.session() is session


def test_a_third_party_provider_revokes_too(sf: SalesforceEmulator, settings: dict[str, Any]) -> None:
    session = kinetic.resolve("jwt-bearer", **settings).session()

    @attrs.frozen
    class Sso:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return session

    with kinetic.SessionSource(Sso()) as source:
        assert source.revoke(source.session()) is True
        with pytest.raises(kinetic.ConfigurationError, match="needs login_url and client_id and client_secret"):
            source.introspect(session)


@pytest.mark.parametrize("what", ["revoke", "is_alive"])
def test_a_token_never_goes_over_plain_http_to_another_machine(
    what: str, sf: SalesforceEmulator, settings: dict[str, Any]
) -> None:
    source = kinetic.resolve("jwt-bearer", **settings)
    session = kinetic.SalesforceSession("00D!canary", "http://acme.example", "", "1")
    with pytest.raises(
        kinetic.ConfigurationError, match=r"acme\.example would get credentials without https"
    ) as caught:
        getattr(source, what)(session)
    assert "canary" not in str(caught.value)
