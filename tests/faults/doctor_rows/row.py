"""A row: a fault that is planted, and the check that has to name it first."""

import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import attrs

from kinetic_auth_core.testing import SalesforceEmulator


@attrs.define
class Bench:
    """A deployment that works, until a fault is planted in it.

    Attributes:
        sf: The org; one for each fault.
        env: The variables of the process; those that log in to the org.
        folder: The working folder.
        stack: Closes what a fault has opened.
        args: The arguments of `kinetic-auth doctor`.
    """

    sf: SalesforceEmulator
    env: dict[str, str]
    folder: Path
    stack: ExitStack
    args: list[str] = attrs.field(factory=lambda: ["jwt-bearer"])

    def use(self, provider: str) -> None:
        """Log in by a provider."""
        self.args[0] = provider
        if provider == "jwt-bearer":  # it is used already, with the key in a file
            return
        for name, value in self.sf.settings(provider).items():
            self.env[f"SF_{name.upper()}"] = str(value)

    def write(self, name: str, text: str | bytes, mode: int = 0o600) -> Path:
        """Write a file of the working folder."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def openssl(self, *args: str) -> None:
        """Run openssl in the working folder."""
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.folder)

    def unset(self, *names: str) -> None:
        """Remove variables."""
        for name in names:
            self.env.pop(name, None)


Plant = Callable[[Bench], object]


@attrs.frozen
class Row:
    """A fault.

    Attributes:
        group: Its part of the table.
        what: A unique description, as the table prints it.
        plant: Plants it.
        check: The check that names it.
        says: What the message or the remedy contains.
        setting: The setting that the check names, or None.
        code: The exit code; 0 for a warning.
        logs_in: Whether it takes `--login` to find it.
    """

    group: str
    what: str
    plant: Plant
    check: str
    says: str
    setting: str | None = None
    code: int = 2
    logs_in: bool = False

    @property
    def status(self) -> str:
        """`failure`, or `warning` where the login goes on nevertheless."""
        return "failure" if self.code else "warning"


def variable(name: str, value: str, provider: str | None = None) -> Plant:
    """Set a variable."""

    def plant(bench: Bench) -> None:
        if provider is not None:
            bench.use(provider)
        bench.env[name] = value

    return plant


IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
