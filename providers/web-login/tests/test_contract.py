"""The providers keep the contract of all providers."""

import pytest

from kinetic_auth_core.testing import ProviderContract
from kinetic_auth_web_login import RefreshTokenAuthenticator

pytestmark = pytest.mark.usefixtures("full_tier")


class TestRefreshToken(ProviderContract):
    def make_provider(self) -> RefreshTokenAuthenticator:
        login = self.emulator.default
        app = next(each for each in self.emulator._org.apps.values() if each.client_id == login.client_id)
        user = self.emulator._org.find_user(login.username)
        return RefreshTokenAuthenticator(
            login.client_id,
            self.emulator.grant_refresh_token(app, user),
            login.client_secret,
            login_url=self.login_url,
        )
