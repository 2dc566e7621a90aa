"""Who logs in: what names a source's session in a store, so that only sources of the same user share it.

All settings count that are not at their default, but those declared `identity=False`. A value enters a name only
through an HMAC under a key that the store's data do not contain; see docs/adr/0018-who-shares-a-session.md.
"""

import collections
import contextlib
import datetime as dt
import enum
import functools
import hashlib
import hmac
import inspect
import json
import pathlib
import secrets as random_secrets
import struct
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.locations import Reference, absolute
from kinetic_auth_core.login.credentials import SecretLoader
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.registry.hookspecs import Signer
from kinetic_auth_core.settings.hosts import canonical_login_url
from kinetic_auth_core.settings.schema import KeyList, LiteralText, Setting, names_of_bytes, schema


class UnwritableError(ValueError):
    """A value that cannot be written down, so that nobody can say whether another one equals it."""


_Fetch = Callable[[Reference], Any]


class _Named:
    """Whom a reference names, by its key loader."""

    def __init__(self, scheme: str, identity: str) -> None:
        self.scheme = scheme
        self.identity = identity


class _Empty:
    __slots__ = ()


_POINTER = struct.calcsize("P")
_IS_HEAP_TYPE = 1 << 9
#: Classes of Python's own whose repr tells all, by name: few logins have such a setting, so none is imported for it.
_SIMPLE = {
    "builtins.float",
    "datetime.date",
    "datetime.timedelta",
    "decimal.Decimal",
    "uuid.UUID",
    *(f"ipaddress.IPv{version}{what}" for version in (4, 6) for what in ("Address", "Network")),
}
_MAPPINGS = (dict, types.MappingProxyType, collections.OrderedDict)
_of_classes: "weakref.WeakKeyDictionary[type, str]" = weakref.WeakKeyDictionary()


def written(value: Any, fetch: _Fetch | None = None) -> Any:
    """A value as JSON can hold it: two values that differ are written differently.

    Args:
        value: A value of a setting.
        fetch: Gives what a reference stands for; None: a reference counts by its text.

    Raises:
        UnwritableError: It is, or contains, an object of which not all can be seen.
    """
    try:
        return _written(value, fetch)
    except RecursionError:
        raise UnwritableError("it contains itself") from None


def _written(value: Any, fetch: _Fetch | None) -> Any:
    if type(value) is Reference:
        return ["reference", value.scheme, str(value)] if fetch is None else _written(fetch(value), None)
    return _simple(value) or _container(value, fetch) or _object(value, fetch)


def _simple(value: Any) -> Any:
    """A value that has no others in it; None: it is another."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return [kind.__name__, value]
    if kind is LiteralText:
        return ["str", str(value)]
    if kind in (bytes, bytearray):
        return ["bytes", value.hex()]
    if f"{kind.__module__}.{kind.__qualname__}" in _SIMPLE and _is_where_it_says(kind):
        return [kind.__name__, repr(value)]
    if kind is dt.datetime and (value.tzinfo is None or type(value.tzinfo) is dt.timezone):
        return ["datetime", value.isoformat(), value.fold]
    if isinstance(value, pathlib.PurePath) and kind.__module__.partition(".")[0] == "pathlib":
        return ["path", str(absolute(value) if isinstance(value, pathlib.Path) else value)]
    return None


def _container(value: Any, fetch: _Fetch | None) -> Any:
    """A value of other values, of Python's own types; None: it is another."""
    kind = type(value)
    if kind in (list, tuple, KeyList):
        return ["list", *(_written(item, fetch) for item in (value.items if kind is KeyList else value))]
    if kind in (set, frozenset):
        return ["set", *sorted((_written(item, fetch) for item in value), key=json.dumps)]
    if kind in _MAPPINGS:
        pairs = [[_written(name, fetch), _written(item, fetch)] for name, item in value.items()]
        return ["mapping", *sorted(pairs, key=json.dumps)]
    return None


