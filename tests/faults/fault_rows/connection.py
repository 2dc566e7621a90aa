"""Connections that fail, break or do not end."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fault_rows.causes import fault, wire
from fault_rows.row import BY_JWT, PASSES, SECRET, UNANSWERED, Row, Target
from kinetic_auth_core.testing import Delay, Dribble, Reset, SalesforceEmulator, Truncated


@contextmanager
def listening(scheme: str, *, full: bool) -> Iterator[Target]:
    """A socket that nobody accepts from; `full`: its queue has no place left."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0 if full else 16)
        crowd = [socket.socket() for _ in range(4 if full else 0)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        yield Target(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
        for one in crowd:
            one.close()


@contextmanager
def nobody(_sf: SalesforceEmulator) -> Iterator[Target]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Target(f"http://127.0.0.1:{taken.getsockname()[1]}")


@contextmanager
def no_such_host(_sf: SalesforceEmulator) -> Iterator[Target]:
    yield Target("https://no-such-host.invalid")


@contextmanager
def proxy_refuses(_sf: SalesforceEmulator) -> Iterator[Target]:
    yield Target("https://login.salesforce.com")


ROWS = [
    Row("connection", "the name does not resolve", no_such_host, advice="DNS"),
    Row("connection", "nobody listens on the port", nobody, **PASSES, advice="firewall"),
    Row(
        "connection",
        "the server accepts no connection",
        lambda _: listening("http", full=True),
        **PASSES,
        settings={"connect_timeout": 0.05},
    ),
    Row(
        "connection",
        "the server accepts and says nothing",
        lambda _: listening("http", full=False),
        **UNANSWERED,
        settings={"read_timeout": 0.05},
    ),
    Row(
        "connection",
        "the answer comes later than read_timeout",
        fault(Delay(20)),
        **UNANSWERED,
        settings={"read_timeout": 0.3},
    ),
    Row("connection", "reset on accepting", fault(Reset("connect")), **BY_JWT),
    Row("connection", "reset after the request", fault(Reset("request")), **UNANSWERED),
    Row("connection", "reset amid the headers", fault(Reset("headers")), **UNANSWERED),
    Row("connection", "reset amid the body", fault(Reset("body")), **UNANSWERED),
    Row("connection", "closed without an answer", wire(), **UNANSWERED),
    Row("connection", "closed amid the headers", wire(b"HTTP/1.1 200 OK\r\nContent-Le")),
    Row("connection", "closed amid the body", fault(Truncated()), **UNANSWERED),
    Row(
        "connection",
        "the headers come a byte at a time, for ever",
        fault(Dribble(0.02, part="headers", endless=True)),
        settings={"deadline": 0.5},
    ),
    Row(
        "connection",
        "the body comes a byte at a time, for ever",
        fault(Dribble(0.02, part="body", endless=True)),
        settings={"deadline": 0.5},
    ),
    Row(
        "connection",
        "`100 Continue` for ever",
        wire(endless=b"HTTP/1.1 100 Continue\r\n\r\n"),
        settings={"deadline": 0.5},
    ),
    Row(
        "connection",
        "the proxy refuses the connection",
        proxy_refuses,
        **PASSES,
        settings={"proxy": f"http://user:{SECRET}@127.0.0.1:1"},
        advice="HTTPS_PROXY",
    ),
]
