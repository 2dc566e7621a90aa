"""What Salesforce refused, and when it may be sent again: the guard against lockouts, and the pause after its limit.

Repeating a wrong password locks its user out. So a refused credential is not sent again for `lockout_guard` seconds,
and the pause doubles with each further refusal. After `login rate exceeded` no login of that user is made for a while.
Both hold in the whole process, and for all who share the store. What is kept is found by an HMAC under a key that the
store's data do not contain; see docs/adr/0024-one-credential-in-every-spelling.md.
"""

import functools
import hashlib
import hmac
import json
import math
import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kinetic_auth_core.concurrency import pause_runner, raise_interruption, reset_after_fork
from kinetic_auth_core.errors import AuthenticationError, CredentialsRejectedError, KineticAuthError, RateLimitedError
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.identity import class_name, is_connection_setting, plain
from kinetic_auth_core.oauth.error_codes import FIRST_LIMIT_PAUSE_S, Culprit, culprit_of, known_error
from kinetic_auth_core.settings.hosts import canonical_login_url
from kinetic_auth_core.settings.schema import schema
from kinetic_auth_core.stores.base import process_key
from kinetic_auth_core.stores.session_cache import Lease, SessionCache

#: The longest pause; `lockout_guard` may be longer.
LONGEST_PAUSE_S = 1800.0
#: How long a refusal counts towards the next pause.
_KEPT_S = 86_400.0
#: A limit that was met this long ago says nothing of the next one.
_LIMIT_KEPT_S = 7200.0
_MAX_KEPT = 8  # refusals of a user: the keys of a list, a password and the one before
_MAX_TEXT = 300
_MAX_COUNT = 1000
#: How far another machine's clock may be ahead.
_SKEW_S = 300.0


class HeldBackError(CredentialsRejectedError):
    """A login that was not tried, as the same credential was refused just now."""


class Credential:
    """What a provider's instance logs in with, as far as the guards have to know it.

    Two are the same if their values are: a user name in any case, a host in any spelling, settings from any source, and
    the parts of a password as they are sent. Connection settings are left out: with a longer time-out the same password
    is still wrong.

    Args:
        instance: Its settings are the credential.

    Attributes:
        locks_out: Whether Salesforce counts its failures towards a lockout.
    """

    def __init__(self, instance: Any) -> None:
        self._instance = instance
        self.locks_out = bool(getattr(instance, "counts_failed_logins", False))
        self._tags: dict[tuple[str, bytes], str] = {}
        self._kept: dict[str, str] | None = None

    def tag(self, key: bytes) -> str:
        """Distinguishes it from all other credentials.

        Args:
            key: Of the place where the tag is kept.
        """
        return self._tag("credential", key)

    def password_tag(self, key: bytes) -> str:
        """The same for its user and password alone, with any app; that of all of it where it has no such settings."""
        return self._tag("password", key)

    def user_tag(self, key: bytes) -> str:
        """The same for its user alone; that of its app where it has no user, or of all of it."""
        return self._tag("user", key)

    def _tag(self, kind: str, key: bytes) -> str:
        if (tag := self._tags.get((kind, key))) is None:
            text = json.dumps([kind, *getattr(self, f"_{kind}")()])
            tag = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
            self._tags[kind, key] = tag
        return tag

    @property
    def _values(self) -> dict[str, Any]:
        is_grant = isinstance(self._instance, GrantAuthenticator)
        settings = schema(type(self._instance))
        values = {
            each.name: each.value_of(self._instance)
            for each in settings
            if not (is_grant and is_connection_setting(each))
        }
        if isinstance(url := values.get("login_url"), str):
            values["login_url"] = canonical_login_url(url)
        if isinstance(user := values.get("username"), str):
            values["username"] = user.strip().casefold()
        parts = self._parts()
        if parts and all(isinstance(values[name], str) for name in parts):
            values[parts[0]] = "".join([values.pop(name) for name in parts])
        return values

    def _parts(self) -> list[str]:
        """The settings that are sent as one, such as a password and a security token."""
        names = [each.name for each in schema(type(self._instance))]
        return [name for name in getattr(self._instance, "sent_as_one", ()) if name in names]

    @property
    def _written(self) -> dict[str, str]:
        if self._kept is None:  # no cached_property: before Python 3.12 it has a lock, which a forked child waits for
            self._kept = {name: plain(value) + _state(value, name) for name, value in sorted(self._values.items())}
        return self._kept

    def _credential(self) -> list[Any]:
        return [class_name(type(self._instance)), self._written]

    def _password(self) -> list[Any]:
        parts = self._parts()
        if not parts or not self._values.get("username"):
            return self._credential()
        return [self._values.get("login_url"), self._values["username"], self._written[parts[0]]]

    def _user(self) -> list[Any]:
        for name in ("username", "client_id"):
            if isinstance(value := self._values.get(name), str) and value:
                return [self._values.get("login_url"), name, value]
        return self._credential()

    def __repr__(self) -> str:
        """The class, and nothing of the values."""
        return f"Credential({type(self._instance).__name__})"