def _object(value: Any, fetch: _Fetch | None) -> Any:
    """A value of a class.

    Raises:
        UnwritableError: It may have more in it than can be seen.
    """
    kind = type(value)
    if isinstance(value, enum.Enum):
        return ["enum", class_name(kind), _written(value.value, fetch) if isinstance(value, enum.Flag) else value.name]
    if inspect.isclass(value) or inspect.isfunction(value):
        return ["name", class_name(value)]
    if not _is_signer(value):
        return _record(value, fetch)
    with contextlib.suppress(UnwritableError):
        return _record(value, fetch)
    return ["signer", class_name(kind), str(value.algorithm), str(value.key_id)]


def _record(value: Any, fetch: _Fetch | None) -> Any:
    """An object with all its attributes; those that its repr and its comparison leave out, too.

    Raises:
        UnwritableError: It has attributes elsewhere, as those have whose class is written in C.
    """
    kind = type(value)
    members = [(name, each) for cls in kind.__mro__[:-1] for name, each in _slots(cls)]
    if not all(map(_is_written_in_python, kind.__mro__[:-1])) or kind.__basicsize__ > _size(kind, len(members)):
        raise UnwritableError(f"an instance of {kind.__qualname__}")
    if len({name for name, _ in members}) < len(members):
        raise UnwritableError(f"an instance of {kind.__qualname__}, which has two slots of one name")
    slots = {name: each.__get__(value) for name, each in members if _is_set(each, value)}
    found = sorted({**slots, **getattr(value, "__dict__", {})}.items())  # not by getattr, which a class may override
    if not found:
        raise UnwritableError(f"an instance of {kind.__qualname__}, which nothing but itself tells from another")
    return ["record", class_name(kind), *([name, _written(item, fetch)] for name, item in found)]


def _slots(cls: type) -> list[tuple[str, Any]]:
    """The attributes that a class keeps outside of `__dict__`: their names, as Python mangles them, and descriptors."""
    return [(name, each) for name, each in vars(cls).items() if inspect.ismemberdescriptor(each)]


def _is_set(slot: Any, value: Any) -> bool:
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True


def _is_written_in_python(cls: type) -> bool:
    """Whether a class is; one that is written in C may have members without `__slots__`, and more than those."""
    return bool(cls.__flags__ & _IS_HEAP_TYPE) and ("__slots__" in vars(cls) or not _slots(cls))


def _size(cls: type, slots: int) -> int:
    """The size of an instance, in bytes, that has nothing but these slots, a `__dict__` and weak references."""
    others = (cls.__dictoffset__ > 0) + (cls.__weakrefoffset__ > 0)
    return _Empty.__basicsize__ + (slots + others) * _POINTER


def _is_signer(value: Any) -> bool:
    try:
        return isinstance(value, Signer)
    except Exception as error:  # noqa: BLE001 - a property of somebody else's class
        raise_interruption(error)
        return False


def class_name(named: Any) -> str:
    """The name of a class or function by which another process finds the same one; else one that nothing else has.

    Args:
        named: The class or function.
    """
    module, qualname = str(getattr(named, "__module__", "")), str(getattr(named, "__qualname__", ""))
    if module == "__main__":
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        module = f"__main__ {absolute(pathlib.Path(script))}" if script else ""
    found: Any = sys.modules.get(str(getattr(named, "__module__", "")))
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if module and found is named:
        return f"{module}.{qualname}"
    try:
        return _of_classes.setdefault(named, f"{qualname} {random_secrets.token_hex(16)}")
    except TypeError:  # it cannot be referenced weakly
        raise UnwritableError(f"{qualname} cannot be named") from None


def _is_where_it_says(kind: type) -> bool:
    """Whether a class is the one that its module has by its name: any class may call itself `decimal.Decimal`."""
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind


def plain(value: Any) -> str:
    """A value as text that distinguishes it from others; one that cannot be written down equals nothing, not itself."""
    try:
        return json.dumps(written(value), sort_keys=True)
    except UnwritableError:
        return random_secrets.token_hex(16)


