"""The fields of an answer: read as strictly as a token deserves, and fit for use or refused.

Two parsers that read one text differently are an old way around a check. So what RFC 8259 leaves open is refused here:
a name that is given twice, and numbers that JSON does not have.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kinetic_auth_core.settings.coercion import is_encodable

REQUIRED = ("access_token", "instance_url", "id")
OPTIONAL = ("issued_at", "signature", "token_type", "scope")
_MAX_TOKEN = 16_384  # characters: more than servers take in a header
_TIME = re.compile(r"[0-9]{1,16}")  # milliseconds since the epoch, 13 digits today
NOT_JSON = "instead of JSON"


class _TwiceError(ValueError):
    """A name stands in an object twice."""


def json_object(body: bytes) -> dict[str, Any] | str:
    """The JSON object that a body is; or why it is none, in words that go on after "an answer with ..."."""
    try:
        parsed = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_each_once, parse_constant=_no_number)
    except _TwiceError:
        return "in which a field stands twice"
    except (ValueError, RecursionError):
        return NOT_JSON
    return parsed if isinstance(parsed, dict) else NOT_JSON


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError
    return found


def _no_number(_name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def session_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields of an answer that a session is made of; empty ones count as left out."""
    values = {name: fields[name] for name in (*REQUIRED, *OPTIONAL) if fields.get(name) not in (None, "")}
    if type(values.get("issued_at")) is int:  # not a bool
        values["issued_at"] = _digits(values["issued_at"])
    return values


def _digits(number: int) -> str:
    return str(number) if abs(number) < 10**20 else "too large"  # the text of a huge number takes long to make


def unfit(values: Mapping[str, Any]) -> list[str]:
    """Why the fields of an answer make no session; the texts quote none of them."""
    problems = [f"it lacks {name}" for name in REQUIRED if name not in values]
    for name, value in values.items():
        problems += [f"its {name} {problem}" for problem in _problems(name, value)][:1]
    return problems


def _problems(name: str, value: object) -> Iterator[str]:
    """What is wrong with a field, the first thing first."""
    if not isinstance(value, str):
        yield "is not text"
        return
    if not is_encodable(value):
        yield "is not valid text"
    if name in {"access_token", "token_type"} and not all("!" <= char <= "~" for char in value):
        yield "could not be sent in a header"
    if name == "access_token" and len(value) > _MAX_TOKEN:
        yield "is too long for a header"
    if name == "token_type" and value.lower() != "bearer":
        yield "is not Bearer"
    if name == "issued_at" and not _TIME.fullmatch(value):
        yield "is no time in milliseconds"
    if name in {"id", "scope"} and not value.isprintable():
        yield "has a control character in it"
