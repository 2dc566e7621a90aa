"""`secret-manager://aws-ssm/<name>`: the Parameter Store of AWS Systems Manager, SecureString decrypted."""

from typing import TYPE_CHECKING

from kinetic_auth_secret_manager.aws_client import AwsClient
from kinetic_auth_secret_manager.aws_failures import NO_SUCH_PARAMETER_VERSION
from kinetic_auth_secret_manager.aws_names import ParameterName
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def read(target: Target) -> Secret | Problem:
    """Read a parameter (GetParameter).

    Args:
        target: The parameter; its version, as an option or after a colon, is a number or a label.
    """
    wanted = ParameterName.of(target)

    def call(client: "SSMClient") -> Secret | Problem:
        try:
            answer = client.get_parameter(Name=str(wanted), WithDecryption=True)
        except client.exceptions.ParameterNotFound as error:
            if wanted.version and _exists(client, wanted.name):  # so the label does not exist
                return NO_SUCH_PARAMETER_VERSION.caused_by(error)
            raise
        return Secret(answer["Parameter"]["Value"].encode())

    return AwsClient(target, "ssm", "ssm:GetParameter").ask(call)


def _exists(client: "SSMClient", name: str) -> bool:
    try:
        client.get_parameter(Name=name)
    except client.exceptions.ClientError:
        return False
    return True
