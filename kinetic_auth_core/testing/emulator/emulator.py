"""`SalesforceEmulator`: an emulated org with an address, with faults to order and requests to look back on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from kinetic_auth_core.testing.emulator.default_login import DefaultLogin, make_default_login
from kinetic_auth_core.testing.emulator.emulated_org import EmulatedOrg
from kinetic_auth_core.testing.emulator.fault_plan import TOKEN_PATH, FaultPlan
from kinetic_auth_core.testing.emulator.faults import Fault
from kinetic_auth_core.testing.emulator.private_folder import PrivateFolder, write_private
from kinetic_auth_core.testing.emulator.records import RequestRecord
from kinetic_auth_core.testing.emulator.routing import EmulatorApp
from kinetic_auth_core.testing.emulator.server import Server
from kinetic_auth_core.testing.emulator.tls import Tls, TlsProfile


class SalesforceEmulator(EmulatedOrg):
    """A strict imitation of a Salesforce org on `127.0.0.1`, for tests of code that logs in to one.

    It is as particular about a login as Salesforce is, and its answers have the same fields: none has `expires_in`, and
    that of the JWT bearer flow has neither `issued_at` nor `signature`. Nothing that it holds outlives it.

    Example:
        >>> with SalesforceEmulator() as sf:
        ...     sf.refuse("unknown_error", "retry your request")
        ...     # log in with sf.settings("jwt-bearer")
        ...     sf.history
        []

    Args:
        port: The port to listen on; 0 picks a free one, which a later `start` keeps.
        tls: True to serve https with a certificate of its own authority (see `ca_bundle`), or a `TlsProfile`.
        clock: Gives the time in Unix seconds; `advance` adds to it.
        records_kept: How many login records and how many request records to keep; older ones fall off.

    Attributes:
        policy: The org's settings, to change at will.
    """

    def __init__(
        self,
        port: int = 0,
        tls: bool | TlsProfile = False,
        *,
        clock: Callable[[], float] = time.time,
        records_kept: int = 10_000,
    ) -> None:
        super().__init__(clock, records_kept)
        self._port = port
        self._tls = Tls(TlsProfile() if tls is True else tls) if tls else None
        self._plan = FaultPlan()
        self._app = EmulatorApp(self._org, self._tables, self._plan, records_kept)
        self._server: Server | None = None
        self._default: DefaultLogin | None = None
        self._lock = threading.RLock()
        self._folder = PrivateFolder()

    def __repr__(self) -> str:
        """Where it listens, and the org it plays."""
        return f"<SalesforceEmulator {self._org.url or 'not started'} org {self.org_id}>"

    # Life

    def start(self) -> Self:
        """Begin to listen.

        Returns:
            The emulator itself.

        Raises:
            OSError: The port is taken.
            RuntimeError: It has been started already.
        """
        with self._lock:
            if self._server is not None:
                raise RuntimeError("the emulator has been started already")
            context = None if self._tls is None else self._tls.context
            server = Server(self._port, self._app, self._plan, self.now, context)
            self._port = server.port
            host = "http://127.0.0.1" if context is None else "https://localhost"
            self._org.url = f"{host}:{server.port}"
            self.policy.audiences.add(self._org.url)
            self._server = server
            server.start()
        return self

    def close(self) -> None:
        """Stop listening, close every connection and remove the temporary files. Calling it again does nothing.

        Users, apps and tokens stay: a `start` afterwards is an org back from an outage, at the same address.
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

    # Where it is

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
    def ca_bundle(self) -> Path | None:
        """The certificate authority to trust, a PEM file that `close` removes; None without TLS."""
        return None if self._tls is None else self._folder.file("ca.pem", self._tls.authority_pem)

    # A login that works

    @property
    def default(self) -> DefaultLogin:
        """A user and an app that every flow accepts. Made when first asked for, which takes an RSA key's time."""
        with self._lock:
            if self._default is None:
                self._default = make_default_login(self)
            return self._default

    @property
    def private_key_path(self) -> Path:
        """The private key of `default` in a file that only its owner can read and that `close` removes."""
        return self._folder.file("private-key.pem", self.default.private_key_pem.encode())

    def settings(self, provider: str) -> dict[str, str]:
        """The settings that reach this emulator as `default`: `resolve("password", **sf.settings("password"))`.

        Args:
            provider: `"password"` or `"jwt-bearer"`.

        Raises:
            ValueError: It is another one.
        """
        return {**self.default.settings(provider), **self._where()}

    def env(self) -> dict[str, str]:
        """The same for either provider, by the names of the environment variables.

        Returns:
            `SF_CLIENT_ID`, `SF_CLIENT_SECRET`, `SF_USERNAME`, `SF_PASSWORD`, `SF_SECURITY_TOKEN`,
            `SF_PRIVATE_KEY_PATH`, `SF_LOGIN_URL` and, with TLS, `SF_CA_BUNDLE`.
        """
        key = {"private_key_path": str(self.private_key_path)}
        settings = {**self.default.settings("password"), **key, **self._where()}
        return {f"SF_{name.upper()}": value for name, value in settings.items()}

    def _where(self) -> dict[str, str]:
        return {"login_url": self.url} | ({"ca_bundle": str(self.ca_bundle)} if self.ca_bundle else {})

    def write_env(self, path: str | os.PathLike[str]) -> Path:
        """Write what `env` gives as a `.env` file that only its owner can read.

        Args:
            path: The file to write.

        Returns:
            Its path.
        """
        target = Path(path)
        write_private(target, "".join(f"{name}={value}\n" for name, value in self.env().items()).encode())
        return target

    # What goes wrong

    def refuse(self, error: str, description: str = "", status: int = 400, times: int | None = 1) -> None:
        """Turn the next token requests down, whatever they say.

        Args:
            error: The error code, for example of `ERROR_ROWS`.
            description: The text that goes with it; left out of the answer when empty.
            status: The HTTP status code.
            times: How many requests; None for all until `clear_faults`.

        Raises:
            ValueError: `times` is less than 1.
        """
        self._plan.refuse(error, description, status, times)

    def break_transport(self, fault: Fault, times: int | None = 1, path: str = TOKEN_PATH) -> None:
        """Let the next requests run into a fault.

        Faults strike in the order in which they were added, one a request; only an `Alter` can strike together with
        another.

        Args:
            fault: What is to happen: `Delay`, `Reset`, `Truncated`, `Dribble`, `Huge`, `Html`, `Status`, `Redirect`,
                `NotJson`, `Answer`, `Raw`, `Alter`.
            times: How many requests; None for all until `clear_faults`.
            path: Which requests: a path or a pattern, `"/services/data/*"`; those for tokens by default. It is of no
                account to `Reset("connect")`, which strikes before there is a request.

        Raises:
            ValueError: `times` is less than 1.
        """
        self._plan.add(fault, times, path)

    def clear_faults(self) -> None:
        """Forget all refusals and faults that are still to come."""
        self._plan.clear()

    # What happened

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests that arrived, oldest first, up to `records_kept` of them."""
        return self._app.records()

    @property
    def token_requests(self) -> int:
        """How many POST requests the token endpoint has received, those that faults struck included."""
        return self.count("POST", TOKEN_PATH)

    def count(self, method: str | None = None, path: str | None = None, status: int | None = None) -> int:
        """How many requests there have been, without regard to how many records are kept.

        Args:
            method: Only those of this method.
            path: Only those of this path.
            status: Only those with this HTTP status.

        Returns:
            Their number.
        """
        return self._app.count(method, path, status)

    def forget_requests(self) -> None:
        """Begin to count requests anew, for example after a warm-up."""
        self._app.forget()
