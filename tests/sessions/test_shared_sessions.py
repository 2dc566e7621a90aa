"""One session for all processes that share a store: which one logs in, and what a damaged store costs."""

import importlib.metadata
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.testing import App, Delay, KeyPair, SalesforceEmulator, User


@attrs.frozen
class Org:
    """A user, an app, and what `resolve` needs to log in."""

    user: User
    app: App
    settings: dict[str, Any]

    def source(self, store: object, **settings: Any) -> kinetic.SessionSource:
        return kinetic.resolve("jwt-bearer", store=store, **self.settings, **settings)

    def elsewhere(self, store: object, script: str) -> "subprocess.Popen[str]":
        """Another process, with a `source` like this one's."""
        given = json.dumps([store, self.settings])
        head = f"""
import json, os, sys, threading, kinetic_auth_core as kinetic
store, settings = json.loads({given!r})
source = kinetic.resolve("jwt-bearer", store=store, **settings)
"""
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", head + script]
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def make_org(sf: SalesforceEmulator, key_pair: KeyPair) -> Callable[[], Org]:
    def make() -> Org:
        user = sf.add_user(f"{uuid.uuid4()}@shared.example", trusted_ip=True)
        app = sf.add_app(certificates=[key_pair.certificate_pem], preauthorised={user.username})
        settings = {"client_id": app.client_id, "username": user.username, "login_url": sf.url}
        return Org(user, app, {**settings, "private_key": key_pair.private_key_pem})

    return make


@pytest.fixture
def org(make_org: Callable[[], Org]) -> Org:
    return make_org()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> dict[str, str]:
    return {"name": "file", "path": str(folder)}


@pytest.fixture
def logins(sf: SalesforceEmulator) -> Callable[[], int]:
    """How many token requests there have been since the test began."""
    before = sf.token_requests
    return lambda: sf.token_requests - before


def finish(process: "subprocess.Popen[str]", send: str = "") -> str:
    out, err = process.communicate(send, timeout=60)
    assert (process.returncode, err) == (0, "")
    return out.strip()


def ready(*processes: "subprocess.Popen[str]") -> None:
    """Wait until each process has reported."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"


def go(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def in_store(folder: Path) -> Path:
    (found,) = folder.glob("*.session")
    return found


def test_a_second_source_finds_the_session_of_the_first(
    org: Org, store: dict[str, str], logins: Callable[[], int]
) -> None:
    first = org.source(store).session()
    assert org.source(store).session() == first
    assert finish(org.elsewhere(store, "print(source.session().access_token)")) == first.access_token
    assert logins() == 1


def test_a_store_instance_works_as_well(org: Org, folder: Path, logins: Callable[[], int]) -> None:
    first = org.source(kinetic.FileStore(folder)).session()
    assert org.source(kinetic.FileStore(folder)).session() == first
    assert logins() == 1


def test_eight_processes_of_eight_threads_log_in_once(
    org: Org, store: dict[str, str], logins: Callable[[], int]
) -> None:
    script = """
tokens = []
barrier = threading.Barrier(8)
def ask():
    barrier.wait()
    tokens.append(source.session().access_token)
threads = [threading.Thread(target=ask) for _ in range(8)]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*tokens)
"""
    processes = [org.elsewhere(store, script) for _ in range(8)]
    ready(*processes)
    go(*processes)
    tokens = [token for process in processes for token in finish(process).split()]
    assert len(tokens) == 64
    assert len(set(tokens)) == 1
    assert logins() == 1


def test_a_dead_session_costs_one_login_for_all_processes(
    sf: SalesforceEmulator, org: Org, store: dict[str, str], logins: Callable[[], int]
) -> None:
    script = """
