"""What hooks, wrappers and `grant` are told of the login that they make."""

import asyncio
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import LoginRequest
from kinetic_auth_core.registry.hookspecs import LoginHooks
from kinetic_auth_core.testing import Alter, Answer, SalesforceEmulator


def a_session() -> kinetic.SalesforceSession:
    return kinetic.SalesforceSession(f"00D!{uuid.uuid4()}", "https://acme.my.salesforce.com", "", "0")


@attrs.frozen
class Noting:
    """Notes what it is asked for."""

    username: str = kinetic.setting("ada@acme.example", help="Who.")
    asked: list[LoginRequest] = attrs.field(init=False, factory=list)
    fails: list[Exception] = attrs.field(init=False, factory=list)

    @kinetic.hookimpl
    def authenticate(self, request: LoginRequest) -> kinetic.SalesforceSession:
        self.asked.append(request)
        if self.fails:
            raise self.fails.pop()
        return a_session()


@pytest.fixture
def noting() -> Noting:
    return Noting()


def reasons(noting: Noting) -> list[str]:
    return [each.reason for each in noting.asked]


def test_a_hook_is_told_who_logs_in_and_why(noting: Noting) -> None:
    source = kinetic.SessionSource(noting)
    first = source.session()
    source.authenticate()
    source.invalidate(first)
    source.session()
    assert reasons(noting) == ["first", "asked", "rejected"]
    assert [each.rejected for each in noting.asked] == [None, None, first]
    assert {(each.provider, each.environment, each.host, each.username) for each in noting.asked} == {
        ("Noting", None, None, "ada@acme.example")
    }
    assert {each.attempt for each in noting.asked} == {1}
    assert all(abs(each.now - time.time()) < 60 for each in noting.asked)
    assert first.access_token not in repr(noting.asked)


def test_a_login_after_the_lifetime_is_a_refresh(noting: Noting) -> None:
    source = kinetic.SessionSource(noting, session_lifetime=0.05)
    source.session()
    time.sleep(0.06)
    source.session()
    assert reasons(noting) == ["first", "refresh"]
    assert noting.asked[-1].rejected is None


def test_a_rejection_counts_until_a_login_succeeds_and_no_longer(noting: Noting) -> None:
    source = kinetic.SessionSource(noting)
    dead = source.session()
    source.invalidate(dead)
    noting.fails.append(kinetic.TransientAuthenticationError("not now"))
    with pytest.raises(kinetic.TransientAuthenticationError):
        source.session()
    live = source.session()
    source.invalidate(dead)  # late: another one is live
    assert source.session() == live
    assert reasons(noting) == ["first", "rejected", "rejected"]
    assert [each.rejected for each in noting.asked] == [None, dead, dead]


@pytest.mark.parametrize(
    ("variable", "expected"), [("1", True), ("0", False), ("", True), ("no", False), ("Off", False)]
)
def test_a_person_may_be_asked_where_there_is_a_terminal_or_the_variable_says_so(
    noting: Noting, monkeypatch: pytest.MonkeyPatch, variable: str, expected: bool
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", variable)
    source = kinetic.SessionSource(noting)
    source.session()
    source.authenticate()
    assert [each.interactive for each in noting.asked] == [expected, expected]


@pytest.mark.parametrize("stdin", [None, object()])
def test_nobody_is_asked_without_a_terminal(noting: Noting, monkeypatch: pytest.MonkeyPatch, stdin: object) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    kinetic.SessionSource(noting).session()
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "true")
    asyncio.run(kinetic.SessionSource(noting).asession())
    assert [each.interactive for each in noting.asked] == [False, True]


def test_nobody_is_asked_in_a_background_refresh(noting: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINETIC_AUTH_INTERACTIVE", "1")
    source = kinetic.SessionSource(noting, session_lifetime=2.0)
    source.session()
    until = time.monotonic() + 10
    while len(noting.asked) < 2 and time.monotonic() < until:
        time.sleep(0.05)
        if source.peek() is not None:
            source.session()
    assert reasons(noting)[:2] == ["first", "refresh"]
    assert [each.interactive for each in noting.asked[:2]] == [True, False]


def test_the_variable_of_an_env_file_does_not_count(
    noting: Noting, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / ".env").write_text("KINETIC_AUTH_INTERACTIVE=1\n")
    monkeypatch.setattr(sys, "stdin", None)
    kinetic.SessionSource(noting).session()
    assert not noting.asked[0].interactive


def test_a_hook_may_leave_the_request_out_or_give_it_a_default() -> None:
    class Without:
        @kinetic.hookimpl
        def authenticate(self) -> str:
            return "without"

    class Default:
        @kinetic.hookimpl
        def authenticate(self, request: LoginRequest | None = None) -> object:
            return request

    request = LoginRequest(provider="x")
    assert LoginHooks(Without()).authenticate(request) == "without"
    assert LoginHooks(Default()).authenticate(request) is request


@pytest.mark.parametrize("has_default", [False, True])
def test_a_wrapper_is_told_as_well(has_default: bool) -> None:
    seen: list[object] = []

    class Wrapper:
        @kinetic.hookimpl(wrapper=True)
        def authenticate(self, request: LoginRequest) -> Iterator[None]:
            seen.append(request)
            return (yield)

    class WithDefault:
        @kinetic.hookimpl(wrapper=True)
        def authenticate(self, request: LoginRequest | None = None) -> Iterator[None]:
            seen.append(request)
            return (yield)

    noting, request = Noting(), LoginRequest(provider="x")
    session = LoginHooks(noting, [("w", WithDefault() if has_default else Wrapper())]).authenticate(request)
    assert isinstance(session, kinetic.SalesforceSession)
    assert seen == noting.asked == [request]


def test_a_login_that_needs_a_person_says_so() -> None:
    error = kinetic.InteractionRequiredError("log in", remedy="kinetic-auth login")
    assert isinstance(error, kinetic.AuthenticationError)


# Grants


@attrs.frozen
class Grant(kinetic.GrantAuthenticator):
    """Client credentials, noting what it is asked for and what was answered."""

    provider_name: ClassVar[str] = "noting"
    client_id: str = kinetic.setting(help="Consumer Key.")
    client_secret: str = kinetic.setting(help="Consumer Secret.", secret=True)
    asked: list[LoginRequest] = attrs.field(init=False, eq=False, factory=list)
    answers: list[tuple[LoginRequest, Mapping[str, object]]] = attrs.field(init=False, eq=False, factory=list)
    raises: list[Exception] = attrs.field(init=False, eq=False, factory=list)

    def grant(self, request: LoginRequest) -> Mapping[str, str]:
        self.asked.append(request)
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }

    def granted(self, request: LoginRequest, answer: Mapping[str, object]) -> None:
        self.answers.append((request, answer))
        if self.raises:
            raise self.raises.pop()


