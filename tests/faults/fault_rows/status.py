"""Answers whose status means an error or an unusable answer."""

import json

from fault_rows.causes import answer, fault, good, refusal, status, wire
from fault_rows.row import PASSES, TOKEN, UNANSWERED, Row
from kinetic_auth_core import AuthenticationError, ServiceUnavailableError, TransientAuthenticationError
from kinetic_auth_core.testing import Html

ROWS = [
    Row("status", "200 with an HTML page", fault(Html(200)), advice="not Salesforce's token endpoint"),
    Row("status", "404 with an HTML page", fault(Html(404)), advice="not Salesforce's token endpoint"),
    Row("status", "403 with an HTML page", fault(Html(403))),
    Row(
        "status",
        "503 with an HTML page",
        fault(Html(503)),
        ServiceUnavailableError,
        **PASSES,
        advice="status.salesforce",
    ),
    Row("status", "500 with a line of text", status(500), ServiceUnavailableError, **PASSES),
    Row("status", "502 with a line of text", status(502), ServiceUnavailableError, **UNANSWERED),
    Row("status", "504 with a line of text", status(504), ServiceUnavailableError, **UNANSWERED),
    Row("status", "429 with a line of text", status(429), ServiceUnavailableError, **PASSES),
    Row("status", "429, to be tried after a day", status(429, retry_after="86400"), ServiceUnavailableError),
    Row("status", "503, to be tried after an absurd time", status(503, retry_after="9" * 40), ServiceUnavailableError),
    Row(
        "status",
        "500 with an unknown error",
        refusal("brand_new", "", b"500 Oops"),
        TransientAuthenticationError,
        **PASSES,
    ),
    Row("status", "101 Switching Protocols", wire(b"HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n")),
    Row(
        "status",
        "103 Early Hints, and no answer after it",
        wire(b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n"),
        **UNANSWERED,
    ),
    Row("status", "204 No Content", wire(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")),
    Row(
        "status",
        "206 Partial Content with a session",
        answer(json.dumps(good()).encode(), status=b"206 Partial Content"),
    ),
    Row("status", "304 Not Modified", wire(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n")),
    Row(
        "status",
        "a redirect, with secrets in its query",
        answer(b"", b"Location: https://u:p@evil.example/x?t=" + TOKEN.encode(), status=b"302 Found"),
        advice="My Domain",
    ),
    Row("status", "a redirect that would repeat the POST", answer(b"", b"Location: /elsewhere", status=b"307 Again")),
    Row("status", "a redirect to nowhere", answer(b"", status=b"301 Moved")),
    Row("status", "an unknown error", refusal("brand_new", "something new"), AuthenticationError),
    Row("status", "400 with JSON without an error", answer(b'{"message": "no"}', status=b"400 Bad Request")),
    Row("status", "400 with an error that is not text", refusal(["invalid_grant"])),
    Row("status", "200 with an error that is not text", refusal({"a": 1}, status=b"200 OK")),
]
