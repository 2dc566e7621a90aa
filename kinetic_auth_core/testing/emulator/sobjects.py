"""The org's data: a few records, and as much SOQL as a client's first calls need.

It supports `SELECT <fields> FROM <object> [WHERE <field> = '<value>'] [LIMIT <n>]`, and `SELECT COUNT() FROM ...`.
"""

from __future__ import annotations

import base64
import re
import threading
from typing import Any, Final

import attrs

from kinetic_auth_core.testing.emulator.models import new_id

Record = dict[str, Any]

_SOQL: Final = re.compile(
    r"\s*SELECT\s+(?P<fields>COUNT\(\)|[\w.,\s]+?)\s+FROM\s+(?P<object>\w+)"
    r"(?:\s+WHERE\s+(?P<field>\w+)\s*=\s*'(?P<value>(?:[^'\\]|\\.)*)')?"
    r"(?:\s+ORDER\s+BY\s+\w+(?:\s+(?:ASC|DESC))?)?"
    r"(?:\s+LIMIT\s+(?P<limit>\d+))?\s*",
    re.IGNORECASE,
)
_PREFIXES: Final = {"Account": "001", "Contact": "003", "Lead": "00Q", "Opportunity": "006"}


@attrs.define
class DataError(Exception):
    """A rejected data request, in the form of the REST API.

    Args:
        code: The `errorCode`.
        message: The `message`.
        status: The HTTP status code.
    """

    code: str
    message: str
    status: int = 400


class Tables:
    """Records by object name. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, Record]] = {name: {} for name in _PREFIXES}
        for number in range(1, 6):
            self.insert("Account", {"Name": f"Example Account {number}"})

    def insert(self, kind: str, fields: Record) -> str:
        """Add a record.

        Args:
            kind: Name of its object, for example `Account`; a new name makes a new object.
            fields: Its fields, without `Id`.

        Returns:
            Its id.
        """
        record_id = new_id(_PREFIXES.get(kind, "a00"))
        with self._lock:
            self._rows.setdefault(kind, {})[record_id] = {"Id": record_id, **fields}
        return record_id

    def update(self, kind: str, record_id: str, fields: Record) -> None:
        """Change fields of a record.

        Raises:
            DataError: There is no such record.
        """
        with self._lock:
            self._find(kind, record_id).update(fields)

    def delete(self, kind: str, record_id: str) -> None:
        """Delete a record.

        Raises:
            DataError: There is no such record.
        """
        with self._lock:
            self._find(kind, record_id)
            del self._rows[kind][record_id]

    def get(self, kind: str, record_id: str) -> Record:
        """A copy of a record.

        Raises:
            DataError: There is no such record.
        """
        with self._lock:
            return dict(self._find(kind, record_id))

    def kinds(self) -> list[str]:
        """The names of all objects."""
        return sorted(self._rows)

    def query(self, soql: str, version: str) -> tuple[int, list[Record]]:
        """Run a query.

        Args:
            soql: The query.
            version: The API version of the records' URLs, for example `v62.0`.

        Returns:
            The total size, and the records with their `attributes`. `COUNT()` has a size and no records.

        Raises:
            DataError: The query is not understood, or asks for an unknown object or field.
        """
        match = _SOQL.fullmatch(soql)
        if match is None:
            raise DataError("MALFORMED_QUERY", "unexpected token: this query is not understood")
        kind = next((name for name in self._rows if name.lower() == match["object"].lower()), None)
        if kind is None:
            raise DataError("INVALID_TYPE", f"sObject type '{match['object']}' is not supported.")
        with self._lock:
            rows = list(self._rows[kind].values())
        known = {"Id", "Name"}.union(*rows)
        if match["field"]:
            value = re.sub(r"\\(.)", r"\1", match["value"])
            rows = [row for row in rows if str(row.get(match["field"])) == value]
        if match["limit"]:
            rows = rows[: int(match["limit"])]
        if match["fields"].upper() == "COUNT()":
            return len(rows), []
        fields = [field.strip() for field in match["fields"].split(",")]
        for field in fields:
            if field not in known:
                raise DataError("INVALID_FIELD", f"No such column '{field}' on entity '{kind}'.")
        return len(rows), [
            {
                "attributes": {"type": kind, "url": f"/services/data/{version}/sobjects/{kind}/{row['Id']}"},
                **{field: row.get(field) for field in fields},
            }
            for row in rows
        ]

    def _find(self, kind: str, record_id: str) -> Record:
        rows = self._rows.get(kind, {})
        if record_id not in rows:
            raise DataError("NOT_FOUND", "The requested resource does not exist", 404)
        return rows[record_id]


def make_locator(soql: str, start: int) -> str:
    """The locator of a further page of a query, which encodes the query."""
    return "01g" + base64.urlsafe_b64encode(f"{start}:{soql}".encode()).decode("ascii").rstrip("=")


def read_locator(locator: str) -> tuple[str, int]:
    """The query and the first record of a locator.

    Raises:
        DataError: It is not a locator of this emulator.
    """
    try:
        text = base64.urlsafe_b64decode(locator.removeprefix("01g") + "===").decode()
        start, _, soql = text.partition(":")
        return soql, int(start)
    except ValueError as error:
        raise DataError("INVALID_QUERY_LOCATOR", "invalid query locator") from error
