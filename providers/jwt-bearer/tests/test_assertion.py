"""The signed assertion: decoded by another implementation, verified with the certificate of the app."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core import CredentialsRejectedError, LoginRequest
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator
from kinetic_auth_jwt_bearer.authenticator import sign_assertion

NOW = 1_700_000_000.75
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def decoded(assertion: str, keys: KeyPair) -> dict[str, Any]:
    """Header and claims, once the certificate has shown that the signature is right."""
    certificate = x509.load_pem_x509_certificate(keys.certificate_pem.encode())
    public_key = certificate.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    return jwt.decode_complete(
        assertion, public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False}
    )


@pytest.fixture
def authenticator(keys: KeyPair) -> JWTAuthenticator:
    return JWTAuthenticator("3MVG9.consumer.key", "integration@acme.com", keys.private_key_pem)


def test_the_form_is_the_grant_type_and_the_assertion_and_no_secret(authenticator: JWTAuthenticator) -> None:
    form = authenticator.grant(LoginRequest(now=NOW))
    assert set(form) == {"grant_type", "assertion"}
    assert form["grant_type"] == GRANT_TYPE


def test_a_client_secret_is_not_sent(keys: KeyPair) -> None:
    authenticator = JWTAuthenticator("key", "u@acme.com", keys.private_key_pem, client_secret="canary")
    form = authenticator.grant(LoginRequest(now=NOW))
    assert set(form) == {"grant_type", "assertion"}
    assert "canary" not in str(form)


def test_the_assertion_is_signed_with_rs256_and_the_certificate_verifies_it(
    authenticator: JWTAuthenticator, keys: KeyPair
) -> None:
    header = decoded(authenticator.grant(LoginRequest(now=NOW))["assertion"], keys)["header"]
    assert header == {"alg": "RS256", "typ": "JWT"}


def test_the_claims_are_issuer_subject_audience_and_expiry_and_nothing_else(
    authenticator: JWTAuthenticator, keys: KeyPair
) -> None:
    assert decoded(authenticator.grant(LoginRequest(now=NOW))["assertion"], keys)["payload"] == {
        "iss": "3MVG9.consumer.key",
        "sub": "integration@acme.com",
        "aud": "https://login.salesforce.com",
        "exp": 1_700_000_180,
    }


@given(now=st.floats(min_value=1, max_value=4e9))
def test_the_expiry_is_in_whole_seconds_and_never_more_than_three_minutes_ahead(now: float) -> None:
    class AnySigner:
        algorithm = "RS256"
        key_id = "any"

        def sign(self, message: bytes) -> bytes:
            return b"signature"

    assertion = sign_assertion(AnySigner(), issuer="i", subject="s", audience="https://a", now=now)
    expiry = jwt.decode(assertion, options={"verify_signature": False})["exp"]
    assert isinstance(expiry, int)
    assert now + 178 < expiry <= now + 180


def test_the_real_clock_is_used_for_a_login(authenticator: JWTAuthenticator, keys: KeyPair) -> None:
    before = int(time.time())
    expiry = decoded(authenticator.grant(LoginRequest(now=time.time()))["assertion"], keys)["payload"]["exp"]
    assert before + 180 <= expiry <= time.time() + 180


def test_each_login_signs_a_new_assertion(authenticator: JWTAuthenticator) -> None:
    assert (
        authenticator.grant(LoginRequest(now=NOW))["assertion"]
        != authenticator.grant(LoginRequest(now=NOW + 60))["assertion"]
    )


@pytest.mark.parametrize("username", ["ünï@acme.com", "o'neil+test@acme.com", 'quo"te@acme.com'])
def test_any_username_is_passed_unchanged(username: str, keys: KeyPair) -> None:
    assertion = JWTAuthenticator("key", username, keys.private_key_pem).grant(LoginRequest(now=NOW))["assertion"]
    assert decoded(assertion, keys)["payload"]["sub"] == username


def test_a_login_with_the_assertion_returns_a_session(
    sf: SalesforceEmulator, settings: dict[str, Any], keys: KeyPair
) -> None:
    session = JWTAuthenticator(**settings, private_key=keys.private_key_pem).authenticate()
    assert sf.is_live(session.access_token)
    assert session.instance_url == sf.url
    assert session.org_id == sf.org_id
    assert session.username == settings["username"]
    assert session.scope == "api"
    assert session.signature == ""
    assert [record.status for record in sf.history] == ["Success"]
    assert sf.history[0].grant_type == GRANT_TYPE


def test_issued_at_is_the_date_of_the_answer(sf: SalesforceEmulator, settings: dict[str, Any], keys: KeyPair) -> None:
    before = int(sf.now())
    session = JWTAuthenticator(**settings, private_key=keys.private_key_pem).authenticate()
    assert before * 1000 <= int(session.issued_at) <= sf.now() * 1000
    assert len(session.issued_at) == 13


def test_a_key_that_does_not_match_the_certificate_has_its_own_message(
    settings: dict[str, Any], other_keys: KeyPair
) -> None:
    with pytest.raises(CredentialsRejectedError) as caught:
        JWTAuthenticator(**settings, private_key=other_keys.private_key_pem).authenticate()
    assert (caught.value.error, caught.value.description) == ("invalid_grant", "invalid assertion")
    assert "upload the certificate of this key" in caught.value.remedy


def test_no_signature_is_made_by_ecdsa(keys: KeyPair) -> None:
    code = (
        "import sys; from kinetic_auth_core import LoginRequest;"
        "from kinetic_auth_jwt_bearer import JWTAuthenticator as J;"
        "J('key', 'u@acme.com', sys.stdin.read()).grant(LoginRequest(now=1.0));"
        "print('jose' in sys.modules, 'ecdsa' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=keys.private_key_pem, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True False\n"
