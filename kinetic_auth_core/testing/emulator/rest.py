"""The data endpoints: versions, limits, query, records, and the authentication of Bulk API v1; the minimum."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator.models import new_id
from kinetic_auth_core.testing.emulator.oauth import bearer, json_answer
from kinetic_auth_core.testing.emulator.org import Org
from kinetic_auth_core.testing.emulator.sobjects import DataError, Tables, make_locator, read_locator

VERSIONS: Final = {f"v{number}.0": number for number in range(50, 66)}
"""The API versions that the emulator serves."""

_DEAD: Final = DataError("INVALID_SESSION_ID", "Session expired or invalid", 401)
_RESTRICTED: Final = DataError("INVALID_SESSION_ID", "This session is not valid for use with the REST API", 401)
_BULK_DEAD_XML: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><error xmlns="http://www.force.com/2009/06/asyncapi/dataload">'
    "<exceptionCode>InvalidSessionId</exceptionCode><exceptionMessage>Invalid session id</exceptionMessage></error>"
)


class RestEndpoints:
    """The endpoints below `/services/data` and `/services/async`.

    Args:
        org: The org that answers.
        tables: Its data.
    """

    def __init__(self, org: Org, tables: Tables) -> None:
        self._org = org
        self._tables = tables

    def versions(self, request: Request) -> Response:
        """List the API versions, which needs no token."""
        return json_answer(
            [
                {"label": _label(number), "url": f"/services/data/{name}", "version": name[1:]}
                for name, number in VERSIONS.items()
            ]
        )

    def resources(self, request: Request, version: str) -> Response:
        """List what a version offers."""
        return self._guarded(
            request,
            version,
            lambda: {name: f"/services/data/{version}/{name}" for name in ("limits", "query", "queryAll", "sobjects")},
        )

    def limits(self, request: Request, version: str) -> Response:
        """Answer `/limits`."""
        return self._guarded(
            request,
            version,
            lambda: {
                "DailyApiRequests": {"Max": 15000, "Remaining": 14998},
                "DailyBulkApiBatches": {"Max": 15000, "Remaining": 15000},
            },
        )

    def query(self, request: Request, version: str) -> Response:
        """Answer `/query?q=` and `/queryAll?q=`."""
        return self._guarded(request, version, lambda: self._page(request.args.get("q", ""), 0, version))

    def query_more(self, request: Request, version: str, locator: str) -> Response:
        """Answer `/query/<locator>`."""
        return self._guarded(request, version, lambda: self._page(*read_locator(locator), version))

    def objects(self, request: Request, version: str) -> Response:
        """Answer `/sobjects`."""
        return self._guarded(
            request,
            version,
            lambda: {
                "encoding": "UTF-8",
                "maxBatchSize": 200,
                "sobjects": [{"name": name, "label": name, "queryable": True} for name in self._tables.kinds()],
            },
        )

    def create(self, request: Request, version: str, kind: str) -> Response:
        """Answer `POST /sobjects/<object>`."""

        def insert() -> dict[str, Any]:
            return {"id": self._tables.insert(kind, _json_object(request)), "success": True, "errors": []}

        return self._guarded(request, version, insert, 201)

    def record(self, request: Request, version: str, kind: str, record_id: str) -> Response:
        """Answer `GET`, `PATCH` and `DELETE` of `/sobjects/<object>/<id>`."""

        def act() -> dict[str, Any] | None:
            if request.method == "PATCH":
                self._tables.update(kind, record_id, _json_object(request))
            elif request.method == "DELETE":
                self._tables.delete(kind, record_id)
            else:
                url = f"/services/data/{version}/sobjects/{kind}/{record_id}"
                return {"attributes": {"type": kind, "url": url}, **self._tables.get(kind, record_id)}
            return None

        return self._guarded(request, version, act)

    def bulk(self, request: Request, rest: str) -> Response:
        """Answer Bulk API v1, which has its own header for the token and its own error for a dead one."""
        token = request.headers.get("X-SFDC-Session", "") or bearer(request)
        wants_json = "json" in f"{request.content_type} {request.headers.get('Accept', '')}"
        if self._org.use(token) is None:
            if wants_json:
                return json_answer({"exceptionCode": "InvalidSessionId", "exceptionMessage": "Invalid session id"}, 400)
            return Response(_BULK_DEAD_XML, 400, content_type="application/xml")
        return json_answer({"id": new_id("750"), "state": "Open"}, 201 if request.method == "POST" else 200)

    def _guarded(self, request: Request, version: str, act: Callable[[], object], status: int = 200) -> Response:
        try:
            session = self._org.use(bearer(request))
            if session is None:
                raise _DEAD
            if self._org.policy.restrict_rest_sessions:
                raise _RESTRICTED
            if version not in VERSIONS:
                raise DataError("NOT_FOUND", "The requested resource does not exist", 404)
            body = act()
        except DataError as refused:
            return data_error(refused)
        return Response(b"", 204) if body is None else json_answer(body, status)

    def _page(self, soql: str, start: int, version: str) -> dict[str, Any]:
        total, records = self._tables.query(soql, version)
        end = start + self._org.policy.query_batch_size
        page: dict[str, Any] = {"totalSize": total, "done": end >= len(records), "records": records[start:end]}
        if not page["done"]:
            page["nextRecordsUrl"] = f"/services/data/{version}/query/{make_locator(soql, end)}"
        return page


def data_error(refused: DataError) -> Response:
    """An error in the form of the REST API: a list of one."""
    return json_answer([{"message": refused.message, "errorCode": refused.code}], refused.status)


def _json_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except ValueError as error:
        raise DataError("JSON_PARSER_ERROR", "the body is not JSON") from error
    if not isinstance(body, dict):
        raise DataError("JSON_PARSER_ERROR", "the body is not a JSON object")
    return body


def _label(number: int) -> str:
    """The release of an API version: three a year, version 50 being Winter '21."""
    year, season = divmod(number - 50, 3)
    return f"{('Winter', 'Spring', 'Summer')[season]} '{21 + year}"
