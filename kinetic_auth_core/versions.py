"""The version of the core, as its package says."""

import importlib.metadata

CORE = "kinetic-auth-core"


def installed_version() -> str:
    """The core's version, from the metadata of its package; `0+unknown` where the packaging has left that out."""
    try:
        return importlib.metadata.version(CORE)
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"