def _state(value: Any, name: str) -> str:
    """When a file was written that a setting names: another key in the same file is another credential."""
    if name.endswith("_path") and value:
        try:
            found = Path(value).stat()
        except (OSError, ValueError, TypeError) as error:
            raise_interruption(error)
            return ""
        return f" {found.st_mtime_ns} {found.st_size}"
    return ""


class FirstTries:
    """Which credentials were good in this process just now. Of the others, one try is made at a time.

    One that was accepted some time ago may have been changed since: a change of the password ends all sessions of its
    user, and all sources log in at once.
    """

    def __init__(self) -> None:
        self._locks: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._good_at: dict[str, float] = {}  # by tag: seconds of the monotonic clock
        self._lock = threading.RLock()
        reset_after_fork(self)

    def lock_of(self, credential: Credential) -> Any:
        """The lock for the tries of a credential; None where it was good just now."""
        tag = credential.password_tag(process_key())
        with self._lock:
            is_good = time.monotonic() - self._good_at.get(tag, -math.inf) < _GOOD_FOR_S
            return None if is_good else self._locks.setdefault(tag, threading.RLock())

    def note(self, credential: Credential, error: KineticAuthError | None) -> None:
        """Note how a login ended.

        After an outage many may try at once, as many outages end by a time-out; but not what locks its user out and
        was never accepted, as an outage does not say that it is right.

        Args:
            credential: What it was made with.
            error: Its error; None: it was accepted.
        """
        tag = credential.password_tag(process_key())
        with self._lock:
            if isinstance(error, CredentialsRejectedError):
                self._good_at.pop(tag, None)
            elif error is None or not credential.locks_out or tag in self._good_at:
                self._good_at[tag] = time.monotonic()
                if len(self._good_at) > _MOST_KEPT:
                    del self._good_at[next(iter(self._good_at))]

    def _after_fork(self) -> None:
        """In the child: the thread that was trying may not be here."""
        self._lock = threading.RLock()
        self._locks = weakref.WeakValueDictionary()


_MOST_KEPT = 10_000
#: For how long many may try a credential at once that was accepted.
_GOOD_FOR_S = 60.0


@functools.cache
def first_tries() -> FirstTries:
    """That of this process."""
    return FirstTries()


