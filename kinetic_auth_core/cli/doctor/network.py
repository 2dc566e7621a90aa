"""Checks of the way to the login host: proxy, name, connection, TLS, what answers there, and its clock.

One request is sent, for the host's public OpenID configuration, by the transport of a login: what it says of a failure
is what a login would say. Then each step is looked at by itself, to find out which of them failed.
"""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from urllib.parse import unquote, urlsplit

import attrs

from kinetic_auth_core.cli.doctor.examination import Examination
from kinetic_auth_core.cli.doctor.host import sandbox_host
from kinetic_auth_core.cli.doctor.report import Report
from kinetic_auth_core.cli.exit_codes import TRY_LATER, USAGE
from kinetic_auth_core.errors import ConfigurationError, TransportError
from kinetic_auth_core.oauth.endpoints import json_object
from kinetic_auth_core.oauth.retry import answered_at
from kinetic_auth_core.transport.client import TokenRequest, TokenResponse
from kinetic_auth_core.transport.connections import host_and_port

CONNECTION = ("proxy", "DNS", "TCP", "TLS")
_PATH = "/.well-known/openid-configuration"
_TIMEOUT_S = 5.0
#: An assertion is good for 3 minutes.
_CLOCK_FAILURE_S, _CLOCK_WARNING_S = 180.0, 30.0
NOT_SALESFORCE = "Check login_url: what answered is not Salesforce, but perhaps a proxy, a parked domain or a firewall."


