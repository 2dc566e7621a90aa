"""Many orgs in one process: sources on demand, bounded, with shared connections."""

import gc
import pickle
import threading
import tracemalloc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import KeyPair, SalesforceEmulator
from kinetic_auth_core.transport.connections import MOST


@pytest.fixture
def config(sf: SalesforceEmulator, key_pair: KeyPair, tmp_path: Path) -> Path:
    """Two environments at the same host, each with its own app and user."""
    key = tmp_path / "server.key"
    key.write_text(key_pair.private_key_pem)
    key.chmod(0o600)
    text = ""
    for environment in ("dev", "prod"):
        user = sf.add_user(f"{environment}-{tmp_path.name}@pool.example")
        app = sf.add_app(certificates=[key_pair.certificate_pem], preauthorised={user.username})
        text += (
            f'[environments.{environment}]\nprovider = "jwt-bearer"\nlogin_url = "{sf.url}"\n'
            f'client_id = "{app.client_id}"\nusername = "{user.username}"\nprivate_key_path = "server.key"\n'
        )
    path = tmp_path / "kinetic-auth.toml"
    path.write_text(text)
    return path


def test_keys_are_environments_and_each_has_one_source(sf: SalesforceEmulator, config: Path) -> None:
    with kinetic.SourcePool(config) as pool:
        dev, prod = pool.source("dev"), pool.source("prod")
        assert dev is pool.source("dev")
        assert (dev.environment, prod.environment) == ("dev", "prod")
        assert (dev.session().username or "").startswith("dev-")
        assert (prod.session().username or "").startswith("prod-")
        assert len(pool) == 2
        assert repr(pool) == "SourcePool(2 of 1000 sources)"


def test_an_environment_in_any_case_is_one_source_and_a_tenant_is_not(config: Path) -> None:
    with kinetic.SourcePool(config) as pool:
        prod = pool.source("prod")
        assert pool.source("PROD") is prod
        pool.discard("Prod")
        assert pool.source("prod") is not prod
    with kinetic.SourcePool(config, tenants=lambda _key: {"environment": "prod"}) as pool:
        assert pool.source("acme") is not pool.source("ACME")


def test_tenants_that_are_not_a_function_are_an_error_when_the_pool_is_made(config: Path) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="tenants: must be a function of a tenant's key, not dict"):
        kinetic.SourcePool(config, tenants={"acme": {"environment": "prod"}})  # type: ignore[arg-type]


def test_a_function_returns_the_settings_of_a_tenant(sf: SalesforceEmulator, config: Path, key_pair: KeyPair) -> None:
    app = sf.add_app(certificates=[key_pair.certificate_pem])

    def tenant(key: str) -> Mapping[str, Any]:
        user = sf.add_user(f"{key}-{config.parent.name}@tenants.example")
        app.preauthorised.add(user.username)
        return {"environment": "prod", "username": user.username, "client_id": app.client_id}

    with kinetic.SourcePool(config, tenants=tenant, read_timeout=7) as pool:
        session = pool.source("acme").session()
        assert (session.username or "").startswith("acme-")
        assert pool.source("globex").session().username != session.username
        rows = {row.name: row.value for row in pool.source("acme").explain()}
        assert rows["read_timeout"] == 7


def test_sources_share_their_connections(sf: SalesforceEmulator, config: Path) -> None:
    with kinetic.SourcePool(config) as pool:
        instances = [pool.source(name)._flow.instance() for name in ("dev", "prod")]
        assert instances[0].connection() is instances[1].connection()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
def test_tenants_with_different_connection_settings_leave_no_connections_open(
    sf: SalesforceEmulator, config: Path
) -> None:
    def tenant(key: str) -> Mapping[str, Any]:
        return {"environment": "prod", "read_timeout": 10 + int(key)}

    def open_files() -> int:
        gc.collect()  # closed connections in reference cycles
        return len(list(Path("/proc/self/fd").iterdir()))

    with kinetic.SourcePool(config, tenants=tenant, size=1) as pool:
        for key in range(MOST):
            pool.source(str(key)).authenticate()
        before = open_files()
        for key in range(MOST, MOST + 20):
            pool.source(str(key)).authenticate()
        assert open_files() < before + 10
        assert sf.is_live(pool.source("0").authenticate().access_token)


def test_the_least_recently_used_source_is_closed(sf: SalesforceEmulator, config: Path) -> None:
    def tenant(_: str) -> Mapping[str, Any]:
        return {"environment": "prod"}

    with kinetic.SourcePool(config, tenants=tenant, size=2) as pool:
        first, second = pool.source("first"), pool.source("second")
        first.session()
        assert pool.source("first") is first
        third = pool.source("third")
        assert len(pool) == 2
        assert pool.source("first") is first
        assert pool.source("third") is third
        assert pool.source("second") is not second
        assert second.session().is_valid()  # code that holds it can continue to use it


def test_many_threads_that_request_a_tenant_get_one_source(sf: SalesforceEmulator, config: Path) -> None:
    start = threading.Barrier(16)
    before = sf.token_requests

    def ask(_: int) -> kinetic.SessionSource:
        start.wait()
        source = pool.source("prod")
        source.session()
        return source

    with kinetic.SourcePool(config) as pool, ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(ask, range(16)))) == 1
    assert sf.token_requests == before + 1


def test_a_problem_is_reported_with_the_key(config: Path) -> None:
    with kinetic.SourcePool(config) as pool:
        with pytest.raises(kinetic.ConfigurationError, match=r"No source for 'qa': the environment 'qa'.* is not in"):
            pool.source("qa")
        assert len(pool) == 0
    with pytest.raises(kinetic.ConfigurationError, match="size: must be a number of sources, 1 or more"):
        kinetic.SourcePool(config, size=0)
    with pytest.raises(kinetic.ConfigurationError, match="nowhere"):
        kinetic.SourcePool("nowhere.toml")


def test_a_pool_cannot_be_pickled(config: Path) -> None:
    with pytest.raises(TypeError, match="make one in the worker"):
        pickle.dumps(kinetic.SourcePool(config))


def test_a_tenant_that_has_not_logged_in_costs_little_memory(tmp_path: Path) -> None:
    def tenant(key: str) -> Mapping[str, Any]:
        login = {"client_id": f"app-{key}", "username": f"integration@{key}.example"}
        return {"provider": "jwt-bearer", "private_key_path": "server.key", **login}

    count = 500
    with kinetic.SourcePool(tenants=tenant, size=2 * count) as pool:
        for number in range(10):
            pool.source(f"warm-{number}")
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(count):
                pool.source(str(number))
            gc.collect()
            each = (tracemalloc.get_traced_memory()[0] - before) / count
        finally:
            tracemalloc.stop()
        assert each < 3.5 * 1024
