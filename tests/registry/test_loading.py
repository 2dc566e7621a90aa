"""The registry with the published providers: the list, the suggestions, and that loading is cheap."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.registry.discovery import (
    AUTHENTICATORS,
    KEY_LOADERS,
    PUBLISHED,
    SESSION_STORES,
    find,
    installed,
    unknown,
)
from kinetic_auth_core.registry.loading import load_authenticator

HEAVY = ["boto3", "click", "cryptography", "jose", "requests", "rich", "urllib3"]
LOGIN = {"client_id": "key", "username": "ada@acme.com"}


def run(script: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    assert done.stderr == ""
    return done.stdout


def test_our_providers_are_listed_with_their_distributions() -> None:
    listed = {plugin.name: (plugin.distribution, plugin.target) for plugin in installed(AUTHENTICATORS)}
    assert listed["jwt-bearer"] == ("kinetic-auth-jwt-bearer", "kinetic_auth_jwt_bearer:JWTAuthenticator")
    assert listed["password"] == ("kinetic-auth-password", "kinetic_auth_password:OAuthAuthenticator")
    assert list(listed) == sorted(listed)


def test_a_listed_provider_can_be_loaded() -> None:
    plugin, cls = load_authenticator("password")
    assert plugin == find(AUTHENTICATORS, "password")
    assert cls is kinetic.OAuthAuthenticator


def test_kinetic_cores_names_load_the_providers_classes() -> None:
    from kinetic_auth_core import JWTAuthenticator, OAuthAuthenticator

    assert JWTAuthenticator.__module__.startswith("kinetic_auth_jwt_bearer")
    assert OAuthAuthenticator.__module__.startswith("kinetic_auth_password")


def test_the_error_for_an_unknown_name_lists_what_is_installed_and_guesses_no_package() -> None:
    with pytest.raises(kinetic.UnknownProviderError) as caught:
        kinetic.resolve("nope")
    assert str(caught.value).startswith("no provider 'nope' is installed; installed: ")
    assert "jwt-bearer" in str(caught.value)
    assert "password" in str(caught.value)
    assert "pip" not in str(caught.value)
    assert caught.value.remedy == ""
    assert isinstance(caught.value, LookupError)


def test_a_similar_name_is_suggested() -> None:
    with pytest.raises(
        kinetic.UnknownProviderError, match=r"no provider 'jwt_bearer' is installed \(did you mean 'jwt-bearer'\?\)"
    ):
        kinetic.resolve("jwt_bearer")


@pytest.mark.parametrize(
    ("name", "suggested"), [("JWT-Bearer", "jwt-bearer"), ("jwt", "jwt-bearer"), ("kinetic-auth-password", "password")]
)
def test_a_name_in_capitals_a_part_of_one_and_a_distributions_name_are_understood(name: str, suggested: str) -> None:
    with pytest.raises(kinetic.UnknownProviderError, match=rf"did you mean '{suggested}'\?"):
        kinetic.resolve(name)


KINDS = {AUTHENTICATORS: "provider", KEY_LOADERS: "key loader", SESSION_STORES: "session store"}


@pytest.mark.parametrize(
    ("group", "name", "package"),
    [(group, name, package) for group, names in PUBLISHED.items() for name, package in names.items()],
)
def test_a_published_name_says_what_to_install(group: str, name: str, package: str) -> None:
    error = unknown(group, name, [])
    assert error.remedy == f"pip install {package}"
    assert f"{KINDS[group]} {name!r} is installed; installed: none." in error.message


@pytest.mark.parametrize("name", ["Password", "kinetic-auth-password", "../password", "", "password ", "redis"])
def test_a_name_that_resembles_a_published_one_gets_no_hint(name: str) -> None:
    with pytest.raises(kinetic.UnknownProviderError) as caught:
        find(AUTHENTICATORS, name)
    assert "pip install" not in str(caught.value)


def test_importing_the_core_imports_no_heavy_module() -> None:
    script = f"import json, sys, kinetic_auth_core; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    assert json.loads(run(script)) == []


@pytest.mark.parametrize(
    ("provider", "settings"),
    [("jwt-bearer", {"private_key_path": "key.pem"}), ("password", {"client_secret": "s", "password": "p"})],
)
def test_inspecting_a_configuration_imports_no_heavy_module(provider: str, settings: dict[str, str]) -> None:
    script = (
        "import json, sys, kinetic_auth_core\n"
        "from kinetic_auth_core.resolution.inspection import inspect, keyword_layer\n"
        f"assert inspect({provider!r}, keywords=keyword_layer({LOGIN | settings})).spec\n"
        f"print(json.dumps([m for m in {HEAVY} if m in sys.modules]))\n"
    )
    assert json.loads(run(script)) == []


def test_resolving_imports_only_the_provider_that_was_asked_for() -> None:
    script = (
        "import sys, kinetic_auth_core\n"
        f"kinetic_auth_core.resolve('password', client_secret='s', password='p', **{LOGIN})\n"
        "print([name for name in sys.modules if name in ('kinetic_auth_jwt_bearer', 'kinetic_auth_password')])\n"
    )
    assert run(script) == "['kinetic_auth_password']\n"


def test_one_resolve_searches_the_installed_packages_once(monkeypatch: pytest.MonkeyPatch) -> None:
    search, searches = importlib.metadata.entry_points, []

    def counted(**wanted: str) -> Any:
        searches.append(wanted)
        return search(**wanted)

    monkeypatch.setattr(importlib.metadata, "entry_points", counted)
    secrets = {"client_secret": "kms://aws/secret", "password": "secret-manager://aws/password"}
    kinetic.resolve("password", store={"name": "file", "path": "sessions"}, **LOGIN, **secrets)
    assert len(searches) == 1


def test_a_home_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    """No user, not even root, can create a folder below a file."""
    file = tmp_path / "file"
    file.write_text("")
    script = (
        "import warnings; warnings.simplefilter('error')\n"
        "import logging; logging.basicConfig(level='WARNING')\n"
        "import kinetic_auth_core\n"
        f"print(kinetic_auth_core.resolve('password', client_secret='s', password='p', **{LOGIN}))\n"
    )
    home = str(file / "home")
    output = run(script, HOME=home, XDG_CACHE_HOME=f"{home}/.cache", XDG_CONFIG_HOME=f"{home}/.config")
    assert output == "SessionSource(provider='password', environment=None)\n"


def test_the_users_cache_stays_empty(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    run(
        f"import kinetic_auth_core as kinetic; kinetic.resolve('password', client_secret='s', password='p', **{LOGIN})",
        XDG_CACHE_HOME=str(cache),
    )
    assert list(cache.rglob("*")) == []
