"""The one HTTP request of a login, carried by requests: bounded in time and size, no redirects, no ambient credentials.

`TokenRequest` is sent and `TokenResponse` comes back; `oauth.endpoints` decides what it means.
"""

import contextlib
import functools
import os
import re
import ssl
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
import requests.adapters
import requests.utils
import urllib3.exceptions

from kinetic_auth_core._published import VERSION
from kinetic_auth_core.concurrency import Lazy, notice_fork, raise_interruption, reset_after_fork
from kinetic_auth_core.errors import ConfigurationError, TransportError
from kinetic_auth_core.locations import expanded, is_loopback, proxy_problem
from kinetic_auth_core.redaction import mask
from kinetic_auth_core.transport import pools
from kinetic_auth_core.transport.connections import (
    ClientCertificate,
    Deadline,
    check_address,
    current_redirection,
    current_tally,
    may_have_proxies,
    remaining_s,
    variable_of,
)
from kinetic_auth_core.transport.network_errors import CHECK_HOST, Failure, Limits, describe_network_error, is_stale
from kinetic_auth_core.transport.pools import decoded, pool_classes

_MAX_QUOTED = 300  # characters
_MOST_ENCODED = 20  # characters by which one of a secret may be encoded, such as %25u00DC
_OPEN_FIELDS = frozenset({"grant_type", "client_id", "username", "scope"})


class TokenRequest:
    """The fields of a token request. They are secrets: never shown.

    Args:
        fields: What is sent.
        secrets: The texts that must not show up in a message, such as the provider's secret settings.
    """

    def __init__(self, fields: Mapping[str, str], secrets: Collection[str] = ()) -> None:
        self.fields = fields
        self.secrets = secrets

    def masked(self, text: str) -> str:
        """Text of the server without anything in it that we sent in confidence, as it is or encoded."""
        return mask(text, self._confidential())

    def quoted(self, text: object) -> str:
        """Text of the server as a message may quote it: masked, short, printable; empty for any other value."""
        if not isinstance(text, str):
            return ""
        looked_at = _MAX_QUOTED + _MOST_ENCODED * max(map(len, self._confidential()), default=0)
        masked = self.masked(text[:looked_at])[:_MAX_QUOTED]
        return "".join(char if char.isprintable() else " " for char in masked).strip()

    def _confidential(self) -> list[str]:
        return [*self.secrets, *(self.fields[name] for name in self.fields.keys() - _OPEN_FIELDS)]


class TokenResponse:
    """What came back. It may hold a token: never shown.

    Args:
        status: The HTTP status.
        headers: The headers; names in any case.
        body: The body, decoded from any content encoding.
        at: When it was made, by our clock: the middle between request and answer, in Unix seconds.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, at: float) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.at = at


MAX_ANSWER_BYTES = 1024 * 1024
_POOL_SIZE = 64  # connections kept for threads that log in at the same time


class _Adapter(requests.adapters.HTTPAdapter):
    """requests' adapter with our TLS context and bounded sockets.

    It is used without a session of requests, which would add to a request what is not of the login: credentials from
    `~/.netrc`, cookies, the next request of a redirect.
    """

    def __init__(self, context: ssl.SSLContext, *, keep_alive: bool) -> None:
        pools.check_urllib3()
        self.headers = {
            "User-Agent": f"kinetic-auth/{VERSION} {requests.utils.default_user_agent()}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "keep-alive",
        }
        self.context = context
        self._keep_alive = keep_alive
        super().__init__(pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools(pools.POOL_CLASSES)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        if str(proxy).lower().startswith("https:"):  # urllib3 would verify the proxy by the system's CAs
            kwargs["proxy_ssl_context"] = self.context
        known = self.proxy_manager.get(proxy)
        manager = super().proxy_manager_for(proxy, **kwargs)
        if manager is not known:
            is_socks = manager.proxy is None  # those have connection classes of their own
            manager.pool_classes_by_scheme = self._pools(
                pools.bounded_socks(manager.pool_classes_by_scheme) if is_socks else pools.POOL_CLASSES
            )
        return manager

    def _pools(self, classes: dict[str, Any]) -> dict[str, Any]:
        return pool_classes(classes, keep_alive=self._keep_alive)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host_params: Any
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(request, verify, cert)
        if host_params["scheme"] == "https":
            return host_params, {"ssl_context": self.context}
        return host_params, pool_kwargs

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to do: the context verifies."""


