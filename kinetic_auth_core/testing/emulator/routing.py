"""The WSGI application: from a path to its endpoint, with faults applied and a record of each request."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator.authorize import AuthorizeEndpoint
from kinetic_auth_core.testing.emulator.content import data_error
from kinetic_auth_core.testing.emulator.control_plane import PREFIX, ControlPlane
from kinetic_auth_core.testing.emulator.faults import TOKEN_PATH, Fault, FaultPlan
from kinetic_auth_core.testing.emulator.identity_provider import PATH, IdentityProvider
from kinetic_auth_core.testing.emulator.models import RequestRecord
from kinetic_auth_core.testing.emulator.oauth import FORM, OAuthEndpoints
from kinetic_auth_core.testing.emulator.org import Org
from kinetic_auth_core.testing.emulator.rest import RestEndpoints, no_answer
from kinetic_auth_core.testing.emulator.server import CONNECTION_KEY, FAULT_KEY, logger
from kinetic_auth_core.testing.emulator.sobjects import SObjects
from kinetic_auth_core.testing.emulator.soql import DataError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SHOWN_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "Host", "User-Agent")


class EmulatorApp:
    """The emulator as a WSGI application."""

    def __init__(self, org: Org, data: SObjects, plan: FaultPlan, requests_kept: int) -> None:
        self._org = org
        self._plan = plan
        self.rest = RestEndpoints(org, data)
        self._map = _routes(AuthorizeEndpoint(org), OAuthEndpoints(org, plan), self.rest, org.identity_provider)
        self.control: ControlPlane | None = None
        self.is_loopback = True
        self._lock = threading.Lock()
        self._records: deque[RequestRecord] = deque(maxlen=requests_kept)
        self._counts: Counter[tuple[str, str, int | None]] = Counter()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if not self.is_loopback:
            self._org.asked_url.set(request.host_url.rstrip("/"))
        if self.control is not None and request.path.startswith(PREFIX):
            return self.control.answer(request)(environ, start_response)
        fault = self._plan.take("request", request.path)
        response = None if fault is None else fault.replace()
        if response is None:
            try:
                response = self._route(request)
            except Exception as error:  # noqa: BLE001 - a function of a test's `add_endpoint` may raise anything
                logger.exception("the emulator failed to answer")
                message = f"the emulator failed: {type(error).__name__}"
                response = data_error(request, DataError("UNKNOWN_EXCEPTION", message, 500))
            if response.status_code == 200 and (altering := self._plan.take("answer", request.path)) is not None:
                response = _altered(altering, response)
                fault = fault or altering
        if fault is not None:
            environ[FAULT_KEY] = fault
        self._record(request, response, fault)
        return response(environ, start_response)

    def records(self) -> list[RequestRecord]:
        """The requests so far, oldest first."""
        with self._lock:
            return list(self._records)

    def count(self, method: str | None, path: str | None, status: int | None) -> int:
        """How many requests there have been with that method, path and status; None stands for any."""
        with self._lock:
            return sum(
                number
                for (each_method, each_path, each_status), number in self._counts.items()
                if method in (None, each_method) and path in (None, each_path) and status in (None, each_status)
            )

    def forget(self) -> None:
        """Forget all records and counts."""
        with self._lock:
            self._records.clear()
            self._counts.clear()

    def _route(self, request: Request) -> Response:
        try:
            if request.method == "POST" and request.path.startswith("/services/data/"):
                request.method = request.args.get("_HttpMethod", "POST").upper()  # of clients that cannot send PATCH
            path = request.path.removesuffix(".json")
            endpoint, arguments = self._map.bind_to_environ(request.environ).match(path, request.method)
            response: Response = endpoint(request, **arguments)
        except HTTPException as refused:
            if f"{request.path}/".startswith("/services/") and not request.path.startswith("/services/oauth2/"):
                return self.rest.other(request, refused)
            return data_error(request, no_answer(request, refused))
        return response

    def _record(self, request: Request, response: Response, fault: Fault | None) -> None:
        headers = request.headers
        cut_off = getattr(fault, "at", None) in {"request", "headers"}
        status = None if cut_off else response.status_code
        record = RequestRecord(
            time=self._org.clock(),
            method=request.environ["REQUEST_METHOD"],
            path=request.path,
            connection=request.environ[CONNECTION_KEY],
            status=status,
            fault=None if fault is None else type(fault).__name__,
            fields=MappingProxyType({name: len(value) for name, value in _fields(request)}),
            headers=MappingProxyType({name: headers[name] for name in _SHOWN_HEADERS if name in headers}),
        )
        with self._lock:
            self._records.append(record)
            self._counts[record.method, record.path, status] += 1


def _fields(request: Request) -> Iterable[tuple[str, str]]:
    form = request.form.items() if request.mimetype == FORM else ()
    return [*request.args.items(), *form]


def _altered(fault: Fault, response: Response) -> Response:
    fields: Any = json.loads(response.get_data()) if response.is_json else None
    if isinstance(fields, dict):
        response.set_data(json.dumps(fault.alter(fields)))
    return response


def _routes(
    authorize: AuthorizeEndpoint, oauth: OAuthEndpoints, rest: RestEndpoints, provider: IdentityProvider
) -> Map:
    data, guarded = "/services/data/<version>", rest.guarded
    return Map(
        [
            Rule(TOKEN_PATH, endpoint=oauth.token),
            Rule("/services/oauth2/authorize", endpoint=authorize.answer, methods=["GET", "POST"]),
            Rule("/services/oauth2/introspect", endpoint=oauth.introspect, methods=["POST"]),
            Rule("/services/oauth2/revoke", endpoint=oauth.revoke, methods=["GET", "POST"]),
            Rule("/services/oauth2/userinfo", endpoint=oauth.userinfo, methods=["GET", "POST"]),
            Rule("/id/<org_id>/<user_id>", endpoint=oauth.identity, methods=["GET", "POST"]),
            Rule("/id/keys", endpoint=oauth.keys, methods=["GET"]),
            Rule("/.well-known/openid-configuration", endpoint=oauth.configuration, methods=["GET"]),
            Rule(f"{PATH}/keys", endpoint=provider.keys, methods=["GET"]),
            Rule(f"{PATH}/token/<path:subject>", endpoint=provider.token, methods=["GET"]),
            Rule("/services/data", endpoint=rest.versions, methods=["GET"]),
            Rule(data, endpoint=guarded(rest.resources), methods=["GET"]),
            Rule(f"{data}/limits", endpoint=guarded(rest.limits), methods=["GET"]),
            Rule(f"{data}/query", endpoint=guarded(rest.query), methods=["GET"]),
            Rule(f"{data}/queryAll", endpoint=guarded(rest.query), methods=["GET"]),
            Rule(f"{data}/query/<locator>", endpoint=guarded(rest.query_more), methods=["GET"]),
            Rule(f"{data}/queryAll/<locator>", endpoint=guarded(rest.query_more), methods=["GET"]),
            Rule(f"{data}/sobjects", endpoint=guarded(rest.objects), methods=["GET"]),
            Rule(f"{data}/sobjects/<kind>", endpoint=guarded(rest.sobject), methods=["GET", "POST"]),
            Rule(f"{data}/sobjects/<kind>/describe", endpoint=guarded(rest.describe), methods=["GET"]),
            Rule(f"{data}/sobjects/<kind>/<key>", endpoint=guarded(rest.record), methods=["GET", "PATCH", "DELETE"]),
            Rule(f"{data}/sobjects/<kind>/<name>/<path:value>", endpoint=guarded(rest.external)),
            Rule("/services/async/<path:rest>", endpoint=rest.bulk),
            Rule("/cometd/<version>", endpoint=rest.streaming),
            Rule("/services/Soap/<path:rest>", endpoint=rest.soap, methods=["POST"]),
        ],
        strict_slashes=False,
        merge_slashes=False,
    )
