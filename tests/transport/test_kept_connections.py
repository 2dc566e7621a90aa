"""Kept connections: for how long they are used, what happens when one breaks, and that none prints what it sends."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kinetic_auth_core.errors import TransportError
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_core.transport.client import TokenRequest, Transport

pytestmark = pytest.mark.usefixtures("full_tier")

FORM = TokenRequest({"grant_type": "password", "password": "canary-password"})
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def transport(**settings: object) -> Transport:
    bounds = {"connect_timeout": 5.0, "read_timeout": 5.0, "deadline": 10.0}
    return Transport(**{**bounds, **settings})  # type: ignore[arg-type]


class Server:
    """Answers on each connection as often as it is allowed to, then resets it when the next request arrives.

    Args:
        answers: How many requests a connection answers, given its number from 0.
    """

    def __init__(self, answers: Callable[[int], int]) -> None:
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/services/oauth2/token"
        self.requests: list[int] = []  # the number of the connection of each

    def serve(self) -> None:
        for number in range(100):
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(number, connection), daemon=True).start()

    def _serve(self, number: int, connection: socket.socket) -> None:
        with connection:
            for served in range(100):
                received = b""
                while b"canary-password" not in received:
                    if not (piece := connection.recv(65536)):
                        return
                    received += piece
                self.requests.append(number)
                if served >= self._answers(number):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                connection.sendall(ANSWER)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def server(answers: Callable[[int], int] = lambda _: 100) -> Iterator[Server]:
    made = Server(answers)
    thread = threading.Thread(target=made.serve)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def test_a_connection_that_was_used_a_moment_ago_is_used_again() -> None:
    with server() as host:
        carrier = transport()
        for _ in range(3):
            carrier.post(host.url, FORM)
        carrier.close()
    assert host.requests == [0, 0, 0]


@pytest.mark.parametrize("clock", ["monotonic", "time"], ids=["idle for a minute", "frozen for a minute"])
def test_a_connection_that_was_idle_for_long_is_replaced_before_anything_is_sent(
    clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(time, clock)
    with server() as host:
        carrier = transport()
        carrier.post(host.url, FORM)
        monkeypatch.setattr(time, clock, lambda: real() + 60)
        carrier.post(host.url, FORM)
        carrier.close()
    assert host.requests == [0, 1]


def test_a_clock_that_is_set_back_keeps_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    with server() as host:
        carrier = transport()
        carrier.post(host.url, FORM)
        monkeypatch.setattr(time, "time", lambda: real() - 3600)
        carrier.post(host.url, FORM)
        carrier.close()
    assert host.requests == [0, 0]


def test_a_request_over_a_kept_connection_that_broke_is_repeated_over_a_new_one() -> None:
    with server(lambda number: 1 if number == 0 else 100) as host:
        carrier = transport()
        carrier.post(host.url, FORM)
        assert carrier.post(host.url, FORM).status == 200
        carrier.close()
    assert host.requests == [0, 0, 1]


def test_a_request_over_a_new_connection_that_breaks_is_not_repeated() -> None:
    with server(lambda _: 0) as host:
        carrier = transport()
        with pytest.raises(TransportError, match="broke before an answer came") as caught:
            carrier.post(host.url, FORM)
        carrier.close()
    assert caught.value.unanswered
    assert host.requests == [0]


def test_without_keep_alive_each_request_has_a_connection_of_its_own() -> None:
    """So a password login over a connection that broke fails for no other reason than the new one."""
    with server(lambda _: 1) as host:
        carrier = transport(keep_alive=False)
        for _ in range(3):
            assert carrier.post(host.url, FORM).status == 200
        carrier.close()
    assert host.requests == [0, 1, 2]


def test_a_password_login_never_goes_over_a_kept_connection(sf: SalesforceEmulator) -> None:
    import kinetic_auth_core as kinetic

    with kinetic.resolve("password", **sf.settings("password")) as source:
        before = len(sf.requests)
        for _ in range(3):
            source.authenticate()
    assert len({request.connection for request in sf.requests[before:]}) == 3


@pytest.mark.parametrize("provider", ["password", "jwt-bearer"])
def test_the_debug_level_that_an_application_sets_for_http_client_prints_no_login(
    provider: str, sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import kinetic_auth_core as kinetic

    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with kinetic.resolve(provider, **sf.settings(provider)) as source:
        session = source.session()
        assert source.is_alive(session)
        source.revoke(session)
    printed = "".join(capfd.readouterr())
    assert printed == ""
