"""The values that a login is tried with: references resolved, and lists of keys walked through one key at a time."""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import CredentialsRejectedError, KeyLoadError, KineticAuthError
from kinetic_auth_core.locations import BUILTIN_SCHEMES, MAX_FILE_BYTES, Reference, load_builtin
from kinetic_auth_core.oauth.error_codes import Culprit, culprit_of
from kinetic_auth_core.registry.hookspecs import KeyLoaderHooks, Signer
from kinetic_auth_core.settings.schema import ExplainedSetting, KeyList, LiteralText, schema
from kinetic_auth_core.transport.connections import Deadline

if TYPE_CHECKING:
    from kinetic_auth_core.registry.discovery import AllowedPlugins  # where there are references

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: While a guard holds a credential back, its secrets are not fetched again more often than this.
_FETCH_PAUSE_S = 5.0


class SecretLoader:
    """Resolves references; a key loader is imported when the first reference to it is.

    Args:
        lookup: Gives the value of an environment variable, for `env://NAME`.
        allowed: Whose key loaders may be loaded; None: anybody's.
    """

    def __init__(
        self, lookup: Callable[[str], str | None] = os.environ.get, allowed: "AllowedPlugins | None" = None
    ) -> None:
        self._lookup = lookup
        self._allowed = allowed
        self._key_loaders: dict[str, KeyLoaderHooks] = {}

    def load(self, reference: Reference, *, binary: bool = False) -> LiteralText | bytes | Signer:
        """Fetch what a reference names, now.

        Args:
            reference: What to fetch.
            binary: It is for a key: a value that is not UTF-8 text, such as a PKCS12 file, is returned as bytes, and an
                empty one is refused. Other secrets may be empty, such as a security token.

        Returns:
            Text, without a BOM and the line end that editors and `echo` leave; bytes; or a `Signer` for a key that
            stays where it is.

        Raises:
            KeyLoadError: It cannot be loaded, is an empty key, or is not text where only text can be used.
            UnknownProviderError: No key loader for its scheme is installed.
            ProviderLoadError: The key loader does not load, or is not allowed.
        """
        if reference.scheme in BUILTIN_SCHEMES:
            loaded: object = load_builtin(reference, self._lookup)
        else:
            loaded = self._load_with_plugin(reference)
        if isinstance(loaded, Signer):
            return loaded
        if isinstance(loaded, str | bytes) and len(loaded) > MAX_FILE_BYTES:
            del loaded  # not among the locals of a traceback
            raise KeyLoadError(f"{reference}: what it names is longer than {MAX_FILE_BYTES} bytes, so it is no secret.")
        text = _text(loaded)
        if binary and text == "":
            raise KeyLoadError(f"{reference}: what it names is empty.", remedy="Put the key there.")
        if text is not None:
            return text
        if isinstance(loaded, bytes) and binary:
            return loaded
        gave = f"its key loader returned {type(loaded).__name__}, neither bytes nor a Signer"
        what = "the secret is not UTF-8 text" if isinstance(loaded, bytes) else gave
        remedy = "Save the file as UTF-8." if reference.scheme == "file" else ""
        raise KeyLoadError(f"{reference}: {what}.", remedy=remedy)

    def import_modules(self, reference: Reference) -> None:
        """Import the key loader of a reference, and what it needs for that. What fails here is reported by `load`."""
        if reference.scheme not in BUILTIN_SCHEMES:
            try:
                self._loader(reference.scheme).import_modules(reference)
            except Exception as error:  # noqa: BLE001 - a plugin's code
                raise_interruption(error)
                logger.debug("import_modules() for %s:// raised %s", reference.scheme, type(error).__name__)

    def identity(self, reference: Reference) -> str | None:
        """Whom a reference names, where its key loader can tell; None: only its value tells.

        Args:
            reference: The reference. What it names is not fetched.

        Raises:
            KineticAuthError: The key loader does not load, or could not tell.
        """
        return None if reference.scheme in BUILTIN_SCHEMES else self._loader(reference.scheme).identity(reference)

    def _load_with_plugin(self, reference: Reference) -> object:
        return self._loader(reference.scheme).load_key(reference)

    def _loader(self, scheme: str) -> KeyLoaderHooks:
        from kinetic_auth_core.registry.discovery import ALL_ALLOWED
        from kinetic_auth_core.registry.loading import load_key_loader

        loader = self._key_loaders.get(scheme)
        if loader is None:
            allowed = ALL_ALLOWED if self._allowed is None else self._allowed
            loader = self._key_loaders[scheme] = load_key_loader(scheme, allowed)
        return loader


