"""The form of a session in a store."""

import json
import re
from typing import Any

import attrs

from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.locations import instance_url_problem
from kinetic_auth_core.session import SalesforceSession, number
from kinetic_auth_core.stores.base import StoredValue

_FORM = 2
_MAX_LENGTH = 100_000
_AUTHORIZATION = re.compile(r"[A-Za-z][A-Za-z0-9._~+/-]* [!-~]+")  # what a header's value may be


def encoded(session: SalesforceSession, born_at: float, name: str) -> StoredValue:
    """A session for the store, in a record that does not show it; a subclass's own fields stay behind.

    Args:
        session: The session.
        born_at: When it was, in Unix seconds.
        name: Under which it is stored: an entry that is copied under another name is not taken.
    """
    fields = {attribute.name: getattr(session, attribute.name) for attribute in attrs.fields(SalesforceSession)}
    return StoredValue(json.dumps({"form": _FORM, "name": name, "born_at": born_at, **fields}, default=str).encode(), 1)


def decoded(raw: bytes, name: str) -> tuple[SalesforceSession, float] | str:
    """A session and when it was born; or what keeps it from being one, without a word of what is there.

    Args:
        raw: What a store gave.
        name: Under which the store has it.
    """
    if len(raw) > _MAX_LENGTH:
        return "too long"
    try:
        fields: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(fields, dict) or fields.pop("form", None) != _FORM:
        return "another form"
    if fields.pop("name", None) != name:
        return "stored for another user"
    return _session(fields)


def _session(fields: dict[str, Any]) -> tuple[SalesforceSession, float] | str:
    born_at = fields.pop("born_at", None)
    if not isinstance(born_at, int | float) or isinstance(born_at, bool):
        return "no date"
    known = {attribute.name for attribute in attrs.fields(SalesforceSession)}
    texts: dict[str, Any] = {name: text for name, text in fields.items() if name in known and isinstance(text, str)}
    if not {"access_token", "instance_url", "id", "issued_at"} <= texts.keys():
        return "fields are missing"
    if not _AUTHORIZATION.fullmatch(f"{texts.get('token_type', 'Bearer')} {texts['access_token']}"):
        return "no token"
    if problem := instance_url_problem(texts["instance_url"]):
        return f"its instance_url {problem}"
    extra = fields.get("extra")
    texts["extra"] = extra if isinstance(extra, dict) else {}
    texts["expires_at"] = number(fields.get("expires_at"))
    try:
        return SalesforceSession(**texts), float(born_at)
    except OverflowError:
        return "no date"
    except KineticAuthError:
        return "its API version is not valid"
