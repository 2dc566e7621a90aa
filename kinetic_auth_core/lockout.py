"""A breaker for refused credentials: who repeats a wrong password locks its user out of Salesforce.

Within `lockout_guard` seconds of a refusal the same credential fails at once, in every process that shares the store.
What the store holds of it are two bytes of a keyed hash that is slow to make: enough to tell that the credential is
another one by now, and little to guess it by.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import attrs

from kinetic_auth_core.concurrency import Once
from kinetic_auth_core.errors import CredentialsRejectedError
from kinetic_auth_core.oauth.error_codes import known_error
from kinetic_auth_core.options import WAYS
from kinetic_auth_core.plan import plain_secret
from kinetic_auth_core.settings.schema import schema
from kinetic_auth_core.stores.session_cache import Shelf

_TAG_BYTES = 2
_MAX_KEPT = 8  # refusals at a time: the keys of a list, a password and the one before
_MAX_TEXT = 300
#: How far another machine's clock may be ahead.
_SKEW_S = 300.0


class HeldBackError(CredentialsRejectedError):
    """A login that was not tried, as the same credential was refused just now."""


@attrs.frozen(eq=False)
class Credential:
    """What a provider's instance logs in with, as far as the guard has to know it.

    Args:
        instance: Its settings are the credential.
    """

    _instance: Any = attrs.field(repr=False)
    _tag: Once[str] = attrs.field(init=False, repr=False, factory=Once)

    def tag(self, key: str) -> str:
        """Two bytes that tell it from others, by a hash that is slow to try, and made once.

        How to connect is no part of it: with a longer time-out the same password is as wrong.

        Args:
            key: The name of the source in a store.
        """
        return self._tag.get(lambda: self._made(key.encode()))

    def _made(self, key: bytes) -> str:
        settings = [each for each in schema(type(self._instance)) if each.name not in WAYS]
        shown = {each.name: plain_secret(each.value_of(self._instance)) for each in settings}
        slow = hashlib.scrypt(json.dumps(shown, sort_keys=True).encode(), salt=key, n=2**14, r=8, p=1)
        return hmac.digest(key, slow, hashlib.sha256)[:_TAG_BYTES].hex()


@attrs.frozen
class LockoutGuard:
    """Remembers refusals where the sessions are kept.

    Args:
        shelf: Where.
        guard_s: For how long, in seconds; 0: not at all.
        called: What messages call the login.
        details: `provider`, `host` and `username`, for errors.
    """

    _shelf: Shelf
    _guard_s: float
    _called: str
    _details: Mapping[str, Any]

    def check(self, credential: "Credential") -> None:
        """Stop a login whose credential was refused just now.

        Raises:
            HeldBackError: With what it was refused for.
        """
        refusals = self._refusals() if self._guard_s else []
        if not refusals:
            return  # nearly always; the tag is slow to make
        tag = credential.tag(self._shelf.key)
        refusal = next((each for each in refusals if each["tag"] == tag), None)
        if refusal is not None:
            raise self._again(refusal)

    def remember(self, credential: "Credential", error: CredentialsRejectedError) -> None:
        """Keep a refusal in mind."""
        if not self._guard_s:
            return
        refusal = {
            "tag": credential.tag(self._shelf.key),
            "at": time.time(),
            "error": _sayable(error.error),
            "description": _sayable(error.description),
            "status": error.status,
        }

        def added(before: bytes) -> bytes:
            others = [each for each in self._read(before) if each["tag"] != refusal["tag"]]
            return json.dumps([refusal, *others][:_MAX_KEPT]).encode()

        self._shelf.write_refusals(added, self._guard_s)

    def _again(self, refusal: Mapping[str, Any]) -> HeldBackError:
        error, description, status = refusal["error"], refusal["description"], refusal["status"]
        age = _age(refusal)
        known = known_error(error or "", description)
        said = ": ".join(filter(None, (error, description))) or "by its provider"
        return HeldBackError(
            f"{self._called} is not tried: the same credential was refused {age:.0f} s ago ({said}), and repeating it "
            f"could lock the user out. It is tried again in {max(self._guard_s - age, 0):.0f} s (lockout_guard), or at "
            "once with another.",
            remedy=known.remedy if known else "",
            error=error,
            description=description,
            status=status,
            **self._details,
        )

    def _refusals(self) -> list[dict[str, Any]]:
        return [each for raw in self._shelf.read_refusals() for each in self._read(raw)]

    def _read(self, raw: bytes) -> list[dict[str, Any]]:
        """The refusals that still hold; no more than `remember` keeps, so that nobody can store one for every tag."""
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
    """Whether what a store gave is a refusal; who could write to the store could write anything there."""
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
