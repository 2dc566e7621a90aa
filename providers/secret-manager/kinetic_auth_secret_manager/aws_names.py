"""The AWS names in a reference: versions of secrets, and parameters. Does not need boto3."""

import re
from typing import Self

import attrs

from kinetic_auth_core import KeyLoadError
from kinetic_auth_secret_manager.targets import Target

_VERSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RESOURCE = 5  # the index of the resource in an ARN: arn:<partition>:<service>:<region>:<account>:<resource>


def secret_version(target: Target) -> dict[str, str]:
    """The arguments of GetSecretValue for a version: a UUID is an id, anything else a stage."""
    version = target.options.get("version", "AWSCURRENT")
    return {"VersionId" if _VERSION_ID.fullmatch(version) else "VersionStage": version}


@attrs.frozen
class ParameterName:
    """A parameter of the Parameter Store.

    Attributes:
        name: Its name, with a leading slash if it has a hierarchy; or its ARN.
        version: The number or a label of a version; empty for the current one.
    """

    name: str
    version: str

    @classmethod
    def of(cls, target: Target) -> Self:
        """Read `<name or ARN>` or `<name or ARN>:<version>`, or the version as an option.

        Raises:
            KeyLoadError: Two versions are named.
        """
        is_arn = target.name.startswith("arn:")
        parts = target.name.split(":", _RESOURCE) if is_arn else [target.name]
        resource, _, version = parts.pop().partition(":")
        if version and "version" in target.options:
            raise KeyLoadError(
                f"{target.reference}: it names one version after the colon and another in version=.",
                remedy="Leave one of them out.",
            )
        slash = "/" if "/" in resource and not (is_arn or resource.startswith("/")) else ""
        return cls(":".join([*parts, f"{slash}{resource}"]), version or target.options.get("version", ""))

    def __str__(self) -> str:
        """The argument of GetParameter."""
        return f"{self.name}:{self.version}" if self.version else self.name
