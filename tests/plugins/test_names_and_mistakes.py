"""Names of plugins, and mistakes in their classes, which are refused when they are loaded, each with its text."""

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.registry.discovery import AUTHENTICATORS
from kinetic_auth_core.registry.loading import load_authenticator, load_key_loader, load_observer, load_session_store

Install = Callable[..., Path]

PROVIDER = """
@attrs.frozen
class Provider:
    username: str = kinetic.setting("{owner}", help="")

    @kinetic.hookimpl
    def authenticate(self):
        return kinetic.SalesforceSession("00D!t", "https://acme.my.salesforce.com", "", "0", username=self.username)
"""


@pytest.fixture
def two(install: Install) -> None:
    for owner in ("first-sso", "second-sso"):
        module = owner.replace("-", "_")
        install(owner, PROVIDER.format(owner=owner), {"authenticators": {"sso": f"{module}:Provider"}})


def write(text: str) -> None:
    path = Path.cwd() / "kinetic-auth.toml"
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.parametrize(("name", "owner"), [("first-sso:sso", "first-sso"), ("Second_SSO:sso", "second-sso")])
def test_a_name_may_say_whose_it_is(two: None, name: str, owner: str) -> None:
    source = kinetic.resolve(name)
    assert source.session().username == owner
    assert (source.provider, source.distribution) == ("sso", f"{owner} 1.0")
    write(f"[environments.prod]\nprovider = '{name}'\n")
    assert kinetic.resolve(environment="prod").distribution == f"{owner} 1.0"
    assert kinetic.resolve("sso", environment="prod").distribution == f"{owner} 1.0"
    assert kinetic.resolve(name, environment="prod").distribution == f"{owner} 1.0"


def test_a_name_of_another_distribution_than_the_environments_is_a_contradiction(two: None) -> None:
    write("[environments.prod]\nprovider = 'first-sso:sso'\n")
    with pytest.raises(kinetic.ConfigurationError, match="is for the provider 'first-sso:sso'"):
        kinetic.resolve("second-sso:sso", environment="prod")


@pytest.mark.parametrize("name", ["third-sso:sso", "first-sso:other", "first-sso:", ":sso:"])
def test_a_name_that_its_distribution_does_not_have_is_unknown(two: None, name: str) -> None:
    with pytest.raises(kinetic.UnknownProviderError, match=r"no provider '.*' is installed"):
        kinetic.resolve(name)


@pytest.mark.parametrize("name", ["Acme", "acme_sso", "acme.sso", "acme--sso", "-acme", "acme-", "1acme", "ácme"])
def test_a_plugin_with_a_name_of_another_form_is_not_loaded(install: Install, name: str) -> None:
    install("odd", "raise SystemExit\n", {"authenticators": {name: "odd:Provider"}})
    with pytest.raises(kinetic.ProviderLoadError, match="has a name that a plugin may not have"):
        kinetic.resolve(name)


