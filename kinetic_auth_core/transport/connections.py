"""How a login connects: until when, where to, by which proxy, with which client certificate; and what it has sent.

The part of the transport that loads no HTTP library, with the connections that sources share. The client certificate is
that of mutual TLS: a certificate and its key, in PEM files.
"""

import contextlib
import math
import os
import re
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from kinetic_auth_core.concurrency import Lazy, raise_interruption
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import PROXY_SCHEME, expanded, is_key_text
from kinetic_auth_core.redaction import secret_boundary

if TYPE_CHECKING:
    import ssl

    from kinetic_auth_core.transport.client import Transport


# A context variable, not a thread's: greenlets share their thread, and each has a context of its own.
# Weak: a signal may keep `__exit__` from resetting it. Then the deadline ends with the frames that hold it.
_current: "ContextVar[weakref.ref[Deadline] | None]" = ContextVar("kinetic_auth_deadline", default=None)


class Deadline:
    """Bounds all that this thread, greenlet or task sends while it is entered.

    An outer deadline that ends earlier still holds. It may be entered several times, one after the other: the time
    begins to run when it is entered first, and goes on between.

    Args:
        seconds: How long; None: no bound.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends_at: float | None = None
        self._outer: Deadline | None = None

    @property
    def has_passed(self) -> bool:
        """Whether it was entered and its time is over."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def __enter__(self) -> None:
        """Bound what is sent from now on."""
        self._outer = _current_deadline()
        if self._seconds is not None and self._ends_at is None:
            self._ends_at = time.monotonic() + self._seconds
        _current.set(weakref.ref(self))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Go back to the deadline around it, if there is one."""
        outer, self._outer = self._outer, None
        _current.set(None if outer is None else weakref.ref(outer))

    def extend(self, seconds: float) -> None:
        """Let it, and those around it, end that many seconds later."""
        if self._ends_at is not None:
            self._ends_at += seconds
        if self._outer is not None:
            self._outer.extend(seconds)

    def ends_at(self) -> float:
        """When it ends, or the one around it if that is earlier: seconds of the monotonic clock; infinite if never."""
        own = math.inf if self._ends_at is None else self._ends_at
        return own if self._outer is None else min(own, self._outer.ends_at())


def _current_deadline() -> Deadline | None:
    current = _current.get()
    return None if current is None else current()


@contextlib.contextmanager
def not_counted() -> Iterator[None]:
    """Do not count the time inside towards this thread's deadlines: a person was asked."""
    began, deadline = time.monotonic(), _current_deadline()
    try:
        yield
    finally:
        if deadline is not None:
            deadline.extend(time.monotonic() - began)


def remaining_s() -> float:
    """Seconds until the deadline, 0 once it has passed; infinite where there is none."""
    deadline = _current_deadline()
    return math.inf if deadline is None else max(deadline.ends_at() - time.monotonic(), 0.0)


def bounded_timeout_s(timeout_s: float | None) -> float | None:
    """A timeout in seconds (None: endless), shortened to what remains until the deadline.

    Raises:
        TimeoutError: The deadline has passed.
    """
    remaining = remaining_s()
    if not remaining:
        raise TimeoutError("the deadline has passed")
    if timeout_s is None:
        return None if remaining == math.inf else remaining
    return min(timeout_s, remaining)


class Redirection:
    """Where logins go while tests redirect them to an emulator.

    It holds for the whole process, all threads included, so that no login escapes that the test did not think of. Only
    `kinetic_auth_core.testing.redirect_logins` turns it on: no setting and no variable does.

    Args:
        url: The emulator's address.
        settings: Gives the settings that log in there, by the name of a provider; `ValueError` if it has none for it.
    """

    def __init__(self, url: str, settings: Callable[[str], Mapping[str, Any]]) -> None:
        self.url = url
        self.settings = settings


_begun: list[Redirection] = []
#: What holds now. `SessionSource.session` reads it: a call would cost a quarter more.
active_redirection: Redirection | None = None


def current_redirection() -> Redirection | None:
    """What holds now, or None."""
    return active_redirection


@contextlib.contextmanager
def redirected(redirection: Redirection) -> Iterator[None]:
    """Let a redirection hold while the body runs."""
    global active_redirection  # noqa: PLW0603 - it holds for the whole process
    _begun.append(redirection)
    active_redirection = redirection
    try:
        yield
    finally:
        _begun.remove(redirection)
        active_redirection = _begun[-1] if _begun else None


def check_source(made_within: Redirection | None) -> None:
    """Check that a source was resolved under the redirection that holds now.

    Raises:
        ConfigurationError: It was resolved before, or under one that has ended.
    """
    if made_within is current_redirection():
        return
    if made_within is None:
        message = "redirect_logins is active, and this source was resolved before it, so nothing was sent."
    else:
        message = "this source was resolved within redirect_logins, which has ended, so nothing was sent."
    raise ConfigurationError(message, remedy="Resolve the source within the redirect_logins that is to hold for it.")