class LoginGuard:
    """Keeps refusals where the sessions are kept, and in this process.

    Args:
        cache: Where.
        guard_s: The first pause after a refusal, in seconds; 0: no pause.
        label: What messages call the login.
        details: `provider`, `host` and `username`, for errors.
    """

    def __init__(self, cache: SessionCache, guard_s: float, label: str, details: Mapping[str, Any]) -> None:
        self._cache = cache
        self._guard_s = guard_s
        self._label = label
        self._details = details

    def check(self, credential: Credential) -> bool:
        """Stop a login whose credential was refused just now, or whose user has met Salesforce's limit.

        Returns:
            Whether there is something to forget when the login succeeds.

        Raises:
            HeldBackError: With what it was refused for.
            RateLimitedError: With the seconds until the next try.
        """
        found = False
        for stop in self._notes_on(credential):  # nearly always nothing
            if stop is not None:
                raise stop[0]
            found = True
        return found

    def stops(self, credential: Credential) -> list[tuple[AuthenticationError, float]]:
        """What `check` would raise, each with the Unix seconds until which it would. Nothing is raised.

        Args:
            credential: What a login would be made with.
        """
        return [stop for stop in self._notes_on(credential) if stop is not None]

    def _notes_on(self, credential: Credential) -> Iterator[tuple[AuthenticationError, float] | None]:
        """What is kept of a credential and its user: what it stops and until when; None where that is over."""
        now = time.time()
        for key, raw in self._cache.read_notes(credential.user_tag):
            notes = _Notes.read(raw)
            if (limit := notes.limit) is not None:
                is_on = -_SKEW_S < now - limit.at < limit.pause_s
                yield (self._limited(limit, now), limit.at + limit.pause_s) if is_on else None
            mine = {credential.tag(key), credential.password_tag(key)} if notes.refusals else set()
            for refusal in [each for each in notes.refusals if each.tag in mine]:
                pause_s = self._pause_s(refusal.times)
                is_on = bool(self._guard_s) and -_SKEW_S < now - refusal.at < pause_s
                yield (self._again(refusal, now), refusal.at + pause_s) if is_on else None

    def turn(self, credential: Credential) -> Lease | None:
        """Wait until no other process tries the same user: of many that start with a wrong password, one sends it.

        Returns:
            The lease, to be given back; None where it was not to be had in time.

        Raises:
            HeldBackError: It was refused meanwhile.
        """
        holder, pause_s, left_s = secrets.token_hex(16), 0.02, self._cache.lease_s
        while (lease := self._cache.acquire_note(credential.user_tag, holder)) is None and left_s > 0:
            pause_runner(pause_s)
            left_s -= pause_s
            pause_s = min(pause_s * 2, 0.5)
            self.check(credential)
        return lease

    def give_back(self, lease: Lease) -> None:
        """Let the next one try."""
        self._cache.release(lease)

    def remember(self, credential: Credential, error: AuthenticationError, began: float) -> None:
        """Remember a refusal. A `RateLimitedError` gets the seconds until the next try.

        Args:
            credential: What was refused.
            error: How.
            began: When the login began, in Unix seconds.
        """
        if isinstance(error, RateLimitedError):
            self._cache.change_notes(
                credential.user_tag, lambda _key, raw: _Notes.read(raw).with_limit(error, began), _LIMIT_KEPT_S
            )
        elif self._guard_s:
            is_password = credential.locks_out and culprit_of(error.error, error.description) is Culprit.PASSWORD
            tag_of = credential.password_tag if is_password else credential.tag
            self._cache.change_notes(
                credential.user_tag,
                lambda key, raw: _Notes.read(raw).with_refusal(tag_of(key), error),
                max(_KEPT_S, 2 * self._guard_s),
            )

    def forget(self, credential: Credential) -> None:
        """Forget what was refused, as a login has succeeded."""
        self._cache.change_notes(
            credential.user_tag,
            lambda key, raw: _Notes.read(raw).without({credential.tag(key), credential.password_tag(key)}),
            max(_KEPT_S, 2 * self._guard_s),
        )

    def _pause_s(self, count: int) -> float:
        return min(self._guard_s * 2.0 ** min(count - 1, 60), max(LONGEST_PAUSE_S, self._guard_s))

    def _again(self, refusal: "_Refusal", now: float) -> HeldBackError:
        age_s = max(now - refusal.at, 0.0)
        left_s = self._pause_s(refusal.times) - age_s
        known = known_error(refusal.error or "", refusal.description)
        reason = ": ".join(filter(None, (refusal.error, refusal.description))) or "by its provider"
        again = f", {refusal.times} times by now" if refusal.times > 1 else ""
        error = HeldBackError(
            f"{self._label} is not tried: the same credential was refused {age_s:.0f} s ago ({reason}{again}), and "
            f"repeating it could lock the user out. It is tried again in {left_s:.0f} s "
            "(lockout_guard), or at once with another.",
            remedy=known.remedy if known else "",
            error=refusal.error,
            description=refusal.description,
            status=refusal.status,
            **self._details,
        )
        error.retry_after_s = left_s
        return error

    def _limited(self, limit: "_Limit", now: float) -> RateLimitedError:
        left_s = min(limit.pause_s - (now - limit.at), limit.pause_s)
        reason = ": ".join(filter(None, (limit.error, limit.description))) or "by its provider"
        known = known_error(limit.error or "", limit.description)
        error = RateLimitedError(
            f"{self._label} is not tried: Salesforce refused one {max(now - limit.at, 0.0):.0f} s ago, as this user "
            f"has logged in too often ({reason}). It is tried again in {left_s:.0f} s.",
            remedy=known.remedy if known else "",
            error=limit.error,
            description=limit.description,
            status=limit.status,
            **self._details,
        )
        error.retry_after_s = left_s
        return error


