"""The source of a command: what the configuration says, with the user's own file store where it names no store."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from kinetic_auth_core.cli.options import Choice
from kinetic_auth_core.cli.output import note
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import Layer
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError, UnknownProviderError, suggest
from kinetic_auth_core.resolution.inspection import DEFAULT_STORE, Resolution, inspect
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.settings.schema import ExplainedSetting, schema
from kinetic_auth_core.stores.file import FileStore, default_folder
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
    choice: Choice,
    settings: Layer | None = None,
    *,
    keeps: bool = True,
    check: Callable[[Resolution], None] = lambda _: None,
) -> Iterator[CommandSource]:
    """The source that a command uses; it is closed at the end.

    Args:
        choice: What to resolve.
        settings: Settings that win over all others.
        check: Called with what the configuration leads to, before any of its errors is raised.
        keeps: Whether the command keeps a session: where the configuration names no store, the folder of the user's
            own is made, and the first time its path is printed to stderr. If it cannot be made, the session is kept in
            memory.

    Raises:
        KineticAuthError: As `resolve`.
    """
    found = inspect_choice(choice, settings, OWN_STORE)
    check(found)
    is_own = found.spec is not None and _is_own(_store_of(found))
    if keeps and is_own and not _made_own_folder():
        found = inspect_choice(choice, settings, DEFAULT_STORE)
    if found.spec is None:
        assert found.error is not None  # noqa: S101 - one or the other is there
        raise found.error
    if keeps and is_own and found.spec.is_single_use:
        _keep_key_in_keyring()
    row = _store_of(found)
    with SessionSource._of(found.spec) as source:  # noqa: SLF001 - as `resolve` does
        yield CommandSource(source, str(row.value), is_own=_is_own(row), configuration=found.configuration)


def refuse_secrets(settings: Layer, found: Resolution) -> None:
    """Refuse a setting of the command line that is secret.

    Args:
        settings: The settings of the command line.
        found: What the configuration leads to.

    Raises:
        ConfigurationError: One is.
    """
    for setting in schema(found.cls) if found.cls is not None else ():
        if setting.secret and setting.name in settings:
            variable = f"{found.configuration.variable_prefix}{setting.env}"
            raise ConfigurationError(
                f"--set {setting.name}: is secret, and the command line is visible in the shell's history and in ps.",
                remedy=f"Set the variable {variable} in the environment or in a .env file; or set {setting.name} in "
                f"the config file, where it may be a reference such as env://NAME.",
            )


def inspect_choice(
    choice: Choice,
    settings: Layer | None = None,
    default_store: str = DEFAULT_STORE,
    configuration: Configuration | None = None,
) -> Resolution:
    """As `inspect`; but the PROVIDER of a command line may also be the name of an environment.

    Args:
        choice: What to resolve.
        settings: Settings that win over all others.
        default_store: The store if the configuration names none.
        configuration: The files of `choice`, if they are loaded already.
    """

    def inspected(choice: Choice) -> Resolution:
        return inspect(
            choice.provider,
            environment=choice.environment,
            config=choice.config,
            env_file=choice.env_file,
            keywords=settings,
            configuration=configuration,
            default_store=default_store,
        )

    found = inspected(choice)
    name, file = choice.provider, found.configuration.file
    if name is None or not isinstance(found.error, UnknownProviderError):
        return found
    environment = file.environment_named(name)
    if environment is None:
        if known := ", ".join(file.environments):
            similar = suggest(name, file.environments)
            message = f"{found.error.message} Nor is it an environment of {file.path}; it has: {known}{similar}."
            return found._replace(error=UnknownProviderError(message, remedy=found.error.remedy))
        return found
    if choice.environment is not None and choice.environment.casefold() != environment.casefold():
        error = ConfigurationError(
            f"{name!r} is an environment of {file.path}, and -e names another one, {choice.environment!r}.",
            remedy="Name one of them.",
        )
        return found._replace(error=error)
    return inspected(attrs.evolve(choice, provider=None, environment=environment))


def _keep_key_in_keyring() -> None:
    """Before a refresh token is kept in the user's own store: have the keyring keep a key that encrypts it."""
    with contextlib.suppress(KineticAuthError, OSError):  # the store itself reports what is wrong with its folder
        FileStore().use_keyring()


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
