"""Each flow's successful answer: exactly the fields that Salesforce sends, with a valid signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
from typing import Any

import jwt
import pytest
import requests

from kinetic_auth_core.testing import SalesforceEmulator


def signature(secret: str, answer: dict[str, Any]) -> str:
    message = (answer["id"] + answer["issued_at"]).encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def test_jwt_bearer_answers_without_issued_at_signature_or_lifetime(sf: SalesforceEmulator, client: Any) -> None:
    answer = client.jwt()
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "scope", "instance_url", "id", "token_type"}
    assert answer.json()["scope"] == "api refresh_token"
    assert answer.json()["instance_url"] == sf.url
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["access_token"].startswith(sf.org_id[:15] + "!")
    assert re.fullmatch(re.escape(sf.url) + "/id/00D[A-Za-z0-9]{15}/005[A-Za-z0-9]{15}", answer.json()["id"])
    assert answer.headers["Cache-Control"] == "no-store"


def test_jwt_bearer_gives_a_site_user_the_url_of_the_site(client: Any) -> None:
    client.user.site_url = "https://acme.my.site.com"
    assert client.jwt().json()["sfdc_community_url"] == "https://acme.my.site.com"


def test_password_answers_with_a_signature_and_without_scope(client: Any) -> None:
    answer = client.password().json()
    assert set(answer) == {"id", "issued_at", "instance_url", "signature", "access_token", "token_type"}
    assert re.fullmatch(r"\d{13}", answer["issued_at"])
    assert answer["signature"] == signature(client.app.client_secret, answer)


def test_client_credentials_act_for_the_user_of_the_app(client: Any) -> None:
    answer = client.client_credentials().json()
    assert set(answer) == {
        "access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at", "api_instance_url",
    }  # fmt: skip
    assert answer["id"].endswith(client.user.id)
    assert answer["signature"] == signature(client.app.client_secret, answer)


def test_client_credentials_may_come_as_basic_credentials(client: Any) -> None:
    answer = client.http.post(
        client.sf.url + "/services/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(client.app.client_id, client.app.client_secret),
        timeout=10,
    )
    assert answer.status_code == 200


def test_refresh_answers_without_a_new_refresh_token_unless_they_rotate(sf: SalesforceEmulator, client: Any) -> None:
    refresh_token = sf.grant_refresh_token(client.app, client.user)
    answer = client.refresh(refresh_token)
    assert set(answer.json()) == {
        "id", "issued_at", "instance_url", "signature", "access_token", "scope", "token_type",
    }  # fmt: skip
    assert client.refresh(refresh_token).status_code == 200


def test_a_rotated_refresh_token_replaces_the_old_one(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.rotate_refresh_tokens = True
    first = sf.grant_refresh_token(client.app, client.user)
    second = client.refresh(first).json()["refresh_token"]
    assert second != first
    assert client.refresh(second).status_code == 200
    assert client.refresh(first).json()["error_description"] == "expired access/refresh token"


def test_a_refresh_needs_no_secret_if_the_app_does_not_require_it(sf: SalesforceEmulator, client: Any) -> None:
    token = sf.grant_refresh_token(client.app, client.user)
    client.app.require_secret_for_refresh = False
    assert client.refresh(token, client_secret=None).status_code == 200
    assert client.refresh(token, client_secret="wrong").json()["error"] == "invalid_client"


def test_a_refresh_token_is_granted_only_with_its_scope(sf: SalesforceEmulator, client: Any) -> None:
    client.app.scopes = {"api"}
    with pytest.raises(ValueError, match="add refresh_token"):
        sf.grant_refresh_token(client.app, client.user)


def test_two_simultaneous_uses_of_one_refresh_token_have_different_answers(sf: SalesforceEmulator, client: Any) -> None:
    from kinetic_auth_core.testing import Dribble

    token = sf.grant_refresh_token(client.app, client.user)
    sf.break_transport(Dribble(0.001, endless=True))
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client.app.client_id}
    secret = {"client_secret": client.app.client_secret}
    with requests.post(sf.url + "/services/oauth2/token", data=form | secret, stream=True, timeout=10) as slow:
        assert slow.status_code == 200
        refused = client.refresh(token).json()
    assert refused == {"error": "invalid_grant", "error_description": "token request is already being processed"}
    for thread in threading.enumerate():
        if thread.name.endswith("-connection"):
            thread.join(0.2)
    assert client.refresh(token).status_code == 200


def test_access_tokens_can_be_jwts(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.jwt_access_tokens = True
    answer = client.client_credentials().json()
    assert answer["token_format"] == "jwt"
    assert answer["access_token"].startswith("eyJ")
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["client_id"] == client.app.client_id
    assert client.call("/services/data/v62.0/limits", answer["access_token"]).status_code == 200


def test_a_repeated_login_hands_back_the_live_session_where_sessions_are_shared(
    sf: SalesforceEmulator, client: Any
) -> None:
    sf.policy.reuse_sessions = True
    other = sf.add_user("other@example.com")
    client.app.preauthorised = {client.user.username, other.username}
    others = client.jwt(sub=other.username).json()["access_token"]
    first = client.token()
    assert client.token() == first != others
    sf.expire_all()
    assert client.token() != first
    sf.policy.reuse_sessions = False
    assert client.token() != client.token()


def test_instance_and_identity_hosts_can_be_others(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.instance_url = "https://acme.my.salesforce.com"
    sf.policy.identity_host = "https://login.salesforce.com"
    answer = client.jwt().json()
    assert answer["instance_url"] == "https://acme.my.salesforce.com"
    assert answer["id"] == f"https://login.salesforce.com/id/{sf.org_id}/{client.user.id}"


def test_usernames_are_compared_case_insensitively(client: Any) -> None:
    assert client.jwt(sub="Integration@Example.COM").status_code == 200
    assert client.password(username="INTEGRATION@example.com").status_code == 200


def test_the_login_history_lists_user_and_method(sf: SalesforceEmulator, client: Any) -> None:
    client.jwt()
    client.password(password="wrong")
    client.password(password=client.user.password)
    client.password(username="nobody@example.com")
    client.post(grant_type="urn:evil")
    assert [(row.username, row.grant_type.rpartition(":")[2], row.status) for row in sf.history] == [
        ("integration@example.com", "jwt-bearer", "Success"),
        ("integration@example.com", "password", "Invalid Password"),
        ("integration@example.com", "password", "Failed: API security token required"),
        (None, "password", "Invalid Username"),
        (None, "unsupported", "Failed: grant type not supported"),
    ]
    assert sf.history[0].client_id == client.app.client_id
    assert sf.history[0].ip == "127.0.0.1"
