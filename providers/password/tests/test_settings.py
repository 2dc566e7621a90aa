"""The settings: their order, where they come from, and the messages for invalid ones."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import ConfigurationError
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_password import OAuthAuthenticator

POSITIONAL = ("client_id", "client_secret", "username", "password", "security_token", "login_url")
KEYWORDS = {
    "api_version",
    "connect_timeout",
    "read_timeout",
    "deadline",
    "proxy",
    "ca_bundle",
    "client_cert",
    "client_cert_key",
}
CANARIES = ("canary-password", "canary-token", "canary-client-secret")


def variables(settings: dict[str, Any]) -> dict[str, str]:
    return {f"SF_{name.upper()}": str(value) for name, value in settings.items()}


def test_the_arguments_have_the_order_of_the_reference_and_the_rest_are_keywords() -> None:
    parameters = inspect.signature(OAuthAuthenticator.__init__).parameters
    positional = [name for name, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert tuple(positional) == ("self", *POSITIONAL)
    assert {name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY} == KEYWORDS
    assert parameters["security_token"].default == ""
    assert parameters["login_url"].default == "https://login.salesforce.com"


def test_help_and_editors_see_the_arguments() -> None:
    assert tuple(inspect.signature(OAuthAuthenticator).parameters)[:6] == POSITIONAL


def test_the_arguments_can_be_given_by_position(settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    session = OAuthAuthenticator(*(settings[name] for name in POSITIONAL)).authenticate()
    assert sf.is_live(session.access_token)


def test_a_seventh_positional_argument_is_rejected() -> None:
    with pytest.raises(TypeError):
        OAuthAuthenticator("a", "b", "c", "d", "e", "https://f.example", "v62.0")  # type: ignore[call-arg]


def test_all_problems_are_reported_at_once_without_secrets(leaked: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OAuthAuthenticator(
            "",
            "canary-client-secret",
            "u@acme.com",
            "canary-password",
            b"canary-token",  # type: ignore[arg-type]
            "http://acme.my.salesforce.com",
        )
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "client_id",
        "security_token",
        "login_url",
    ]
    assert leaked(caught.value, *CANARIES) == []


@pytest.mark.parametrize("name", ["client_secret", "password", "security_token"])
@pytest.mark.parametrize("reference", ["env://SF_SECRET", "secret-manager://azure/vault/sf", "file:///run/secrets/sf"])
def test_a_reference_belongs_to_resolve_and_is_rejected_by_the_class(
    name: str, reference: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OAuthAuthenticator(**{**settings, name: reference})
    assert str(caught.value) == (
        f"Cannot make OAuthAuthenticator: {name}: is a reference, and references are for "
        "kinetic_auth_core.resolve(...); give the value itself"
    )


def test_from_env_reads_every_variable(
    settings: dict[str, Any], sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**variables(settings), "SF_API_VERSION": "60.0", "SF_DEADLINE": "12.5"}.items():
        monkeypatch.setenv(name, value)
    made = OAuthAuthenticator.from_env()
    assert made.deadline == 12.5
    session = made.authenticate()
    assert session.api_version == "v60.0"
    assert sf.is_live(session.access_token)


def test_from_env_does_without_token_and_login_url(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("client_id", "client_secret", "username", "password"):
        monkeypatch.setenv(f"SF_{name.upper()}", settings[name])
    made = OAuthAuthenticator.from_env()
    assert (made.security_token, made.login_url) == ("", "https://login.salesforce.com")


def test_from_env_reads_the_nearest_env_file_and_the_process_wins(
    settings: dict[str, Any], tmp_path: Path, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{name}={value}" for name, value in variables({**settings, "password": "of the file"}).items()]
    (tmp_path / ".env").write_text("\n".join(lines))
    (tmp_path / "jobs").mkdir()
    monkeypatch.chdir(tmp_path / "jobs")
    monkeypatch.setenv("SF_PASSWORD", settings["password"])
    session = OAuthAuthenticator.from_env().authenticate()
    assert sf.is_live(session.access_token)


def test_from_env_reports_all_missing_variables_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        OAuthAuthenticator.from_env()
    assert str(caught.value) == (
        "Cannot configure OAuthAuthenticator from the environment, 4 problems:\n"
        "  - client_id is missing: set SF_CLIENT_ID\n"
        "  - client_secret is missing: set SF_CLIENT_SECRET\n"
        "  - username is missing: set SF_USERNAME\n"
        "  - password is missing: set SF_PASSWORD"
    )


def test_an_empty_variable_counts_as_missing(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**variables(settings), "SF_PASSWORD": ""}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="password is missing"):
        OAuthAuthenticator.from_env()


def test_an_error_of_from_env_shows_no_secret(
    settings: dict[str, Any], leaked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**variables(settings), "SF_DEADLINE": "soon"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"deadline \(from SF_DEADLINE\)") as caught:
        OAuthAuthenticator.from_env()
    assert leaked(caught.value, *CANARIES) == []


def test_the_provider_resolves_by_its_name(settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    with kinetic.resolve("password", **settings) as source:
        assert sf.is_live(source.session().access_token)
        shown = {row.name: row.value for row in source.explain()}
    assert {shown[name] for name in ("client_secret", "password", "security_token")} == {"********"}


def test_the_core_hands_out_the_same_class() -> None:
    assert kinetic.OAuthAuthenticator is OAuthAuthenticator


def test_its_repr_shows_user_and_host_but_no_secret(settings: dict[str, Any]) -> None:
    made = OAuthAuthenticator(**settings)
    for shown in (repr(made), str(made), f"{made}"):
        assert "OAuthAuthenticator(" in shown
        assert settings["client_id"] in shown
        assert settings["username"] in shown
        assert settings["login_url"] in shown
        assert "canary" not in shown


@pytest.mark.parametrize("smuggled", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_cannot_be_pickled_and_the_error_says_what_to_do_instead(smuggled: Any, settings: dict[str, Any]) -> None:
    made = OAuthAuthenticator(**settings)
    with pytest.raises(TypeError, match="OAuthAuthenticator holds secrets and is not pickled; .*in the worker"):
        smuggled(made)


def test_a_login_logs_no_secret_at_any_level(
    settings: dict[str, Any], leaked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = OAuthAuthenticator(**settings).authenticate()
    assert leaked(caplog.text, *CANARIES, session.access_token, session.signature) == []