#: For a source without references.
NO_SECRETS = SecretLoader()


def _text(loaded: object) -> LiteralText | None:
    if isinstance(loaded, str):
        return LiteralText(loaded)
    try:
        # Editors of Windows begin a text with a BOM, which a vault keeps.
        return LiteralText(loaded.decode().removeprefix("\ufeff").rstrip("\r\n")) if isinstance(loaded, bytes) else None
    except UnicodeDecodeError:
        return None


_PLAIN = (str, bytes, int, float, type(None))


class Values:
    """Settings with their secrets, kept out of a traceback's locals. A `Signer` is the same if its key is.

    Args:
        by_name: The settings.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, by_name: Mapping[str, Any]) -> None:
        self.by_name = by_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Values) and self._identities() == other._identities()

    def _identities(self) -> dict[str, Any]:
        return {name: _identity(value) for name, value in self.by_name.items()}


def _identity(value: Any) -> Any:
    if isinstance(value, _PLAIN):  # `Signer` is a protocol: to find that a text is none takes 20 microseconds
        return value
    if isinstance(value, list | tuple):
        return [_identity(item) for item in value]
    return (type(value), value.algorithm, value.key_id) if isinstance(value, Signer) else value


def references(values: Mapping[str, Any]) -> Iterator[tuple[str, Reference]]:
    """The references among settings, each with the setting's name; those in lists, too."""
    for name, value in values.items():
        items = value.items if isinstance(value, KeyList) else value if isinstance(value, list) else [value]
        yield from ((name, item) for item in items if isinstance(item, Reference))


def check_references(
    values: dict[str, Any], rows: Sequence[ExplainedSetting], allowed: "AllowedPlugins"
) -> tuple[tuple[ExplainedSetting, ...], list[str]]:
    """The rows, those of references with a note on what loads them; and a sentence for each invalid reference.

    Args:
        values: Settings by name; some of them references.
        rows: The settings as they are explained.
        allowed: Whose key loaders may be loaded.
    """
    from kinetic_auth_core.registry.loading import check_reference

    sources = {row.name: row.source for row in rows}
    notes: dict[str, str] = {}
    problems = []
    for name, reference in references(values):
        if reference.scheme in BUILTIN_SCHEMES:
            notes[name] = "loaded by the core"
            continue
        try:
            notes[name] = f"loaded by {check_reference(reference, allowed).owner}"
        except KineticAuthError as error:
            problems.append(f"{name} (from {sources[name]}): {error}")
    noted = (
        attrs.evolve(row, note="; ".join(filter(None, (notes[row.name], row.note)))) if row.name in notes else row
        for row in rows
    )
    return tuple(noted), problems


def key_lists(instance: Any) -> dict[str, KeyList]:
    """The settings of a provider's instance that are lists of keys, of which one is sent at a time."""
    choices = [each for each in schema(type(instance)) if each.secret and each.takes_key_list]
    values = {each.name: each.value_of(instance) for each in choices}
    return {name: KeyList(tuple(value)) for name, value in values.items() if isinstance(value, list | tuple)}


def _is_about_the_key(error: KineticAuthError) -> bool:
    """Whether another key may do: this one is refused, or cannot be loaded."""
    if isinstance(error, CredentialsRejectedError):
        return culprit_of(error.error, error.description) is Culprit.KEY
    return isinstance(error, KeyLoadError)