def check_address(url: str) -> None:
    """Check that a request may go to an address.

    Raises:
        ConfigurationError: Logins are redirected, and it is another host than the emulator's.
    """
    redirection = current_redirection()
    if redirection is None or urlsplit(url)[:2] == urlsplit(redirection.url)[:2]:
        return
    raise ConfigurationError(
        f"redirect_logins is active, so nothing was sent to {urlsplit(url).hostname}.",
        remedy="Resolve the source within redirect_logins: then it logs in at the emulator.",
    )


class LoginTally:
    """Counts the requests and pauses of one login; filled by the code that makes them.

    Attributes:
        attempts: Requests that were tried.
        arrived: Those of them that may have reached the server.
        asked: How often the provider's own `authenticate` was called: a wrapper may have refused the login before.
        key_fingerprint: SHA-256 of the signing key's public key, as hex; None without one.
        waited_s: Seconds of pauses.
    """

    def __init__(self) -> None:
        self.attempts = self.arrived = self.asked = 0
        self.key_fingerprint: str | None = None
        self.waited_s = 0.0


_tally: ContextVar[LoginTally | None] = ContextVar("kinetic_auth_login_tally", default=None)


@contextlib.contextmanager
def tallied() -> Iterator[LoginTally]:
    """Collect the facts of the login that runs inside."""
    tally = LoginTally()
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)


def current_tally() -> LoginTally:
    """The tally of the current login; outside of a login, one that is discarded."""
    return _tally.get() or LoginTally()


#: How the source asks for providers without connections of their own.
_DEFAULT_CONNECTION = {"connect_timeout": 5.0, "read_timeout": 30.0, "deadline": 60.0}
#: How many are kept: each holds connections, and tenants may each have a proxy of their own.
MOST = 64


class Transports:
    """One transport for each combination of time-outs, proxy and CA bundle, opened at first use; `MOST` at a time."""

    def __init__(self) -> None:
        self._by_connection: dict[tuple[tuple[str, Any], ...], Lazy[Transport]] = {}

    def get(self, **connection: Any) -> "Transport":
        """The transport for these arguments of `Transport`."""
        from kinetic_auth_core.transport.client import Transport

        lazy = self._by_connection.setdefault(tuple(sorted(connection.items())), Lazy())  # atomic
        while len(connections := list(self._by_connection)) > MOST:  # the oldest goes; a thread that uses it can go on
            if (oldest := self._by_connection.pop(connections[0], None)) and (transport := oldest.take()):
                transport.close()
        return lazy.get(lambda: Transport(**connection))

    def without_grant(self, instance: Any) -> "Transport":
        """That for requests about the session of a provider without connections of its own, by its `ca_bundle`."""
        return self.get(**_DEFAULT_CONNECTION, ca_bundle=getattr(instance, "ca_bundle", None))

    def close(self) -> None:
        """Close the connections. The next use opens new ones."""
        for lazy in list(self._by_connection.values()):
            if transport := lazy.take():
                transport.close()


@secret_boundary
def http_get(url: str, headers: Mapping[str, str], *, deadline_s: float = 10.0) -> tuple[int, bytes]:
    """Ask a service for a secret, once, with the same care as a login: for key loaders.

    Bounded in time and size; https, or http on the loopback interface; no redirect is followed, `~/.netrc` is not
    read, no cookie is kept. Proxies and CA certificates are those of the environment. The request does not count as a
    try of the login during which it is sent.

    Args:
        url: Of the resource, with its query.
        headers: To send; their values are secrets and in no message.
        deadline_s: Seconds for the whole request; an earlier deadline of the login holds as well.

    Returns:
        The HTTP status, and the body.

    Raises:
        TransportError: No usable answer, or a redirect.
        ConfigurationError: The URL is plain http, or the CA certificates of the environment cannot be used.
    """
    from kinetic_auth_core.transport.client import TokenRequest, Transport

    transport = Transport(connect_timeout=min(deadline_s, 5.0), read_timeout=deadline_s, deadline=deadline_s)
    try:
        with tallied():
            response = transport.get(url, TokenRequest(headers))
    finally:
        transport.close()
    return response.status, response.body


def may_have_proxies() -> bool:
    """Whether a proxy may be configured: in the environment, or in the settings of macOS or Windows.

    `requests` walks through all names and values of the environment four times to find out.
    """
    has_settings = sys.platform == "darwin" or os.name == "nt"  # as urllib.request asks
    return has_settings or "_proxy" in " ".join(os.environ).lower()


