"""The file store: its guarantees besides the contract of stores, with real processes and umasks."""

import copy
import logging
import os
import pickle
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from kinetic_auth_core.stores import file
from kinetic_auth_core.stores.file import Entry, Lease
from kinetic_auth_core.stores.private_folder import LockFile, PrivateFolder
from kinetic_auth_core.testing import SessionStoreContract
from kinetic_auth_core.testing.leaks import secrets_in

posix = pytest.mark.skipif(os.name != "posix", reason="modes and signals")
KEY = "0123456789abcdef"
NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> kinetic.FileStore:
    return kinetic.FileStore(folder)


class TestContract(SessionStoreContract):
    shared = True

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "store"

    def make_store(self) -> kinetic.FileStore:
        return kinetic.FileStore(self.folder)

    def make_broken_store(self) -> kinetic.FileStore:
        self.folder.mkdir(mode=0o755)
        return kinetic.FileStore(self.folder)


class TestEncryptedContract(TestContract):
    key = Fernet.generate_key().decode()

    def make_store(self) -> kinetic.FileStore:
        return kinetic.FileStore(self.folder, key=self.key)


@pytest.mark.skipif(sys.platform != "linux", reason="the names of open files are in /proc")
def test_what_was_put_is_synced_with_its_name_before_put_returns(
    store: kinetic.FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        synced.append("folder" if path.is_dir() else path.suffix)
        sync(descriptor)

    store.put("key", b"value", expires_in_s=60)
    monkeypatch.setattr(os, "fsync", fsync)
    store.put("key", b"another", expires_in_s=60)
    assert synced == [".tmp", "folder"]


def test_with_a_key_no_file_has_a_value_in_clear(folder: Path) -> None:
    store = kinetic.FileStore(folder, key=Fernet.generate_key().decode())
    store.put("key", b"canary-value", expires_in_s=60)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert not any(b"canary-value" in path.read_bytes() for path in files)


def test_a_list_of_keys_encrypts_with_the_first_and_opens_with_all(folder: Path) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    kinetic.FileStore(folder, key=old).put("key", b"value", expires_in_s=60)
    both = kinetic.FileStore(folder, key=[new, old])
    assert both.get("key").value == b"value"  # type: ignore[union-attr]
    both.put("key", b"again", expires_in_s=60)
    assert kinetic.FileStore(folder, key=new).get("key").value == b"again"  # type: ignore[union-attr]


def test_an_entry_under_another_key_is_not_removed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    right, wrong = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    kinetic.FileStore(folder, key=right).put("key", b"value", expires_in_s=60)
    for _ in range(2):
        assert kinetic.FileStore(folder, key=wrong).get("key") is None
    assert "it has another key" in caplog.text
    assert kinetic.FileStore(folder, key=right).get("key") is not None


def test_an_entry_that_was_copied_under_another_name_is_not_opened(folder: Path) -> None:
    store = kinetic.FileStore(folder, key=Fernet.generate_key().decode())
    store.put("mine", b"value", expires_in_s=60)
    (folder / "yours.session").write_bytes((folder / "mine.session").read_bytes())
    assert store.get("yours") is None


def test_a_key_that_is_not_one_is_not_shown() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="not a Fernet key") as caught:
        kinetic.FileStore(key="canary-key")
    assert secrets_in(caught.value, "canary-key", is_test=lambda file: file == __file__) == []
    assert "canary" not in repr(kinetic.FileStore(key=Fernet.generate_key().decode()))


def start(script: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start another Python, with `store` in the folder that is the first argument."""
    head = "import os, sys, time, kinetic_auth_core as kinetic\nstore = kinetic.FileStore(sys.argv[1])\n"
    command = [sys.executable, "-c", head + script, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def finish(process: "subprocess.Popen[str]", send: str = "") -> str:
    out, err = process.communicate(send, timeout=60)
    assert (process.returncode, err) == (0, "")
    return out.strip()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def only_session(folder: Path) -> Path:
    (found,) = folder.glob("*.session")
    return found


def make_sweep_due(folder: Path) -> None:
    long_ago = time.time() - file.SWEEP_EVERY_S - 1
    os.utime(folder / "swept", (long_ago, long_ago))


def test_one_process_gets_what_another_puts(store: kinetic.FileStore, folder: Path) -> None:
    value = b"\x00session\n"
    generation = store.put(KEY, value, expires_in_s=60)
    found = finish(start(f"found = store.get({KEY!r}); print(found.value, found.generation)", folder))
    assert found == f"{value!r} {generation}"
    assert "session" not in repr(store.get(KEY))


def test_the_folder_is_not_created_before_the_first_put(store: kinetic.FileStore, folder: Path) -> None:
    assert store.get(KEY) is None
    assert not store.delete(KEY)
    store.release(KEY, "me")
    assert not folder.exists()


def test_without_a_path_it_is_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kinetic.FileStore().put(KEY, b"value", expires_in_s=60)
    assert file.default_folder().is_relative_to(tmp_path)
    assert file.default_folder().parts[-2:] == ("kinetic-auth", "sessions")
    assert only_session(file.default_folder()).name == f"{KEY}.session"


def test_a_relative_path_does_not_move_with_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = kinetic.FileStore("sessions")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put(KEY, b"value", expires_in_s=60)
    assert only_session(tmp_path / "work" / "sessions").exists()


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_an_invalid_path_is_refused(path: str) -> None:
    with pytest.raises(kinetic.ConfigurationError, match="is empty, or not a path"):
        kinetic.FileStore(path)


@pytest.mark.parametrize("key", ["", "../up", "a/b", "a\0", "k" * 101, "ü", "a b", "a\n"])
def test_no_key_leads_out_of_the_folder(store: kinetic.FileStore, folder: Path, key: str) -> None:
    for call in (
        lambda: store.get(key),
        lambda: store.put(key, b"", expires_in_s=60),
        lambda: store.delete(key),
        lambda: store.acquire(key, "me", expires_in_s=60),
        lambda: store.release(key, "me"),
    ):
        with pytest.raises(ValueError, match="1 to 100 characters"):
            call()
    assert not folder.exists()


@pytest.mark.parametrize("key", [".", "..", "-", "k" * 100, "a.session", "a.lease", "0.lock"])
def test_every_key_of_the_contract_has_its_own_file_name(store: kinetic.FileStore, key: str) -> None:
    store.put("a", b"another", expires_in_s=60)
    assert store.acquire("a", "another", expires_in_s=60)
    store.put(key, b"value", expires_in_s=60)
    assert store.acquire(key, "me", expires_in_s=60)
    found, other = store.get(key), store.get("a")
    assert found is not None
    assert other is not None
    assert (found.value, other.value) == (b"value", b"another")


@posix
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277], ids=oct)
def test_only_this_user_can_read_the_files_regardless_of_the_umask(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "made" / "store"
    if umask == 0o277:  # with which even our own folders are inaccessible
        folder.mkdir(parents=True, mode=0o700)
        folder.parent.chmod(0o700)
    os.umask(umask)
    store = kinetic.FileStore(folder)
    store.put("k", b"v", expires_in_s=60)
    store.acquire("k", "me", expires_in_s=60)
    os.umask(0o022)
    assert mode_of(folder) == mode_of(folder.parent) == 0o700
    kinds = {path.suffix: mode_of(path) for path in folder.iterdir()}
    assert kinds == {".session": 0o600, ".lease": 0o600, ".lock": 0o600, "": 0o600}


@posix
@pytest.mark.parametrize("umask", [0o177, 0o277, 0o777], ids=oct)
def test_a_umask_that_takes_our_own_rights_does_not_lock_us_out_of_the_folder(folder: Path, umask: int) -> None:
    store = kinetic.FileStore(folder)
    store.put("k", b"v", expires_in_s=60)  # whoever is nobody below may import nothing
    store.naming_key()
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        if (child := os.fork()) == 0:
            failed = 1
            try:
                if os.geteuid() == 0:  # whom no mode locks out
                    os.setgroups([])
                    os.setresgid(NOBODY, NOBODY, NOBODY)
                    os.setresuid(NOBODY, NOBODY, NOBODY)
                os.umask(umask)
                store = kinetic.FileStore(f"{place}/made/store")
                store.naming_key()
                store.put("k", b"v", expires_in_s=60)
                found = store.get("k")
                failed = int(found is None or not store.acquire("k", "me", expires_in_s=60))
            finally:
                os._exit(failed)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert mode_of(Path(place) / "made") == mode_of(Path(place) / "made" / "store") == 0o700


def test_a_store_with_a_key_is_not_pickled_and_says_what_to_do(folder: Path) -> None:
    store = kinetic.FileStore(folder, key=Fernet.generate_key().decode())
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(
            TypeError, match="a FileStore may hold secrets and connections and is not pickled; make one"
        ):
            copied(store)


@posix
@pytest.mark.parametrize("mode", [0o750, 0o701, 0o722, 0o777])
def test_a_folder_that_others_can_access_is_refused_with_the_command_to_correct_it(
    store: kinetic.FileStore, folder: Path, mode: int
) -> None:
    folder.mkdir()
    folder.chmod(mode)
    for call in (lambda: store.get(KEY), lambda: store.put(KEY, b"", expires_in_s=60), lambda: store.delete(KEY)):
        with pytest.raises(kinetic.KineticAuthError) as caught:
            call()
        assert f"can be read or written by others (mode {mode:04o})" in str(caught.value)
        assert caught.value.remedy == f"chmod 700 {folder}"
    assert list(folder.iterdir()) == []
    folder.chmod(0o700)
    assert store.put(KEY, b"", expires_in_s=60)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("through_link", [False, True])
def test_a_folder_of_another_user_is_refused(tmp_path: Path, folder: Path, through_link: bool) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    path = folder
    if through_link:
        path = tmp_path / "link"
        path.symlink_to(folder)
    with pytest.raises(kinetic.KineticAuthError, match=f"belongs to another user \\(uid {NOBODY}"):
        kinetic.FileStore(path).put(KEY, b"", expires_in_s=60)
    assert list(folder.iterdir()) == []


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_another_user_is_refused_and_one_of_our_own_is_followed(tmp_path: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert kinetic.FileStore(link).put(KEY, b"", expires_in_s=60)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(kinetic.KineticAuthError, match="symbolic link that belongs to another user"):
        kinetic.FileStore(link).put(KEY, b"", expires_in_s=60)


def test_an_entry_that_is_a_link_is_not_followed(store: kinetic.FileStore, folder: Path, tmp_path: Path) -> None:
    store.put(KEY, b"value", expires_in_s=60)
    only_session(folder).rename(tmp_path / "moved")
    (folder / f"{KEY}.session").symlink_to(tmp_path / "moved")
    with pytest.raises(OSError, match="symbolic links"):
        store.get(KEY)


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "other form", "not ours"])
def test_a_damaged_entry_counts_as_missing_warns_once_and_can_be_overwritten(
    store: kinetic.FileStore, folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(KEY, b"canary-token" * 10, expires_in_s=60)
    path = only_session(folder)
    whole = path.read_bytes()
    other = Entry(b"canary-token", 1, time.time() + 60).encoded()
    path.write_bytes(
        {
            "cut": whole[:-1],
            "empty": b"",
            "changed": whole.replace(b"canary", b"canarz", 1),
            "other form": _with_digest(other.partition(b"\n")[2].replace(b'"form": 1', b'"form": 2')),
            "not ours": b"\xff" * 2000,
        }[damage]
    )
    assert store.get(KEY) is None
    assert store.get(KEY) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(folder) in record.getMessage()
    assert "canar" not in record.getMessage()
    path.write_bytes(whole[:-1])
    assert store.put(KEY, b"new", expires_in_s=60, generation=0)
    found = store.get(KEY)
    assert found is not None
    assert found.value == b"new"


def _with_digest(rest: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"holder": 1}', b'{"holder": "x", "expires_at": 1e999}'])
def test_a_damaged_lease_blocks_no_login(store: kinetic.FileStore, folder: Path, content: bytes) -> None:
    assert store.acquire(KEY, "me", expires_in_s=60)
    (folder / f"{KEY}.lease").write_bytes(content)
    assert store.acquire(KEY, "you", expires_in_s=60)


def test_a_lease_from_before_the_clock_was_set_back_blocks_no_login(store: kinetic.FileStore, folder: Path) -> None:
    assert store.acquire(KEY, "me", expires_in_s=60)
    (folder / f"{KEY}.lease").write_bytes(Lease("me", time.time() + 3600, 60).encoded())
    assert store.acquire(KEY, "you", expires_in_s=60)


def test_a_generation_is_not_repeated_after_a_delete(store: kinetic.FileStore) -> None:
    seen = set()
    for _ in range(20):
        seen.add(store.put(KEY, b"value", expires_in_s=60))
        seen.add(store.put(KEY, b"value", expires_in_s=60))
        store.delete(KEY)
    assert len(seen) == 40


def test_an_expired_value_is_removed_when_it_is_read(store: kinetic.FileStore, folder: Path) -> None:
    store.put(KEY, b"value", expires_in_s=60)
    store.put("old", b"value", expires_in_s=0)
    assert (folder / "old.session").exists()
    assert store.get("old") is None
    assert only_session(folder).name == f"{KEY}.session"


def test_the_folder_does_not_grow_without_limit(store: kinetic.FileStore, folder: Path) -> None:
    for number in range(100):
        store.put(f"key-{number}", b"value", expires_in_s=0)
        store.acquire(f"key-{number}", "me", expires_in_s=0)
    (folder / "cut.session").write_bytes(b"cut")
    (folder / "old.tmp").write_bytes(b"abandoned")
    os.utime(folder / "old.tmp", (0, 0))
    (folder / "young.tmp").write_bytes(b"at work")
    (folder / "README").write_text("of another program")
    make_sweep_due(folder)
    store.put("live", b"value", expires_in_s=60)
    names = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
    assert names == {"live.session", "swept", "young.tmp", "README"}
    assert len(list(folder.glob("*.lock"))) <= 16


def test_a_sweep_skips_a_locked_key(store: kinetic.FileStore, folder: Path) -> None:
    store.put(KEY, b"value", expires_in_s=60)
    store.put("busy", b"value", expires_in_s=0)
    make_sweep_due(folder)
    with LockFile(PrivateFolder(folder), "busy") as lock, ThreadPoolExecutor() as pool:
        lock.acquire()
        assert pool.submit(store.put, "another", b"value", expires_in_s=60).result()
    assert (folder / "busy.session").exists()


@posix
def test_a_read_only_folder_can_be_read_and_raises_an_oserror_when_written(folder: Path) -> None:
    script = """
kinetic.FileStore(sys.argv[1] + "-before").put("k", b"v", expires_in_s=60)  # all imports, while they can be read
if os.geteuid() == 0:  # root may do anything
    os.setgid(65534), os.setuid(65534)
store.put("k", b"v", expires_in_s=60)
store.put("old", b"v", expires_in_s=0)
os.chmod(sys.argv[1], 0o500)
for lock in os.listdir(sys.argv[1]):
    if lock.endswith(".lock"):
        os.chmod(sys.argv[1], 0o700), os.unlink(os.path.join(sys.argv[1], lock)), os.chmod(sys.argv[1], 0o500)
assert store.get("k").value == b"v"
assert store.get("old") is None
for call in (
    lambda: store.put("k", b"w", expires_in_s=60),
    lambda: store.acquire("k", "me", expires_in_s=60),
    lambda: store.delete("k"),
):
    try:
        call()
    except OSError as error:
        print(error.errno)
"""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders belong to root
        Path(place).chmod(0o777)
        assert finish(start(script, Path(place) / "store")).split() == ["13", "13", "13"]


def test_a_path_where_no_folder_can_be_created_raises_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            kinetic.FileStore(path).put(KEY, b"", expires_in_s=60)


@posix
def test_on_a_full_disk_the_previous_value_remains_and_no_files_accumulate(
    store: kinetic.FileStore, folder: Path
) -> None:
    store.put(KEY, b"before", expires_in_s=60)
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
for _ in range(5):
    try:
        store.put({KEY!r}, b"x" * 10_000, expires_in_s=60)
    except OSError as error:
        print(type(error).__name__)
print(store.get({KEY!r}).value)
"""
    assert finish(start(script, folder)).split() == ["OSError"] * 5 + ["b'before'"]
    assert list(folder.glob("*.tmp")) == []


def test_a_failed_replacement_leaves_no_file_behind(store: kinetic.FileStore, folder: Path) -> None:
    store.put("another", b"value", expires_in_s=60)
    (folder / f"{KEY}.lease").mkdir()
    (folder / f"{KEY}.session").mkdir()
    with pytest.raises(IsADirectoryError):
        store.put(KEY, b"value", expires_in_s=60)
    with pytest.raises(IsADirectoryError):
        store.acquire(KEY, "me", expires_in_s=60)
    with pytest.raises(IsADirectoryError):
        PrivateFolder(folder).write(f"{KEY}.lease", b"value")
    assert list(folder.glob("*.tmp")) == []


@pytest.mark.usefixtures("full_tier")
@posix
def test_a_process_killed_during_any_operation_leaves_whole_values_and_no_lock(
    store: kinetic.FileStore, folder: Path
) -> None:
    script = "print('on', flush=True)\nwhile True: store.put('k', os.urandom(50_000), expires_in_s=60)"
    for _ in range(3):
        process = start(script, folder)
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        for _ in range(20):
            found = store.get("k")
            assert found is None or len(found.value) == 50_000
        process.kill()
        process.communicate()
        assert store.put("k", b"x" * 50_000, expires_in_s=60)  # without waiting for a lock of the killed process
    for path in folder.glob("*.tmp"):
        os.utime(path, (0, 0))
    make_sweep_due(folder)
    store.put("k", b"value", expires_in_s=60)
    assert list(folder.glob("*.tmp")) == []


@pytest.mark.usefixtures("full_tier")
@posix
def test_the_lease_of_a_killed_process_expires(store: kinetic.FileStore, folder: Path) -> None:
    script = "print(store.acquire('k', 'dead', expires_in_s=0.8), flush=True); time.sleep(60)"
    process = start(script, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    began = time.monotonic()
    assert not store.acquire("k", "heir", expires_in_s=60)
    while not store.acquire("k", "heir", expires_in_s=60):
        assert time.monotonic() - began < 10
        threading.Event().wait(0.02)
    assert time.monotonic() - began < 2


@pytest.mark.usefixtures("full_tier")
def test_of_four_processes_that_replace_one_generation_one_wins(store: kinetic.FileStore, folder: Path) -> None:
    generation = store.put(KEY, b"before", expires_in_s=60)
    script = f"""
print("ready", flush=True)
sys.stdin.readline()
print(store.put({KEY!r}, str(os.getpid()).encode(), expires_in_s=60, generation={generation}))
"""
    processes = [start(script, folder) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = {process.pid: finish(process) for process in processes}
    (winner,) = [pid for pid, answer in answers.items() if answer != "None"]
    found = store.get(KEY)
    assert found is not None
    assert (found.value, found.generation) == (str(winner).encode(), int(answers[winner]))


def test_of_many_threads_that_share_a_store_one_gets_the_lease_and_one_put_wins(store: kinetic.FileStore) -> None:
    barrier = threading.Barrier(16)

    def contend(name: str) -> tuple[bool, bool]:
        barrier.wait()
        leased = store.acquire(KEY, name, expires_in_s=60)
        barrier.wait()
        return leased, store.put(KEY, name.encode(), expires_in_s=60, generation=0) is not None

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(contend, map(str, range(16))))
    assert [sum(column) for column in zip(*outcomes, strict=True)] == [1, 1]


def test_a_lock_held_too_long_is_an_error(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    place = PrivateFolder(folder)
    with LockFile(place, KEY) as lock, LockFile(place, KEY) as second:
        lock.acquire()
        with pytest.raises(kinetic.KineticAuthError, match="was locked by another process"):
            second.acquire(timeout_s=0.05)


@posix
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_holds_no_lock_and_can_use_the_store_at_once(store: kinetic.FileStore, folder: Path) -> None:
    script = """
import threading
taken, over = threading.Event(), threading.Event()
from kinetic_auth_core.stores import private_folder
def hold():
    with private_folder.LockFile(private_folder.PrivateFolder(private_folder.Path(sys.argv[1])), "k") as lock:
        lock.acquire()
        taken.set()
        over.wait()
store.put("k", b"before", expires_in_s=60)
holder = threading.Thread(target=hold)
holder.start()
taken.wait()
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
there, here = os.pipe()
if os.fork() == 0:
    os.read(there, 1)  # until the parent has released it
    os._exit(0 if store.put("k", b"child", expires_in_s=60) else 1)
over.set()
holder.join()
assert store.put("k", b"parent", expires_in_s=60)
os.write(here, b".")
print(os.wait()[1], store.get("k").value)
"""
    assert finish(start(script, folder)) == "0 b'child'"


@pytest.fixture(autouse=True)
def _umask_as_before() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)
