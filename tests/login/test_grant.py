"""`GrantAuthenticator`: what a provider with a `grant` method inherits."""

import pickle
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.settings.schema import LiteralText
from kinetic_auth_core.testing import SalesforceEmulator


@attrs.frozen
class ClientCredentials(kinetic.GrantAuthenticator):
    """A third-party provider: the client credentials flow."""

    provider_name: ClassVar[str] = "client-credentials"

    client_id: str = kinetic.setting(help="Consumer Key.")
    client_secret: str = kinetic.setting(help="Consumer Secret.", secret=True)

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        assert request.now > 1_700_000_000
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }


@attrs.frozen
class Broken(ClientCredentials):
    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        raise KeyError(request.now)


@attrs.frozen
class Picky(ClientCredentials):
    size: int = kinetic.setting(1, help="A number.", converter=int, kw_only=True)


def test_a_new_grant_is_a_class_with_one_method(sf: SalesforceEmulator) -> None:
    user = sf.add_user("runas@emulator.example")
    app = sf.add_app(flows={"client_credentials"}, run_as=user.username)
    session = ClientCredentials(app.client_id, app.client_secret, login_url=sf.url).authenticate()
    assert session.org_id == sf.org_id
    assert session.signature


def test_the_error_of_a_failing_grant_names_the_provider(sf: SalesforceEmulator) -> None:
    with pytest.raises(
        kinetic.AuthenticationError, match=r"client-credentials login at .* failed: its grant\(\) raised Key"
    ):
        Broken("id", "secret", login_url=sf.url).authenticate()


def test_a_class_without_a_provider_name_uses_its_class_name(sf: SalesforceEmulator) -> None:
    @attrs.frozen
    class Nameless(ClientCredentials):
        provider_name = ""

    with pytest.raises(kinetic.AuthenticationError, match="Nameless login at"):
        Nameless("id", "secret", login_url=sf.url).authenticate()


def test_all_problems_of_an_instance_are_reported_at_once() -> None:
    wrong: dict[str, Any] = {
        "client_id": None,
        "client_secret": "",
        "login_url": "login.salesforce.com",
        "connect_timeout": 0,
        "read_timeout": "soon",
        "deadline": float("inf"),
        "proxy": "proxy:3128",
        "api_version": "newest",
    }
    with pytest.raises(kinetic.ConfigurationError) as caught:
        ClientCredentials(**wrong)
    assert caught.value.problems == (
        "client_id: expected text, got nothing",
        "client_secret: is empty",
        "login_url: must begin with https://: write https://login.salesforce.com",
        "api_version: the API version must look like v62.0, not 'newest'",
        "connect_timeout: must be a number of seconds above 0, up to 86400",
        "read_timeout: expected a number, got text",
        "deadline: must be a number of seconds above 0, up to 86400",
        "proxy: must begin with http://, https:// or socks5h://",
    )


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://login.salesforce.com", "is plain http, which would send credentials in the clear"),
        (
            "https://login.salesforce.com/services/oauth2/token",
            "must be the host alone, without /services/...: write https://login.salesforce.com",
        ),
        ("https://a:b@login.salesforce.com", "has a user or password in it"),
        (5, "expected text, got a whole number"),
    ],
)
def test_a_bad_login_url_is_refused(url: Any, problem: str) -> None:
    with pytest.raises(kinetic.ConfigurationError, match=f"login_url: {problem}"):
        ClientCredentials("id", "secret", login_url=url)


def test_a_login_url_may_be_plain_http_on_loopback_and_end_in_a_slash() -> None:
    assert ClientCredentials("id", "secret", login_url=" http://localhost:8080/ ").login_url == "http://localhost:8080"


@pytest.mark.parametrize("reference", ["env://SECRET", "file:///secret", "secret-manager://aws/x", "kms://aws/x"])
def test_the_error_for_a_reference_in_a_constructor_points_to_resolve(reference: str) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="client_secret: is a reference, and references are for"):
        ClientCredentials("id", reference)


@pytest.mark.parametrize("secret", ["https://looks.like/a?url", "a://b", LiteralText("env://SECRET")])
def test_a_secret_that_only_looks_like_a_reference_is_used_unchanged(secret: str) -> None:
    assert ClientCredentials("id", secret).client_secret == secret


def test_a_failing_constructor_leaves_no_secret_in_the_traceback() -> None:
    wrongs: list[dict[str, Any]] = [{"size": "many"}, {"login_url": "http://evil.example"}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"invalid literal|plain http") as caught:
            Picky("id", "canary-secret", **wrong)
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert [frame.name for frame in shown.stack if "tests" not in frame.filename] == []


def test_from_env_reads_the_process_and_then_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SF_CLIENT_ID=from-file\nSF_CLIENT_SECRET=from-file\nSF_DEADLINE=7\n")
    monkeypatch.setenv("SF_CLIENT_ID", "from-process")
    made = ClientCredentials.from_env()
    assert (made.client_id, made.client_secret, made.deadline) == ("from-process", "from-file", 7.0)


