"""`allowed_plugins`: a config file lists the distributions whose plugins may be loaded; no other is imported."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.registry.discovery import normalized

Install = Callable[..., Path]

PROVIDER = """
@attrs.frozen
class Provider:
    token: str = kinetic.setting("canary-token", help="", secret=True)

    @kinetic.hookimpl
    def authenticate(self):
        identity = "https://login.salesforce.com/id/00D5g00000AbCdEEAC/0055g00000XyZwVAAA"
        return kinetic.SalesforceSession(self.token, "https://a.my.salesforce.com", identity, "1700000000000")
"""
LOADER = """
class Loader:
    @kinetic.hookimpl
    def load_key(self, reference):
        return b"canary-loaded"
"""
OBSERVER = """
SEEN = []

class Observer:
    @kinetic.hookimpl
    def session_issued(self, session):
        SEEN.append(session)
"""
STORE = """
from kinetic_auth_core.stores.base import MemoryStore

@attrs.define(eq=False)
class Store(MemoryStore):
    pass
"""


def allow(*names: str, more: str = "") -> Path:
    path = Path("kinetic-auth.toml").absolute()
    path.write_text(f"allowed_plugins = {list(names)}\n{more}")
    path.chmod(0o600)
    return path


@pytest.fixture
def acme(install: Install) -> None:
    install("acme-sso", PROVIDER, {"authenticators": {"acme": "acme_sso:Provider"}})


@pytest.mark.usefixtures("acme")
def test_a_provider_of_another_distribution_is_refused_before_it_is_imported() -> None:
    path = allow("kinetic-auth-jwt-bearer")
    with pytest.raises(kinetic.ProviderLoadError) as caught:
        kinetic.resolve("acme")
    assert str(caught.value) == (
        "the plugin 'acme' of acme-sso 1.0 (acme_sso:Provider) is not loaded: its distribution is not in "
        f"{path}:allowed_plugins. Remedy: Add 'acme-sso' to allowed_plugins, if you trust it; otherwise uninstall it."
    )
    assert "acme_sso" not in sys.modules


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("spelling", ["acme-sso", "Acme_SSO", "acme.sso"])
def test_a_distribution_in_the_list_is_allowed_in_any_spelling(spelling: str) -> None:
    allow(spelling)
    assert kinetic.resolve("acme").session().access_token == "canary-token"


@pytest.mark.usefixtures("acme")
def test_without_the_key_every_installed_plugin_may_be_loaded() -> None:
    Path("kinetic-auth.toml").write_text("")
    assert kinetic.resolve("acme").distribution == "acme-sso 1.0"


@pytest.mark.usefixtures("acme")
def test_with_an_empty_list_the_cores_own_plugins_are_loaded() -> None:
    allow(more="[environments.prod]\nprovider = 'acme'\n")
    with pytest.raises(kinetic.ProviderLoadError, match="is not in .*:allowed_plugins"):
        kinetic.resolve(environment="prod")
    allow("acme_sso")
    source = kinetic.resolve("acme", store={"name": "file", "path": "sessions"})
    assert source.session().access_token == "canary-token"


@pytest.mark.usefixtures("acme")
def test_a_key_loader_of_another_distribution_is_refused_before_it_is_imported(install: Install) -> None:
    install("vault-loader", LOADER, {"key_loaders": {"vault": "vault_loader:Loader"}})
    allow("acme-sso")
    with pytest.raises(kinetic.ConfigurationError, match=r"token \(from keyword\): the plugin 'vault' of vault-loader"):
        kinetic.resolve("acme", token="vault://shelf")
    assert "vault_loader" not in sys.modules
    allow("acme-sso", "vault-loader")
    assert kinetic.resolve("acme", token="vault://shelf").session().access_token == "canary-loaded"


@pytest.mark.usefixtures("acme")
def test_an_observer_of_another_distribution_is_skipped_with_a_warning(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("watcher", OBSERVER, {"observers": {"watch": "watcher:Observer"}})
    allow("acme-sso")
    with caplog.at_level(logging.WARNING):
        kinetic.resolve("acme").session()
    assert "an observer is skipped: the plugin 'watch' of watcher 1.0 (watcher:Observer) is not loaded" in caplog.text
    assert "watcher" not in sys.modules
    allow("acme-sso", "watcher")
    kinetic.resolve("acme").session()
    assert len(sys.modules["watcher"].SEEN) == 1


@pytest.mark.usefixtures("acme")
def test_a_store_of_another_distribution_is_refused_before_it_is_imported(install: Install) -> None:
    install("shelves", STORE, {"session_stores": {"shelves": "shelves:Store"}})
    allow("acme-sso")
    with pytest.raises(kinetic.ConfigurationError, match=r"store \(from keyword\): the plugin 'shelves' of shelves"):
        kinetic.resolve("acme", store="shelves")
    assert "shelves" not in sys.modules
    allow("acme-sso", "shelves")
    assert kinetic.resolve("acme", store="shelves").session().access_token == "canary-token"


@pytest.mark.usefixtures("acme")
def test_of_two_distributions_that_claim_a_name_the_allowed_one_is_loaded(install: Install) -> None:
    install("mallory", PROVIDER, {"authenticators": {"acme": "mallory:Provider"}})
    with pytest.raises(kinetic.ProviderLoadError, match="claimed by more than one package: acme-sso"):
        kinetic.resolve("acme")
    allow("acme-sso")
    assert kinetic.resolve("acme").distribution == "acme-sso 1.0"
    assert "mallory" not in sys.modules


@pytest.mark.usefixtures("acme")
def test_a_pool_applies_allowed_plugins_of_its_file(install: Install) -> None:
    install("watcher", OBSERVER, {"observers": {"watch": "watcher:Observer"}})
    path = allow("acme-sso", more="[environments.a]\nprovider = 'acme'\n[environments.b]\nprovider = 'password'\n")
    with kinetic.SourcePool(path) as pool:
        assert pool.source("a").session().access_token == "canary-token"
        with pytest.raises(kinetic.ConfigurationError, match="'password' of kinetic-auth-password .* is not loaded"):
            pool.source("b")
    assert "watcher" not in sys.modules


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"acme-sso"', 'expected a list of names of distributions, such as ["kinetic-auth-jwt-bearer"]'),
        ("[1]", 'expected a list of names of distributions, such as ["kinetic-auth-jwt-bearer"]'),
        ('["acme-sso", "../x", "${WHO}"]', "'../x', '${WHO}' cannot be the name of a distribution"),
    ],
)
def test_an_invalid_list_of_names_is_an_error(value: str, problem: str) -> None:
    path = allow()
    path.write_text(f"allowed_plugins = {value}\n")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password")
    assert str(caught.value) == f"Cannot use {path}: allowed_plugins: {problem}"


def test_the_key_works_in_a_pyproject_file() -> None:
    Path("pyproject.toml").write_text("[tool.kinetic-auth]\nallowed_plugins = []\n")
    with pytest.raises(kinetic.ProviderLoadError, match=r"pyproject\.toml:tool\.kinetic-auth\.allowed_plugins\."):
        kinetic.resolve("password")


@pytest.mark.usefixtures("acme")
def test_explain_names_the_plugin_that_loads_each_reference(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("vault-loader", LOADER, {"key_loaders": {"vault": "vault_loader:Loader"}}, version="2.1")
    monkeypatch.setenv("TOKEN", "canary-token")

    def note(token: str) -> str:
        source = kinetic.resolve("acme", token=token)
        return next(row.note for row in source.explain() if row.name == "token")

    assert note("vault://shelf") == "loaded by vault-loader 2.1"
    assert note("env://TOKEN") == "loaded by the core"
    assert note("canary") == ""


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True))
@example("a.-_b")
def test_all_spellings_of_a_name_are_one(name: str) -> None:
    one = normalized(name)
    assert one == normalized(one) == normalized(name.upper()) == normalized(name.replace("-", "__"))
