"""`secret-manager://aws-ssm/<name>`: the Parameter Store of AWS Systems Manager, SecureString decrypted."""

from typing import TYPE_CHECKING

from kinetic_auth_secret_manager.aws_client import AwsClient
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def parameter_name(name: str) -> str:
    """The parameter that is meant: a name with a hierarchy begins with a slash, whether it was written or not."""
    return f"/{name}" if "/" in name and not name.startswith(("/", "arn:")) else name


def read(target: Target) -> Secret | Problem:
    """Read a parameter (GetParameter); `name:3` and `name:label` are versions of it."""

    def call(client: "SSMClient") -> Secret:
        answer = client.get_parameter(Name=parameter_name(target.name), WithDecryption=True)
        return Secret(answer["Parameter"]["Value"].encode())

    return AwsClient(target, "ssm", "ssm:GetParameter").ask(call)
