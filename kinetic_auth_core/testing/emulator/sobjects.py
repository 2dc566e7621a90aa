"""The org's data: records by object, those of User and Organization, and what `describe` says of them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import random
import threading
from collections.abc import Mapping
from typing import Any, Final

from kinetic_auth_core.testing.emulator import soql
from kinetic_auth_core.testing.emulator.models import long_id, new_id
from kinetic_auth_core.testing.emulator.org import Org
from kinetic_auth_core.testing.emulator.soql import DELETED, MISSING, DataError, no_external_id

Record = dict[str, Any]

_PREFIXES: Final = {
    "Account": "001", "Asset": "02i", "Attachment": "00P", "Campaign": "701", "CampaignMember": "00v", "Case": "500",
    "Contact": "003", "ContentVersion": "068", "Contract": "800", "Event": "00U", "Lead": "00Q", "Note": "002",
    "Opportunity": "006", "OpportunityLineItem": "00k", "Order": "801", "OrderItem": "802", "Organization": "00D",
    "Pricebook2": "01s", "PricebookEntry": "01u", "Product2": "01t", "Profile": "00e", "Task": "00T", "User": "005",
}  # fmt: skip
"""The standard objects that there can be, with the beginning of their ids."""

_SYSTEM_FIELDS: Final = ("Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp")
_ADDRESS: Final = ("Street", "City", "State", "PostalCode", "Country")
_PERSON: Final = ("Name", "Salutation", "FirstName", "LastName", "Title", "Email", "Phone", "MobilePhone", "LeadSource")
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Account": (
        "Name", "Type", "Industry", "Rating", "Phone", "Fax", "Website", "Description", "AccountNumber",
        "AccountSource", "AnnualRevenue", "NumberOfEmployees", "Ownership", "Site", "TickerSymbol", "ParentId",
        "OwnerId", *(f"{kind}{part}" for kind in ("Billing", "Shipping") for part in _ADDRESS),
    ),
    "Contact": (
        *_PERSON, "AccountId", "ReportsToId", "OwnerId", "Department", "Birthdate", "Description", "Fax", "HomePhone",
        *(f"{kind}{part}" for kind in ("Mailing", "Other") for part in _ADDRESS),
    ),
    "Lead": (
        *_PERSON, "Company", "Status", "Industry", "Rating", "Website", "AnnualRevenue", "NumberOfEmployees",
        "Description", "OwnerId", *_ADDRESS,
    ),
    "Opportunity": (
        "Name", "StageName", "Amount", "CloseDate", "Probability", "Type", "LeadSource", "NextStep", "Description",
        "AccountId", "CampaignId", "OwnerId",
    ),
}  # fmt: skip
"""The fields of the objects that every org has; a custom field comes with the first record that has it."""

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "Account": ("Name",), "Contact": ("LastName",), "Lead": ("LastName", "Company"),
    "Opportunity": ("Name", "StageName", "CloseDate"),
}  # fmt: skip
_TYPES: Final = {
    "Id": "id", "CreatedDate": "datetime", "LastModifiedDate": "datetime", "SystemModstamp": "datetime",
    "CloseDate": "date", "Birthdate": "date", "Email": "email", "Website": "url", "Description": "textarea",
    "Amount": "currency", "AnnualRevenue": "currency", "Probability": "percent", "NumberOfEmployees": "int",
    **dict.fromkeys(("Phone", "MobilePhone", "HomePhone", "Fax"), "phone"),
    **dict.fromkeys(("Type", "Industry", "Rating", "Ownership", "AccountSource", "LeadSource"), "picklist"),
    **dict.fromkeys(("Salutation", "Status", "StageName"), "picklist"),
}  # fmt: skip
_SOAP_TYPES: Final = {
    "id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "int": "xsd:int", "date": "xsd:date",
    "datetime": "xsd:dateTime", **dict.fromkeys(("double", "currency", "percent"), "xsd:double"),
}  # fmt: skip
_LOCALE: Final = {"TimeZoneSidKey": "GMT", "LocaleSidKey": "en_US", "LanguageLocaleKey": "en_US"}
_CUSTOM: Final = (
    "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please "
    "reference your WSDL or the describe call for the appropriate names."
)
_READ_ONLY: Final = frozenset({"Organization", "Profile", "User"})


class SObjects:
    """The records of one org, safe for threads. Users, their profile and the organization are read-only.

    Args:
        org: The org.
        source: What ids are drawn from.
    """

    def __init__(self, org: Org, source: random.Random) -> None:
        self._org = org
        self._source = source
        self._lock = threading.RLock()
        self._rows: dict[str, dict[str, Record]] = {}
        self._columns: dict[str, dict[str, str]] = {}  # the fields of each object, by their names in lower case
        for kind in _FIELDS:
            self._add_object(kind)
        self._born = self._times("CreatedDate")  # those of what is read-only
        self._profile_id = new_id(_PREFIXES["Profile"], source)
        for number in range(1, 6):
            self.insert("Account", {"Name": f"Example Account {number}"})

    def insert(self, kind: str, fields: Record) -> str:
        """Add a record, with its object and its fields if they are new; return its id."""
        kind, record_id = self._writable(kind), new_id(_PREFIXES.get(self._writable(kind), "a00"), self._source)
        with self._lock:
            self._add_object(kind)
            own = self._own(kind, fields)
            row = {"Id": record_id, **own, "IsDeleted": False, **self._times("CreatedDate")}
            self._rows[kind][record_id] = _with_name(row)
        return record_id

    def create(self, kind: str, fields: Record) -> str:
        """Add a record as a client does: of an object and with fields that exist or are custom; return its id.

        Raises:
            DataError: There is no such object or field, or a required field is missing.
        """
        if kind.lower() not in {each.lower() for each in (*self.kinds(), *_PREFIXES)} and not _is_custom(kind):
            raise MISSING
        self._check(kind, fields, dict.fromkeys(_REQUIRED.get(self._writable(kind), ())) | fields)
        return self.insert(kind, fields)

    def update(self, kind: str, record_id: str, fields: Record) -> None:
        """Change fields of a record; `DataError` as in `create`, or if there is no such record."""
        kind = self._writable(kind)
        self._check(kind, fields, fields)
        with self._lock:
            row = self._find(kind, record_id)
            row.update({**self._own(kind, fields), **self._times()})
            _with_name(row)

    def delete(self, kind: str, record_id: str) -> None:
        """Put a record into the recycle bin; `DataError` if there is no such record."""
        kind = self._writable(kind)
        with self._lock:
            self._find(kind, record_id).update({"IsDeleted": True, **self._times()})

    def get(self, kind: str, record_id: str, version: str, fields: str | None = None) -> Record:
        """A record with its `attributes`, all fields or those of a list; `DataError` if there is no such record."""
        kind = self.kind(kind)
        known = self._fields(kind)
        row = _by_lower_case(known, self._find(kind, record_id, or_deleted=MISSING))
        names = (
            list(known.values()) if fields is None else [self._field(kind, name, known) for name in fields.split(",")]
        )
        return _as_answer(kind, row, names, version)

    def upsert(self, kind: str, name: str, value: str, fields: Record) -> tuple[str, bool]:
        """Change the record with that value in a custom field, or add one; return its id, and whether it is new.

        Raises:
            DataError: As in `create` and `update`, or several records have that value.
        """
        if name.lower() in {each.lower() for each in fields}:
            raise DataError("INVALID_FIELD", f"The {name} field should not be specified in the sobject data.")
        kind = self._writable(kind)
        with self._lock:
            found = self._with_value(kind, name, value)
            if found is None:
                return self.create(kind, {**fields, name: value}), True
            self.update(kind, found, fields)
        return found, False

    def find(self, kind: str, name: str, value: str) -> str:
        """The id of the record with that value in a custom field; `DataError` if there is none, or several."""
        kind = self.kind(kind)
        if name.lower() not in self._fields(kind):
            raise no_external_id(name)
        with self._lock:
            found = self._with_value(kind, name, value)
        if found is None:
            raise MISSING
        return found

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
            "custom": _is_custom(kind),
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

    def query(self, text: str, version: str, *, deleted: bool = False) -> tuple[int, list[Record]]:
        """Run a query, of deleted records as well if asked to: its total size, and its records; `COUNT()` has none.

        Raises:
            DataError: The query is not understood, or asks for an unknown object or field.
        """
        asked = soql.parse(text)
        kind, known, rows = self._understood(asked)
        kept = (_by_lower_case(known, each) for each in rows if deleted or not each.get("IsDeleted"))
        found = [row for row in kept if asked.condition(row)]
        for name, descending, nulls_last in reversed(asked.order):
            try:
                found.sort(key=lambda row: _sort_key(row[name]), reverse=descending)
            except TypeError as error:
                raise DataError("INVALID_FIELD", f"field '{name}' has values of several types: no order") from error
            found.sort(key=lambda row: (row[name] is None) is nulls_last)
        found = found[asked.offset :][: asked.limit]
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
                    "columnName": name, "custom": _is_custom(name), "displayName": name, "foreignKeyName": None,
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
            raise DataError("INVALID_FIELD", f"No such column '{name}' on entity '{kind}'. {_CUSTOM}")
        return known[name.lower()]

    def _fields(self, kind: str) -> dict[str, str]:
        """The fields of an object by their names in lower case."""
        if kind in _READ_ONLY:
            return {name.lower(): name for row in self._all(kind)[:1] for name in row}
        return self._columns.get(kind, {})

    def _add_object(self, kind: str) -> None:
        if kind not in self._rows:
            self._rows[kind] = {}
            fields = (*_SYSTEM_FIELDS, *_FIELDS.get(kind, ("Name",)))
            self._columns[kind] = {name.lower(): name for name in fields}

    def _own(self, kind: str, fields: Record) -> Record:
        """Fields as the object names them, which learns new ones; without `attributes` and those that the org sets."""
        named = {self._columns[kind].get(name.lower(), name): fields[name] for name in fields if name != "attributes"}
        for name in _SYSTEM_FIELDS:
            if name in named:
                message = f"Unable to create/update fields: {name}."
                raise DataError("INVALID_FIELD_FOR_INSERT_UPDATE", message, fields=(name,))
        self._columns[kind].update({name.lower(): name for name in named})
        return named

    def _check(self, kind: str, fields: Record, needed: Record) -> None:
        """Check the fields that a client writes, and that those which it needs have values."""
        kind = self._writable(kind)
        known = self._fields(kind)
        for name in fields:
            if kind in _FIELDS and name.lower() not in known and name != "attributes" and not _is_custom(name):
                raise DataError("INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}")
        values = {name.lower(): value for name, value in needed.items()}
        missing = [name for name in _REQUIRED.get(kind, ()) if values.get(name.lower(), "x") in (None, "")]
        if missing:
            message = f"Required fields are missing: [{', '.join(missing)}]"
            raise DataError("REQUIRED_FIELD_MISSING", message, fields=tuple(missing))

    def _all(self, kind: str) -> list[Record]:
        if kind == "User":
            return [
                {
                    "Id": user.id, "Username": user.username, "Name": (name := user.username.partition("@")[0]),
                    "FirstName": None, "LastName": name, "Alias": name[:8], "Email": user.username,
                    "IsActive": user.active, "UserType": "Standard", "ProfileId": self._profile_id, **_LOCALE,
                    **self._born,
                }
                for user in list(self._org.users.values())
            ]  # fmt: skip
        if kind == "Organization":
            return [
                {
                    "Id": self._org.id, "Name": "Salesforce emulator", "OrganizationType": "Developer Edition",
                    "InstanceName": "EMU1", "IsSandbox": False, "TrialExpirationDate": None, "NamespacePrefix": None,
                    "TimeZoneSidKey": "GMT", "LanguageLocaleKey": "en_US", "DefaultLocaleSidKey": "en_US",
                    **self._born,
                }
            ]  # fmt: skip
        if kind == "Profile":
            return [{"Id": self._profile_id, "Name": "System Administrator", **self._born}]
        with self._lock:
            return [dict(row) for row in self._rows.get(kind, {}).values()]

    def _find(self, kind: str, record_id: str, or_deleted: DataError = DELETED) -> Record:
        wanted = long_id(record_id) if len(record_id) == 15 else record_id
        rows = self._rows[kind] if kind in self._rows else {row["Id"]: row for row in self._all(kind)}
        if wanted not in rows:
            raise MISSING
        if rows[wanted].get("IsDeleted"):
            raise or_deleted
        return rows[wanted]

    def _with_value(self, kind: str, name: str, value: str) -> str | None:
        own, wanted = self._fields(kind).get(name.lower(), name), value.lower()
        rows = [row for row in self._rows.get(kind, {}).values() if row.get(own) is not None and not row["IsDeleted"]]
        found = [row["Id"] for row in rows if str(row[own]).lower() == wanted]
        if len(found) > 1:
            raise DataError("DUPLICATE_EXTERNAL_ID", f"{len(found)} records of {kind} have {own} {value}", 300)
        return found[0] if found else None

    def _writable(self, kind: str) -> str:
        found = next((each for each in (*self.kinds(), *_PREFIXES) if each.lower() == kind.lower()), kind)
        if found in _READ_ONLY:
            raise DataError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"{found} is read-only in the emulator")
        return found

    def _times(self, *more: str) -> Record:
        """The fields that have the time of a change, which is now."""
        now = dt.datetime.fromtimestamp(self._org.clock(), dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        return dict.fromkeys((*more, "LastModifiedDate", "SystemModstamp"), now)


def _by_lower_case(known: Mapping[str, str], row: Record) -> Record:
    """A record by names in lower case, with all fields of its object."""
    return {lower: row.get(name) for lower, name in known.items()}


def _as_answer(kind: str, row: Record, names: list[str], version: str) -> Record:
    url = f"/services/data/{version}/sobjects/{kind}/{row['id']}"
    return {"attributes": {"type": kind, "url": url}, **{name: row[name.lower()] for name in names}}


def _sort_key(value: Any) -> tuple[bool, Any]:
    return value is not None, value.casefold() if isinstance(value, str) else 0 if value is None else value


def _is_custom(name: str) -> bool:
    return name.lower().endswith("__c")


def _with_name(row: Record) -> Record:
    """The record of a person with its `Name`, which is made of the other two."""
    if row.get("LastName"):
        row["Name"] = " ".join(str(part) for part in (row.get("FirstName"), row["LastName"]) if part)
    return row


def _field(name: str, values: list[Any], can_write: bool) -> Record:
    value = next((each for each in values if each is not None), None)
    by_value = "boolean" if isinstance(value, bool) else "double" if isinstance(value, int | float) else "string"
    by_name = "reference" if name.endswith("Id") else "boolean" if name.startswith("Is") else by_value
    kind = by_value if _is_custom(name) else _TYPES.get(name, by_name)
    own = can_write and name not in _SYSTEM_FIELDS
    return {
        "name": name, "label": name, "type": kind, "custom": _is_custom(name), "createable": own, "updateable": own,
        "nillable": own, "length": {"id": 18, "reference": 18}.get(kind, 0 if kind in _SOAP_TYPES else 255),
        "filterable": True, "sortable": True, "soapType": _SOAP_TYPES.get(kind, "xsd:string"),
        "referenceTo": [], "picklistValues": [], "relationshipName": None, "calculated": False, "defaultValue": None,
    }  # fmt: skip


def make_locator(text: str, start: int, deleted: bool) -> str:
    """The locator of a further page of a query, which encodes the query."""
    page = json.dumps([text, start, deleted]).encode()
    return "01g" + base64.urlsafe_b64encode(page).decode("ascii").rstrip("=")


def read_locator(locator: str) -> tuple[str, int, bool]:
    """The query, its first record and whether it finds deleted ones; `DataError` if the locator is not a valid one."""
    try:
        text, start, deleted = json.loads(base64.urlsafe_b64decode(locator.removeprefix("01g") + "==="))
        return str(text), int(start), bool(deleted)
    except (ValueError, TypeError) as error:
        raise DataError("INVALID_QUERY_LOCATOR", "invalid query locator") from error
