"""The settings: their order, where they come from, and the messages for invalid ones."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import ConfigurationError
from kinetic_auth_core.testing import Alter, App, KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator

POSITIONAL = ("client_id", "username", "private_key", "private_key_path", "login_url")
DEFAULTS = {"private_key": None, "private_key_path": None, "login_url": "https://login.salesforce.com"}
KEYWORDS = {
    *("audience", "passphrase", "client_secret", "api_version", "connect_timeout", "read_timeout", "deadline"),
    *("proxy", "ca_bundle", "client_cert", "client_cert_key", "private_certificate_path"),
}


def test_the_arguments_have_the_order_of_the_reference_and_the_rest_are_keywords() -> None:
    parameters = inspect.signature(JWTAuthenticator.__init__).parameters
    positional = [name for name, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert tuple(positional) == ("self", *POSITIONAL)
    assert {name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY} == KEYWORDS
    assert {name: parameters[name].default for name in DEFAULTS} == DEFAULTS


def test_help_and_editors_see_the_arguments() -> None:
    assert tuple(inspect.signature(JWTAuthenticator).parameters)[:5] == POSITIONAL


def test_the_arguments_can_be_given_by_position(settings: dict[str, Any], keys: KeyPair, key_file: Path) -> None:
    client_id, username, url = settings["client_id"], settings["username"], settings["login_url"]
    assert JWTAuthenticator(client_id, username, keys.private_key_pem, None, url).authenticate().is_valid()
    assert JWTAuthenticator(client_id, username, None, str(key_file), url).authenticate().is_valid()


def test_a_sixth_positional_argument_is_rejected(keys: KeyPair) -> None:
    with pytest.raises(TypeError):
        JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem, None, "https://a.example", "https://b.example")  # type: ignore[call-arg]


def test_both_keys_exclude_each_other(keys: KeyPair) -> None:
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem, "server.key")
    assert str(caught.value) == (
        "Cannot make JWTAuthenticator: private_key and private_key_path exclude each other: give one of them"
    )


@pytest.mark.parametrize("given", [{}, {"private_key": None}, {"private_key": "", "private_key_path": ""}])
def test_a_missing_key_is_an_error(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", **given)
    assert str(caught.value) == (
        "Cannot make JWTAuthenticator: one of private_key or private_key_path is needed "
        "(as variable: SF_PRIVATE_KEY or SF_PRIVATE_KEY_PATH)"
    )


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("", 7, login_url="http://acme.my.salesforce.com", deadline=0)  # type: ignore[arg-type]
    assert len(caught.value.problems) == 5
    for name in ("client_id: is empty", "username: expected text", "login_url: is plain http", "deadline:"):
        assert name in str(caught.value)
    assert "one of private_key or private_key_path is needed" in str(caught.value)


@pytest.mark.parametrize("name", ["private_key", "passphrase", "client_secret"])
@pytest.mark.parametrize("reference", ["env://SF_KEY", "file:///run/secrets/key", "secret-manager://aws/sf#key"])
def test_a_reference_belongs_to_resolve_and_is_rejected_by_the_class(name: str, reference: str) -> None:
    given: dict[str, Any] = {name: reference} if name == "private_key" else {"private_key_path": "k", name: reference}
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator("3MVG9", "u@acme.com", **given)
    assert str(caught.value) == (
        f"Cannot make JWTAuthenticator: {name}: is a reference, and references are for "
        "kinetic_auth_core.resolve(...); give the value itself"
    )


def test_from_env_reads_every_setting(
    settings: dict[str, Any], key_file: Path, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        "SF_CLIENT_ID": settings["client_id"],
        "SF_USERNAME": settings["username"],
        "SF_PRIVATE_KEY_PATH": str(key_file),
        "SF_LOGIN_URL": sf.url + "/",
        "SF_API_VERSION": "61",
        "SF_PASSPHRASE": "canary",
        "SF_CLIENT_SECRET": "canary too",
        "SF_CONNECT_TIMEOUT": "1.5",
        "SF_READ_TIMEOUT": "2",
        "SF_DEADLINE": "3",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = JWTAuthenticator.from_env()
    assert (made.client_id, made.username, made.login_url) == tuple(settings.values())
    assert (made.passphrase, made.client_secret) == ("canary", "canary too")
    assert (made.connect_timeout, made.read_timeout, made.deadline) == (1.5, 2.0, 3.0)
    assert made.private_key is None
    session = made.authenticate()
    assert session.api_version == "v61.0"
    assert sf.is_live(session.access_token)


def test_from_env_takes_the_key_as_text(
    settings: dict[str, Any], keys: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_CLIENT_ID", settings["client_id"])
    monkeypatch.setenv("SF_USERNAME", settings["username"])
    monkeypatch.setenv("SF_LOGIN_URL", settings["login_url"])
    monkeypatch.setenv("SF_PRIVATE_KEY", keys.private_key_pem)
    assert JWTAuthenticator.from_env().authenticate().is_valid()


def test_from_env_reads_a_file_that_is_named_and_the_process_wins(
    settings: dict[str, Any], key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = tmp_path / "sandbox.env"
    env_file.write_text(
        f"SF_CLIENT_ID=of the file\nSF_USERNAME={settings['username']}\nSF_PRIVATE_KEY_PATH={key_file}\n"
        f"SF_LOGIN_URL={settings['login_url']}\n"
    )
    monkeypatch.setenv("SF_CLIENT_ID", settings["client_id"])
    assert JWTAuthenticator.from_env(env_file).authenticate().is_valid()


def test_from_env_reports_all_missing_variables_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator.from_env()
    assert str(caught.value).startswith("Cannot configure JWTAuthenticator from the environment, 3 problems:")
    for variable in ("SF_CLIENT_ID", "SF_USERNAME", "SF_PRIVATE_KEY_PATH"):
        assert variable in str(caught.value)
    assert "SF_LOGIN_URL" not in str(caught.value)


def test_from_env_names_both_variables_of_keys_that_exclude_each_other(
    keys: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_CLIENT_ID", "3MVG9")
    monkeypatch.setenv("SF_USERNAME", "u@acme.com")
    monkeypatch.setenv("SF_PRIVATE_KEY", keys.private_key_pem)
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", "server.key")
    with pytest.raises(ConfigurationError) as caught:
        JWTAuthenticator.from_env()
    assert "exclude each other" in str(caught.value)
    assert "private_key from SF_PRIVATE_KEY, private_key_path from SF_PRIVATE_KEY_PATH" in str(caught.value)


def test_the_provider_resolves_by_its_name(settings: dict[str, Any], key_file: Path, sf: SalesforceEmulator) -> None:
    source = kinetic.resolve("jwt-bearer", **settings, private_key_path=key_file)
    with source:
        assert sf.is_live(source.session().access_token)
    rows = {row.name: row for row in source.explain()}
    assert rows["audience"].value == sf.url
    assert rows["audience"].source == "default"


def test_the_core_hands_out_the_same_class() -> None:
    assert kinetic.JWTAuthenticator is JWTAuthenticator


def test_a_signature_is_checked_where_the_client_secret_is_known(
    settings: dict[str, Any], keys: KeyPair, app: App, sf: SalesforceEmulator
) -> None:
    made = JWTAuthenticator(**settings, private_key=keys.private_key_pem, client_secret=app.client_secret)
    assert made.authenticate().is_valid()  # the answer of this flow has none
    sf.break_transport(Alter({"signature": "bm90IHRoZSByaWdodCBvbmU="}))
    with pytest.raises(kinetic.SessionRejectedError, match="the signature of the answer is wrong"):
        made.authenticate()


def test_close_closes_the_connection_and_the_next_login_opens_another(
    settings: dict[str, Any], keys: KeyPair, sf: SalesforceEmulator
) -> None:
    made = JWTAuthenticator(**settings, private_key=keys.private_key_pem)
    made.close()
    made.authenticate()
    made.authenticate()
    made.close()
    made.authenticate()
    made.close()
    connections = [request.connection for request in sf.requests]
    assert connections[0] == connections[1] != connections[2]


def test_it_is_frozen(keys: KeyPair) -> None:
    made = JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem)
    with pytest.raises(AttributeError):
        made.username = "other@acme.com"  # type: ignore[misc]  # what is tested


def test_its_repr_shows_user_and_host_but_no_secret(keys: KeyPair) -> None:
    made = JWTAuthenticator(
        "3MVG9.key",
        "u@acme.com",
        keys.private_key_pem,
        passphrase="canary-passphrase",
        client_secret="canary-secret",
        proxy="http://user:canary-proxy@proxy.example:3128",
    )
    for shown in (repr(made), str(made), f"{made}"):
        assert "JWTAuthenticator(" in shown
        assert "3MVG9.key" in shown
        assert "u@acme.com" in shown
        assert "https://login.salesforce.com" in shown
        assert "canary" not in shown
        assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize("smuggled", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_cannot_be_pickled_and_the_error_says_what_to_do_instead(smuggled: Any, keys: KeyPair) -> None:
    made = JWTAuthenticator("3MVG9", "u@acme.com", keys.private_key_pem)
    with pytest.raises(
        TypeError, match="JWTAuthenticator holds secrets and is not pickled; .*resolve it in the worker"
    ):
        smuggled(made)
