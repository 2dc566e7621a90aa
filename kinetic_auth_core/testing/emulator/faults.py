"""Faults: ways in which the emulator fails or answers wrongly, and the plan of those that a test has ordered."""

from __future__ import annotations

import fnmatch
import json
import threading
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from kinetic_auth_core.testing.emulator.server import Handler

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path

Stage = Literal["connect", "request", "grant", "answer"]


@attrs.frozen
class Fault:
    """A fault that does nothing; the base of all others."""

    @property
    def stage(self) -> Stage:
        """When it applies, as a client connects, when a request is read, when a login is decided, to a good answer."""
        return "request"

    def replace(self) -> Response | None:
        """The answer to send instead of the right one, or None to handle the request."""
        return None

    def alter(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields to send instead of those of a good JSON answer."""
        return fields

    def send(self, wire: Handler, head: bytes, body: bytes) -> None:
        """Send an answer: `head` is the status line and headers with the empty line, `body` what follows."""
        wire.write(head + body)


@attrs.frozen
class Delay(Fault):
    """The request is handled at once and answered so many seconds later."""

    seconds: float

    def send(self, wire: Handler, head: bytes, body: bytes) -> None:
        """Wait, then send everything."""
        wire.wait(self.seconds)
        wire.write(head + body)


@attrs.frozen
class Reset(Fault):
    """The connection is closed with a TCP reset.

    Args:
        at: `"connect"`: as soon as a client connects, before any TLS handshake. `"request"`: when the request has been
            read, without handling it. `"headers"`, `"body"`: in the middle of either, after handling the request.
    """

    at: Literal["connect", "request", "headers", "body"] = "request"

    @property
    def stage(self) -> Stage:
        """Before the request is read, or after."""
        return "connect" if self.at == "connect" else "request"

    def replace(self) -> Response | None:
        """Do not handle the request, if it applies before."""
        return Response(status=500) if self.at == "request" else None

    def send(self, wire: Handler, head: bytes, body: bytes) -> None:
        """Send the wanted part, then reset."""
        if self.at == "headers":
            wire.write(head[: len(head) // 2])
        elif self.at == "body":
            wire.write(head + body[: len(body) // 2])
        wire.reset()


@attrs.frozen
class Truncated(Fault):
    """The connection is closed normally before the body that the headers promise is complete.

    Args:
        fraction: How much of the body is sent, from 0 to 1.
    """

    fraction: float = 0.5

    def send(self, wire: Handler, head: bytes, body: bytes) -> None:
        """Send the first part only."""
        wire.write(head + body[: int(len(body) * self.fraction)])
        wire.hang_up()


@attrs.frozen
class Dribble(Fault):
    """The answer is sent byte by byte, so that no single read times out.

    Args:
        interval_s: Seconds between two bytes.
        part: `"headers"` to begin with the status line, `"body"` to send the headers at once.
        endless: True to continue until the client disconnects, with an endless header or body.
    """

    interval_s: float = 0.05
    part: Literal["headers", "body"] = "body"
    endless: bool = False

    def send(self, wire: Handler, head: bytes, body: bytes) -> None:
        """Send byte by byte."""
        if self.part == "body":
            wire.write(head)
        for byte in self._slowly(head, body):
            wire.write(byte)
            wire.wait(self.interval_s)

    def _slowly(self, head: bytes, body: bytes) -> Iterator[bytes]:
        slow = head + body if self.part == "headers" else body
        if self.endless:
            slow = head[:-2] + b"X-Padding: " if self.part == "headers" else b""
        for place in range(len(slow)):
            yield slow[place : place + 1]
        while self.endless:
            yield b" " if self.part == "body" else b"x"


_CHUNK: Final = 65536


@attrs.frozen
class Huge(Fault):
    """A body that is far too large.

    Args:
        size: Its size in bytes; when compressed, after decompression.
        compressed: True to send it as gzip, a thousandth of the size on the wire.
        declared: False to leave `Content-Length` out and end the body by closing the connection.
    """

    size: int = 100_000_000
    compressed: bool = False
    declared: bool = True

    def replace(self) -> Response | None:
        """Do not handle the request."""
        return Response(mimetype="application/json")

    def send(self, wire: Handler, head: bytes, body: bytes) -> None:
        """Send a very long JSON string."""
        lines = [line for line in head.split(b"\r\n") if line and not line.lower().startswith(b"content-length")]
        if self.compressed:
            packed = self._packed()
            lines += [b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed)]
            wire.write(b"\r\n".join(lines) + b"\r\n\r\n" + packed)
            return
        if self.declared:
            lines.append(b"Content-Length: %d" % self.size)
        else:
            lines.append(b"Connection: close")
            wire.hang_up()
        wire.write(b"\r\n".join(lines) + b"\r\n\r\n")
        for data in self._pieces():
            wire.write(data)

    def _pieces(self) -> Iterator[bytes]:
        start = b'{"access_token": "'[: self.size]
        yield start
        piece = b"x" * _CHUNK
        left = self.size - len(start)
        while left > 0:
            yield piece[:left]
            left -= _CHUNK

    def _packed(self) -> bytes:
        packer = zlib.compressobj(9, wbits=31)
        return b"".join([*(packer.compress(piece) for piece in self._pieces()), packer.flush()])


@attrs.frozen
class Answer(Fault):
    """Any answer instead of the right one.

    Args:
        body: Bytes or text, sent unchanged; anything else is sent as JSON.
        status: The HTTP status code.
        content_type: The `Content-Type`.
        headers: More headers.
    """

    body: object = b""
    status: int = 200
    content_type: str = "application/json;charset=UTF-8"
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def replace(self) -> Response:
        """Return the answer."""
        body = self.body if isinstance(self.body, bytes | str) else json.dumps(self.body)
        return Response(body, self.status, dict(self.headers), content_type=self.content_type)


@attrs.frozen
class Raw(Fault):
    r"""Any bytes instead of an answer, HTTP or not; then the connection is closed normally.

    Args:
        data: What to send: `b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"`.
        endless: What to send after it, repeatedly until the client disconnects; empty for nothing.
    """

    data: bytes
    endless: bytes = b""

    def replace(self) -> Response | None:
        """Do not handle the request."""
        return Response()

    def send(self, wire: Handler, head: bytes, body: bytes) -> None:
        """Send the bytes."""
        wire.hang_up()
        wire.write(self.data)
        while self.endless:
            wire.write(self.endless)


def Html(status: int = 200) -> Answer:  # noqa: N802 - named like the classes of faults
    """An HTML page with an HTTP status: of a parked domain with 200 or 404, of maintenance with 503."""
    return Answer(
        "<!DOCTYPE html>\n<html><head><title>Salesforce</title></head><body><p>We are down for maintenance.</p></body>"
        "</html>\n",
        status,
        "text/html; charset=utf-8",
    )


def Status(code: int, retry_after: str | float | None = None) -> Answer:  # noqa: N802
    """A bare HTTP status with a line of text.

    Args:
        code: The HTTP status code, for example 503 or 429.
        retry_after: The `Retry-After` header: seconds, or an HTTP date as text.
    """
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(f"Status {code}\n", code, "text/plain; charset=utf-8", headers)


def Redirect(to: str, status: int = 302) -> Answer:  # noqa: N802
    """A redirect to an address, absolute or not, which no client should follow with credentials."""
    return Answer(b"", status, "text/plain; charset=utf-8", {"Location": to})


def NotJson(status: int = 200) -> Answer:  # noqa: N802
    """A body that claims to be JSON and is not, with an HTTP status."""
    return Answer(b'access_token=none&instance_url=none {"', status)


@attrs.frozen
class Alter(Fault):
    r"""The next good JSON answer with some of its fields replaced or removed.

    Args:
        replace_fields: Fields to set, whatever their type: `{"signature": "wrong", "access_token": "a\r\nb"}`.
        drop: Names of fields to leave out.
    """

    replace_fields: Mapping[str, object] = attrs.field(factory=dict)
    drop: Collection[str] = ()

    @property
    def stage(self) -> Stage:
        """When a good answer is ready."""
        return "answer"

    def alter(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Replace and drop."""
        return {name: value for name, value in {**fields, **self.replace_fields}.items() if name not in self.drop}


@attrs.frozen
class Refusal(Fault):
    """A token request is rejected, whatever it contains: see `SalesforceEmulator.refuse`."""

    error: str
    description: str
    status: int

    @property
    def stage(self) -> Stage:
        """When a token request is decided."""
        return "grant"


@attrs.define(eq=False)
class _Order:
    fault: Fault
    path: str
    left: int | None


class FaultPlan:
    """The pending faults and rejections. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[_Order] = []

    def add(self, fault: Fault, times: int | None, path: str) -> None:
        """Add a fault; a `ValueError` if `times` is less than 1."""
        if times is not None and times < 1:
            raise ValueError("times is a number of requests, 1 or more, or None for all")
        with self._lock:
            self._orders.append(_Order(fault, path, times))

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._orders.clear()

    def take(self, stage: Stage, path: str | None = None) -> Fault | None:
        """The fault that applies now, or None."""
        if not self._orders:
            return None
        with self._lock:
            for order in self._orders:
                if order.fault.stage == stage and (path is None or fnmatch.fnmatchcase(path, order.path)):
                    if order.left is not None:
                        order.left -= 1
                        if order.left == 0:
                            self._orders.remove(order)
                    return order.fault
        return None
