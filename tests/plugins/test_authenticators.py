"""Third-party providers: how one is resolved, and every reason to refuse one."""

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, find, installed
from kinetic_auth_core.registry.loading import load, load_authenticator

Install = Callable[..., Path]

SSO = """
@attrs.frozen
class SsoAuthenticator:
    sso_url: str = kinetic.setting(help="Where to ask.", env="SSO_URL")
    token: str = kinetic.setting(help="The service token.", secret=True)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        identity = "https://login.salesforce.com/id/00D5g00000AbCdEEAC/0055g00000XyZwVAAA"
        return kinetic.SalesforceSession(f"for {self.token}", self.sso_url, identity, "1700000000000", username="ada")
"""


def broken(install: Install, source: str, target: str = "broken:Broken") -> pytest.ExceptionInfo[Exception]:
    """Install an invalid provider, and resolve it."""
    install("broken", source, {"authenticators": {"broken": target}})
    with pytest.raises(kinetic.ProviderLoadError) as caught:
        kinetic.resolve("broken")
    text = str(caught.value)
    assert f"the plugin 'broken' of broken 1.0 ({target}) " in text
    assert "Remedy: Update broken, or report this to its authors." in text
    return caught


def class_of(body: str, decorator: str = "@attrs.frozen") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{decorator}\nclass Broken:\n{lines}"


def test_an_attrs_class_with_a_hook_is_a_provider(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("acme-sso", SSO, {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}}, version="2.1")
    monkeypatch.setenv("SSO_URL", "https://sso.my.salesforce.com")
    source = kinetic.resolve("sso", token="canary")
    assert repr(source) == "SessionSource(provider='sso', environment=None)"
    rows = {each.name: (each.value, each.source, each.secret) for each in source.explain()[:-6]}
    assert rows == {
        "sso_url": ("https://sso.my.salesforce.com", "SSO_URL", False),
        "token": ("********", "keyword", True),
    }
    session = source.session()
    assert session.access_token == "for canary"
    assert session.org_id == "00D5g00000AbCdEEAC"
    assert source.session() is session
    assert source.authenticate() is not session


def test_a_provider_is_configured_by_file_and_an_environments_own_variables(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-sso", SSO, {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}})
    Path("kinetic-auth.toml").write_text(
        "default_environment = 'prod'\n[environments.prod]\nprovider = 'sso'\ntoken = 'env://THE_TOKEN'\n"
    )
    Path("kinetic-auth.toml").chmod(0o600)
    monkeypatch.setenv("PROD_SSO_URL", "https://prod.my.salesforce.com")
    monkeypatch.setenv("THE_TOKEN", "canary\n")
    session = kinetic.resolve().session()
    assert (session.access_token, session.instance_url) == ("for canary", "https://prod.my.salesforce.com")


def test_a_source_can_be_made_around_an_instance(install: Install) -> None:
    install("acme-sso", SSO)
    made = importlib.import_module("acme_sso").SsoAuthenticator("https://sso.my.salesforce.com", "canary")
    source = kinetic.SessionSource(made)
    assert source.provider == "SsoAuthenticator"
    assert source.session().access_token == "for canary"


def test_settings_are_checked_against_the_class(install: Install) -> None:
    install("acme-sso", SSO, {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}})
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("sso", tokn="canary-value")
    text = str(caught.value)
    assert "tokn (from keyword): unknown setting (did you mean 'token'?)" in text
    assert "sso_url is missing: give it as keyword, in the config file, or as SSO_URL" in text
    assert "token is missing" in text
    assert "canary-value" not in text


def test_a_misspelt_hook_is_named(install: Install) -> None:
    caught = broken(install, class_of("@kinetic.hookimpl\ndef authentcate(self):\n    pass"))
    assert "does not fit the hookspec: unknown hook 'authentcate'" in str(caught.value)


def test_a_wrong_argument_is_named(install: Install) -> None:
    caught = broken(install, class_of("@kinetic.hookimpl\ndef authenticate(self, username):\n    pass"))
    assert "does not fit the hookspec:" in str(caught.value)
    assert "username" in str(caught.value)