@attrs.frozen
class _Place:
    """A host and port to connect to."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "_Place":
        parts = urlsplit(url if "://" in url else f"http://{url}")
        default = {"https": 443, "http": 80}.get(parts.scheme, 1080)
        return cls(parts.hostname or "", parts.port or default)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def check_connection(examination: Examination) -> None:
    """Proxy, DNS, TCP and TLS."""
    spec, report = examination.spec, examination.report
    setting = examination.host_setting
    if setting is None:
        for name in CONNECTION:
            report.skip(name, f"{spec.provider} has no setting login_url.")
        return
    url = str(spec.displayed(setting))
    transport = examination.connection()
    steps = _Steps(report, url, setting)
    try:
        steps.proxy = transport.proxy_of(url)
        outcome: TokenResponse | TransportError = transport.get(f"{url}{_PATH}", TokenRequest({}))
    except ConfigurationError as error:
        name = error.message.partition(": ")[0]  # of a setting or a variable
        if name.endswith("_CA_BUNDLE"):
            steps.fail("TLS", error, "ca_bundle", source=name)
        elif name in ("ca_bundle", "client_cert", "client_cert_key"):
            steps.fail("TLS", error, name)
        else:
            steps.fail("proxy", error)
        return
    except TransportError as error:
        outcome = error
    if isinstance(outcome, TokenResponse) or outcome.unanswered or outcome.status is not None:
        steps.passed()
    else:
        steps.find(outcome)
        return
    examination.answer = outcome


class _Steps:
    """The steps of a connection, in their order."""

    def __init__(self, report: Report, url: str, setting: str) -> None:
        self._report = report
        self._url = url
        self._setting = setting
        self._place = _Place.of(url)
        self.proxy: tuple[str, str] | None = None

    def passed(self) -> None:
        """All is well: say what is known of each step."""
        self._proxy_in_use()
        if self.proxy is None:
            self._report.add("DNS", "ok", f"{self._place.host} is {self._addresses() or 'known'}.")
            self._report.add("TCP", "ok", f"{self._place} accepts connections.")
        else:
            self._report.skip("DNS", "the proxy resolves the name.")
            self._report.add("TCP", "ok", f"the proxy connects to {self._place}.")
        if self._url.startswith("https:"):
            self._report.add("TLS", "ok", f"the certificate of {self._place.host} is valid{self._issued_by()}.")
        else:
            self._report.skip("TLS", "http on the loopback interface.")

    def find(self, error: TransportError) -> None:
        """Find the step that failed, and say what the transport says of it."""
        if self.proxy is not None:
            is_about_tls = " TLS " in error.message and not error.message.startswith("the proxy")
            if is_about_tls and _connects(_Place.of(self.proxy[0])):
                self._fail_by_tls(error)
            else:
                self.fail("proxy", error)
        elif not self._addresses():
            hint = f"The My Domain of a sandbox is {own}." if (own := sandbox_host(self._place.host)) else ""
            self.fail("DNS", error, self._setting, hint=hint)
        elif not _connects(self._place):
            self.fail("TCP", error, self._setting)
        else:
            self._fail_by_tls(error)

    def _fail_by_tls(self, error: TransportError) -> None:
        if issuer := self._issued_by():
            error.message = f"{error.message.removesuffix('.')}. It shows a certificate{issuer}."
        self.fail("TLS", error, self._report.named_in(f"{error.message} {error.remedy}") or self._setting)

    def fail(
        self,
        name: str,
        error: ConfigurationError | TransportError,
        setting: str | None = None,
        *,
        source: str | None = None,
        hint: str = "",
    ) -> None:
        """Report the step that failed; those before it are well, and those behind it are moot.

        Args:
            name: The step.
            error: Why.
            setting: The setting that it is about.
            source: Where that comes from; None: as its row says.
            hint: What to do besides the error's remedy.
        """
        before = CONNECTION[: CONNECTION.index(name)]
        if "proxy" in before:
            self._proxy_in_use()
        if "DNS" in before and self.proxy is None:
            self._report.add("DNS", "ok", f"{self._place.host} is {self._addresses()}.")
        elif "DNS" in before:
            self._report.skip("DNS", "the proxy resolves the name.")
        if "TCP" in before:
            self._report.add("TCP", "ok", f"{self._place} accepts connections.")
        if name == "proxy":
            setting, source, hint = self._about_the_proxy(error)
        error.remedy = error.remedy.replace("login_url", self._setting)
        known = setting if setting is not None and self._report.has(setting) else None
        self._report.failed(name, error, known, source=source, hint=hint)
        for each in CONNECTION[CONNECTION.index(name) + 1 :]:
            self._report.moot(each, name)

    def _about_the_proxy(self, error: ConfigurationError | TransportError) -> tuple[str, str | None, str]:
        """The setting, the variable that has taken its place, and a hint."""
        if self.proxy is None:  # its address is malformed, and the error begins with the variable
            return "proxy", error.message.partition(":")[0], ""
        address, source = self.proxy
        hint = "" if "://" in address else f"Its address has no scheme: write http:// before it, in {source}."
        return "proxy", None if source == "proxy" else source, hint

    def _proxy_in_use(self) -> None:
        if self.proxy is None:
            self._report.add("proxy", "ok", "none.")
            return
        address, source = self.proxy
        if "://" in address:
            self._report.add("proxy", "ok", f"{host_and_port(address).strip()} (from {source}).")
        else:
            what = (
                f"the address of the proxy{host_and_port(address)} (from {source}) has no scheme; http:// is assumed."
            )
            self._report.add("proxy", "warning", what, f"Write http:// before it, in {source}.")

    def _addresses(self) -> str:
        """The addresses of the host; empty if its name does not resolve in time."""
        return ", ".join(_addresses_of(self._place))

    def _issued_by(self) -> str:
        """Who issued the certificate that the host shows, as the end of a sentence; empty if that cannot be read."""
        if not self._url.startswith("https:"):
            return ""
        proxy = self.proxy[0] if self.proxy else None
        with contextlib.suppress(OSError, ValueError, ImportError, http.client.HTTPException):
            from kinetic_auth_core.cli.cert.certificates import issuer_of

            return f", issued by {issuer_of(_certificate(self._place, proxy))}"
        return ""


def _addresses_of(place: _Place) -> list[str]:
    """The addresses of a host; the system's search has no time-out of its own."""
    found: list[str] = []

    def search() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            infos = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(info[4][0]) for info in infos))

    thread = threading.Thread(target=search, name="kinetic-auth DNS", daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S)
    return list(found)


