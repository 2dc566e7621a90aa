"""Which answers mean that the session is dead, so that a new login cures them. It reads bytes and speaks no HTTP."""

import json
import re
from typing import Final

SUSPECT_STATUSES: Final = frozenset({400, 401, 403})
"""The HTTP statuses whose body has to be looked at."""

MAX_REFUSAL_BYTES: Final = 65_536
"""A longer body does not reject a session; those that do have a few hundred bytes."""

_RESTRICTED: Final = "This session is not valid for use with"
_IN_XML: Final = re.compile(rb"<(?:\w{1,20}:)?(errorCode|exceptionCode|message)>([^<]{0,400})</", re.ASCII)


def is_taken(status: int) -> bool:
    """Whether an answer shows that Salesforce has taken the token of its request."""
    return status < 500 and status not in SUSPECT_STATUSES and not 300 <= status < 400


def is_dead_session(status: int, body: bytes) -> bool:
    """Whether an answer says that the token is dead, and nothing else is wrong.

    | answer | dead |
    |---|---|
    | 401 `INVALID_SESSION_ID` (REST) | yes |
    | the same with "This session is not valid for use with the REST API" | no: the next session is as restricted |
    | 401 without a body, as HEAD gets it | yes: it cannot be distinguished from the first |
    | 401 or 403 `Bad_OAuth_Token` (userinfo, identity URL) | yes |
    | 400 `InvalidSessionId` (Bulk API v1) | yes |
    | 400 `URL_NOT_RESET` | yes: the org has moved, and a login says where to |
    | anything else | no |

    JSON and XML are read by their fields, so that a message which quotes one of these words does not match.

    Args:
        status: The HTTP status.
        body: The body, decompressed; no more than `MAX_REFUSAL_BYTES` of it need be given.

    Returns:
        Whether a new login can be expected to cure it. Never raises, whatever the bytes.
    """
    if status not in SUSPECT_STATUSES or len(body) > MAX_REFUSAL_BYTES:
        return False
    text = body.strip()
    if status == 400:
        fields = _fields(text)
        return ("exceptionCode", "InvalidSessionId") in fields or ("errorCode", "URL_NOT_RESET") in fields
    if text.strip(b'"') == b"Bad_OAuth_Token":
        return True
    if status == 403:
        return False
    if not text:
        return True
    fields = _fields(text)
    restricted = any(name == "message" and value.startswith(_RESTRICTED) for name, value in fields)
    return ("errorCode", "INVALID_SESSION_ID") in fields and not restricted


def _fields(text: bytes) -> list[tuple[str, str]]:
    """The fields of an error: of a JSON object or a list of them, or the elements of an XML document."""
    if text.startswith(b"<"):
        return [(match[1].decode(), match[2].decode("utf-8", "replace").strip()) for match in _IN_XML.finditer(text)]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    errors = document if isinstance(document, list) else [document]
    return [
        (name, value)
        for error in errors
        if isinstance(error, dict)
        for name, value in error.items()
        if isinstance(value, str)
    ]