session = source.session()
print("ready", flush=True)
sys.stdin.readline()
source.invalidate(session)
print(source.session().access_token)
"""
    processes = [org.elsewhere(store, script) for _ in range(2)]
    ready(*processes)
    source = org.source(store)
    dead = source.session()
    assert sf.revoke(dead.access_token)
    go(*processes)
    source.invalidate(dead)
    tokens = {source.session().access_token, *map(finish, processes)}
    assert len(tokens) == 1
    assert tokens != {dead.access_token}
    assert sf.is_live(*tokens)
    assert logins() == 2


@pytest.mark.skipif(os.name != "posix", reason="kill")
def test_a_process_killed_during_its_login_delays_the_others_no_longer_than_its_lease(
    sf: SalesforceEmulator,
    org: Org,
    store: dict[str, str],
    logins: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lease_s = 1.0
    monkeypatch.setattr(SessionCache, "lease_s", lease_s)
    sf.break_transport(Delay(60))
    patch = "from kinetic_auth_core.stores.session_cache import SessionCache"
    script = f"{patch}; SessionCache.lease_s = {lease_s}; source.session()"
    victim = org.elsewhere(store, script)
    began = time.monotonic()
    while logins() == 0:
        assert time.monotonic() - began < 30
    began = time.monotonic()
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert org.source(store).session().is_valid()
    assert time.monotonic() - began < lease_s + 3
    assert logins() == 2


def test_a_login_that_fails_gives_the_session_that_another_process_has_stored_meanwhile(
    org: Org, store: dict[str, str], logins: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionCache, "lease_s", 0.2)
    other = org.source(store)

    class Stopped:
        """As a process that is stopped in the middle of its login, and goes on after the deadline."""

        @kinetic.hookimpl(wrapper=True)
        def authenticate(self) -> Iterator[None]:
            other.session()
            yield
            raise kinetic.TransportError("no answer within the deadline")

    assert org.source(store, observers=[Stopped()]).session() == other.peek()
    assert logins() == 2


def test_a_damaged_entry_causes_a_warning_and_a_login(
    org: Org, store: dict[str, str], folder: Path, logins: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    first = org.source(store).session()
    in_store(folder).write_bytes(in_store(folder).read_bytes()[:-5])
    second = org.source(store).session()
    assert org.source(store).session() == second
    assert logins() == 2
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "truncated or was changed" in record.getMessage()
    assert first.access_token not in caplog.text


def test_a_folder_that_others_can_read_causes_a_warning_with_the_chmod_command(
    org: Org, store: dict[str, str], folder: Path, logins: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    source = org.source(store)
    assert source.session() == source.session()
    assert logins() == 1
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert f"Remedy: chmod 700 {folder}" in record.getMessage()
    assert list(folder.iterdir()) == []


def test_with_an_unwritable_path_each_source_warns_and_logs_in_itself(
    org: Org, tmp_path: Path, logins: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    store = {"name": "file", "path": str(tmp_path / "file" / "store")}
    source = org.source(store)
    assert source.session() == source.session()
    assert org.source(store).session().is_valid()
    assert logins() == 2
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 2  # one for each source
    assert all("goes on with its own memory" in each and "NotADirectoryError" in each for each in warnings)


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_a_read_only_folder_causes_a_warning_and_the_login_works(org: Org, logins: Callable[[], int]) -> None:
    script = """
import logging
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
source.authenticate()  # all imports, while they can be read
kinetic.FileStore(store["path"] + "-before").put("k", b"v", expires_in_s=60)
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
os.mkdir(store["path"], 0o500)
print(source.session().is_valid(), source.session().is_valid())
"""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        out = finish(org.elsewhere({"name": "file", "path": f"{place}/store"}, script)).splitlines()
    assert out[-1] == "True True"
    assert out[0].startswith("WARNING the session store failed (acquire)")
    assert "Permission denied" in out[0]
    assert len(out) == 2
    assert logins() == 2


@pytest.mark.skipif(os.name != "posix", reason="limits")
def test_a_full_disk_causes_a_warning_and_the_login_works(
    org: Org, store: dict[str, str], folder: Path, logins: Callable[[], int]
) -> None:
    script = """
