"""Third-party key loaders: what they receive, and what they may return."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

import kinetic_auth_core as kinetic

Install = Callable[..., Path]

PROVIDER = """
@attrs.frozen
class Provider:
    key: str | kinetic.Signer = kinetic.setting(help="", secret=True)
    made: list[int] = attrs.field(init=False, factory=list)

    @kinetic.hookimpl
    def authenticate(self):
        token = self.key if isinstance(self.key, str) else f"signed by {self.key.key_id} with {self.key.algorithm}"
        return kinetic.SalesforceSession(token, "https://a.my.salesforce.com", "", "0")
"""

VAULT = """
ASKED, ANSWERS = [], []

@attrs.frozen
class RemoteKey:
    algorithm: str = "RS256"
    key_id: str = "key-7"

    def sign(self, message):
        return b"signature"

class Vault:
    @kinetic.hookimpl
    def load_key(self, reference):
        ASKED.append(reference)
        answer = ANSWERS[0]
        if isinstance(answer, Exception):
            raise answer
        return RemoteKey() if answer == "signer" else answer
"""


@pytest.fixture
def vault(install: Install) -> Any:
    """A key loader of the scheme `vault`, and a provider `fake` that prints its arguments."""
    install("fake-provider", PROVIDER, {"authenticators": {"fake": "fake_provider:Provider"}})
    install("vault-loader", VAULT, {"key_loaders": {"vault": "vault_loader:Vault"}})
    return importlib.import_module("vault_loader")


URI = "vault://prod/sf?region=eu#key"


def test_a_key_loader_receives_the_reference_at_login_and_not_before(vault: Any) -> None:
    vault.ANSWERS.append(b"canary-key\r\n")
    source = kinetic.resolve("fake", key=URI)
    assert vault.ASKED == []
    assert [(each.value, each.secret) for each in source.explain()[:-6]] == [(URI, True)]
    assert source.session().access_token == "canary-key"
    (reference,) = vault.ASKED
    assert isinstance(reference, kinetic.Reference)
    assert (reference.scheme, reference.rest, dict(reference.query), reference.field) == (
        "vault",
        "prod/sf",
        {"region": "eu"},
        "key",
    )
    assert str(reference) == URI


def test_a_secret_that_was_rotated_is_used_by_the_next_login(vault: Any) -> None:
    source = kinetic.resolve("fake", key=URI)
    for secret in (b"one", b"one", b"two"):
        vault.ANSWERS[:] = [secret]
        assert source.authenticate().access_token == secret.decode()
    assert len(vault.ASKED) == 3


def test_a_key_loader_may_return_a_signer(vault: Any) -> None:
    vault.ANSWERS.append("signer")
    assert kinetic.resolve("fake", key=URI).session().access_token == "signed by key-7 with RS256"


def test_a_secret_that_looks_like_a_reference_is_not_resolved_again(vault: Any) -> None:
    vault.ANSWERS.append(b"vault://another")
    assert kinetic.resolve("fake", key=URI).session().access_token == "vault://another"
    assert len(vault.ASKED) == 1


@pytest.mark.parametrize(
    ("answer", "kind"), [(None, "NoneType"), (7, "int"), ({"key": "canary"}, "dict"), ([b"x"], "list")]
)
def test_an_invalid_result_is_a_key_load_error_that_names_reference_and_setting(
    vault: Any, answer: object, kind: str
) -> None:
    vault.ANSWERS.append(answer)
    with pytest.raises(kinetic.KeyLoadError) as caught:
        kinetic.resolve("fake", key=URI).session()
    assert str(caught.value) == (
        f"key (from keyword): {URI}: its key loader returned {kind}, neither bytes nor a Signer."
    )


def test_bytes_that_are_not_utf_8_are_a_key_load_error(vault: Any) -> None:
    vault.ANSWERS.append(b"canary\xff")
    with pytest.raises(
        kinetic.KeyLoadError, match=r"key \(from keyword\): .*: the secret is not UTF-8 text\."
    ) as caught:
        kinetic.resolve("fake", key=URI).session()
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_error_of_a_key_loader_becomes_a_key_load_error_with_its_cause(vault: Any) -> None:
    vault.ANSWERS.append(LookupError("no such secret"))
    with pytest.raises(kinetic.KeyLoadError) as caught:
        kinetic.resolve("fake", key=URI).session()
    assert str(caught.value) == f"key (from keyword): {URI}: the key loader raised LookupError: no such secret"
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_kinetic_auth_error_gets_the_setting_as_prefix(vault: Any) -> None:
    vault.ANSWERS.append(kinetic.KeyLoadError("The vault is sealed.", remedy="Unseal it."))
    with pytest.raises(
        kinetic.KeyLoadError, match=r"^key \(from keyword\): The vault is sealed\. Remedy: Unseal it\.$"
    ):
        kinetic.resolve("fake", key=URI).session()


def test_the_chain_of_a_kinetic_auth_error_holds_no_request(vault: Any) -> None:
    error = kinetic.KeyLoadError("The vault is sealed.")
    error.__cause__ = requests.ConnectionError("no way", request=requests.Request("POST", "http://v", data="canary"))
    vault.ANSWERS.append(error)
    with pytest.raises(kinetic.KeyLoadError) as caught:
        kinetic.resolve("fake", key=URI).session()
    assert type(caught.value.__cause__).__name__ == "LibraryError"
    assert "no way" in str(caught.value.__cause__)


def test_a_secret_that_the_setting_refuses_is_a_configuration_error_when_logging_in(
    install: Install, vault: Any
) -> None:
    vault.ANSWERS.append(b"")
    with pytest.raises(kinetic.ConfigurationError, match=r"password \(from keyword\): is empty"):
        kinetic.resolve("password", client_id="c", client_secret="s", username="u", password=URI).session()


def test_a_loader_may_be_a_module(install: Install, vault: Any) -> None:
    install(
        "plain",
        "@kinetic.hookimpl\ndef load_key(reference):\n    return reference.rest.encode()\n",
        {"key_loaders": {"plain": "plain"}},
    )
    assert kinetic.resolve("fake", key="plain://the-key").session().access_token == "the-key"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('not today')\n", "does not import: RuntimeError: not today"),
        ("class Loader:\n    def load_key(self, reference):\n        pass\n", "implements no hook"),
        ("class Loader:\n    @kinetic.hookimpl\n    def load_keys(self):\n        pass\n", "unknown hook 'load_keys'"),
        ("class Loader:\n    @kinetic.hookimpl\n    def load_key(self, uri):\n        pass\n", "uri"),
        (
            "class Loader:\n    def __init__(self):\n        raise LookupError('no home')\n",
            "cannot be instantiated: LookupError: no home",
        ),
    ],
)
def test_a_key_loader_that_does_not_fit_is_an_error_of_resolve(
    install: Install, vault: Any, source: str, why: str
) -> None:
    install("unfit", source, {"key_loaders": {"unfit": "unfit:Loader"}})
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("fake", key="unfit://x")
    assert "key (from keyword): the plugin 'unfit' of unfit 1.0 (unfit:Loader)" in str(caught.value)
    assert why in str(caught.value)


def test_a_scheme_that_two_distributions_claim_is_an_error_of_resolve(install: Install, vault: Any) -> None:
    install("other-vault", VAULT, {"key_loaders": {"vault": "other_vault:Vault"}})
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("fake", key=URI)
    assert (
        "key (from keyword): the name 'vault' in kinetic_auth.key_loaders is claimed by more than one package"
        in str(caught.value)
    )
    assert "other-vault 1.0" in str(caught.value)
    assert "vault-loader 1.0" in str(caught.value)


def test_resolving_imports_only_the_loader_that_a_reference_names(install: Install, vault: Any) -> None:
    install("lazy", VAULT, {"key_loaders": {"lazy": "lazy:Vault"}})
    kinetic.resolve("fake", key="vault://x")
    assert "lazy" not in sys.modules


CAREFUL = """
LOOKED = []

