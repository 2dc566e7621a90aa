"""`kinetic-auth providers`: installed, broken and installable providers, and their settings."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.registry.discovery import AUTHENTICATORS, PUBLISHED

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it


@pytest.fixture
def installed_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Hides all but these of our distributions from importlib.metadata."""
    import kinetic_auth_jwt_bearer  # noqa: F401 - what is imported stays so
    import kinetic_auth_password  # noqa: F401

    def leave(*names: str) -> None:
        site = tmp_path / "only"
        site.mkdir()
        for name in names:
            parts = {file.parts[0] for file in distribution(name).files or ()}
            [info] = [Path(str(distribution(name).locate_file(part))) for part in parts if part.endswith(".dist-info")]
            shutil.copytree(info, site / info.name)
        monkeypatch.setattr(sys, "path", [str(site)])

    return leave


def test_lists_what_is_installed_with_distribution_and_version(run: Run) -> None:
    outcome = run("providers")
    assert outcome.code == 0
    for name in ("jwt-bearer", "password"):
        package = f"kinetic-auth-{name}"
        assert outcome.table[name] == [package, version(package), "works"]
    assert "Not installed" not in outcome.out


def test_a_provider_that_does_not_import_is_shown_with_its_error_beside_the_others(run: Run, publish: Run) -> None:
    publish("acme-sso", "sso", "acme_sso_broken:Sso", "raise RuntimeError('no acme here')")
    outcome = run("providers")
    assert outcome.code == 0
    assert outcome.table["sso"] == ["acme-sso", "1.5", "does not import"]
    assert outcome.table["password"][-1] == "works"
    printed = " ".join(outcome.out.split())
    assert (
        "Error: the plugin 'sso' of acme-sso 1.5 (acme_sso_broken:Sso) does not import: RuntimeError: no acme here. "
        "Remedy: Update acme-sso, or report this to its authors." in printed
    )


def test_a_name_taken_twice_names_both_packages_once(run: Run, publish: Run) -> None:
    publish("acme-sso", "sso", "acme_sso:Sso")
    publish("other-sso", "sso", "other_sso:Sso")
    outcome = run("providers")
    printed = " ".join(outcome.out.split())
    assert outcome.code == 0
    assert [re.split(r" {2,}", line) for line in outcome.out.splitlines() if line.startswith("sso")] == [
        ["sso", "acme-sso", "1.5", "does not fit"],
        ["sso", "other-sso", "1.5", "does not fit"],
    ]
    assert printed.count("Error:") == 1
    assert "acme-sso 1.5 (acme_sso:Sso) and other-sso 1.5 (other_sso:Sso)" in printed
    assert 'Remedy: Uninstall all but one of them, or say whose you mean: "acme-sso:sso".' in printed


def test_a_published_provider_that_is_not_installed_has_its_pip_install(run: Run, installed_only: Run) -> None:
    installed_only("kinetic-auth-jwt-bearer")
    outcome = run("providers")
    assert outcome.table["jwt-bearer"][-1] == "works"
    assert outcome.table["password"] == ["pip install kinetic-auth-password"]
    assert "Not installed:" in outcome.out


def test_without_an_installed_provider_it_says_so(run: Run, installed_only: Run) -> None:
    installed_only()
    outcome = run("providers")
    assert outcome.out.startswith("No provider is installed.\n\nNot installed:\n")
    assert outcome.code == 0


def test_json_has_the_same(run: Run, installed_only: Run, publish: Run) -> None:
    installed_only("kinetic-auth-jwt-bearer")
    publish("acme-sso", "sso", "acme_sso_2:Sso", "raise RuntimeError('no acme here')")
    document = json.loads(run("providers", "--json").out)
    good, broken = document["providers"]
    assert good == {
        "name": "jwt-bearer",
        "distribution": "kinetic-auth-jwt-bearer",
        "version": good["version"],
        "target": "kinetic_auth_jwt_bearer:JWTAuthenticator",
        "error": None,
        "remedy": None,
    }
    assert broken["name"] == "sso"
    assert "no acme here" in broken["error"]
    assert broken["remedy"] == "Update acme-sso, or report this to its authors."
    assert {"name": "password", "install": "pip install kinetic-auth-password"} in document["not_installed"]
    assert {each["name"] for each in document["not_installed"]} == PUBLISHED[AUTHENTICATORS].keys() - {"jwt-bearer"}


def test_with_a_name_it_shows_the_settings(run: Run) -> None:
    outcome = run("providers", "jwt-bearer")
    assert outcome.code == 0
    assert outcome.out.startswith(f"jwt-bearer, of kinetic-auth-jwt-bearer {version('kinetic-auth-jwt-bearer')}\n")
    assert outcome.table["client_id"] == ["SF_CLIENT_ID", "(required)", "-", "Consumer Key of the app."]
    assert outcome.table["private_key"][:3] == [
        "SF_PRIVATE_KEY",
        "(one of private_key, private_key_path)",
        "secret",
    ]
    assert outcome.table["deadline"][:2] == ["SF_DEADLINE", "60.0"]


