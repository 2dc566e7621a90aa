"""Faults of the connection: what can go wrong between a right answer and the client.

A fault is a record; `FaultPlan` decides which request it strikes. It acts at one of three points: it gives an answer of
its own in place of the right one (`replace`), it changes a good answer (`alter`), or it spoils the sending of an answer
(`send`). Faults of the answer itself are in `hostile_answers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol

import attrs
from werkzeug.wrappers import Response

Stage = Literal["connect", "request", "answer"]


class Wire(Protocol):
    """The connection to one client, as a fault sees it."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def wait(self, seconds: float) -> None:
        """Wait, unless the emulator stops; then raise `ConnectionAbortedError`."""

    def hang_up(self) -> None:
        """Close the connection once the answer is done."""

    def reset(self) -> None:
        """Close the connection with a TCP reset."""


@attrs.frozen
class Fault:
    """A fault that does nothing; the base of all others."""

    @property
    def stage(self) -> Stage:
        """When it strikes: as a client connects, when a request has been read, or when a good answer is ready."""
        return "request"

    def replace(self) -> Response | None:
        """The answer to give in place of the right one, or None to let the request be handled."""
        return None

    def alter(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields to send in place of those of a good JSON answer."""
        return fields

    def send(self, wire: Wire, head: bytes, body: bytes) -> None:
        """Send an answer: `head` is the status line and headers with the empty line, `body` what follows."""
        wire.write(head + body)


@attrs.frozen
class Delay(Fault):
    """The request is handled at once and answered late.

    Args:
        seconds: How late.
    """

    seconds: float

    def send(self, wire: Wire, head: bytes, body: bytes) -> None:
        """Wait, then send everything."""
        wire.wait(self.seconds)
        wire.write(head + body)


@attrs.frozen
class Reset(Fault):
    """The connection is closed with a TCP reset.

    Args:
        at: `"connect"`: as soon as a client connects, before any TLS handshake. `"request"`: when the request has been
            read, without handling it. `"headers"`, `"body"`: in the middle of either, the request having been handled.
    """

    at: Literal["connect", "request", "headers", "body"] = "request"

    @property
    def stage(self) -> Stage:
        """Before the request is read, or after."""
        return "connect" if self.at == "connect" else "request"

    def replace(self) -> Response | None:
        """Keep the request from being handled, if it is to be."""
        return Response(status=500) if self.at == "request" else None

    def send(self, wire: Wire, head: bytes, body: bytes) -> None:
        """Send as much as was asked for, then reset."""
        if self.at == "headers":
            wire.write(head[: len(head) // 2])
        elif self.at == "body":
            wire.write(head + body[: len(body) // 2])
        wire.reset()


@attrs.frozen
class Truncated(Fault):
    """The connection is closed in an orderly way before the body that the headers promise is complete.

    Args:
        fraction: How much of the body is sent, from 0 to 1.
    """

    fraction: float = 0.5

    def send(self, wire: Wire, head: bytes, body: bytes) -> None:
        """Send the first part only."""
        wire.write(head + body[: int(len(body) * self.fraction)])
        wire.hang_up()


@attrs.frozen
class Dribble(Fault):
    """The answer comes a byte at a time, so that no single read times out.

    Args:
        interval_s: Seconds between two bytes.
        part: `"headers"` to begin with the status line, `"body"` to send the headers at once.
        endless: True to go on until the client gives up: with a header or a body that never ends.
    """

    interval_s: float = 0.05
    part: Literal["headers", "body"] = "body"
    endless: bool = False

    def send(self, wire: Wire, head: bytes, body: bytes) -> None:
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