@functools.lru_cache(maxsize=16)
def _context_of(
    ca_file: str, _state: tuple[int, ...], _class: type[ssl.SSLContext], _process_id: int, *, is_strict: bool
) -> ssl.SSLContext:
    """One context for all who trust the same file, as it is now: reading certifi's takes tens of milliseconds.

    And one for each class of contexts: gevent replaces it, after which those of the class before recurse endlessly
    (https://github.com/gevent/gevent/issues/1016). And one for each process: in the child of a fork the parent's may be
    locked by a thread that was in a handshake.
    """
    return pools.tls_context(ca_file, None, is_strict=is_strict)


_HASHED = r"[0-9a-f]{8}\.[0-9]+"  # what OpenSSL looks for in a folder


def _tls_context(ca_bundle: str | os.PathLike[str] | None, certificate: ClientCertificate | None) -> ssl.SSLContext:
    named = {
        "ca_bundle": ca_bundle,
        "REQUESTS_CA_BUNDLE": os.environ.get("REQUESTS_CA_BUNDLE", "").rstrip("\r\n"),
        "CURL_CA_BUNDLE": os.environ.get("CURL_CA_BUNDLE", "").rstrip("\r\n"),
        "certifi": requests.utils.DEFAULT_CA_BUNDLE_PATH,
    }
    source, path = next((source, path) for source, path in named.items() if path)
    try:
        found = expanded(path)
        is_strict = source == "certifi"
        if found.is_dir() and not any(re.fullmatch(_HASHED, each.name) for each in found.iterdir()):
            raise ValueError("no file in that folder is named by the hash of a certificate")
        if found.is_dir() or certificate is not None:  # one with a key is not shared
            where = (None, str(found)) if found.is_dir() else (str(found), None)
            context = pools.tls_context(*where, is_strict=is_strict)
            if certificate is not None:
                certificate.load(context)
            return context
        state = found.stat()
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("it is neither a file nor a folder")
        state_now = (state.st_ino, state.st_size, state.st_mtime_ns)
        return _context_of(str(found), state_now, ssl.SSLContext, os.getpid(), is_strict=is_strict)
    except ConfigurationError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise_interruption(error)
        raise ConfigurationError(
            f"{source}: {os.fspath(path)} cannot be used: {getattr(error, 'strerror', None) or error}.",
            remedy="Give a PEM file of CA certificates, or a folder prepared with c_rehash.",
        ) from error