def test_the_error_for_a_class_without_a_hookimpl_says_what_to_mark(install: Install) -> None:
    caught = broken(install, class_of("def authenticate(self):\n    pass"))
    assert "has no authenticate() that is marked with @kinetic_auth_core.hookimpl." in str(caught.value)


@pytest.mark.parametrize("kind", ["wrapper", "hookwrapper"])
def test_a_class_that_only_wraps_is_not_a_provider(install: Install, kind: str) -> None:
    caught = broken(install, class_of(f"@kinetic.hookimpl({kind}=True)\ndef authenticate(self):\n    return (yield)"))
    assert "has no authenticate()" in str(caught.value)


def test_a_failing_import_keeps_its_cause_and_shows_it(install: Install) -> None:
    caught = broken(install, "import no_such_library\n")
    assert "does not import: ModuleNotFoundError: No module named 'no_such_library'." in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_module_that_raises_is_a_failing_import(install: Install) -> None:
    caught = broken(install, "raise RuntimeError('not today')\n")
    assert "does not import: RuntimeError: not today." in str(caught.value)


def test_a_missing_target_is_a_failing_import(install: Install) -> None:
    caught = broken(install, "", "broken:Gone")
    assert "does not import: AttributeError" in str(caught.value)
    assert "Gone" in str(caught.value)


@pytest.mark.parametrize("target", ["broken", "broken:make"])
def test_a_target_that_is_not_a_class_is_refused(install: Install, target: str) -> None:
    caught = broken(install, "def make():\n    pass\n", target)
    assert "is not a class." in str(caught.value)


def test_a_class_that_is_not_an_attrs_class_is_refused(install: Install) -> None:
    caught = broken(install, class_of("@kinetic.hookimpl\ndef authenticate(self):\n    pass", decorator=""))
    assert "is not an attrs class: decorate it with @attrs.frozen." in str(caught.value)


def test_a_subclass_without_the_attrs_decorator_is_refused(install: Install) -> None:
    """Its own settings would be lost silently."""
    source = (
        "class Broken(kinetic.GrantAuthenticator):\n"
        "    token: str = kinetic.setting(help='', secret=True)\n"
        "    def grant(self, request):\n"
        "        return {'token': self.token}\n"
    )
    caught = broken(install, source)
    assert "decorate it with @attrs.frozen" in str(caught.value)


@pytest.mark.parametrize("name", ["store", "environment", "session_lifetime"])
def test_a_reserved_setting_name_is_refused(install: Install, name: str) -> None:
    body = f"{name}: str = kinetic.setting('', help='')\n@kinetic.hookimpl\ndef authenticate(self):\n    pass"
    caught = broken(install, class_of(body))
    assert f"uses reserved setting names: {name}; rename them" in str(caught.value)
    assert f"uses reserved setting names: {name}; rename them" in str(caught.value)


def test_an_annotation_that_does_not_resolve_is_named(install: Install) -> None:
    body = "host: 'Unimported' = kinetic.setting(help='')\n@kinetic.hookimpl\ndef authenticate(self):\n    pass"
    caught = broken(install, class_of(body))
    assert "an annotation of Broken does not resolve at run time: name 'Unimported' is not defined" in str(caught.value)


def test_an_instance_that_is_not_a_provider_is_refused() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="object is not an attrs class"):
        kinetic.SessionSource(object())


