"""Descriptions of network errors: what the errors of requests and urllib3 mean, and what to do."""

import http.client
import re
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple

import requests
import urllib3.exceptions

from kinetic_auth_core.concurrency import chain as chain_of
from kinetic_auth_core.redaction import LibraryError
from kinetic_auth_core.transport.connections import host_and_port
from kinetic_auth_core.transport.pools import CodingError, StaleConnectionError

CHECK_HOST = "Check login_url, and that this machine can reach that host (DNS, firewall, proxy)."
_CHECK_CA = "Set ca_bundle to the CA that signed it, if that CA is yours; else check login_url."
_NEED_SOCKS = "For a SOCKS proxy: pip install PySocks."
_CHECK_PROXY = "Check {source} and its credentials."
_PROXY_WITHOUT_TLS = (
    "Write http:// before the address of the proxy, in {source}: https:// is for a proxy that speaks TLS itself, also "
    "where the host behind it does."
)
_STRICT = (
    "Python 3.13 and newer take no certificate that differs from RFC 5280, such as one without key identifiers. Name "
    "the CA in ca_bundle (or REQUESTS_CA_BUNDLE): certificates of a CA that is named there are not checked so strictly."
)


class Failure(NamedTuple):
    """Why there is no answer.

    Attributes:
        message: As a sentence.
        remedy: What to do.
        retryable: Whether it can pass by itself.
        unanswered: Whether the request may have arrived.
        cause: The exception of the library.
    """

    message: str
    remedy: str
    retryable: bool
    unanswered: bool
    cause: LibraryError


class Limits(NamedTuple):
    """The bounds of a request, in seconds."""

    connect_s: float
    read_s: float
    deadline_s: float


class _Row(NamedTuple):
    """A kind of failure: the types in the chain of errors that identify it, and its description."""

    types: tuple[type[BaseException] | str, ...]
    message: str
    remedy: str = CHECK_HOST
    retryable: bool = False
    unanswered: bool = False


_EXPIRED_CERTIFICATE = (
    "Check this machine's clock; if it is right, the operator of that host, or of a proxy in between, has to renew the "
    "certificate."
)
_OTHER_NAME = "Check login_url: it has to name the host as its certificate does; or a proxy in between shows its own."
#: By OpenSSL's verification codes (X509_V_ERR_...): not yet valid, expired, of another host, of another address.
#: Anything else is a matter of who signed it.
_BY_CODE = {9: _EXPIRED_CERTIFICATE, 10: _EXPIRED_CERTIFICATE, 62: _OTHER_NAME, 64: _OTHER_NAME}

_NOT_AS_RFC_5280 = r"(?i)key identifier|key usage|basic constraints|not marked critical|issuer name empty"

_BROKE = "the connection to {host} broke before an answer came."

#: A server that answers a TLS handshake in clear: what OpenSSL says of it, by its versions.
_NO_TLS = r"WRONG_VERSION_NUMBER|wrong version number|UNKNOWN_PROTOCOL|HTTP_REQUEST|RECORD_LAYER_FAILURE"

