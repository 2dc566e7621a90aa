"""What AWS calls that which a reference names: a version of a secret, a parameter. Nothing here needs boto3."""

import re

from kinetic_auth_core import KeyLoadError
from kinetic_auth_secret_manager.targets import Target

_VERSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ARN_PARTS = 6  # arn:<partition>:<service>:<region>:<account>:<resource>


def secret_version(target: Target) -> dict[str, str]:
    """The version of a secret, as GetSecretValue takes it: one that looks like a UUID is an id, all else a stage."""
    version = target.options.get("version", "AWSCURRENT")
    return {"VersionId" if _VERSION_ID.fullmatch(version) else "VersionStage": version}


def parameter_name(target: Target) -> str:
    """The name of a parameter with its version, as GetParameter takes it: `name`, `name:3`, `name:label`.

    A name with a hierarchy begins with a slash, whether it was written or not.

    Raises:
        KeyLoadError: Two versions are named.
    """
    name, version = target.name, target.options.get("version")
    is_arn = name.startswith("arn:")
    if version and ":" in (name.split(":", _ARN_PARTS - 1)[-1] if is_arn else name):
        raise KeyLoadError(
            f"{target.reference}: it names a version behind the colon and another in version=.",
            remedy="Leave one of them out.",
        )
    slash = "/" if "/" in name and not name.startswith("/") and not is_arn else ""
    return f"{slash}{name}:{version}" if version else f"{slash}{name}"
