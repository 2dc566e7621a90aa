"""The provider keeps the contract of all providers."""

from typing import Any

import pytest

from kinetic_auth_core.testing import ProviderContract
from kinetic_auth_password import OAuthAuthenticator

pytestmark = pytest.mark.usefixtures("full_tier")


class TestPassword(ProviderContract):
    def make_provider(self) -> OAuthAuthenticator:
        settings: dict[str, Any] = self.emulator.settings("password")
        return OAuthAuthenticator(**settings)
