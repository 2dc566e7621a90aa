"""Token exchange: a token of the trusted issuer becomes a session; forged, stale and misdirected ones do not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kinetic_auth_core.testing import SalesforceEmulator, TokenHandler

SUBJECT = "repo:acme/report:ref:refs/heads/main"
AUDIENCE = "https://acme.my.salesforce.com"


@pytest.fixture(autouse=True)
def handler(client: Any, sf: SalesforceEmulator) -> TokenHandler:
    issuer = sf.identity_provider
    made = TokenHandler(
        name="Github",
        issuer=issuer.issuer,
        audience=AUDIENCE,
        keys=lambda: dict(client.http.get(f"{issuer.issuer}/keys", timeout=20).json()),
        subjects={SUBJECT: client.user.username},
    )
    client.app.token_handlers = [made]
    return made


@pytest.fixture(scope="session")
def foreign_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_a_token_of_the_trusted_issuer_becomes_a_session_of_its_user(sf: SalesforceEmulator, client: Any) -> None:
    answer = client.exchange(sf.identity_provider.issue(SUBJECT))
    assert answer.status_code == 200
    assert set(answer.json()) == {
        "access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at",
    }  # fmt: skip
    assert sf.holder_of(answer.json()["access_token"]) == (client.user.username, client.app.client_id)
    assert sf.history[-1].status == "Success"


def test_the_audience_may_be_a_list_of_one_as_in_kubernetes(sf: SalesforceEmulator, client: Any) -> None:
    assert client.exchange(sf.identity_provider.issue(SUBJECT, aud=[AUDIENCE])).status_code == 200


def unsigned(sf: SalesforceEmulator) -> str:
    payload = sf.identity_provider.issue(SUBJECT).split(".")[1]
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"identity-provider-1"}').decode().rstrip("=")
    return f"{header}.{payload}."


def signed_with_the_public_key(sf: SalesforceEmulator) -> str:
    """HS256, with the published key as the secret: what a careless verifier takes."""
    key: Any = jwt.PyJWK(sf.identity_provider.jwks()["keys"][0]).key
    secret = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    payload = sf.identity_provider.issue(SUBJECT).split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"identity-provider-1"}').decode().rstrip("=")
    # PyJWT refuses a PEM as an HMAC secret, so the signature is made by hand.
    mac = hmac.digest(secret, f"{head}.{payload}".encode(), hashlib.sha256)
    return f"{head}.{payload}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def changed_after_signing(sf: SalesforceEmulator) -> str:
    header, payload, signature = sf.identity_provider.issue("repo:acme/other").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"sub": SUBJECT}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{header}.{forged}.{signature}"


def issued(**claims: Any) -> Callable[[SalesforceEmulator], str]:
    return lambda sf: sf.identity_provider.issue(SUBJECT, **claims)


def ahead(**offsets: Any) -> Callable[[SalesforceEmulator], str]:
    return lambda sf: sf.identity_provider.issue(
        SUBJECT, **{name: int(sf.now()) + offset for name, offset in offsets.items()}
    )


FORGED: list[tuple[str, Callable[[SalesforceEmulator], str], str]] = [
    ("changed after signing", changed_after_signing, "wrong signature"),
    ("alg none", unsigned, "wrong algorithm"),
    ("HS256 with the public key", signed_with_the_public_key, "wrong algorithm"),
    ("unknown key id", issued(headers={"kid": "another"}), "unknown key"),
    ("another issuer", issued(iss="https://token.actions.githubusercontent.com.evil.example"), "wrong issuer"),
    ("no issuer", issued(iss=None), "wrong issuer"),
    ("another audience", issued(aud="sts.amazonaws.com"), "wrong audience"),
    ("several audiences", issued(aud=[AUDIENCE, "sts.amazonaws.com"]), "wrong audience"),
    ("no audience", issued(aud=None), "wrong audience"),
    ("expired", ahead(exp=-1), "expired"),
    ("without an end", issued(exp=None), "expired"),
    ("an end that is text", issued(exp="9999999999"), "expired"),
    ("not yet valid", ahead(nbf=300), "not yet valid"),
    ("no subject", issued(sub=None), "no subject"),
    ("an empty subject", issued(sub=""), "no subject"),
    ("unknown subject", issued(sub="repo:acme/report:pull_request"), "unknown subject"),
    ("not a JWT", lambda _: "an.opaque.token", "malformed"),
    (
        "a JWT of a list",
        lambda sf: sf.identity_provider.issue(SUBJECT).partition(".")[0] + ".W10.AA",
        "wrong signature",
    ),
]


@pytest.mark.parametrize(("make", "reason"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED])
def test_a_forged_stale_or_misdirected_token_is_refused_for_its_reason(
    make: Callable[[SalesforceEmulator], str], reason: str, sf: SalesforceEmulator, client: Any
) -> None:
    refused(client.exchange(make(sf)), sf, reason)


def refused(answer: Any, sf: SalesforceEmulator, reason: str) -> None:
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_request", "error_description": "token handler validation failed"}
    assert sf.history[-1].status == f"Failed: Token handler: {reason}"


def test_a_token_signed_by_another_key_is_refused(
    foreign_key: rsa.RSAPrivateKey, sf: SalesforceEmulator, client: Any
) -> None:
    refused(client.exchange(sf.identity_provider.issue(SUBJECT, key=foreign_key)), sf, "wrong signature")


def test_a_token_is_refused_under_another_type(sf: SalesforceEmulator, client: Any) -> None:
    token = sf.identity_provider.issue(SUBJECT)
    other = "urn:ietf:params:oauth:token-type:access_token"
    refused(client.exchange(token, subject_token_type=other), sf, "wrong token type")
    refused(client.exchange(token, subject_token_type=""), sf, "wrong token type")
    assert client.exchange(token, subject_token_type="urn:ietf:params:oauth:token-type:JWT").status_code == 200


def test_a_handler_may_take_each_token_once(handler: TokenHandler, sf: SalesforceEmulator, client: Any) -> None:
    handler.single_use = True
    token = sf.identity_provider.issue(SUBJECT)
    assert client.exchange(token).status_code == 200
    refused(client.exchange(token), sf, "used before")
    assert client.exchange(sf.identity_provider.issue(SUBJECT)).status_code == 200


def test_a_subject_whose_user_is_gone_is_refused(handler: TokenHandler, sf: SalesforceEmulator, client: Any) -> None:
    handler.subjects[SUBJECT] = "nobody@example.com"
    refused(client.exchange(sf.identity_provider.issue(SUBJECT)), sf, "unknown user")


def test_a_request_may_name_its_handler(handler: TokenHandler, sf: SalesforceEmulator, client: Any) -> None:
    other = TokenHandler(name="Cluster", issuer="x", audience="y", keys=handler.keys)
    client.app.token_handlers = [other, handler]
    token = sf.identity_provider.issue(SUBJECT)
    assert client.exchange(token, token_handler="Github").status_code == 200
    refused(client.exchange(token), sf, "wrong issuer")
    answer = client.exchange(token, token_handler="Okta").json()
    assert answer == {"error": "invalid_request", "error_description": "token handler not found"}


def test_scopes_may_be_fewer_than_those_of_the_app(sf: SalesforceEmulator, client: Any) -> None:
    token = sf.identity_provider.issue(SUBJECT)
    assert client.exchange(token, scope="api").json()["scope"] == "api"
    assert client.exchange(token).json()["scope"] == "api refresh_token"
    assert client.exchange(token, scope="api web").json()["error"] == "invalid_scope"


def test_the_app_is_checked_as_in_every_flow(sf: SalesforceEmulator, client: Any) -> None:
    token = sf.identity_provider.issue(SUBJECT)
    assert client.exchange(token, client_id="x").json()["error"] == "invalid_client_id"
    assert client.exchange(token, client_secret="x").json()["error"] == "invalid_client"
    client.app.require_secret_for_exchange = True
    assert client.exchange(token).json()["error"] == "invalid_client"
    assert client.exchange(token, client_secret=client.app.client_secret).status_code == 200
    client.app.require_secret_for_exchange = False
    client.app.preauthorised.clear()
    assert client.exchange(token).json()["error"] == "invalid_app_access"
    client.app.flows.discard("token-exchange")
    assert client.exchange(token).json()["error"] == "oauth_flow_disabled"


def test_a_job_of_github_gets_a_token_for_its_audience(sf: SalesforceEmulator, client: Any) -> None:
    variables = sf.identity_provider.github_variables(SUBJECT)
    url = variables["ACTIONS_ID_TOKEN_REQUEST_URL"]
    headers = {"Authorization": f"Bearer {variables['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    answer = client.http.get(f"{url}&audience={AUDIENCE}", headers=headers, timeout=20).json()
    assert client.exchange(answer["value"]).status_code == 200
    default = client.http.get(url, headers=headers, timeout=20).json()["value"]
    refused(client.exchange(default), sf, "wrong audience")
    assert client.http.get(url, timeout=20).status_code == 401


def test_the_org_publishes_the_keys_of_its_own_tokens(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.jwt_access_tokens = True
    found = client.http.get(f"{sf.url}/.well-known/openid-configuration", timeout=20).json()
    assert found["issuer"] == sf.url
    assert found["token_endpoint"] == f"{sf.url}/services/oauth2/token"
    keys = jwt.PyJWKSet.from_dict(client.http.get(found["jwks_uri"], timeout=20).json())
    token = client.token()
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key.key, algorithms=["RS256"], audience=sf.url)["iss"] == sf.url


def test_the_default_login_is_trusted_by_its_token(sf: SalesforceEmulator, client: Any) -> None:
    first, first_path = sf.settings("token-exchange"), sf.subject_token_path
    sf.renew_default()
    second, second_path = sf.settings("token-exchange"), sf.subject_token_path
    for settings, path in ((first, first_path), (second, second_path)):
        assert path.read_text() == settings["subject_token"]
        answer = client.exchange(settings["subject_token"], client_id=settings["client_id"])
        assert answer.status_code == 200
        holder = sf.holder_of(answer.json()["access_token"])
        assert holder is not None
        assert holder[1] == settings["client_id"]