def variable_of(url: str, proxy: str) -> str:
    """The variable of the environment that names the proxy which was chosen for a URL; `proxy` where none does."""
    scheme = url.partition(":")[0].lower()
    kinds = (f"{scheme}_proxy", "all_proxy")
    named = [name for name in os.environ if os.environ[name].strip() == proxy and name.lower() in kinds]
    # as `urllib.request.getproxies_environment` reads them: in any case, lower case first
    return min(named, key=lambda name: (kinds.index(name.lower()), name != name.lower(), name), default="proxy")


def host_and_port(proxy: str | None) -> str:
    """A proxy's host and port with a blank before, and nothing else of its address; empty where there is none."""
    with contextlib.suppress(ValueError):
        text = proxy or ""
        parts = urlsplit(text if re.match(PROXY_SCHEME, text) else f"http://{text}")
        if parts.hostname:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            return f" {host}{'' if parts.port is None else f':{parts.port}'}"
    return ""


_MAX_BYTES = 1024 * 1024


class ClientCertificate(NamedTuple):
    """Where certificate and key are.

    Attributes:
        cert: A PEM file with the certificate, and those of its authorities below the root.
        key: A PEM file with its private key; None: that is in the same file.
    """

    cert: str | os.PathLike[str]
    key: str | os.PathLike[str] | None = None

    def state(self) -> tuple[tuple[int, ...], ...]:
        """What tells the files from what they were before: they may be renewed while the process runs."""
        found = []
        for path in (each for each in (self.cert, self.key) if each):
            try:
                stat = expanded(path).stat()
            except (OSError, ValueError) as error:  # said when they are loaded
                raise_interruption(error)
                continue
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def load(self, context: "ssl.SSLContext") -> None:
        """Have a TLS context identify itself by it.

        Args:
            context: The context, which gets certificate and key.

        Raises:
            ConfigurationError: A file cannot be used; it names the setting.
        """
        problems = list(self._problems())
        if not problems:
            try:
                context.load_cert_chain(expanded(self.cert), expanded(self.key) if self.key else None, _no_passphrase)
            except (OSError, ValueError) as error:
                raise_interruption(error)
                problems = [self._why(error)]
        if problems:
            raise ConfigurationError.of("Cannot use the client certificate", problems)

    def _problems(self) -> Iterator[str]:
        """What is wrong with the files themselves."""
        for name, path in (("client_cert", self.cert), ("client_cert_key", self.key)):
            if path is None:
                continue
            try:
                found = expanded(path)
                if found.exists() and not found.is_file():
                    yield f"{name}: {os.fspath(path)} is not a file"
                    continue
                with found.open("rb") as file:
                    too_large = len(file.read(_MAX_BYTES + 1)) > _MAX_BYTES
            except (OSError, ValueError) as error:
                raise_interruption(error)
                yield f"{name}: {os.fspath(path)} cannot be read: {getattr(error, 'strerror', None) or error}"
            else:
                if too_large:
                    yield f"{name}: {os.fspath(path)} is larger than {_MAX_BYTES} bytes"

    def _why(self, error: Exception) -> str:
        """Why OpenSSL does not take the files."""
        name, path = ("client_cert_key", self.key) if self.key else ("client_cert", self.cert)
        if isinstance(error, _EncryptedError):
            return f"{name}: the key in {os.fspath(path)} is encrypted: give it without a passphrase"
        if "KEY_VALUES_MISMATCH" in str(error) or "KEY_TYPE_MISMATCH" in str(error):
            return f"{name}: the key in {os.fspath(path)} does not belong to the certificate in {os.fspath(self.cert)}"
        with_key = "" if self.key else ", with its private key unless client_cert_key names another file"
        import ssl

        try:
            ssl.create_default_context().load_verify_locations(expanded(self.cert))
        except (OSError, ValueError):
            return f"client_cert: {os.fspath(self.cert)} is not a PEM file with a certificate{with_key}"
        return f"{name}: there is no private key in PEM form in {os.fspath(path)}"


class _EncryptedError(ValueError):
    """The key has a passphrase."""


def _no_passphrase() -> bytes:
    """Called for an encrypted key; without it, OpenSSL would ask at the terminal."""
    raise _EncryptedError


def client_certificate_problems(cert: object, key: object) -> list[str]:
    """What is wrong with the settings `client_cert` and `client_cert_key`, as `name: what`.

    Args:
        cert: The value of `client_cert`; None: not set.
        key: The value of `client_cert_key`; None: not set.
    """
    if not isinstance(cert, str | os.PathLike) or not isinstance(key, str | os.PathLike | None):
        return []  # not set; a wrong type is reported elsewhere
    if is_key_text(cert) or is_key_text(key):
        return []  # reported elsewhere, without the key
    import ssl

    try:
        ClientCertificate(cert, key).load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except ConfigurationError as error:
        return list(error.problems)
    return []
