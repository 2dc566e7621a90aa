"""Observers: they are notified of each login, may wrap it, and cannot break it by accident."""

import importlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator, redirect_logins

Install = Callable[..., Path]

PROVIDER = """
OUTCOMES = []

@attrs.frozen
class Provider:
    token: str = kinetic.setting("canary-token", help="", secret=True)
    username: str = kinetic.setting("ada@acme.com", help="")
    login_url: str = kinetic.setting("https://acme.my.salesforce.com", help="")

    @kinetic.hookimpl
    def authenticate(self):
        if OUTCOMES:
            raise OUTCOMES.pop()
        identity = "https://login.salesforce.com/id/00D5g00000AbCdEEAC/0055g00000XyZwVAAA"
        return kinetic.SalesforceSession(self.token, self.login_url, identity, "1700000000000")
"""

WATCH = """
SEEN = []

class Watch:
    @kinetic.hookimpl
    def session_issued(self, provider, session, event):
        SEEN.append(("issued", provider, session, event))

    @kinetic.hookimpl
    def authentication_failed(self, event, error, provider):
        SEEN.append(("failed", provider, error, event))
"""


@pytest.fixture
def outcomes(install: Install) -> list[Any]:
    """A provider named `fake`, which raises the errors in this list."""
    install("fake-provider", PROVIDER, {"authenticators": {"fake": "fake_provider:Provider"}})
    return importlib.import_module("fake_provider").OUTCOMES  # type: ignore[no-any-return]


@pytest.fixture
def seen(install: Install) -> list[Any]:
    """The calls of an observer."""
    install("watch", WATCH, {"observers": {"watch": "watch:Watch"}})
    return importlib.import_module("watch").SEEN  # type: ignore[no-any-return]


EAGER = """
SOURCES = []

class Observer:
    def __init__(self):
        for source in SOURCES:
            source.authenticate()

    @kinetic.hookimpl
    def session_issued(self):
        pass
"""

OWN = """
LOGINS, SEEN = [], []

@attrs.frozen
class Own:
    @kinetic.hookimpl
    def authenticate(self):
        LOGINS.append(1)
        return kinetic.SalesforceSession("00D!own", "https://acme.my.salesforce.com", "", "0")
"""

OWNER = f"""{OWN}
class Observer:
    def __init__(self):
        self.session = kinetic.SessionSource(Own()).session()

    @kinetic.hookimpl
    def session_issued(self, session):
        SEEN.append(self.session.access_token)
"""

WRITER = f"""{OWN}
class Observer:
    def __init__(self):
        self.source = kinetic.SessionSource(Own())

    @kinetic.hookimpl
    def session_issued(self, session):
        SEEN.append(session.org_id)
        self.source.session()
"""

FRUGAL = """
SEEN = []

@kinetic.hookimpl
def session_issued(event):
    SEEN.append(event.org_id)

@kinetic.hookimpl
def authentication_failed():
    SEEN.append("failed")
"""

RAISING = """
class Observer:
    @kinetic.hookimpl
    def session_issued(self, session):
        raise RuntimeError(session.access_token)

    @kinetic.hookimpl
    def authentication_failed(self):
        raise RuntimeError("canary-token")
"""

EQUAL = """
SEEN = []

@attrs.frozen
class Observer:
    @kinetic.hookimpl
    def session_issued(self):
        SEEN.append(1)
"""

STOPWATCH = """
import time

TIMES = []

class Observer:
    @kinetic.hookimpl(wrapper=True)
    def authenticate(self):
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            TIMES.append(time.perf_counter() - began)
"""

VETO = """
class Observer:
    @kinetic.hookimpl(wrapper=True)
    def authenticate(self):
        raise kinetic.LoginBudgetError("Not at night.")
        yield
"""

GUARD = """
class Observer:
    @kinetic.hookimpl(wrapper=True)
    def authenticate(self):
        session = yield
        raise kinetic.SessionRejectedError(f"{session.org_id} is another org.")
"""

SPOILER = """
class Observer:
    @kinetic.hookimpl(wrapper=True)
    def authenticate(self):
        yield
        return None
"""


