"""`secret-manager://aws/<secret id or ARN>`: AWS Secrets Manager."""

from typing import TYPE_CHECKING

from kinetic_auth_secret_manager.aws_client import AwsClient
from kinetic_auth_secret_manager.aws_names import secret_version
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def read(target: Target) -> Secret | Problem:
    """Read a secret, text or binary (GetSecretValue).

    Args:
        target: The secret; its option `version` is a stage (default: `AWSCURRENT`) or a version id.
    """

    def call(client: "SecretsManagerClient") -> Secret:
        answer = client.get_secret_value(SecretId=target.name, **secret_version(target))
        text: str | None = answer.get("SecretString")
        return Secret(answer["SecretBinary"] if text is None else text.encode())

    return AwsClient(target, "secretsmanager", "secretsmanager:GetSecretValue").ask(call)