import logging, resource
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
resource.setrlimit(resource.RLIMIT_FSIZE, (250, 250))  # room for a lease, not for a session
print(source.session().is_valid(), source.session().is_valid())
"""
    out = finish(org.elsewhere(store, script)).splitlines()
    assert out[-1] == "True True"
    assert out[0].startswith("WARNING the session store failed (put)")
    assert "File too large" in out[0]
    assert len(out) == 2
    assert [path.suffix for path in folder.iterdir() if path.suffix in {".session", ".tmp"}] == []
    assert list(folder.glob("*.lease")) == []  # no other process waits for it
    assert org.source(store).session().is_valid()
    assert logins() == 2


def test_file_names_reveal_nothing_and_only_this_user_can_read_the_content(
    sf: SalesforceEmulator, org: Org, store: dict[str, str], folder: Path
) -> None:
    org.source(store).session()
    names = " ".join(path.name for path in folder.iterdir())
    for secret in (org.user.username, "shared.example", org.app.client_id, sf.url.rpartition("/")[2], "127.0.0.1"):
        assert secret not in names
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_two_users_share_no_session(
    make_org: Callable[[], Org], store: dict[str, str], logins: Callable[[], int]
) -> None:
    one, other = make_org(), make_org()
    assert one.source(store).session() != other.source(store).session()
    assert one.source(store).session() == one.source(store).session()
    assert logins() == 2


def test_a_file_names_a_store_with_a_path_relative_to_itself(
    org: Org, tmp_path: Path, logins: Callable[[], int]
) -> None:
    (tmp_path / "key.pem").write_text(org.settings["private_key"])
    (tmp_path / "key.pem").chmod(0o600)
    config = tmp_path / "kinetic-auth.toml"
    config.write_text(
        f"""
        [environments.prod]
        provider = "jwt-bearer"
        client_id = "{org.app.client_id}"
        username = "{org.user.username}"
        login_url = "{org.settings["login_url"]}"
        private_key_path = "key.pem"
        [environments.prod.store]
        name = "file"
        path = "sessions"
        """
    )
    source = kinetic.resolve(environment="prod", config=config)
    assert source.session() == kinetic.resolve(environment="prod", config=config).session()
    assert logins() == 1
    assert in_store(tmp_path / "sessions").exists()
    rows = {row.name: (row.value, row.source) for row in source.explain()}
    assert rows["store"] == ("file", f"{config}:environments.prod.store")
    assert rows["store.path"] == (str(tmp_path / "sessions"), f"{config}:environments.prod.store.path")


def test_a_store_can_be_named_by_variables(
    org: Org, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logins: Callable[[], int]
) -> None:
    monkeypatch.setenv("SF_STORE", "file")
    monkeypatch.setenv("SF_STORE_PATH", str(tmp_path / "from-variable"))
    source = org.source(None)
    assert source.session() == org.source(None).session()
    assert logins() == 1
    rows = {row.name: (row.value, row.source) for row in source.explain()}
    assert rows["store"] == ("file", "SF_STORE")
    assert rows["store.path"] == (str(tmp_path / "from-variable"), "SF_STORE_PATH")


def test_without_a_path_explain_shows_the_folder(
    org: Org, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logins: Callable[[], int]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    source = org.source("file")
    rows = {row.name: (row.value, row.source) for row in source.explain()}
    source.session()
    assert rows["store.path"][1] == "default"
    assert in_store(Path(rows["store.path"][0])).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("fiel", "store (from keyword): no session store 'fiel' is installed (did you mean 'file'?)"),
        ({"path": "sessions"}, "store (from keyword): expected a name, or a table with one: { name = ... }"),
        ({"name": "file", "paht": "x"}, "store.paht (from keyword): unknown setting (did you mean 'path'?)"),
        ({"name": "file", "path": 7}, "store.path (from keyword): expected text or a path, got a whole number"),
        ({"name": "file", "path": ""}, "store.path (from keyword): is empty, or not a path"),
        (7, "store (from keyword): expected a name, or a table with one: { name = ... }"),
    ],
)
def test_problems_of_a_store_are_reported_by_resolve(org: Org, store: object, problem: str) -> None:
    with pytest.raises(kinetic.ConfigurationError) as caught:
        org.source(store)
    (message,) = caught.value.problems
    assert message.startswith(problem)


def test_a_store_that_is_not_installed_is_reported_with_its_package(org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.metadata.entry_points

    def without_redis() -> importlib.metadata.EntryPoints:
        groups = installed().groups
        return importlib.metadata.EntryPoints(
            each for group in groups for each in installed(group=group) if each.name != "redis"
        )

    monkeypatch.setattr(importlib.metadata, "entry_points", without_redis)
    with pytest.raises(kinetic.ConfigurationError, match="pip install kinetic-auth-redis-store"):
        org.source({"name": "redis", "url": "redis://localhost"})


@pytest.fixture(autouse=True)
def _nothing_left(folder: Path) -> Iterator[None]:
    yield
    assert list(folder.glob("*.tmp")) == []
    shutil.rmtree(folder, ignore_errors=True)


def test_a_process_that_only_invalidates_a_session_removes_it_from_the_store(
    sf: SalesforceEmulator, org: Org, store: dict[str, str]
) -> None:
    """A job that stops at a 401 and is restarted a minute later must not find the same session again."""
    with kinetic.resolve("jwt-bearer", store=store, **org.settings) as source:
        session = source.session()
        sf.revoke(session.access_token)
        source.invalidate(session)
    with kinetic.resolve("jwt-bearer", store=store, **org.settings) as source:
        assert sf.is_live(source.session().access_token)