def observe(install: Install, name: str, source: str, target: str = "{}:Observer") -> Any:
    install(name, source, {"observers": {name: target.format(name)}})
    return importlib.import_module(name)


def test_an_observer_is_notified_of_a_success(outcomes: list[Any], seen: list[Any]) -> None:
    session = kinetic.resolve("fake").session()
    ((what, provider, received, event),) = seen
    assert (what, provider) == ("issued", "fake")
    assert received is session
    assert (event.provider, event.distribution) == ("fake", "fake-provider 1.0")
    assert (event.host, event.username) == ("acme.my.salesforce.com", "ada@acme.com")
    assert (event.org_id, event.attempts, event.key_fingerprint) == ("00D5g00000AbCdEEAC", 0, None)
    assert event.duration_s >= 0
    assert "canary-token" not in repr(event)


def test_an_observer_is_notified_of_a_failure(outcomes: list[Any], seen: list[Any]) -> None:
    error = kinetic.CredentialsRejectedError("No.", provider="fake")
    outcomes.append(error)
    with pytest.raises(kinetic.CredentialsRejectedError):
        kinetic.resolve("fake").session()
    ((what, provider, received, event),) = seen
    assert (what, provider) == ("failed", "fake")
    assert received is error
    assert (event.org_id, event.username, event.host) == (None, "ada@acme.com", "acme.my.salesforce.com")


def test_an_observer_receives_a_plugins_error_wrapped(outcomes: list[Any], seen: list[Any]) -> None:
    outcomes.append(KeyError("x"))
    with pytest.raises(kinetic.AuthenticationError):
        kinetic.resolve("fake").session()
    assert type(seen[0][2]) is kinetic.AuthenticationError


def test_an_observer_is_notified_if_a_secret_cannot_be_loaded(outcomes: list[Any], seen: list[Any]) -> None:
    with pytest.raises(kinetic.KeyLoadError):
        kinetic.resolve("fake", token="env://NOT_SET").session()
    ((what, provider, received, event),) = seen
    assert (what, provider, event.provider) == ("failed", "fake", "fake")
    assert isinstance(received, kinetic.KeyLoadError)


def test_an_observer_is_notified_of_logins_of_an_instance(outcomes: list[Any], seen: list[Any]) -> None:
    made = importlib.import_module("fake_provider").Provider()
    kinetic.SessionSource(made).session()
    assert (seen[0][1], seen[0][3].provider, seen[0][3].distribution) == ("Provider", "Provider", None)


def test_observers_are_notified_once_per_login_and_not_of_a_session_from_memory(
    outcomes: list[Any], seen: list[Any]
) -> None:
    source = kinetic.resolve("fake")
    for _ in range(3):
        source.session()
    assert len(seen) == 1
    source.authenticate()
    assert len(seen) == 2


def test_an_observer_may_take_some_of_the_arguments(outcomes: list[Any], install: Install) -> None:
    module = observe(install, "frugal", FRUGAL, target="{}")
    source = kinetic.resolve("fake")
    source.session()
    outcomes.append(KeyError("x"))
    with pytest.raises(kinetic.AuthenticationError):
        source.authenticate()
    assert module.SEEN == ["00D5g00000AbCdEEAC", "failed"]


