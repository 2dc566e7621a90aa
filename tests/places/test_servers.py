"""Real servers, whose workers are forked from a process that has logged in: gunicorn, uWSGI and celery, over TLS."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kinetic_auth_core.testing import SalesforceEmulator

APPLICATION = """
import json, os
import kinetic_auth_core as kinetic

source = kinetic.resolve("password", **json.loads(os.environ["SETTINGS"]))
source.session()  # before the fork: its connection is kept

def application(environ, start_response):
    fresh, live = source.authenticate(), source.session()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {fresh.is_valid() and live.is_valid()}".encode()]
"""


@contextmanager
def serving(command: list[str], folder: Path, settings: dict[str, str]) -> Iterator[str]:
    """A server with the application on a socket of this test's; its log is shown where the test fails.

    `{socket}` in the command stands for the socket. The server inherits it: a port that was only found
    free could be another test's by the time the server binds it.
    """
    (folder / "application.py").write_text(APPLICATION)
    environ = {**os.environ, "SETTINGS": json.dumps(settings), "PYTHONPATH": str(folder)}
    with socket.create_server(("127.0.0.1", 0)) as server, (folder / "log").open("wb") as log:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen(
            [part.format(socket=f"fd://{server.fileno()}") for part in command],
            cwd=folder,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[server.fileno()],
        )
    try:
        yield address
    finally:
        print((folder / "log").read_text(), "has ended with", process.poll())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def asked(url: str) -> list[str]:
    """What 12 requests at a time get."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(_: int) -> str:
        with opener.open(url, timeout=60) as answer:
            return str(answer.read().decode())

    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(ask, range(24)))


@pytest.mark.parametrize("options", [["sync"], ["gthread", "--threads=4"], ["gevent"]], ids=lambda options: options[0])
@pytest.mark.parametrize("preload", [["--preload"], []], ids=["preload", "no-preload"])
def test_gunicorn(tls_org: SalesforceEmulator, tmp_path: Path, options: list[str], preload: list[str]) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--workers=3", "--bind={socket}", *preload]
    command += ["--worker-class", *options, "application:application"]
    with serving(command, tmp_path, tls_org.settings("password")) as url:
        answers = asked(url)
    assert [answer.split()[1] for answer in answers] == ["True"] * 24


@pytest.mark.parametrize("options", [[], ["--enable-threads", "--threads=4"], ["--lazy-apps"]])
def test_uwsgi(tls_org: SalesforceEmulator, tmp_path: Path, options: list[str]) -> None:
    command = [
        str(Path(sys.executable).with_name("uwsgi")),
        "--http-socket={socket}",
        "--master",
        "--processes=3",
        "--module=application",
        "--need-app",
    ]
    command += ["--module=application", f"--home={sys.prefix}", *options]
    with serving(command, tmp_path, tls_org.settings("password")) as url:
        answers = asked(url)
    assert [answer.split()[1] for answer in answers] == ["True"] * 24


TASKS = """
import json, os
import kinetic_auth_core as kinetic
from celery import Celery

source = kinetic.resolve("password", **json.loads(os.environ["SETTINGS"]))
source.session()  # before the fork: its connection is kept

app = Celery("tasks")
app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={"data_folder_in": "queue", "data_folder_out": "queue", "polling_interval": 0.02},
    result_backend="file://results",
    worker_send_task_events=False,
)

@app.task
def ask(number):
    fresh, live = source.authenticate(), source.session()
    return fresh.is_valid() and live.is_valid()
"""
CALLS = """
import tasks
answers = [tasks.ask.delay(number) for number in range(24)]
print([each.get(timeout=60, interval=0.05) for each in answers] == [True] * 24)
"""


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_celery(tls_org: SalesforceEmulator, tmp_path: Path, pool: str) -> None:
    for folder in ("queue", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)
    environ = {**os.environ, "SETTINGS": json.dumps(tls_org.settings("password")), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-m", "celery", "--app=tasks", "worker", "--concurrency=3"]
    command += [f"--pool={pool}", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        asked = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CALLS],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert asked.stdout == "True\n", asked.stderr
    finally:
        print((tmp_path / "log").read_text(), "has ended with", worker.poll())
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
