"""Limits on logging in: the guard against lockouts, the login budget, and what the sources of a pool share of them.

Repeating a wrong password locks its user out of Salesforce. So within `lockout_guard` seconds of a refusal the same
credential fails at once, in every process that shares the store. What the store holds of it are two bytes of a keyed
hash that is slow to make: enough to see that the credential has changed, and too little to guess it.
"""

import hashlib
import hmac
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs

from kinetic_auth_core.concurrency import Lazy, reset_after_fork
from kinetic_auth_core.errors import CredentialsRejectedError, LoginBudgetError
from kinetic_auth_core.login.identity import is_connection_setting, plain
from kinetic_auth_core.oauth.error_codes import known_error
from kinetic_auth_core.settings.schema import schema
from kinetic_auth_core.stores.memory import MemoryStore
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.transport.connections import Transports

logger = logging.getLogger(__name__)


WINDOW_S = 3600.0
_WARN_AT = 0.8


class LoginBudget:
    """Counts the logins of one source within the last hour.

    Args:
        limit: How many there may be.
        label: What messages call the login.
        details: `provider`, `host` and `username`, for errors.
        clocks: Functions that give seconds; an age is the largest by any of them: the monotonic clock stands still
            while a machine sleeps.
    """

    def __init__(
        self,
        limit: int,
        label: str,
        details: Mapping[str, Any],
        clocks: tuple[Callable[[], float], ...] = (time.monotonic, time.time),
    ) -> None:
        self._limit = limit
        self._label = label
        self._details = details
        self._clocks = clocks
        self._spent: deque[tuple[float, ...]] = deque()
        self._warned = False
        self._lock = threading.RLock()
        reset_after_fork(self)

    def spend(self) -> None:
        """Count a login that is about to be made.

        Raises:
            LoginBudgetError: There were too many within the last hour.
        """
        with self._lock:
            now = tuple(clock() for clock in self._clocks)
            while self._spent and self._age(now, self._spent[0]) >= WINDOW_S:
                self._spent.popleft()
            spent = len(self._spent)
            if spent >= self._limit:
                wait = WINDOW_S - self._age(now, self._spent[0])
                raise LoginBudgetError(
                    f"{self._label}: {spent} logins within the last hour are all that login_budget allows; the next "
                    f"one in {wait:.0f} s.",
                    remedy="Find out which code discards sessions: share one source, and call invalidate() only with a "
                    "session that was refused. Or raise login_budget; Salesforce stops a user at 3,600 an hour.",
                    **self._details,
                )
            self._spent.append(now)
            was_warned, self._warned = self._warned, spent + 1 >= self._limit * _WARN_AT
        if self._warned and not was_warned:
            logger.warning(
                "%s: %d of %d logins of this hour's login_budget are spent", self._label, spent + 1, self._limit
            )

    def is_idle(self) -> bool:
        """Whether no login was counted within the last hour."""
        with self._lock:
            now = tuple(clock() for clock in self._clocks)
            return not self._spent or self._age(now, self._spent[-1]) >= WINDOW_S

    @staticmethod
    def _age(now: tuple[float, ...], then: tuple[float, ...]) -> float:
        return max(new - old for new, old in zip(now, then, strict=True))

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock = threading.RLock()


_TAG_BYTES = 2
_MAX_KEPT = 8  # refusals at a time: the keys of a list, a password and the one before
_MAX_TEXT = 300
#: What one guess at a credential costs an attacker who knows its tag: 16 MiB, and some 50 ms.
SCRYPT_N = 2**14
#: How far another machine's clock may be ahead.
_SKEW_S = 300.0


class HeldBackError(CredentialsRejectedError):
    """A login that was not tried, as the same credential was refused just now."""


@attrs.frozen(eq=False)
class Credential:
    """What a provider's instance logs in with, as far as the guard has to know it.

    Args:
        instance: Its settings are the credential.

    Attributes:
        scrypt_n: The cost of its hash, as scrypt counts it.
    """

    scrypt_n: ClassVar[int] = SCRYPT_N
    _instance: Any = attrs.field(repr=False)
    _tags: dict[str, str] = attrs.field(init=False, repr=False, factory=dict)

    def tag(self, key: str) -> str:
        """Two bytes of a slow hash that distinguish it from other credentials; computed once for each name.

        Connection settings are left out: with a longer time-out the same password is still wrong.

        Args:
            key: The name of the source in a store.
        """
        if (tag := self._tags.get(key)) is None:
            tag = self._tags[key] = self._made(key.encode())
        return tag

    def _made(self, key: bytes) -> str:
        settings = [each for each in schema(type(self._instance)) if not is_connection_setting(each)]
        shown = {each.name: plain(each.value_of(self._instance)) for each in settings}
        slow = hashlib.scrypt(json.dumps(shown, sort_keys=True).encode(), salt=key, n=self.scrypt_n, r=8, p=1)
        return hmac.digest(key, slow, hashlib.sha256)[:_TAG_BYTES].hex()