# Patterns are compiled when a request fails: the first one would cost each cold start a millisecond or more.
# First match wins. A type that is given as text is compared by name, so that it is not imported.
_ROWS = (
    _Row((requests.exceptions.InvalidSchema,), "the proxy cannot be used: {error}.", _NEED_SOCKS),
    _Row((requests.exceptions.InvalidProxyURL,), "the proxy cannot be used: {error}.", _CHECK_PROXY),
    _Row(
        (requests.exceptions.ProxyError,), "the proxy{proxy} did not connect to {host}: {reason}.", _CHECK_PROXY, True
    ),
    _Row(("SSLCertVerificationError",), "the TLS certificate of {host} is not valid: {tls}.", _CHECK_CA),
    _Row(
        (requests.exceptions.SSLError,),
        "no TLS connection to {host}: the handshake failed.",
        f"{CHECK_HOST} If it wants a client certificate (mutual TLS), set client_cert and client_cert_key.",
    ),
    _Row((urllib3.exceptions.NameResolutionError,), "the host name {host} does not resolve.", retryable=True),
    _Row(
        (requests.exceptions.ConnectTimeout,),
        "{host} did not accept a connection within {limits.connect_s:g} s.",
        retryable=True,
    ),
    _Row(
        (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError),
        "{host} sent nothing for {limits.read_s:g} s.",
        retryable=True,
        unanswered=True,
    ),
    _Row((urllib3.exceptions.NewConnectionError,), "no connection to {host}: {reason}.", retryable=True),
    _Row(
        (requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError),
        "the address of {host} is malformed.",
        "Check login_url.",
    ),
    _Row((urllib3.exceptions.IncompleteRead,), "the answer of {host} is cut off.", retryable=True, unanswered=True),
    _Row((CodingError,), "the answer of {host} is compressed wrongly.", unanswered=True),
    _Row((ConnectionError,), _BROKE, retryable=True, unanswered=True),
    _Row(
        (http.client.HTTPException, urllib3.exceptions.InvalidHeader),
        "what {host} sent is not valid HTTP.",
        unanswered=True,
    ),
    _Row(
        (requests.exceptions.InvalidHeader, UnicodeEncodeError),
        "the request to {host} cannot be sent: one of its values has a character that HTTP does not carry.",
        "Check where its values come from, such as a token with a line break.",
    ),
)
_BROKEN = _Row((), _BROKE, unanswered=True)
_PROXY_IN_CLEAR = _Row(
    (), "the proxy{proxy} does not speak TLS, but its address begins with https://.", _PROXY_WITHOUT_TLS
)
_EXPIRED = _Row(
    (),
    "no complete answer from {host} within the deadline of {limits.deadline_s:g} s.",
    retryable=True,
    unanswered=True,
)
_CERTIFICATE_WANTED = _Row(
    (),
    "{host} wants a client certificate (mutual TLS), and did not accept what it got: {alert}.",
    "Set client_cert and client_cert_key to a certificate whose authority the org trusts: Setup, Certificate and Key "
    "Management, Mutual Authentication Certificates.",
)
#: The alerts by which a server refuses the certificate of its client, or misses one (RFC 8446, section 6.2).
_ABOUT_OUR_CERTIFICATE = (
    r"ALERT_(CERTIFICATE_(REQUIRED|EXPIRED|REVOKED|UNKNOWN)|(BAD|NO|UNSUPPORTED)_CERTIFICATE|UNKNOWN_CA)"
)
#: What a proxy did that the system has no words for.
_OF_THE_TUNNEL = (
    (http.client.RemoteDisconnected, "it closed the connection"),
    (TimeoutError, "it did not answer in time"),
    (http.client.HTTPException, "what it sent is not valid HTTP"),
)
#: What http.client says when a proxy refuses a tunnel because of its credentials or the host. A retry does not help.
_TUNNEL_REFUSED = r"Tunnel connection failed: 4\d\d"