class Credentials:
    """A spec's values as they are offered to Salesforce, one set after the other.

    Where a setting is a list, such as the current key and the next, each set has one of its items. Otherwise there is
    one set. The set that was accepted last is the first to be offered.

    Args:
        values: Settings by name; some of them references or `KeyList`.
        loader: Resolves the references.
        binary: The settings that take bytes.
        rows: The settings as they are explained, for messages to say where a reference stands.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        loader: SecretLoader,
        binary: Collection[str] = (),
        rows: Iterable[ExplainedSetting] = (),
    ) -> None:
        self._values = values
        self._places = {row.name: f"{row.name} (from {row.source})" for row in rows}
        self._loader = loader
        self._binary = frozenset(binary)
        self.lists = {name: value.items for name, value in values.items() if isinstance(value, KeyList)}
        self.count = max(map(len, self.lists.values()), default=1)
        self.is_local = all(reference.scheme in BUILTIN_SCHEMES for _, reference in references(values))
        is_constant = not any(isinstance(value, Reference | KeyList | list) for value in values.values())
        self._constant = Values(dict(values)) if is_constant else None
        self._fetched_at: dict[int, float] = {}  # by set; seconds of the monotonic clock
        self.accepted: int | None = None  # which set was accepted last, from 0

    def order(self) -> list[int]:
        """The numbers of the sets, from 0, in the order in which to offer them."""
        first = self.accepted or 0
        return [first, *(number for number in range(self.count) if number != first)]

    def load(self, number: int, *, fresh: bool = False) -> Values:
        """The values of one set.

        Args:
            number: Which set.
            fresh: Fetch what references name from its place, past any cache.

        Raises:
            KeyLoadError: A reference cannot be resolved.
        """
        if self._constant is not None:
            return self._constant
        return Values({name: self._value(name, value, number, fresh) for name, value in self._values.items()})

    def changed(self, number: int, values: Values, error: CredentialsRejectedError, *, was_sent: bool) -> Values | None:
        """The values of a refused set, where they have changed since they were fetched; else None.

        Args:
            number: Which set.
            values: What was refused.
            error: The refusal.
            was_sent: Whether they were sent; otherwise their secrets were fetched again only if that is a while ago.
        """
        now = time.monotonic()
        if not was_sent and now - self._fetched_at.get(number, -_FETCH_PAUSE_S) < _FETCH_PAUSE_S:
            return None
        self._fetched_at[number] = now
        try:
            fetched = self.load(number, fresh=True)
        except KeyLoadError as failure:
            logger.warning("%s Its secrets could not be fetched again: %s", error.message, failure)
            return None
        return None if fetched == values else fetched

    def import_modules(self) -> None:
        """Import what resolving the references needs."""
        for _, reference in references(self._values):
            self._loader.import_modules(reference)

    def offer(self, log_in: Callable[[int], T], deadline: Deadline) -> T:
        """Log in with one set after the other, while the deadline lasts and it is the key that is refused or missing.

        Args:
            log_in: Logs in with the set of this number.
            deadline: That of all sets together.

        Raises:
            KineticAuthError: No set was accepted; the error is that of the first, or one that another set would not
                cure, such as an outage.
        """
        first: KineticAuthError | None = None
        for number in self.order():
            if first is not None:
                if deadline.has_passed:
                    break
                logger.warning("%s Trying %s.", first.message, self.label(number))
            try:
                result = log_in(number)
            except KineticAuthError as error:
                if first is not None and deadline.has_passed:
                    break
                if not _is_about_the_key(error):
                    raise
                first = first or error
            else:
                self.accepted = number
                return result
        assert first is not None  # noqa: S101 - there is at least one set
        raise first

    def label(self, number: int) -> str:
        """A set's name for people, such as `private_key no. 2 of 2`; empty where there is only one."""
        names = " and ".join(self.lists)
        return f"{names} no. {number + 1} of {self.count}" if self.count > 1 else ""

    def _value(self, name: str, value: Any, number: int, fresh: bool) -> Any:
        if isinstance(value, KeyList):
            value = value.items[min(number, len(value.items) - 1)]
        if isinstance(value, list):
            return [self._value(name, item, number, fresh) for item in value]
        if not isinstance(value, Reference):
            return value
        wanted = attrs.evolve(value, fresh=True) if fresh else value
        try:
            return self._loader.load(wanted, binary=name in self._binary)
        except KeyLoadError as error:
            failure = error.met_at(self._places.get(name, name))
        raise failure  # outside of the except block, so that it is not chained to its other self
