"""`kinetic-auth emulator`: emulates a Salesforce org on this machine until it is stopped."""

import contextlib
import os
import re
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.output import emit, note
from kinetic_auth_core.errors import ConfigurationError


@click.command(cls=Command, short_help="Emulate a Salesforce org on this machine, for tests.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port to listen on. Default: a free one.")
@click.option("--tls", is_flag=True, help="Serve https, with a certificate authority of its own (SF_CA_BUNDLE).")
@click.option(
    "--env-file",
    "written",  # not env_file, which would be read
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the settings to FILE instead of stdout.",
)
def emulator(port: int, tls: bool, written: Path | None) -> None:
    """Emulate a Salesforce org on 127.0.0.1, until SIGINT (Ctrl-C) or SIGTERM.

    Prints the settings that log in to it, as a .env file. The private key is in a temporary folder, which is removed
    at the end. Needs the extra "testing".

    \b
      kinetic-auth emulator --env-file .env &      # the file appears once the org answers
      until [ -s .env ]; do sleep 0.1; done
      kinetic-auth login password
      kill %1
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    testing = load_testing()
    with _signals_to_stop() as stop, contextlib.closing(testing.SalesforceEmulator(port=port, tls=tls)) as org:
        try:
            org.start()
        except OSError as error:
            raise ConfigurationError(
                f"the emulator cannot listen on port {port}: {error.strerror or error}.",
                remedy="Choose another --port, or leave it out for a free one.",
            ) from error
        settings = "\n".join(f"{name}={dotenv_value(value)}" for name, value in org.env().items())
        if written is None:
            emit(settings)
        else:
            _write(written, settings + "\n")
        note(f"The org {org.org_id} is at {org.url} until Ctrl-C or SIGTERM.")
        where = "With the lines above in .env" if written is None else f"Its settings are in {written}"
        is_found = written is None or written.resolve() == Path.cwd() / ".env"
        named = "" if is_found else f" --env-file {shlex.quote(str(written))}"
        logins = [f"kinetic-auth login {provider}{named}" for provider in ("jwt-bearer", "password")]
        note(f"{where}; log in with: {logins[0]}, or: {logins[1]}")
        stop.recv(1)


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically: a script that waits for it never reads half of it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        unfinished.touch(mode=0o600)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def dotenv_value(value: str) -> str:
    """Format a value for a `.env` file: quoted if it has blanks, quotes, `#`, `$` or a backslash.

    Args:
        value: Text without line ends.
    """
    if re.fullmatch(r"[^\s'\"`#$\\]*", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextlib.contextmanager
def _signals_to_stop() -> Iterator[socket.socket]:
    """A socket from which a byte can be read once a signal to stop has arrived, while the body runs.

    Waiting for a lock would miss a signal that arrives just before; a byte in a socket stays. SIGINT is handled even
    where it is ignored, as in the background jobs of a shell script; SIGHUP is not, because of nohup.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, _only_wake_up) for number in numbers}
        try:
            yield reader
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup_before)


def _only_wake_up(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the byte has already been written."""


def load_testing() -> ModuleType:
    """Import the package `kinetic_auth_core.testing`.

    Raises:
        ConfigurationError: The extra `testing` is not installed.
    """
    try:
        from kinetic_auth_core import testing
    except ImportError as error:
        # Chained if a package of the extra is missing; anything else is a defect of ours.
        if not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        missing = (error.name or "").partition(".")[0]
        raise ConfigurationError(
            f"the emulator needs {missing}, which is not installed.",
            remedy='pip install "kinetic-auth-core[testing]"',
        ) from error
    return testing