def test_an_observer_that_raises_is_logged_and_affects_neither_the_login_nor_other_observers(
    outcomes: list[Any], seen: list[Any], install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("aaa", "zzz"):
        observe(install, name, RAISING)
    source = kinetic.resolve("fake")
    with caplog.at_level(logging.DEBUG):
        assert source.session().is_valid()
        outcomes.append(kinetic.CredentialsRejectedError("No."))
        with pytest.raises(kinetic.CredentialsRejectedError, match=r"^No\.$"):
            source.authenticate()
    assert [what for what, *_ in seen] == ["issued", "failed"]
    for name in ("aaa", "zzz"):
        for hook in ("session_issued", "authentication_failed"):
            start = f"observer {name} raised RuntimeError in {hook}; the login continues ("
            [message] = [each for each in caplog.messages if each.startswith(start)]
            file, _, line = message.removeprefix(start).removesuffix(")").rpartition(":")
            assert Path(file).read_text().splitlines()[int(line) - 1].lstrip().startswith("raise RuntimeError")
    assert "canary-token" not in caplog.text


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("raise RuntimeError('not today')\n", "Observer", "does not import: RuntimeError: not today"),
        (
            "class Observer:\n    def __init__(self):\n        raise LookupError('no home')\n",
            "Observer",
            "cannot be instantiated: LookupError: no home",
        ),
        ("class Observer:\n    pass\n", "Observer", "implements no hook"),
        (
            "class Observer:\n    @kinetic.hookimpl\n    def session_isued(self):\n        pass\n",
            "Observer",
            "unknown hook 'session_isued'",
        ),
        (
            "class Observer:\n    @kinetic.hookimpl\n    def session_issued(self, token):\n        pass\n",
            "Observer",
            "token",
        ),
        (
            "class Observer:\n    @kinetic.hookimpl\n    def authenticate(self):\n        pass\n",
            "Observer",
            "may only wrap authenticate",
        ),
    ],
)
def test_an_observer_that_does_not_fit_is_skipped_with_a_warning(
    outcomes: list[Any],
    seen: list[Any],
    install: Install,
    caplog: pytest.LogCaptureFixture,
    source: str,
    target: str,
    why: str,
) -> None:
    install("unfit", source, {"observers": {"unfit": f"unfit:{target}"}})
    assert kinetic.resolve("fake").session().is_valid()
    (message,) = [message for message in caplog.messages if message.startswith("an observer is skipped: ")]
    assert "the plugin 'unfit' of unfit 1.0 (unfit:Observer)" in message
    assert why in message
    assert len(seen) == 1


