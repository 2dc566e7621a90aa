"""Checks of what a provider needs of this machine: a program that it runs, a port where the browser comes back."""

import errno
import os
import shutil
import socket

from kinetic_auth_core.cli.doctor.examination import Examination
from kinetic_auth_core.cli.doctor.store import has_a_token
from kinetic_auth_core.cli.exit_codes import USAGE
from kinetic_auth_core.settings.schema import names_a_program, schema

#: Errors of `bind` where the machine has no IPv6.
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
_FREE_THE_PORT = "End that program, or set redirect_port to another port that the app has as a callback URL."


def check_command(examination: Examination) -> None:
    """A program that the provider runs."""
    report, instance = examination.report, examination.instances[0]
    programs = [each for each in schema(type(instance)) if names_a_program(each)]
    for each in programs:
        value = os.path.expanduser(str(each.value_of(instance)))  # noqa: PTH111 - it may be a name on PATH
        if (found := shutil.which(value)) is None:
            what = f"the command {value} is not on PATH and not an executable file."
            report.add(
                "command", "failure", what, f"Install it, or set {each.name} to its path.", each.name, code=USAGE
            )
        else:
            report.add("command", "ok", f"{found}.", "", each.name)


def check_callback_port(examination: Examination) -> None:
    """The loopback port where a login in the browser comes back: nobody else listens there, and it may be used."""
    report, instance = examination.report, examination.instances[0]
    port = getattr(instance, "redirect_port", None)
    if not getattr(type(instance), "asks_a_person", False) or not isinstance(port, int):
        return
    problem = next(filter(None, (_port_problem(host, port) for host in ("127.0.0.1", "::1"))), None)
    if problem is None:
        report.add("callback port", "ok", f"{port} can be used.", "", "redirect_port")
    elif has_a_token(examination):
        what = f"{problem} A kept refresh token logs in without it."
        report.add("callback port", "warning", what, _FREE_THE_PORT, "redirect_port")
    else:
        report.add("callback port", "failure", problem, _FREE_THE_PORT, "redirect_port", code=USAGE)


def _port_problem(host: str, port: int) -> str | None:
    """Why a program cannot listen at a port, as a sentence; None if it can, or the machine lacks the interface."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if os.name == "posix":  # a connection that has just ended does not keep the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(1)
    except OSError as error:
        if host == "::1" and error.errno in _ABSENT:
            return None
        if error.errno == errno.EADDRINUSE:
            return f"another program listens at port {port} ({host}), where the browser has to come back to."
        return f"the port {port} cannot be used at {host} ({os.strerror(error.errno or 0)})."
    return None
