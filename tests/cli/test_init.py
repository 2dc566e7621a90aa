"""`kinetic-auth init`: what it asks, and that what it writes logs in once its variables are set."""

import json
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.registry.discovery import AUTHENTICATORS, installed
from kinetic_auth_core.testing import KeyPair

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

PROVIDERS = sorted({each.name for each in installed(AUTHENTICATORS)})
HOST = "https://acme.my.salesforce.com"


@pytest.fixture
def values(keys: KeyPair) -> Callable[[str], str]:
    """A value for each variable of `.env.example`, as its user would set it."""

    def value(name: str) -> str:
        if name.endswith("_FILE"):
            Path("the-secret").write_text(value(name.removesuffix("_FILE")))
            return "the-secret"
        if name.endswith("PRIVATE_KEY_PATH"):
            Path("server.key").write_text(keys.private_key_pem)
            return "server.key"
        if name.endswith("PRIVATE_KEY"):
            return keys.private_key_pem
        return HOST if name.endswith("_URL") else "canary-value"

    return value


def check(run: Run, monkeypatch: pytest.MonkeyPatch, value: Callable[[str], str]) -> None:
    """Set the variables of `.env.example`, and have the configuration checked."""
    example = Path(".env.example").read_text("utf-8")
    names = re.findall(r"^(\w+)=$", example, re.MULTILINE)
    for name in names:
        monkeypatch.setenv(name, value(name))
    outcome = run("config", "check", "--all-environments")
    assert outcome.code == 0, outcome.err
    for name in names:
        monkeypatch.delenv(name)
        assert run("config", "check").code == 2, f"{name} is not needed"
        monkeypatch.setenv(name, value(name))