def describe_network_error(
    error: Exception,
    *,
    host: str,
    limits: Limits,
    expired: bool,
    masked: Callable[[str], str],
    proxy: str | None = None,
    proxy_source: str = "proxy",
) -> Failure:
    """Say what an error of requests or urllib3 means.

    Args:
        error: The error.
        host: The host that was asked.
        limits: The bounds that applied.
        expired: Whether the deadline had passed.
        masked: Takes secrets out of the library's text.
        proxy: The URL of the proxy that was to carry the request; the message names its host and port alone.
        proxy_source: The setting or variable that names it.
    """
    chain = list(chain_of(error))
    alert = next(filter(None, map(_alert_about_our_certificate, chain)), "")
    row = next((row for row in _ROWS if _matches(row, chain)), _BROKEN)
    proxy_failed = any(isinstance(link, requests.exceptions.ProxyError) for link in chain)
    unanswered = row.unanswered
    row = _EXPIRED if expired and not proxy_failed else _CERTIFICATE_WANTED if alert else row
    speaks_no_tls = any(re.search(_NO_TLS, str(link)) for link in chain if isinstance(link, ssl.SSLError))
    if not expired and speaks_no_tls and (proxy or "").lower().startswith("https:"):
        row = _PROXY_IN_CLEAR
    tls = next((str(link.verify_message) for link in chain if hasattr(link, "verify_message")), "it cannot be verified")
    texts = [_text_of_system(link) for link in chain if isinstance(link, OSError) and _is_builtin(link)]
    texts += [f"its TLS certificate is not valid: {tls}" for link in chain if hasattr(link, "verify_message")]
    texts += [text for kind, text in _OF_THE_TUNNEL for link in chain if isinstance(link, kind)]
    texts += [str(link).removeprefix("Socket error: ") for link in chain if type(link).__module__ == "socks"]
    reason = masked(next(filter(None, texts), "it failed"))
    message = row.message.format(
        host=host,
        limits=limits,
        tls=tls.rstrip("."),
        alert=alert,
        reason=reason,
        error=masked(str(error)).rstrip("."),
        proxy=host_and_port(proxy),
    )
    cause = LibraryError(f"{type(error).__module__}.{type(error).__qualname__}: {_text_of(error, chain, masked)}")
    can_pass = row.retryable and not any(map(_is_settled, chain))
    remedy = _remedy(row, chain).format(source="proxy (or HTTPS_PROXY)" if proxy_source == "proxy" else proxy_source)
    return Failure(message, remedy, can_pass, unanswered and row.unanswered, cause)


def is_stale(error: BaseException) -> bool:
    """Whether a request failed because a kept connection was broken already."""
    return any(isinstance(link, StaleConnectionError) for link in chain_of(error))


def _remedy(row: _Row, chain: list[BaseException]) -> str:
    if row.remedy != _CHECK_CA:
        return row.remedy
    if any(re.search(_NOT_AS_RFC_5280, str(getattr(link, "verify_message", ""))) for link in chain):
        return _STRICT
    codes = [getattr(link, "verify_code", None) for link in chain]
    return next((remedy for code, remedy in _BY_CODE.items() if code in codes), _CHECK_CA)


def _text_of(error: Exception, chain: list[BaseException], masked: Callable[[str], str]) -> str:
    """The message of a library's error; the type alone where it would quote an invalid HTTP answer."""
    quoting = [link for link in chain if isinstance(link, http.client.HTTPException | urllib3.exceptions.InvalidHeader)]
    quoting = [link for link in quoting if not isinstance(link, ConnectionError)]
    return ", ".join(type(link).__name__ for link in quoting) or masked(str(error))


def _alert_about_our_certificate(error: BaseException) -> str:
    """The server's alert about the client certificate, in small letters; empty for any other error."""
    reason = getattr(error, "reason", None)
    found = re.search(_ABOUT_OUR_CERTIFICATE, reason) if isinstance(reason, str) else None
    return found[1].lower().replace("_", " ") if found else ""


def _text_of_system(error: OSError) -> str:
    """What the system says of an error; empty for Python's own time-outs, which name a place in `_ssl.c`."""
    return error.strerror or ("" if isinstance(error, TimeoutError) else str(error))


def _is_settled(error: BaseException) -> bool:
    """Whether it will be the same next time: no such name, an unfit certificate, a proxy that refuses or is none."""
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    if hasattr(error, "verify_message") or type(error).__name__ == "SOCKS5AuthError":
        return True
    if isinstance(error, http.client.BadStatusLine | http.client.LineTooLong):
        return not isinstance(error, ConnectionError)
    return isinstance(error, OSError) and bool(re.search(_TUNNEL_REFUSED, str(error)))


def _is_builtin(error: BaseException) -> bool:
    """Whether it is the operating system's own error, not a library's that only derives from it."""
    return type(error).__module__ in ("builtins", "socket")


def _matches(row: _Row, chain: list[BaseException]) -> bool:
    named = {kind for kind in row.types if isinstance(kind, str)}
    kinds = tuple(kind for kind in row.types if not isinstance(kind, str))
    return any(isinstance(link, kinds) or type(link).__name__ in named for link in chain)
