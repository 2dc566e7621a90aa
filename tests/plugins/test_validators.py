"""Validators add up, get the real instance, and run once; problems are reported at once, each with its source."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.construct import refusals
from kinetic_auth_core.settings.schema import LiteralText, schema

CALLS: list[tuple[str, Any]] = []
PLAIN_HTTP = "is plain http"
Install = Callable[..., Path]


def no_login(_instance: object, _attribute: object, value: str) -> None:
    if "login." in value:
        raise ValueError("must be the org's My Domain")


@attrs.frozen
class Decorated(kinetic.GrantAuthenticator):
    """attrs' own decorator beside the setting's check."""

    client_id: str = kinetic.setting("id", help="")
    login_url: str = kinetic.login_url_setting()

    @login_url.validator
    def _my_domain(self, attribute: object, value: str) -> None:
        no_login(self, attribute, value)

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        return {"grant_type": "client_credentials", "client_id": self.client_id}


@attrs.frozen
class Given(kinetic.GrantAuthenticator):
    """A validator of its own as an argument."""

    login_url: str = kinetic.login_url_setting(attrs.NOTHING, help="Where.", env="ACME_URL", validator=[no_login])

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        return {"grant_type": "client_credentials"}


@attrs.frozen
class Plain:
    """Not a grant: attrs runs the validators in the constructor."""

    login_url: str = kinetic.url_setting(help="", converter=str.lower, validator=no_login)

    @login_url.validator
    def _host(self, _attribute: object, value: str) -> None:
        if "acme" not in value:
            raise ValueError("must be acme's")

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        raise NotImplementedError


@pytest.mark.parametrize("cls", [Decorated, Given, Plain])
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://acme.my.salesforce.com", PLAIN_HTTP),
        ("https://login.acme.example", "must be the org's My Domain"),
        ("https://user:pass@acme.example", "has a user or password in it"),
    ],
)
def test_a_validator_of_a_class_adds_to_the_check_of_the_url(cls: type, url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        cls(login_url=url)
    assert refusals(cls, {"login_url": url})["login_url"].startswith(problem)
    assert cls(login_url="https://acme.example/").login_url == "https://acme.example"


def test_the_helpers_take_the_arguments_of_a_setting() -> None:
    (given,) = [each for each in schema(Given) if each.name == "login_url"]
    assert (given.env, given.help, given.required) == ("ACME_URL", "Where.", True)
    assert Plain("HTTPS://ACME.example/").login_url == "https://acme.example"


@attrs.frozen
class Careless(kinetic.GrantAuthenticator):
    """Its login_url has no check at all."""

    login_url: str = kinetic.setting(help="")
    client_secret: str = kinetic.setting(default="canary-secret", help="", secret=True)

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        return {"grant_type": "client_credentials", "client_secret": self.client_secret}


@pytest.mark.parametrize("url", ["http://acme.my.salesforce.com", "HTTP://10.0.0.1", "ftp://acme.example", "//x"])
def test_the_transport_itself_sends_nothing_in_clear(url: str, leaked_secrets: Callable[..., list[str]]) -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"would get credentials without https") as caught:
        kinetic.SessionSource(Careless(url)).session()
    assert leaked_secrets(caught.value, "canary-secret") == []


CROSS = """
CALLS = []

def counted(instance, attribute, value):
    CALLS.append((attribute.name, type(instance).__name__))
    if attribute.name == "low" and value > instance.high:
        raise ValueError(f"is above high ({instance.high})")

BASES = {"Grant": kinetic.GrantAuthenticator, "Other": object}
ID = "https://login.salesforce.com/id/00D000000000001AAA/005000000000001AAA"
S = lambda: kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", ID, "1700000000000")

class _Hooks:
    @kinetic.hookimpl
    def authenticate(self):
        return S()

    def grant(self, request):
        return {}

@attrs.frozen(kw_only=True)
class Grant(_Hooks, kinetic.GrantAuthenticator):
    low: int = kinetic.setting(1, help="", validator=counted)
    high: int = kinetic.setting(help="", validator=counted)
    token: str = kinetic.setting("t", help="", secret=True)

    @token.validator
    def _token(self, attribute, value):
        CALLS.append(("token", type(self).__name__))
        if len(value) > self.high:
            raise ValueError("too long")

@attrs.frozen(kw_only=True)
class Other(_Hooks):
    low: int = kinetic.setting(1, help="", validator=counted)
    high: int = kinetic.setting(help="", validator=counted)
    token: str = kinetic.setting("t", help="", secret=True)

    @token.validator
    def _token(self, attribute, value):
        CALLS.append(("token", type(self).__name__))
        if len(value) > self.high:
            raise ValueError("too long")
