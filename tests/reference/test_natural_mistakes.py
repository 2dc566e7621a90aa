"""Natural mistakes: for each, what is said names the place of the value and one thing to do.

The rows are a table in the docs as well, `docs/mistakes.csv`: a run compares them with it, and one with
WRITE_MISTAKES_TABLE=1 in the environment writes it.
"""

import csv
import io
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic

TABLE = Path(__file__).parents[2] / "docs" / "mistakes.csv"
COLUMNS = ("mistake", "example", "what is said")
FILE = "kinetic-auth.toml"
SECRETS = {"client_secret": "canary-secret", "password": "canary-word"}
GOOD: Mapping[str, Any] = {"client_id": "3MVG9canaryless", "username": "ada@acme.com", **SECRETS}


def toml(text: str, name: str = "prod", provider: str = "password") -> dict[str, str]:
    """A config file whose environment has these lines, beside a good login."""
    given = {line.partition("=")[0].strip() for line in text.splitlines()}
    good = [f'{key} = "{value}"' for key, value in GOOD.items() if key not in given and provider == "password"]
    return {FILE: "\n".join([f"[environments.{name}]", f'provider = "{provider}"', *good, text, ""])}


@attrs.frozen
class Mistake:
    """One mistake.

    Attributes:
        what: What somebody did.
        example: How it is written.
        says: Words that what is said must have: the place of the value, and what to do.
        files: The files of the working directory.
        variables: The environment of the process.
        call: The arguments of `resolve`.
        logs_in: Whether it shows at the login.
    """

    what: str
    example: str
    says: tuple[str, ...]
    files: Mapping[str, str] = attrs.field(factory=dict)
    variables: Mapping[str, str] = attrs.field(factory=dict)
    call: Mapping[str, Any] = attrs.field(factory=dict)
    logs_in: bool = False


PROD: Mapping[str, Any] = {"environment": "prod"}
JWT: Mapping[str, Any] = {"provider": "jwt-bearer", "client_id": "3MVG9", "username": "ada@acme.com"}
HERE: Mapping[str, Any] = {"provider": "password", **GOOD}


def without(*names: str) -> dict[str, Any]:
    """A good login by keywords, but for these."""
    return {name: value for name, value in HERE.items() if name not in names}


