"""Early errors of adapters: the library is not installed, or the argument is not a source."""

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource


class ClientNotInstalledError(ConfigurationError, ImportError):
    """An adapter was imported without the library that it adapts."""


def not_installed(library: str, error: ModuleNotFoundError) -> ImportError:
    """The error to raise for a failed import of `library`.

    Args:
        library: The library's distribution name.
        error: The error of the import.

    Returns:
        A `ClientNotInstalledError` with the pip command; `error` itself if another module is missing.
    """
    if (error.name or "").partition(".")[0] != library.replace("-", "_"):
        return error
    module = library.replace("-", "_")
    return ClientNotInstalledError(
        f"kinetic_auth_core.adapters.{module} needs {library}, which is not installed.",
        remedy=f"pip install {library}",
    )


def checked_source(adapter: str, source: SessionSource) -> SessionSource:
    """Check a source at once, because the first request may be hours away.

    Args:
        adapter: The adapter's name, for the message.
        source: Its argument.

    Returns:
        The source.

    Raises:
        ConfigurationError: It is not a source.
    """
    if hasattr(source, "session") and hasattr(source, "invalidate"):
        return source
    remedy = "Give it the result of kinetic_auth_core.resolve(...)."
    if isinstance(source, SalesforceSession):
        remedy = "Give it the session's source: a session alone cannot be renewed."
    elif hasattr(source, "authenticate"):
        remedy = "Give it kinetic_auth_core.SessionSource(authenticator)."
    raise ConfigurationError(f"{adapter} needs a SessionSource, but got {type(source).__name__}.", remedy=remedy)
