"""`SalesforceEmulator`: an emulated org with an address, injected faults and a record of requests."""

from __future__ import annotations

import functools
import ipaddress
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from werkzeug.wrappers import Request

from kinetic_auth_core.testing.emulator.administration import OrgAdministration
from kinetic_auth_core.testing.emulator.control_plane import ControlPlane
from kinetic_auth_core.testing.emulator.default_login import DefaultLogin, default_key_pair, make_default_login
from kinetic_auth_core.testing.emulator.faults import TOKEN_PATH, Answer, Fault, FaultPlan, Refusal
from kinetic_auth_core.testing.emulator.identity_provider import AUDIENCE
from kinetic_auth_core.testing.emulator.keys import KeyPair
from kinetic_auth_core.testing.emulator.models import (
    AUTHORIZATION_CODE,
    SYSTEM_RANDOM,
    RefreshGrant,
    RequestRecord,
    new_text,
)
from kinetic_auth_core.testing.emulator.org import scope_of
from kinetic_auth_core.testing.emulator.routing import EmulatorApp
from kinetic_auth_core.testing.emulator.server import Server
from kinetic_auth_core.testing.emulator.temporary_files import TemporaryFiles, write_private
from kinetic_auth_core.testing.emulator.tls import Tls, TlsProfile


class SalesforceEmulator(OrgAdministration):
    """A strict emulation of a Salesforce org on `127.0.0.1`, for tests of code that logs in to one.

    It checks a login as strictly as Salesforce does, and its answers have the same fields: none has `expires_in`, and
    that of the JWT bearer flow has neither `issued_at` nor `signature`. All its data is in memory.

    Example:
        >>> with SalesforceEmulator() as sf:
        ...     sf.refuse("unknown_error", "retry your request")
        ...     # log in with sf.settings("jwt-bearer")
        ...     sf.history
        []

    Args:
        port: The port to listen on; 0 picks a free one, which a later `start` keeps.
        tls: True to serve https with a certificate of its own authority (see `ca_bundle`), or a `TlsProfile`.
        host: The address or name to listen on. On one that other machines can reach, `instance_url` and the like have
            the host that the request named.
        seed: Makes all credentials of `default` and the org's id from this text, the same each time.
        control_token: The bearer token that the control plane wants. Made up if None and others can reach the host.
        clock: Returns the time in Unix seconds, `time.time` if None; `advance` adds to it.
        records_kept: How many login records and how many request records to keep; older ones are dropped.

    Attributes:
        policy: The org's settings, to change at will.
    """

    def __init__(
        self,
        port: int = 0,
        tls: bool | TlsProfile = False,
        *,
        host: str = "127.0.0.1",
        seed: str | None = None,
        control_token: str | None = None,
        clock: Callable[[], float] | None = None,
        records_kept: int = 10_000,
    ) -> None:
        # Looked up at each call: freezegun replaces time.time.
        source = random.Random(seed) if seed is not None else None  # noqa: S311 - repeatable is what a seed is for
        super().__init__(clock or (lambda: time.time()), records_kept, source or SYSTEM_RANDOM)  # noqa: PLW0108
        self._port = port
        self._host = host
        self._source = source
        is_loopback = _is_loopback(host)
        self.control_token = control_token or (None if is_loopback else secrets.token_urlsafe(24))
        names = TlsProfile().hosts if is_loopback else (*TlsProfile().hosts, socket.gethostname(), host)
        self._tls = Tls(TlsProfile(names) if tls is True else tls) if tls else None
        self._plan = FaultPlan()
        self._app = EmulatorApp(self._org, self._data, self._plan, records_kept)
        self._app.control = ControlPlane(self)
        self._app.is_loopback = is_loopback
        self._server: Server | None = None
        self._default: DefaultLogin | None = None
        self._refresh_grant: RefreshGrant | None = None
        self._lock = threading.RLock()
        self._folder = TemporaryFiles()

    def __repr__(self) -> str:
        """Its address and org."""
        return f"<SalesforceEmulator {self._org.url or 'not started'} org {self.org_id}>"

    # Life cycle

    def start(self) -> Self:
        """Start to listen; return the emulator itself.

        Raises:
            OSError: The port is taken.
            RuntimeError: It is already running.
        """
        with self._lock:
            if self._server is not None:
                raise RuntimeError("the emulator is already running")
            context = None if self._tls is None else self._tls.context
            server = Server((self._host, self._port), self._app, self._plan, self.now, context)
            self._port = server.port
            host = f"[{self._host}]" if ":" in self._host else self._host
            if context is not None or not self._app.is_loopback:
                host = "localhost"
            self._org.own_url = f"{'http' if context is None else 'https'}://{host}:{server.port}"
            self.policy.audiences.add(self._org.own_url)
            self._server = server
            server.start()
        return self

    def close(self) -> None:
        """Stop listening, close every connection and remove the temporary files. Calling it again does nothing.

        Users, apps and tokens stay: a later `start` is the same org after an outage, at the same address.
        """
        with self._lock:
            server, self._server = self._server, None
            if server is not None:
                server.stop()
            self._folder.remove()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # Addresses

    @property
    def url(self) -> str:
        """The login host and, unless the policy says otherwise, the instance.

        `http://127.0.0.1:PORT`, or `https://localhost:PORT` with TLS.

        Raises:
            RuntimeError: It has not been started yet.
        """
        if not self._org.url:
            raise RuntimeError("the emulator has no address before it is started")
        return self._org.url

    @property
    def own_hosts(self) -> set[str]:
        """The `Host` headers that mean this emulator on this machine."""
        return {f"{name}:{self._port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    @property
    def ca_bundle(self) -> Path | None:
        """The certificate authority to trust, a PEM file that `close` removes; None without TLS."""
        return None if self._tls is None else self._folder.file("ca.pem", self._tls.authority_pem)

    # The default login

    @property
    def default(self) -> DefaultLogin:
        """A user and an app that every flow accepts. Made on first use, with an RSA key."""
        with self._lock:
            if self._default is None:
                self._default = make_default_login(self, self._keys, source=self._source)
            return self._default

    @functools.cached_property
    def _keys(self) -> KeyPair:
        return default_key_pair(self._source)

    def renew_default(self, *, keep_user: bool = False, keep_app: bool = False) -> DefaultLogin:
        """Make another login the `default`, for the same user or app if asked to; the one before it goes on working."""
        with self._lock:
            before, self._refresh_grant = self.default, None
            user, app = before.user if keep_user else None, before.app if keep_app else None
            self._default = make_default_login(self, self._keys, user, app, self._source)
            return self._default

    @property
    def private_key_path(self) -> Path:
        """The private key of `default` in a file that only its owner can read and that `close` removes."""
        return self._folder.file("private-key.pem", self.default.private_key_pem.encode())

    @property
    def subject_token_path(self) -> Path:
        """The subject token of `default`, likewise, as Kubernetes projects one into a pod."""
        login = self.default  # one file for each: the login before goes on working
        return self._folder.file(f"subject-token-{login.user.id}", login.subject_token.encode())

    @property
    def refresh_token(self) -> str:
        """A refresh token of `default`, which stays the same until it is revoked or replaced."""
        login = self.default
        with self._org.lock:
            if self._refresh_grant is None or self._refresh_grant.token not in self._org.refresh_grants:
                token = f"5Aep{new_text(64, self._source or SYSTEM_RANDOM)}"
                self._refresh_grant = self._org.new_refresh_grant(login.user, login.app, scope_of(login.app), token)
            return self._refresh_grant.token

    def settings(self, provider: str) -> dict[str, Any]:
        """The settings that log in to this emulator as `default`: `resolve("password", **sf.settings("password"))`.

        Args:
            provider: One of `jwt-bearer`, `password`, `client-credentials`, `refresh-token`, `web-login`,
                `token-exchange`; `access-token`, which gets a session that is opened for it.

        Raises:
            ValueError: It is another provider.
        """
        if provider == "access-token":
            session = self._org.open_session(self.default.user, self.default.app, AUTHORIZATION_CODE)
            return {"access_token": session.token, "instance_url": self._org.instance_url, **self._trust()}
        token = {"refresh_token": self.refresh_token} if provider == "refresh-token" else {}
        return {**self.default.settings(provider), **token, **self._where()}

    def env(self) -> dict[str, str]:
        """The same for these providers, by the names of the environment variables.

        Returns:
            `SF_CLIENT_ID`, `SF_CLIENT_SECRET`, `SF_USERNAME`, `SF_PASSWORD`, `SF_SECURITY_TOKEN`,
            `SF_PRIVATE_KEY_PATH`, `SF_REFRESH_TOKEN`, `SF_SUBJECT_TOKEN` (a reference), `SF_LOGIN_URL`; with a control
            token `SF_CONTROL_TOKEN`, and with TLS `SF_CA_BUNDLE`.
        """
        more = {
            "private_key_path": str(self.private_key_path),
            "refresh_token": self.refresh_token,
            "subject_token": f"oidc://file{self.subject_token_path}?audience={AUDIENCE}",
        }
        if self.control_token is not None:
            more["control_token"] = self.control_token
        settings = {**self.default.settings("password"), **more, **self._where()}
        return {f"SF_{name.upper()}": value for name, value in settings.items()}

    def _where(self) -> dict[str, str]:
        return {"login_url": self.url, **self._trust()}

    def _trust(self) -> dict[str, str]:
        return {"ca_bundle": str(self.ca_bundle)} if self.ca_bundle else {}

    def write_env(self, path: str | os.PathLike[str]) -> Path:
        """Write the variables of `env` to a `.env` file that only its owner can read; return its path."""
        target = Path(path)
        write_private(target, "".join(f"{name}={value}\n" for name, value in self.env().items()).encode())
        return target

    # Faults

    def refuse(self, error: str, description: str = "", status: int = 400, times: int | None = 1) -> None:
        """Reject the next token requests, whatever they contain.

        Args:
            error: The error code, for example of `ERROR_ROWS`.
            description: The `error_description`; omitted from the answer when empty.
            status: The HTTP status code.
            times: How many requests; None for all until `clear_faults`.

        Raises:
            ValueError: `times` is less than 1.
        """
        self._plan.add(Refusal(error, description, status), times, TOKEN_PATH)

    def break_transport(self, fault: Fault, times: int | None = 1, path: str = TOKEN_PATH) -> None:
        """Inject a fault into the next requests.

        Faults apply in the order in which they were added, one per request; only an `Alter` can apply together with
        another.

        Args:
            fault: One of `Delay`, `Reset`, `Truncated`, `Dribble`, `Huge`, `Html`, `Status`, `Redirect`,
                `NotJson`, `Answer`, `Raw`, `Alter`.
            times: How many requests; None for all until `clear_faults`.
            path: Which requests: a path or a pattern, `"/services/data/*"`; those for tokens by default.
                `Reset("connect")` ignores it, as it applies before there is a request.

        Raises:
            ValueError: `times` is less than 1.
        """
        self._plan.add(fault, times, path)

    def add_endpoint(self, path: str, answer: Answer | Callable[[Request], Answer]) -> None:
        """Put an endpoint of one's own behind the token check: an Apex REST class, a Bulk job.

        Args:
            path: Its path below `/services/`.
            answer: What it answers to a request with a live token, or a function of the (werkzeug) request.

        Raises:
            ValueError: The path is elsewhere.
        """
        if not path.startswith("/services/"):
            raise ValueError("an endpoint has its path below /services/")
        self._app.rest.own[path] = answer

    def clear_faults(self) -> None:
        """Remove all pending rejections and faults."""
        self._plan.clear()

    # Records

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests that arrived, oldest first, up to `records_kept` of them."""
        return self._app.records()

    @property
    def token_requests(self) -> int:
        """How many POST requests the token endpoint has received, including those with faults."""
        return self.count("POST", TOKEN_PATH)

    def count(self, method: str | None = None, path: str | None = None, status: int | None = None) -> int:
        """How many requests there have been of a method, path and HTTP status, or of any; dropped ones count too."""
        return self._app.count(method, path, status)

    def forget_requests(self) -> None:
        """Reset the counts of requests, for example after a warm-up."""
        self._app.forget()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