@pytest.mark.parametrize("secrets", ["variables", "file"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_it_writes_passes_the_check_once_the_variables_are_set(
    run: Run, monkeypatch: pytest.MonkeyPatch, values: Callable[[str], str], provider: str, secrets: str
) -> None:
    outcome = run("init", "--provider", provider, "--secrets", secrets)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("kinetic-auth.toml\n.env.example\n.gitignore\n\nNext:\n")
    document = tomllib.loads(Path("kinetic-auth.toml").read_text("utf-8"))
    assert document["default_environment"] == "prod"
    assert document["environments"]["prod"]["provider"] == provider
    assert Path(".gitignore").read_text() == ".env\n"
    check(run, monkeypatch, values)


def test_the_variables_of_a_key_loader_hold_references(
    run: Run, monkeypatch: pytest.MonkeyPatch, values: Callable[[str], str]
) -> None:
    assert run("init", "--provider", "password", "--secrets", "secret-manager").code == 0
    example = Path(".env.example").read_text("utf-8")
    assert "# The reference secret-manager://... of this secret: The user's password.\nPROD_SF_PASSWORD=" in example

    def value(name: str) -> str:
        is_secret = name.endswith(("SECRET", "PASSWORD"))
        return "secret-manager://aws/prod?region=eu-west-1#x" if is_secret else values(name)

    check(run, monkeypatch, value)


def test_a_strangers_provider_is_treated_alike(
    run: Run, monkeypatch: pytest.MonkeyPatch, publish: Callable[..., None]
) -> None:
    publish(
        "acme-sso",
        "acme-sso",
        "acme_sso_of_init:Sso",
        "import attrs, kinetic_auth_core as kinetic\n"
        "@attrs.frozen\n"
        "class Sso:\n"
        "    sso_url: str = kinetic.url_setting(help='Where to ask.', env='SSO_URL')\n"
        "    ticket: str = kinetic.setting(help='The ticket.', secret=True)\n"
        "    extra: str | None = kinetic.setting(None, help='Another secret.', secret=True)\n"
        "    @kinetic.hookimpl\n"
        "    def authenticate(self): ...\n",
    )
    assert run("init", "--provider", "acme-sso", "-e", "eu-west").code == 0
    text = Path("kinetic-auth.toml").read_text("utf-8")
    assert '# Where to ask.\nsso_url = "${EU_WEST_SSO_URL}"\n' in text
    assert '# Another secret.\n# extra = "${EU_WEST_SF_EXTRA}"\n' in text
    check(run, monkeypatch, lambda name: HOST if name.endswith("URL") else "canary")


def test_options_take_the_place_of_questions(run: Run) -> None:
    outcome = run(
        *("-e", "uat", "init", "--provider", "jwt-bearer", "--login-url", "HTTPS://Test.Salesforce.com/"),
        *("--set", "client_id=3MVG9", "--set", "username=a@acme.example", "--set", "private_key=env://UAT_KEY"),
        *("--output", "deploy"),
    )
    assert outcome.code == 0, outcome.err
    assert tomllib.loads(Path("deploy/kinetic-auth.toml").read_text("utf-8"))["environments"]["uat"] == {
        "provider": "jwt-bearer",
        "login_url": "https://test.salesforce.com",
        "client_id": "3MVG9",
        "username": "a@acme.example",
        "private_key": "env://UAT_KEY",
    }
    assert "  cd deploy\n" in outcome.out


class TestNeverASecret:
    @pytest.mark.parametrize("secret", ["canary-pass&word", "canary://x", "vault://canary"])
    def test_a_secret_is_refused_and_not_quoted(self, run: Run, secret: str) -> None:
        outcome = run("init", "--provider", "password", "--set", f"password={secret}")
        assert outcome.code == 2
        assert "password: is secret, and only the reference of a secret is written" in outcome.message
        assert "canary" not in outcome.out + outcome.err
        assert not Path("kinetic-auth.toml").exists()

    def test_the_environments_secrets_are_not_taken_over(self, run: Run, canary: str) -> None:
        assert run("init", "--provider", "password").code == 0
        written = "".join(path.read_text("utf-8") for path in Path().iterdir() if path.is_file())
        assert "canary" not in written


class TestFiles:
    @pytest.mark.parametrize("name", ["kinetic-auth.toml", ".env.example"])
    def test_existing_ones_stay_without_force(self, run: Run, name: str) -> None:
        Path(name).write_text("mine\n")
        outcome = run("init", "--provider", "sf-cli")
        assert outcome.code == 2
        assert f"{name} already exists, and may be in use." in outcome.message
        assert "replace the files with --force." in outcome.message
        assert [path.name for path in Path().iterdir() if path.is_file()] == [name]
        assert Path(name).read_text() == "mine\n"
        assert run("init", "--provider", "sf-cli", "--force").code == 0
        assert Path(name).read_text() != "mine\n"

    @pytest.mark.parametrize(
        ("before", "after"),
        [("*.pyc", "*.pyc\n.env\n"), ("*.pyc\n", "*.pyc\n.env\n"), ("/.env\n", "/.env\n"), (".env\n", ".env\n")],
    )
    def test_gitignore_keeps_its_lines(self, run: Run, before: str, after: str) -> None:
        Path(".gitignore").write_text(before)
        assert run("init", "--provider", "sf-cli").code == 0
        assert Path(".gitignore").read_text() == after

    def test_they_can_be_committed_and_are_trusted_when_found(self, run: Run) -> None:
        run("init", "--provider", "sf-cli")
        assert stat.S_IMODE(Path("kinetic-auth.toml").stat().st_mode) == 0o644

    def test_json_names_files_and_variables(self, run: Run) -> None:
        document = json.loads(run("init", "--provider", "client-credentials", "--json").out)
        assert document == {
            "provider": "client-credentials",
            "environment": "prod",
            "files": ["kinetic-auth.toml", ".env.example", ".gitignore"],
            "variables": ["PROD_SF_CLIENT_ID", "PROD_SF_CLIENT_SECRET", "PROD_SF_LOGIN_URL"],
        }


class TestMistakes:
    @pytest.mark.parametrize(
        ("args", "problem"),
        [
            ((), "which login? Installed are: "),
            (("--provider", "nosuch"), "no provider 'nosuch' is installed"),
            (("--provider", "password", "-e", "2 x"), "the name of an environment has letters"),
            (("--provider", "password", "--secrets", "vault"), "secrets live in one of: variables, file"),
            (
                ("--provider", "password", "--set", "usrname=x"),
                "no such setting (did you mean 'username'?)",
            ),
            (("--provider", "password", "--login-url", "http://acme.example"), "login_url: "),
            (("--provider", "password", "--login-url", "https://acme.my.salesforce.co"), "looks like a misspelling"),
            (("--provider", "sf-cli", "--login-url", HOST), "login_url: 'sf-cli' has no such setting"),
        ],
    )
    def test_they_are_reported_and_nothing_is_written(self, run: Run, args: tuple[str, ...], problem: str) -> None:
        outcome = run("init", *args)
        assert outcome.code == 2
        assert problem in outcome.message
        assert not Path("kinetic-auth.toml").exists()


class TestQuestions:
    def test_a_terminal_is_asked_until_the_answers_fit(self, on_terminal: Run) -> None:
        number = str(PROVIDERS.index("jwt-bearer") + 1)
        answers = (
            *("99", number, "", "3MVG9", "", "https://acme.lightning.force.com", "https://acme.my.salesforce.com"),
            *("secret-manager", "canary", "secret-manager://aws/prod?region=eu-west-1#key"),
        )
        outcome = on_terminal("init", answers=answers)
        shown = outcome.terminal
        assert outcome.code == 0, shown
        assert "Which login is yours?" in shown
        assert "'99' is not one of them" in shown
        assert "login_url" in shown
        assert tomllib.loads(Path("kinetic-auth.toml").read_text("utf-8"))["environments"]["prod"] == {
            "provider": "jwt-bearer",
            "client_id": "3MVG9",
            "username": "${PROD_SF_USERNAME}",
            "login_url": "https://acme.my.salesforce.com",
            "private_key": "secret-manager://aws/prod?region=eu-west-1#key",
        }

    def test_a_process_that_forbids_questions_is_not_asked(self, on_terminal: Run) -> None:
        outcome = on_terminal("init", "--provider", "password", env={"KINETIC_AUTH_INTERACTIVE": "0"})
        assert (outcome.code, outcome.terminal) == (0, "")