MISTAKES = (
    Mistake(
        "a typo in a key", 'usernmae = "ada@acme.com"', (FILE, "username"), toml('usernmae = "ada@acme.com"'), call=PROD
    ),
    Mistake(
        "a key in capitals", 'Username = "ada@acme.com"', (FILE, "username"), toml('Username = "a@acme.com"'), call=PROD
    ),
    Mistake(
        "the name that another library has",
        'consumer_key = "3MVG9"',
        (FILE, "client_id"),
        toml('consumer_key = "3MVG9"'),
        call=PROD,
    ),
    Mistake("a typo in the provider", 'resolve("pasword")', ("password",), call={"provider": "pasword"}),
    Mistake(
        "a typo in the environment", 'resolve(environment="prd")', ("prod",), toml(""), call={"environment": "prd"}
    ),
    Mistake(
        "a provider that is not installed",
        'resolve("acme-sso")',
        ("installed: ",),
        call={"provider": "acme-sso"},
    ),
    Mistake("a keyword that is missing", "no username", ("username", "SF_USERNAME"), call=without("username")),
    Mistake(
        "a variable that is empty",
        "SF_USERNAME=",
        ("username", "SF_USERNAME"),
        variables={"SF_USERNAME": ""},
        call=without("username"),
    ),
    Mistake(
        "blanks around a value",
        'username = " ada@acme.com"',
        (FILE, "username", "blanks"),
        toml('username = " ada@acme.com"'),
        call=PROD,
    ),
    Mistake(
        "quotes that docker run --env-file leaves",
        'SF_CLIENT_SECRET="..."',
        ("SF_CLIENT_SECRET", "quotes"),
        variables={"SF_CLIENT_SECRET": '"canary-secret"'},
        call=without("client_secret"),
    ),
    Mistake(
        "a ${ in a password of .env",
        "SF_PASSWORD=ab${cd}ef",
        (".env", "SF_PASSWORD"),
        {".env": "SF_PASSWORD=ab${cd}ef\n"},
        call=without("password"),
    ),
    Mistake(
        "a variable that is not set",
        'client_id = "${PROD_KEY}"',
        (FILE, "PROD_KEY"),
        toml('client_id = "${PROD_KEY}"'),
        call=PROD,
    ),
    Mistake(
        "a number as text",
        'deadline = "60s"',
        (FILE, "deadline", "number"),
        toml('deadline = "60s"'),
        call=PROD,
    ),
    Mistake("a number for text", "client_id = 3", (FILE, "client_id", "text"), toml("client_id = 3"), call=PROD),
    Mistake(
        "an API version that is retired",
        "api_version = 29.0",
        ("api_version", "v29.0"),
        toml("api_version = 29.0"),
        call=PROD,
    ),
    Mistake(
        "a version that is none", 'api_version = "latest"', (FILE, "v62.0"), toml('api_version = "latest"'), call=PROD
    ),
    Mistake(
        "no https://",
        'login_url = "acme.my.salesforce.com"',
        (FILE, "https://"),
        toml('login_url = "acme.my.salesforce.com"'),
        call=PROD,
    ),
    Mistake(
        "the token endpoint in place of its host",
        'login_url = "https://acme.my.salesforce.com/services/oauth2/token"',
        (FILE, "login_url"),
        toml('login_url = "https://acme.my.salesforce.com/services/oauth2/token"'),
        call=PROD,
    ),
    Mistake(
        "plain http",
        'login_url = "http://acme.my.salesforce.com"',
        (FILE, "https://acme.my.salesforce.com"),
        toml('login_url = "http://acme.my.salesforce.com"'),
        call=PROD,
    ),
    Mistake(
        "a Windows path in double quotes of TOML",
        r'private_key_path = "C:\Users\ada\sf.key"',
        (FILE, "line"),
        toml(
            'client_id = "3MVG9"\nusername = "ada@acme.com"\nprivate_key_path = "C:\\Users\\ada\\sf.key"',
            "prod",
            "jwt-bearer",
        ),
        call=PROD,
    ),
    Mistake(
        "$HOME in a path",
        'private_key_path = "$HOME/sf.key"',
        (FILE, "private_key_path"),
        toml('client_id = "3MVG9"\nusername = "ada@acme.com"\nprivate_key_path = "$HOME/sf.key"', "prod", "jwt-bearer"),
        call=PROD,
        logs_in=True,
    ),
    Mistake(
        "a key file in another folder",
        "SF_PRIVATE_KEY_PATH=keys/sf.key",
        ("SF_PRIVATE_KEY_PATH", "keys/sf.key"),
        variables={"SF_PRIVATE_KEY_PATH": "keys/sf.key"},
        call=JWT,
        logs_in=True,
    ),
    Mistake(
        "the key in place of its path",
        "SF_PRIVATE_KEY_PATH=-----BEGIN ...",
        ("SF_PRIVATE_KEY_PATH", "SF_PRIVATE_KEY"),
        variables={"SF_PRIVATE_KEY_PATH": "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----"},
        call=JWT,
    ),
    Mistake(
        "the path in place of the key",
        "SF_PRIVATE_KEY=keys/sf.key",
        ("SF_PRIVATE_KEY", "private_key_path"),
        variables={"SF_PRIVATE_KEY": "keys/sf.key"},
        call=JWT,
        logs_in=True,
    ),
    Mistake(
        "both the key and its path",
        "private_key and SF_PRIVATE_KEY_PATH",
        ("private_key", "private_key_path"),
        variables={"SF_PRIVATE_KEY_PATH": "sf.key", "SF_PRIVATE_KEY": "canary"},
        call=JWT,
    ),
    Mistake(
        "a wrong table",
        "[environment.prod]",
        (FILE, "environments"),
        {FILE: '[environment.prod]\nprovider = "password"\n'},
        call=PROD,
    ),
    Mistake(
        "a setting outside of its table",
        'username = "ada@acme.com"',
        (FILE, "username"),
        {FILE: 'username = "ada@acme.com"\n' + toml("")[FILE]},
        call=PROD,
    ),
    Mistake(
        "another folder",
        'resolve(config="conf/kinetic-auth.toml")',
        ("conf/kinetic-auth.toml",),
        call={"config": "conf/kinetic-auth.toml", "environment": "prod"},
    ),
    Mistake(
        "a .env of another time",
        "SF_PASWORD=...",
        ("SF_PASWORD", ".env", "SF_PASSWORD"),
        {".env": "SF_PASWORD=old\n"},
        call=without("password"),
    ),
    Mistake(
        "a misspelt reference",
        'password = "secretmanager://aws/prod/sf"',
        (FILE, "secret-manager://"),
        toml('password = "secretmanager://aws/prod/sf"'),
        call=PROD,
    ),
    Mistake(
        "a proxy without a scheme",
        'proxy = "proxy.acme.example:3128"',
        (FILE, "http://"),
        toml('proxy = "proxy.acme.example:3128"'),
        call=PROD,
    ),
    Mistake(
        "a file of certificates that is not there",
        'ca_bundle = "/etc/acme/ca.pem"',
        ("ca_bundle", FILE),
        toml('ca_bundle = "/etc/acme/ca.pem"'),
        call=PROD,
        logs_in=True,
    ),
)


def said_of(mistake: Mistake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> str:
    """What is raised or warned of, without the folder of the test."""
    for name, text in mistake.files.items():
        Path(name).write_text(text)
        Path(name).chmod(0o600)
    for name, value in mistake.variables.items():
        monkeypatch.setenv(name, value)
    call = dict(mistake.call)
    caplog.set_level(logging.WARNING)
    try:
        source = kinetic.resolve(call.pop("provider", None), **call)
        if mistake.logs_in:
            source.session()
    except kinetic.KineticAuthError as error:
        said = str(error)
    else:
        said = " ".join(each.getMessage() for each in caplog.records)
    said = re.sub(r"installed: [^.]*\.", "installed: (their names).", said)
    return re.sub(r"\s+", " ", said.replace(str(Path.cwd()), "/srv/app")).strip()


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, dict[str, str]]]:
    text = TABLE.read_text("utf-8") if TABLE.exists() else ""
    rows = {line["mistake"]: line for line in csv.DictReader(io.StringIO(text))}
    yield rows
    if os.environ.get("WRITE_MISTAKES_TABLE"):
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[each.what] for each in MISTAKES)
        TABLE.write_text(out.getvalue(), "utf-8")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_mistake_is_named_with_its_place_and_what_to_do(
    mistake: Mistake,
    table: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from kinetic_auth_core.settings.fields import _warn_of_end

    _warn_of_end.cache_clear()
    said = said_of(mistake, monkeypatch, caplog)
    assert said, "nothing was said"
    for word in mistake.says:
        assert word in said
    assert "canary-" not in said
    line = dict(zip(COLUMNS, (mistake.what, mistake.example, said), strict=True))
    if os.environ.get("WRITE_MISTAKES_TABLE"):
        table[mistake.what] = line
    assert table[mistake.what] == line


def test_the_table_has_these_rows_and_no_others(table: dict[str, dict[str, str]]) -> None:
    assert len(MISTAKES) >= 25
    assert list(table) == [each.what for each in MISTAKES]
