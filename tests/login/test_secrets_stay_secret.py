"""Canaries: every secret contains a distinct marker, and no output shows one.

What goes wrong between a login and its session is searched for them in `faults`; the command line in `cli`.
"""

import copy
import io
import pickle
import subprocess
import sys
import traceback
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import (
    Answer,
    KeyPair,
    SalesforceEmulator,
)

PASSWORD = "canary-PASSWORD-1"
TOKEN = "canary-TOKEN-2"
SECRET = "canary-SECRET-3"
PASSPHRASE = "canary-PASSPHRASE-4"
PROXY = "canary-PROXY-5"


@pytest.fixture(scope="module")
def pair(key_pair: KeyPair) -> KeyPair:
    return key_pair


@pytest.fixture(scope="module")
def key(pair: KeyPair) -> str:
    return pair.private_key_pem


@pytest.fixture
def sources(sf: SalesforceEmulator, pair: KeyPair, key: str, logged: io.StringIO) -> dict[str, kinetic.SessionSource]:
    user = sf.add_user(f"{uuid.uuid4()}@emulator.example", password=PASSWORD, security_token=TOKEN)
    app = sf.add_app(client_secret=SECRET, certificates=[pair.certificate_pem], preauthorised={user.username})
    base: dict[str, Any] = {"client_id": app.client_id, "username": user.username, "login_url": sf.url, "deadline": 3.0}
    Path("server.key").write_text(key)
    secrets = {"client_secret": SECRET, "password": PASSWORD, "security_token": TOKEN}
    return {
        "password": kinetic.resolve("password", **base, **secrets),
        "jwt text": kinetic.resolve("jwt-bearer", **base, private_key=key, client_secret=SECRET, passphrase=PASSPHRASE),
        "jwt path": kinetic.resolve("jwt-bearer", **base, private_key_path="server.key"),
        "refused": kinetic.resolve("password", **base, **secrets | {"password": PASSWORD + "wrong"}),
        "proxied": kinetic.resolve("password", **base, **secrets, proxy=f"http://user:{PROXY}@127.0.0.1:1"),
    }


def markers(key: str) -> list[str]:
    body = "".join(line for line in key.splitlines() if "-----" not in line)
    return [PASSWORD, TOKEN, SECRET, PASSPHRASE, PROXY, body[40:80], key.splitlines()[3], "eyJ"]


def shown_by(error: BaseException) -> str:
    """All that an error can show: texts, state, pickles and copies, the whole chain, and the locals of our frames."""
    shown = []
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        link = queue.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        queue += [link.__cause__, link.__context__]
        shown += [str(link), repr(link), repr(link.args), repr(vars(link))]
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if "tests" not in frame.f_code.co_filename:
                shown += [f"{name}={value!r}" for name, value in frame.f_locals.items()]
    shown += ["".join(traceback.format_exception(error)), repr(copy.copy(error)), pickle.dumps(error).decode("latin-1")]
    return "\n".join(shown)


ECHO = Answer({"error": "invalid_grant", "error_description": f"{PASSWORD}{TOKEN} {SECRET}"}, status=400)


def test_a_server_that_echoes_secrets_is_not_quoted(
    sf: SalesforceEmulator, sources: dict[str, kinetic.SessionSource], logged: io.StringIO, key: str
) -> None:
    sf.break_transport(ECHO)
    with pytest.raises(kinetic.AuthenticationError) as caught:
        sources["password"].session()
    everything = shown_by(caught.value) + logged.getvalue()
    assert [marker for marker in markers(key) if marker in everything] == []


@pytest.mark.parametrize("name", ["refused", "proxied"])
def test_neither_a_wrong_password_nor_a_dead_proxy_is_shown(
    sources: dict[str, kinetic.SessionSource], logged: io.StringIO, key: str, name: str
) -> None:
    with pytest.raises(kinetic.AuthenticationError) as caught:
        sources[name].session()
    everything = shown_by(caught.value) + logged.getvalue()
    assert [marker for marker in markers(key) if marker in everything] == []


def test_no_success_shows_a_secret(sources: dict[str, kinetic.SessionSource], logged: io.StringIO, key: str) -> None:
    shown = []
    for name in ("password", "jwt text", "jwt path"):
        source = sources[name]
        token = source.session().access_token
        shown += [repr(source.session()), str(source.session()), repr(source), repr(source.explain())]
        shown += [repr(vars(source)), repr(vars(source._flow))]
        everything = "\n".join(shown) + logged.getvalue()
        assert [marker for marker in [*markers(key), token] if marker in everything] == []


