"""Sockets that the system does not give: no more open files, and a kernel without IPv6."""

import errno
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_core.transport.client import TokenRequest, Transport

OUT_OF_FILES = """
import os, resource, socket, sys
from kinetic_auth_core.errors import TransportError
from kinetic_auth_core.transport.client import TokenRequest, Transport
from kinetic_auth_core.transport.connections import tallied

url, form = sys.argv[1], TokenRequest({"grant_type": "x"})
transport = Transport(connect_timeout=5, read_timeout=5, deadline=10, keep_alive=False)
transport.post(url, form)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
files = []
try:
    while True:
        files.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    with tallied() as tally:
        transport.post(url, form)
except TransportError as error:
    failed = error
for file in files:
    os.close(file)
print(failed.message, failed.retryable, failed.unanswered, tally.arrived)
print(transport.post(url, form).status)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_login_for_which_no_file_is_left_has_sent_nothing_and_the_next_one_works(sf: SalesforceEmulator) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", OUT_OF_FILES, f"{sf.url}/services/oauth2/token"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.splitlines() == [
        f"no connection to 127.0.0.1: {os.strerror(errno.EMFILE)}. True False 0",
        "400",
    ]


def test_an_address_of_ipv6_is_passed_over_where_the_system_has_no_ipv6(
    sf: SalesforceEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_socket, real_addresses = socket.socket, socket.getaddrinfo

    def socket_of_this_kernel(family: int = -1, *args: Any, **kwargs: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real_socket(family, *args, **kwargs)

    def addresses(_host: str, port: int, *wanted: Any) -> list[Any]:  # httpretty's has no parameter `type`
        return [*real_addresses("::1", port, *wanted), *real_addresses("127.0.0.1", port, *wanted)]

    transport = Transport(connect_timeout=5, read_timeout=5, deadline=10)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", socket_of_this_kernel)
        patched.setattr(socket, "getaddrinfo", addresses)
        assert transport.post(f"{sf.url}/services/oauth2/token", TokenRequest({"grant_type": "x"})).status == 400
    transport.close()
