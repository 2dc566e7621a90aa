"""`[observers.NAME]` and `[key_loaders.NAME]`: settings, required, enabled, distribution."""

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.registry.discovery import KEY_LOADERS, find
from kinetic_auth_core.registry.loading import load_key_loader
from kinetic_auth_core.resolution.inspection import inspect

Install = Callable[..., Path]

PROVIDER = """
@attrs.frozen
class Provider:
    token: str = kinetic.setting("canary-token", help="", secret=True)

    @kinetic.hookimpl
    def authenticate(self):
        return kinetic.SalesforceSession(self.token, "https://acme.my.salesforce.com", "", "1700000000000")
"""

AUDIT = """
SEEN = []

def not_tmp(instance, attribute, value):
    if value.startswith("/tmp") and not instance.loose:
        raise ValueError("is a folder of everybody's")

@attrs.frozen
class Audit:
    path: str = kinetic.setting(help="", validator=not_tmp)
    loose: bool = kinetic.setting(False, help="")
    key: str = kinetic.setting("", help="", secret=True)
    provider: str = kinetic.setting("", help="")

    @kinetic.hookimpl
    def session_issued(self):
        SEEN.append((self.path, self.loose, self.key, self.provider))
"""

MADE = """
    def __attrs_post_init__(self):
        MADE.append(1)
"""

VAULT = """
SEEN = []

@attrs.frozen
class Vault:
    address: str = kinetic.setting(help="")
    token: str = kinetic.setting(help="", secret=True)

    @kinetic.hookimpl
    def load_key(self, reference):
        SEEN.append((self.address, self.token))
        return b"canary-loaded"

    @kinetic.hookimpl
    def identity(self, reference):
        return {"text": "robot", "none": None, "number": 7, "empty": ""}[reference.rest]
"""


@pytest.fixture(autouse=True)
def _provider(install: Install) -> None:
    install("fake-provider", PROVIDER, {"authenticators": {"fake": "fake_provider:Provider"}})


@pytest.fixture
def audit(install: Install) -> list[Any]:
    install("acme-audit", AUDIT, {"observers": {"audit": "acme_audit:Audit"}})
    return importlib.import_module("acme_audit").SEEN  # type: ignore[no-any-return]


@pytest.fixture
def vault(install: Install) -> list[Any]:
    install("acme-vault", VAULT, {"key_loaders": {"vault": "acme_vault:Vault"}})
    return importlib.import_module("acme_vault").SEEN  # type: ignore[no-any-return]


def write(text: str) -> Path:
    path = Path.cwd() / "kinetic-auth.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def problems(**arguments: Any) -> list[str]:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("fake", **arguments)
    return list(caught.value.problems)