def test_an_observer_whose_name_two_distributions_claim_is_skipped(
    outcomes: list[Any], install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one-watch", "two-watch"):
        install(name, WATCH, {"observers": {"watch": f"{name.replace('-', '_')}:Watch"}})
    assert kinetic.resolve("fake").session().is_valid()
    assert "claimed by more than one package: one-watch 1.0 (one_watch:Watch) and two-watch 1.0" in caplog.text


def in_a_thread(log_in: Callable[[], kinetic.SalesforceSession]) -> "Future[kinetic.SalesforceSession]":
    """The result of a login in a daemon thread, which does not block the tests if it hangs."""
    outcome: Future[kinetic.SalesforceSession] = Future()
    threading.Thread(target=lambda: outcome.set_result(log_in()), daemon=True).start()
    return outcome


def test_an_observer_that_calls_its_own_source_in_its_constructor_gets_a_session_and_blocks_no_login(
    outcomes: list[Any], install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    eager = observe(install, "eager", EAGER)
    source = kinetic.resolve("fake")
    eager.SOURCES.append(source)
    assert in_a_thread(source.authenticate).result(20).is_valid()
    assert "an observer is left out" not in caplog.text


@pytest.mark.parametrize("asked", [0, 1])
def test_an_observer_that_calls_a_source_of_a_pool_in_its_constructor_blocks_no_login(
    outcomes: list[Any], install: Install, asked: int
) -> None:
    eager = observe(install, "eager", EAGER)
    with kinetic.SourcePool(tenants=lambda _key: {"provider": "fake"}) as pool:
        sources = [pool.source(str(number)) for number in range(2)]
        eager.SOURCES.append(sources[asked])
        logins = [in_a_thread(source.authenticate) for source in sources]
        assert all(login.result(20).is_valid() for login in logins)


def test_an_observer_that_logs_in_in_its_constructor_does_so_once(outcomes: list[Any], install: Install) -> None:
    owner = observe(install, "owner", OWNER)
    assert kinetic.resolve("fake").session().is_valid()
    assert (owner.LOGINS, owner.SEEN) == ([1], ["00D!own"])


def test_an_observer_is_not_notified_of_logins_that_it_makes_itself(
    outcomes: list[Any], seen: list[Any], install: Install
) -> None:
    writer = observe(install, "writer", WRITER)
    source = kinetic.resolve("fake")
    for _ in range(2):
        source.authenticate()
    assert len(writer.SEEN) == 2
    assert len(writer.LOGINS) == 1
    assert len(seen) == 3  # the others are notified


def test_equal_observers_are_all_notified(outcomes: list[Any], install: Install) -> None:
    """Instances of an attrs class without fields are all equal."""
    install("twice", EQUAL, {"observers": {"first": "twice:Observer", "second": "twice:Observer"}})
    assert kinetic.resolve("fake").session().is_valid()
    assert importlib.import_module("twice").SEEN == [1, 1]


def test_a_module_installed_under_two_names_breaks_no_login(outcomes: list[Any], install: Install) -> None:
    source = "SEEN = []\n\n@kinetic.hookimpl\ndef session_issued():\n    SEEN.append(1)\n"
    install("twice", source, {"observers": {"first": "twice", "second": "twice"}})
    assert kinetic.resolve("fake").session().is_valid()
    assert importlib.import_module("twice").SEEN


def test_a_wrapper_can_time_a_login(outcomes: list[Any], install: Install) -> None:
    module = observe(install, "stopwatch", STOPWATCH)
    source = kinetic.resolve("fake")
    assert source.session().access_token == "canary-token"
    outcomes.append(kinetic.CredentialsRejectedError("No."))
    with pytest.raises(kinetic.CredentialsRejectedError):
        source.authenticate()
    assert len(module.TIMES) == 2
    assert all(0 <= duration_s < 10 for duration_s in module.TIMES)


def test_a_wrapper_can_veto_a_login_before_it_is_made(outcomes: list[Any], seen: list[Any], install: Install) -> None:
    observe(install, "veto", VETO)
    outcomes.append(AssertionError("the provider was asked"))
    with pytest.raises(kinetic.LoginBudgetError, match=r"^Not at night\.$"):
        kinetic.resolve("fake").session()
    assert len(outcomes) == 1
    assert seen[0][0] == "failed"


def test_a_wrapper_can_refuse_a_session_after_it_is_made(outcomes: list[Any], install: Install) -> None:
    observe(install, "guard", GUARD)
    with pytest.raises(kinetic.SessionRejectedError, match="00D5g00000AbCdEEAC is another org"):
        kinetic.resolve("fake").session()


def test_a_wrapper_that_returns_an_invalid_session_is_an_authentication_error(
    outcomes: list[Any], install: Install
) -> None:
    observe(install, "spoiler", SPOILER)
    with pytest.raises(kinetic.AuthenticationError, match="returned NoneType instead of a SalesforceSession"):
        kinetic.resolve("fake").session()


def test_observers_are_notified_once_per_login_regardless_of_retries(seen: list[Any], sf: SalesforceEmulator) -> None:
    login = sf.default
    authenticator = kinetic.JWTAuthenticator(login.client_id, login.username, login.private_key_pem, login_url=sf.url)
    source = kinetic.SessionSource(authenticator)
    sf.refuse("server_error", times=2)
    source.session()
    sf.refuse("server_error", times=4)
    with pytest.raises(kinetic.TransientAuthenticationError):
        source.authenticate()
    assert [(what, event.attempts) for what, _, _, event in seen] == [("issued", 3), ("failed", 4)]
    for _, _, _, event in seen:
        assert 0 < event.waited_s < event.duration_s
    assert seen[1][2].attempts == 4


class Recorder:
    """An observer of the application, which notes what it is called with."""

    def __init__(self, name: str = "", calls: list[Any] | None = None) -> None:
        self.name = name
        self.calls: list[Any] = [] if calls is None else calls

    @kinetic.hookimpl
    def session_issued(self, provider: str, session: kinetic.SalesforceSession, event: kinetic.LoginEvent) -> None:
        self.calls.append(("issued", self.name or provider, event))

    @kinetic.hookimpl
    def authentication_failed(self, provider: str) -> None:
        self.calls.append(("failed", self.name or provider, None))

    @kinetic.hookimpl
    def session_invalidated(self, provider: str, session: kinetic.SalesforceSession, event: kinetic.LoginEvent) -> None:
        self.calls.append((session.access_token, self.name or provider, event))


class First:
    """Before the others."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    @kinetic.hookimpl(tryfirst=True)
    def session_issued(self) -> None:
        self.calls.append("first")

    @kinetic.hookimpl(specname="authentication_failed", trylast=True)
    def last(self) -> None:
        self.calls.append("last")


ORDERED = """
CALLS = []

class Last:
    @kinetic.hookimpl(trylast=True)
    def session_issued(self):
        CALLS.append("last")

class Plain:
    @kinetic.hookimpl
    def session_issued(self):
        CALLS.append("plain")
"""


def test_observers_are_called_in_the_order_of_pluggy(outcomes: list[Any], install: Install) -> None:
    groups = {"a-last": "ordered:Last", "b-plain": "ordered:Plain"}
    install("ordered", ORDERED, {"observers": groups})
    calls = importlib.import_module("ordered").CALLS
    kinetic.resolve("fake", observers=[First(calls)]).session()
    assert calls == ["first", "plain", "last"]


@pytest.mark.parametrize("how", ["resolve", "by hand", "pool"])
def test_an_application_has_observers_of_its_own(outcomes: list[Any], seen: list[Any], how: str) -> None:
    recorder = Recorder()
    observers = [recorder, Recorder("twin", recorder.calls), First(recorder.calls)]
    if how == "resolve":
        source = kinetic.resolve("fake", observers=observers)
    elif how == "by hand":
        source = kinetic.SessionSource(importlib.import_module("fake_provider").Provider(), observers=tuple(observers))
    else:
        source = kinetic.SourcePool(tenants=lambda _: {"provider": "fake"}, observers=iter(observers)).source("a")
    source.session()
    outcomes.append(kinetic.CredentialsRejectedError("No."))
    with pytest.raises(kinetic.CredentialsRejectedError):
        source.authenticate()
    name = source.provider
    assert [call if isinstance(call, str) else call[:2] for call in recorder.calls] == [
        *("first", ("issued", "twin"), ("issued", name)),
        *(("failed", "twin"), ("failed", name), "last"),
    ]
    assert [what for what, *_ in seen] == ["issued", "failed"]


class Wrapping:
    """Only authenticate may be wrapped."""

    @kinetic.hookimpl(wrapper=True)
    def session_invalidated(self) -> Iterator[None]:
        yield


class Asynchronous:
    """Nobody would await it."""

    @kinetic.hookimpl
    async def session_issued(self) -> None: ...


@pytest.mark.parametrize(
    ("observers", "problem"),
    [
        ([Recorder], r"observers: no. 1 \(Recorder\) is a class: give an instance of it"),
        ([Recorder(), object()], r"observers: no. 2 \(object\) implements no hook"),
        ([Asynchronous()], r"observers: no. 1 \(Asynchronous\) has session_issued\(\) as an async function"),
        ([Wrapping()], r"no. 1 \(Wrapping\) may wrap authenticate only, not the hooks that notify it"),
        (Recorder(), "observers: expected a list of observers, got Recorder"),
        ("audit", "observers: expected a list of observers, got str"),
        (None, "observers: expected a list of observers, got NoneType"),
    ],
)
def test_an_observer_of_the_application_that_does_not_fit_is_an_error(
    outcomes: list[Any], observers: Any, problem: str
) -> None:
    makers: list[Callable[[], Any]] = [
        lambda: kinetic.resolve("fake", observers=observers),
        lambda: kinetic.SessionSource(importlib.import_module("fake_provider").Provider(), observers=observers),
        lambda: kinetic.SourcePool(tenants=lambda _: {"provider": "fake"}, observers=observers),
    ]
    for make in makers:
        with pytest.raises(kinetic.ConfigurationError, match=problem):
            make()


def test_a_session_that_is_reported_dead_is_an_event_once(outcomes: list[Any]) -> None:
    recorder = Recorder()
    source = kinetic.resolve("fake", environment="prod", observers=[recorder])
    session = source.session()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(source.invalidate, [session] * 32))
    _, dead = recorder.calls
    assert dead[:2] == ("canary-token", "fake")
    event = dead[2]
    assert (event.provider, event.distribution, event.environment) == ("fake", "fake-provider 1.0", "prod")
    assert (event.host, event.org_id) == ("acme.my.salesforce.com", "00D5g00000AbCdEEAC")
    assert (event.reason, event.attempts, event.key_fingerprint) == ("rejected", 0, None)
    assert "canary-token" not in repr(event)


def test_an_observer_that_raises_for_a_dead_session_breaks_nothing(
    outcomes: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Raising:
        @kinetic.hookimpl
        def session_invalidated(self, session: kinetic.SalesforceSession) -> None:
            raise RuntimeError(session.access_token)

    source = kinetic.resolve("fake", observers=[Raising()])
    source.invalidate(source.session())
    assert source.session().is_valid()
    assert "observer Raising raised RuntimeError in session_invalidated" in caplog.text
    assert "canary-token" not in caplog.text


def test_an_observer_may_ask_for_the_next_session_when_one_is_dead(outcomes: list[Any]) -> None:
    class Eager:
        source: kinetic.SessionSource
        tokens: ClassVar[list[str]] = []

        @kinetic.hookimpl
        def session_invalidated(self) -> None:
            self.tokens.append(self.source.session().access_token)

    eager = Eager()
    eager.source = kinetic.resolve("fake", observers=[eager])
    session = eager.source.session()

    def report() -> kinetic.SalesforceSession:
        eager.source.invalidate(session)
        return session

    in_a_thread(report).result(20)
    assert eager.tokens == ["canary-token"]


def test_a_wrapper_of_the_application_can_veto_a_login(outcomes: list[Any]) -> None:
    class Closed:
        @kinetic.hookimpl(wrapper=True)
        def authenticate(self) -> Iterator[None]:
            raise kinetic.LoginBudgetError("Not at night.")
            yield  # type: ignore[unreachable]

    with pytest.raises(kinetic.LoginBudgetError, match="Not at night"):
        kinetic.resolve("fake", observers=[Closed()]).session()


def test_an_event_says_why_there_was_a_login(outcomes: list[Any]) -> None:
    recorder = Recorder()
    source = kinetic.resolve("fake", observers=[recorder])
    source.invalidate(source.session())
    source.session()
    source.authenticate()
    assert [event.reason for _, _, event in recorder.calls] == ["first", "rejected", "rejected", "asked"]


@pytest.mark.usefixtures("full_tier")
@pytest.mark.parametrize("table", ["", "required = true", "enabled = false"])
def test_redirected_logins_leave_out_the_observers_of_the_config_file(
    install: Install, tmp_path: Path, table: str
) -> None:
    install("acme-watch", WATCH, {"observers": {"acme-watch": "acme_watch:Watch"}})
    config = tmp_path / "kinetic-auth.toml"
    config.write_text(f"[observers.acme-watch]\n{table}\n")
    login = {"client_id": "key", "username": "ada@acme.com", "private_key": "env://KEY"}
    with SalesforceEmulator() as emulator, redirect_logins(emulator):
        kinetic.resolve("jwt-bearer", config=config, **login).session()
    assert importlib.import_module("acme_watch").SEEN == []


@pytest.mark.usefixtures("full_tier")
def test_redirected_logins_load_no_plugin_that_the_config_file_does_not_allow(install: Install, tmp_path: Path) -> None:
    install("acme-watch", WATCH, {"observers": {"acme-watch": "acme_watch:Watch"}})
    config = tmp_path / "kinetic-auth.toml"
    config.write_text("allowed_plugins = ['kinetic-auth-jwt-bearer']\n")
    login = {"client_id": "key", "username": "ada@acme.com", "private_key": "env://KEY"}
    with SalesforceEmulator() as emulator, redirect_logins(emulator):
        kinetic.resolve("jwt-bearer", config=config, **login).session()
    assert importlib.import_module("acme_watch").SEEN == []
