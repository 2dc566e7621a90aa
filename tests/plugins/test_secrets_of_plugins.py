"""Errors of plugins that quote a secret of theirs: no message, cause or argument shows it."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.locations import parse_reference
from kinetic_auth_core.registry.hookspecs import KeyLoaderHooks, LoginHooks
from kinetic_auth_core.settings.schema import secret_texts, texts_in
from kinetic_auth_core.testing import Alter, SalesforceEmulator

CANARY = "canary-of-plugins-7f3a"
PIN = 88_12_88_12


class Hidden:
    """As pydantic's `SecretStr` is: text that its repr does not show."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        return self._text


def shown(error: BaseException) -> str:
    state = [f"{link!r} {link.args!r} {vars(link)!r}" for link in (error, error.__cause__, error.__context__) if link]
    return " ".join([*traceback.format_exception(error), *state])


@attrs.frozen
class Quoting:
    token: Any = kinetic.setting(help="The token.", secret=True)
    error: type[Exception] = kinetic.setting(default=RuntimeError, help="What it raises.")

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        raise self.error(f"refused {' '.join(secret_texts(self)) or self.token}")


@pytest.mark.parametrize(
    "secret",
    [
        CANARY,
        CANARY.encode(),
        bytearray(CANARY.encode()),
        {"a": CANARY},
        [{"a": CANARY}],
        {CANARY},
        PIN,
        Hidden(CANARY),
    ],
    ids=lambda secret: type(secret).__name__,
)
@pytest.mark.parametrize(
    "error", [RuntimeError, kinetic.AuthenticationError, kinetic.KeyLoadError, kinetic.ConfigurationError]
)
def test_whatever_a_provider_raises_its_secret_settings_do_not_show(secret: object, error: type[Exception]) -> None:
    with pytest.raises(kinetic.KineticAuthError, match=r"refused \*{8}") as raised:
        kinetic.SessionSource(Quoting(secret, error)).session()

    assert CANARY not in shown(raised.value)
    assert str(PIN) not in shown(raised.value)


def test_a_grant_that_raises_one_of_our_errors_shows_no_secret() -> None:
    @attrs.frozen
    class QuotingGrant(kinetic.GrantAuthenticator):
        token: str = kinetic.setting(help="The token.", secret=True)

        def grant(self, request: kinetic.LoginRequest) -> dict[str, str]:
            raise kinetic.AuthenticationError(f"refused {self.token}", remedy=f"Change {self.token}.")

    with pytest.raises(kinetic.AuthenticationError, match=r"refused \*{8} Remedy: Change \*{8}\.") as raised:
        kinetic.SessionSource(QuotingGrant(CANARY)).session()

    assert CANARY not in shown(raised.value)


@attrs.frozen
class QuotingLoader:
    token: str = kinetic.setting(help="The token.", secret=True)
    error: type[Exception] = kinetic.setting(default=RuntimeError, help="What it raises.")

    @kinetic.hookimpl
    def load_key(self, reference: kinetic.Reference) -> bytes:
        raise self.error(f"refused {self.token}")

    @kinetic.hookimpl
    def identity(self, reference: kinetic.Reference) -> str:
        raise self.error(f"refused {self.token}")


@pytest.mark.parametrize("hook", ["load_key", "identity"])
@pytest.mark.parametrize("error", [RuntimeError, kinetic.KeyLoadError])
def test_whatever_a_key_loader_raises_its_own_secret_settings_do_not_show(hook: str, error: type[Exception]) -> None:
    hooks = KeyLoaderHooks(QuotingLoader(CANARY, error))

    with pytest.raises(kinetic.KeyLoadError, match=r"refused \*{8}") as raised:
        getattr(hooks, hook)(parse_reference("vault://team/prod", {"vault"}))

    assert CANARY not in shown(raised.value)