def test_an_observer_has_the_settings_of_its_table(audit: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_PATH", "/var/log/a")
    monkeypatch.setenv("AUDIT_KEY", "canary-key")
    write('[observers.audit]\npath = "${AUDIT_PATH}"\nloose = true\nkey = "env://AUDIT_KEY"\nprovider = "p"\n')
    kinetic.resolve("fake").session()
    assert audit == [("/var/log/a", True, "canary-key", "p")]


@pytest.mark.usefixtures("audit")
def test_the_settings_of_a_table_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_KEY", "canary-key")
    path = write('[observers.audit]\npath = "/var/log/a"\nkey = "env://AUDIT_KEY"\n')
    rows = {row.name: (row.value, row.source) for row in kinetic.resolve("fake").explain()}
    assert rows["observers.audit.path"] == ("/var/log/a", f"{path}:observers.audit.path")
    assert rows["observers.audit.key"] == ("env://AUDIT_KEY", f"{path}:observers.audit.key")
    assert rows["observers.audit.loose"] == (False, "default")


def test_what_is_wrong_with_a_table_is_an_error_of_resolve_beside_all_others(audit: list[Any]) -> None:
    path = write('[observers.audit]\npath = "/tmp/x"\nloos = true\nkey = "vault://x"\n')
    told = problems(tokn="x")
    assert f"loos (from {path}:observers.audit.loos): unknown setting (did you mean 'loose'?)" in told
    assert f"path (from {path}:observers.audit.path): is a folder of everybody's" in told
    assert any(each.startswith("tokn (from keyword): unknown setting") for each in told)
    path.write_text('[observers.audit]\nkey = "env://NOT_SET"\n')
    told = problems()
    assert f"path is missing: give it in {path}:observers.audit" in told
    assert any(each.startswith(f"key (from {path}:observers.audit.key): env://NOT_SET: ") for each in told)


def test_an_observer_that_needs_settings_and_has_no_table_is_skipped_with_a_warning_that_says_so(
    audit: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert kinetic.resolve("fake").session().is_valid()
    assert "needs path. Remedy: Give it in [observers.audit] of the config file." in caplog.text
    assert audit == []


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise ImportError('no such log')\n", "does not import: ImportError: no such log"),
        ("class Audit:\n    @kinetic.hookimpl\n    async def session_issued(self): ...\n", "as an async function"),
        ("class Audit:\n    @kinetic.hookimpl\n    def session_isued(self): ...\n", "unknown hook 'session_isued'"),
        (None, "no observer 'audit' is installed"),
    ],
)
def test_a_required_observer_that_cannot_be_loaded_fails_resolve_and_another_is_skipped(
    install: Install, caplog: pytest.LogCaptureFixture, source: str | None, why: str
) -> None:
    if source is not None:
        install("acme-audit", source, {"observers": {"audit": "acme_audit:Audit"}})
    path = write("[observers.audit]\nrequired = true\n")
    (told,) = problems()
    assert told.startswith(f"{path}:observers.audit is required: ")
    assert why in told
    with pytest.raises(kinetic.ConfigurationError, match="is required"):
        kinetic.SourcePool(path, tenants=lambda _: {"provider": "fake"}).source("a")
    path.write_text("[observers.audit]\n")
    assert kinetic.resolve("fake").session().is_valid()
    assert f"{path}:observers.audit is skipped: " in caplog.text


def test_an_observer_or_key_loader_that_is_switched_off_is_not_loaded(
    audit: list[Any], vault: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = write("[observers.audit]\nenabled = false\n[key_loaders.vault]\nenabled = false\n")
    assert kinetic.resolve("fake").session().is_valid()
    assert (audit, caplog.text) == ([], "")
    (told,) = problems(token="vault://text")
    assert f"the key loader 'vault' is switched off by {path}:key_loaders.vault.enabled" in told


def test_distribution_says_whose_observer_is_meant(audit: list[Any], install: Install) -> None:
    install("other-audit", "raise ImportError\n", {"observers": {"audit": "other_audit:Audit"}})
    path = write('[observers.audit]\nrequired = true\npath = "/a"\n')
    (told,) = problems()
    assert 'distribution = "acme-audit" in [observers.audit] of the config file' in told
    path.write_text('[observers.audit]\nrequired = true\npath = "/a"\ndistribution = "Acme_Audit"\n')
    kinetic.resolve("fake").session()
    assert len(audit) == 1


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("[observers.audit]\nrequired = 1\n", "observers.audit: required: expected true or false"),
        ("[key_loaders.v]\ndistribution = true\n", "key_loaders.v: distribution: expected text"),
        ("[observers]\naudit = 5\n", "observers.audit: expected a table, [observers.audit]"),
        ("observers = 5\n", "observers: expected tables, [observers.<name>]"),
        (
            "[observers.a]\nrequired = true\nenabled = false\n",
            "required = true and enabled = false contradict",
        ),
        ("[observer.audit]\n", "observer: unknown key (did you mean 'observers'?)"),
    ],
)
def test_a_table_of_the_wrong_shape_is_an_error(table: str, problem: str) -> None:
    write(table)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("fake")
    assert problem in str(caught.value)