"""


@pytest.fixture(params=["grant", "other"])
def cross(request: pytest.FixtureRequest, install: Install) -> tuple[str, list[Any]]:
    install("cross", CROSS, {"authenticators": {"grant": "cross:Grant", "other": "cross:Other"}})
    import cross  # type: ignore[import-not-found]

    return request.param, cross.CALLS


def test_a_validator_runs_once_in_resolve_and_login(cross: tuple[str, list[Any]]) -> None:
    name, calls = cross
    source = kinetic.resolve(name, high=3)
    source.session()
    source.authenticate()
    assert sorted(calls) == sorted((each, name.title()) for each in ("low", "high", "token"))


def test_a_validator_may_read_other_settings_through_resolve(cross: tuple[str, list[Any]]) -> None:
    name, _ = cross
    assert kinetic.resolve(name, low=2, high=3).provider == name
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(name, low=4, high=3, token="long")
    assert caught.value.problems == (
        "low (from keyword): is above high (3)",
        "token (from keyword): was refused (ValueError)",
    )


def test_all_problems_are_reported_at_once_and_what_cannot_be_judged_is_not(cross: tuple[str, list[Any]]) -> None:
    name, _ = cross
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(name, low=4, higg=3, session_lifetime=0)
    assert {each.partition(" ")[0] for each in caught.value.problems} == {"higg", "high", "session_lifetime"}


def test_a_problem_beside_a_reference_is_one_of_resolve_and_that_of_the_reference_one_of_the_login(
    cross: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _ = cross
    monkeypatch.setenv("LONG", "long")
    with pytest.raises(kinetic.ConfigurationError, match=r"low \(from keyword\): is above high"):
        kinetic.resolve(name, low=4, high=3, token="env://LONG")
    source = kinetic.resolve(name, high=3, token="env://LONG")
    with pytest.raises(kinetic.ConfigurationError, match=r"token \(from keyword\): was refused") as caught:
        source.session()
    assert "long" not in str(caught.value)


def test_a_class_that_allows_no_subclass_is_checked_with_its_instance() -> None:
    class Final(type):
        def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
            if bases:
                raise TypeError(name)
            return super().__new__(mcs, name, bases, namespace)

    @attrs.frozen(slots=False)
    class Closed(metaclass=Final):
        url: str = kinetic.url_setting(help="")

    assert refusals(Closed, {"url": "http://acme.example"}) == {}


def test_a_default_that_needs_a_missing_setting_is_not_judged() -> None:
    @attrs.frozen
    class Derived:
        host: str = kinetic.setting(help="")
        url: str = kinetic.url_setting(attrs.Factory(lambda self: f"http://{self.host}", takes_self=True), help="")

    assert refusals(Derived, {}, {"host"}) == {}
    assert refusals(Derived, {"host": "acme.example"})["url"].startswith(PLAIN_HTTP)


def test_from_env_reports_each_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_LOGIN_URL", "https://login.acme.example")
    monkeypatch.setenv("SF_DEADLINE", "-1")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        Decorated.from_env()
    assert caught.value.problems == (
        "login_url (from SF_LOGIN_URL): must be the org's My Domain",
        "deadline (from SF_DEADLINE): must be a number of seconds above 0, up to 86400",
    )


@attrs.frozen
class OfAttrs:
    """attrs' own validators: what some raise has the field and the value behind its text."""

    name: str = kinetic.setting("abc", help="", validator=attrs.validators.matches_re("[a-z]+"))
    mode: str = kinetic.setting("a", help="", validator=attrs.validators.in_(["a", "b"]))
    number: Any = kinetic.setting(1, help="", validator=attrs.validators.instance_of(int))
    table: dict[str, Any] = kinetic.setting(
        default=attrs.Factory(dict),
        help="",
        validator=attrs.validators.deep_mapping(attrs.validators.instance_of(str), attrs.validators.instance_of(str)),
    )

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        raise NotImplementedError


def test_what_a_validator_of_attrs_says_is_one_sentence(install: Install) -> None:
    install("acme-attrs", f"from {__name__} import OfAttrs", {"authenticators": {"acme-attrs": "acme_attrs:OfAttrs"}})
    with pytest.raises(kinetic.ConfigurationError) as raised:
        kinetic.resolve("acme-attrs", name="A", mode="c", number="1", table={"a": 1})
    assert [problem.partition(" (from keyword): ")[2] for problem in raised.value.problems] == [
        "'name' must match regex '[a-z]+' ('A' doesn't)",
        "'mode' must be in ['a', 'b'] (got 'c')",
        "'number' must be <class 'int'> (got '1' that is a <class 'str'>).",
        "'table' must be <class 'str'> (got 1 that is a <class 'int'>).",
    ]


@pytest.mark.parametrize("takes_self", [True, False])
def test_a_converter_that_attrs_calls_may_change_the_type(install: Install, takes_self: bool) -> None:
    source = (
        "import datetime\n\n\n@attrs.frozen\nclass P:\n    day: datetime.date = kinetic.setting(help='', converter="
        f"attrs.Converter(lambda text, *_: datetime.date.fromisoformat(text), takes_self={takes_self}))\n\n"
        "    @kinetic.hookimpl\n    def authenticate(self):\n"
        "        org = 'https://login.salesforce.com/id/00D000000000001AAA/005000000000001AAA'\n"
        "        return kinetic.SalesforceSession(f'00D!{self.day.year}', 'https://acme.my.salesforce.com', org, '0')\n"
    )
    install("acme-day", source, {"authenticators": {"acme-day": "acme_day:P"}})
    assert kinetic.resolve("acme-day", day="2026-11-29").session().access_token == "00D!2026"
    with pytest.raises(kinetic.ConfigurationError, match="'acme-day': ValueError: Invalid isoformat string"):
        kinetic.resolve("acme-day", day="soon")


def test_a_secret_of_a_reference_is_text_in_messages() -> None:
    @attrs.frozen
    class Pin(kinetic.GrantAuthenticator):
        pin: int = kinetic.setting(help="", secret=True)

        def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
            return {}

    with pytest.raises(kinetic.ConfigurationError, match=r"^Cannot make Pin: pin: expected a whole number, got text$"):
        Pin(LiteralText("1234"))  # type: ignore[arg-type]