def test_the_settings_as_json(run: Run) -> None:
    document = json.loads(run("providers", "password", "--json").out)
    settings = {each.pop("name"): each for each in document.pop("settings")}
    assert document["distribution"] == "kinetic-auth-password"
    assert document["exactly_one_of"] == []
    assert settings["password"] == {
        "variable": "SF_PASSWORD",
        "required": True,
        "default": None,
        "secret": True,
        "help": "The user's password.",
    }
    assert settings["read_timeout"]["default"] == 30.0


def test_a_choice_is_shown_as_it_is_written(run: Run, publish: Run) -> None:
    source = (
        "import enum\nimport attrs\nimport kinetic_auth_core as kinetic\n\n\n"
        "class Mode(enum.Enum):\n    FAST = 'fast'\n\n\n"
        "@attrs.frozen\nclass Sso:\n    mode: Mode = kinetic.setting(default=Mode.FAST, help='The mode.')\n\n"
        "    @kinetic.hookimpl\n    def authenticate(self): ...\n"
    )
    publish("acme-sso", "sso", "acme_sso_choice:Sso", source)
    assert run("providers", "sso").table["mode"] == ["SF_MODE", "fast", "-", "The mode."]
    assert json.loads(run("providers", "sso", "--json").out)["settings"][0]["default"] == "fast"
    assert run("config", "show", "sso", "--all").table["mode"] == ["fast", "default"]


def test_the_settings_of_the_source_and_of_the_stores_are_listed_too(run: Run) -> None:
    outcome = run("providers", "password")
    assert outcome.table["login_budget"][:2] == ["SF_LOGIN_BUDGET", "1000"]
    assert "Of the session store 'file', of kinetic-auth-core" in outcome.out
    assert outcome.table["path"][0] == "SF_STORE_PATH"
    assert outcome.table["url"][:3] == ["SF_STORE_URL", "(required)", "secret"]
    document = json.loads(run("providers", "password", "--json").out)
    assert "lockout_guard" in {each["name"] for each in document["source_settings"]}
    stores = {each["name"]: each for each in document["stores"]}
    assert stores["redis"]["distribution"] == "kinetic-auth-redis-store"
    assert {each["variable"] for each in stores["file"]["settings"]} == {"SF_STORE_PATH", "SF_STORE_KEY"}


def test_a_provider_whose_sessions_are_not_stored_has_no_settings_of_stores(run: Run) -> None:
    outcome = run("providers", "sf-cli")
    assert "SF_STORE" not in outcome.out
    assert "Its sessions are kept in the memory of the process, whatever the store." in outcome.out
    assert json.loads(run("providers", "sf-cli", "--json").out)["stores"] == []


def test_json_names_the_groups_of_which_one_is_needed(run: Run) -> None:
    document = json.loads(run("providers", "jwt-bearer", "--json").out)
    assert document["exactly_one_of"] == [["private_key", "private_key_path"]]


def test_an_unknown_provider_is_reported_with_the_installed_ones(run: Run) -> None:
    outcome = run("providers", "jwt-barer")
    assert (outcome.code, outcome.out) == (2, "")
    installed = ", ".join(sorted(PUBLISHED[AUTHENTICATORS]))
    assert (
        f"no provider 'jwt-barer' is installed (did you mean 'jwt-bearer'?); installed: {installed}" in outcome.message
    )


def test_a_known_provider_that_is_not_installed_is_reported_with_its_pip_install(run: Run, installed_only: Run) -> None:
    installed_only("kinetic-auth-jwt-bearer")
    outcome = run("providers", "password")
    assert outcome.code == 2
    assert "Remedy: pip install kinetic-auth-password" in outcome.message


def test_more_than_one_name_is_a_usage_error(run: Run) -> None:
    outcome = run("providers", "jwt-bearer", "password")
    assert outcome.code == 2
    assert "give the name of one PROVIDER" in outcome.message


def test_one_that_the_config_file_does_not_allow_is_marked_and_not_imported(
    run: Run, installed_only: Run, publish: Run
) -> None:
    installed_only("kinetic-auth-jwt-bearer")
    publish("acme-sso", "sso", "acme_sso_3:Sso", "raise RuntimeError('it was imported')")
    Path("kinetic-auth.toml").write_text("allowed_plugins = ['kinetic-auth-jwt-bearer']\n")
    outcome = run("providers")
    assert outcome.table["jwt-bearer"][-1] == "works"
    assert next(line for line in outcome.out.splitlines() if line.startswith("sso")).endswith("  not allowed")
    assert "Add 'acme-sso' to allowed_plugins, if you trust it; otherwise uninstall it." in " ".join(
        outcome.out.split()
    )
    assert "it was imported" not in outcome.out
    assert run("providers", "sso").code == 2
