"""The Redis store fulfils the contract of stores: plain and encrypted, over TCP, TLS and a socket, in a cluster."""

import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from cryptography.fernet import Fernet

from kinetic_auth_core.testing import SessionStoreContract
from kinetic_auth_redis_store import RedisStore

KEY = Fernet.generate_key().decode()


@pytest.fixture(scope="module")
def cluster(new_server: Callable[..., Any], free_port: Callable[[], int]) -> Any:
    server = new_server("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True):
            time.sleep(0.01)
    return server


@pytest.fixture(scope="module")
def by_socket(new_server: Callable[..., Any]) -> Path:
    server = new_server("--unixsocket", "redis.sock", "--unixsocketperm", "700")
    path: Path = server.folder / "redis.sock"
    assert stat.S_ISSOCK(path.stat().st_mode)
    return path


@pytest.fixture(scope="module")
def tls(new_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return new_server(tls=folder, password="p@ss:w/rd?#%")


class _Contract(SessionStoreContract):
    shared = True
    url: str
    settings: dict[str, Any] = {"key": KEY}  # noqa: RUF012 - not modified

    def make_store(self) -> RedisStore:
        return RedisStore(self.url, **self.settings)

    def make_broken_store(self) -> RedisStore:
        return RedisStore("redis://127.0.0.1:9/0", **self.settings)


class TestEncrypted(_Contract):
    @pytest.fixture(autouse=True)
    def _place(self, server: Any) -> None:
        self.url = server.url


class TestInClear(_Contract):
    settings = {"encrypt": False, "prefix": "in-clear:"}  # noqa: RUF012 - as above

    @pytest.fixture(autouse=True)
    def _place(self, server: Any) -> None:
        self.url = server.url


class TestOneNodeOfACluster(_Contract):
    """It rejects commands on two slots."""

    @pytest.fixture(autouse=True)
    def _place(self, cluster: Any) -> None:
        self.url = cluster.url

    def test_all_entries_of_a_key_are_in_one_cluster_slot(self, cluster: Any) -> None:
        with self._store() as (store, key):
            store.put(key, b"", expires_in_s=60)
            store.acquire(key, "a", expires_in_s=60)
        with cluster.client() as client:
            names = [name for name in client.keys("*") if key.encode() in name]
            assert len(names) == 2
            assert len({client.execute_command("CLUSTER", "KEYSLOT", name) for name in names}) == 1


class TestBySocket(_Contract):
    @pytest.fixture(autouse=True)
    def _place(self, by_socket: Path) -> None:
        self.url = f"unix://{by_socket}?db=1"


class TestOverTlsWithAPassword(_Contract):
    @pytest.fixture(autouse=True)
    def _place(self, tls: Any) -> None:
        self.url = tls.url

    def test_a_server_with_an_unknown_certificate_does_not_get_the_password(self, tls: Any) -> None:
        with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            RedisStore(tls.url.partition("?")[0], **self.settings).get("key")