@pytest.fixture
def make(sf: SalesforceEmulator) -> Callable[[], Grant]:
    user = sf.add_user(f"{uuid.uuid4()}@acme.example")
    app = sf.add_app(flows={"client_credentials"}, run_as=user.username)
    return lambda: Grant(app.client_id, app.client_secret, login_url=sf.url)


def test_each_try_of_a_grant_has_its_number(sf: SalesforceEmulator, make: Callable[[], Grant]) -> None:
    grant = make()
    sf.break_transport(Answer({"error": "temporarily_unavailable"}, status=503), times=2)
    source = kinetic.SessionSource(grant)
    source.session()
    assert [each.attempt for each in grant.asked] == [1, 2, 3]
    assert {each.reason for each in grant.asked} == {"first"}
    source.authenticate()
    assert (grant.asked[-1].attempt, grant.asked[-1].reason) == (1, "asked")
    grant.authenticate()
    request = grant.asked[-1]
    assert (request.attempt, request.reason, request.provider) == (1, "asked", "noting")
    assert request.host == sf.url.partition("://")[2]


def test_granted_sees_all_fields_of_a_good_answer(sf: SalesforceEmulator, make: Callable[[], Grant]) -> None:
    grant = make()
    sf.break_transport(Alter({"refresh_token": "rotated", "number": 5}))
    session = grant.authenticate()
    ((request, answer),) = grant.answers
    assert request is grant.asked[0]
    assert (answer["refresh_token"], answer["number"], answer["access_token"]) == ("rotated", 5, session.access_token)
    with pytest.raises(TypeError):
        answer["x"] = 1  # type: ignore[index]


@pytest.mark.parametrize("changed", [{"instance_url": "http://evil.example"}, {}])
def test_granted_runs_before_the_guards(
    sf: SalesforceEmulator, make: Callable[[], Grant], changed: dict[str, str]
) -> None:
    grant = make()
    sf.break_transport(Alter({"refresh_token": "rotated", **changed}))
    with pytest.raises(kinetic.SessionRejectedError):
        kinetic.SessionSource(grant, expected_org_id="00D000000000009").session()
    assert [answer["refresh_token"] for _, answer in grant.answers] == ["rotated"]


def test_granted_sees_no_refusal_and_no_answer_of_somebody_else(
    sf: SalesforceEmulator, make: Callable[[], Grant]
) -> None:
    grant = make()
    for fault in (Alter({"signature": "c2ln"}), Alter({"access_token": None})):
        sf.break_transport(fault)
        with pytest.raises(kinetic.AuthenticationError):
            grant.authenticate()
    sf.break_transport(Answer({"error": "invalid_grant"}, status=400))
    with pytest.raises(kinetic.AuthenticationError):
        grant.authenticate()
    assert grant.answers == []


@pytest.mark.parametrize(
    "raised",
    [
        ValueError("canary-rotated"),
        kinetic.TransientAuthenticationError("canary-rotated", retryable=True),
        kinetic.KineticAuthError("the store is down: canary-rotated"),
    ],
)
def test_a_granted_that_raises_fails_the_login_without_another_request(
    sf: SalesforceEmulator, make: Callable[[], Grant], raised: Exception, logged: Any
) -> None:
    grant = make()
    grant.raises.append(raised)
    sf.break_transport(Alter({"refresh_token": "canary-rotated"}))
    before = sf.token_requests
    with pytest.raises(kinetic.KineticAuthError) as caught:
        kinetic.SessionSource(grant).session()
    assert sf.token_requests == before + 1
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in str(error)
        error = error.__cause__ or error.__context__
    assert "canary" not in logged.getvalue()


def test_concurrent_logins_have_requests_of_their_own(make: Callable[[], Grant]) -> None:
    grant = make()
    threads = [threading.Thread(target=grant.authenticate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.attempt for each in grant.asked] == [1] * 4
