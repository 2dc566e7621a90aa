"""Forks that Python sees, and forks in C, which it does not: during the first login, over a pool, in a thread."""

import sys
from collections.abc import Callable

import pytest

from kinetic_auth_core.testing import Delay, SalesforceEmulator

Run = Callable[..., str]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no fork")

START = """
    import ctypes, faulthandler, json, multiprocessing, os, signal, sys, threading, time, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and newer: a fork in a process with threads
    import kinetic_auth_core as kinetic

    fork = os.fork if sys.argv[2] == "python" else ctypes.PyDLL(None).fork  # with the GIL, as uWSGI does

    def outcome(ask):
        try:
            return ask()
        except BaseException as error:
            return f"{type(error).__name__}: {error}"

    def in_child(ask):
        there, here = os.pipe()
        if fork() == 0:
            faulthandler.register(signal.SIGALRM, chain=True)  # says where it hangs
            signal.alarm(20)
            os.write(here, str(outcome(ask)).encode())
            os._exit(0)
        os.close(here)
        return there

    def printed_by(pipe):
        text = os.read(pipe, 1000).decode()
        os.wait()
        return text or "no answer"

    settings = json.loads(sys.argv[1])
"""

FIRST_LOGIN = """
    source = kinetic.resolve("password", **settings)
    threading.Thread(target=source.session, daemon=True).start()
    time.sleep(float(sys.argv[3]))
    print(printed_by(in_child(lambda: source.session().is_valid())), source.session().is_valid())
"""

BOTH_AT_ONCE = """
    source = kinetic.resolve("password", **settings)
    source.session()  # a connection is kept
    pipe = in_child(lambda: source.authenticate().is_valid())
    print(outcome(lambda: source.authenticate().is_valid()), printed_by(pipe))
"""

TWO_TENANTS = """
    pool = kinetic.SourcePool(tenants=lambda user: {"provider": "password", **settings[user]})
    for user in settings:
        pool.source(user).session()
    first, second = settings
    def ask(user):
        return pool.source(user).authenticate().username == settings[user]["username"]
    pipe = in_child(lambda: [ask(first) for _ in range(5)])
    print(outcome(lambda: [ask(second) for _ in range(5)]), printed_by(pipe))
"""

IN_A_THREAD = """
    source = kinetic.resolve("password", **settings)
    source.session()
    found = []
    def fork_and_ask():
        found.append(printed_by(in_child(lambda: source.authenticate().is_valid())))
    thread = threading.Thread(target=fork_and_ask)
    thread.start()
    thread.join()
    print(*found)
"""

GRANDCHILD = """
    source = kinetic.resolve("password", **settings)
    source.session()
    def ask():
        return printed_by(in_child(lambda: source.authenticate().is_valid())), source.authenticate().is_valid()
    print(printed_by(in_child(ask)))
"""

WHILE_IT_LOGS = """
    import io, logging

    class Slow(io.RawIOBase):
        def writable(self):
            return True

        def write(self, line):
            time.sleep(0.5)
            return len(line)

    logging.getLogger().addHandler(logging.StreamHandler(io.TextIOWrapper(io.BufferedWriter(Slow()))))
    source = kinetic.resolve("password", **settings)
    threading.Thread(target=source.session, daemon=True).start()  # its first line is a warning
    time.sleep(0.2)
    print(printed_by(in_child(lambda: source.session().is_valid())), source.session().is_valid())
"""

WHILE_KEYS_ARE_READ = """
    from pathlib import Path
    from kinetic_auth_core.plugins import LocalSigner, read_private_key

    LocalSigner.import_modules()

    def use():
        return bool(read_private_key(Path(settings["private_key_path"])).sign(b"message"))

    def fork_meanwhile(after_s):  # in a process that has used no key yet: OpenSSL looks up its algorithms once
        for _ in range(4):
            threading.Thread(target=use, daemon=True).start()
        time.sleep(after_s)
        return printed_by(in_child(use))

    print(*{printed_by(in_child(lambda: fork_meanwhile(number / 4000))) for number in range(60)})
"""

