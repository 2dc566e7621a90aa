"""Where something is, as people write it: paths with `~`, URLs to which credentials may be sent, references to secrets.

A reference is `scheme://<rest>?<query>#<field>`. The core itself resolves `env://NAME` and `file://PATH`; installed key
loaders resolve the other schemes. Nothing is fetched before a login.
"""

import codecs
import errno
import functools
import io
import ipaddress
import json
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from kinetic_auth_core._published import NAMES
from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.errors import ConfigurationError, KeyLoadError


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` expanded.

    Raises:
        ConfigurationError: It begins with the home folder of an unknown user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{path} begins with the home folder of an unknown user") from None


def absolute(path: Path) -> Path:
    """A path from the root; as it is, where the working directory has been removed."""
    try:
        return path.absolute()
    except FileNotFoundError:
        return path


#: The longest file that is read: a config file, key, certificate, secret or stored session has a few kilobytes.
MAX_FILE_BYTES = 1024 * 1024
_WRITER_WITHIN_S = 30.0  # a person may have to allow it


def read_file(
    path: str | os.PathLike[str],
    *,
    may_be_pipe: bool = False,
    follow_links: bool = True,
    check: Callable[[os.stat_result], None] | None = None,
) -> bytes:
    """Read a file as a whole, in bounded time and memory: no device, no pipe, at most 1 MiB.

    Args:
        path: The file.
        may_be_pipe: Whether a named pipe is read as well, up to its end: 1Password has `.env` files of that kind.
        follow_links: Whether the path may be a symbolic link.
        check: Called with the state of the open file, before anything is read.

    Raises:
        OSError: It cannot be read, is no file, or is too long; `strerror` says which.
        ValueError: The path has a NUL in it.
    """
    # Before it is opened: that may block, or rewind a tape.
    _refuse_unreadable(os.stat(path), may_be_pipe=may_be_pipe)  # noqa: PTH116 - for each read of a stored session
    flags = _READ if follow_links else _READ | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags)
    with io.FileIO(descriptor) as file:
        state = os.fstat(descriptor)
        _refuse_unreadable(state, may_be_pipe=may_be_pipe)
        if check is not None:
            check(state)
        pieces = _pipe(file) if stat.S_ISFIFO(state.st_mode) else iter(lambda: file.read(_PIECE_BYTES), b"")
        content = b""
        for piece in pieces:
            content += piece or b""
            if len(content) > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, f"it is longer than {MAX_FILE_BYTES} bytes")
    return content


_PIECE_BYTES = 65_536
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _refuse_unreadable(state: os.stat_result, *, may_be_pipe: bool) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISREG(state.st_mode) or (may_be_pipe and stat.S_ISFIFO(state.st_mode)):
        return
    kind = "a pipe" if stat.S_ISFIFO(state.st_mode) else "a socket" if stat.S_ISSOCK(state.st_mode) else "a device"
    raise OSError(errno.EINVAL, f"it is {kind}, not a file")


def _pipe(file: io.RawIOBase) -> Iterator[bytes]:
    """What is written into a pipe, until its writer closes it.

    Raises:
        OSError: Nobody writes for half a minute.
    """
    give_up_at = time.monotonic() + _WRITER_WITHIN_S
    has_begun = False
    while True:
        piece = file.read(_PIECE_BYTES)  # None: a writer is there and has not written yet; empty: there is no writer
        if piece:
            has_begun, give_up_at = True, time.monotonic() + _WRITER_WITHIN_S
            yield piece
        elif piece == b"" and has_begun:
            return
        elif time.monotonic() >= give_up_at:
            raise OSError(errno.ETIMEDOUT, f"it is a pipe into which nothing was written for {_WRITER_WITHIN_S:g} s")
        else:
            time.sleep(0.01)


def is_null(path: Path) -> bool:
    """Whether a path leads to the null device, which stands for no file at all."""
    try:
        state, null = path.stat(), Path(os.devnull).stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == null.st_rdev


def is_there(path: Path) -> bool:
    """Whether a file exists; False if this process may not look."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_key_text(value: object) -> bool:
    """Whether the value of a path is the key or certificate itself: a path is shown in messages, reprs and logs.

    Its line ends may be escaped; a few backslashes followed by an n are a path on Windows.
    """
    text = os.fsdecode(value) if isinstance(value, str | os.PathLike) else ""
    if len(text) >= 1024 or any(each in text for each in ("-----BEGIN", "\n", "\r")):
        return True
    return "\\n" in text and re.search(r"(?:\\n[^\\]*){8}", text) is not None


def url_problem(url: object) -> str | None:
    """Why credentials must not be sent to a URL; None if they may be. The text does not quote the URL."""
    if not isinstance(url, str):
        return "expected text, an https:// URL"
    if not url.isprintable() or " " in url:
        return "has a blank or control character in it"
    if "\\" in url:
        return "has a backslash in it"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its text quotes parts of the URL
        return "is not a valid URL"
    if parts.scheme not in ("https", "http") or "://" not in url:
        return "must begin with https://"
    if not parts.hostname:
        return "names no host"
    if "@" in parts.netloc:
        return "has a user or password in it; leave them out"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "has a query or fragment; leave it out"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return f"is plain http, which would send credentials in the clear: write https://{parts.hostname}"
    return None


def instance_url_problem(url: object) -> str | None:
    """Why tokens must not be sent to an org's URL: as `url_problem`, and it must have no path."""
    return _instance_url_problem(url) if isinstance(url, str) else url_problem(url)


@functools.lru_cache(maxsize=256)  # each session is checked, where it is made and where it is used
def _instance_url_problem(url: str) -> str | None:
    if problem := url_problem(url):
        return problem.partition(",")[0] if problem.startswith("is plain http") else problem  # without the host
    return "has a path; leave it out" if urlsplit(url).path.strip("/") else None


#: What requests and urllib3 can speak to; a proxy without a scheme is spoken to by http.
_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
PROXY_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*):/+"  #: How the address of a proxy begins that says its scheme.


def proxy_problem(proxy: str) -> str | None:
    """Why a proxy's address cannot be used, without a quotation of it; None if it can be.

    Args:
        proxy: The address, with or without a scheme.
    """
    scheme = re.match(PROXY_SCHEME, proxy)
    if (scheme and scheme[1].lower() not in _PROXY_SCHEMES) or (not scheme and "@" in proxy):
        return "must begin with http://, https:// or socks5h://"
    malformed = "is malformed: write http://HOST:PORT"
    if re.search(r"[\t\r\n]", proxy):  # `urlsplit` passes over them
        return malformed
    try:
        parts = urlsplit(proxy if scheme else f"http://{proxy}")
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its text quotes parts of the address
        return malformed
    if port == 0 or not (":" in host or re.fullmatch(r"[\w.-]+", host)):
        return malformed
    credentials = unquote(parts.netloc.rpartition("@")[0])
    if parts.scheme.startswith("http") and any(ord(character) > 0xFF for character in credentials):
        return "has credentials with a character beyond Latin-1, which HTTP does not carry"
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is the loopback interface: `localhost`, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def folders_upwards() -> Iterator[Path]:
    """The working directory and its parents; nothing if the working directory is gone."""
    try:
        start = Path.cwd()
    except FileNotFoundError:
        return
    yield start
    yield from start.parents


def find_upwards(name: str, *, may_be_pipe: bool = False) -> Path | None:
    """The nearest file of that name in the working directory or a parent; one that leads to the null device counts.

    Args:
        name: The file's name.
        may_be_pipe: Whether a named pipe counts.
    """
    for folder in folders_upwards():
        path = folder / name
        if is_there(path) or is_null(path) or (may_be_pipe and _is_pipe(path)):
            return path
    return None


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo()
    except (OSError, ValueError):
        return False


#: Resolved by the core itself.
BUILTIN_SCHEMES = frozenset({"file", "env"})
#: Always references; if the key loader is missing, the error names the package that has it.
KNOWN_SCHEMES = frozenset({*BUILTIN_SCHEMES, *NAMES["kinetic_auth.key_loaders"]})

_URI = r"(?s)(?P<scheme>[^:/?#\s]+)://(?P<rest>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<field>.*))?"


@attrs.frozen
class Reference:
    """The place of a secret, not the secret itself. `str()` returns the URI as it was written.

    Attributes:
        scheme: The key loader: `secret-manager`, `env`, ...
        rest: The part after `://`, unchanged: it may be an ARN with colons.
        query: The options after `?`.
        field: The part after `#`, such as a field of a JSON secret; None if there is none.
        fresh: The value must be fetched again: a key loader must not return a cached one.
    """

    scheme: str
    rest: str
    query: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}), hash=False)
    field: str | None = None
    fresh: bool = attrs.field(default=False, kw_only=True, eq=False)
    _uri: str = attrs.field(default="", repr=False, alias="uri")

    def __str__(self) -> str:
        """The URI."""
        return self._uri


def parse_reference(text: str, schemes: Collection[str]) -> Reference | None:
    """Parse a secret's value as a reference.

    Args:
        text: The value.
        schemes: The schemes of the installed key loaders.

    Returns:
        The reference; None if the text does not start with a known scheme, so that it is the secret itself.

    Raises:
        ConfigurationError: It starts with a known scheme, but the reference is incomplete.
    """
    match = re.fullmatch(_URI, text.strip())
    if match is None or match["scheme"] not in KNOWN_SCHEMES.union(schemes):
        return None
    if not match["rest"]:
        raise ConfigurationError(f"the reference {text.strip()!r} names nothing after {match['scheme']}://")
    if match["query"] is not None and match["scheme"] in BUILTIN_SCHEMES:
        raise ConfigurationError(
            f"the reference {text.strip()!r} has a ?query, which {match['scheme']}:// does not accept"
        )
    query = MappingProxyType(dict(parse_qsl(match["query"] or "", keep_blank_values=True)))
    return Reference(match["scheme"], match["rest"], query, match["field"], uri=text.strip())


def load_builtin(reference: Reference, lookup: Callable[[str], str | None] = os.environ.get) -> bytes:
    """Resolve `env://NAME` or `file://PATH`; with a `#field`, that field of the JSON object there.

    Args:
        reference: The reference to resolve.
        lookup: Returns the value of an environment variable.

    Raises:
        KeyLoadError: The variable is not set, the file cannot be read, or the field does not exist.
    """
    raw = _variable(reference, lookup) if reference.scheme == "env" else _file(reference)
    if reference.field is None:
        return raw
    value = _json_field(raw, reference.field)
    if value is None:
        what = f"{reference}: there is no JSON object with a text field {reference.field!r}."
        raise KeyLoadError(what, remedy="Correct the field, or leave #... out to use the whole value.")
    return value


def _variable(reference: Reference, lookup: Callable[[str], str | None]) -> bytes:
    if value := lookup(reference.rest):
        return os.fsencode(value)
    what = f"{reference}: the environment variable {reference.rest} is not set."
    raise KeyLoadError(what, remedy="Set it, or correct the name.")


def _file(reference: Reference) -> bytes:
    try:
        return read_file(expanded(reference.rest)).removeprefix(codecs.BOM_UTF8)  # editors of Windows write one
    except (OSError, ValueError) as error:  # ValueError: an unknown home, or a NUL in the path
        raise_interruption(error)
        raise KeyLoadError(
            f"{reference}: {reference.rest} cannot be read: {getattr(error, 'strerror', None) or error}.",
            remedy="Correct the path or its permissions.",
        ) from error


def _json_field(raw: bytes, field: str) -> bytes | None:
    try:
        value = json.loads(raw)[field]
        return value.encode() if isinstance(value, str) else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