def _connects(place: _Place) -> bool:
    try:
        socket.create_connection((place.host, place.port), timeout=_TIMEOUT_S).close()
    except (OSError, UnicodeError):
        return False
    return True


def _certificate(place: _Place, proxy: str | None) -> bytes:
    """The certificate that a host shows, DER; its signer need not be trusted. Nothing is sent over this connection.

    Raises:
        OSError: There is no connection, or the host speaks no TLS.
        ValueError: The proxy is not one of http.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if proxy is None:
        connected = socket.create_connection((place.host, place.port), timeout=_TIMEOUT_S)
    else:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme != "http":
            raise ValueError(parts.scheme)
        tunnel = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_TIMEOUT_S)
        headers = {}
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        tunnel.set_tunnel(place.host, place.port, headers)
        tunnel.connect()
        connected = tunnel.sock
    with connected, context.wrap_socket(connected, server_hostname=place.host) as wrapped:
        return wrapped.getpeercert(binary_form=True) or b""


def is_redirect(error: ConfigurationError | TransportError) -> bool:
    """Whether an error is that a host redirects to another one."""
    status = getattr(error, "status", None)
    return status is not None and 300 <= status < 400


def check_answer(examination: Examination) -> None:
    """What answers at the login host."""
    report, answer = examination.report, examination.answer
    setting = examination.host_setting
    if answer is None:
        report.skip("host", f"{examination.spec.provider} has no setting login_url.")
    elif isinstance(answer, TransportError):
        if is_redirect(answer):
            report.add("host", "warning", answer.message, answer.remedy, setting)
        else:
            report.failed("host", answer, setting)
    elif answer.status >= 500 or answer.status == 429:
        what = f"the login host answers with HTTP {answer.status}."
        report.add(
            "host", "failure", what, "Try later, and see status.salesforce.com.", code=TRY_LATER, is_suspicion=True
        )
    else:
        fields = json_object(answer.body)
        if isinstance(fields, dict) and "token_endpoint" in fields:
            report.add("host", "ok", f"Salesforce's login host answers: {_short(fields.get('issuer'))}.")
        elif answer.status in (401, 403):
            what = f"the host answers its public configuration with HTTP {answer.status}."
            report.add("host", "warning", what, NOT_SALESFORCE)
        else:
            what = f"what answers is not a login host of Salesforce: HTTP {answer.status} {_kind_of(answer)}."
            report.add("host", "failure", what, NOT_SALESFORCE, setting, code=TRY_LATER, is_suspicion=True)


def _short(text: object) -> str:
    return "".join(char for char in str(text) if char.isprintable())[:100]


def _kind_of(answer: TokenResponse) -> str:
    try:
        json.loads(answer.body)
    except ValueError:
        return "without JSON"
    return "without a token endpoint"


def check_clock(examination: Examination) -> None:
    """This machine's clock, by the `Date` of the host's answer."""
    report, answer = examination.report, examination.answer
    theirs = answered_at(answer.headers) if isinstance(answer, TokenResponse) else None
    if theirs is None or not isinstance(answer, TokenResponse):
        report.skip("clock", "there is no answer with a Date to compare it with.")
        return
    ahead_s = answer.at - theirs - 0.5  # a Date has whole seconds, truncated
    off = f"this machine's clock is {_span(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} the host's"
    remedy = "Set the clock by NTP (timedatectl set-ntp true; in a container, that of its host)."
    if abs(ahead_s) > _CLOCK_FAILURE_S:
        signs = any(check.name == "key" and check.status == "ok" for check in report.checks)
        why = "an assertion is good for 3 minutes" if signs else "the ends of certificates and sessions seem wrong"
        what = f"{off}, and {why}."
        report.add("clock", "failure", what, remedy, code=USAGE)
    elif abs(ahead_s) > _CLOCK_WARNING_S:
        report.add("clock", "warning", f"{off}.", remedy)
    else:
        report.add("clock", "ok", f"it agrees with the host's within {max(abs(ahead_s), 1):.0f} s.")


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
