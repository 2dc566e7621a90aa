"""The provider keeps the contract of all providers."""

from typing import Any

import pytest

from kinetic_auth_client_credentials import ClientCredentialsAuthenticator
from kinetic_auth_core.testing import ProviderContract

pytestmark = pytest.mark.usefixtures("full_tier")


class TestClientCredentials(ProviderContract):
    def make_provider(self) -> ClientCredentialsAuthenticator:
        settings: dict[str, Any] = self.emulator.settings("client-credentials")
        return ClientCredentialsAuthenticator(**settings)