FORKS = pytest.mark.parametrize("fork", ["python", "c"])


@pytest.mark.parametrize(
    ("fork", "after_s", "answer_s"),
    # A fork in C cannot wait until another thread has left OpenSSL: here that thread waits for the answer by then.
    [("python", 0.0, 0.3), ("python", 0.01, 0.3), ("python", 0.1, 0.3), ("c", 0.7, 1.5)],
)
def test_a_child_made_during_the_first_login_logs_in(
    sf: SalesforceEmulator, run: Run, fork: str, after_s: float, answer_s: float
) -> None:
    sf.break_transport(Delay(answer_s))
    assert run(START + FIRST_LOGIN, sf.settings("password"), fork, after_s) == "True True"


@pytest.mark.parametrize("after_s", [0.005, 0.015, 0.025])
def test_python_does_not_fork_while_certificates_are_read(
    tls_org: SalesforceEmulator, run: Run, after_s: float
) -> None:
    """OpenSSL holds locks of its own then, which nobody would release in the child."""
    tls_org.break_transport(Delay(0.3))
    assert run(START + FIRST_LOGIN, tls_org.settings("password"), "python", after_s) == "True True"


def test_python_does_not_fork_while_a_login_writes_to_the_log(sf: SalesforceEmulator, run: Run) -> None:
    """The buffer of the log's file is locked then, and the child would wait for it with its own first line."""
    assert run(START + WHILE_IT_LOGS, sf.settings("password"), "python") == "True True"


def test_python_does_not_fork_while_a_key_is_read_or_signs(sf: SalesforceEmulator, run: Run) -> None:
    """OpenSSL holds locks of its own then, too."""
    env = sf.env()
    assert run(START + WHILE_KEYS_ARE_READ, {"private_key_path": env["SF_PRIVATE_KEY_PATH"]}, "python") == "True"


@FORKS
def test_parent_and_child_log_in_over_connections_of_their_own(
    tls_org: SalesforceEmulator, run: Run, fork: str
) -> None:
    assert run(START + BOTH_AT_ONCE, tls_org.settings("password"), fork) == "True True"


@FORKS
def test_no_tenant_of_a_pool_gets_the_session_of_another(tls_org: SalesforceEmulator, run: Run, fork: str) -> None:
    users = {}
    for name in ("one", "two"):
        user = tls_org.add_user(f"{name}-{fork}@acme.example", f"{name}-password", trusted_ip=True)
        app = tls_org.add_app(preauthorised=[user.username])
        users[name] = {
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "username": user.username,
            "password": f"{name}-password",
            "login_url": tls_org.url,
            "ca_bundle": str(tls_org.ca_bundle),
        }
    trues = str([True] * 5)
    assert run(START + TWO_TENANTS, users, fork) == f"{trues} {trues}"


@FORKS
def test_a_thread_may_fork(tls_org: SalesforceEmulator, run: Run, fork: str) -> None:
    assert run(START + IN_A_THREAD, tls_org.settings("password"), fork) == "True"


@FORKS
def test_a_child_of_a_child_logs_in(tls_org: SalesforceEmulator, run: Run, fork: str) -> None:
    assert run(START + GRANDCHILD, tls_org.settings("password"), fork) == "('True', True)"


WORKER = """
import json, multiprocessing, sys
import kinetic_auth_core as kinetic

def work(settings):
    return kinetic.resolve("password", **settings).session().is_valid()

if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    assert work(settings)
    for method in ("fork", "forkserver", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(pool.map(work, [settings] * 4) == [True] * 4)
"""


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_multiprocessing_logs_in_by_every_start_method(tls_org: SalesforceEmulator, run: Run, tmp_path: object) -> None:
    program = f"""
        import pathlib, subprocess, sys
        pathlib.Path("worker.py").write_text({WORKER!r})
        print(subprocess.run([sys.executable, "worker.py", sys.argv[1]], capture_output=True, text=True).stdout)
    """
    assert run(program, tls_org.settings("password")).split() == ["True"] * 3
