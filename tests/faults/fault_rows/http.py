"""Answers that are invalid HTTP, or too large."""

import json
import zlib

from fault_rows.causes import answer, fault, good, wire
from fault_rows.row import Row
from kinetic_auth_core.testing import Huge


def packed(content: bytes, wbits: int = 31) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(content) + packer.flush()


ROWS = [
    Row("HTTP", "an answer that is not HTTP", wire(b"SSH-2.0-OpenSSH_9.9\r\n")),
    Row("HTTP", "HTTP/0.9: only a body", wire(b"<html>hello</html>")),
    Row("HTTP", "a status that is not a number", wire(b"HTTP/1.1 OK good\r\n\r\n{}")),
    Row(
        "HTTP",
        "5,000 headers",
        wire(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n{}"),
    ),
    Row("HTTP", "a header of 100 KB", wire(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}")),
    Row("HTTP", "headers for ever", wire(b"HTTP/1.1 200 OK\r\n", endless=b"X: y\r\n" * 100)),
    Row("HTTP", "an invalid header line", wire(b"HTTP/1.1 200 OK\r\nno header\r\nX: y\r\n\r\n{}")),
    Row("HTTP", "two lengths", wire(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}")),
    Row(
        "HTTP",
        "a chunk length that is not a number",
        wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    ),
    Row(
        "HTTP",
        "chunks for ever",
        wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", endless=b"1000\r\n" + b" " * 4096 + b"\r\n"),
    ),
    Row("HTTP", "a body of 100 MB", fault(Huge(100_000_000))),
    Row("HTTP", "a body without end or length", fault(Huge(100_000_000, declared=False))),
    Row(
        "HTTP",
        "a gzip bomb of 100 MB, not requested",
        fault(Huge(100_000_000, compressed=True)),
        settings={"read_timeout": 20.0, "deadline": 30.0},
        at_most_s=20.0,
    ),
    Row("HTTP", "a deflate bomb", answer(packed(b" " * 20_000_000, 15), b"Content-Encoding: deflate")),
    Row("HTTP", "invalid gzip data", answer(b"no gzip", b"Content-Encoding: gzip")),
    Row("HTTP", "truncated gzip data", answer(packed(json.dumps(good()).encode())[:-9], b"Content-Encoding: gzip")),
    Row("HTTP", "a content coding that was not requested", answer(b"x", b"Content-Encoding: br")),
    Row("HTTP", "gzip twice over", answer(packed(packed(b"{}")), b"Content-Encoding: gzip, gzip")),
]