def test_a_name_that_two_distributions_claim_names_both_and_imports_neither(install: Install, tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    for owner in ("first-sso", "second-sso"):
        module = owner.replace("-", "_")
        install(
            owner,
            f"open({str(mark)!r}, 'a').write({module!r})\n{SSO}",
            {"authenticators": {"sso": f"{module}:SsoAuthenticator"}},
        )
    with pytest.raises(kinetic.ProviderLoadError) as caught:
        kinetic.resolve("sso")
    assert str(caught.value) == (
        "the name 'sso' in kinetic_auth.authenticators is claimed by more than one package: "
        "first-sso 1.0 (first_sso:SsoAuthenticator) and second-sso 1.0 (second_sso:SsoAuthenticator). "
        'Remedy: Uninstall all but one of them, or say whose you mean: "first-sso:sso".'
    )
    assert not mark.exists()
    assert not {"first_sso", "second_sso"} & set(sys.modules)


def test_a_published_name_that_another_distribution_claims_as_well_is_an_error(install: Install) -> None:
    install("evil-sso", SSO, {"authenticators": {"password": "evil_sso:SsoAuthenticator"}})
    with pytest.raises(kinetic.ProviderLoadError, match="evil-sso 1.0 .* and kinetic-auth-password"):
        kinetic.resolve("password")
    assert "evil_sso" not in sys.modules


def test_listing_imports_nothing(install: Install, tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    install(
        "acme-sso",
        f"open({str(mark)!r}, 'a').close()\n{SSO}",
        {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}, "observers": {"watch": "acme_sso:Watch"}},
    )
    listed = {plugin.name: plugin for plugin in installed(AUTHENTICATORS)}
    assert (listed["sso"].distribution, listed["sso"].version) == ("acme-sso", "1.0")
    assert listed["sso"].target == "acme_sso:SsoAuthenticator"
    assert find(AUTHENTICATORS, "sso") == listed["sso"]
    with pytest.raises(kinetic.UnknownProviderError, match=r"\(did you mean 'sso'\?\); installed: .*sso"):
        kinetic.resolve("ssoo")
    assert not mark.exists()
    assert "acme_sso" not in sys.modules


def test_a_broken_plugin_does_not_disturb_the_others(install: Install) -> None:
    install("broken", "raise RuntimeError('not today')\n", {"authenticators": {"broken": "broken:Broken"}})
    install("acme-sso", SSO, {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}})
    assert kinetic.resolve("sso", sso_url="https://a.my.salesforce.com", token="t").session().is_valid()
    assert "broken" not in sys.modules


def test_a_package_without_metadata_is_ignored(install: Install) -> None:
    info = install("gone", "", {"authenticators": {"password": "gone:Gone"}, "observers": {"gone": "gone:Gone"}})
    (info / "METADATA").unlink()
    assert kinetic.resolve("password", client_id="id", client_secret="s", username="u", password="p").distribution
    assert [plugin for plugin in installed("kinetic_auth.observers") if plugin.name == "gone"] == []


@pytest.mark.parametrize(
    ("damaged", "content"),
    [
        ("entry_points.txt", b"[kinetic_auth.authenticators]\nno equals sign\n"),
        ("entry_points.txt", b"[kinetic_auth.authenticators]\nsso = acme_sso:J\xf6rg\n"),
        ("METADATA", b"Metadata-Version: 2.1\nName: acme-sso\nVersion: 1.0\nAuthor: J\xf6rg\n"),
    ],
)
def test_a_package_with_damaged_metadata_is_named_and_stops_no_other(
    install: Install, caplog: pytest.LogCaptureFixture, damaged: str, content: bytes
) -> None:
    module = install("acme-sso", SSO, {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}})
    settings = {"sso_url": "https://acme.my.salesforce.com", "token": "t"}
    source = kinetic.resolve("sso", **settings)
    cls = load_authenticator("sso")[1]
    (module / damaged).write_bytes(content)
    with pytest.raises(kinetic.UnknownProviderError) as caught:
        kinetic.resolve("sso")
    assert "The metadata of these cannot be read: " in caught.value.remedy
    assert "acme_sso-1.0.dist-info" in caught.value.remedy
    assert "acme_sso-1.0.dist-info" in caplog.text
    assert source.session().is_valid()
    assert kinetic.SessionSource(cls(**settings)).session().is_valid()
    kinetic.resolve("password", client_id="c", client_secret="s", username="u@acme.example", password="p")


def test_what_an_interrupted_upgrade_leaves_is_no_rival(install: Install) -> None:
    info = install("acme-sso", SSO, {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}})
    for name in ("~cme_sso-0.9.dist-info", "acme_sso-0.9.dist-info"):
        (info.parent / name).mkdir()
        for file in info.iterdir():
            text = file.read_text().replace("Version: 1.0", "Version: 0.9")
            (info.parent / name / file.name).write_text(text)
    assert [each.distribution for each in installed(AUTHENTICATORS) if each.name == "sso"] == ["acme-sso"]
    assert kinetic.resolve("sso", sso_url="https://acme.my.salesforce.com", token="t").provider == "sso"


