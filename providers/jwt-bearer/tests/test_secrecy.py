"""No key, passphrase or assertion in anything that an error shows: texts, fields, chain, tracebacks with locals."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from kinetic_auth_core import ConfigurationError, KineticAuthError
from kinetic_auth_core.testing import (
    Alter,
    Answer,
    App,
    Fault,
    Html,
    KeyPair,
    Redirect,
    Reset,
    SalesforceEmulator,
    new_key_pair,
)
from kinetic_auth_jwt_bearer import JWTAuthenticator

PASSPHRASE = "canary-passphrase-7331"
SECRET = "canary-client-secret-7331"
ASSERTION_BEGINS = "eyJhbGciOi"  # {"alg":

Leaked = Callable[..., list[str]]


def pem(key: Any, passphrase: str = "") -> str:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode())


@pytest.fixture(scope="session")
def unusable(keys: KeyPair) -> dict[str, str]:
    """Secrets that are no good as keys, and must be kept all the same."""
    key = serialization.load_pem_private_key(keys.private_key_pem.encode(), None)
    lines = keys.private_key_pem.splitlines()
    return {
        "damaged": "\n".join([*lines[:5], *lines[6:]]),
        "encrypted": pem(key, "another passphrase"),
        "short": new_key_pair(bits=1024).private_key_pem,
        "other kind": pem(ed25519.Ed25519PrivateKey.generate()),
        "without its frame": "\n".join(lines[1:-4]),
    }


KINDS = ["damaged", "encrypted", "short", "other kind", "without its frame"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rejected_key_is_not_shown(
    kind: str, unusable: dict[str, str], settings: dict[str, Any], leaked: Leaked
) -> None:
    made = JWTAuthenticator(**settings, private_key=unusable[kind], passphrase=PASSPHRASE, client_secret=SECRET)
    with pytest.raises(KineticAuthError) as caught:
        made.authenticate()
    key_text = unusable[kind].rpartition("-----END CERTIFICATE-----")[2]
    assert leaked(caught.value, key_text, PASSPHRASE, SECRET) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_rejected_key_file_is_not_shown(
    kind: str,
    unusable: dict[str, str],
    settings: dict[str, Any],
    leaked: Leaked,
) -> None:
    Path("server.key").write_text(unusable[kind])
    made = JWTAuthenticator(**settings, private_key_path="server.key", passphrase=PASSPHRASE)
    with pytest.raises(KineticAuthError) as caught:
        made.authenticate()
    key_text = unusable[kind].rpartition("-----END CERTIFICATE-----")[2]
    assert leaked(caught.value, key_text, PASSPHRASE) == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"private_key_path": "server.key"},
        {"client_id": ""},
        {"login_url": "http://acme.my.salesforce.com"},
        {"audience": "login.salesforce.com"},
        {"deadline": "soon"},
        {"no_such_setting": 1},
    ],
    ids=lambda mistake: next(iter(mistake)),
)
def test_a_constructor_error_shows_no_secret(mistake: dict[str, Any], keys: KeyPair, leaked: Leaked) -> None:
    given = {"client_id": "3MVG9", "username": "u@acme.com", "private_key": keys.private_key_pem}
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        JWTAuthenticator(**{**given, "passphrase": PASSPHRASE, "client_secret": SECRET, **mistake})
    assert leaked(caught.value, keys.private_key_pem, PASSPHRASE, SECRET) == []


def test_an_error_of_from_env_shows_no_secret(keys: KeyPair, leaked: Leaked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_PRIVATE_KEY", keys.private_key_pem)
    monkeypatch.setenv("SF_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("SF_DEADLINE", "soon")
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator.from_env()
    assert leaked(caught.value, keys.private_key_pem, PASSPHRASE) == []


@pytest.fixture
def authenticator(settings: dict[str, Any], keys: KeyPair) -> JWTAuthenticator:
    return JWTAuthenticator(**settings, private_key=keys.private_key_pem, client_secret=SECRET, passphrase=PASSPHRASE)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Reset(), id="reset"),
        pytest.param(Html(503), id="maintenance page"),
        pytest.param(Redirect("https://elsewhere.example/"), id="redirect"),
        pytest.param(Answer({"error": "invalid_grant", "error_description": "audience is invalid"}, 400), id="refusal"),
        pytest.param(Alter({"access_token": "canary\r\ntoken"}), id="a token that is not a valid header"),
        pytest.param(Alter({"instance_url": "http://elsewhere.example"}), id="an instance in the clear"),
    ],
)
def test_a_failed_login_shows_neither_key_nor_assertion_nor_token(
    fault: Fault,
    authenticator: JWTAuthenticator,
    sf: SalesforceEmulator,
    leaked: Leaked,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    sf.break_transport(fault, times=None)
    with pytest.raises(KineticAuthError) as caught:
        authenticator.authenticate()
    tokens = (ASSERTION_BEGINS, "canary\r\ntoken", sf.org_id[:15] + "!")
    key = str(authenticator.private_key)
    assert leaked(caught.value, key, SECRET, PASSPHRASE, *tokens) == []
    assert leaked(caplog.text, key, SECRET, PASSPHRASE, *tokens) == []


def test_a_server_that_quotes_a_secret_is_not_quoted(
    settings: dict[str, Any], keys: KeyPair, app: App, sf: SalesforceEmulator, leaked: Leaked
) -> None:
    made = JWTAuthenticator(**settings, private_key=keys.private_key_pem, client_secret=app.client_secret)
    sf.refuse("invalid_grant", f"bad secret {app.client_secret} in request")
    with pytest.raises(KineticAuthError) as caught:
        made.authenticate()
    assert leaked(caught.value, app.client_secret) == []
    assert caught.value.description == "bad secret ******** in request"  # type: ignore[attr-defined]


def test_a_good_login_logs_no_secret_at_any_level(
    authenticator: JWTAuthenticator, leaked: Leaked, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = authenticator.authenticate()
    secrets = (PASSPHRASE, SECRET, ASSERTION_BEGINS, session.access_token)
    assert leaked(caplog.text, str(authenticator.private_key), *secrets) == []
