"""The key loaders keep the contract of all key loaders: secrets and keys of Azure."""

from __future__ import annotations

from typing import Any

import pytest

from kinetic_auth_core.testing import KeyLoaderContract
from kinetic_auth_secret_manager import KmsLoader, SecretManagerLoader
from kinetic_auth_secret_manager.cache import Cache

pytestmark = pytest.mark.usefixtures("full_tier")


class TestSecret(KeyLoaderContract):
    @pytest.fixture(autouse=True)
    def _vault(self, vault: Any) -> None:
        self.vault, self.cache = vault, Cache[Any]()
        vault.set_secret("contract", "canary-secret")
        self.reference = f"secret-manager://azure/{vault.host}/contract"
        self.missing_reference = f"secret-manager://azure/{vault.host}/nothing"

    def make_key_loader(self) -> SecretManagerLoader:
        return SecretManagerLoader(self.cache)

    def change_secret(self) -> None:
        self.vault.set_secret("contract", "canary-changed")


class TestKey(KeyLoaderContract):
    @pytest.fixture(autouse=True)
    def _vault(self, vault: Any) -> None:
        self.cache = Cache[Any]()
        vault.create_key("contract")
        self.reference = f"kms://azure/{vault.host}/contract"
        self.missing_reference = f"kms://azure/{vault.host}/nothing"

    def make_key_loader(self) -> KmsLoader:
        return KmsLoader(self.cache)
