"""What is said where the library that the commands of `cert` need is not installed."""

from kinetic_auth_core.errors import ConfigurationError


def need_cryptography() -> None:
    """Make sure that modules which import cryptography can be imported.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import cryptography  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ConfigurationError(
            "the commands of cert need cryptography, which is not installed.",
            remedy='pip install cryptography; the extra brings it too: pip install "kinetic-auth-core[jwt-bearer]"',
        ) from error