def test_no_configuration_error_shows_a_secret(sf: SalesforceEmulator, logged: io.StringIO, key: str) -> None:
    Path("kinetic-auth.toml").write_text(
        f'[environments.dev]\nprovider = "password"\npassword = "{PASSWORD}"\nclient_secret = ["{SECRET}"]\n'
        f'security_token = "{TOKEN}${{UNSET}}"\nproxy = "{PROXY}"\nlogin_url = "http://evil.example"\n'
    )
    table = f'[environments.dev]\npassword = "{PASSWORD}"\n'
    Path("misspelt.toml").write_text(f'enviroments = {{ a = "{SECRET}" }}\n{table}')
    Path("unset.toml").write_text(f'[defaults]\nprovider = "${{UNSET}}"\nclient_secret = "{SECRET}"\n{table}')
    Path("pyproject.toml").write_text(f'[tool.other]\ntoken = "{TOKEN}"\n')
    Path("broken.toml").write_text(f'password = "{PASSWORD}" "{TOKEN}"\n')
    Path("latin.env").write_bytes(f"SF_PASSWORD={PASSWORD}\xff".encode("latin-1"))
    attempts: list[Callable[[], object]] = [
        lambda: kinetic.resolve(environment="dev"),
        lambda: kinetic.resolve("password", config="broken.toml"),
        lambda: kinetic.resolve("password", env_file="latin.env"),
        lambda: kinetic.resolve("password", passwort=PASSWORD, client_secret=[SECRET], security_token=5),
        lambda: kinetic.resolve("nope", password=PASSWORD),
        lambda: kinetic.resolve("jwt-bearer", private_key=key, private_key_path="x", passphrase=PASSPHRASE),
        lambda: kinetic.OAuthAuthenticator("id", SECRET, "user", PASSWORD, TOKEN, "http://evil.example"),
        lambda: kinetic.JWTAuthenticator("id", "user", key, "path", passphrase=PASSPHRASE),
        lambda: kinetic.resolve("password", config="kinetic-auth.toml", environment="dev", security_token=[TOKEN]),
        lambda: kinetic.resolve(config="misspelt.toml", environment="dev"),
        lambda: kinetic.resolve("password", config="pyproject.toml"),
        lambda: kinetic.resolve("jwt-bearer", environment="dev"),
        lambda: kinetic.resolve(config="unset.toml", environment="dev"),
    ]
    for attempt in attempts:
        with pytest.raises(kinetic.ConfigurationError) as caught:
            attempt()
        shown = shown_by(caught.value) + logged.getvalue()
        assert [marker for marker in markers(key) if marker in shown] == []


def test_no_key_error_shows_the_key(sf: SalesforceEmulator, logged: io.StringIO, key: str) -> None:
    lines = key.splitlines()
    damaged = "\n".join([*lines[:5], *lines[7:]])
    public = "-----BEGIN PUBLIC KEY-----\n" + "\n".join(lines[1:-1]) + "\n-----END PUBLIC KEY-----"
    encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
    for text in (damaged, public, encrypted, "".join(lines[1:-4])):
        for passphrase in (PASSPHRASE, None):
            source = kinetic.resolve(
                "jwt-bearer",
                client_id="id",
                username="user",
                private_key=text,
                passphrase=passphrase,
                login_url=sf.url,
            )
            with pytest.raises(kinetic.KeyLoadError) as caught:
                source.session()
            shown = shown_by(caught.value) + logged.getvalue()
            assert [marker for marker in markers(key) if marker in shown] == []


def test_a_session_shows_no_token_but_pickles_with_it(
    sf: SalesforceEmulator, sources: dict[str, kinetic.SessionSource]
) -> None:
    session = sources["password"].session()
    for shown in (repr(session), str(session), f"{session}"):
        assert session.access_token not in shown
        assert session.signature not in shown
    assert pickle.loads(pickle.dumps(session)) == session


