"""`kinetic-auth config check` and `environments`: the mistakes of every environment, and their names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

GOOD = """
default_environment = "dev"

[environments.dev]
provider = "password"
login_url = "https://test.salesforce.com"
client_id = "3MVG9"
client_secret = "${DEV_SECRET}"
username = "dev@acme.example"
password = "env://DEV_PASSWORD"

[environments.prod]
provider = "jwt-bearer"
client_id = "3MVG9"
username = "integration@acme.example"
private_key_path = "server.key"
"""


def write(text: str = GOOD) -> None:
    Path("kinetic-auth.toml").write_text(text)


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    write()
    monkeypatch.setenv("DEV_SECRET", "canary-client-secret")
    monkeypatch.setenv("DEV_PASSWORD", "canary-pass&word+100%")


@pytest.mark.usefixtures("good")
class TestCheck:
    def test_a_right_one_is_ok(self, run: Run) -> None:
        outcome = run("config", "check")
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.table["dev"] == ["password", "ok"]
        assert "prod" not in outcome.table
        outcome = run("config", "check", "--all-environments")
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.table["dev"] == ["password", "ok"]
        assert outcome.table["prod"] == ["jwt-bearer", "ok"]
        assert outcome.has_no_secret()

    def test_every_mistake_of_every_environment_is_named_with_it(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DEV_SECRET")
        monkeypatch.delenv("DEV_PASSWORD")
        Path("server.key").unlink()
        write(
            GOOD
            + 'read_timeout = "soon"\nusrname = "x"\n\n[environments.nothing]\n\n[environments.qa]\nprovider = "sso"\n'
        )
        outcome = run("config", "check", "--all-environments")
        assert outcome.code == 2
        assert outcome.table["dev"] == ["password", "2 problems"]
        assert outcome.table["prod"] == ["jwt-bearer", "3 problems"]
        assert outcome.table["nothing"] == ["-", "1 problem"]
        assert outcome.table["qa"] == ["sso", "1 problem"]
        toml, key = Path("kinetic-auth.toml").absolute(), Path("server.key").absolute()
        for problem in (
            f"dev: client_secret (from {toml}:environments.dev.client_secret): the variable DEV_SECRET is not set",
            f"dev: password (from {toml}:environments.dev.password): the variable DEV_PASSWORD is not set",
            "prod: usrname (from",
            "prod: read_timeout (from",
            f"prod: private_key_path (from {toml}:environments.prod.private_key_path): {key} does not exist",
            "nothing: no provider was named",
            "qa: no provider 'sso' is installed",
        ):
            assert problem in outcome.message

    def test_only_the_chosen_one_is_checked_by_default(self, run: Run) -> None:
        Path("server.key").unlink()
        assert run("config", "check").code == 0
        assert run("config", "check", "prod").code == 2
        assert run("config", "check", "-e", "prod").code == 2
        assert run("config", "check", "-e", "prd").code == 2

    @pytest.mark.parametrize(
        ("setting", "problem"),
        [
            (
                'private_key = "vault://kv/salesforce"',
                "looks like a reference, and no installed key loader has its scheme",
            ),
            (
                'private_key = "secret-manger://aws/x"',
                "looks like a reference, and no installed key loader has its scheme",
            ),
            ('private_key = "file://nosuch.key"', "nosuch.key does not exist"),
            ('private_key = ["env://NO_SUCH_KEY", "file://server.key"]', "the variable NO_SUCH_KEY is not set"),
            ('private_key = "secret-manager://azur/x"', "azur"),
            ('private_key_path = "."', "is a folder"),
            ('private_key_path = "server.key"\nca_bundle = "nosuch.pem"', "nosuch.pem does not exist"),
            ('private_key_path = "server.key"\nstore = { name = "rediss" }', "rediss"),
            ('private_key_path = "server.key"\nlogin_url = "https://acme.my.salesforce.co"', "login_url"),
        ],
    )
    def test_files_references_and_stores_are_checked(self, run: Run, setting: str, problem: str) -> None:
        write(GOOD.replace('private_key_path = "server.key"', setting))
        outcome = run("config", "check", "-e", "prod")
        assert outcome.code == 2
        assert problem in outcome.message

    def test_a_secret_that_only_looks_like_a_reference_is_literal_and_never_shown(self, run: Run) -> None:
        write(GOOD.replace('"env://DEV_PASSWORD"', '"canary-x://y"'))
        outcome = run("config", "check")
        assert outcome.code == 2
        assert "canary-x" not in outcome.out + outcome.err
        write(GOOD.replace('"env://DEV_PASSWORD"', '{ value = "canary-x://y" }'))
        assert run("config", "check").code == 0

    def test_a_default_that_is_not_there_is_found(self, run: Run) -> None:
        write(GOOD.replace('default_environment = "dev"', 'default_environment = "development"'))
        for option in ([], ["--all-environments"]):
            outcome = run("config", "check", *option)
            assert outcome.code == 2
            assert "default_environment: 'development' is not an environment of the file" in outcome.message

    def test_json(self, run: Run) -> None:
        document = json.loads(run("config", "check", "--all-environments", "--json").out)
        assert document == {
            "config_file": str(Path("kinetic-auth.toml").absolute()),
            "ok": True,
            "environments": [
                {"environment": "dev", "provider": "password", "ok": True, "problems": []},
                {"environment": "prod", "provider": "jwt-bearer", "ok": True, "problems": []},
            ],
        }
        Path("server.key").unlink()
        outcome = run("config", "check", "--all-environments", "--json")
        document = json.loads(outcome.out)
        assert outcome.code == document["error"]["exit_code"] == 2
        assert [each["ok"] for each in document["environments"]] == [True, False]
        assert document["error"]["problems"] == [f"prod: {document['environments'][1]['problems'][0]}"]

    def test_nothing_is_fetched(self, run: Run, publish: Callable[..., None]) -> None:
        publish(
            "acme-vault",
            "acme-vault",
            "acme_vault_of_check:Loader",
            "import kinetic_auth_core as kinetic\n"
            "from pathlib import Path\n"
            "class Loader:\n"
            "    @kinetic.hookimpl\n"
            "    def load_key(self, reference):\n"
            "        Path('fetched').touch()\n"
            "        raise kinetic.KeyLoadError('fetched')\n",
            group="key_loaders",
        )
        write(GOOD.replace('private_key_path = "server.key"', 'private_key = "acme-vault://kv/x"'))
        outcome = run("config", "check", "-e", "prod")
        assert outcome.code == 0, outcome.err
        assert not Path("fetched").exists()

    def test_all_of_no_file_is_an_error(self, run: Run) -> None:
        Path("kinetic-auth.toml").unlink()
        outcome = run("config", "check", "--all-environments")
        assert outcome.code == 2
        assert "there are no environments in any config file that was found" in outcome.message

    def test_all_and_one_exclude_each_other(self, run: Run) -> None:
        assert run("config", "check", "--all-environments", "-e", "dev").code == 2
        assert run("-e", "dev", "config", "check", "--all-environments").code == 2


@pytest.mark.usefixtures("good")
class TestEnvironments:
    def test_they_are_listed_with_provider_and_host(self, run: Run) -> None:
        outcome = run("environments")
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.table["dev"] == ["password", "https://test.salesforce.com", "default, chosen"]
        assert outcome.table["prod"] == ["jwt-bearer", "https://login.salesforce.com", "-"]

    def test_json_also_for_an_incomplete_one(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KINETIC_AUTH_ENVIRONMENT", "QA")
        write(GOOD + '\n[environments.qa]\nprovider = "jwt-bearer"\n\n[environments.empty]\n')
        document = json.loads(run("environments", "--json").out)
        assert (document["default"], document["chosen"]) == ("dev", "qa")
        assert [each["name"] for each in document["environments"]] == ["dev", "prod", "qa", "empty"]
        assert document["environments"][2] == {
            "name": "qa",
            "provider": "jwt-bearer",
            "login_url": "https://login.salesforce.com",
            "default": False,
            "chosen": True,
        }
        assert document["environments"][3]["provider"] is None

    def test_without_a_file_it_says_where_it_looked(self, run: Run) -> None:
        Path("kinetic-auth.toml").unlink()
        outcome = run("environments")
        assert outcome.code == 2
        assert "there is no config file; looked for: kinetic-auth.toml" in outcome.message
