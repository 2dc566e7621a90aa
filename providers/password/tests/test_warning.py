"""The warning about the end of this flow: once for each authenticator, with the alternatives."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_password import OAuthAuthenticator

LOGGER = "kinetic_auth_password.authenticator"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_the_warning_names_the_alternatives_the_user_and_the_host(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    OAuthAuthenticator(**settings).authenticate()
    (warning,) = warnings(caplog)
    assert "blocked by default in orgs created since Summer '23" in warning
    assert "'jwt-bearer' (kinetic-auth-jwt-bearer)" in warning
    assert "client credentials" in warning
    assert settings["username"] in warning
    assert settings["login_url"] in warning
    assert "canary" not in warning
    assert {record.levelno for record in caplog.records if record.name == LOGGER} == {logging.WARNING}


def test_an_authenticator_warns_once_however_often_it_logs_in(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    made = OAuthAuthenticator(**settings)
    for _ in range(3):
        made.authenticate()
    assert len(warnings(caplog)) == 1


def test_each_authenticator_warns(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        OAuthAuthenticator(**settings).authenticate()
    assert len(warnings(caplog)) == 2


def test_a_source_warns_once(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with kinetic.resolve("password", **settings) as source:
        source.authenticate()
        source.invalidate(source.session())
        source.session()
    assert len(warnings(caplog)) == 1


def test_constructing_an_authenticator_does_not_warn(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    OAuthAuthenticator(**settings)
    assert warnings(caplog) == []


def test_a_failed_login_warns_as_well(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(kinetic.AuthenticationError):
        OAuthAuthenticator(**{**settings, "password": "wrong"}).authenticate()
    assert len(warnings(caplog)) == 1


def test_threads_that_share_an_authenticator_all_log_in(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    made = OAuthAuthenticator(**settings)
    made.authenticate()
    tokens: list[str] = []
    threads = [threading.Thread(target=lambda: tokens.append(made.authenticate().access_token)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(tokens)) == 8
    assert len(warnings(caplog)) == 1