def test_an_edited_entry_point_is_seen_at_once(install: Install) -> None:
    install("acme-sso", SSO, {"authenticators": {"sso": "acme_sso:SsoAuthenticator"}})
    assert load_authenticator("sso")[1].__name__ == "SsoAuthenticator"
    info = install("acme-sso", SSO, {"authenticators": {"sso2": "acme_sso:SsoAuthenticator"}})
    assert load_authenticator("sso2")[1].__name__ == "SsoAuthenticator"
    with pytest.raises(kinetic.UnknownProviderError, match="installed: .*sso2"):
        load_authenticator("sso")
    (info / "entry_points.txt").write_text("[kinetic_auth.authenticators]\nsso2 = acme_sso:attrs\n")
    assert load(AUTHENTICATORS, "sso2")[1].__name__ == "attrs"


@pytest.fixture
def raising(install: Install) -> Any:
    """A provider that raises a given error."""
    source = """
TO_RAISE = []

@attrs.frozen
class Raising:
    token: str = kinetic.setting("canary-token", help="", secret=True)

    @kinetic.hookimpl
    def authenticate(self):
        raise TO_RAISE[0](*TO_RAISE[1:])
"""
    install("raising", source, {"authenticators": {"raising": "raising:Raising"}})
    return importlib.import_module("raising").TO_RAISE


def test_an_error_of_a_plugin_becomes_an_authentication_error_that_names_it(raising: list[Any]) -> None:
    raising[:] = [KeyError, "canary-token"]
    with pytest.raises(kinetic.AuthenticationError) as caught:
        kinetic.resolve("raising").session()
    error = caught.value
    assert type(error) is kinetic.AuthenticationError
    assert str(error) == (
        "the plugin 'raising' (raising 1.0) raised KeyError: '********'. Remedy: Report this to the plugin's authors."
    )
    assert error.provider == "raising"
    assert type(error.__cause__).__name__ == "LibraryError"  # the error itself would show the secret


def test_an_error_of_a_plugin_is_chained_if_it_shows_no_secret(raising: list[Any]) -> None:
    raising[:] = [KeyError, "no such thing"]
    with pytest.raises(kinetic.AuthenticationError, match="raised KeyError: 'no such thing'") as caught:
        kinetic.resolve("raising").session()
    assert isinstance(caught.value.__cause__, KeyError)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise LookupError("canary-token")


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (httpx.ConnectError, "httpx.ConnectError: no way"),  # whose `request` raises until it has one
        (UnspeakableError, "UnspeakableError: it cannot be shown"),
    ],
)
def test_an_error_that_cannot_be_printed_is_reported_by_its_type(raising: list[Any], kind: Any, shown: str) -> None:
    raising[:] = [kind, "no way"]
    with pytest.raises(kinetic.AuthenticationError) as caught:
        kinetic.resolve("raising").session()
    assert shown in str(caught.value)
    assert type(caught.value.__cause__).__name__ == "LibraryError"


def test_each_error_of_an_exception_group_is_checked(raising: list[Any]) -> None:
    request = httpx.Request("POST", "https://sso.example", content="canary-token")
    inner = httpx.ConnectError("no way", request=request)
    raising[:] = [ExceptionGroup, "2 tasks", [KeyError(), inner]]
    with pytest.raises(kinetic.AuthenticationError, match="raised ExceptionGroup: 2 tasks") as caught:
        kinetic.resolve("raising").session()
    assert type(caught.value.__cause__).__name__ == "LibraryError"


def test_the_context_of_an_error_is_checked_even_if_it_has_a_cause(raising: list[Any]) -> None:
    error = LookupError("no session")
    error.__cause__ = KeyError("token")
    error.__context__ = httpx.ConnectError("no way", request=httpx.Request("POST", "https://a.b", content="canary"))
    raising[:] = [lambda: error]
    with pytest.raises(kinetic.AuthenticationError, match="raised LookupError: no session") as caught:
        kinetic.resolve("raising").session()
    assert type(caught.value.__cause__).__name__ == "LibraryError"


