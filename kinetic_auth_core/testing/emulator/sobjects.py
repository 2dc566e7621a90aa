"""The org's data: records by object, those of User and Organization, and what `describe` says of them."""

from __future__ import annotations

import base64
import datetime as dt
import threading
from collections.abc import Mapping
from typing import Any, Final

from kinetic_auth_core.testing.emulator import soql
from kinetic_auth_core.testing.emulator.models import long_id, new_id
from kinetic_auth_core.testing.emulator.org import Org
from kinetic_auth_core.testing.emulator.soql import MISSING, DataError

Record = dict[str, Any]

_PREFIXES: Final = {
    "Account": "001", "Contact": "003", "Lead": "00Q", "Opportunity": "006", "Organization": "00D", "User": "005",
}  # fmt: skip
_SYSTEM_FIELDS: Final = ("Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp")
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Account": ("Name", "Type", "Industry", "Phone", "Website", "Description", "BillingCity", "OwnerId"),
    "Contact": ("Name", "FirstName", "LastName", "Email", "Phone", "AccountId", "OwnerId"),
    "Lead": ("Name", "FirstName", "LastName", "Company", "Status", "Email", "OwnerId"),
    "Opportunity": ("Name", "StageName", "Amount", "CloseDate", "AccountId", "OwnerId"),
}
_READ_ONLY: Final = frozenset({"Organization", "User"})


