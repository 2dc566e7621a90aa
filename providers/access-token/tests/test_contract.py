"""The provider keeps the contract of all providers."""

import pytest

from kinetic_auth_access_token import AccessTokenAuthenticator
from kinetic_auth_core.testing import ProviderContract

pytestmark = pytest.mark.usefixtures("full_tier")


class TestAccessToken(ProviderContract):
    def make_provider(self) -> AccessTokenAuthenticator:
        login = self.emulator.default
        return AccessTokenAuthenticator(self.emulator.issue_access_token(login.app, login.user), self.login_url)