@pytest.mark.parametrize(
    "kind", [kinetic.CredentialsRejectedError, kinetic.TransportError, kinetic.KeyLoadError, kinetic.ConfigurationError]
)
def test_a_kinetic_auth_error_is_not_wrapped(raising: list[Any], kind: type[Exception]) -> None:
    raising[:] = [kind, "It broke."]
    with pytest.raises(kind, match=r"^It broke\.$") as caught:
        kinetic.resolve("raising").authenticate()
    assert type(caught.value) is kind


@pytest.mark.parametrize("how", ["raise error_of_ours from error", "raise error_of_ours"])
def test_the_cause_of_a_kinetic_auth_error_shows_no_secret(install: Install, how: str) -> None:
    body = (
        "token: str = kinetic.setting(help='', secret=True)\n"
        "@kinetic.hookimpl\ndef authenticate(self):\n"
        "    error_of_ours = kinetic.TransportError('No answer.')\n"
        f"    try:\n        raise LookupError(self.token)\n    except LookupError as error:\n        {how}"
    )
    install("chained", class_of(body), {"authenticators": {"chained": "chained:Broken"}})
    with pytest.raises(kinetic.TransportError, match=r"^No answer\.$") as caught:
        kinetic.resolve("chained", token="canary-token").session()
    shown = "".join(traceback.format_exception(caught.value))
    assert "LookupError: ********" in shown
    assert "canary-token" not in shown.replace('token="canary-token"', "")  # this test's own line


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize(("secret", "when_resolved"), [("literal", 1), ("env://SSO_SECRET", 0)])
def test_an_instance_is_made_once(
    install: Install, monkeypatch: pytest.MonkeyPatch, secret: str, when_resolved: int
) -> None:
    body = (
        'secret: str = kinetic.setting(help="", secret=True)\n'
        "made: ClassVar[list[object]] = []\n"
        "def __attrs_post_init__(self):\n    self.made.append(self)\n"
        "@kinetic.hookimpl\ndef authenticate(self):\n"
        '    return kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", "", "0")'
    )
    code = "from typing import ClassVar\n" + class_of(body)
    install("counting", code, {"authenticators": {"counting": "counting:Broken"}})
    monkeypatch.setenv("SSO_SECRET", "literal")
    source = kinetic.resolve("counting", secret=secret)
    made = importlib.import_module("counting").Broken.made
    assert len(made) == when_resolved
    if child := os.fork():  # the child makes its own: that of its parent may hold connections
        assert os.waitpid(child, 0)[1] == 0
    else:
        status = 1
        with contextlib.suppress(BaseException):
            source.session()
            status = 0 if len(made) == when_resolved + 1 else 2
        os._exit(status)
    source.session()
    source.authenticate()
    assert len(made) == 1


def test_an_interruption_is_not_swallowed(raising: list[Any]) -> None:
    raising[:] = [KeyboardInterrupt]
    with pytest.raises(KeyboardInterrupt):
        kinetic.resolve("raising").session()


@pytest.mark.parametrize("value", ["None", "'00D!canary'", "{'access_token': '00D!canary'}", "object"])
def test_an_invalid_session_becomes_an_authentication_error(install: Install, value: str) -> None:
    body = f"@kinetic.hookimpl\ndef authenticate(self):\n    return {value}"
    install("rubbish", class_of(body), {"authenticators": {"rubbish": "rubbish:Broken"}})
    with pytest.raises(kinetic.AuthenticationError) as caught:
        kinetic.resolve("rubbish").session()
    assert "the plugin 'rubbish' (rubbish 1.0) returned " in str(caught.value)
    assert "instead of a SalesforceSession. Remedy: Report this to the plugin's authors." in str(caught.value)
    assert "canary" not in str(caught.value)
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "canary" not in str([frame.locals for frame in stack if frame.filename != __file__])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("None, 'https://acme.example', '', '0'", "access_token: expected text, got NoneType"),
        (
            "b'00D!canary', 'https://acme.my.salesforce.com', None, '0'",
            "access_token: expected text, got bytes; id: expected text, got NoneType",
        ),
        ("'', 'https://acme.my.salesforce.com', '', '0'", "it has no access_token"),
        (
            "'00D!x\\n', 'https://acme.my.salesforce.com', '', '0'",
            "its access_token has a line break or another control character in it",
        ),
    ],
)
def test_an_unusable_session_is_an_authentication_error(install: Install, arguments: str, problem: str) -> None:
    body = f"@kinetic.hookimpl\ndef authenticate(self):\n    return kinetic.SalesforceSession({arguments})"
    install("hollow", class_of(body), {"authenticators": {"hollow": "hollow:Broken"}})
    with pytest.raises(kinetic.AuthenticationError) as caught:
        kinetic.resolve("hollow").session()
    assert f"the plugin 'hollow' (hollow 1.0) returned an invalid session: {problem}." in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_key_loader_class_that_cannot_be_instantiated_is_an_error_of_resolve(install: Install) -> None:
    body = (
        "token: str = kinetic.setting(help='', secret=True)\n"
        "def __attrs_post_init__(self):\n    raise LookupError(f'no {self.token}')\n"
        "@kinetic.hookimpl\ndef authenticate(self):\n    pass"
    )
    install("unmade", class_of(body), {"authenticators": {"unmade": "unmade:Broken"}})
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("unmade", token="canary")
    assert str(caught.value) == "Cannot make 'unmade': LookupError: no ********"
    assert str(caught.value.__cause__) == "LookupError: no ********"


