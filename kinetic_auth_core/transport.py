"""The one HTTP request of a login, carried by requests: bounded in time and size, no redirects, no ambient credentials.

What the answer means is decided in `grant`.
"""

import contextlib
import os
from collections.abc import Collection, Mapping
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import attrs
import requests
import requests.adapters
import requests.certs
import requests.utils
import urllib3.exceptions

from kinetic_auth_core import bounded
from kinetic_auth_core.errors import ConfigurationError, TransportError
from kinetic_auth_core.forking import reset_after_fork
from kinetic_auth_core.once import Once
from kinetic_auth_core.settings import mask

MAX_ANSWER_BYTES = 1024 * 1024
_OPEN_FIELDS = frozenset({"grant_type", "client_id", "username", "scope"})

_CHECK_HOST = "Check login_url, and that this machine can reach that host (DNS, firewall, proxy)."


@attrs.frozen
class Form:
    """The fields of a token request. They are secrets: never shown.

    Attributes:
        fields: What is sent.
        secrets: The texts that must not show up in a message, such as the provider's secret settings.
    """

    fields: Mapping[str, str] = attrs.field(repr=False)
    secrets: Collection[str] = attrs.field(default=(), repr=False)

    def masked(self, text: str) -> str:
        """Text of the server without anything in it that we sent in confidence."""
        return mask(text, [*self.secrets, *(self.fields[name] for name in self.fields.keys() - _OPEN_FIELDS)])


@attrs.frozen
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: The headers; names in any case.
        body: The body, decoded from any content encoding.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


class LibraryError(Exception):
    """Type and message of an error from requests or urllib3. The error itself holds the request, and so the password."""


