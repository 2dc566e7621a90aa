"""The life of a token: introspection, revocation, user info, identity, expiry."""

from __future__ import annotations

from typing import Any

import pytest

from kinetic_auth_core.testing import SalesforceEmulator

USERINFO = "/services/oauth2/userinfo"
LIMITS = "/services/data/v62.0/limits"


def introspect(client: Any, token: str, **form: Any) -> Any:
    defaults = {"token": token, "client_id": client.app.client_id, "client_secret": client.app.client_secret}
    return client.post("/services/oauth2/introspect", **{**defaults, **form})


def test_introspection_of_a_live_token_gives_times_in_seconds(sf: SalesforceEmulator, client: Any) -> None:
    answer = introspect(client, client.token()).json()
    assert answer.pop("iat") == answer.pop("nbf") == pytest.approx(sf.now(), abs=5)
    assert answer.pop("exp") == pytest.approx(sf.now() + 7200, abs=5)
    assert answer == {
        "active": True,
        "scope": "api refresh_token",
        "client_id": client.app.client_id,
        "username": client.user.username,
        "sub": f"{sf.url}/id/{sf.org_id}/{client.user.id}",
        "token_type": "access_token",
    }


def test_introspection_knows_refresh_tokens(sf: SalesforceEmulator, client: Any) -> None:
    answer = introspect(client, sf.grant_refresh_token(client.app, client.user)).json()
    assert answer["active"] is True
    assert answer["token_type"] == "refresh_token"


def test_introspection_does_not_keep_a_token_alive(sf: SalesforceEmulator, client: Any) -> None:
    token = client.token()
    sf.advance(7000)
    assert introspect(client, token).json()["active"] is True
    sf.advance(300)
    assert introspect(client, token).json() == {"active": False}


def test_introspection_reports_dead_foreign_and_password_tokens_as_inactive(
    sf: SalesforceEmulator, client: Any
) -> None:
    token, by_password = client.token(), client.password().json()["access_token"]
    other = sf.add_app(preauthorised={client.user.username})
    assert introspect(client, by_password).json() == {"active": False}
    foreign = introspect(client, token, client_id=other.client_id, client_secret=other.client_secret)
    assert foreign.json() == {"active": False}
    refresh_token = sf.grant_refresh_token(client.app, client.user)
    foreign = introspect(client, refresh_token, client_id=other.client_id, client_secret=other.client_secret)
    assert foreign.json() == {"active": False}
    sf.revoke(token)
    assert introspect(client, token).json() == {"active": False}


def test_introspection_authenticates_the_client(client: Any) -> None:
    assert introspect(client, "x", client_secret="wrong").json()["error"] == "invalid_client"
    assert introspect(client, "x", client_id="wrong").json()["error"] == "invalid_client_id"


def test_revoking_an_access_token_kills_it_once(client: Any) -> None:
    token = client.token()
    answer = client.post("/services/oauth2/revoke", token=token)
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.call(LIMITS, token).status_code == 401
    again = client.post("/services/oauth2/revoke", token=token)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


def test_revoking_a_refresh_token_kills_its_access_tokens(sf: SalesforceEmulator, client: Any) -> None:
    refresh_token = sf.grant_refresh_token(client.app, client.user)
    child, stranger = client.refresh(refresh_token).json()["access_token"], client.token()
    assert client.post("/services/oauth2/revoke", token=refresh_token).status_code == 200
    assert not sf.is_live(child)
    assert sf.is_live(stranger)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_revocation_takes_the_token_in_the_query_as_well(sf: SalesforceEmulator, client: Any, method: str) -> None:
    token = client.token()
    answer = client.call("/services/oauth2/revoke", token, method, params={"token": token})
    assert (answer.status_code, sf.is_live(token)) == (200, False)


def test_revocation_knows_two_types_of_token(client: Any) -> None:
    answer = client.post("/services/oauth2/revoke", token="x", token_type_hint="id_token")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")


def test_revoking_a_shared_session_kills_its_siblings(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.reuse_sessions = True
    mine, theirs = client.token(), client.token()
    client.post("/services/oauth2/revoke", token=mine)
    assert client.call(LIMITS, theirs).status_code == 401


def test_user_info_and_identity_name_the_user(sf: SalesforceEmulator, client: Any) -> None:
    answer = client.jwt().json()
    info = client.call(USERINFO, answer["access_token"]).json()
    assert info["sub"] == answer["id"]
    assert info["preferred_username"] == client.user.username
    assert (info["organization_id"], info["user_id"]) == (sf.org_id, client.user.id)
    identity = client.call(answer["id"].removeprefix(sf.url), answer["access_token"]).json()
    assert identity["username"] == client.user.username
    assert identity["id"] == answer["id"]


def test_an_identity_url_is_for_its_own_user_and_org(sf: SalesforceEmulator, client: Any) -> None:
    token = client.token()
    for path in (f"/id/{sf.org_id}/005000000000000AAA", f"/id/00D000000000000AAA/{client.user.id}"):
        assert client.call(path, token).status_code == 404


@pytest.mark.parametrize("path", [USERINFO, "/id/00D000000000000AAA/005000000000000AAA"])
def test_a_dead_token_is_forbidden_in_plain_text(client: Any, path: str) -> None:
    answer = client.call(path, "dead")
    assert (answer.status_code, answer.text) == (403, "Bad_OAuth_Token")


def test_a_session_expires_when_unused_and_use_extends_it(sf: SalesforceEmulator, client: Any) -> None:
    token = client.token()
    for _ in range(3):
        sf.advance(7000)
        assert client.call(LIMITS, token).status_code == 200
    sf.advance(7201)
    assert client.call(LIMITS, token).status_code == 401
    sf.policy.session_timeout_s = 900
    assert not sf.is_live(token)


def test_all_tokens_can_be_killed_at_once(sf: SalesforceEmulator, client: Any) -> None:
    refresh_token = sf.grant_refresh_token(client.app, client.user)
    tokens = [client.token() for _ in range(3)]
    assert sf.expire_all() == 3
    assert not any(sf.is_live(token) for token in tokens)
    assert client.refresh(refresh_token).status_code == 200
    assert sf.revoke_all() == 1
    assert client.refresh(refresh_token).json()["error_description"] == "expired access/refresh token"


def test_freezing_a_user_kills_their_sessions(sf: SalesforceEmulator, client: Any) -> None:
    token = client.token()
    client.user.active = False
    assert client.call(LIMITS, token).status_code == 401
