"""The session that `sf` has, how it is asked, how it renews, and what its errors become."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import ConfigurationError, InteractionRequiredError, LoginRequest, TransportError
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_sf_cli import SfCliAuthenticator
from kinetic_auth_sf_cli.command import Failure, run

TOKEN, FRESH = "00D5g000004tXyz!AQ-canary-token", "00D5g000004tXyz!AQ-canary-fresh"
INSTANCE = "https://acme.my.salesforce.com"
DISPLAY, SHOW = "org display --json", "org auth show-access-token --json"
PLAIN = "NO_COLOR=1 FORCE_COLOR=unset"


@pytest.fixture
def made(stand_in: Any) -> SfCliAuthenticator:
    stand_in.shows(TOKEN, INSTANCE)
    return SfCliAuthenticator("dev", command=str(stand_in.path))


def source_of(made: SfCliAuthenticator) -> kinetic.SessionSource:
    return kinetic.SessionSource(made)


@pytest.mark.parametrize("redacted", [True, False])
def test_both_forms_of_the_answer_give_the_session(stand_in: Any, redacted: bool) -> None:
    stand_in.shows(TOKEN, INSTANCE, redacted=redacted)
    session = SfCliAuthenticator(command=str(stand_in.path)).authenticate()
    assert (session.access_token, session.instance_url, session.username) == (TOKEN, INSTANCE, "ada@acme.com")
    assert session.org_id == "00D5g000004tXyz"
    assert len(stand_in.calls) == (2 if redacted else 1)


def test_sf_is_asked_for_the_org_and_without_colours(
    made: SfCliAuthenticator, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    made.authenticate()
    assert stand_in.calls == [f"{DISPLAY} --target-org dev {PLAIN}", f"{SHOW} --target-org ada@acme.com {PLAIN}"]


def test_without_target_org_sf_chooses_its_default(stand_in: Any) -> None:
    stand_in.shows(TOKEN, INSTANCE)
    SfCliAuthenticator(command=str(stand_in.path)).authenticate()
    assert stand_in.calls == [f"{DISPLAY} {PLAIN}", f"{SHOW} --target-org ada@acme.com {PLAIN}"]


def test_resolve_calls_nothing_and_the_first_session_does(stand_in: Any) -> None:
    stand_in.shows(TOKEN, INSTANCE)
    with kinetic.resolve("sf-cli", command=str(stand_in.path)) as source:
        assert stand_in.calls == []
        assert source.session() == source.session()
    assert len(stand_in.calls) == 2


def test_a_refused_session_is_renewed_by_sf(made: SfCliAuthenticator, stand_in: Any) -> None:
    source = source_of(made)
    first = source.session()
    stand_in.shows(FRESH, INSTANCE)
    source.invalidate(first)
    assert source.session().access_token == FRESH


def test_the_token_that_was_refused_is_not_taken_again(made: SfCliAuthenticator, leaked: Any) -> None:
    source = source_of(made)
    source.invalidate(source.session())
    with pytest.raises(InteractionRequiredError, match="could not renew") as caught:
        source.session()
    for ask in (source.session, source.authenticate):
        with pytest.raises(InteractionRequiredError, match="could not renew"):
            ask()
    assert caught.value.remedy == f"Log in again: sf org login web --instance-url {INSTANCE} --alias dev"
    assert leaked(caught.value, TOKEN) == []


def test_a_session_of_somebody_else_does_not_count_as_refused(made: SfCliAuthenticator) -> None:
    rejected = kinetic.SalesforceSession(FRESH, INSTANCE, "", "0")
    assert made.authenticate(LoginRequest(reason="rejected", rejected=rejected)).access_token == TOKEN


def test_its_ca_bundle_counts_for_what_is_asked_about_the_session(stand_in: Any) -> None:
    with SalesforceEmulator(tls=True) as sf:
        stand_in.shows(sf.issue_access_token(sf.default.app, sf.default.user), sf.url)
        command = str(stand_in.path)
        with kinetic.resolve("sf-cli", command=command, ca_bundle=sf.ca_bundle) as source:
            session = source.session()
            assert source.is_alive(session)
        with kinetic.resolve("sf-cli", command=command) as source, pytest.raises(TransportError, match="certificate"):
            source.is_alive(session)


def test_no_store_gets_the_session(stand_in: Any, tmp_path: Path) -> None:
    stand_in.shows(TOKEN, INSTANCE)
    store = {"name": "file", "path": str(tmp_path / "store")}
    with kinetic.resolve("sf-cli", command=str(stand_in.path), store=store) as source:
        source.session()
        (row,) = [row for row in source.explain() if row.name.startswith("store")]
    assert list(tmp_path.rglob("*.session")) == []
    assert (row.value, row.note) == ("memory", "file is not used: the sessions of this provider are never stored")


def error_of(made: SfCliAuthenticator) -> Any:
    with pytest.raises(kinetic.KineticAuthError) as caught:
        made.authenticate()
    return caught.value


def test_a_missing_sf_is_an_error_that_says_how_to_install_it(tmp_path: Path) -> None:
    error = error_of(SfCliAuthenticator(command=str(tmp_path / "none")))
    assert isinstance(error, ConfigurationError)
    assert "is not on PATH and not an executable file" in str(error)
    assert "npm install --global @salesforce/cli" in error.remedy


def test_a_file_that_cannot_be_run_is_the_same_error(stand_in: Any) -> None:
    stand_in.path.write_text("#!/no/such/interpreter\n")
    assert isinstance(error_of(SfCliAuthenticator(command=str(stand_in.path))), ConfigurationError)


@pytest.mark.parametrize(
    ("interpreter", "code", "why"),
    [("no-such-node", 127, "is not on PATH"), ("/dev/null", 126, "cannot be run by this user")],
)
def test_a_script_without_its_interpreter_is_the_same_error(
    stand_in: Any, interpreter: str, code: int, why: str
) -> None:
    stand_in.path.write_text(f"#!/usr/bin/env {interpreter}\n")
    error = error_of(SfCliAuthenticator(command=str(stand_in.path)))
    assert isinstance(error, ConfigurationError)
    assert f"exit code {code}, so what it is a script of, such as node, {why}" in str(error)


@pytest.mark.parametrize(
    ("name", "message", "kind", "remedy"),
    [
        ("NoDefaultEnvError", "No default environment found.", ConfigurationError, "sf config set target-org"),
        ("NamedOrgNotFoundError", "Parsing --target-org \n\tNo auth", InteractionRequiredError, "sf org login web"),
        ("RefreshTokenAuthError", "expired access/refresh token", InteractionRequiredError, "sf org login web"),
        ("SfError", "Error: expired access/refresh token", InteractionRequiredError, "sf org login web"),
        ("NoScratchInfo", "No information for scratch org", TransportError, "Run sf org display by hand"),
    ],
)
def test_the_errors_of_sf_are_ours_with_a_remedy(
    made: SfCliAuthenticator, stand_in: Any, name: str, message: str, kind: type[kinetic.KineticAuthError], remedy: str
) -> None:
    stand_in.fails(name, message)
    error = error_of(made)
    assert type(error) is kind
    assert f"sf org display: {name}: " in str(error)
    assert remedy in error.remedy
    assert "\n" not in error.message


def test_an_error_of_the_second_command_says_which_it_was(made: SfCliAuthenticator, stand_in: Any) -> None:
    stand_in.write("token", {"name": "AccessTokenNotFound", "message": "none for ada", "status": 1})
    assert "sf org auth show-access-token: AccessTokenNotFound: none for ada." in str(error_of(made))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "it printed no JSON"),
        ("Warning: sf is broken", "it printed no JSON"),
        ("[1, 2]", "it printed neither a result nor an error"),
        ({"status": 0}, "it printed neither a result nor an error"),
        ({"status": 0, "result": {"accessToken": TOKEN}}, "has no instanceUrl"),
        ({"status": 0, "result": {"accessToken": 7, "instanceUrl": INSTANCE}}, "has no accessToken"),
    ],
)
def test_an_answer_of_another_form_is_a_transport_error_without_a_token(
    made: SfCliAuthenticator, stand_in: Any, answer: object, said: str, leaked: Any
) -> None:
    stand_in.answers(answer)
    stand_in.write("token", {"status": 0, "result": {}})
    error = error_of(made)
    assert isinstance(error, TransportError)
    assert said in str(error)
    assert leaked(error, TOKEN) == []


@pytest.mark.parametrize("shown", ["[REDACTED] Use another command", "[REDACTED]"])
def test_a_second_command_that_shows_no_token_either_is_a_transport_error(
    made: SfCliAuthenticator, stand_in: Any, shown: str
) -> None:
    stand_in.write("token", {"status": 0, "result": {"accessToken": shown}})
    error = error_of(made)
    assert isinstance(error, TransportError)
    assert "has no accessToken" in str(error)


def test_json_behind_a_line_of_text_is_read(made: SfCliAuthenticator, stand_in: Any) -> None:
    stand_in.script('echo "a hint of a plugin"; case "$*" in *show*) cat "$here/token";; *) cat "$here/display";; esac')
    assert made.authenticate().access_token == TOKEN


@pytest.mark.parametrize(("before", "after"), [("", "\nA new version of sf is available."), ("\x1b[97m", "\x1b[39m\n")])
def test_text_and_colours_around_the_json_are_passed_over(
    made: SfCliAuthenticator, stand_in: Any, before: str, after: str
) -> None:
    for name in ("display", "token"):
        file = stand_in.folder / name
        file.write_text(f"{before}{file.read_text()}{after}")
    assert made.authenticate().access_token == TOKEN


def test_a_token_in_a_message_of_sf_is_masked(made: SfCliAuthenticator, stand_in: Any, leaked: Any) -> None:
    stand_in.fails("SomeError", f"the token {TOKEN} and force://a:b:5Aepcanary@acme are wrong")
    error = error_of(made)
    assert "********" in str(error)
    assert leaked(error, "canary") == []


def test_more_than_a_mebibyte_is_not_read(made: SfCliAuthenticator, stand_in: Any) -> None:
    stand_in.script("yes")
    assert "more than 1048576 bytes" in str(error_of(made))


def test_the_deadline_ends_sf_and_all_that_it_has_started(stand_in: Any) -> None:
    stand_in.script('sleep 300 & echo $! > "$here/child"; wait')
    began = time.monotonic()
    error = error_of(SfCliAuthenticator(command=str(stand_in.path), deadline=1))
    assert isinstance(error, TransportError)
    assert "did not answer within the deadline of 1 s" in str(error)
    assert time.monotonic() - began < 10
    child = int((stand_in.folder / "child").read_text())
    for _ in range(100):
        if not alive(child):
            break
        time.sleep(0.05)
    assert not alive(child)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_child_that_holds_the_output_open_is_ended_by_the_deadline(stand_in: Any) -> None:
    stand_in.script('sleep 300 & cat "$here/display"')
    stand_in.shows(TOKEN, INSTANCE)
    began = time.monotonic()
    error_of(SfCliAuthenticator(command=str(stand_in.path), deadline=1))
    assert time.monotonic() - began < 10


def test_a_username_that_no_program_can_be_given_is_left_out(stand_in: Any) -> None:
    stand_in.shows(TOKEN, INSTANCE, username="a\0b")
    session = SfCliAuthenticator(command=str(stand_in.path), deadline=5).authenticate()
    assert session.username is None
    assert stand_in.calls[-1] == f"{SHOW} {PLAIN}"


def test_a_program_that_cannot_be_started_is_an_error_at_once(stand_in: Any) -> None:
    failure = run(str(stand_in.path), ["a\0b"], time.monotonic() + 30)
    assert isinstance(failure, Failure)
    assert "null byte" in failure.what


@pytest.mark.parametrize("target_org", ["--help", "a\nb", " dev", ""])
def test_a_target_that_is_no_org_is_refused(target_org: str) -> None:
    with pytest.raises(ConfigurationError, match="target_org"):
        kinetic.resolve("sf-cli", target_org=target_org)


def test_no_token_is_logged(made: SfCliAuthenticator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        source_of(made).session()
    assert "canary" not in caplog.text


def test_a_traceback_of_a_login_that_was_interrupted_has_no_token(
    made: SfCliAuthenticator, stand_in: Any, leaked: Any
) -> None:
    class Interruption(BaseException):
        """What the handler raises."""

    def interrupt(*_: object) -> None:
        raise Interruption

    stand_in.shows(TOKEN, "https://acme.my.salesforce.com", redacted=False)
    stand_in.script('cat "$here/display"; exec 1>&-; sleep 30')
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)  # within the two seconds that sf has to end
        with pytest.raises(Interruption) as caught:
            made.authenticate()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "_Output(" in shown  # it was struck where the answer is there
    assert TOKEN not in shown
    assert leaked(caught.value, TOKEN) == []


_CTRL_C_AS_IT_STARTS = """
import os, signal, subprocess, time

class Popen(subprocess.Popen):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        while not os.path.exists({child!r}):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)

subprocess.Popen = Popen
"""


@pytest.mark.parametrize("is_starting", [True, False])
def test_ctrl_c_ends_sf_and_all_that_it_has_started(stand_in: Any, *, is_starting: bool) -> None:
    stand_in.script('sleep 300 & echo $! > "$here/child.new"; mv "$here/child.new" "$here/child"; wait')
    file = stand_in.folder / "child"
    script = f"""
{_CTRL_C_AS_IT_STARTS.format(child=str(file)) if is_starting else ""}
import kinetic_auth_core as kinetic
kinetic.resolve("sf-cli", command={str(stand_in.path)!r}).session()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while not is_starting and not file.exists() and process.poll() is None:
        time.sleep(0.02)
    if not is_starting:
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert said.rstrip().endswith("KeyboardInterrupt")
    child = int(file.read_text())
    for _ in range(100):
        if not alive(child):
            break
        time.sleep(0.05)
    assert not alive(child)
