"""The JWT bearer assertion, judged as strictly as by Salesforce."""

from __future__ import annotations

import json
import time
from typing import Any

import jose.jwt
import jwt
import pytest

from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair

INVALID = {"error": "invalid_grant", "error_description": "invalid assertion"}
AUDIENCE = {"error": "invalid_grant", "error_description": "audience is invalid"}
EXPIRED = {"error": "invalid_grant", "error_description": "expired authorization code"}


def raw(client: Any, payload: bytes, **headers: Any) -> Any:
    assertion = jwt.PyJWS().encode(payload, client.signing_key, algorithm="RS256", headers=headers or None)
    return client.post(grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=assertion)


def test_python_jose_signs_what_pyjwt_accepts(client: Any, keys: KeyPair) -> None:
    claims = {
        "iss": client.app.client_id,
        "sub": client.user.username,
        "aud": client.sf.url,
        "exp": int(time.time()) + 60,
    }
    assertion = jose.jwt.encode(claims, keys.private_key_pem, algorithm="RS256")
    answer = client.post(grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=assertion)
    assert answer.status_code == 200


@pytest.mark.parametrize("audience", ["https://login.salesforce.com", "https://test.salesforce.com"])
def test_login_and_test_are_audiences_of_every_org(client: Any, audience: str) -> None:
    assert client.jwt(aud=audience).status_code == 200


@pytest.mark.parametrize(
    "audience",
    [
        ["https://login.salesforce.com"],
        "login.salesforce.com",
        "https://login.salesforce.com/",
        "https://acme.my.salesforce.com",
        None,
        7,
    ],
)
def test_any_other_audience_is_invalid(client: Any, audience: object) -> None:
    answer = client.jwt(aud=audience)
    assert answer.status_code == 400
    assert answer.json() == AUDIENCE


def test_audiences_are_the_policy_of_the_org(sf: SalesforceEmulator, client: Any) -> None:
    sf.policy.audiences = {"https://acme.my.salesforce.com"}
    assert client.jwt(aud="https://acme.my.salesforce.com").status_code == 200
    assert client.jwt(aud="https://login.salesforce.com").json() == AUDIENCE


@pytest.mark.parametrize(
    ("ahead_s", "accepted"), [(-190, False), (-170, True), (0, True), (3600, True), (10**12, True)]
)
@pytest.mark.parametrize("form", [int, float, str])
def test_exp_may_be_three_minutes_past_and_any_time_ahead_as_a_number_or_text(
    client: Any, ahead_s: int, accepted: bool, form: Any
) -> None:
    answer = client.jwt(exp=form(int(time.time()) + ahead_s))
    assert answer.json().get("error_description") == (None if accepted else "expired authorization code")


@pytest.mark.parametrize(("ahead_s", "accepted"), [(-190, False), (-170, True), (0, True), (290, True), (310, False)])
def test_the_strict_policy_takes_five_minutes_ahead(
    sf: SalesforceEmulator, client: Any, ahead_s: int, accepted: bool
) -> None:
    sf.policy.strict_exp = True
    answer = client.jwt(exp=int(time.time()) + ahead_s)
    assert answer.json().get("error_description") == (None if accepted else "expired authorization code")
    assert client.jwt(exp=str(int(time.time()))).json() == INVALID
    assert client.jwt(exp=int(time.time() * 1000)).json() == EXPIRED


def test_exp_is_judged_by_the_clock_of_the_org(sf: SalesforceEmulator, client: Any) -> None:
    sf.advance(3600)
    assert client.jwt().json() == EXPIRED
    assert client.jwt(exp=int(sf.now()) + 60).status_code == 200


@pytest.mark.parametrize("expiry", [None, "soon", "", "-1", "1e9", "nan", " 1", True, [1]])
def test_exp_must_be_a_number(client: Any, expiry: object) -> None:
    assert client.jwt(exp=expiry).json() == INVALID


@pytest.mark.parametrize("constant", [b"Infinity", b"NaN"])
def test_exp_must_be_a_number_that_ends(client: Any, constant: bytes) -> None:
    claims = json.dumps({"iss": client.app.client_id, "sub": client.user.username, "aud": client.sf.url}).encode()
    assert raw(client, claims[:-1] + b', "exp": ' + constant + b"}").json() == INVALID


def test_the_legacy_prn_wins_over_sub(client: Any) -> None:
    assert client.jwt(prn=client.user.username, sub="nobody@example.com").status_code == 200
    refused = client.jwt(prn="nobody@example.com")
    assert refused.json()["error_description"] == "user hasn't approved this consumer"


