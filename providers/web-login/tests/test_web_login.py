"""Logins in the browser: consent, denial, other callbacks, what stays secret, and the refresh that follows."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import sys
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner

import kinetic_auth_core as kinetic
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.testing import App, SalesforceEmulator, User
from kinetic_auth_core.testing.contracts.checks import at_once, unused_port
from kinetic_auth_core.testing.leaks import secrets_in
from kinetic_auth_web_login.callback import Callback


def query_of(address: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}


def test_a_person_logs_in_once_and_then_the_refresh_token_does(
    web_settings: dict[str, Any], person: Any, sf: SalesforceEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with kinetic.resolve("web-login", **web_settings) as source:
        first = source.session()
        second = source.authenticate()
    assert sf.is_live(second.access_token)
    assert first.access_token != second.access_token
    with kinetic.resolve("web-login", **{**web_settings, "scope": "id api refresh_token offline_access"}) as source:
        source.authenticate()
    assert len(person.opened) == 1
    assert person.opened[0] in capsys.readouterr().err


@pytest.mark.parametrize("stderr", [None, "a full disk", "closed"])
def test_a_stderr_that_cannot_be_written_does_not_end_the_login(
    web_settings: dict[str, Any],
    person: Any,
    sf: SalesforceEmulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stderr: str | None,
) -> None:
    with open("/dev/full", "w", buffering=1) as full:  # noqa: PTH123 - a device
        if stderr == "closed":
            with contextlib.suppress(OSError):
                full.close()
        monkeypatch.setattr(sys, "stderr", stderr and full)
        session = kinetic.resolve("web-login", **web_settings).session()
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert sf.is_live(session.access_token)
    assert capsys.readouterr().out == ""


def test_the_address_has_pkce_a_state_and_the_exact_redirect(web_settings: dict[str, Any], person: Any) -> None:
    kinetic.resolve("web-login", **web_settings, username=person.username).session()
    query = query_of(person.opened[0])
    assert len(query.pop("state")) >= 43
    assert len(query.pop("code_challenge")) == 43
    assert query == {
        "response_type": "code",
        "client_id": web_settings["client_id"],
        "redirect_uri": f"http://localhost:{web_settings['redirect_port']}/OauthRedirect",
        "scope": "id api refresh_token",
        "code_challenge_method": "S256",
        "login_hint": person.username,
    }


def test_the_last_page_is_static_and_its_address_has_no_code(web_settings: dict[str, Any], person: Any) -> None:
    kinetic.resolve("web-login", **web_settings).session()
    (page,) = person.pages
    assert (urlsplit(page.url).path, urlsplit(page.url).query) == ("/done", "")
    assert "You are logged in" in page.text
    code = query_of(page.history[-1].url)["code"]
    assert code not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Server" not in page.headers


def test_denied_consent_says_so_and_does_not_hold_back_the_next_login(
    web_settings: dict[str, Any], person: Any
) -> None:
    person.decision = "oadeny"
    source = kinetic.resolve("web-login", **web_settings)
    with pytest.raises(kinetic.AuthenticationError, match="access_denied") as caught:
        source.session()
    assert type(caught.value) is kinetic.AuthenticationError
    assert caught.value.error == "access_denied"
    assert caught.value.remedy == "Run `kinetic-auth login web-login` again, and allow the access."
    assert "You are not logged in" in person.pages[0].text
    person.decision = "oaapprove"
    assert source.session().is_valid()


def test_a_person_is_asked_once_where_the_org_cannot_be_reached(web_settings: dict[str, Any], person: Any) -> None:
    def log_in(address: str) -> None:
        sent = query_of(address)
        requests.get(f"{sent['redirect_uri']}?code=x&state={sent['state']}", timeout=10)

    person.decision, person.meanwhile = "", log_in
    nobody = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(kinetic.TransportError, match="Given up after 4 tries"):
        kinetic.resolve("web-login", **{**web_settings, "login_url": nobody}).session()
    assert len(person.opened) == 1


@pytest.mark.parametrize(
    "query",
    [
        "code=foreign&state=foreign",
        "code=foreign",
        "error=access_denied&state=foreign",
        "error=access_denied",
        "code=foreign&state={state}&state={state}",
        "code=foreign&error=x&state={state}",
        "state={state}",
        "",
    ],
)
def test_a_callback_that_is_not_ours_gets_400_and_is_waited_past(
    web_settings: dict[str, Any], person: Any, query: str
) -> None:
    answers = []

    def foreign(address: str) -> None:
        sent = query_of(address)
        where = f"{sent['redirect_uri']}?{query.format(state=sent['state'])}"
        answers.append(requests.get(where, timeout=10, allow_redirects=False))

    person.meanwhile = foreign
    assert kinetic.resolve("web-login", **web_settings).session().is_valid()
    assert [each.status_code for each in answers] == [400]
    assert "foreign" not in answers[0].text


def test_other_paths_hosts_and_methods_get_nothing(web_settings: dict[str, Any], person: Any) -> None:
    statuses: list[int] = []

    def knock(address: str) -> None:
        sent = query_of(address)
        port, callback = web_settings["redirect_port"], f"?code=x&state={sent['state']}"
        statuses.extend(
            requests.request(method, f"http://127.0.0.1:{port}{path}", timeout=10, headers=headers).status_code
            for method, path, headers in (
                ("GET", "/favicon.ico", {}),
                ("GET", f"/{callback}", {}),
                ("GET", f"/OauthRedirect{callback}", {"Host": f"evil.example.com:{port}"}),
                ("POST", f"/OauthRedirect{callback}", {}),
            )
        )

    person.meanwhile = knock
    assert kinetic.resolve("web-login", **web_settings).session().is_valid()
    assert statuses == [404, 404, 400, 501]


def test_a_browser_that_connects_and_says_nothing_holds_nobody_up(web_settings: dict[str, Any], person: Any) -> None:
    held: list[socket.socket] = []

    def connect(_address: str) -> None:
        held.extend(socket.create_connection(("127.0.0.1", web_settings["redirect_port"])) for _ in range(3))

    person.meanwhile = connect
    began = time.monotonic()
    assert kinetic.resolve("web-login", **web_settings).session().is_valid()
    assert time.monotonic() - began < 8
    for each in held:
        each.close()


def test_both_loopback_addresses_are_bound_before_the_browser_opens_and_free_afterwards(
    web_settings: dict[str, Any], person: Any
) -> None:
    port, refused = web_settings["redirect_port"], []

    def steal(_address: str) -> None:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    other.bind((host, port))
                    other.listen()
                except OSError as error:
                    refused.append(error.errno)

    person.meanwhile = steal
    kinetic.resolve("web-login", **web_settings).session()
    assert len(refused) == 2
    with socket.socket() as after:
        after.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        after.bind(("127.0.0.1", port))


def test_a_port_that_another_program_has_is_an_error_and_opens_no_browser(
    web_settings: dict[str, Any], person: Any
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", web_settings["redirect_port"]))
        other.listen()
        with pytest.raises(kinetic.AuthenticationError, match="another program listens at port") as caught:
            kinetic.resolve("web-login", **web_settings).session()
    assert "redirect_port" in caught.value.remedy
    assert person.opened == []


def test_the_doctor_sees_that_another_program_has_the_port_and_opens_no_browser(
    web_settings: dict[str, Any], person: Any
) -> None:
    variables = {f"SF_{name.upper()}": str(value) for name, value in web_settings.items()}

    def callback_port() -> tuple[int, str]:
        outcome = CliRunner().invoke(cli, ["doctor", "web-login", "--json"], env=variables)
        (status,) = [each["status"] for each in json.loads(outcome.stdout)["checks"] if each["name"] == "callback port"]
        return outcome.exit_code, status

    assert callback_port() == (0, "ok")
    with socket.create_server(("127.0.0.1", web_settings["redirect_port"])):
        assert callback_port() == (2, "failure")
    assert person.opened == []
    kinetic.resolve("web-login", **web_settings).session()
    assert callback_port() == (0, "ok")  # the connections of the login that has just ended do not count
    with socket.create_server(("127.0.0.1", web_settings["redirect_port"])):
        assert callback_port() == (0, "warning")  # the refresh token logs in


def test_nobody_is_asked_where_none_may_be(
    web_settings: dict[str, Any], person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "0")
    source = kinetic.resolve("web-login", **web_settings)
    with pytest.raises(kinetic.InteractionRequiredError) as caught:
        source.session()
    assert "kinetic-auth login web-login" in caught.value.remedy
    assert person.opened == []
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "1")
    assert source.session().is_valid()


def test_a_person_who_does_not_come_is_waited_for_as_long_as_login_timeout(
    web_settings: dict[str, Any], person: Any
) -> None:
    person.decision = ""
    source = kinetic.resolve("web-login", **web_settings, login_timeout=0.5)
    with pytest.raises(kinetic.InteractionRequiredError, match=r"within 0\.5 s") as caught:
        source.session()
    callback = f"http://localhost:{web_settings['redirect_port']}/OauthRedirect"
    assert f"redirect_uri_mismatch, add {callback} to the callback URLs" in caught.value.remedy


def test_the_time_of_a_person_is_outside_of_the_deadline(web_settings: dict[str, Any], person: Any) -> None:
    person.meanwhile = lambda _: time.sleep(1.5)
    assert kinetic.resolve("web-login", **web_settings, deadline=1).session().is_valid()


def test_a_refresh_token_that_has_expired_needs_a_person_again(
    web_settings: dict[str, Any], person: Any, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = kinetic.resolve("web-login", **web_settings)
    source.invalidate(source.session())
    sf.revoke_all()
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "0")
    for _ in range(2):
        with pytest.raises(kinetic.InteractionRequiredError):
            source.session()
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "1")
    assert source.session().is_valid()
    source.invalidate(source.session())
    sf.revoke_all()
    assert source.session().is_valid()  # in one login: the refresh is refused, and the person logs in
    assert len(person.opened) == 3


def test_another_user_than_the_configured_one_is_refused(
    web_settings: dict[str, Any], person: Any, sf: SalesforceEmulator
) -> None:
    source = kinetic.resolve("web-login", **web_settings, username="other@acme.com")
    with pytest.raises(kinetic.AuthenticationError, match=f"{person.username} has logged in") as caught:
        source.session()
    assert "other@acme.com" in str(caught.value)
    with pytest.raises(kinetic.AuthenticationError, match="has logged in"):
        source.session()  # what that user has granted was not kept
    assert len(person.opened) == 2


def test_of_threads_and_sources_that_need_a_person_one_opens_a_browser(
    web_settings: dict[str, Any], person: Any
) -> None:
    person.meanwhile = lambda _: time.sleep(0.5)
    sources = [kinetic.resolve("web-login", **web_settings) for _ in range(3)]
    tokens = at_once(lambda number: sources[number % 3].session().access_token)
    assert len(set(tokens)) == 1
    assert len(person.opened) == 1


def test_a_store_that_others_may_share_is_refused_without_a_username(web_settings: dict[str, Any]) -> None:
    class Shared(kinetic.SessionStore):
        durable = True
        get = put = delete = acquire = release = None  # type: ignore[assignment]

    with pytest.raises(kinetic.ConfigurationError, match="without a username"):
        kinetic.resolve("web-login", **web_settings, store=Shared())
    kinetic.resolve("web-login", **web_settings, store=Shared(), username="who@acme.com")
    kinetic.resolve("web-login", **web_settings, store="memory")


def test_neither_code_nor_verifier_nor_token_is_in_a_log_an_error_or_the_output(
    web_settings: dict[str, Any],
    person: Any,
    sf: SalesforceEmulator,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    sf.refuse("invalid_grant", "authentication failure", times=1)
    source = kinetic.resolve("web-login", **web_settings)
    with pytest.raises(kinetic.AuthenticationError) as caught:
        source.session()
    code = query_of(person.pages[0].history[-1].url)["code"]
    said = caplog.text + "".join(capfd.readouterr())
    assert code not in said
    assert "code_verifier" not in said
    is_test = lambda file: "/tests/" in file or "/testing/" in file  # noqa: E731 - one use
    assert secrets_in(caught.value, code, web_settings["client_secret"], is_test=is_test) == []


def test_a_code_without_its_verifier_is_worth_nothing(
    web_settings: dict[str, Any], person: Any, sf: SalesforceEmulator
) -> None:
    kinetic.resolve("web-login", **web_settings).session()
    code = query_of(person.pages[0].history[-1].url)["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": web_settings["client_id"],
        "client_secret": web_settings["client_secret"],
        "redirect_uri": f"http://localhost:{web_settings['redirect_port']}/OauthRedirect",
        "code_verifier": "a" * 43,
    }
    assert requests.post(f"{sf.url}/services/oauth2/token", data=form, timeout=10).status_code == 400


def test_an_org_that_gives_no_refresh_token_is_reported(
    web_settings: dict[str, Any], person: Any, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    source = kinetic.resolve("web-login", **web_settings, scope="id api")
    source.session()
    assert "no refresh token" in caplog.text
    source.authenticate()
    assert len(person.opened) == 2


def test_asession_may_ask_a_person_too(web_settings: dict[str, Any], person: Any) -> None:
    import asyncio

    assert asyncio.run(kinetic.resolve("web-login", **web_settings).asession()).is_valid()


def test_an_interrupt_frees_the_port_and_the_next_login_begins_at_once(
    web_settings: dict[str, Any], person: Any
) -> None:
    import signal

    person.decision = ""
    person.meanwhile = lambda _: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]
    source = kinetic.resolve("web-login", **web_settings)
    with pytest.raises(KeyboardInterrupt):
        source.session()
    person.decision, person.meanwhile = "oaapprove", None
    began = time.monotonic()
    assert source.session().is_valid()
    assert time.monotonic() - began < 5


def test_in_a_real_browser(
    web_settings: dict[str, Any], person: Any, chromium: Any, user: User, sf: SalesforceEmulator
) -> None:
    """A wrong password, denial; then consent. The address bar and the history end without a code."""
    person.decision = ""
    shown: list[str] = []

    def walk(address: str, button: str, text: str) -> None:
        chromium.open(address)
        chromium.wait_for("#password, #oaapprove")
        if chromium.run("!!document.querySelector('#password')"):
            for password in ("wrong", "canary-password"):
                chromium.wait_for("#password")
                chromium.run("document.querySelector('#username').value = ''")
                chromium.type("#username", user.username)
                chromium.type("#password", password)
                chromium.click("#Login")
                chromium.wait_for("#error" if password == "wrong" else "#oaapprove")
        chromium.click(button)
        chromium.wait_for_text(text)
        shown.append(chromium.run("location.href"))

    source = kinetic.resolve("web-login", **web_settings, login_timeout=90.0)
    for button, text in (("#oadeny", "You are not logged in"), ("#oaapprove", "You are logged in")):
        person.meanwhile = lambda address, button=button, text=text: walk(address, button, text)
        if button == "#oadeny":
            with pytest.raises(kinetic.AuthenticationError, match="access_denied"):
                source.session()
        else:
            assert source.session().is_valid()
        person.wait()
    port = web_settings["redirect_port"]
    assert shown == [f"http://localhost:{port}/not-done", f"http://localhost:{port}/done"]
    entries = chromium._command("Page.getNavigationHistory", chromium._page)["entries"]
    assert not any("code=" in entry["url"] for entry in entries)
    assert any("/done" in entry["url"] for entry in entries)


def test_ctrl_c_while_the_callback_is_closed_leaves_the_port_free(free_port: int) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(5):  # each finds the port free
            with contextlib.suppress(KeyboardInterrupt), Callback(free_port, "state"):
                signal.setitimer(signal.ITIMER_REAL, 0.002)
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, previous)
