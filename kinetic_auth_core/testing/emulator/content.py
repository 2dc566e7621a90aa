"""The forms in which clients ask and are answered: JSON, XML, SOAP, and where they put the token."""

from __future__ import annotations

import json
import zlib
from typing import Any, Final

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator.soql import DataError

JSON: Final = "application/json;charset=UTF-8"
JSON_ALONE: Final = DataError("NOT_ACCEPTABLE", "The emulator answers this resource in JSON alone", 406)
_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_BULK: Final = "http://www.force.com/2009/06/asyncapi/dataload"
_FAULT: Final = Markup(
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
    'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:sf="urn:fault.partner.soap.sforce.com">'
    "<soapenv:Body><soapenv:Fault><faultcode>sf:{0}</faultcode>"
    "<faultstring>{0}: {1}</faultstring><detail><sf:fault><sf:exceptionCode>{0}</sf:exceptionCode>"
    "<sf:exceptionMessage>{1}</sf:exceptionMessage></sf:fault></detail></soapenv:Fault></soapenv:Body>"
    "</soapenv:Envelope>"
)


def json_answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json.dumps(body), status, headers, content_type=JSON)


def bearer(request: Request) -> str:
    """The token of an `Authorization: Bearer` header, or nothing."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return str(token).strip() if scheme.lower() in {"bearer", "oauth"} else ""


def wants_xml(request: Request) -> bool:
    """Whether a client asks for XML alone: by the end of the path, by `format`, or by `Accept`."""
    accept = request.args.get("format") or request.headers.get("Accept", "")
    return request.path.endswith(".xml") or ("xml" in accept and "json" not in accept and "*/*" not in accept)


def data_error(request: Request, refused: DataError) -> Response:
    """An error in the form of the REST API: a list of one, in JSON unless the client asks for XML alone."""
    if wants_xml(request):
        fields = _elements({"errorCode": refused.code, "message": refused.message})
        body = f"{_XML}<Errors><Error>{fields}</Error></Errors>"
        return Response(body, refused.status, content_type="application/xml;charset=UTF-8")
    error: dict[str, Any] = {"message": refused.message, "errorCode": refused.code}
    if refused.fields:
        error["fields"] = list(refused.fields)
    return json_answer([error], refused.status)


def bulk_answer(request: Request, name: str, fields: dict[str, str], status: int) -> Response:
    """An answer of Bulk API v1, named `jobInfo` or `error`: in JSON if the request is, else in XML."""
    if "json" in f"{request.content_type} {request.headers.get('Accept', '')}":
        return json_answer(fields, status)
    body = f'{_XML}<{name} xmlns="{_BULK}">{_elements(fields)}</{name}>'
    return Response(body, status, content_type="application/xml")


def soap_fault(code: str, message: str, status: int) -> Response:
    """A fault of the SOAP APIs, by which clients find its code and message."""
    return Response(_FAULT.format(code, message), status, content_type="text/xml;charset=UTF-8")


def json_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a request, also in gzip or deflate; a `DataError` if it is something else."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if "xml" in request.mimetype or encoding not in {"identity", "gzip", "deflate"}:
        raise DataError("UNSUPPORTED_MEDIA_TYPE", "the emulator takes JSON alone, as it is, in gzip or deflate", 415)
    try:
        data = request.get_data()
        body = json.loads(data if encoding == "identity" else zlib.decompress(data, zlib.MAX_WBITS | 32))
    except (ValueError, zlib.error) as error:
        raise DataError("JSON_PARSER_ERROR", "the body is not JSON") from error
    if not isinstance(body, dict):
        raise DataError("JSON_PARSER_ERROR", "the body is not a JSON object")
    return body


def _elements(fields: dict[str, str]) -> Markup:
    return Markup("").join(Markup("<{0}>{1}</{0}>").format(name, value) for name, value in fields.items())
