"""A running org with one user and one app, and a client that speaks to it as plainly as possible."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kinetic_auth_core.testing import App, KeyPair, SalesforceEmulator, User, new_key_pair

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Client:
    """Sends requests to an emulator over one kept connection, without any cleverness."""

    def __init__(self, sf: SalesforceEmulator, user: User, app: App, signing_key: RSAPrivateKey) -> None:
        self.sf, self.user, self.app, self.signing_key = sf, user, app, signing_key
        self.http = requests.Session()
        self.http.trust_env = False

    def assertion(self, *, key: str | None = None, algorithm: str = "RS256", **claims: Any) -> str:
        """An assertion for the user; claims given as None are left out."""
        defaults = {
            "iss": self.app.client_id,
            "sub": self.user.username,
            "aud": "https://login.salesforce.com",
            "exp": int(time.time()) + 120,
        }
        payload = {name: value for name, value in {**defaults, **claims}.items() if value is not None}
        # A JWS, since PyJWT's own encode will not make a JWT with claims of the wrong type.
        signing_key = self.signing_key if key is None else key
        return jwt.PyJWS().encode(json.dumps(payload).encode(), signing_key, algorithm=algorithm)

    def post(self, path: str = "/services/oauth2/token", **form: Any) -> requests.Response:
        return self.http.post(self.sf.url + path, data=form, timeout=20)

    def jwt(self, **claims: Any) -> requests.Response:
        return self.post(grant_type=JWT_BEARER, assertion=self.assertion(**claims))

    def password(self, **form: Any) -> requests.Response:
        defaults = {
            "grant_type": "password",
            "client_id": self.app.client_id,
            "client_secret": self.app.client_secret,
            "username": self.user.username,
            "password": self.user.password + self.user.security_token,
        }
        return self.post(**{**defaults, **form})

    def client_credentials(self, **form: Any) -> requests.Response:
        defaults = {"client_id": self.app.client_id, "client_secret": self.app.client_secret}
        return self.post(**{"grant_type": "client_credentials", **defaults, **form})

    def refresh(self, token: str, **form: Any) -> requests.Response:
        defaults = {"client_id": self.app.client_id, "client_secret": self.app.client_secret}
        return self.post(**{"grant_type": "refresh_token", "refresh_token": token, **defaults, **form})

    def exchange(self, subject_token: str = "no token", **form: Any) -> requests.Response:
        defaults = {"client_id": self.app.client_id, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": subject_token}
        return self.post(**{**grant, **defaults, **form})

    def token(self) -> str:
        return str(self.jwt().json()["access_token"])

    def call(self, path: str, token: str, method: str = "GET", **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self.http.request(method, self.sf.url + path, headers=headers, timeout=20, **options)


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture(scope="session")
def signing_key(keys: KeyPair) -> RSAPrivateKey:
    """The private key, parsed once: that takes longer than a test."""
    key = load_pem_private_key(keys.private_key_pem.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


@pytest.fixture(scope="session")
def other_keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def connect(keys: KeyPair, signing_key: RSAPrivateKey) -> Iterator[Callable[[SalesforceEmulator], Client]]:
    """Makes a client for an emulator, with a user and an app that every flow accepts."""
    clients = []

    def make(sf: SalesforceEmulator) -> Client:
        user = sf.add_user("integration@example.com", password="p&ss w+rd%é", security_token="T0ken")
        app = sf.add_app(
            certificates=[keys.certificate_pem],
            preauthorised={user.username},
            scopes={"api", "refresh_token"},
            run_as=user.username,
        )
        clients.append(Client(sf, user, app, signing_key))
        return clients[-1]

    yield make
    for client in clients:
        client.http.close()


@pytest.fixture
def client(sf: SalesforceEmulator, connect: Callable[[SalesforceEmulator], Client]) -> Client:
    return connect(sf)
