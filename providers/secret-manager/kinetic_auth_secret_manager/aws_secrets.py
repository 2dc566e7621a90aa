"""`secret-manager://aws/<secret id or ARN>`: AWS Secrets Manager."""

from typing import TYPE_CHECKING

from kinetic_auth_secret_manager.aws_client import AwsClient
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def read(target: Target) -> Secret | Problem:
    """Read a secret, text or binary (GetSecretValue).

    Args:
        target: Names it; the option `version` is a staging label, `AWSCURRENT` if left out.
    """

    def call(client: "SecretsManagerClient") -> Secret:
        answer = client.get_secret_value(SecretId=target.name, VersionStage=target.options.get("version", "AWSCURRENT"))
        text: str | None = answer.get("SecretString")
        return Secret(answer["SecretBinary"] if text is None else text.encode())

    return AwsClient(target, "secretsmanager", "secretsmanager:GetSecretValue").ask(call)
