"""Redirects every login of the process to an emulator, whatever the application's configuration says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kinetic_auth_core.testing.emulator.emulator import SalesforceEmulator


@contextlib.contextmanager
def redirect_logins(emulator: SalesforceEmulator) -> Iterator[SalesforceEmulator]:
    """Log in at an emulator while the body runs, in all threads of the process.

    `resolve` reads and checks the configuration as ever; but the source that it returns logs in at the emulator with
    the emulator's credentials, and keeps its session in memory. No key loader is called, no configured observer, no
    program and no browser. A login at any other host raises `ConfigurationError`, and so does a source that was
    resolved before.

    Args:
        emulator: A running emulator.

    Yields:
        The emulator.

    Raises:
        RuntimeError: The emulator has not been started.
    """
    from kinetic_auth_core.transport.connections import Redirection, redirected

    with redirected(Redirection(emulator.url, emulator.settings)):
        yield emulator