class _Refusal(NamedTuple):
    """That of one credential: when the last was, how many there were, and what the server said."""

    tag: str
    at: float
    times: int
    error: str | None
    description: str | None
    status: int | None


class _Limit(NamedTuple):
    """That Salesforce's limit was met: when, for how long nothing is sent, and how often in a row."""

    at: float
    pause_s: float
    times: int
    error: str | None
    description: str | None
    status: int | None


class _Notes(NamedTuple):
    """What is kept of one user."""

    refusals: tuple[_Refusal, ...] = ()
    limit: _Limit | None = None

    @classmethod
    def read(cls, raw: bytes) -> "_Notes":
        """Those in a store, as far as they are well formed: other writers may put anything there."""
        try:
            found = json.loads(raw) if raw else None
        except (ValueError, RecursionError) as error:
            raise_interruption(error)
            return cls()
        if not isinstance(found, dict):
            return cls()
        listed = found.get("refusals")
        refusals = [_record(_Refusal, each) for each in (listed[:_MAX_KEPT] if isinstance(listed, list) else ())]
        return cls(tuple(filter(None, refusals)), _record(_Limit, found.get("limit")))

    def with_refusal(self, tag: str, error: AuthenticationError) -> bytes:
        before = next((each.times for each in self.refusals if each.tag == tag), 0)
        others = [each for each in self.refusals if each.tag != tag]
        refusal = _Refusal(tag, time.time(), min(before + 1, _MAX_COUNT), *_said(error))
        return self._replace(refusals=(refusal, *others)[:_MAX_KEPT]).written()

    def with_limit(self, error: RateLimitedError, began: float) -> bytes:
        """With another limit that was met; logins that were under way together count as one."""
        before, now = self.limit, time.time()
        is_news = before is None or before.at < began
        count = 1 if before is None or now - before.at > _LIMIT_KEPT_S else before.times + is_news
        asked_s = min(error.retry_after_s or 0.0, _LIMIT_KEPT_S)
        pause_s = max(min(FIRST_LIMIT_PAUSE_S * 2.0 ** (min(count, 60) - 1), LONGEST_PAUSE_S), asked_s)
        error.retry_after_s = pause_s
        return self._replace(limit=_Limit(now, pause_s, min(count, _MAX_COUNT), *_said(error))).written()

    def without(self, tags: set[str]) -> bytes:
        return _Notes(tuple(each for each in self.refusals if each.tag not in tags)).written()

    def written(self) -> bytes:
        refusals = [each._asdict() for each in self.refusals]
        return json.dumps({"refusals": refusals, "limit": self.limit and self.limit._asdict()}).encode()


def _record(cls: type[_Refusal | _Limit], found: Any) -> Any:
    """A record of the store; None where it is not well formed."""
    if not isinstance(found, dict) or found.keys() != set(cls._fields):
        return None
    texts = [found["error"], found["description"]]
    fits = (
        all(text is None or (isinstance(text, str) and text.isprintable() and len(text) <= _MAX_TEXT) for text in texts)
        and isinstance(found["status"], int | None)
        and type(found["times"]) is int
        and 0 < found["times"] <= _MAX_COUNT
        and type(found["at"]) is float
        and isinstance(found.get("tag", ""), str)
        and type(found.get("pause_s", 0.0)) is float
        and 0 <= found.get("pause_s", 0.0) <= _LIMIT_KEPT_S
    )
    return cls(**found) if fits else None


def _said(error: AuthenticationError) -> tuple[str | None, str | None, int | None]:
    return _sayable(error.error), _sayable(error.description), error.status


def _sayable(text: str | None) -> str | None:
    """Text as it is kept: plugins may say anything."""
    return None if text is None else "".join(char if char.isprintable() else "?" for char in text)[:_MAX_TEXT]
