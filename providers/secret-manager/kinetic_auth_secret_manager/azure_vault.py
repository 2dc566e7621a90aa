"""`secret-manager://azure/<vault>/<secret>`: secrets in an Azure Key Vault."""

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from kinetic_auth_secret_manager.azure_client import Connections, Vault
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target


def read(target: Target) -> Secret | Problem:
    """Read a secret, the current version or the one that the option `version` names."""
    vault = Vault.of(target, "Key Vault Secrets User")
    if isinstance(vault, Problem):
        return vault

    def call(connections: Connections) -> Secret | Problem:
        client: SecretClient = connections.client(SecretClient, vault.url)
        try:
            return Secret((client.get_secret(vault.name, vault.version).value or "").encode())
        except ResourceNotFoundError as error:
            return _absent(client, vault).caused_by(error)

    return vault.ask(call)


def _absent(client: SecretClient, vault: Vault) -> Problem:
    """Why a secret is not there, as far as this identity may know."""
    try:
        client.get_deleted_secret(vault.name)
    except AzureError:
        if vault.version is None:
            return Problem("the vault has no secret of that name", "Check the vault and the name.")
        return Problem("the vault has no such version of a secret of that name", "Correct version=, or leave it out.")
    return Problem("the secret is deleted", "Recover it (az keyvault secret recover), or name another.")