GRANT = "@attrs.frozen\nclass {name}(kinetic.GrantAuthenticator):\n{body}"
HOOK = "@attrs.frozen\nclass {name}:\n    @kinetic.hookimpl\n{body}"
ROWS = {
    "Missing": (GRANT, "    pass\n", "lacks grant(), which its base class leaves to it"),
    "Misspelt": (GRANT, "    def grnat(self, now): return {}\n", "lacks grant(), which its base class leaves to it"),
    "AsyncGrant": (GRANT, "    async def grant(self, request): return {}\n", "has grant() as an async function"),
    "YieldGrant": (GRANT, "    def grant(self, request): yield {}\n", "has grant() as a generator: return the value"),
    "StaticGrant": (GRANT, "    @staticmethod\n    def grant(request): return {}\n", "remove @staticmethod"),
    "ClassGrant": (GRANT, "    @classmethod\n    def grant(cls, now): return {}\n", "remove @classmethod"),
    "NoArgument": (GRANT, "    def grant(self): return {}\n", "has grant(self), but it is called as grant("),
    "NoMethod": (GRANT, "    grant = None\n", "has grant as NoneType, but it is a method"),
    "AsyncClose": (
        GRANT,
        "    def grant(self, request): return {}\n    async def close(self): ...\n",
        "has close() as an async function",
    ),
    "AsyncHook": (HOOK, "    async def authenticate(self): ...\n", "a hook is called without an event loop"),
    "AsyncYield": (HOOK, "    async def authenticate(self): yield\n", "a hook is called without an event loop"),
    "YieldHook": (HOOK, "    def authenticate(self): yield\n", "or mark it with @hookimpl(wrapper=True)"),
    "StaticHook": (HOOK, "    @staticmethod\n    def authenticate(): ...\n", "has authenticate() as a static method"),
    "ClassHook": (HOOK, "    @classmethod\n    def authenticate(cls): ...\n", "has authenticate() as a class method"),
    "WrongHook": (
        HOOK,
        "    def authenticat(self): ...\n",
        "unknown hook 'authenticat' (did you mean 'authenticate'?); the hooks are: authenticate.",
    ),
    "WrongArgument": (
        HOOK,
        "    def authenticate(self, settings): ...\n",
        "authenticate has no argument 'settings'; it has: request",
    ),
    "Abstract": (
        "import abc\n" + HOOK.replace("{name}:", "{name}(abc.ABC):"),
        "    def authenticate(self): ...\n    @abc.abstractmethod\n    def more(self): ...\n",
        "lacks more(), which its base class leaves to it",
    ),
    "KeywordMisspelt": (
        HOOK.replace("hookimpl\n", "hookimpl(specname='authentikate')\n"),
        "    def log_in(self, req): ...\n",
        "unknown hook 'authentikate' (did you mean 'authenticate'?)",
    ),
    "TwoArguments": (HOOK, "    def authenticate(self, req, now): ...\n", "has no argument 'req' and 'now'; it has:"),
    "KeywordOnly": (
        HOOK,
        "    def authenticate(self, *, request): ...\n",
        "authenticate is called by position: write 'request' without the * before it",
    ),
    "Validator": (
        HOOK,
        "    def authenticate(self): ...\n    n: int = kinetic.setting(1, help='', validator=lambda value: None)\n",
        "has an unusable setting 'n': its validator is <lambda>(value), but it is called as <lambda>(instance, ",
    ),
    "OneOfTheValidators": (
        GRANT,
        (
            "    def at_least(value): ...\n    def grant(self, request): ...\n"
            "    n: int = kinetic.setting(1, help='', validator=[attrs.validators.ge(0), at_least])\n"
        ),
        "its validator is at_least(value)",
    ),
    "AttrsOwnValidator": (
        GRANT,
        (
            "    n: int = kinetic.setting(1, help='')\n    @n.validator\n    def _at_least(self, value): ...\n"
            "    def grant(self, request): ...\n"
        ),
        "has an unusable setting 'n': its validator is _at_least(self, value)",
    ),
    "Default": (
        HOOK,
        "    def authenticate(self): ...\n    n: int = kinetic.setting('three', help='')\n",
        "has an unusable setting 'n': its default does not fit its type: expected a whole number, got text",
    ),
    "PlainDefault": (
        HOOK,
        "    def authenticate(self): ...\n    n: list[str] = 'a,b'\n",
        "has an unusable setting 'n': its default does not fit its type: expected a list, got text",
    ),
    "ConvertedDefault": (
        HOOK,
        "    def authenticate(self): ...\n    n: int = kinetic.setting('three', help='', converter=int)\n",
        "has an unusable setting 'n': its default does not fit its type: invalid literal for int()",
    ),
    "GroupIsText": (
        HOOK,
        "    def authenticate(self): ...\n    key: str = ''\n    exactly_one_of = ('key', 'path')\n",
        "has an unusable exactly_one_of: write each group as a tuple of names, (('key', 'key_path'),)",
    ),
    "NoGroups": (
        GRANT,
        "    def grant(self, request): ...\n    exactly_one_of = None\n",
        "has an unusable exactly_one_of: write each group as a tuple of names",
    ),
    "GroupMisspelt": (
        GRANT,
        "    def grant(self, request): ...\n    key: str = ''\n    exactly_one_of = (('key', 'login_urll'),)\n",
        "has an unusable exactly_one_of: 'login_urll' is not one of its settings (did you mean 'login_url'?)",
    ),
    "Reserved": (
        HOOK,
        "    def authenticate(self): ...\n    store_url: str = kinetic.setting('', help='')\n",
        "store_url",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_mistake_in_a_class_is_refused_when_it_is_loaded(install: Install, name: str) -> None:
    form, body, problem = ROWS[name]
    install("bad", form.format(name=name, body=body), {"authenticators": {"acme-bad": f"bad:{name}"}})
    with pytest.raises(kinetic.ProviderLoadError) as caught:
        load_authenticator("acme-bad")
    assert problem in caught.value.message
    assert f"the plugin 'acme-bad' of bad 1.0 (bad:{name})" in caught.value.message


def test_a_method_behind_a_decorator_is_fine() -> None:
    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @attrs.frozen
    class Decorated(kinetic.GrantAuthenticator):
        @noted
        def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
            return {}

    assert kinetic.SessionSource(Decorated()).provider == "Decorated"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("class K:\n    @kinetic.hookimpl\n    async def load_key(self, reference): ...\n", "as an async function"),
        ("class K:\n    @kinetic.hookimpl\n    def load_key(self, reference): yield\n", "as a generator"),
        (
            "class K:\n    @kinetic.hookimpl\n    @staticmethod\n    def load_key(reference): ...\n",
            "as a static method",
        ),
        (
            "@kinetic.hookimpl\nasync def load_key(reference): ...\nimport sys\nK = sys.modules[__name__]\n",
            "as an async",
        ),
        ("class K:\n    @kinetic.hookimpl\n    def identity(self, reference): ...\n", "has no load_key()"),
    ],
)
def test_a_mistake_in_a_key_loader_is_refused(install: Install, source: str, problem: str) -> None:
    install("loader", source, {"key_loaders": {"acme": "loader:K"}})
    with pytest.raises(kinetic.ProviderLoadError) as caught:
        load_key_loader("acme")
    assert problem in caught.value.message


