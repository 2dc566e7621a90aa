"""What a client asks of the REST API in its first minute: versions, limits, query, records, describe.

Any other path below `/services` checks the token too, and then says that it is not emulated, in the content type that
was asked for. So does Bulk API v1, of which there is a job without batches.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any, Final

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator.faults import Answer
from kinetic_auth_core.testing.emulator.models import Session, new_id
from kinetic_auth_core.testing.emulator.oauth import bearer, json_answer
from kinetic_auth_core.testing.emulator.org import Org
from kinetic_auth_core.testing.emulator.sobjects import SObjects, make_locator, read_locator
from kinetic_auth_core.testing.emulator.soql import MISSING, DataError

FIRST_VERSION: Final = 31
"""The first API version that still exists; the ones before have been retired, with 410."""

_DAILY_REQUESTS: Final = 15000
_DEAD: Final = DataError("INVALID_SESSION_ID", "Session expired or invalid", 401)
WRONG_METHOD: Final = DataError("METHOD_NOT_ALLOWED", "HTTP method not allowed", 405)
_RESTRICTED: Final = DataError("INVALID_SESSION_ID", "This session is not valid for use with the REST API", 401)
_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_BULK: Final = "http://www.force.com/2009/06/asyncapi/dataload"

Endpoint = Answer | Callable[[Request], Answer]


class RestEndpoints:
    """The endpoints below `/services` that need a token."""

    def __init__(self, org: Org, data: SObjects) -> None:
        self._org = org
        self._data = data
        self._requests = 0
        self.own: dict[str, Endpoint] = {}
        """What a test has put behind the token check, by path."""

    def versions(self, request: Request) -> Response:
        """List the API versions, which needs no token."""
        return json_answer(
            [
                {"label": _label(number), "url": f"/services/data/v{number}.0", "version": f"{number}.0"}
                for number in range(FIRST_VERSION, self._newest() + 1)
            ]
        )

    def resources(self, request: Request, version: str) -> Response:
        """List what a version offers, and the identity URL of the user."""

        def resources(session: Session) -> dict[str, str]:
            urls = {name: f"/services/data/{version}/{name}" for name in ("limits", "query", "queryAll", "sobjects")}
            return {**urls, "identity": self._org.identity_url(session.user)}

        return self._guarded(request, version, resources)

    def limits(self, request: Request, version: str) -> Response:
        """Answer `/limits`."""
        left = _DAILY_REQUESTS - self._requests
        limits = {
            "DailyApiRequests": {"Max": _DAILY_REQUESTS, "Remaining": left},
            "DailyBulkApiBatches": {"Max": 15000, "Remaining": 15000},
        }
        return self._guarded(request, version, lambda _: limits)

    def query(self, request: Request, version: str) -> Response:
        """Answer `/query?q=` and `/queryAll?q=`, with `columns=true` what the columns are."""
        text = request.args.get("q", "")
        if request.args.get("columns", "").lower() == "true":
            return self._guarded(request, version, lambda _: self._data.columns(text))
        return self._guarded(request, version, lambda _: self._page(text, 0, version))

    def query_more(self, request: Request, version: str, locator: str) -> Response:
        """Answer `/query/<locator>`."""
        return self._guarded(request, version, lambda _: self._page(*read_locator(locator), version))

    def objects(self, request: Request, version: str) -> Response:
        """Answer `/sobjects`."""

        def objects(_: Session) -> dict[str, Any]:
            found = [self._data.describe(kind, version) for kind in self._data.kinds()]
            return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": found}

        return self._guarded(request, version, objects)

    def sobject(self, request: Request, version: str, kind: str) -> Response:
        """Answer `GET /sobjects/<object>`, which describes it, and `POST`, which creates a record."""

        def act(_: Session) -> dict[str, Any]:
            if request.method == "POST":
                return {"id": self._data.insert(kind, _json_object(request)), "success": True, "errors": []}
            return {"objectDescribe": self._data.describe(kind, version), "recentItems": []}

        return self._guarded(request, version, act, 201 if request.method == "POST" else 200)

    def describe(self, request: Request, version: str, kind: str) -> Response:
        """Answer `/sobjects/<object>/describe`."""
        return self._guarded(request, version, lambda _: self._data.describe(kind, version, fields=True))

    def record(self, request: Request, version: str, kind: str, record_id: str) -> Response:
        """Answer `GET`, `PATCH` and `DELETE` of `/sobjects/<object>/<id>`."""

        def act(_: Session) -> dict[str, Any] | None:
            if request.method == "PATCH":
                self._data.update(kind, record_id, _json_object(request))
            elif request.method == "DELETE":
                self._data.delete(kind, record_id)
            else:
                return self._data.get(kind, record_id, version, request.args.get("fields"))
            return None

        return self._guarded(request, version, act)

    def bulk(self, request: Request, rest: str) -> Response:
        """Answer Bulk API v1, which has its own header for the token and its own error for a dead one."""
        token = request.headers.get("X-SFDC-Session", "") or bearer(request)
        if self._org.use(token) is None:
            return _bulk_error(request, "InvalidSessionId", "Invalid session id", 400)
        if not re.fullmatch(r"\d+\.0/job(/\w+)?", rest):
            return _bulk_error(request, "NotFound", f"the emulator has no /services/async/{rest}", 404)
        job = {"id": rest.partition("/job/")[2] or new_id("750"), "state": "Open"}
        status = 201 if request.method == "POST" else 200
        return json_answer(job, status) if _wants_json(request) else _xml("jobInfo", job, status, _BULK)

    def other(self, request: Request, *, is_known: bool) -> Response:
        """Answer any other request below `/services`: what a test has put there, or that it is not emulated."""
        try:
            self._session(request)
        except DataError as refused:
            return data_error(request, refused)
        endpoint = self.own.get(request.path)
        if endpoint is not None:
            return (endpoint if isinstance(endpoint, Answer) else endpoint(request)).replace()
        message = f"The emulator does not have this resource: {request.path}"
        return data_error(request, WRONG_METHOD if is_known else DataError("NOT_FOUND", message, 404))

    def _session(self, request: Request) -> Session:
        session = self._org.use(bearer(request))
        if session is None:
            raise _DEAD
        if self._org.policy.restrict_rest_sessions:
            raise _RESTRICTED
        self._requests += 1
        return session

    def _guarded(self, request: Request, version: str, act: Callable[[Session], object], status: int = 200) -> Response:
        try:
            session = self._session(request)
            self._check_version(version)
            body = act(session)
        except DataError as refused:
            return data_error(request, refused)
        response = Response(b"", 204) if body is None else json_answer(body, status)
        response.headers["Sforce-Limit-Info"] = f"api-usage={self._requests}/{_DAILY_REQUESTS}"
        return response

    def _newest(self) -> int:
        """The newest API version: three a year, 66 of them in Spring '26 (February, June, October)."""
        now = dt.datetime.fromtimestamp(self._org.clock(), dt.UTC)
        return max(66, 66 + 3 * (now.year - 2026) + (now.month - 2) // 4)

    def _check_version(self, version: str) -> None:
        found = re.fullmatch(r"v(\d+)\.0", version)
        if found is None or int(found[1]) > self._newest():
            raise MISSING
        if int(found[1]) < FIRST_VERSION:
            raise DataError("UNSUPPORTED_API_VERSION", f"API version {version} is retired", 410)

    def _page(self, text: str, start: int, version: str) -> dict[str, Any]:
        total, records = self._data.query(text, version)
        end = start + self._org.policy.query_batch_size
        page: dict[str, Any] = {"totalSize": total, "done": end >= len(records), "records": records[start:end]}
        if not page["done"]:
            page["nextRecordsUrl"] = f"/services/data/{version}/query/{make_locator(text, end)}"
        return page


def data_error(request: Request, refused: DataError) -> Response:
    """An error in the form of the REST API: a list of one, in JSON unless the client asks for XML alone."""
    fields = {"errorCode": refused.code, "message": refused.message}
    accept = request.headers.get("Accept", "")
    if "xml" in accept and "json" not in accept and "*/*" not in accept:
        inner = Markup("<Error><errorCode>{errorCode}</errorCode><message>{message}</message></Error>").format(**fields)
        return Response(f"{_XML}<Errors>{inner}</Errors>", refused.status, content_type="application/xml;charset=UTF-8")
    return json_answer([{"message": refused.message, "errorCode": refused.code}], refused.status)


def _bulk_error(request: Request, code: str, message: str, status: int) -> Response:
    fields = {"exceptionCode": code, "exceptionMessage": message}
    return json_answer(fields, status) if _wants_json(request) else _xml("error", fields, status, _BULK)


def _xml(name: str, fields: dict[str, str], status: int, namespace: str) -> Response:
    inner = Markup("").join(Markup("<{0}>{1}</{0}>").format(key, value) for key, value in fields.items())
    body = f'{_XML}<{name} xmlns="{namespace}">{inner}</{name}>'
    return Response(body, status, content_type="application/xml")


def _wants_json(request: Request) -> bool:
    return "json" in f"{request.content_type} {request.headers.get('Accept', '')}"


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
    return f"{('Winter', 'Spring', 'Summer')[season]} '{21 + year:02}"
