"""How many of our files and functions a first session takes a reader through: `python benchmarks/files_of_a_login.py`.

Runs the three lines of the README, with settings from variables, against an emulator in another process, and counts the
files and functions of the core and its providers that run, from `import kinetic_auth_core` on. The bodies of modules
and classes do not count: they define things and do nothing.
"""

import inspect
import os
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

_SERVER = """
import sys
from kinetic_auth_core.testing import SalesforceEmulator
with SalesforceEmulator() as sf:
    print(*(f"{name}={value}" for name, value in sf.env().items()), sep="\\n", flush=True)
    print(flush=True)
    sys.stdin.read()
"""
_called: set[tuple[str, str, int]] = set()


def _note(frame: FrameType, _event: str, _argument: Any) -> None:
    code = frame.f_code
    if "kinetic_auth_" in code.co_filename and code.co_filename[0] != "<" and code.co_flags & inspect.CO_OPTIMIZED:
        _called.add((code.co_filename, code.co_qualname, code.co_firstlineno))


def main() -> None:
    """Log in once under a tracer."""
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None  # noqa: S101 - a pipe was asked for
    for line in iter(server.stdout.readline, "\n"):
        name, _, value = line.rstrip("\n").partition("=")
        os.environ[name] = value
    threading.setprofile(_note)
    sys.setprofile(_note)
    import kinetic_auth_core as kinetic

    kinetic.resolve("jwt-bearer").session()
    sys.setprofile(None)
    server.kill()
    server.wait()
    functions = _called
    files = sorted({file for file, _, _ in functions})
    if "-v" in sys.argv:
        for file in files:
            print(f"{sum(1 for each in functions if each[0] == file):4} {file.partition('kinetic_auth_')[2]}")
    print(f"{len(files)} files, {len(functions)} functions")


if __name__ == "__main__":
    main()
