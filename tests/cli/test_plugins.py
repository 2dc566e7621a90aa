"""`kinetic-auth plugins`: the plugins of all four groups, whose they are, and whether they fit."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

SOURCE = """
import time
import kinetic_auth_core as kinetic

time.sleep(0.05)

class Loader:
    @kinetic.hookimpl
    def load_key(self, reference): ...

class Misspelt:
    @kinetic.hookimpl
    def session_isued(self): ...
"""


def rows(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    outcome = run("plugins", "--json")
    assert outcome.code == 0
    return {(row["kind"], row["name"]): row for row in json.loads(outcome.out)["plugins"]}


def test_the_plugins_of_all_groups_are_listed_with_their_owners(run: Run) -> None:
    found = rows(run)
    for kind, name, owner in (
        ("provider", "jwt-bearer", "kinetic-auth-jwt-bearer"),
        ("key-loader", "secret-manager", "kinetic-auth-secret-manager"),
        ("session-store", "redis", "kinetic-auth-redis-store"),
        ("session-store", "file", "kinetic-auth-core"),
    ):
        row = found[kind, name]
        assert (row["distribution"], row["version"]) == (owner, version(owner))
        assert (row["fits"], row["allowed"], row["error"], row["remedy"]) == (True, True, None, None)
        assert row["import_ms"] >= 0


def test_the_table_has_kind_name_owner_state_and_time(run: Run) -> None:
    lines = [line.split() for line in run("plugins").out.splitlines()]
    assert lines[0] == ["kind", "name", "distribution", "version", "state", "import"]
    [line] = [line for line in lines if line[:2] == ["provider", "password"]]
    assert line[2:5] == ["kinetic-auth-password", version("kinetic-auth-password"), "fits"]
    assert line[-1] == "ms"


@pytest.mark.parametrize(
    ("group", "kind", "target", "problem"),
    [
        ("authenticators", "provider", "Loader", "is not an attrs class"),
        ("key_loaders", "key-loader", "Misspelt", "unknown hook 'session_isued'"),
        ("session_stores", "session-store", "Loader", "is not a class derived from kinetic_auth_core.SessionStore"),
        ("observers", "observer", "Misspelt", "unknown hook 'session_isued'"),
        ("observers", "observer", "Nothing", "does not import"),
    ],
)
def test_one_that_does_not_fit_is_shown_with_the_reason(
    run: Run, publish: Run, group: str, kind: str, target: str, problem: str
) -> None:
    module = f"acme_{group}_{target.lower()}"
    publish("acme-things", "acme", f"{module}:{target}", SOURCE, group)
    row = rows(run)[kind, "acme"]
    assert (row["fits"], row["allowed"], row["group"]) == (False, True, f"kinetic_auth.{group}")
    assert problem in row["error"]
    outcome = run("plugins")
    assert outcome.code == 0
    [line] = [line for line in outcome.out.splitlines() if "acme-things" in line and "1.5" in line][:1]
    state = "does not import" if target == "Nothing" else "does not fit"
    assert re.split(r" {2,}", line)[4] == row["state"] == state
    assert problem in " ".join(outcome.out.split())


def test_the_time_is_that_of_the_import(run: Run, publish: Run) -> None:
    publish("acme-things", "acme", "acme_slow:Loader", SOURCE, "key_loaders")
    row = rows(run)["key-loader", "acme"]
    assert row["fits"]
    assert row["import_ms"] >= 50


def test_one_that_the_config_file_does_not_allow_is_not_imported(run: Run, publish: Run) -> None:
    publish("acme-things", "acme", "acme_refused:Loader", "raise RuntimeError('it was imported')", "key_loaders")
    Path("kinetic-auth.toml").write_text("allowed_plugins = ['kinetic-auth-jwt-bearer']\n")
    row = rows(run)["key-loader", "acme"]
    assert (row["fits"], row["allowed"], row["import_ms"]) == (False, False, None)
    assert "Add 'acme-things' to allowed_plugins" in row["remedy"]
    assert "it was imported" not in run("plugins").out


SETTINGS = """
import attrs
import kinetic_auth_core as kinetic