@attrs.frozen
class LockoutGuard:
    """Remembers refusals where the sessions are kept.

    Args:
        cache: Where.
        guard_s: For how long, in seconds; 0: not at all.
        label: What messages call the login.
        details: `provider`, `host` and `username`, for errors.
    """

    _cache: SessionCache
    _guard_s: float
    _label: str
    _details: Mapping[str, Any]

    def check(self, credential: "Credential") -> None:
        """Stop a login whose credential was refused just now.

        Raises:
            HeldBackError: With what it was refused for.
        """
        if not self._guard_s:
            return
        for name, raw in self._cache.read_refusals():  # nearly always nothing; the tag is slow to make
            refusals = self._read(raw)
            tag = credential.tag(name) if refusals else ""
            if refusal := next((each for each in refusals if each["tag"] == tag), None):
                raise self._again(refusal)

    def remember(self, credential: "Credential", error: CredentialsRejectedError) -> None:
        """Remember a refusal."""
        if not self._guard_s:
            return
        refusal = {
            "at": time.time(),
            "error": _sayable(error.error),
            "description": _sayable(error.description),
            "status": error.status,
        }

        def added(name: str, before: bytes) -> bytes:
            tag = credential.tag(name)
            others = [each for each in self._read(before) if each["tag"] != tag]
            return json.dumps([{"tag": tag, **refusal}, *others][:_MAX_KEPT]).encode()

        self._cache.write_refusals(added, self._guard_s)

    def _again(self, refusal: Mapping[str, Any]) -> HeldBackError:
        error, description, status = refusal["error"], refusal["description"], refusal["status"]
        age = _age(refusal)
        known = known_error(error or "", description)
        reason = ": ".join(filter(None, (error, description))) or "by its provider"
        return HeldBackError(
            f"{self._label} is not tried: the same credential was refused {age:.0f} s ago ({reason}), and repeating it "
            f"could lock the user out. It is tried again in {max(self._guard_s - age, 0):.0f} s (lockout_guard), or at "
            "once with another.",
            remedy=known.remedy if known else "",
            error=error,
            description=description,
            status=status,
            **self._details,
        )

    def _read(self, raw: bytes) -> list[dict[str, Any]]:
        """The refusals that still hold; no more than `remember` keeps, or another writer could hold back every tag."""
        try:
            found = json.loads(raw) if raw else []
        except (ValueError, RecursionError):
            return []
        if not isinstance(found, list):
            return []
        now = time.time()
        refusals = [each for each in found[:_MAX_KEPT] if _is_refusal(each)]
        return [each for each in refusals if -_SKEW_S < now - each["at"] < self._guard_s]


def _age(refusal: Mapping[str, Any]) -> float:
    return max(time.time() - float(refusal["at"]), 0.0)


def _is_refusal(found: Any) -> bool:
    """Whether a value from the store is a well-formed refusal; other writers of the store may put anything there."""
    if not isinstance(found, dict) or not isinstance(found.get("tag"), str):
        return False
    if not isinstance(found.get("at"), float) or not isinstance(found.get("status"), int | None):
        return False
    return all(_is_sayable(found.get(name)) for name in ("error", "description"))


def _sayable(text: str | None) -> str | None:
    """Text as it is kept: plugins may say anything."""
    return None if text is None else "".join(char if char.isprintable() else "?" for char in text)[:_MAX_TEXT]


def _is_sayable(text: Any) -> bool:
    return text is None or (isinstance(text, str) and text.isprintable() and len(text) <= _MAX_TEXT)


_BUDGETS_KEPT = 10_000


@attrs.frozen(eq=False)
class SharedResources:
    """Shared by the sources of a pool; a source that is alone has one of its own.

    Attributes:
        transports: The connections.
        observers: The observers, each with its name, loaded at the first login.
        refusals: What the guards against lockouts remember, so that it outlives a source that makes room for another.
    """

    transports: Transports = attrs.field(factory=Transports)
    observers: Lazy[list[tuple[str, object]]] = attrs.field(factory=Lazy)
    refusals: MemoryStore = attrs.field(factory=MemoryStore)
    _budgets: dict[str, LoginBudget] = attrs.field(factory=dict)

    def budget(self, key: str, make: Callable[[], LoginBudget]) -> LoginBudget:
        """The login budget of the source with this name in a store; it outlives the source."""
        if len(self._budgets) > _BUDGETS_KEPT:
            for name in [name for name, budget in list(self._budgets.items()) if budget.is_idle()]:
                self._budgets.pop(name, None)
        return self._budgets.setdefault(key, make())