def test_an_invalid_value_of_a_reference_is_not_shown(
    sf: SalesforceEmulator, logged: io.StringIO, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", SECRET)
    Path("empty").write_text("")
    Path("latin").write_bytes(f"{PASSWORD}\xff".encode("latin-1"))
    for password in ("file://empty", "file://latin", "file://latin#field"):
        source = kinetic.resolve(
            "password",
            client_id="id",
            username="user",
            client_secret="env://CANARY",
            password=password,
            security_token=TOKEN,
            login_url=sf.url,
        )
        with pytest.raises(kinetic.KineticAuthError) as caught:
            source.session()
        shown = shown_by(caught.value) + logged.getvalue()
        assert [marker for marker in markers(key) if marker in shown] == []


def locals_of(error: BaseException) -> str:
    """The local variables of all frames in the tracebacks of an error and its chain, but for those of tests."""
    shown = []
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    for link in queue:
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        queue += [link.__cause__, link.__context__]
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                shown += [f"{frame.f_code.co_qualname}: {name}={value!r}" for name, value in frame.f_locals.items()]
    return "\n".join(shown)


class JobTimeoutError(Exception):
    """What a job queue's signal handler raises when a job takes too long."""


@pytest.mark.parametrize("kind", [JobTimeoutError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["getresponse", "prepare_body", "grant", "read_response"])
@pytest.mark.parametrize("how", ["session", "authenticate", "authenticate of the class"])
def test_an_interrupted_login_shows_no_secret_in_a_traceback(
    sf: SalesforceEmulator, logged: io.StringIO, kind: type[BaseException], place: str, how: str
) -> None:
    settings = sf.settings("password")
    source: Any = kinetic.OAuthAuthenticator(**settings)
    if how != "authenticate of the class":
        source = kinetic.SessionSource(source)
    log_in = getattr(source, how.partition(" ")[0])

    def strike(frame: types.FrameType, event: str, _called: object) -> None:
        if event == "call" and frame.f_code.co_name == place:
            sys.setprofile(None)
            raise kind

    sys.setprofile(strike)
    try:
        with pytest.raises((kind, kinetic.AuthenticationError)) as caught:  # a signal's Exception may get wrapped
            log_in()
    finally:
        sys.setprofile(None)
    shown = locals_of(caught.value) + logged.getvalue()
    secrets = [settings[name] for name in ("client_secret", "password", "security_token")]
    assert [secret for secret in secrets if secret in shown] == []


def test_the_error_that_a_caller_is_handling_keeps_its_traceback() -> None:
    def handle() -> None:
        try:
            raise ValueError("of the caller")
        except ValueError:
            kinetic.SessionSource(Careless(TOKEN)).session()

    with pytest.raises(kinetic.AuthenticationError) as caught:
        handle()
    assert isinstance(caught.value.__context__, ValueError)
    assert caught.value.__context__.__traceback__ is not None


@pytest.mark.usefixtures("full_tier")
@pytest.mark.parametrize("kind", ["class", "resolve"])
def test_a_constructor_without_room_on_the_stack_shows_no_secret(kind: str) -> None:
    program = Path(__file__).with_name("no_room_on_the_stack.py")
    command = [sys.executable, str(program), kind, SECRET, PASSWORD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *shown, failures = done.stdout.splitlines()
    assert int(failures.removeprefix("failures: ")) > 3
    assert [line for line in shown if SECRET in line or PASSWORD in line] == []


def test_the_log_shows_where_an_error_was_raised(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "kinetic_auth_core.redaction"), pytest.raises(kinetic.AuthenticationError):
        kinetic.SessionSource(Careless(TOKEN)).session()
    assert "AuthenticationError was raised at" in caplog.text
    assert "flow.py" in caplog.text
    assert TOKEN not in caplog.text


@attrs.frozen
class Careless:
    """A plugin that logs in by requests and by itself, and puts its secret into its errors."""

    token: str = kinetic.setting(help="", secret=True)
    with_request: bool = kinetic.setting(False, help="")

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        if self.with_request:
            requests.post("http://127.0.0.1:1", data={"password": self.token}, timeout=5)
        raise ValueError(f"bad token {self.token}")


@pytest.mark.usefixtures("full_tier")
@pytest.mark.parametrize("with_request", [True, False])
def test_the_errors_of_a_careless_plugin_are_masked_in_text_and_chain(
    logged: io.StringIO, key: str, with_request: bool
) -> None:
    with pytest.raises(kinetic.AuthenticationError) as caught:
        kinetic.SessionSource(Careless(TOKEN, with_request)).session()
    shown = shown_by(caught.value) + logged.getvalue()
    assert [marker for marker in markers(key) if marker in shown] == []
    assert type(caught.value.__cause__).__name__ == "LibraryError"