@attrs.frozen
class Audit:
    path: str = kinetic.setting(help="The file.")
    api_token: str = kinetic.setting("", help="A token.")
    token_url: str = kinetic.setting("", help="An address.")
    use_token: bool = kinetic.setting(True, help="Whether.")
    passphrase: str = kinetic.setting("", help="A passphrase.", secret=True)

    @kinetic.hookimpl
    def session_issued(self): ...
"""


def test_one_that_lacks_only_settings_of_the_deployment_fits(run: Run, publish: Run) -> None:
    publish("acme-things", "acme-audit", "acme_needs:Audit", SETTINGS, "observers")
    row = rows(run)["observer", "acme-audit"]
    assert (row["state"], row["fits"]) == ("needs settings", True)
    assert "needs path" in row["error"]
    assert "[observers.acme-audit]" in row["remedy"]
    assert run("plugins", "acme-audit").code == 0
    Path("kinetic-auth.toml").write_text("[observers.acme-audit]\npath = 'x'\n")
    assert rows(run)["observer", "acme-audit"]["state"] == "fits"
    Path("kinetic-auth.toml").write_text("[observers.acme-audit]\npath = 5\n")
    assert rows(run)["observer", "acme-audit"]["state"] == "needs settings"
    Path("kinetic-auth.toml").write_text("[observers.acme-audit]\nenabled = false\n")
    assert rows(run)["observer", "acme-audit"]["state"] == "switched off"


def test_a_setting_that_is_called_like_a_secret_is_a_warning(run: Run, publish: Run) -> None:
    publish("acme-things", "acme-audit", "acme_warned:Audit", SETTINGS, "observers")
    [warning] = rows(run)["observer", "acme-audit"]["warnings"]
    assert warning.startswith("the setting 'api_token' of the plugin 'acme-audit' of acme-things 1.5")
    assert "declare it with secret=True" in " ".join(run("plugins", "acme-audit").out.split())
    assert [row for row in rows(run).values() if row["warnings"] and row["distribution"] != "acme-things"] == []


@pytest.mark.parametrize("name", ["acme", "acme-things", "acme-things:acme"])
def test_a_named_plugin_that_does_not_fit_has_an_exit_code(run: Run, publish: Run, name: str) -> None:
    publish("acme-things", "acme", "acme_named:Misspelt", SOURCE, "observers")
    outcome = run("plugins", name)
    assert outcome.code == 2
    assert "unknown hook 'session_isued'" in " ".join(outcome.out.split())
    assert "password" not in outcome.out
    outcome = run("plugins", name, "--json")
    assert outcome.code == 2
    assert [row["name"] for row in json.loads(outcome.out)["plugins"]] == ["acme"]
    assert run("plugins").code == 0
    assert run("plugins", "password").code == 0


def test_a_name_that_nothing_has_is_an_error(run: Run) -> None:
    outcome = run("plugins", "pasword")
    assert outcome.code == 2
    assert "no plugin or distribution 'pasword' is installed (did you mean 'password'?)." in outcome.message
    assert "Remedy: kinetic-auth plugins, without a name, lists what is installed." in outcome.message


def test_a_misspelt_group_is_shown(run: Run, publish: Run) -> None:
    publish("acme-bad", "bad-group", "acme_bad:Thing", "", "providers")
    sentence = "acme-bad registers bad-group in kinetic_auth.providers; did you mean kinetic_auth.authenticators?"
    assert f"Warning: {sentence}" in " ".join(run("plugins").out.split())
    assert json.loads(run("plugins", "--json").out)["misspelt_groups"] == [sentence]
    outcome = run("plugins", "bad-group")
    assert outcome.code == 2
    assert sentence in outcome.message


def test_the_states_and_the_exit_code_are_in_the_help(run: Run) -> None:
    text = " ".join(run("plugins", "--help").out.split())
    for state in ("fits", "needs settings", "does not import", "does not fit", "not allowed", "switched off"):
        assert f" {state} " in text
    assert "the exit code is 2 if one of them does not fit" in text
