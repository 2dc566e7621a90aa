"""`kinetic-auth emulator`: emulates a Salesforce org on this machine until it is stopped."""

import contextlib
import errno
import json
import os
import re
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import json_option
from kinetic_auth_core.cli.output import emit, emit_json, note
from kinetic_auth_core.errors import ConfigurationError

_MARK: Final = "# Written by kinetic-auth emulator, which removes this file when it ends."
_MOST_READ: Final = 65_536
_NO_ADDRESS: Final = {errno.EADDRNOTAVAIL, socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL}
#: The address of the emulator, in the `.env` file or the config file that it has written.
_URL: Final = re.compile(rb'^(?:SF_LOGIN_URL=|login_url = ")(https?://[^"\s]+)', re.MULTILINE)


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", help="The address to listen on; 0.0.0.0 for a service container.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port to listen on. Default: a free one.")
@click.option("--tls", is_flag=True, help="Serve https, with a certificate authority of its own (SF_CA_BUNDLE).")
@click.option("--seed", metavar="TEXT", help="Make the credentials from TEXT: the same text, the same credentials.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a rule of the org: rotate_refresh_tokens=true.",
)
@click.option("--control-token", metavar="TEXT", help="What the control plane wants as a bearer token.")
@click.option(
    "--env-file",
    "written",  # not env_file, which would be read
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the settings to FILE instead of stdout.",
)
@click.option(
    "--write-config",
    "config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a kinetic-auth.toml to FILE.",
)
@json_option
def emulator(  # noqa: PLR0917 - the options of the command
    host: str,
    port: int,
    tls: bool,
    seed: str | None,
    policies: tuple[str, ...],
    control_token: str | None,
    written: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Emulate a Salesforce org on 127.0.0.1, until SIGINT (Ctrl-C) or SIGTERM.

    Prints the settings that log in to it, as a .env file. The private key is in a temporary folder; it and the files
    that were written are removed at the end. Tests in other languages drive it over HTTP, at /__emulator__/. Needs the
    extra "testing".

    \b
    --json prints {"url", "org_id", "variables": {name: value}}
    where "variables" is null with --env-file.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    testing = load_testing()
    for path in (written, config):
        _check_free(path)
    org = testing.SalesforceEmulator(port=port, tls=tls, host=host, seed=seed, control_token=control_token)
    for text in policies:
        _set_policy(org.policy, text)
    with _signals_to_stop() as stop, contextlib.closing(org), contextlib.ExitStack() as files:
        try:
            org.start()
        except OSError as error:
            if error.errno in _NO_ADDRESS:
                raise ConfigurationError(
                    f"the emulator cannot listen on {host}, which is not an address of this machine.",
                    remedy="Choose another --host, or leave it out for 127.0.0.1.",
                ) from error
            raise ConfigurationError(
                f"the emulator cannot listen on port {port}: {error.strerror or error}.",
                remedy="Choose another --port, or leave it out for a free one.",
            ) from error
        if config is not None:
            _write(files, config, _config_file(org))
        settings = "\n".join(f"{name}={dotenv_value(value)}" for name, value in org.env().items())
        if written is not None:
            _write(files, written, settings + "\n")
        if as_json:
            emit_json({"url": org.url, "org_id": org.org_id, "variables": org.env() if written is None else None})
        elif written is None:
            emit(settings)
        note(f"The org {org.org_id} is at {org.url} until Ctrl-C or SIGTERM.")
        where = "With the lines above in .env" if written is None else f"Its settings are in {written}"
        is_found = written is None or written.resolve() == Path.cwd() / ".env"
        named = "" if is_found else f" --env-file {shlex.quote(str(written))}"
        logins = [f"kinetic-auth login {provider}{named}" for provider in ("jwt-bearer", "password")]
        note(f"{where}; log in with: {logins[0]}, or: {logins[1]}")
        stop.recv(1)


def _set_policy(policy: Any, text: str) -> None:
    """Set a rule of the org from the text of an option.

    Raises:
        ConfigurationError: There is no such rule, or the value does not fit it.
    """
    name, _, value = text.partition("=")
    known = sorted(each for each in policy.__slots__ if not each.startswith("_"))
    if name not in known:
        raise ConfigurationError(f"--policy {name}: there is no such rule.", remedy=f"Choose from {', '.join(known)}.")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    try:
        setattr(policy, name, parsed)
    except (TypeError, ValueError) as error:
        reason = str(error.args[0]) if error.args else type(error).__name__
        raise ConfigurationError(f"--policy {name}: {value!r} does not fit: {reason}.") from error


def _config_file(org: Any) -> str:
    """A `kinetic-auth.toml` with one environment, which logs in by JWT; it holds no secret."""
    settings = org.settings("jwt-bearer") | {"private_key_path": str(org.private_key_path)}
    del settings["private_key"]
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    head = ['default_environment = "emulator"', "", "[environments.emulator]", 'provider = "jwt-bearer"']
    return "\n".join([*head, *lines, ""])


def _check_free(path: Path | None) -> None:
    """Make sure that a file can be replaced, and removed at the end.

    Raises:
        ConfigurationError: It has content that an emulator has not written, or that of an emulator that still runs.
    """
    try:
        before = path.read_bytes()[:_MOST_READ] if path is not None and path.is_file() else b""
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
    if before.strip() and not before.startswith(_MARK.encode()):
        raise ConfigurationError(
            f"{path} exists, and no emulator has written it; it would be removed at the end.",
            remedy="Name another file, or move this one away.",
        )
    if (url := _URL.search(before)) is not None and _is_served(url[1].decode()):
        raise ConfigurationError(
            f"{path} has the settings of an emulator at {url[1].decode()}, where something still listens.",
            remedy="End that emulator first, or name another file. If it has ended already, delete the file.",
        )


def _is_served(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1).close()
    except (OSError, ValueError):
        return False
    return True


def _write(files: contextlib.ExitStack, path: Path, text: str) -> None:
    """Write a file that only its owner can read, and have it removed at the end if it is still the same.

    It is written atomically: a script that waits for it never reads half of it.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    marked = f"{_MARK}\n{text}"
    try:
        unfinished.touch(mode=0o600)
        unfinished.write_text(marked, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
    files.callback(_remove, path.absolute(), marked)


def _remove(path: Path, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        if path.read_text(encoding="utf-8") == text:
            path.unlink()


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

        testing.SalesforceEmulator  # noqa: B018 - its module is loaded here
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