def test_an_observer_that_refuses_a_login_does_not_show_its_own_secret_settings() -> None:
    @attrs.frozen
    class Gate:
        token: str = kinetic.setting(help="The token.", secret=True)

        @kinetic.hookimpl(wrapper=True)
        def authenticate(self) -> Iterator[None]:
            if self.token:
                raise RuntimeError(f"refused {self.token}")
            yield

    with pytest.raises(kinetic.AuthenticationError, match=r"refused \*{8}") as raised:
        kinetic.SessionSource(Quoting("of-the-provider"), observers=[Gate(CANARY)]).session()

    assert CANARY not in shown(raised.value)


@attrs.define(eq=False)
class QuotingStore(kinetic.MemoryStore):
    password: str = kinetic.setting(help="The password.", secret=True)
    error: type[Exception] = kinetic.setting(default=RuntimeError, help="What it raises.")

    def naming_key(self) -> bytes:
        raise self.error(f"refused {self.password}")


@pytest.mark.parametrize("error", [RuntimeError, kinetic.ConfigurationError])
def test_what_a_store_raises_about_its_key_does_not_show_its_secret_settings(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(kinetic.KineticAuthError) as raised:
        kinetic.SessionSource(Quoting("of-the-provider"), store=QuotingStore(CANARY, error)).session()

    assert "refused ********" in caplog.text + str(raised.value)
    assert CANARY not in caplog.text + shown(raised.value)


def test_a_store_that_cannot_be_made_is_a_problem_of_the_configuration(install: Callable[..., Path]) -> None:
    source = (
        "import attrs\n@attrs.define(eq=False)\nclass Store(kinetic.MemoryStore):\n"
        "    password: str = kinetic.setting(help='Password.', secret=True)\n"
        "    def __attrs_post_init__(self):\n        raise LookupError(f'refused {self.password}')\n"
    )
    install("quoting-store", source, {"session_stores": {"quoting": "quoting_store:Store"}})
    with pytest.raises(kinetic.ConfigurationError, match=r"store .*LookupError: refused \*{8}") as raised:
        kinetic.resolve("password", store={"name": "quoting", "password": CANARY})

    assert CANARY not in shown(raised.value)


def test_a_store_that_refuses_an_item_of_a_secret_list_does_not_show_it_and_says_what_to_do(
    install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import attrs\ndef check(_instance, _attribute, keys):\n"
        "    raise kinetic.ConfigurationError(f'{keys[0]!r} is not a key', remedy='Make one.')\n"
        "@attrs.define(eq=False)\nclass Store(kinetic.MemoryStore):\n"
        "    keys: list[str] = kinetic.setting(help='Keys.', secret=True, validator=check)\n"
    )
    install("refusing-store", source, {"session_stores": {"refusing": "refusing_store:Store"}})
    monkeypatch.setenv("THE_KEY", CANARY)
    settings = {"client_id": "id", "client_secret": "s", "username": "u@acme.example", "password": "p"}
    made = kinetic.resolve("password", **settings, store={"name": "refusing", "keys": ["env://THE_KEY"]})
    with pytest.raises(kinetic.ConfigurationError, match=r"keys \(from keyword\): '\*{8}' is not a key") as raised:
        made.session()

    assert CANARY not in shown(raised.value)
    assert raised.value.remedy == "Make one."


@pytest.mark.parametrize("word", [CANARY, "env://THE_WORD"])
def test_a_provider_that_refuses_a_secret_does_not_show_it(
    install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    source = (
        "from kinetic_auth_core.plugins import ConfigurationError, GrantAuthenticator, frozen, setting\n"
        "def check(_instance, _attribute, word):\n"
        "    raise ConfigurationError(f'{word!r} is not a word')\n"
        "@frozen\nclass Picky(GrantAuthenticator):\n"
        "    word: str = setting(help='Word.', secret=True, validator=check)\n"
        "    def grant(self, request):\n        return {}\n"
    )
    install("picky", source, {"authenticators": {"picky": "picky:Picky"}})
    monkeypatch.setenv("THE_WORD", CANARY)
    with pytest.raises(kinetic.ConfigurationError, match=r"word \(from keyword\): '\*{8}' is not a word") as raised:
        kinetic.resolve("picky", word=word).session()

    assert CANARY not in shown(raised.value)


@attrs.frozen
class Comparing(kinetic.GrantAuthenticator):
    """The validator of one setting quotes another one, which is a secret."""

    client_secret: Any = kinetic.setting(help="Its secret.", secret=True)
    label: str = kinetic.setting(help="A label.")

    @label.validator
    def _differs(self, _attribute: object, value: str) -> None:
        raise ValueError(f"{value} is like {next(texts_in(self.client_secret))}")

    def grant(self, request: kinetic.LoginRequest) -> dict[str, str]:
        return {}


@attrs.frozen
class PlainComparing:
    """The same, without checks of its own."""

    client_secret: Any = kinetic.setting(help="Its secret.", secret=True)
    label: str = kinetic.setting(help="A label.", validator=Comparing._differs)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        raise NotImplementedError


@pytest.mark.parametrize(
    "secret", [CANARY, CANARY.encode(), [CANARY], Hidden(CANARY)], ids=lambda secret: type(secret).__name__
)
def test_what_a_validator_says_does_not_show_another_setting_that_is_secret(
    secret: object, install: Callable[..., Path]
) -> None:
    with pytest.raises(kinetic.ConfigurationError, match=r"label: a is like \*{8}") as by_hand:
        Comparing(secret, "a")
    assert CANARY not in shown(by_hand.value)

    classes = {"comparing": "comparing:Comparing", "plain-comparing": "comparing:PlainComparing"}
    install("comparing", f"from {__name__} import Comparing, PlainComparing", {"authenticators": classes})
    for name in classes:
        with pytest.raises(kinetic.ConfigurationError, match=r"label \(from keyword\): a is like \*{8}") as resolved:
            kinetic.resolve(name, client_secret=secret, label="a")
        assert CANARY not in shown(resolved.value)


def test_an_error_without_a_text_is_its_type_alone(install: Callable[..., Path]) -> None:
    class Silent:
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            raise TimeoutError

    @attrs.frozen
    class Asserting:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            raise AssertionError

    with pytest.raises(kinetic.AuthenticationError, match=r"the plugin 'Asserting' raised AssertionError\. Remedy: "):
        kinetic.SessionSource(Asserting()).session()
    reference = parse_reference("silent://x", {"silent"})
    assert reference is not None
    with pytest.raises(kinetic.KeyLoadError, match=r"the key loader raised TimeoutError$"):
        KeyLoaderHooks(Silent()).load_key(reference)
    install("empty-import", "raise RuntimeError\n", {"authenticators": {"empty-import": "empty_import:P"}})
    with pytest.raises(kinetic.ProviderLoadError, match=r"does not import: RuntimeError\."):
        kinetic.resolve("empty-import")


@attrs.frozen
class HiddenSecret(kinetic.GrantAuthenticator):
    client_id: str = kinetic.setting(help="The app.")
    client_secret: Any = kinetic.setting(help="Its secret.", secret=True)

    def grant(self, request: kinetic.LoginRequest) -> dict[str, str]:
        secret = next(texts_in(self.client_secret))
        return {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": secret}


@pytest.mark.parametrize("hide", [Hidden, str.encode], ids=["SecretStr", "bytes"])
def test_a_client_secret_that_is_not_plain_text_verifies_and_introspects(
    hide: Callable[[str], Any],
) -> None:
    with SalesforceEmulator() as sf:
        login = sf.default
        source = kinetic.SessionSource(HiddenSecret(login.client_id, hide(login.client_secret), login_url=sf.url))
        assert source.introspect(source.session()).active

        sf.break_transport(Alter(replace_fields={"signature": "c2lnbmF0dXJl"}))
        with pytest.raises(kinetic.SessionRejectedError, match="signature"):
            source.authenticate()


def test_objects_without_settings_have_no_secrets() -> None:
    assert LoginHooks(None, [("module", traceback)]).secrets == []