class Vault:
    @kinetic.hookimpl
    def load_key(self, reference):
        return b"canary-key"

    @kinetic.hookimpl
    def check_reference(self, reference):
        LOOKED.append(str(reference))
        if reference.rest == "broken":
            raise LookupError("no such shelf")
        if reference.rest != "shelf":
            raise kinetic.KeyLoadError(f"{reference}: there is no {reference.rest}.", remedy="Write careful://shelf.")
"""


@pytest.fixture
def careful(install: Install, vault: Any) -> Any:
    """A key loader of the scheme `careful`, which checks references."""
    install("careful-loader", CAREFUL, {"key_loaders": {"careful": "careful_loader:Vault"}})
    return importlib.import_module("careful_loader")


def test_a_key_loader_may_check_a_reference_in_resolve(careful: Any) -> None:
    source = kinetic.resolve("fake", key="careful://shelf#key")
    assert careful.LOOKED == ["careful://shelf#key"]
    assert source.session().access_token == "canary-key"
    assert careful.LOOKED == ["careful://shelf#key"]


def test_the_key_loaders_problem_is_reported_with_all_others(careful: Any) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", password="careful://shelve", proxy="careful://", client_id="c", username="u")
    assert caught.value.problems == (
        "client_secret is missing: give it as keyword, in the config file, or as SF_CLIENT_SECRET",
        "proxy (from keyword): the reference 'careful://' names nothing after careful://",
        ("password (from keyword): careful://shelve: there is no shelve. Remedy: Write careful://shelf."),
    )


def test_any_other_error_of_a_key_loader_is_reported_with_its_name(careful: Any) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("fake", key="careful://broken")
    assert str(caught.value) == (
        "Cannot configure 'fake': key (from keyword): the plugin 'careful' of careful-loader 1.0 "
        "(careful_loader:Vault) raised LookupError in check_reference: no such shelf. "
        "Remedy: Update careful-loader, or report this to its authors."
    )


def test_a_check_that_fails_does_not_show_the_key_loaders_own_secret(
    install: Install, vault: Any, tmp_path: Path
) -> None:
    source = (
        "import attrs\n@attrs.frozen\nclass Loader:\n    token: str = kinetic.setting(help='Token.', secret=True)\n"
        "    @kinetic.hookimpl\n    def load_key(self): ...\n"
        "    @kinetic.hookimpl\n    def check_reference(self):\n        raise LookupError(f'no {self.token}')\n"
    )
    install("careless", source, {"key_loaders": {"careless": "careless:Loader"}})
    (tmp_path / "kinetic-auth.toml").write_text("[key_loaders.careless]\ntoken = 'canary-of-the-loader'\n")
    with pytest.raises(kinetic.ConfigurationError, match=r"LookupError in check_reference: no \*{8}\.") as caught:
        kinetic.resolve("fake", key="careless://x", config=tmp_path / "kinetic-auth.toml")
    assert "canary" not in repr((vars(caught.value), caught.value.args, caught.value.__cause__))


def test_a_key_loader_that_only_checks_is_refused(install: Install, vault: Any) -> None:
    source = "class Loader:\n    @kinetic.hookimpl\n    def check_reference(self):\n        pass\n"
    install("unfit", source, {"key_loaders": {"unfit": "unfit:Loader"}})
    with pytest.raises(kinetic.ConfigurationError, match=r"has no load_key\(\) that is marked with @kinetic_auth_core"):
        kinetic.resolve("fake", key="unfit://x")
