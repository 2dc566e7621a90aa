"""The fixtures for plugin authors: what they find and what they remove."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kinetic_auth_core.testing.leaks import secrets_in
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets, no_ambient_settings

__all__ = ["leaked_secrets", "no_ambient_settings"]  # fixtures from elsewhere

Leaked = Callable[..., list[str]]

CARELESS = """
def refuse(password):
    raise ValueError("no")

def quote(password):
    raise ValueError(f"wrong: {password}")

def keep(password):
    error = LookupError("no")
    error.request = {"body": password}
    raise error

def chain(password):
    try:
        quote(password)
    except ValueError:
        password = None
        raise RuntimeError("no") from None

def nest(password):
    inner = [ValueError("no", LookupError(password))]
    del password
    raise inner.pop()

def decode(password):
    raw = [password.encode() + b"\\xff"]
    del password
    raw.pop().decode()

def careful(password):
    del password
    raise ValueError("no")
"""


def raised_by(name: str, password: str, folder: Path) -> Exception:
    """What a function of another file raises."""
    path = folder / "careless.py"
    path.write_text(CARELESS)
    names: dict[str, Callable[[str], None]] = {}
    exec(compile(CARELESS, str(path), "exec"), names)  # noqa: S102 - the file above
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each raises another
        names[name](password)
    return caught.value


@pytest.mark.parametrize("name", ["refuse", "quote", "keep", "chain", "nest", "decode"])
def test_a_secret_is_found_wherever_a_reporter_could_print_it(
    name: str, leaked_secrets: Leaked, tmp_path: Path
) -> None:
    assert leaked_secrets(raised_by(name, "canary", tmp_path), "canary", "other") == ["canary"]


def test_the_tests_own_locals_do_not_count(leaked_secrets: Leaked, tmp_path: Path) -> None:
    assert leaked_secrets(raised_by("careful", "canary", tmp_path), "canary") == []


def test_the_beginning_of_any_line_of_a_key_counts(leaked_secrets: Leaked) -> None:
    key = (
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQ\n-----END PRIVATE KEY-----\n"
    )
    assert leaked_secrets("-----BEGIN PRIVATE KEY----- is where it begins", key) == []
    assert leaked_secrets("it holds EFAASCBKcwggSjAg...", key) == ["EFAASCBKcwggSjAg"]


def test_an_empty_log_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing is shown"):
        secrets_in("", "canary", is_test=lambda _: False)


def test_no_settings_of_the_machine_are_left(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for name in ("SF_USERNAME", "PROD_SF_PASSWORD", "KINETIC_AUTH_CONFIG", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("UNRELATED", "stays")
    request.getfixturevalue("no_ambient_settings")
    assert "canary" not in os.environ.values()
    assert os.environ["UNRELATED"] == "stays"
    assert Path.cwd() == tmp_path
