"""Faults of the session store."""

import shutil
import subprocess
import time
from collections.abc import Callable

from cryptography.fernet import Fernet

import kinetic_auth_core as kinetic
from doctor_rows.row import Bench, Row
from doctor_rows.servers import unused_port


def _file(bench: Bench) -> str:
    path = str(bench.folder / "sessions")
    bench.env |= {"SF_STORE": "file", "SF_STORE_PATH": path}
    return path


def not_a_folder(bench: Bench) -> None:
    _file(bench)
    bench.write("sessions", "")


def open_folder(bench: Bench) -> None:
    _file(bench)
    (bench.folder / "sessions").mkdir(mode=0o777)
    (bench.folder / "sessions").chmod(0o777)


def read_only(bench: Bench) -> None:
    """A place where nobody may make a folder, not even root."""
    bench.env |= {"SF_STORE": "file", "SF_STORE_PATH": "/proc/1/sessions"}


def _with_session(bench: Bench, key: str) -> None:
    store = {"name": "file", "path": _file(bench), "key": key}
    variables = bench.write("before.env", "".join(f"{name}={value}\n" for name, value in bench.env.items()))
    with kinetic.resolve("jwt-bearer", env_file=variables, store=store) as source:
        source.session()


def another_key(bench: Bench) -> None:
    _with_session(bench, Fernet.generate_key().decode())
    bench.env["SF_STORE_KEY"] = Fernet.generate_key().decode()


def key_left_out(bench: Bench) -> None:
    _with_session(bench, Fernet.generate_key().decode())


def malformed_key(bench: Bench) -> None:
    _file(bench)
    bench.env["SF_STORE_KEY"] = "not-a-fernet-key"


def key_of_a_vault(bench: Bench) -> None:
    _file(bench)
    bench.env["SF_STORE_KEY"] = "env://NO_SUCH_KEY"


def redis_down(bench: Bench) -> None:
    bench.env |= {
        "SF_STORE": "redis",
        "SF_STORE_URL": f"redis://127.0.0.1:{unused_port()}/0",
        "SF_STORE_KEY": Fernet.generate_key().decode(),
    }


def _redis(bench: Bench, *options: str) -> str:
    """A Redis server; host and port."""
    program, port = shutil.which("redis-server"), unused_port()
    assert program, "this test needs a real Redis: apt-get install redis-server"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(bench.folder), *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    bench.stack.callback(server.wait)
    bench.stack.callback(server.terminate)
    deadline = time.monotonic() + 10
    while subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return f"127.0.0.1:{port}"


def _redis_with_password(given: str) -> Callable[[Bench], None]:
    """Redis has a password, and the settings have another one."""

    def plant(bench: Bench) -> None:
        place = _redis(bench, "--requirepass", "right")
        redis_down(bench)
        bench.env["SF_STORE_URL"] = f"redis://{given}{place}/0"

    return plant


def redis_with_another_key(bench: Bench) -> None:
    place = _redis(bench)
    redis_down(bench)
    bench.env["SF_STORE_URL"] = f"redis://{place}/0"
    variables = bench.write("before.env", "".join(f"{name}={value}\n" for name, value in bench.env.items()))
    with kinetic.resolve("jwt-bearer", env_file=variables) as source:
        source.session()
    bench.env["SF_STORE_KEY"] = Fernet.generate_key().decode()


def single_use_without_its_store(bench: Bench) -> None:
    bench.use("refresh-token")
    not_a_folder(bench)


ROWS = [
    Row("store", "its folder is a file", not_a_folder, "store", "NotADirectoryError", "store", 5),
    Row("store", "others can read its folder", open_folder, "store", "sessions", "store", 5),
    Row("store", "its folder cannot be made", read_only, "store", "/proc/1", "store", 5),
    Row("store", "it has another key", another_key, "store", "has another key", "store.key", 3),
    Row("store", "its key is left out", key_left_out, "store", "key", "store.key", 3),
    Row("store", "its key is malformed", malformed_key, "settings", "Fernet", "store.key"),
    Row("store", "the vault does not give its key", key_of_a_vault, "store", "NO_SUCH_KEY", "store.key", 3),
    Row("store", "Redis does not run", redis_down, "store", "refused", "store", 5),
    Row("store", "Redis has another password", _redis_with_password(":wrong@"), "store", "password", "store", 5),
    Row("store", "Redis wants a password", _redis_with_password(""), "store", "password", "store", 5),
    Row("store", "Redis has another key", redis_with_another_key, "store", "written with another key", "store.key", 3),
    Row("store", "a token has no place", single_use_without_its_store, "store", "NotADirectoryError", "store", 5),
]
