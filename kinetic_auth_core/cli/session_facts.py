"""A session as the commands show it: everything but its token."""

import datetime as dt
from typing import Any

from kinetic_auth_core.session import SalesforceSession


def session_facts(session: SalesforceSession) -> dict[str, Any]:
    """Its fields by name; `issued_at` as ISO 8601 in UTC."""
    return {
        "instance_url": session.instance_url,
        "base_url": session.base_url,
        "org_id": session.org_id,
        "user_id": session.user_id,
        "username": session.username,
        "api_version": session.api_version,
        "issued_at": _utc(session.issued_at),
        "issued_at_ms": session.issued_at,
        "scope": session.scope or None,
        "token_type": session.token_type,
    }


def _utc(milliseconds: str) -> str | None:
    """ISO 8601 in UTC; None for what is no time."""
    try:
        moment = dt.datetime.fromtimestamp(int(milliseconds) / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
