"""What all Azure clients share: `DefaultAzureCredential`, bounded time and retries, errors as problems."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import attrs
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.identity import DefaultAzureCredential

from kinetic_auth_core.plugins import raise_interruption
from kinetic_auth_secret_manager.azure_failures import CredentialSettingsError, azure_problem
from kinetic_auth_secret_manager.azure_names import VaultName
from kinetic_auth_secret_manager.problems import Problem
from kinetic_auth_secret_manager.quiet_logs import quiet_logs

#: A dead vault is noticed within about ten seconds.
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 3
RETRIES = 2
BACKOFF_S = 0.4

Answer = TypeVar("Answer")


class _WithoutRetryAfter(SansIOHTTPPolicy[Any, Any]):
    """Removes `Retry-After`: the SDK would sleep for as long as a vault asks, however long."""

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:  # noqa: ARG002 - the SDK's signature
        response.http_response.headers.pop("Retry-After", None)


@attrs.frozen
class AzureClient:
    """Calls a vault.

    Attributes:
        role: The role that a reader needs, for messages.
    """

    role: str

    def ask(self, call: Callable[["Connections"], Answer]) -> Answer | Problem:
        """Make calls, and return a failure as a problem; the connections are closed afterwards."""
        with Connections() as connections:
            return self.ask_with(connections, call)

    def ask_with(self, connections: "Connections", call: Callable[["Connections"], Answer]) -> Answer | Problem:
        """Like `ask`, with connections that stay open."""
        with quiet_logs():
            try:
                return call(connections)
            except (AzureError, ValueError, NotImplementedError) as error:
                raise_interruption(error)
                return azure_problem(error, self.role)


def absent(wanted: VaultName, get_deleted: Callable[[str], object]) -> Problem:
    """Why something is not in a vault, as far as this identity may know.

    Args:
        wanted: The missing secret or key.
        get_deleted: Looks it up by name among the deleted ones.
    """
    thing = wanted.thing
    try:
        get_deleted(wanted.name)
    except AzureError:
        if wanted.version is None:
            return Problem(f"the vault has no {thing} of that name", "Check the vault and the name.")
        what = f"the vault has no such version of a {thing} of that name"
        return Problem(what, "Correct version=, or omit it.")
    return Problem(f"the {thing} is deleted", f"Recover it (az keyvault {thing} recover), or name another.")


class Connections(ExitStack):
    """The credential and the clients of some calls, closed together."""

    def client(self, make: Callable[..., Any], subject: Any) -> Any:
        """Make a client.

        Args:
            make: The class of the SDK.
            subject: The vault's URL, or a key.
        """
        credential = _credential()
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


def _credential() -> DefaultAzureCredential:
    try:
        return DefaultAzureCredential()
    except (OSError, ValueError) as error:
        raise_interruption(error)
        failure = CredentialSettingsError(f"{type(error).__name__}: {error}")
    raise failure
