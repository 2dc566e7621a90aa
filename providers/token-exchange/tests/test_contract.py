"""The provider and the key loader keep the contracts of all providers and key loaders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import KeyLoaderContract, ProviderContract
from kinetic_auth_token_exchange import OidcLoader, TokenExchangeAuthenticator

pytestmark = pytest.mark.usefixtures("full_tier")


class TestTokenAsText(ProviderContract):
    def make_provider(self) -> TokenExchangeAuthenticator:
        settings: dict[str, Any] = self.emulator.settings("token-exchange")
        return TokenExchangeAuthenticator(**settings)


class TestAppWithASecret(ProviderContract):
    def make_provider(self) -> TokenExchangeAuthenticator:
        login = self.emulator.default
        login.app.require_secret_for_exchange = True
        return TokenExchangeAuthenticator(
            login.client_id,
            login.subject_token,
            self.login_url,
            client_secret=login.client_secret,
            token_handler="DefaultHandler",
            scope="api",
        )


class _OidcContract(KeyLoaderContract):
    missing_reference = "oidc://file/var/run/secrets/nothing?audience=https://acme.my.salesforce.com"

    def make_key_loader(self) -> OidcLoader:
        return OidcLoader()


class TestGithub(_OidcContract):
    @pytest.fixture(autouse=True)
    def _reference(self, job: str) -> None:
        self.reference = job


class TestFile(_OidcContract):
    @pytest.fixture(autouse=True)
    def _reference(self, pod: Callable[..., str]) -> None:
        self.project, self.reference = pod, pod()

    def change_secret(self) -> None:
        self.project("repo:acme/another")


def test_a_pods_token_behind_links_is_read_as_kubernetes_replaces_it(
    pod: Callable[..., str], tmp_path: Path, reference: Any
) -> None:
    """Kubernetes swaps a link to a folder: the file's path is a link into it."""
    pod()
    first, second = (tmp_path / "..1", tmp_path / "..2")
    first.mkdir()
    (tmp_path / "sf").rename(first / "sf")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "link").symlink_to("..data/sf")
    uri = f"oidc://file{tmp_path / 'link'}?audience=https://acme.my.salesforce.com"
    before = OidcLoader().load_key(reference(uri))
    pod()
    second.mkdir()
    (tmp_path / "sf").rename(second / "sf")
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert OidcLoader().load_key(reference(uri)) != before
