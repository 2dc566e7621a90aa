"""Real Redis servers, started for the tests that use them; and an org to log in to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair
from kinetic_auth_core.testing.contracts.checks import unused_port
from kinetic_auth_redis_store import RedisStore

_PATIENCE_S = 20.0


@attrs.define
class RedisServer:
    """A separate `redis-server`, in its own folder, on a loopback port.

    Attributes:
        folder: Where it runs.
        options: For its command line.
        password: What it asks for.
        tls: A folder with `ca.pem` and `server.pem`; it then takes TLS only.
    """

    folder: Path
    options: tuple[str, ...] = ()
    password: str | None = None
    tls: Path | None = None
    port: int = attrs.field(factory=unused_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        password = f":{quote(self.password, safe='')}@" if self.password else ""
        if self.tls:
            return f"rediss://{password}127.0.0.1:{self.port}/0?ssl_ca_certs={self.tls / 'ca.pem'}"
        return f"redis://{password}127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start it, on the same port as before if it ran before."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "these tests need a real Redis: apt-get install redis-server"
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program, *self._options(), *self.options], cwd=self.folder, stdout=log)
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)
        return self

    def _options(self) -> Iterator[str]:
        yield from ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        if self.password:
            yield from ("--requirepass", self.password)
        if not self.tls:
            yield from ("--port", str(self.port))
            return
        certificate = str(self.tls / "server.pem")
        yield from ("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no")
        yield from ("--tls-cert-file", certificate, "--tls-key-file", certificate)
        yield from ("--tls-ca-cert-file", str(self.tls / "ca.pem"))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(_PATIENCE_S)
            self.process = None

    def client(self) -> Any:
        """A separate client, independent of the store."""
        options: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self.tls / "ca.pem")} if self.tls else {}
        # Without redis-py's own retries: each of them pauses for up to a second.
        options["retry"] = Retry(NoBackoff(), 0)
        return redis.Redis(host="127.0.0.1", port=self.port, password=self.password, **options)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture(autouse=True)
def _a_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, proxies or `.env` but those of the test."""
    for name in list(os.environ):
        if name.startswith(("SF_", "KINETIC_AUTH_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    return unused_port


@pytest.fixture(scope="session")
def new_server(tmp_path_factory: pytest.TempPathFactory, full_tier: None) -> Iterator[Callable[..., RedisServer]]:
    """Starts a server with these options; it ends with the tests."""
    servers = []

    def start(*options: str, password: str | None = None, tls: Path | None = None) -> RedisServer:
        server = RedisServer(tmp_path_factory.mktemp("redis"), options, password, tls)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def server(new_server: Callable[..., RedisServer]) -> RedisServer:
    """One for all the tests that leave it running."""
    return new_server()


@pytest.fixture
def empty_server(server: RedisServer) -> RedisServer:
    """The same server, emptied."""
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def server_to_kill(new_server: Callable[..., RedisServer]) -> Iterator[RedisServer]:
    made = new_server()
    yield made
    made.stop(signal.SIGKILL)


@pytest.fixture
def new_store() -> Iterator[Callable[..., RedisStore]]:
    """Makes stores; they are closed at the end."""
    stores = []

    def make(*args: Any, **settings: Any) -> RedisStore:
        stores.append(RedisStore(*args, **settings))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return new_key_pair()


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator
