"""Whatever a path leads to is read in bounded time and memory: config file, `.env`, key, certificate, reference."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.locations import MAX_FILE_BYTES, load_builtin, parse_reference, read_file
from kinetic_auth_core.plugins import read_certificate, read_private_key

Write = Callable[..., Path]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices and pipes")


def reference(path: Path) -> object:
    found = parse_reference(f"file://{path}", ())
    assert found is not None
    return load_builtin(found)


READERS: dict[str, Callable[[Path], object]] = {
    "config": lambda path: kinetic.resolve("password", config=path),
    "env_file": lambda path: kinetic.resolve("password", env_file=path),
    "key": read_private_key,
    "certificate": lambda path: read_certificate(path, remedy="Correct it."),
    "reference": reference,
    "ca_bundle": lambda path: kinetic.OAuthAuthenticator("a", "b", "c", "d", ca_bundle=path).authenticate(),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_device_is_refused(read: Callable[[Path], object]) -> None:
    with pytest.raises(kinetic.KineticAuthError, match="it is a device, not a file|it is neither a file nor a folder"):
        read(Path("/dev/zero"))


@pytest.mark.parametrize("read", [READERS[name] for name in READERS if name != "env_file"])
def test_a_pipe_is_refused_and_not_waited_for(read: Callable[[Path], object], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(kinetic.KineticAuthError, match="it is a pipe, not a file|it is neither a file nor a folder"):
        read(pipe)


@pytest.mark.parametrize("read", [READERS[name] for name in READERS if name != "ca_bundle"])
def test_a_file_that_is_too_long_is_refused(read: Callable[[Path], object], tmp_path: Path) -> None:
    long = tmp_path / "long"
    long.touch(0o600)
    os.truncate(long, 200 * 1024 * 1024)
    with pytest.raises(kinetic.KineticAuthError, match="it is longer than 1048576 bytes"):
        read(long)


def test_a_file_of_the_greatest_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MAX_FILE_BYTES)
    assert len(read_file(path)) == MAX_FILE_BYTES


def feed(pipe: Path, text: bytes) -> threading.Thread:
    def write() -> None:
        with contextlib.suppress(BrokenPipeError):
            pipe.write_bytes(text)

    writer = threading.Thread(target=write)
    writer.start()
    return writer


@pytest.mark.parametrize("is_named", [False, True])
def test_a_dotenv_that_is_a_pipe_is_read_once(is_named: bool, login: dict[str, str]) -> None:
    pipe = Path.cwd() / ".env"
    os.mkfifo(pipe, 0o600)
    del login["username"]
    writer = feed(pipe, b"SF_USERNAME=ada@acme.com\n")
    source = kinetic.resolve("password", env_file=pipe if is_named else None, **login)
    writer.join()
    row = next(row for row in source.explain() if row.name == "username")
    assert (row.value, row.source) == ("ada@acme.com", f"SF_USERNAME ({pipe})")


def test_a_dotenv_that_is_an_endless_pipe_is_refused() -> None:
    pipe = Path.cwd() / ".env"
    os.mkfifo(pipe, 0o600)
    writer = feed(pipe, b"#" * (MAX_FILE_BYTES * 2))
    with pytest.raises(kinetic.ConfigurationError, match="it is longer than 1048576 bytes"):
        kinetic.resolve("password")
    writer.join()


def test_the_null_device_means_no_file(write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    write("default_environment = 'prod'\n[environments.prod]\nprovider = 'jwt-bearer'\n")
    write("SF_USERNAME=other\n", ".env")
    source = kinetic.resolve("password", config=os.devnull, env_file=os.devnull, **login)
    assert source.environment is None
    assert {row.source for row in source.explain()} <= {"keyword", "default"}
    monkeypatch.setenv("KINETIC_AUTH_CONFIG", os.devnull)
    assert kinetic.resolve("password", **login).environment is None


def test_a_link_to_the_null_device_ends_the_search(write: Write, login: dict[str, str]) -> None:
    write("SF_READ_TIMEOUT=7\n", "../.env")
    (Path.cwd() / ".env").symlink_to(os.devnull)
    rows = {row.name: row.value for row in kinetic.resolve("password", **login).explain()}
    assert rows["read_timeout"] == 30.0


def test_a_stored_session_that_is_too_long_is_none(tmp_path: Path) -> None:
    from kinetic_auth_core.stores.private_folder import PrivateFolder

    folder = PrivateFolder(tmp_path / "store")
    folder.make()
    folder.write("entry", b"x")
    os.truncate(folder.path / "entry", 200 * 1024 * 1024)
    with pytest.raises(OSError, match="longer than"):
        folder.read("entry")