def is_connection_setting(setting: Setting) -> bool:
    """Whether a setting is one of `GrantAuthenticator`'s own that say how to connect, and nothing of who logs in."""
    own = next((each for each in schema(GrantAuthenticator) if each.name == setting.name), None)
    return own is not None and not own.identity and setting.declared_with(own)


@functools.cache
def _secret_names(cls: Any) -> frozenset[str]:
    return frozenset(each.name for each in schema(cls) if each.secret)


@functools.cache
def _without_connection(cls: Any) -> tuple[Setting, ...]:
    """The settings of a class that may tell users apart."""
    is_grant = issubclass(cls, GrantAuthenticator)
    return tuple(each for each in schema(cls) if not (is_grant and is_connection_setting(each)))


class Identity:
    """Whose sessions a source gives.

    Args:
        who: What tells its provider from others.
        values: The settings that count, by name; some of them hold references.
        secrets: The names of those that are secret.
        loader: Fetches what references stand for.
        binary: The settings that take bytes.

    Attributes:
        who: See above: the entry point's name and its distribution.
    """

    def __init__(
        self,
        who: tuple[str, ...],
        values: Mapping[str, Any],
        secrets: frozenset[str],
        loader: SecretLoader,
        binary: frozenset[str] = frozenset(),
    ) -> None:
        self.who = who
        self._values = values
        self._secrets = secrets
        self._loader = loader
        self._binary = binary

    @property
    def is_constant(self) -> bool:
        """Whether its name stays the same: no reference counts."""
        return not any(_references(value) for value in self._values.values())

    def name(self, naming_key: bytes | None) -> str | None:
        """The name of the session in a store, now.

        Args:
            naming_key: The store's key for names; None: it has none.

        Returns:
            The name, which tells nothing; None: nobody else may be given this session.

        Raises:
            KineticAuthError: What a reference stands for could not be fetched.
        """
        try:
            who = {name: written(value, self._fetching(name)) for name, value in self._values.items()}
        except UnwritableError:
            return None
        if naming_key is None and self._has_secrets():
            return None
        return self._hashed(who, naming_key or b"")

    def name_here(self, naming_key: bytes) -> str:
        """A name within this process, for which nothing is fetched: references count by their text.

        Args:
            naming_key: A key of this process.
        """
        return self._hashed({name: plain(value) for name, value in self._values.items()}, naming_key)

    def _hashed(self, who: Mapping[str, Any], key: bytes) -> str:
        text = json.dumps([self.who, who], sort_keys=True)
        return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def _has_secrets(self) -> bool:
        """Whether a secret counts by its value; a reference that counts by whom it names reveals nothing."""
        return any(
            _has_more(value) or any(self._loader.identity(each) is None for each in _references(value))
            for name, value in self._values.items()
            if name in self._secrets
        )

    def _fetching(self, name: str) -> _Fetch:
        def fetch(reference: Reference) -> Any:
            named = self._loader.identity(reference)
            if named is not None:
                return _Named(reference.scheme, named)
            return self._loader.load(reference, binary=name in self._binary)

        return fetch


def _references(value: Any) -> list[Reference]:
    """The references in a setting's value."""
    items = value.items if isinstance(value, KeyList) else value if isinstance(value, list | tuple) else [value]
    return [item for item in items if isinstance(item, Reference)]


def _has_more(value: Any) -> bool:
    items = value.items if isinstance(value, KeyList) else value if isinstance(value, list | tuple) else [value]
    return any(not isinstance(item, Reference) for item in items)


def identity_of(
    cls: type,
    values: Mapping[str, Any],
    who: tuple[str, ...],
    loader: SecretLoader,
    instance: Any = None,
) -> Identity:
    """The identity of a source.

    Args:
        cls: The provider's class.
        values: Its settings as they were given; some of them references.
        who: What tells the provider from others.
        loader: Fetches what references stand for.
        instance: An instance with these settings; None where it is made at the login.
    """
    counted = dict(_counted(cls, values, instance))
    computed = {name for name in counted if name.startswith(".")}  # perhaps from a secret
    secrets = _secret_names(cls)
    return Identity(who, counted, secrets | computed if computed else secrets, loader, names_of_bytes(cls))