class Transport:
    """One adapter of requests, made at first use: its connections are reused from login to login.

    Args:
        connect_timeout: Seconds for connecting, with TLS.
        read_timeout: Seconds without a byte from the server.
        deadline: Seconds for the whole request; an earlier `Deadline` of its thread holds as well.
        proxy: The proxy's URL; None: `HTTPS_PROXY` and the like, as requests reads them.
        ca_bundle: A file or folder of CA certificates; None: `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, else certifi's.
        client_cert: A PEM file with the certificate of this side, for mutual TLS; None: none. One that is renewed in
            its place is used from the next request on.
        client_cert_key: A PEM file with its key; None: it is in the same file.
        keep_alive: Whether a connection may be used again. False for requests that must not be sent twice: over a kept
            connection that broke, nobody knows whether the request has arrived.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        read_timeout: float,
        deadline: float,
        proxy: str | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        client_cert: str | os.PathLike[str] | None = None,
        client_cert_key: str | os.PathLike[str] | None = None,
        keep_alive: bool = True,
    ) -> None:
        self._limits = Limits(connect_timeout, read_timeout, deadline)
        self._keep_alive = keep_alive
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._certificate = None if client_cert is None else ClientCertificate(client_cert, client_cert_key)
        self._certificate_state: tuple[tuple[int, ...], ...] = ()
        self._adapter: Lazy[_Adapter] = Lazy()
        reset_after_fork(self)

    def post(self, url: str, request: TokenRequest) -> TokenResponse:
        """Send a form, once.

        Raises:
            TransportError: No usable answer within the time and size that are allowed, or a redirect.
            ConfigurationError: `ca_bundle` cannot be used.
        """
        return self._exchange("POST", url, request)

    def get(self, url: str, headers: TokenRequest) -> TokenResponse:
        """Ask for a resource, once.

        Args:
            url: Of the resource.
            headers: To send; they hold a token.

        Raises:
            TransportError: As for `post`.
            ConfigurationError: As for `post`.
        """
        return self._exchange("GET", url, headers)

    def _exchange(self, method: str, url: str, request: TokenRequest) -> TokenResponse:
        outcome: TokenResponse | Failure
        _refuse_plain_http(url)
        check_address(url)
        notice_fork()  # the parent's connections are not ours
        with Deadline(self._limits.deadline_s):
            adapter = self._opened()
            proxies = self._proxies(url)
            try:
                outcome = self._send_over_a_live_connection(adapter, method, url, request, proxies)
            except (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
                ValueError,
                OverflowError,
            ) as error:
                raise_interruption(error)  # a handler's TimeoutError looks like the network's
                host = urlsplit(url).hostname or url
                outcome = describe_network_error(
                    error,
                    host=host,
                    limits=self._limits,
                    expired=remaining_s() == 0,
                    masked=lambda text: request.quoted(self._masked(text)),
                    proxy=(proxy := self._proxy_for(url, proxies)),
                    proxy_source="proxy" if self._proxy or not proxy else variable_of(url, proxy),
                )
        current_tally().arrived += isinstance(outcome, TokenResponse) or outcome.unanswered
        if isinstance(outcome, Failure):  # outside of the except block: the chain must not hold what requests raised
            raise TransportError(
                outcome.message, remedy=outcome.remedy, retryable=outcome.retryable, unanswered=outcome.unanswered
            ) from outcome.cause
        return _usable(outcome, request)

    def proxy_of(self, url: str) -> tuple[str, str] | None:
        """The proxy that carries requests to a URL, and the setting or variable that names it; None: there is none.

        Args:
            url: That is to be asked.

        Raises:
            ConfigurationError: That of the environment cannot be used.
        """
        proxy = self._proxy_for(url, self._proxies(url))
        return None if proxy is None else (proxy, "proxy" if self._proxy else variable_of(url, proxy))

    def close(self) -> None:
        """Close the connections. The next login opens new ones."""
        if adapter := self._adapter.take():
            adapter.close()

    def _send_over_a_live_connection(
        self, adapter: _Adapter, method: str, url: str, request: TokenRequest, proxies: dict[str, str]
    ) -> TokenResponse:
        """Send a request; once more for each kept connection that turns out broken.

        Only requests that may be sent twice go over kept connections.
        """
        while True:
            current_tally().attempts += 1
            try:
                return self._send(adapter, method, url, request, proxies)
            except requests.RequestException as error:
                if not remaining_s() or not is_stale(error):
                    raise

    def _send(
        self, adapter: _Adapter, method: str, url: str, request: TokenRequest, proxies: dict[str, str]
    ) -> TokenResponse:
        began = time.time()
        sent = requests.PreparedRequest()
        if method == "POST":
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            sent.prepare(method, url, {**adapter.headers, **form}, data=urlencode(request.fields))
        else:
            sent.prepare(method, url, {**adapter.headers, **request.fields})
        with adapter.send(
            sent, stream=True, timeout=(self._limits.connect_s, self._limits.read_s), proxies=proxies
        ) as response:
            at = (began + time.time()) / 2
            raw = b"".join(_pieces(response))
            coding = "" if len(raw) > MAX_ANSWER_BYTES else response.headers.get("Content-Encoding", "")
            body = decoded(raw, coding, MAX_ANSWER_BYTES)
            return TokenResponse(response.status_code, response.headers, body, at)

    def _opened(self) -> _Adapter:
        """The adapter; another one where the client certificate was renewed in its place, or TLS has another class.

        gevent and truststore replace the class of contexts, perhaps after the first login.
        """
        used = self._adapter.peek()
        is_renewed = self._certificate is not None and self._certificate.state() != self._certificate_state
        if is_renewed or (used and type(used.context) is not ssl.SSLContext):
            self._adapter.take()  # not closed: another thread may be using it
        return self._adapter.get(self._open)

    def _open(self) -> _Adapter:
        self._certificate_state = self._certificate.state() if self._certificate else ()
        return _Adapter(_tls_context(self._ca_bundle, self._certificate), keep_alive=self._keep_alive)

    def _proxies(self, url: str) -> dict[str, str]:
        """The proxies, as requests takes them; none on the way to the emulator of redirected logins.

        Raises:
            ConfigurationError: That of the setting or of the environment cannot be used.
        """
        if current_redirection() is not None:
            return {}
        proxies: dict[str, str] = {}
        if self._proxy:
            proxies = {"all": self._proxy}
        elif may_have_proxies():
            found = requests.utils.get_environ_proxies(url)
            proxies = {kind: proxy.strip() for kind, proxy in found.items()}  # a mounted secret ends in a line break
        chosen = self._proxy_for(url, proxies)
        if chosen and (problem := proxy_problem(chosen)):
            named_by = "proxy" if self._proxy else variable_of(url, chosen)
            raise ConfigurationError(f"{named_by}: the proxy's address {problem}.")
        return proxies

    def _proxy_for(self, url: str, proxies: dict[str, str]) -> str | None:
        """The proxy's URL; None where there is none."""
        with contextlib.suppress(ValueError):
            return requests.utils.select_proxy(url, proxies)
        return None

    def _masked(self, text: str) -> str:
        return text.replace(self._proxy, "<proxy>") if self._proxy else text

    def _after_fork(self) -> None:
        """In the child: the parent's connections are not ours to use."""
        self._adapter = Lazy()