@pytest.mark.parametrize("claims", [{"iss": None}, {"iss": 7}, {"sub": None}, {"sub": ["a"]}])
def test_issuer_and_subject_must_be_there_and_be_text(client: Any, claims: dict[str, object]) -> None:
    assert client.jwt(**claims).json() == INVALID


def test_an_unknown_issuer_is_an_unknown_client(sf: SalesforceEmulator, client: Any) -> None:
    assert client.jwt(iss="3MVG9-of-another-org").json() == {
        "error": "invalid_client_id",
        "error_description": "client identifier invalid",
    }
    assert (sf.history[-1].client_id, sf.history[-1].username) == ("3MVG9-of-another-org", client.user.username)


def test_a_key_that_does_not_match_the_certificate_is_rejected(client: Any, other_keys: KeyPair) -> None:
    assert client.jwt(key=other_keys.private_key_pem).json() == INVALID


def test_any_of_several_certificates_is_accepted(sf: SalesforceEmulator, client: Any, other_keys: KeyPair) -> None:
    sf.upload_certificate(client.app, other_keys.certificate_pem)
    assert client.jwt(key=other_keys.private_key_pem).status_code == 200


def test_a_certificate_that_expired_since_its_upload_is_rejected(sf: SalesforceEmulator, client: Any) -> None:
    sf.advance(366 * 86400)
    assert client.jwt(exp=int(sf.now()) + 60).json() == INVALID


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_no_other_algorithm_than_rs256_is_accepted(client: Any, algorithm: str) -> None:
    assert client.jwt(algorithm=algorithm).json() == INVALID


def test_unsigned_and_symmetric_assertions_are_rejected(client: Any) -> None:
    assert client.jwt(algorithm="none", key="").json() == INVALID
    assert client.jwt(algorithm="HS256", key="k" * 32).json() == INVALID


@pytest.mark.parametrize("assertion", ["", "a", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "é.é.é", "." * 100])
def test_an_assertion_without_jwt_structure_is_invalid(client: Any, assertion: str) -> None:
    answer = client.post(grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=assertion)
    assert answer.json() == INVALID


@pytest.mark.parametrize("payload", [b"[]", b"7", b"{", b"\xff", b"[" * 100_000])
def test_a_payload_other_than_a_json_object_is_an_invalid_assertion(client: Any, payload: bytes) -> None:
    assert raw(client, payload).json() == INVALID


def test_an_unknown_critical_header_is_rejected(client: Any) -> None:
    claims = json.dumps(jwt.decode(client.assertion(), options={"verify_signature": False})).encode()
    assert raw(client, claims, kid="any").status_code == 200
    assert raw(client, claims, crit=["exp2"], exp2=1).json() == INVALID


def test_an_app_without_certificates_rejects_assertions(sf: SalesforceEmulator, client: Any) -> None:
    app = sf.add_app(preauthorised={client.user.username})
    assert client.jwt(iss=app.client_id).json() == INVALID


def test_a_tampered_assertion_is_rejected(client: Any) -> None:
    head, _, tail = client.assertion().split(".")
    other = client.assertion(sub="admin@example.com").split(".")[1]
    answer = client.post(grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=f"{head}.{other}.{tail}")
    assert answer.json() == INVALID


def test_certificates_are_checked_on_upload(sf: SalesforceEmulator, keys: KeyPair) -> None:
    with pytest.raises(ValueError, match="not an RSA key of at least 2048 bits"):
        sf.add_app(certificates=[new_key_pair(bits=1024).certificate_pem])
    with pytest.raises(ValueError, match=r"expired on \d{4}-\d\d-\d\d"):
        sf.add_app(certificates=[new_key_pair(days=-1).certificate_pem])
    with pytest.raises(ValueError, match="larger than 4096 bytes"):
        sf.add_app(certificates=[keys.certificate_pem + "\n" * 4096])
    with pytest.raises(ValueError, match="not an X.509 certificate"):
        sf.add_app(certificates=[keys.private_key_pem])


def test_an_ec_certificate_is_rejected_on_upload(sf: SalesforceEmulator) -> None:
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ec")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    with pytest.raises(ValueError, match="not an RSA key"):
        sf.add_app(certificates=[certificate.decode()])


def test_a_key_pair_does_not_show_its_key(keys: KeyPair) -> None:
    assert keys.private_key_pem.splitlines()[1] not in repr(keys)
    assert "CERTIFICATE" in repr(keys)
