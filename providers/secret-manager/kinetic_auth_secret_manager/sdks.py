"""Imports an SDK when it is first needed; the error names its extra."""

import importlib
from types import ModuleType

from kinetic_auth_core import KeyLoadError, Reference

_FAMILIES = {"aws": {"boto3", "botocore"}, "azure": {"azure", "cryptography", "msal"}}


def sdk(module: str, extra: str, reference: Reference) -> ModuleType:
    """Import a module of ours that needs an SDK.

    Args:
        module: Its full name.
        extra: The extra of this package that installs the SDK.
        reference: The reference, for the message.

    Raises:
        KeyLoadError: The SDK is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _FAMILIES[extra]:
            raise
        raise KeyLoadError(
            f"{reference}: {error.name} is not installed.",
            remedy=f'pip install "kinetic-auth-secret-manager[{extra}]"',
        ) from error
