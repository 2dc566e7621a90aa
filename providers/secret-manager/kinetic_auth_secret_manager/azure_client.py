"""What all Azure clients share: which vault, `DefaultAzureCredential`, bounded time and retries, errors as problems."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import attrs
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.identity import DefaultAzureCredential

from kinetic_auth_secret_manager.azure_failures import azure_problem
from kinetic_auth_secret_manager.problems import Problem
from kinetic_auth_secret_manager.quiet_logs import quiet_logs
from kinetic_auth_secret_manager.targets import Target

#: A dead vault is noticed within about ten seconds.
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 3
RETRIES = 2
BACKOFF_S = 0.4

_VAULT_NAME = re.compile(r"[A-Za-z0-9-]{3,24}")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?|localhost(:[0-9]{1,5})?")
_OBJECT_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")

Answer = TypeVar("Answer")


class _WithoutRetryAfter(SansIOHTTPPolicy[Any, Any]):
    """Takes `Retry-After` away: the SDK would sleep for as long as a vault asks it to, however long."""

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:  # noqa: ARG002 - the SDK's signature
        response.http_response.headers.pop("Retry-After", None)


@attrs.frozen
class Vault:
    """An Azure Key Vault, and the name in it that a reference asks for.

    Attributes:
        url: The vault's.
        name: Of the secret or key.
        version: Of it; None is the current one.
        role: The role that a reader needs, for messages.
    """

    url: str
    name: str
    version: str | None
    role: str

    @classmethod
    def of(cls, target: Target, role: str) -> "Vault | Problem":
        """Read `<vault name or host[:port]>/<name>`. A name without a dot is a vault of Azure's public cloud."""
        vault, _, name = target.name.partition("/")
        thing = "key" if target.reference.scheme == "kms" else "secret"
        form = f"Write {target.reference.scheme}://azure/<vault>/<{thing}>; a version goes into ?version=."
        if not name:
            return Problem(f"it names a vault, but no {thing}", form)
        if not _OBJECT_NAME.fullmatch(name):
            return Problem(f"{name!r} is no name that a {thing} can have: letters, digits and hyphens", form)
        if _HOST.fullmatch(vault):
            return cls(f"https://{vault}", name, target.options.get("version"), role)
        if _VAULT_NAME.fullmatch(vault):
            return cls(f"https://{vault}.vault.azure.net", name, target.options.get("version"), role)
        return Problem(f"{vault!r} is neither the name of a vault nor a host", form)

    def ask(self, call: Callable[["Connections"], Answer]) -> Answer | Problem:
        """Make calls, and tell what fails as a problem; what was opened for them is closed again."""
        with Connections() as connections:
            return self.ask_with(connections, call)

    def ask_with(self, connections: "Connections", call: Callable[["Connections"], Answer]) -> Answer | Problem:
        """As `ask`, with connections that are kept."""
        with quiet_logs():
            try:
                return call(connections)
            except (AzureError, ValueError, NotImplementedError) as error:
                return azure_problem(error, self.role)


class Connections(ExitStack):
    """The credential and the clients of some calls, closed together."""

    def client(self, make: Callable[..., Any], subject: Any) -> Any:
        """A client of one of Azure's classes.

        Args:
            make: The class.
            subject: What it is for: the vault's URL, or a key.
        """
        credential = DefaultAzureCredential()
        self.push(credential)
        return self.enter_context(
            make(
                subject,
                credential,
                connection_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retry_total=RETRIES,
                retry_backoff_factor=BACKOFF_S,
                per_retry_policies=[_WithoutRetryAfter()],
                logging_enable=False,
            )
        )
