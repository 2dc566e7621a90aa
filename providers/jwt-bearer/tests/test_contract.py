"""The provider keeps the contract of all providers."""

from typing import Any

import pytest

from kinetic_auth_core.testing import ProviderContract
from kinetic_auth_jwt_bearer import JWTAuthenticator

pytestmark = pytest.mark.usefixtures("full_tier")


class TestKeyAsText(ProviderContract):
    def make_provider(self) -> JWTAuthenticator:
        settings: dict[str, Any] = self.emulator.settings("jwt-bearer")
        return JWTAuthenticator(**settings)


class TestKeyInAFile(ProviderContract):
    def make_provider(self) -> JWTAuthenticator:
        login, key = self.emulator.default, self.emulator.private_key_path
        return JWTAuthenticator(login.client_id, login.username, private_key_path=key, login_url=self.login_url)


class TestListOfKeys(ProviderContract):
    def make_provider(self) -> JWTAuthenticator:
        login = self.emulator.default
        keys = [login.private_key_pem, login.private_key_pem]
        return JWTAuthenticator(login.client_id, login.username, keys, login_url=self.login_url)