def test_an_error_of_a_constructor_is_the_cause_without_the_frames_that_hold_secrets(install: Install) -> None:
    body = (
        "token: str = kinetic.setting(help='', secret=True)\n"
        "def __attrs_post_init__(self):\n"
        "    try:\n        raise KeyError('shop')\n"
        "    except KeyError as error:\n        raise LookupError('no such shop') from error\n"
        "@kinetic.hookimpl\ndef authenticate(self):\n    pass"
    )
    install("shopless", class_of(body), {"authenticators": {"shopless": "shopless:Broken"}})
    with pytest.raises(kinetic.ConfigurationError, match="Cannot make 'shopless': LookupError: no such shop") as caught:
        kinetic.resolve("shopless", token="canary")
    cause = caught.value.__cause__
    assert isinstance(cause, LookupError)
    assert isinstance(cause.__cause__, KeyError)
    assert cause.__traceback__ is cause.__cause__.__traceback__ is None


def test_an_abstract_class_is_an_error_of_resolve(install: Install) -> None:
    source = "@attrs.frozen\nclass Broken(kinetic.GrantAuthenticator):\n    pass\n"
    install("abstract", source, {"authenticators": {"abstract": "abstract:Broken"}})
    with pytest.raises(kinetic.ConfigurationError, match=r"lacks grant\(\), which its base class leaves to it"):
        kinetic.resolve("abstract")


def test_a_problem_found_by_the_class_itself_is_an_error_of_resolve(install: Install) -> None:
    body = (
        "def __attrs_post_init__(self):\n    raise kinetic.ConfigurationError('Not like this.')\n"
        "@kinetic.hookimpl\ndef authenticate(self):\n    pass"
    )
    install("strict", class_of(body), {"authenticators": {"strict": "strict:Broken"}})
    with pytest.raises(kinetic.ConfigurationError, match=r"^Not like this\.$"):
        kinetic.resolve("strict")


HAS_A_CONNECTION = """
import os

@attrs.frozen
class Connected:
    who: str = kinetic.setting(help="Who.")
    _made_in: int = attrs.field(init=False, factory=os.getpid)

    @kinetic.hookimpl
    def authenticate(self):
        if self._made_in != os.getpid():
            raise kinetic.AuthenticationError("this connection is the parent's.")
        return kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", "", "1")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("logs_in_before", [False, True])
def test_a_child_does_not_use_an_instance_that_its_parent_has_made(install: Install, logs_in_before: bool) -> None:
    install("acme-connected", HAS_A_CONNECTION, {"authenticators": {"acme-connected": "acme_connected:Connected"}})
    source = kinetic.resolve("acme-connected", who="me")
    if logs_in_before:
        source.authenticate()
    there, here = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(here, source.authenticate().access_token.encode())
        except kinetic.KineticAuthError as error:
            os.write(here, error.message.encode())
        os._exit(0)
    os.close(here)
    os.waitpid(child, 0)
    with os.fdopen(there) as answer:
        assert answer.read() == "00D!t"
