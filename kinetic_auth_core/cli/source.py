"""The source of a command: what the configuration says, with the user's own file store where it names no store."""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from kinetic_auth_core.cli.options import Choice
from kinetic_auth_core.cli.output import note
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import keyword_layer
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.resolution.resolver import Resolution, inspect
from kinetic_auth_core.resolution.store import DEFAULT_STORE
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.settings.schema import ExplainedSetting
from kinetic_auth_core.stores.file import default_folder
from kinetic_auth_core.stores.private_folder import PrivateFolder

#: The store of the commands where the configuration names none: a process's own memory would end with the command.
OWN_STORE = "file"


@attrs.frozen
class CommandSource:
    """A source, and where it keeps its session.

    Attributes:
        source: The source.
        store: The name of the store.
        is_own: Whether it is the user's own, because the configuration names none.
        configuration: The files and variables that were read for it.
    """

    source: SessionSource
    store: str
    is_own: bool
    configuration: Configuration

    def facts(self) -> dict[str, Any]:
        """Provider, environment and store, for the output of a command."""
        return {"provider": self.source.provider, "environment": self.source.environment, "store": self.store}


@contextlib.contextmanager
def command_source(
    choice: Choice, settings: Mapping[str, Any] | None = None, *, keeps: bool = True
) -> Iterator[CommandSource]:
    """The source that a command uses; it is closed at the end.

    Args:
        choice: What to resolve.
        settings: Settings that win over all others.
        keeps: Whether the command keeps a session: where the configuration names no store, the folder of the user's
            own is made, and the first time its path is printed to stderr. If it cannot be made, the session is kept in
            memory.

    Raises:
        KineticAuthError: As `resolve`.
    """
    found = _inspect(choice, settings, OWN_STORE)
    is_own = found.spec is not None and _is_own(_store_of(found))
    if keeps and is_own and not _made_own_folder():
        found = _inspect(choice, settings, DEFAULT_STORE)
    if found.spec is None:
        assert found.error is not None  # noqa: S101 - one or the other is there
        raise found.error
    row = _store_of(found)
    with SessionSource._of(found.spec) as source:  # noqa: SLF001 - as `resolve` does
        yield CommandSource(source, str(row.value), is_own=_is_own(row), configuration=found.configuration)


def _inspect(choice: Choice, settings: Mapping[str, Any] | None, default_store: str) -> Resolution:
    return inspect(
        choice.provider,
        environment=choice.environment,
        config=choice.config,
        env_file=choice.env_file,
        keywords=keyword_layer(settings or {}),
        default_store=default_store,
    )


def _store_of(found: Resolution) -> ExplainedSetting:
    return next(row for row in found.rows if row.name == "store")


def _is_own(row: ExplainedSetting) -> bool:
    return row.source == "default" and row.value == OWN_STORE


def _made_own_folder() -> bool:
    """Make the folder of the user's own store; False, with a line on stderr, if it cannot be used."""
    folder = None
    try:
        folder = default_folder()
        is_new = not folder.exists()
        PrivateFolder(folder).make()
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except KineticAuthError as error:
        note(f"The session is not kept for the next command: {error.message}")
        return False
    except OSError as error:
        note(f"The session is not kept for the next command: {error.filename or folder}: {error.strerror or error}.")
        return False
    if is_new:
        note(f"No store is configured: sessions are kept in {folder}, which only this user can read.")
    return True
