"""What an adapter says at once: the library that it is for is not installed, or what it was given is no source."""

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource


class ClientNotInstalledError(ConfigurationError, ImportError):
    """An adapter was imported without the library that it adapts."""


def not_installed(library: str, error: ModuleNotFoundError) -> ImportError:
    """The error to raise from the one that importing `library` met.

    Args:
        library: The library's distribution, as pip knows it.
        error: What the import raised.

    Returns:
        A `ClientNotInstalledError` with the pip command; `error` itself where the library is there and something else
        is missing.
    """
    if (error.name or "").partition(".")[0] != library.replace("-", "_"):
        return error
    module = library.replace("-", "_")
    return ClientNotInstalledError(
        f"kinetic_auth_core.adapters.{module} needs {library}, which is not installed.",
        remedy=f"pip install {library}",
    )


def checked_source(adapter: str, source: SessionSource) -> SessionSource:
    """The source, or what behaves like one; looked at now, for the first request may be hours away.

    Args:
        adapter: What was called, for the message.
        source: What it was given.

    Raises:
        ConfigurationError: It is no source.
    """
    if hasattr(source, "session") and hasattr(source, "invalidate"):
        return source
    remedy = "Give it what kinetic_auth_core.resolve(...) returns."
    if isinstance(source, SalesforceSession):
        remedy = "Give it the source that the session came from: a session alone cannot be renewed."
    elif hasattr(source, "authenticate"):
        remedy = "Give it kinetic_auth_core.SessionSource(authenticator)."
    raise ConfigurationError(f"{adapter} wants a SessionSource, but was given: {type(source).__name__}.", remedy=remedy)
