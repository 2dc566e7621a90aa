"""A process that is stopped in mid-login: SIGSTOP, a paused virtual machine, a frozen function."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.stores.session_cache import SessionCache
from kinetic_auth_core.testing import Delay, SalesforceEmulator

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="the system cannot stop a process")

HOLDER = """
import json, sys
import kinetic_auth_core as kinetic
source = kinetic.resolve("jwt-bearer", **json.loads(sys.argv[1]))
print("ready", flush=True)
print(source.session().access_token, flush=True)
"""


def test_who_wakes_takes_the_younger_session_and_leaves_it_in_the_store(
    sf: SalesforceEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionCache, "lease_s", 1.0)  # how long others wait for the stopped process
    settings = {**sf.settings("jwt-bearer"), "store": {"name": "file", "path": str(tmp_path / "sessions")}}
    sf.break_transport(Delay(0.5))
    before = sf.token_requests
    script = f"from kinetic_auth_core.stores.session_cache import SessionCache; SessionCache.lease_s = 1.0\n{HOLDER}"
    command = [sys.executable, "-c", script, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        while sf.token_requests == before:
            threading.Event().wait(0.01)
        os.kill(holder.pid, signal.SIGSTOP)
        try:
            live = kinetic.resolve("jwt-bearer", **settings).session()
        finally:
            os.kill(holder.pid, signal.SIGCONT)
        assert holder.communicate(timeout=20)[0].strip() == live.access_token
    stored = kinetic.resolve("jwt-bearer", **settings).peek()
    assert stored is not None
    assert stored.access_token == live.access_token
