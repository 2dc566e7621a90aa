"""`explain()`: where each value came from, secrets masked, references unchanged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic

Write = Callable[..., Path]


def rows(source: kinetic.SessionSource) -> dict[str, kinetic.ExplainedSetting]:
    return {each.name: each for each in source.explain()}


def test_every_setting_has_a_row_with_its_exact_source(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        "default_environment = 'prod'\n[defaults]\nread_timeout = 9\n"
        "[environments.prod]\nprovider = 'password'\nclient_id = '${KEY}'\n"
    )
    dotenv = write("PROD_SF_CONNECT_TIMEOUT=3\nSF_DEADLINE=20\n", ".env")
    monkeypatch.setenv("KEY", "key")
    monkeypatch.setenv("PROD_SF_CLIENT_SECRET", "canary-secret")
    monkeypatch.setenv("SF_PASSWORD", "canary-word")
    found = rows(kinetic.resolve(username="ada@acme.com"))
    assert {name: each.source for name, each in found.items()} == {
        "login_url": "default",
        "api_version": "default",
        "connect_timeout": f"PROD_SF_CONNECT_TIMEOUT ({dotenv})",
        "read_timeout": f"{path}:defaults.read_timeout",
        "deadline": f"SF_DEADLINE ({dotenv})",
        "proxy": "default",
        "ca_bundle": "default",
        "client_cert": "default",
        "client_cert_key": "default",
        "client_id": f"{path}:environments.prod.client_id",
        "client_secret": "PROD_SF_CLIENT_SECRET",
        "username": "keyword",
        "password": "SF_PASSWORD",
        "security_token": "default",
        "session_lifetime": "default",
        "lockout_guard": "default",
        "login_budget": "default",
        "expected_org_id": "default",
        "allowed_instance_hosts": "default",
        "store": "default",
    }
    assert found["client_id"].value == "key"
    assert found["read_timeout"].value == 9
    assert found["login_url"].value == "https://login.salesforce.com"
    assert found["api_version"].value == "v62.0"


def test_secrets_are_masked_and_marked(login: dict[str, str]) -> None:
    found = rows(kinetic.resolve("password", **login, proxy="http://canary-user:canary-pass@proxy:3128"))
    assert {name for name, each in found.items() if each.secret} == {
        "client_secret",
        "password",
        "security_token",
        "proxy",
    }
    assert found["password"].value == found["client_secret"].value == found["proxy"].value == "********"
    assert found["security_token"].value == ""
    assert "canary" not in repr(found)


def test_a_missing_secret_is_not_masked(login: dict[str, str]) -> None:
    assert rows(kinetic.resolve("password", **login))["proxy"].value is None


def test_a_reference_is_displayed_unchanged(write: Write, login: dict[str, str]) -> None:
    del login["password"]
    write("[environments.prod]\nprovider = 'password'\npassword = 'env://SF_WORD#field'\n")
    found = rows(kinetic.resolve(environment="prod", **login))["password"]
    assert (found.value, found.secret) == ("env://SF_WORD#field", True)


def test_a_literal_that_looks_like_a_reference_is_a_secret_like_any_other(write: Write, login: dict[str, str]) -> None:
    del login["password"]
    write("[environments.prod]\nprovider = 'password'\npassword = { value = 'env://CANARY${' }\n")
    assert rows(kinetic.resolve(environment="prod", **login))["password"].value == "********"


def test_explain_works_for_an_instance_as_well(login: dict[str, str]) -> None:
    @attrs.frozen
    class ByHand:
        token: str = kinetic.setting(help="", secret=True)
        host: str = kinetic.setting("https://a.example.com", help="")

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return kinetic.SalesforceSession("t", "https://a.example.com", "", "0")

    found = rows(kinetic.SessionSource(ByHand(token="canary")))
    assert (found["host"].value, found["host"].source) == ("https://a.example.com", "default")
    assert (found["token"].value, found["token"].source) == ("********", "constructor")


def test_variables_that_are_set_and_passed_over_are_in_the_notes(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[environments.prod]\nprovider = 'password'\nread_timeout = 9\n[defaults]\ndeadline = 50\n")
    dotenv = write("PROD_SF_READ_TIMEOUT=8\nSF_DEADLINE=40\n", ".env")
    monkeypatch.setenv("PROD_SF_READ_TIMEOUT", "7")
    monkeypatch.setenv("SF_READ_TIMEOUT", "6")
    monkeypatch.setenv("SF_USERNAME", "ambient")
    monkeypatch.setenv("SF_API_VERSION", "61.0")
    rows = {row.name: row for row in kinetic.resolve(environment="prod", **login).explain()}
    assert (rows["read_timeout"].value, rows["read_timeout"].source) == (7.0, "PROD_SF_READ_TIMEOUT")
    assert rows["read_timeout"].note == f"set and passed over: PROD_SF_READ_TIMEOUT ({dotenv}), SF_READ_TIMEOUT"
    assert rows["deadline"].note == f"set and passed over: SF_DEADLINE ({dotenv})"
    assert (rows["username"].source, rows["username"].note) == ("keyword", "set and passed over: SF_USERNAME")
    assert (rows["api_version"].source, rows["api_version"].note) == ("SF_API_VERSION", "")


def test_a_variable_that_names_another_store_is_in_the_note(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[environments.prod]\nprovider = 'password'\nstore = 'memory'\n")
    dotenv = write("PROD_SF_STORE=\nSF_STORE=file\n", ".env")
    monkeypatch.setenv("SF_STORE", "file")

    def row(**given: Any) -> kinetic.ExplainedSetting:
        rows = kinetic.resolve(environment="prod", **login, **given).explain()
        return next(row for row in rows if row.name == "store")

    ambient = f"set and passed over: SF_STORE, SF_STORE ({dotenv})"
    assert row().note == ambient
    assert row(store=kinetic.MemoryStore()).note == ambient
    monkeypatch.setenv("PROD_SF_STORE", "memory")
    assert (row().source, row().note) == ("PROD_SF_STORE", ambient)
    assert row(store="memory").note == ambient.replace("SF_STORE", "PROD_SF_STORE, SF_STORE", 1)


def test_a_variable_that_a_setting_which_excludes_it_passes_over_is_in_the_note(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SF_PRIVATE_KEY_PATH", "/keys/ambient.key")
    monkeypatch.setenv("SF_PRIVATE_KEY", "canary-key")
    source = kinetic.resolve("jwt-bearer", client_id="key", username="ada", private_key="env://KEY")
    row = next(row for row in source.explain() if row.name == "private_key")
    assert row.note == "loaded by the core; set and passed over: SF_PRIVATE_KEY, SF_PRIVATE_KEY_PATH"


def test_a_file_that_is_missing_at_the_login_is_named_with_the_place_of_its_path(write: Write) -> None:
    path = write(
        "[environments.prod]\nprovider = 'jwt-bearer'\nclient_id = 'c'\nusername = 'u'\n"
        "private_key_path = 'server.kye'\n"
    )
    source = kinetic.resolve(environment="prod")
    with pytest.raises(kinetic.PrivateKeyNotFoundError) as caught:
        source.session()
    assert str(caught.value).startswith(
        f"private_key_path (from {path}:environments.prod.private_key_path): Private key not found: "
        f"{path.parent}/server.kye does not exist."
    )
    assert caught.value.filename == f"{path.parent}/server.kye"


def test_a_default_derived_from_another_setting_is_that_of_its_final_form() -> None:
    settings = {"client_id": "key", "username": "ada@acme.com", "private_key_path": "server.key"}
    source = kinetic.resolve("jwt-bearer", login_url="HTTPS://Acme.My.Salesforce.com:443/", **settings)
    rows = {row.name: row.value for row in source.explain()}
    assert rows["audience"] == rows["login_url"] == "https://acme.my.salesforce.com"
