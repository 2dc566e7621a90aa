"""Who shares a session: two tenants and one store, told apart by whatever a provider may tell its users apart by."""

import dataclasses
import datetime as dt
import decimal
import enum
import io
import logging
import operator
import string
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.locations import Reference, parse_reference
from kinetic_auth_core.login.credentials import SecretLoader
from kinetic_auth_core.login.identity import identity_of, written
from kinetic_auth_core.login.spec import LoginSpec
from kinetic_auth_core.registry.hookspecs import KeyLoaderHooks
from kinetic_auth_core.settings.hosts import canonical_login_url
from kinetic_auth_core.stores.base import MemoryStore
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator

PASSWORD = "right-Password-1"


def a_session(who: object, username: str | None = None) -> kinetic.SalesforceSession:
    now = str(int(dt.datetime.now(dt.UTC).timestamp() * 1000))
    return kinetic.SalesforceSession(
        f"00D!of-{who}-{uuid.uuid4()}", "https://acme.my.salesforce.com", "", now, username=username
    )


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> kinetic.SessionStore:
    return kinetic.FileStore(tmp_path / "store") if request.param == "file" else MemoryStore()


@attrs.frozen
class ByToken:
    """Tells its users apart by a secret alone."""

    token: str = kinetic.setting(help="Who.", secret=True)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return a_session(self.token)


@attrs.frozen
class ByAnything:
    """Tells its users apart by a setting of any kind."""

    tenant: Any = kinetic.setting(help="Who.")

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return a_session("x")


def is_shared(store: kinetic.SessionStore, one: object, other: object) -> bool:
    first, second = (kinetic.SessionSource(each, store=store).session() for each in (one, other))
    return first == second


class Plain:
    """Shows its address alone."""

    def __init__(self, value: object) -> None:
        self.value = value


class Text(str):
    """Text with something else beside it."""

    tenant = ""

    def __new__(cls, tenant: str) -> Self:
        made = super().__new__(cls, "the same")
        made.tenant = tenant
        return made

    __slots__ = ("__dict__",)


@attrs.frozen
class Hidden:
    """Hides its field."""

    name: str = attrs.field(repr=False, eq=False)


@dataclasses.dataclass(eq=False)
class HiddenToo:
    """Hides its field as well."""

    name: str = dataclasses.field(repr=False, compare=False)


@attrs.frozen
class Disguised:
    """Hides its field, and has the name of a class of Python's own, as a module `uuid.py` of an application may do."""

    name: str = attrs.field(repr=False, eq=False)


Disguised.__module__, Disguised.__qualname__ = "uuid", "UUID"


class Kind(enum.Enum):
    """One of two."""

    ADA = 1
    BOB = 2


class Rights(enum.Flag, boundary=enum.KEEP):
    """A flag that keeps bits which have no name."""

    READ = 1


class OfBase:
    """Has a slot."""

    __slots__ = ("tenant",)


class Covered(OfBase):
    """Has another slot of the same name, which hides the first."""

    __slots__ = ("tenant",)

    def __init__(self, who: str) -> None:
        OfBase.tenant.__set__(self, who)  # type: ignore[attr-defined]
        self.tenant = "the same"


class _Same:
    """A descriptor that shows the same text for all."""

    def __get__(self, instance: object, owner: type) -> str:
        return "the same"

    def __set__(self, instance: object, value: str) -> None:
        vars(instance)["tenant"] = value


class Described:
    """Shows its attribute through a descriptor."""

    tenant = _Same()

    def __init__(self, who: str) -> None:
        self.tenant = who


@pytest.mark.parametrize(
    "of",
    [operator.attrgetter, Covered, Described, lambda who: Rights(2 * ord(who[0]))],
    ids=["written in C", "two slots of one name", "descriptor", "flag without a name"],
)
def test_what_is_out_of_sight_tells_users_apart(of: Callable[[str], Any], store: kinetic.SessionStore) -> None:
    assert not is_shared(store, ByAnything(of("ada")), ByAnything(of("bob")))


@attrs.frozen(slots=False)
class Computes:
    """Finds out who its user is when it is made."""

    url: str = kinetic.setting("u", help="Where.")
    tenant: str = attrs.field(init=False, default="")
    _lock: Any = attrs.field(init=False, factory=threading.Lock)
    _asked: Any = attrs.field(init=False, eq=False, factory=object)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        return a_session(self.tenant)