def test_a_plugin_without_settings_gets_none(install: Install) -> None:
    source = "class Audit:\n    @kinetic.hookimpl\n    def session_issued(self): ...\n"
    install("acme-audit", source, {"observers": {"audit": "acme_audit:Audit"}})
    path = write('[observers.audit]\npath = "/a"\n')
    (told,) = problems()
    assert told.startswith(f"{path}:observers.audit has path, but the plugin 'audit' of acme-audit 1.0")


def test_a_plugin_may_not_have_a_setting_that_is_a_key_of_the_table(install: Install) -> None:
    source = AUDIT.replace("loose: bool", "enabled: bool").replace("instance.loose", "True")
    install("acme-audit", source, {"observers": {"audit": "acme_audit:Audit"}})
    write('[observers.audit]\nrequired = true\npath = "/a"\n')
    (told,) = problems()
    assert "uses reserved setting names: enabled; rename them" in told


def test_the_sources_of_a_pool_share_the_observer(install: Install) -> None:
    source = AUDIT.replace("SEEN = []", "SEEN, MADE = [], []") + MADE
    install("acme-audit", source, {"observers": {"audit": "acme_audit:Audit"}})
    path = write('[observers.audit]\npath = "/a"\n')
    pool = kinetic.SourcePool(path, tenants=lambda key: {"provider": "fake", "token": f"canary-{key}"})
    for key in ("a", "b"):
        pool.source(key).session()
    module = importlib.import_module("acme_audit")
    assert (module.MADE, len(module.SEEN)) == ([1], 2)


def test_a_key_loader_has_the_settings_of_its_table(vault: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "canary-vault")
    write('[key_loaders.vault]\naddress = "https://vault"\ntoken = "env://VAULT_TOKEN"\n')
    assert kinetic.resolve("fake", token="vault://text").session().access_token == "canary-loaded"
    assert vault == [("https://vault", "canary-vault")]


def test_a_wrong_table_of_a_key_loader_is_found_where_it_is_needed_or_required(vault: list[Any]) -> None:
    path = write("[key_loaders.vault]\naddress = 5\n")
    assert kinetic.resolve("fake").session().is_valid()
    (told,) = problems(token="vault://text")
    assert "address (from " in told
    assert "token is missing" in told
    path.write_text("[key_loaders.vault]\naddress = 5\nrequired = true\n")
    assert len(problems()) == 2


def test_a_key_loader_says_whom_a_reference_names(vault: list[Any]) -> None:
    write('[key_loaders.vault]\naddress = "https://vault"\ntoken = "t"\n')
    found = inspect("fake", keywords={})
    hooks = load_key_loader("vault", found.configuration.allowed)
    assert hooks.identity(kinetic.Reference("vault", "text")) == "robot"
    assert hooks.identity(kinetic.Reference("vault", "none")) is None
    for rest, what in (("number", "int instead of text"), ("empty", "an empty text"), ("gone", "raised KeyError")):
        with pytest.raises(kinetic.KeyLoadError, match=what):
            hooks.identity(kinetic.Reference("vault", rest))
    assert find(KEY_LOADERS, "vault").name == "vault"


def test_a_table_for_a_plugin_that_is_not_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    path = write("[key_loaders.valt]\n[observers.audt]\n")
    with caplog.at_level(logging.WARNING):
        kinetic.resolve("fake")
    assert f"{path}:key_loaders.valt is skipped: no key loader 'valt' is installed" in caplog.text
    assert f"{path}:observers.audt is skipped: no observer 'audt' is installed" in caplog.text


@pytest.mark.parametrize("error", ["", "ValueError", "OSError", "kinetic.KeyLoadError", "kinetic.ConfigurationError"])
def test_no_secret_of_a_table_is_in_an_error(
    install: Install, leaked_secrets: Callable[..., list[str]], error: str
) -> None:
    body = f"\n    def __attrs_post_init__(self):\n        raise {error}(f'no {{self.key}} here')\n" if error else ""
    install("acme-audit", AUDIT + body, {"observers": {"audit": "acme_audit:Audit"}})
    path = "'/a'" if error else "5"
    write(f'[observers.audit]\nrequired = true\npath = {path}\nkey = "canary-of-the-table"\n')
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("fake")
    assert leaked_secrets(caught.value, "canary-of-the-table") == []
    assert ("******** here" in str(caught.value)) is bool(error)