def test_a_store_with_an_async_method_is_refused(install: Install) -> None:
    source = "@attrs.frozen\nclass Store(kinetic.MemoryStore):\n    async def get(self, key): ...\n"
    install("astore", source, {"session_stores": {"acme": "astore:Store"}})
    with pytest.raises(kinetic.ProviderLoadError, match=r"has get\(\) as an async function"):
        load_session_store("acme")


def test_a_class_that_two_distributions_bring_is_found_by_either_name(two: None) -> None:
    plugin, cls = load_authenticator("second-sso:sso")
    assert plugin.point.group == AUTHENTICATORS
    assert cls is importlib.import_module("second_sso").Provider


@pytest.mark.parametrize(
    "declaration",
    [
        "kinetic.setting(1, help='', validator=[attrs.validators.ge(0), lambda *given: None])",
        "kinetic.setting(None, help='')",
        "kinetic.setting(attrs.Factory(list), help='')",
        "kinetic.setting('3', help='', converter=int)",
        "kinetic.setting('3', help='', converter=attrs.Converter(lambda value, instance: 3, takes_self=True))",
        "kinetic.setting(3, help='', validator=attrs.validators.optional(attrs.validators.instance_of(int)))",
    ],
)
def test_a_setting_that_attrs_takes_is_no_mistake(install: Install, declaration: str) -> None:
    source = (
        f"@attrs.frozen\nclass P:\n    n: int = {declaration}\n    @kinetic.hookimpl\n    def authenticate(self): ...\n"
    )
    install("good", source, {"authenticators": {"acme-good": "good:P"}})
    assert load_authenticator("acme-good")[1] is importlib.import_module("good").P


def test_the_mistake_is_found_when_an_instance_is_made_by_hand() -> None:
    def at_least(value: int) -> None: ...

    @attrs.frozen
    class Direct(kinetic.GrantAuthenticator):
        n: int = kinetic.setting(default=1, help="", validator=at_least)

        def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
            return {}

    with pytest.raises(kinetic.ConfigurationError, match=r"^Direct has an unusable setting 'n': its validator is at_l"):
        Direct()


@pytest.mark.parametrize(
    ("group", "source", "load"),
    [
        (
            "observers",
            "@attrs.frozen\nclass P:\n{}    @kinetic.hookimpl\n    def session_issued(self): ...\n",
            load_observer,
        ),
        (
            "key_loaders",
            "@attrs.frozen\nclass P:\n{}    @kinetic.hookimpl\n    def load_key(self): ...\n",
            load_key_loader,
        ),
        ("session_stores", "@attrs.frozen\nclass P(kinetic.MemoryStore):\n{}", load_session_store),
    ],
)
def test_the_settings_of_every_kind_of_plugin_are_checked(
    install: Install, group: str, source: str, load: Callable[[str], object]
) -> None:
    bad = source.format("    n: int = kinetic.setting('three', help='')\n")
    install("bad", bad, {group: {"acme-bad": "bad:P"}})
    with pytest.raises(kinetic.ProviderLoadError, match=r"\(bad:P\) has an unusable setting 'n': its default"):
        load("acme-bad")


def test_a_class_that_inherits_without_a_decorator_is_refused(install: Install) -> None:
    class Undecorated(kinetic.GrantAuthenticator):
        ticket: str = kinetic.setting(help="")

        def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
            return {}

    problem = "has settings of its own but no decorator: decorate it with @attrs.frozen"
    with pytest.raises(kinetic.ConfigurationError, match=f"^Undecorated {problem}"):
        Undecorated(ticket="x")

    source = "class P(kinetic.MemoryStore):\n    url: str = kinetic.setting(help='')\n"
    install("bad", source, {"session_stores": {"acme-bad": "bad:P"}})
    with pytest.raises(kinetic.ProviderLoadError, match=problem):
        load_session_store("acme-bad")


