"""The form of a session in a store. What comes out of a store may be damaged, or anybody's: it is read strictly."""

import json
import re
from typing import Any

import attrs

from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.stores.contract import StoredValue
from kinetic_auth_core.urls import instance_url_problem

_FORM = 1
_MAX_LENGTH = 100_000
_AUTHORIZATION = re.compile(r"[A-Za-z][A-Za-z0-9._~+/-]* [!-~]+")  # what a header's value may be


def encoded(session: SalesforceSession, born_at: float) -> StoredValue:
    """A session for the store, in a record that does not show it; a subclass's own fields stay behind.

    Args:
        session: The session.
        born_at: When it was, in Unix seconds.
    """
    fields = {attribute.name: getattr(session, attribute.name) for attribute in attrs.fields(SalesforceSession)}
    return StoredValue(json.dumps({"form": _FORM, "born_at": born_at, **fields}, default=str).encode(), 1)


def decoded(raw: bytes) -> tuple[SalesforceSession, float] | str:
    """A session and when it was born; or what keeps it from being one, without a word of what is there.

    Args:
        raw: What a store gave.
    """
    if len(raw) > _MAX_LENGTH:
        return "too long"
    try:
        fields: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(fields, dict) or fields.pop("form", None) != _FORM:
        return "another form"
    born_at = fields.pop("born_at", None)
    if not isinstance(born_at, int | float) or isinstance(born_at, bool):
        return "no date"
    known = {attribute.name for attribute in attrs.fields(SalesforceSession)}
    texts = {name: text for name, text in fields.items() if name in known and isinstance(text, str)}
    if not {"access_token", "instance_url", "id", "issued_at"} <= texts.keys():
        return "fields are missing"
    if not _AUTHORIZATION.fullmatch(f"{texts.get('token_type', 'Bearer')} {texts['access_token']}"):
        return "no token"
    if problem := instance_url_problem(texts["instance_url"]):
        return f"its instance_url {problem}"
    try:
        return SalesforceSession(**texts), float(born_at)
    except OverflowError:
        return "no date"
    except KineticAuthError:
        return "its API version is none"