class _Adapter(requests.adapters.HTTPAdapter):
    """requests' adapter with our TLS context and bounded sockets."""

    def __init__(self, ca_bundle: str | None) -> None:
        self._ca_bundle = ca_bundle
        self._context: Any = None
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = bounded.POOL_CLASSES

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        if hasattr(manager, "proxy"):  # SOCKS managers have connection classes of their own
            manager.pool_classes_by_scheme = bounded.POOL_CLASSES
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(request, verify, cert)
        if host_params["scheme"] == "https":
            pool_kwargs = {"ssl_context": self._tls()}
        return host_params, pool_kwargs

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to do: the context verifies."""

    def _tls(self) -> Any:
        if self._context is None:
            path = self._ca_bundle or requests.certs.where()
            is_folder = Path(path).is_dir()
            try:
                self._context = bounded.tls_context(None if is_folder else path, path if is_folder else None)
            except OSError as error:
                raise ConfigurationError(
                    f"ca_bundle: {path} cannot be used: {error.strerror or error}.",
                    remedy="Give a PEM file of CA certificates, or a folder prepared with c_rehash.",
                ) from error
        return self._context


class Transport:
    """One requests session, made at first use: its connections are reused from login to login.

    Args:
        connect_timeout: Seconds for connecting, with TLS.
        read_timeout: Seconds without a byte from the server.
        deadline: Seconds for the whole request.
        proxy: The proxy's URL; None: `HTTPS_PROXY` and the like, as requests reads them.
        ca_bundle: A file or folder of CA certificates; None: `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, else certifi's.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        read_timeout: float,
        deadline: float,
        proxy: str | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
    ) -> None:
        self._timeouts = (connect_timeout, read_timeout)
        self._deadline = deadline
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._session: Once[requests.Session] = Once()
        reset_after_fork(self)

    def post(self, url: str, form: Form) -> Answer:
        """Send a form, once.

        Raises:
            TransportError: No usable answer within the time and size that are allowed, or a redirect.
            ConfigurationError: `ca_bundle` cannot be used.
        """
        failure: tuple[str, str, bool, LibraryError] | None = None
        with bounded.deadline(self._deadline):
            try:
                answer = self._send(url, form)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                failure = self._judge(error, urlsplit(url).hostname or url)
        if failure is not None:  # outside of the except block: the chain must not hold what requests raised
            message, remedy, retryable, cause = failure
            raise TransportError(message, remedy=remedy, retryable=retryable) from cause
        if len(answer.body) > MAX_ANSWER_BYTES:
            raise TransportError(
                f"the answer is longer than {MAX_ANSWER_BYTES} bytes.", remedy=_CHECK_HOST, status=answer.status
            )
        if 300 <= answer.status < 400:
            raise _redirected(answer)
        return answer

    def close(self) -> None:
        """Give the connections back. The next login opens a new one."""
        if session := self._session.take():
            session.close()

    def _send(self, url: str, form: Form) -> Answer:
        with self._session.get(self._open).post(
            url,
            data=form.fields,
            timeout=self._timeouts,
            allow_redirects=False,
            stream=True,
            proxies={"all": self._proxy} if self._proxy else requests.utils.get_environ_proxies(url),
        ) as response:
            body = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=True)
            return Answer(response.status_code, response.headers, body)

    def _open(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # no credentials from ~/.netrc; proxies and CAs of the environment are read here
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers["User-Agent"] = f"kinetic-auth/{version('kinetic-auth-core')} {session.headers['User-Agent']}"
        session.headers["Accept"] = "application/json"
        session.headers["Accept-Encoding"] = "identity"
        bundle = self._ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        adapter = _Adapter(os.fspath(bundle) if bundle else None)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _judge(self, error: Exception, host: str) -> tuple[str, str, bool, LibraryError]:
        """What to tell of an error: message, remedy, whether it can pass by itself, and the cause without the request."""
        cause = LibraryError(f"{type(error).__module__}.{type(error).__qualname__}: {self._without_proxy(str(error))}")
        chain = _chain(error)
        texts = " ".join(f"{type(link).__name__} {link}" for link in chain)
        if bounded.expired():
            return f"no complete answer from {host} within the deadline of {self._deadline:g} s.", _CHECK_HOST, True, cause
        if isinstance(error, requests.exceptions.ProxyError):
            return f"the proxy did not connect to {host}.", "Check proxy (or HTTPS_PROXY) and its credentials.", True, cause
        if "CERTIFICATE_VERIFY_FAILED" in texts:
            why = next((getattr(link, "verify_message", "") for link in chain if hasattr(link, "verify_message")), "")
            remedy = "Set ca_bundle to the CA that signed it, if that CA is yours; else check login_url."
            return f"the TLS certificate of {host} is not valid: {why}.", remedy, False, cause
        if "SSLError" in texts:
            return f"no TLS connection to {host}: the handshake failed.", _CHECK_HOST, False, cause
        if "NameResolutionError" in texts or "gaierror" in texts:
            return f"the host name {host} does not resolve.", _CHECK_HOST, True, cause
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return f"{host} did not accept a connection within {self._timeouts[0]:g} s.", _CHECK_HOST, True, cause
        if "ReadTimeoutError" in texts or "TimeoutError" in texts:
            return f"{host} sent nothing for {self._timeouts[1]:g} s.", _CHECK_HOST, True, cause
        if "NewConnectionError" in texts:
            why = next((link.strerror for link in chain if isinstance(link, OSError) and link.strerror), "it failed")
            return f"no connection to {host}: {why}.", _CHECK_HOST, True, cause
        if "IncompleteRead" in texts:
            return f"the answer of {host} is cut off.", _CHECK_HOST, True, cause
        return f"the connection to {host} broke before an answer came.", _CHECK_HOST, True, cause

    def _without_proxy(self, text: str) -> str:
        return text.replace(self._proxy, "<proxy>") if self._proxy else text

    def _after_fork(self) -> None:
        """In the child: the parent's connections are not ours to use."""
        self._session = Once()


def _chain(error: BaseException) -> list[BaseException]:
    """An error, what it wraps in its arguments and `reason`, and its causes."""
    found: list[BaseException] = []
    queue: list[Any] = [error]
    while queue:
        link = queue.pop(0)
        if isinstance(link, BaseException) and link not in found:
            found.append(link)
            queue += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
    return found


def _redirected(answer: Answer) -> TransportError:
    where = ""
    with contextlib.suppress(ValueError):
        target = urlsplit(answer.headers.get("Location", ""))
        where = urlunsplit((target.scheme, target.netloc.rpartition("@")[2], target.path, "", ""))[:200]
    where = "".join(char if char.isprintable() else "?" for char in where)
    return TransportError(
        f"the host redirects to {where or 'an address that it does not name'} (HTTP {answer.status}), which is not followed.",
        remedy="Set login_url to the host that answers itself, such as your My Domain.",
        status=answer.status,
    )