def test_a_plugin_whose_module_is_not_there_says_how_to_get_it(install: Install) -> None:
    install("acme-frozen", "", {"authenticators": {"acme-frozen": "acme_left_out.sso:P"}})
    with pytest.raises(kinetic.ProviderLoadError, match="No module named 'acme_left_out'") as caught:
        load_authenticator("acme-frozen")
    assert caught.value.remedy == (
        "Update acme-frozen, or report this to its authors. Where the packaging has left its module out, have it kept, "
        "such as by PyInstaller's --hidden-import acme_left_out.sso."
    )


def test_a_misspelt_hook_of_an_observer_shows_the_hooks_of_observers(install: Install) -> None:
    source = "@attrs.frozen\nclass P:\n    path: str\n    @kinetic.hookimpl\n    def session_isued(self): ...\n"
    install("bad", source, {"observers": {"acme-bad": "bad:P"}})
    with pytest.raises(kinetic.ProviderLoadError) as caught:  # found though its required setting is not there
        load_observer("acme-bad")
    assert (
        "unknown hook 'session_isued' (did you mean 'session_issued'?); the hooks are: session_issued, "
        "authentication_failed, session_invalidated, authenticate." in caught.value.message
    )


@pytest.mark.parametrize(
    ("declaration", "name"),
    [
        ("token: str = kinetic.setting(\n        secret=True,\n    )", "token"),
        ("url = kinetic.url_setting(env='X')", "url"),
    ],
)
def test_a_setting_without_help_is_named_with_its_place(install: Install, declaration: str, name: str) -> None:
    install("bad", f"@attrs.frozen\nclass P:\n    {declaration}\n", {"authenticators": {"acme-bad": "bad:P"}})
    with pytest.raises(kinetic.ProviderLoadError) as caught:
        load_authenticator("acme-bad")
    assert f"does not import: TypeError: the setting {name!r} (" in caught.value.message
    assert 'bad.py:6) has no help: write setting(..., help="What it is.").' in caught.value.message


@pytest.mark.parametrize(
    ("origin", "remedy"),
    [
        (None, "Update bad, or report this to its authors."),
        ('{"url": "file:///src/bad", "dir_info": {}}', "Update bad, or report this to its authors."),
        ("not JSON", "Update bad, or report this to its authors."),
        (
            '{"url": "file:///src/my%20plugin", "dir_info": {"editable": true}}',
            "If it is yours, mend bad in /src/my plugin, or report this to its authors.",
        ),
    ],
)
def test_the_remedy_is_for_the_author_where_the_source_is_installed(
    install: Install, origin: str | None, remedy: str
) -> None:
    info = install("bad", "class P: ...\n", {"authenticators": {"acme-bad": "bad:P"}})
    if origin is not None:
        (info / "direct_url.json").write_text(origin)
    with pytest.raises(kinetic.ProviderLoadError) as caught:
        load_authenticator("acme-bad")
    assert caught.value.remedy == remedy


@pytest.mark.parametrize(
    ("group", "meant"),
    [
        ("kinetic_auth.providers", "kinetic_auth.authenticators"),
        ("kinetic_auth.authenticator", "kinetic_auth.authenticators"),
        ("kinetic_auth.key-loader", "kinetic_auth.key_loaders"),
        ("kinetic_auth.stores", "kinetic_auth.session_stores"),
        ("kinetic-auth.observers", "kinetic_auth.observers"),
        ("kinetic_auth_core.authenticators", "kinetic_auth.authenticators"),
        ("kinetic_auth.x", "kinetic_auth.authenticators, kinetic_auth.key_loaders, kinetic_auth.session_stores or"),
    ],
)
def test_a_misspelt_group_is_named_where_its_plugin_is_not_found(install: Install, group: str, meant: str) -> None:
    info = install("acme-bad", "", {})
    (info / "entry_points.txt").write_text(f"[{group}]\nbad-group = acme_bad:P\n")
    with pytest.raises(kinetic.UnknownProviderError) as caught:
        kinetic.resolve("bad-group")
    assert f"acme-bad registers bad-group in {group}; did you mean {meant}" in str(caught.value)


def test_groups_of_others_are_not_named(install: Install) -> None:
    info = install("acme-bad", "", {})
    (info / "entry_points.txt").write_text("[acme.kinetic_auth]\nx = acme_bad:P\n[pytest11]\ny = acme_bad\n")
    with pytest.raises(kinetic.UnknownProviderError) as caught:
        kinetic.resolve("x")
    assert "registers" not in str(caught.value)


@pytest.mark.parametrize("value", ["None", "{}"])
def test_a_provider_that_returns_no_session_is_shown_what_to_return(install: Install, value: str) -> None:
    source = HOOK.format(name="P", body=f"    def authenticate(self): return {value}\n")
    install("bad", source, {"authenticators": {"acme-bad": "bad:P"}})
    with pytest.raises(kinetic.AuthenticationError) as caught:
        kinetic.resolve("acme-bad").session()
    assert "end its authenticate() with: return kinetic.SalesforceSession(...)" in caught.value.remedy