def test_an_observer_that_uses_a_pool_while_it_is_made_blocks_nothing(install: Install) -> None:
    source = """
POOLS, SEEN = [], []

@attrs.frozen
class Eager:
    name: str = kinetic.setting("x", help="")

    def __attrs_post_init__(self):
        for pool in POOLS:
            pool.source("inner").session()

    @kinetic.hookimpl
    def session_issued(self):
        SEEN.append(self.name)
"""
    install("eager", source, {"observers": {"eager": "eager:Eager"}})
    eager = importlib.import_module("eager")
    path = write('[observers.eager]\nname = "n"\n')
    pool = kinetic.SourcePool(path, tenants=lambda _: {"provider": "fake"})
    eager.POOLS.append(pool)
    assert pool.source("outer").session().is_valid()
    assert eager.SEEN == ["n"]


SECRETS = """
SEEN = []

@attrs.frozen
class Audit:
    keys: list[str] = kinetic.setting(attrs.Factory(list), help="", secret=True)
    certificate: bytes | str = kinetic.setting("", help="", secret=True)

    @kinetic.hookimpl
    def session_issued(self):
        SEEN.append((self.keys, self.certificate))
"""


def test_secrets_of_a_table_may_be_lists_and_files(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("acme-audit", SECRETS, {"observers": {"audit": "acme_audit:Audit"}})
    monkeypatch.setenv("AUDIT_KEY", "canary-1")
    Path("certificate.der").write_bytes(b"\xff\x00")
    table = '[observers.audit]\nkeys = ["env://AUDIT_KEY", "canary-2"]\ncertificate = "file://certificate.der"\n'
    path = write(table)
    kinetic.resolve("fake").session()
    assert importlib.import_module("acme_audit").SEEN == [(["canary-1", "canary-2"], b"\xff\x00")]
    Path("key").write_bytes(b"\xff\x00")
    path.write_text('[observers.audit]\nkeys = ["file://key"]\n')
    (told,) = problems()
    assert told.startswith(f"keys (from {path}:observers.audit.keys): ")
    assert "is not UTF-8 text" in told


def test_a_secret_of_a_table_is_no_reference_to_another_key_loader(audit: list[Any], vault: list[Any]) -> None:
    path = write('[observers.audit]\npath = "/a"\nkey = "vault://text"\n')
    (told,) = problems()
    assert told == (
        f"key (from {path}:observers.audit.key): vault://text is not read here: a plugin's own secret may be env:// or "
        "file://"
    )


def test_a_class_whose_annotations_do_not_resolve_is_refused(install: Install) -> None:
    source = AUDIT.replace("path: str", 'path: "Nowhere"')
    install("acme-audit", source, {"observers": {"audit": "acme_audit:Audit"}})
    write('[observers.audit]\nrequired = true\npath = "/a"\n')
    (told,) = problems()
    assert "has unusable settings: an annotation of Audit does not resolve" in told


def test_the_error_of_a_key_loader_for_an_identity_is_its_own(install: Install) -> None:
    source = VAULT.replace('return {"text"', 'raise kinetic.KeyLoadError("No token.")\n        return {"text"')
    install("acme-vault", source, {"key_loaders": {"vault": "acme_vault:Vault"}})
    write('[key_loaders.vault]\naddress = "https://vault"\ntoken = "t"\n')
    allowed = inspect("fake", keywords={}).configuration.allowed
    with pytest.raises(kinetic.KeyLoadError, match=r"^No token\.$"):
        load_key_loader("vault", allowed).identity(kinetic.Reference("vault", "text"))
