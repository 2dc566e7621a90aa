"""What is said where the library that an adapter is for is not installed."""

from kinetic_auth_core.errors import ConfigurationError


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