def _counted(cls: type, values: Mapping[str, Any], instance: Any) -> Iterator[tuple[str, Any]]:
    is_grant = issubclass(cls, GrantAuthenticator)
    for each in _without_connection(cls):
        value = values.get(each.name, attrs.NOTHING)
        if instance is not None and not isinstance(value, KeyList):
            value = each.value_of(instance)
        if not each.identity:
            value = _text_of(value) if each.secret else attrs.NOTHING
        if is_grant and each.name == "login_url":
            value = each.default_value(instance) if value is attrs.NOTHING else value
            yield each.name, canonical_login_url(value) if isinstance(value, str) else value
        elif not _is_default(each, value, instance):
            yield each.name, each.default.factory() if value is attrs.NOTHING else value
    if instance is not None:
        yield from _computed(cls, instance)


def _computed(cls: type, instance: Any) -> Iterator[tuple[str, Any]]:
    """What an instance has besides its settings: fields with `init=False` that take part in comparison, and others.

    A field that a factory has made, such as a lock, counts where it can be written down.
    """
    fields = {each.name: each for each in attrs.fields(cls)}
    for name, field in fields.items():
        if field.init or not field.eq or not hasattr(instance, name):
            continue
        value, default = getattr(instance, name), field.default
        is_made = isinstance(default, attrs.Factory)  # type: ignore[arg-type]  # a class, whatever its stub says
        if value is default or (is_made and not _is_writable(value)) or _is_empty(value):
            continue
        yield f".{name}", value
    for name, value in getattr(instance, "__dict__", {}).items():
        if name not in fields:
            yield f".{name}", value


def _is_writable(value: Any) -> bool:
    try:
        written(value)
    except UnwritableError:
        return False
    return True


def _is_empty(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset | dict | str | bytes) and not value


def _text_of(secret: Any) -> Any:
    """A secret of a setting that is declared `identity=False`, without what came from references."""
    if isinstance(secret, KeyList):
        kept = tuple(item for item in secret.items if not isinstance(item, Reference))
        return KeyList(kept) if kept else attrs.NOTHING
    if isinstance(secret, list) and any(isinstance(item, Reference) for item in secret):
        return [item for item in secret if not isinstance(item, Reference)] or attrs.NOTHING
    return attrs.NOTHING if isinstance(secret, Reference) else secret


def _is_default(setting: Setting, value: Any, instance: Any) -> bool:
    """Whether a value is the default, which is left out: a new setting empties no store.

    What a factory makes may differ from process to process, such as the name of the machine: it counts, unless it is
    empty or follows from the other settings.
    """
    default = setting.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, whatever its stub says
        if value is attrs.NOTHING:
            if default.takes_self or not setting.identity:
                return True
            value = default.factory()
        if default.takes_self and instance is not None:
            return plain(value) == plain(default.factory(instance))
        return _is_empty(value)
    if value is attrs.NOTHING or value is default:
        return True
    if type(value) in _COMPARED and type(default) in _COMPARED:
        return type(value) is type(default) and bool(value == default)
    return plain(value) == plain(default)


#: Values that are written the same if they are equal and of the same type.
_COMPARED = frozenset({str, int, bool, type(None)})


class Seed:
    """What a state begins with.

    Attributes:
        secrets: The values of the secret settings that tell users apart, by name; those that are set.
        username: The user, where there is no such setting.
    """

    def __init__(self, secrets: Mapping[str, Any], username: str | None) -> None:
        self.secrets = secrets
        self.username = username


def has_seed(cls: type) -> bool:
    """Whether a provider's class has a secret setting that its state begins with."""
    return any(each.secret and each.identity for each in schema(cls))


def seed_of(cls: type, instance: Any) -> Seed:
    """The configured seed of a provider: its secret settings that are not declared `identity=False`."""
    settings = [each for each in schema(cls) if each.secret and each.identity]
    values = {each.name: each.value_of(instance) for each in settings}
    held = {name: value for name, value in values.items() if value is not None}
    return Seed(held, None if held else getattr(instance, "username", None))
