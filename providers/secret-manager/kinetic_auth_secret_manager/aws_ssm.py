"""`secret-manager://aws-ssm/<name>`: the Parameter Store of AWS Systems Manager, SecureString decrypted."""

from typing import TYPE_CHECKING

from kinetic_auth_secret_manager.aws_client import AwsClient
from kinetic_auth_secret_manager.aws_names import parameter_name
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def read(target: Target) -> Secret | Problem:
    """Read a parameter (GetParameter).

    Args:
        target: Names it; the option `version` is the number or a label of a version, as is what follows a colon.
    """
    name = parameter_name(target)

    def call(client: "SSMClient") -> Secret:
        answer = client.get_parameter(Name=name, WithDecryption=True)
        return Secret(answer["Parameter"]["Value"].encode())

    return AwsClient(target, "ssm", "ssm:GetParameter").ask(call)
