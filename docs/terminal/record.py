"""Records a session of `kinetic-auth` on a real terminal, against the emulator, as a picture: session.svg.

    python docs/terminal/record.py [FILE]

Tokens are masked in the picture.
"""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kinetic_auth_core.testing import SalesforceEmulator

COLUMNS, ROWS = 90, 200
TIMEOUT_S = 60.0
PROMPT = "$ "
CLIENT_ID = "3MVG9acme"
SECRET = "the-consumer-secret"  # noqa: S105 - of the emulated org, and never printed

#: What is typed: a command, and its answers, each with the text that it waits for.
SESSION: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    (
        "kinetic-auth init --provider client-credentials",
        (
            ("Name of the environment", ""),
            ("client_id:", CLIENT_ID),
            ("login_url:", "{url}"),
            ("Where secrets live", ""),
        ),
    ),
    ("kinetic-auth doctor", ()),
    ("cp ~/acme.env .env", ()),
    ("kinetic-auth config check", ()),
    ("kinetic-auth login", ()),
    ("kinetic-auth token prod", ()),
    ("""kinetic-auth exec -- sh -c 'echo "instance: $SF_INSTANCE_URL, API $SF_API_VERSION"'""", ()),
)


def main(target: Path) -> None:
    """Record and write the picture.

    Args:
        target: The SVG file.
    """
    with SalesforceEmulator(seed="docs") as org, tempfile.TemporaryDirectory() as folder:
        home, work = Path(folder) / "home", Path(folder) / "acme"
        home.mkdir()
        work.mkdir()
        user = org.add_user("integration@acme.example")
        org.add_app(CLIENT_ID, client_secret=SECRET, run_as=user.username)
        secret = home / "acme.env"
        secret.write_text(f"PROD_SF_CLIENT_SECRET={SECRET}\n")
        secret.chmod(0o600)
        shown = record(work, home, org.url)
    target.write_text(picture(masked(shown.replace(str(home), "/home/ada"))), "utf-8")


def record(work: Path, home: Path, url: str) -> str:
    """Type the session into a shell on a terminal; all that the terminal was sent.

    Args:
        work: The working folder.
        home: The home folder.
        url: The address of the org.
    """
    path = os.pathsep.join([sysconfig.get_path("scripts"), "/usr/bin", "/bin"])
    env = {"PATH": path, "HOME": str(home), "TERM": "xterm-256color", "PS1": PROMPT, "NO_PROXY": "127.0.0.1"}
    with terminal(["bash", "--norc", "--noprofile", "--noediting", "-i"], work, env) as screen:
        shown = screen.read_until(PROMPT)
        for command, answers in SESSION:
            screen.type(command)
            for question, answer in answers:
                shown += screen.read_until(question)
                screen.type(answer.format(url=url))
            shown += screen.read_until(f"\n{PROMPT}")
    return shown.removesuffix(PROMPT)


class Screen:
    """The other end of a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending = ""

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._descriptor, f"{text}\n".encode())

    def read_until(self, text: str) -> str:
        """What is shown up to a text, and as far as it follows at once.

        Raises:
            TimeoutError: It does not appear.
        """
        give_up_at = time.monotonic() + TIMEOUT_S
        while text not in self._pending:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, give_up_at - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{text!r} did not appear after:\n{self._pending}")
            self._pending += os.read(self._descriptor, 65536).decode().replace("\r\n", "\n")
        end = self._pending.index(text) + len(text)
        shown, self._pending = self._pending[:end], self._pending[end:]
        return shown


@contextlib.contextmanager
def terminal(command: Sequence[str], work: Path, env: dict[str, str]) -> Iterator[Screen]:
    """A program on a terminal of its own."""
    outer, inner = pty.openpty()
    with contextlib.suppress(ImportError):
        import fcntl
        import struct
        import termios

        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, cwd=work, env=env, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    )
    os.close(inner)
    try:
        yield Screen(outer)
    finally:
        process.kill()
        process.wait(timeout=10)
        os.close(outer)


def masked(shown: str) -> str:
    """Mask access tokens."""
    return re.sub(r"\b(00D\w{3})\w*!\S+", r"\1***!************ (masked in this picture)", shown)


def picture(shown: str) -> str:
    """An SVG of what a terminal showed, which loads nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True, legacy_windows=False)  # noqa: PTH123, SIM115 - closed with the process
    for line in shown.replace("\x1b[?2004h", "").replace("\x1b[?2004l\r", "").split("\n"):
        console.print(Text.from_ansi(line.rpartition("\r")[2] or line.rstrip("\r")), overflow="fold")
    svg = console.export_svg(title="kinetic-auth", unique_id="kinetic-auth")
    svg = re.sub(r"@font-face \{[^}]*\}\s*", "", svg)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("session.svg"))
