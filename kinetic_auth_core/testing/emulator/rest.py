"""What a client asks of the REST API in its first minute: versions, limits, query, records, upsert, describe.

Any other path below `/services` checks the token too, and then says that it is not emulated, in the content type that
was asked for. So does Bulk API v1, of which there are jobs without batches, and SOAP and the Streaming API, of which
there is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import attrs
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator.content import (
    JSON_ALONE,
    bearer,
    bulk_answer,
    data_error,
    json_answer,
    json_object,
    soap_fault,
    wants_xml,
)
from kinetic_auth_core.testing.emulator.faults import Answer
from kinetic_auth_core.testing.emulator.models import Session, new_id
from kinetic_auth_core.testing.emulator.org import Org, newest_version
from kinetic_auth_core.testing.emulator.sobjects import SObjects, make_locator, read_locator
from kinetic_auth_core.testing.emulator.soql import MISSING, DataError, no_external_id

FIRST_VERSION: Final = 31
"""The first API version that still exists; the ones before have been retired, with 410."""

_DAILY_REQUESTS: Final = 15000
_FIRST_WITH_CREATED: Final = 46  # the first API version whose upsert has a body for a record that was there
_RESOURCES_OF_OBJECTS: Final = frozenset(
    {"approvalLayouts", "compactLayouts", "deleted", "listviews", "namedLayouts", "quickActions", "updated"}
)
_DEAD: Final = DataError("INVALID_SESSION_ID", "Session expired or invalid", 401)
_RESTRICTED: Final = DataError("INVALID_SESSION_ID", "This session is not valid for use with the REST API", 401)

Endpoint = Answer | Callable[[Request], Answer]


@attrs.frozen
class Asked:
    """A request with a live session, for one version of the API."""

    request: Request
    version: str
    session: Session


class RestEndpoints:
    """The endpoints below `/services` that need a token."""

    def __init__(self, org: Org, data: SObjects) -> None:
        self._org = org
        self._data = data
        self._requests = 0
        self._bulk_jobs: dict[str, str] = {}  # the state of each
        self.own: dict[str, Endpoint] = {}
        """What a test has put behind the token check, by path."""

    def versions(self, request: Request) -> Response:
        """List the API versions, which needs no token."""
        if wants_xml(request):
            return data_error(request, JSON_ALONE)
        numbers = range(FIRST_VERSION, newest_version(self._org.clock()) + 1)
        return json_answer(
            [{"label": _label(each), "url": f"/services/data/v{each}.0", "version": f"{each}.0"} for each in numbers]
        )

    # What needs a live session and a version: `guarded` makes endpoints of these. Each returns the body of the answer.

    def resources(self, asked: Asked) -> dict[str, str]:
        """What a version offers, and the identity URL of the user."""
        names = ("limits", "query", "queryAll", "sobjects")
        urls = {name: f"/services/data/{asked.version}/{name}" for name in names}
        return {**urls, "identity": self._org.identity_url(asked.session.user)}

    def limits(self, asked: Asked) -> dict[str, Any]:
        """Answer `/limits`."""
        left = _DAILY_REQUESTS - self._requests
        return {
            "DailyApiRequests": {"Max": _DAILY_REQUESTS, "Remaining": left},
            "DailyBulkApiBatches": {"Max": 15000, "Remaining": 15000},
        }

    def query(self, asked: Asked) -> dict[str, Any]:
        """Answer `/query?q=` and `/queryAll?q=`, with `columns=true` what the columns are."""
        query = asked.request.args
        if "explain" in query:
            raise no_answer(asked.request)
        if query.get("columns", "").lower() == "true":
            return self._data.columns(query.get("q", ""))
        return self._page(asked, query.get("q", ""), 0, asked.request.path.rstrip("/").endswith("queryAll"))

    def query_more(self, asked: Asked, locator: str) -> dict[str, Any]:
        """Answer `/query/<locator>`."""
        return self._page(asked, *read_locator(locator))

    def objects(self, asked: Asked) -> dict[str, Any]:
        """Answer `/sobjects`."""
        found = [self._data.describe(kind, asked.version) for kind in self._data.kinds()]
        return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": found}

    def sobject(self, asked: Asked, kind: str) -> dict[str, Any]:
        """Answer `GET /sobjects/<object>`, which describes it, and `POST`, which creates a record."""
        if asked.request.method == "POST":
            return {"id": self._data.create(kind, json_object(asked.request)), "success": True, "errors": []}
        return {"objectDescribe": self._data.describe(kind, asked.version), "recentItems": []}

    def describe(self, asked: Asked, kind: str) -> dict[str, Any]:
        """Answer `/sobjects/<object>/describe`."""
        return self._data.describe(kind, asked.version, fields=True)

    def record(self, asked: Asked, kind: str, key: str) -> dict[str, Any] | None:
        """Answer `GET`, `PATCH` and `DELETE` of `/sobjects/<object>/<id>`; not `/sobjects/<object>/listviews`."""
        if key in _RESOURCES_OF_OBJECTS:
            raise no_answer(asked.request)
        if not re.fullmatch(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?", key):
            self._data.kind(kind)
            raise no_external_id(key)
        if asked.request.method == "PATCH":
            self._data.update(kind, key, json_object(asked.request))
        elif asked.request.method == "DELETE":
            self._data.delete(kind, key)
        else:
            return self._data.get(kind, key, asked.version, asked.request.args.get("fields"))
        return None

    def external(self, asked: Asked, kind: str, name: str, value: str) -> dict[str, Any] | None:
        """Answer `/sobjects/<object>/<custom field>/<value>`: the record with that value, which PATCH may create."""
        method = asked.request.method
        if not name.lower().endswith("__c") or method not in {"GET", "HEAD", "PATCH", "DELETE"}:
            raise no_answer(asked.request)
        if method == "PATCH":
            key, created = self._data.upsert(kind, name, value, json_object(asked.request))
            answer = {"id": key, "success": True, "errors": []}
            if int(asked.version[1:-2]) < _FIRST_WITH_CREATED and not created:
                return None
            return {**answer, "created": created}
        return self.record(asked, kind, self._data.find(kind, name, value))

    def guarded(self, act: Callable[..., dict[str, Any] | None]) -> Callable[..., Response]:
        """An endpoint that checks token and version, has `act` make the body, and gives errors their form."""

        def endpoint(request: Request, version: str, **names: str) -> Response:
            try:
                session = self._session(request)
                self._check_version(version)
                wants_another = wants_xml(request)
                if wants_another and request.method not in {"GET", "HEAD"}:
                    raise JSON_ALONE  # before it changes anything
                body = act(Asked(request, version, session), **names)
                if wants_another:
                    raise JSON_ALONE
            except DataError as refused:
                return data_error(request, refused)
            made = 201 if request.method == "POST" or (body or {}).get("created") else 200
            response = Response(b"", 204) if body is None else json_answer(body, made)
            if body is None:
                del response.headers["Content-Type"]
            response.headers["Sforce-Limit-Info"] = f"api-usage={self._requests}/{_DAILY_REQUESTS}"
            return response

        return endpoint

    # What checks the token in its own way

    def bulk(self, request: Request, rest: str) -> Response:
        """Answer Bulk API v1, which has its own header for the token and its own error for a dead one."""

        def refused(code: str, message: str, status: int = 400) -> Response:
            return bulk_answer(request, "error", {"exceptionCode": code, "exceptionMessage": message}, status)

        if self._org.use(request.headers.get("X-SFDC-Session", "") or bearer(request)) is None:
            return refused("InvalidSessionId", "Invalid session id")
        found = re.fullmatch(r"\d+\.0/job(?:/(\w+))?", rest)
        if found is None:
            return refused("NotFound", f"the emulator has no /services/async/{rest}", 404)
        if found[1] is None and request.method != "POST":
            return refused("NotFound", f"the emulator has no list of jobs: POST /services/async/{rest} makes one", 404)
        job_id = found[1] or new_id("750")
        if found[1] and job_id not in self._bulk_jobs:
            return refused("InvalidJob", f"Unable to find job {job_id}")
        if request.method == "POST":
            state = re.search(rb"\b(Closed|Aborted)\b", request.get_data())
            self._bulk_jobs[job_id] = state[1].decode() if state else "Open"
        job = {"id": job_id, "state": self._bulk_jobs[job_id]}
        return bulk_answer(request, "jobInfo", job, 200 if found[1] else 201)

    def soap(self, request: Request, rest: str) -> Response:
        """Answer the SOAP APIs by faults: `login()` is off, as in new orgs, and nothing else is emulated."""
        if request.path in self.own:
            return self.other(request)
        body = request.get_data(as_text=True)
        if re.search(r"<(\w+:)?login\b", body) or request.headers.get("SOAPAction") == "login":
            message = "SOAP API login() is disabled by default in this org. The emulator has no SOAP: log in by OAuth"
            return soap_fault("INVALID_OPERATION", message, 500)
        enclosed = re.search(r"sessionId>([^<]*)<", body)
        if self._org.use(enclosed[1] if enclosed else bearer(request)) is None:
            message = "Invalid Session ID found in SessionHeader: Illegal Session"
            return soap_fault("INVALID_SESSION_ID", message, 500 if enclosed else 401)
        return soap_fault("NOT_FOUND", f"The emulator has no /services/Soap/{rest}", 500 if enclosed else 404)

    def streaming(self, request: Request, version: str) -> Response:
        """Answer the Streaming API in the form of its protocol (Bayeux): nothing of it is emulated."""
        sent = request.get_json(force=True, silent=True)
        messages = [each for each in (sent if isinstance(sent, list) else [sent]) if isinstance(each, dict)]
        if not messages:
            return data_error(request, no_answer(request))
        is_live = self._org.use(bearer(request)) is not None
        error = f"404::{no_answer(request).message}" if is_live else "401::Authentication invalid"
        refused = {"successful": False, "error": error, "advice": {"reconnect": "none"}}
        return json_answer([{"channel": each.get("channel"), "id": each.get("id"), **refused} for each in messages])

    def other(self, request: Request, refused: HTTPException | None = None) -> Response:
        """Answer any other request below `/services`: what a test has put there, or why there is no answer."""
        try:
            self._session(request)
            if version := re.match(r"/services/data/([^/]+)", request.path):
                self._check_version(version[1])
        except DataError as refusal:
            return data_error(request, refusal)
        endpoint = self.own.get(request.path)
        if endpoint is not None:
            return (endpoint if isinstance(endpoint, Answer) else endpoint(request)).replace()
        return data_error(request, no_answer(request, refused))

    def _session(self, request: Request) -> Session:
        session = self._org.use(bearer(request))
        if session is None:
            raise _DEAD
        if self._org.policy.restrict_rest_sessions:
            raise _RESTRICTED
        self._requests += 1
        return session

    def _check_version(self, version: str) -> None:
        found = re.fullmatch(r"v(\d+)\.0", version)
        if found is None or int(found[1]) > newest_version(self._org.clock()):
            raise MISSING
        if int(found[1]) < FIRST_VERSION:
            raise DataError("UNSUPPORTED_API_VERSION", f"API version {version} is retired", 410)

    def _page(self, asked: Asked, text: str, start: int, deleted: bool) -> dict[str, Any]:
        total, records = self._data.query(text, asked.version, deleted=deleted)
        wanted = re.search(r"batchSize=(\d+)", asked.request.headers.get("Sforce-Query-Options", ""))
        size = self._org.policy.query_batch_size
        end = start + (min(size, max(200, int(wanted[1]))) if wanted else size)
        page: dict[str, Any] = {"totalSize": total, "done": end >= len(records), "records": records[start:end]}
        if not page["done"]:
            page["nextRecordsUrl"] = f"/services/data/{asked.version}/query/{make_locator(text, end, deleted)}"
        return page


def no_answer(request: Request, refused: HTTPException | None = None) -> DataError:
    """The error that says that a resource takes other methods, or that the emulator has no such resource."""
    if isinstance(refused, MethodNotAllowed):
        allowed = ",".join(sorted(set(refused.valid_methods or ()) - {"OPTIONS"}))
        return DataError(
            "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed. Allowed are {allowed}", 405
        )
    return DataError("NOT_FOUND", f"The emulator does not have this resource: {request.path}", 404)


def _label(number: int) -> str:
    """The release of an API version: three a year, version 50 being Winter '21."""
    year, season = divmod(number - 50, 3)
    return f"{('Winter', 'Spring', 'Summer')[season]} '{21 + year:02}"
