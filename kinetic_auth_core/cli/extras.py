"""The optional libraries that some commands need, and what is said where their extra is not installed."""

from typing import TYPE_CHECKING

from kinetic_auth_core.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType


def load_testing() -> "ModuleType":
    """The package `kinetic_auth_core.testing`.

    Raises:
        ConfigurationError: The extra `testing` is not installed.
    """
    try:
        from kinetic_auth_core import testing
    except ImportError as error:
        # Chained where something of the extra is missing; anything else is a fault of ours.
        if not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        missing = (error.name or "").partition(".")[0]
        raise ConfigurationError(
            f"the emulator needs {missing}, which is not installed.",
            remedy='pip install "kinetic-auth-core[testing]"',
        ) from error
    return testing
