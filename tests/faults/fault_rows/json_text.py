"""Answers that are invalid or ambiguous JSON."""

import json

from fault_rows.causes import answer, good, text
from fault_rows.row import ACCESS, Row

LATIN_1 = json.dumps(good(scope="é"), ensure_ascii=False).encode("latin-1")
ROWS = [
    Row("JSON", "an empty body", answer(b"")),
    Row("JSON", "truncated JSON", answer(json.dumps(good()).encode()[:-20])),
    Row("JSON", "a list", answer(json.dumps([good()]).encode())),
    Row("JSON", "a string", answer(json.dumps(ACCESS).encode())),
    Row("JSON", "null", answer(b"null")),
    Row("JSON", "UTF-16", answer(json.dumps(good()).encode("utf-16"), kind=b"application/json;charset=UTF-16")),
    Row("JSON", "UTF-16 without a mark", answer(json.dumps(good()).encode("utf-16-le"))),
    Row("JSON", "Latin-1", answer(LATIN_1, kind=b"application/json;charset=ISO-8859-1")),
    Row("JSON", "a wrong charset", answer(LATIN_1, kind=b"application/json;charset=UTF-8")),
    Row("JSON", "access_token twice", text(f'"access_token": "{ACCESS}x"')),
    Row("JSON", "instance_url twice", text('"instance_url": "https://evil.my.salesforce.com"')),
    Row("JSON", "access_token twice, once written with an escape", text(r'"access_t\u006fken": "x"')),
    Row("JSON", "a name twice in an object inside", text('"x": {"a": 1, "a": 2}')),
    Row("JSON", "NaN", text('"x": NaN')),
    Row("JSON", "a number of 100,000 digits", text(f'"x": {"1" * 100_000}')),
    Row("JSON", "nested 100,000 deep", answer(b"[" * 100_000)),
    Row("JSON", "objects nested 100,000 deep", answer(b'{"a":' * 100_000)),
    Row("JSON", "NUL bytes", answer(json.dumps(good()).encode() + b"\0\0")),
]