@pytest.mark.parametrize("name", ["tenant", "beside"])
def test_what_an_instance_has_besides_its_settings_tells_users_apart(name: str, store: kinetic.SessionStore) -> None:
    ada, bob, ada_too = Computes(), Computes(), Computes()
    for each, who in ((ada, "ada"), (bob, "bob"), (ada_too, "ada")):
        object.__setattr__(each, name, who)
    assert not is_shared(store, ada, bob)
    assert is_shared(store, ada, ada_too)


def test_a_relative_path_counts_with_the_folder_it_is_relative_to(
    store: kinetic.SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = []
    for tenant in ("ada", "bob"):
        (tmp_path / tenant).mkdir()
        monkeypatch.chdir(tmp_path / tenant)
        sessions.append(kinetic.SessionSource(ByAnything(Path("token")), store=store).session())
    assert sessions[0] != sessions[1]


@pytest.mark.parametrize(
    "of",
    [
        *(Plain, Text, Hidden, HiddenToo, Disguised),
        *(lambda who: lambda: who, lambda who: iter([who]), lambda who: [Hidden(who)]),
    ],
    ids=["plain", "text", "attrs", "dataclass", "disguised", "closure", "iterator", "list"],
)
def test_an_object_that_hides_what_is_in_it_tells_users_apart(
    of: Callable[[str], Any], store: kinetic.SessionStore
) -> None:
    assert not is_shared(store, ByAnything(of("ada")), ByAnything(of("bob")))


def test_objects_that_nothing_but_themselves_tells_apart_share_nothing(store: kinetic.SessionStore) -> None:
    assert not is_shared(store, ByAnything(object()), ByAnything(object()))


@pytest.mark.parametrize("of", [Hidden, HiddenToo, Plain, str, lambda who: {"tenant": {who}}, lambda who: Kind.ADA])
def test_what_can_be_written_down_is_shared(of: Callable[[str], Any], store: kinetic.SessionStore) -> None:
    assert is_shared(store, ByAnything(of("ada")), ByAnything(of("ada")))


def test_two_classes_of_one_name_share_nothing(store: kinetic.SessionStore) -> None:
    def made(tenant: str) -> object:
        @attrs.frozen
        class Sso:
            @kinetic.hookimpl
            def authenticate(self) -> kinetic.SalesforceSession:
                return a_session(tenant)

        return Sso()

    assert not is_shared(store, made("ada"), made("bob"))


@pytest.mark.parametrize("name", ["proxy", "ca_bundle", "client_cert", "api_version", "deadline", "read_timeout"])
def test_a_setting_of_a_third_party_counts_whatever_its_name(name: str, store: kinetic.SessionStore) -> None:
    class Base:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return a_session(getattr(self, name))

    cls = attrs.make_class("Gateway", {name: kinetic.setting(help="Whose.")}, bases=(Base,), frozen=True)
    assert not is_shared(store, cls("https://a.example"), cls("https://b.example"))
    assert is_shared(store, cls("https://a.example"), cls("https://a.example"))


# Grants


@attrs.frozen
class ClientCredentials(kinetic.GrantAuthenticator):
    """A grant of a third party."""

    client_id: str = kinetic.setting(help="Consumer Key.")
    client_secret: str = kinetic.setting(help="Consumer Secret.", secret=True, identity=False)
    scope: str = kinetic.setting("read-only", help="Scope.", kw_only=True)

    def grant(self, request: kinetic.LoginRequest) -> dict[str, str]:
        raise kinetic.AuthenticationError("not here")


def name_of(cls: type, **settings: Any) -> str | None:
    instance = cls(**settings)
    return identity_of(cls, {}, ("name", "package"), SecretLoader(), instance).name(b"key")


def test_each_setting_of_a_grant_counts_but_the_connection() -> None:
    base = {"client_id": "id", "client_secret": "secret", "login_url": "https://acme.my.salesforce.com"}
    name = name_of(ClientCredentials, **base)
    assert name_of(ClientCredentials, **base, scope="full") != name
    assert name_of(ClientCredentials, **{**base, "client_secret": "another"}) != name  # given as text
    assert name_of(ClientCredentials, **{**base, "login_url": "https://other.my.salesforce.com"}) != name
    connection = {"proxy": "http://u:p@proxy.example:3128", "deadline": 5.0, "ca_bundle": "ca.pem"}
    assert name_of(ClientCredentials, **base, **connection, api_version="v61.0", read_timeout=1.0) == name
    assert name_of(ClientCredentials, **{**base, "login_url": "https://ACME.my.salesforce.com.:443/"}) == name


def test_a_grants_own_setting_called_proxy_counts() -> None:
    @attrs.frozen
    class Own(ClientCredentials):
        proxy: str | None = kinetic.setting(None, help="The gateway, which says who it is.", kw_only=True)

    base = {"client_id": "id", "client_secret": "secret"}
    assert name_of(Own, **base, proxy="http://a.example") != name_of(Own, **base, proxy="http://b.example")


def test_a_setting_that_is_new_and_at_its_default_empties_no_store() -> None:
    @attrs.frozen
    class Next(ClientCredentials):
        audience: str | None = kinetic.setting(None, help="New.", kw_only=True)
        tags: list[str] = kinetic.setting(attrs.Factory(list), help="New.", kw_only=True)

    base = {"client_id": "id", "client_secret": "secret"}
    assert name_of(Next, **base) == name_of(ClientCredentials, **base)


def test_a_default_that_differs_from_process_to_process_counts() -> None:
    place = iter(["a", "b"])

    @attrs.frozen
    class Local(ByToken):
        machine: str = kinetic.setting(attrs.Factory(lambda: next(place)), help="Where it is.")

    assert name_of(Local, token="t") != name_of(Local, token="t")


@pytest.mark.parametrize(
    ("written_as", "canonical"),
    [
        ("https://LOGIN.salesforce.com", "https://login.salesforce.com"),
        ("https://login.salesforce.com:443/", "https://login.salesforce.com"),
        ("https://login.salesforce.com.", "https://login.salesforce.com"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("https://acme.my.site.com/Customers/", "https://acme.my.site.com/Customers"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://a:b:c", "https://a:b:c"),
    ],
)
def test_a_login_url_is_compared_in_one_form(written_as: str, canonical: str) -> None:
    assert canonical_login_url(written_as) == canonical


# References


class Vault:
    """A key loader: each worker has its own values."""

    value = b""

    @kinetic.hookimpl
    def load_key(self, reference: Reference) -> bytes:
        return self.value


class Tokens(Vault):
    """A key loader whose values differ each time, and which tells whom they name."""

    subject = ""

    @kinetic.hookimpl
    def load_key(self, reference: Reference) -> bytes:
        return f"{self.subject} {uuid.uuid4()}".encode()

    @kinetic.hookimpl
    def identity(self, reference: Reference) -> str:
        return self.subject


@pytest.fixture
def loaders(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    found: dict[str, object] = {"vault": Vault(), "tokens": Tokens()}
    monkeypatch.setattr(
        "kinetic_auth_core.registry.loading.load_key_loader", lambda scheme, _allowed: KeyLoaderHooks(found[scheme])
    )
    return found


def reference(text: str) -> Reference:
    found = parse_reference(text, ["vault", "tokens"])
    assert found is not None
    return found


def name_with(cls: type, lookup: dict[str, str] | None = None, **values: Any) -> str | None:
    return identity_of(cls, values, ("name", "package"), SecretLoader((lookup or {}).get)).name(b"key")


def test_a_variables_value_counts_and_not_its_name() -> None:
    token = reference("env://TOKEN")
    names = [name_with(ByToken, {"TOKEN": value}, token=token) for value in ("ada", "bob", "ada")]
    assert names[0] == names[2] != names[1]
    assert name_with(ByToken, {"OTHER": "ada"}, token=reference("env://OTHER")) == names[0]


def test_a_files_content_counts_and_not_its_path(tmp_path: Path) -> None:
    place = tmp_path / "token"
    names = []
    for value in ("ada", "bob", "ada\n"):
        place.write_text(value)
        names.append(name_with(ByToken, token=reference(f"file://{place}")))
    assert names[0] == names[2] != names[1]


def test_what_a_vault_has_counts_and_not_where(loaders: dict[str, Any]) -> None:
    names = []
    for value in (b"ada", b"bob", b"ada"):
        loaders["vault"].value = value
        names.append(name_with(ByToken, token=reference("vault://prod/token")))
    assert names[0] == names[2] != names[1]


def test_a_reference_counts_by_whom_it_names_where_its_loader_can_tell(loaders: dict[str, Any]) -> None:
    names = []
    for value in ("repo:a", "repo:b", "repo:a"):
        loaders["tokens"].subject = value
        names.append(name_with(ByToken, token=reference("tokens://github?audience=a")))
    assert names[0] == names[2] != names[1]


def test_a_reference_whose_value_differs_each_time_shares_with_nobody(loaders: dict[str, Any]) -> None:
    class Fresh(Vault):
        @kinetic.hookimpl
        def load_key(self, reference: Reference) -> bytes:
            return uuid.uuid4().bytes.hex().encode()

    loaders["vault"] = Fresh()
    token = reference("vault://fresh")
    assert name_with(ByToken, token=token) != name_with(ByToken, token=token)


def test_a_secret_without_identity_counts_as_text_and_not_from_a_reference(loaders: dict[str, Any]) -> None:
    base: dict[str, Any] = {"client_id": "id"}
    by_reference = name_with(ClientCredentials, **base, client_secret=reference("vault://one"))
    assert name_with(ClientCredentials, **base, client_secret=reference("env://OTHER")) == by_reference
    assert name_with(ClientCredentials, **base, client_secret="text") != by_reference
    assert loaders["vault"].value == b""


@pytest.mark.parametrize("answer", ["None", "''", "7"])
def test_a_loader_that_returns_no_text_as_identity_is_an_error_or_has_none(
    loaders: dict[str, Any], answer: str
) -> None:
    class Odd(Vault):
        value = b"v"

        @kinetic.hookimpl
        def identity(self, reference: Reference) -> Any:
            return {"None": None, "''": "", "7": 7}[answer]

    loaders["vault"] = Odd()
    if answer == "None":
        assert name_with(ByToken, token=reference("vault://x"))
    else:
        with pytest.raises(kinetic.KeyLoadError, match=r"identity\(\) of its key loader returned"):
            name_with(ByToken, token=reference("vault://x"))


def test_a_store_without_a_key_of_its_own_shares_no_source_whose_secrets_count(loaders: dict[str, Any]) -> None:
    loaders["tokens"].subject = "ada"
    by_token = identity_of(ByToken, {"token": "t"}, ("n", "p"), SecretLoader())
    by_subject = identity_of(ByToken, {"token": reference("tokens://x")}, ("n", "p"), SecretLoader())
    assert by_token.name(None) is None
    assert by_subject.name(None) is not None


# End to end


def test_two_tenants_whose_token_changes_under_way_share_nothing(store: kinetic.SessionStore) -> None:
    """The value changes between the look into the store and the login: nobody knows who has logged in."""
    value = iter(["ada", "bob", "bob"])  # for the name, for the login, for the name again

    def spec() -> Any:
        def lookup(_name: str) -> str:
            return next(value, "ada")

        values = {"token": reference("env://TOKEN")}
        loader = SecretLoader(lookup)
        identity = identity_of(ByToken, values, ("n", "p"), loader)
        return LoginSpec("n", ByToken, values, (), loader=loader, store=store, identity=identity, distribution="p 1")

    first = kinetic.SessionSource._of(spec()).session()
    assert "of-bob" in first.access_token
    assert "of-ada" in kinetic.SessionSource._of(spec()).session().access_token


def test_an_entry_that_is_copied_under_another_users_name_is_refused(
    store: kinetic.SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = ByToken("ada"), ByToken("bob")
    of_ada = kinetic.SessionSource(ada, store=store).session()
    key = store.naming_key()
    names = [identity_of(ByToken, {}, _who(), SecretLoader(), each).name(key) for each in (ada, bob)]
    assert names[0] is not None
    assert names[1] is not None
    entry = store.get(names[0])
    assert entry is not None
    store.put(names[1], entry.value, expires_in_s=60)
    with caplog.at_level(logging.WARNING):
        assert "of-bob" in kinetic.SessionSource(bob, store=store).session().access_token
    assert "stored for another user" in caplog.text
    assert of_ada.access_token not in caplog.text


def _who() -> tuple[str, str]:
    return ("by hand", f"{__name__}.ByToken")


def test_a_stored_session_of_another_username_is_not_taken(store: kinetic.SessionStore) -> None:
    @attrs.frozen
    class Odd:
        username: str = kinetic.setting(help="Who.", identity=False)

        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return a_session(self.username, self.username)

    assert not is_shared(store, Odd("ada@acme.example"), Odd("bob@acme.example"))
    assert is_shared(store, Odd("ada@acme.example"), Odd("ADA@acme.example"))


def test_a_wrong_password_gets_no_session_beside_the_right_ones(
    sf: SalesforceEmulator, store: kinetic.SessionStore
) -> None:
    user = sf.add_user(f"{uuid.uuid4()}@acme.example", password=PASSWORD, trusted_ip=True)
    app = sf.add_app(preauthorised={user.username})
    settings = {"client_id": app.client_id, "client_secret": app.client_secret, "username": user.username}

    def source(**changed: str) -> kinetic.SessionSource:
        given = {**settings, "password": PASSWORD, "login_url": sf.url, **changed}
        return kinetic.resolve("password", store=store, **given)

    right = source().session()
    assert source().session() == right
    for changed in ({"password": "wrong"}, {"client_secret": "wrong"}, {"security_token": "wrong"}):
        with pytest.raises(kinetic.AuthenticationError):
            source(**changed).session()


def test_an_instance_made_by_hand_shares_with_resolve(sf: SalesforceEmulator, store: kinetic.SessionStore) -> None:
    login = sf.default
    given: dict[str, Any] = {
        "client_id": login.client_id,
        "username": login.username,
        "private_key": login.private_key_pem,
    }
    resolved = kinetic.resolve("jwt-bearer", store=store, login_url=f"{sf.url}/", **given).session()
    by_hand = JWTAuthenticator(**given, login_url=sf.url)
    assert kinetic.SessionSource(by_hand, store=store).session() == resolved


def test_the_stores_data_do_not_tell_a_secret(tmp_path: Path, logged: io.StringIO) -> None:
    store = kinetic.FileStore(tmp_path / "store")
    kinetic.SessionSource(ByToken("canary-token"), store=store).session()
    key = tmp_path / "store.key" / "naming"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert len(key.read_bytes()) == 32
    assert store.naming_key() == kinetic.FileStore(tmp_path / "store").naming_key() == key.read_bytes()
    stored = b" ".join(path.name.encode() for path in (tmp_path / "store").iterdir())
    assert key.read_bytes().hex().encode() not in stored
    assert "canary-token" not in logged.getvalue()


# Property


_TEXT = st.text(string.printable, max_size=4)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | _TEXT
    | st.binary(max_size=3)
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.sampled_from(Kind)
    | st.builds(Path, st.sampled_from(["a", "b"]))
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_TEXT, inner, max_size=3)
        | st.builds(Hidden, inner)
        | st.builds(HiddenToo, inner)
        | st.builds(Plain, inner)
    ),
    max_leaves=6,
)


def _shape(value: object) -> object:
    """What a value effectively is, compared by Python alone."""
    if isinstance(value, list):
        return ("list", tuple(map(_shape, value)))
    if isinstance(value, dict):
        return ("dict", frozenset((name, _shape(item)) for name, item in value.items()))
    if isinstance(value, Hidden | HiddenToo):
        return (type(value), _shape(value.name))
    if isinstance(value, Plain):
        return (Plain, _shape(value.value))
    return (type(value), repr(value) if isinstance(value, float | decimal.Decimal) else value)


@given(_VALUES, _VALUES)
def test_values_that_differ_are_written_differently(one: object, other: object) -> None:
    assert (written(one) == written(other)) is (_shape(one) == _shape(other))


@attrs.frozen
class Both:
    """A provider with settings of both kinds."""

    tenant: Any = kinetic.setting(None, help="Who.")
    token: Any = kinetic.setting("", help="Who.", secret=True)


_TOKENS = st.sampled_from(["", "ada", "bob", "env://A", "env://B", "env://C", "vault://a", "tokens://a"])


@given(st.lists(st.tuples(_VALUES, _TOKENS, st.sampled_from(["ada", "bob", "eve"])), min_size=2, max_size=4))
def test_those_whose_identity_differs_have_different_names(workers: list[tuple[object, str, str]]) -> None:
    names: dict[object, str | None] = {}
    for tenant, token, value in workers:
        loader = SecretLoader({"A": "ada", "B": value, "C": "eve"}.get)
        vault, tokens = Vault(), Tokens()
        vault.value, tokens.subject = value.encode(), value
        loader._key_loaders = {"vault": KeyLoaderHooks(vault), "tokens": KeyLoaderHooks(tokens)}
        found = parse_reference(token, ["vault", "tokens"])
        effective = {"env://A": "ada", "env://B": value, "env://C": "eve", "vault://a": value}.get(token, token)
        who = (_shape(tenant), ("named", value) if token == "tokens://a" else effective)
        name = identity_of(Both, {"tenant": tenant, "token": found or token}, ("n", "p"), loader).name(b"key")
        assert names.setdefault(who, name) == name
    assert len(set(names.values())) == len(names)