def _refuse_plain_http(url: str) -> None:
    """Whatever the settings of a plugin allow: nothing leaves this machine in clear.

    Raises:
        ConfigurationError: The URL is neither https nor on the loopback interface.
    """
    host = "the host"
    try:
        parts = urlsplit(url)
        host = parts.hostname or host
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
            return
    except ValueError:  # its text quotes parts of the URL
        pass
    raise ConfigurationError(
        f"{host} would get credentials without https, so nothing was sent.",
        remedy="Write https:// before the host, such as in login_url.",
    )


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it was sent, up to one byte more than is allowed."""
    left = MAX_ANSWER_BYTES + 1
    while left > 0 and (piece := response.raw.read(left, decode_content=False)):
        left -= len(piece)
        yield piece


def _usable(response: TokenResponse, request: TokenRequest) -> TokenResponse:
    if len(response.body) > MAX_ANSWER_BYTES:
        what = f"the answer is longer than {MAX_ANSWER_BYTES} bytes."
        raise TransportError(what, remedy=CHECK_HOST, status=response.status)
    if 300 <= response.status < 400:
        raise _redirected(response, request)
    return response


def _redirected(response: TokenResponse, request: TokenRequest) -> TransportError:
    where = ""
    with contextlib.suppress(ValueError):
        target = urlsplit(response.headers.get("Location", ""))
        where = urlunsplit((target.scheme, target.netloc.rpartition("@")[2], target.path, "", ""))
    where = request.quoted(where)
    return TransportError(
        f"the host redirects to {where or 'nowhere'} (HTTP {response.status}), which is not followed.",
        remedy="Set login_url to the host that answers itself, such as your My Domain.",
        status=response.status,
    )