def test_from_env_reports_all_missing_and_invalid_variables_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SF_DEADLINE", "soon")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        ClientCredentials.from_env()
    text = str(caught.value)
    assert "Cannot configure ClientCredentials from the environment, 3 problems" in text
    assert "client_id is missing" in text
    assert "SF_CLIENT_ID" in text
    assert "SF_CLIENT_SECRET" in text
    assert "deadline (from SF_DEADLINE): expected a number, got text" in text


def test_an_instance_is_not_pickled_and_says_what_to_do() -> None:
    with pytest.raises(TypeError, match="make or resolve it in the worker"):
        pickle.dumps(ClientCredentials("id", "secret"))


def test_the_repr_shows_no_secret() -> None:
    shown = repr(ClientCredentials("id", "canary-secret", proxy="http://user:canary-proxy@proxy:3128"))
    assert "canary" not in shown
    assert "client_id='id'" in shown


def test_close_gives_connections_back_and_is_harmless_before_any_login(sf: SalesforceEmulator) -> None:
    made = ClientCredentials("id", "secret", login_url=sf.url)
    made.close()
    with pytest.raises(kinetic.CredentialsRejectedError):
        made.authenticate()
    made.close()


def test_an_instance_can_be_evolved() -> None:
    made = attrs.evolve(ClientCredentials("id", "secret"), client_id="other")
    assert (made.client_id, made.client_secret) == ("other", "secret")


@pytest.mark.parametrize("given", [None, ["a"], {"password": 5}, {5: "password"}])
def test_a_grant_of_another_type_than_text_is_an_error(sf: SalesforceEmulator, given: Any) -> None:
    @attrs.frozen
    class Odd(ClientCredentials):
        def grant(self, request: kinetic.LoginRequest) -> Any:
            return given

    with pytest.raises(kinetic.AuthenticationError, match=r"its grant\(\) returned \w+, not a mapping of text to text"):
        Odd("id", "secret", login_url=sf.url).authenticate()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"grant_type": "x", "n": 5}, "'n' is int, not text"),
        ({"grant_type": "x", "key": b"canary"}, "'key' is bytes, not text"),
        ({5: "canary"}, "the name of a field is int"),
        ({"secret": None}, "'********' is NoneType, not text"),
    ],
)
def test_a_field_of_the_form_that_is_not_text_is_named_with_its_class(
    sf: SalesforceEmulator, given: Any, problem: str
) -> None:
    @attrs.frozen
    class Odd(ClientCredentials):
        def grant(self, request: kinetic.LoginRequest) -> Any:
            return given

    with pytest.raises(kinetic.AuthenticationError) as caught:
        Odd("id", "secret", login_url=sf.url).authenticate()
    assert f"not a mapping of text to text: {problem} ({Odd.__qualname__})." in caught.value.message
    assert caught.value.remedy == "Report this to the plugin's authors."
    assert "canary" not in str(caught.value)


def test_messages_have_the_name_by_which_the_provider_was_resolved_and_its_package(
    sf: SalesforceEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_grants.py").write_text(
        "import attrs\nimport kinetic_auth_core as kinetic\n\n@attrs.frozen\n"
        "class Acme(kinetic.GrantAuthenticator):\n    def grant(self, request):\n        return {'n': 5}\n"
    )
    info = tmp_path / "acme_grants-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-grants\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[kinetic_auth.authenticators]\nacme-sso = acme_grants:Acme\n")
    monkeypatch.syspath_prepend(tmp_path)
    with kinetic.resolve("acme-sso", login_url=sf.url) as source, pytest.raises(kinetic.AuthenticationError) as caught:
        source.session()
    assert caught.value.message.startswith("acme-sso login at 127.0.0.1:")
    assert caught.value.message.endswith("'n' is int, not text (Acme of acme-grants 1.5).")
    assert caught.value.provider == "acme-sso"


@pytest.mark.parametrize("proxy", ["http://", "http://proxy:0", "http://proxy:port", "http://pro xy", "http://pro\nxy"])
def test_a_proxy_needs_a_host_and_a_port_that_exists(proxy: str) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="proxy: is malformed: write http://HOST:PORT"):
        ClientCredentials("id", "secret", proxy=proxy)


@pytest.mark.parametrize("version", [61, 61.0, "61.0", "v61.0"])
def test_an_api_version_may_be_a_number(sf: SalesforceEmulator, version: Any) -> None:
    user = sf.add_user(f"{version!r}@emulator.example")
    app = sf.add_app(flows={"client_credentials"}, run_as=user.username)
    made = ClientCredentials(app.client_id, app.client_secret, login_url=sf.url, api_version=version)
    assert made.authenticate().api_version == "v61.0"


def test_a_url_setting_may_be_required_or_left_out() -> None:
    @attrs.frozen
    class Urls:
        needed: str = kinetic.url_setting(help="Needed.")
        other: str | None = kinetic.url_setting(None, help="Not needed.")

    assert Urls("https://a.example/").needed == "https://a.example"
    with pytest.raises(kinetic.ConfigurationError, match="plain http"):
        Urls("https://a.example", "http://b.example")


def test_an_empty_name_and_a_name_with_a_line_break_are_refused() -> None:
    for name in ("user\nforged line", "   ", " user"):
        with pytest.raises(
            kinetic.ConfigurationError, match="username: is blank, has blanks around it, or a line break"
        ):
            kinetic.OAuthAuthenticator("id", "secret", name, "password")
