"""The vault in a reference, and the secret or key in it. Does not need Azure's SDK."""

import re
from typing import Self

import attrs

from kinetic_auth_core import KeyLoadError
from kinetic_auth_secret_manager.targets import Target

_VAULT_NAME = re.compile(r"[A-Za-z0-9-]{3,24}")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?|localhost(:[0-9]{1,5})?")
_OBJECT_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")


@attrs.frozen
class VaultName:
    """A secret or key in an Azure Key Vault.

    Attributes:
        url: The URL of the vault.
        thing: `secret` or `key`.
        name: Its name.
        version: Its version; None is the current one.
    """

    url: str
    thing: str
    name: str
    version: str | None

    @classmethod
    def of(cls, target: Target) -> Self:
        """Read `<vault name or host[:port]>/<name>`. A name without a dot is a vault of Azure's public cloud.

        Raises:
            KeyLoadError: A part is missing, or is not valid in Azure.
        """
        vault, _, name = target.name.partition("/")
        thing = "key" if target.reference.scheme == "kms" else "secret"
        if not name:
            problem = f"it names a vault but no {thing}"
        elif not _OBJECT_NAME.fullmatch(name):
            problem = f"{name!r} is not a valid name of a {thing}: use letters, digits and hyphens"
        elif not (_HOST.fullmatch(vault) or _VAULT_NAME.fullmatch(vault)):
            problem = f"{vault!r} is neither the name of a vault nor a host"
        else:
            host = vault if _HOST.fullmatch(vault) else f"{vault}.vault.azure.net"
            return cls(f"https://{host}", thing, name, target.options.get("version"))
        raise KeyLoadError(
            f"{target.reference}: {problem}.",
            remedy=f"Write {target.reference.scheme}://azure/<vault>/<{thing}>; a version goes into ?version=.",
        )
