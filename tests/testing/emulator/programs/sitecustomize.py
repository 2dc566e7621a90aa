"""Python imports this before a program starts: it finds the emulator at every name of salesforce.com."""

import os
import socket
from typing import Any

_real, _port = socket.getaddrinfo, int(os.environ["EMULATOR_PORT"])


def _routed(host: Any, port: Any, *args: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name.endswith(".salesforce.com"):
        return _real("127.0.0.1", _port, *args, **options)
    return _real(host, port, *args, **options)


socket.getaddrinfo = _routed
