"""`secret-manager://azure/<vault>/<secret>`: secrets in an Azure Key Vault."""

from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from kinetic_auth_secret_manager.azure_client import AzureClient, Connections, absent
from kinetic_auth_secret_manager.azure_names import VaultName
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target


def read(target: Target) -> Secret | Problem:
    """Read a secret, the current version or the one that the option `version` names."""
    wanted = VaultName.of(target)

    def call(connections: Connections) -> Secret | Problem:
        client: SecretClient = connections.client(SecretClient, wanted.url)
        try:
            return Secret((client.get_secret(wanted.name, wanted.version).value or "").encode())
        except ResourceNotFoundError as error:
            return absent(wanted, client.get_deleted_secret).caused_by(error)

    return AzureClient("Key Vault Secrets User").ask(call)