class SObjects:
    """The records of one org, safe for threads. Users and the organization are those of the org, and read-only."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._lock = threading.RLock()
        self._rows: dict[str, dict[str, Record]] = {name: {} for name in _FIELDS}
        self._born = self._times("CreatedDate")  # those of users and the organization
        for number in range(1, 6):
            self.insert("Account", {"Name": f"Example Account {number}"})

    def insert(self, kind: str, fields: Record) -> str:
        """Add a record, and its object if it is new; return its id."""
        kind = self._writable(kind)
        record_id, row = new_id(_PREFIXES.get(kind, "a00")), {**self._own(kind, fields), "IsDeleted": False}
        with self._lock:
            self._rows.setdefault(kind, {})[record_id] = {"Id": record_id, **row, **self._times("CreatedDate")}
        return record_id

    def update(self, kind: str, record_id: str, fields: Record) -> None:
        """Change fields of a record; `DataError` if it does not exist."""
        kind = self._writable(kind)
        with self._lock:
            self._find(kind, record_id).update({**self._own(kind, fields), **self._times()})

    def delete(self, kind: str, record_id: str) -> None:
        """Delete a record; `DataError` if it does not exist."""
        kind = self._writable(kind)
        with self._lock:
            found = self._find(kind, record_id)
            del self._rows[kind][found["Id"]]

    def get(self, kind: str, record_id: str, version: str, fields: str | None = None) -> Record:
        """A record with its `attributes`, all fields or those of a list; `DataError` if there is no such record."""
        kind = self.kind(kind)
        row = self._by_lower_case(kind, self._find(kind, record_id))
        known = self._fields(kind)
        names = (
            list(known.values()) if fields is None else [self._field(kind, name, known) for name in fields.split(",")]
        )
        return _as_answer(kind, row, names, version)

    def kinds(self) -> list[str]:
        """The names of all objects."""
        return sorted({*self._rows, *_READ_ONLY})

    def kind(self, name: str) -> str:
        """The name of an object as it is written; `DataError` if there is no such object."""
        found = next((kind for kind in self.kinds() if kind.lower() == name.lower()), None)
        if found is None:
            raise MISSING
        return found

    def describe(self, kind: str, version: str, *, fields: bool = False) -> Record:
        """What `sobjects` says of an object; with its fields, what `describe` says."""
        kind = self.kind(kind)
        url = f"/services/data/{version}/sobjects/{kind}"
        can_write = kind not in _READ_ONLY
        about: Record = {
            "name": kind,
            "label": kind.removesuffix("__c"),
            "labelPlural": f"{kind.removesuffix('__c')}s",
            "keyPrefix": _PREFIXES.get(kind, "a00"),
            "custom": kind.endswith("__c"),
            **dict.fromkeys(("createable", "updateable", "deletable"), can_write),
            **dict.fromkeys(("queryable", "retrieveable", "layoutable", "searchable"), True),
            "urls": {"sobject": url, "describe": f"{url}/describe", "rowTemplate": f"{url}/{{ID}}"},
        }
        if fields:
            rows = self._all(kind)
            about["childRelationships"] = about["recordTypeInfos"] = []
            about["fields"] = [
                _field(name, [row.get(name) for row in rows], can_write) for name in self._fields(kind).values()
            ]
        return about

    def query(self, text: str, version: str) -> tuple[int, list[Record]]:
        """Run a query: its total size, and its records with their `attributes`; `COUNT()` has no records.

        Raises:
            DataError: The query is not understood, or asks for an unknown object or field.
        """
        asked = soql.parse(text)
        kind, known, rows = self._understood(asked)
        found = [row for row in (self._by_lower_case(kind, each) for each in rows) if asked.condition(row)]
        for name, descending, nulls_last in reversed(asked.order):
            try:
                found.sort(key=lambda row: _sort_key(row[name]), reverse=descending)
            except TypeError as error:
                raise DataError("INVALID_FIELD", f"field '{name}' has values of several types: no order") from error
            found.sort(key=lambda row: (row[name] is None) is nulls_last)
        found = found[: asked.limit]
        if asked.fields is None:
            return len(found), []
        names = [known[name.lower()] for name in asked.fields]
        return len(found), [_as_answer(kind, row, names, version) for row in found]

    def columns(self, text: str) -> Record:
        """What `query?columns=true` says of a query's columns."""
        asked = soql.parse(text)
        kind, known, _ = self._understood(asked)
        names = [known[name.lower()] for name in asked.fields or ()]
        return {
            "columnMetadata": [
                {
                    "aggregate": False, "apexType": "Id" if name == "Id" else "String", "booleanType": False,
                    "columnName": name, "custom": name.endswith("__c"), "displayName": name, "foreignKeyName": None,
                    "insertable": name not in _SYSTEM_FIELDS, "joinColumns": [], "numberType": False,
                    "textType": True, "updatable": name not in _SYSTEM_FIELDS,
                }
                for name in names
            ],
            "entityName": kind, "groupBy": False, "idSelected": "Id" in names, "keyPrefix": _PREFIXES.get(kind, "a00"),
        }  # fmt: skip

    def _understood(self, asked: soql.Query) -> tuple[str, dict[str, str], list[Record]]:
        try:
            kind = self.kind(asked.kind)
        except DataError:
            raise DataError("INVALID_TYPE", f"sObject type '{asked.kind}' is not supported.") from None
        known = self._fields(kind)
        for name in sorted(asked.named):
            self._field(kind, name, known)
        return kind, known, self._all(kind)

    def _field(self, kind: str, name: str, known: Mapping[str, str]) -> str:
        if name.lower() not in known:
            raise DataError("INVALID_FIELD", f"No such column '{name}' on entity '{kind}'.")
        return known[name.lower()]

    def _fields(self, kind: str) -> dict[str, str]:
        """The fields of an object by their names in lower case: the usual ones, and those of its records."""
        usual = () if kind in _READ_ONLY else (*_SYSTEM_FIELDS, *_FIELDS.get(kind, ("Name",)))
        known: dict[str, str] = {}
        for name in (*usual, *(name for row in self._all(kind) for name in row)):
            known.setdefault(name.lower(), name)
        return known

    def _own(self, kind: str, fields: Record) -> Record:
        """Fields as they are written, without `attributes` and those that the org sets."""
        known = self._fields(kind) if kind in self._rows else {}
        named = {known.get(name.lower(), name): value for name, value in fields.items() if name != "attributes"}
        for name in _SYSTEM_FIELDS:
            if name in named:
                raise DataError("INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {name}.")
        return named

    def _all(self, kind: str) -> list[Record]:
        if kind == "User":
            return [
                {
                    "Id": user.id, "Username": user.username, "Name": user.username.partition("@")[0],
                    "Email": user.username, "IsActive": user.active, "UserType": "Standard", **self._born,
                }
                for user in list(self._org.users.values())
            ]  # fmt: skip
        if kind == "Organization":
            return [
                {
                    "Id": self._org.id, "Name": "Salesforce emulator", "OrganizationType": "Developer Edition",
                    "InstanceName": "EMU1", "IsSandbox": False, "TrialExpirationDate": None, "NamespacePrefix": None,
                    **self._born,
                }
            ]  # fmt: skip
        with self._lock:
            return [dict(row) for row in self._rows.get(kind, {}).values()]

    def _by_lower_case(self, kind: str, row: Record) -> Record:
        return dict.fromkeys(self._fields(kind)) | {name.lower(): value for name, value in row.items()}

    def _find(self, kind: str, record_id: str) -> Record:
        wanted = long_id(record_id) if len(record_id) == 15 else record_id
        rows = self._rows[kind] if kind in self._rows else {row["Id"]: row for row in self._all(kind)}
        if wanted not in rows:
            raise MISSING
        return rows[wanted]

    def _writable(self, kind: str) -> str:
        found = next((each for each in self.kinds() if each.lower() == kind.lower()), kind)
        if found in _READ_ONLY:
            raise DataError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"{found} is read-only in the emulator")
        return found

    def _times(self, *more: str) -> Record:
        """The fields that have the time of a change, which is now."""
        now = dt.datetime.fromtimestamp(self._org.clock(), dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        return dict.fromkeys((*more, "LastModifiedDate", "SystemModstamp"), now)


def _as_answer(kind: str, row: Record, names: list[str], version: str) -> Record:
    url = f"/services/data/{version}/sobjects/{kind}/{row['id']}"
    return {"attributes": {"type": kind, "url": url}, **{name: row[name.lower()] for name in names}}


def _sort_key(value: Any) -> tuple[bool, Any]:
    return value is not None, value.casefold() if isinstance(value, str) else 0 if value is None else value


def _field(name: str, values: list[Any], can_write: bool) -> Record:
    value = next((each for each in values if each is not None), None)
    kind = "boolean" if isinstance(value, bool) else "double" if isinstance(value, int | float) else "string"
    if name == "Id":
        kind = "id"
    elif name.endswith(("Date", "Modstamp")) and name in _SYSTEM_FIELDS:
        kind = "datetime"
    own = can_write and name not in _SYSTEM_FIELDS
    return {
        "name": name, "label": name, "type": kind, "custom": name.endswith("__c"), "createable": own, "updateable": own,
        "nillable": own, "length": {"id": 18, "string": 255}.get(kind, 0), "filterable": True, "sortable": True,
        "soapType": "tns:ID" if kind == "id" else f"xsd:{'dateTime' if kind == 'datetime' else kind}",
        "referenceTo": [], "picklistValues": [], "relationshipName": None, "calculated": False, "defaultValue": None,
    }  # fmt: skip


def make_locator(text: str, start: int) -> str:
    """The locator of a further page of a query, which encodes the query."""
    return "01g" + base64.urlsafe_b64encode(f"{start}:{text}".encode()).decode("ascii").rstrip("=")


def read_locator(locator: str) -> tuple[str, int]:
    """The query and the first record of a locator; `DataError` if it is not one of this emulator."""
    try:
        text = base64.urlsafe_b64decode(locator.removeprefix("01g") + "===").decode()
        start, _, query = text.partition(":")
        return query, int(start)
    except ValueError as error:
        raise DataError("INVALID_QUERY_LOCATOR", "invalid query locator") from error
