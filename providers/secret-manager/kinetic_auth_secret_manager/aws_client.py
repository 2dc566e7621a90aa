"""One boto3 client: boto3's own credential chain, bounded time and retries, errors as problems."""

from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import attrs
import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from kinetic_auth_core.plugins import raise_interruption
from kinetic_auth_secret_manager.aws_failures import aws_problem
from kinetic_auth_secret_manager.per_process import PerProcess
from kinetic_auth_secret_manager.problems import Problem
from kinetic_auth_secret_manager.quiet_logs import quiet_logs
from kinetic_auth_secret_manager.targets import Target

#: A dead vault is noticed within about ten seconds: three attempts, with pauses of at most one and two seconds.
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 3
ATTEMPTS = 3

Answer = TypeVar("Answer")


@attrs.frozen
class AwsClient:
    """Calls one AWS service for a reference.

    Attributes:
        target: The reference, with `region` and `endpoint` among its options.
        service: boto3's name of the service.
        permission: The IAM action that reading needs, for messages.
    """

    target: Target
    service: str
    permission: str

    @property
    def _named_region(self) -> str | None:
        """The region that the reference names; None where boto3 has it from a variable or a profile."""
        return self.target.options.get("region") or _region_of_arn(self.target.name)

    def connect(self) -> Any:
        """A new client. boto3 looks up credentials and region now, so that it sees a change of either."""
        session: Any = boto3.session.Session()  # the stubs list each service as a literal
        return session.client(
            self.service,
            region_name=self._named_region,
            endpoint_url=self.target.options.get("endpoint"),
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            ),
        )

    def ask(self, call: Callable[[Any], Answer], kept: PerProcess[Any] | None = None) -> Answer | Problem:
        """Make calls, and return a failure as a problem.

        Args:
            call: Makes them with the client in its argument.
            kept: The client to use; by default one is made, and closed afterwards.
        """
        unnamed_region = None
        with quiet_logs():
            try:
                if kept is not None:
                    return call(kept.get())
                with closing(self.connect()) as client:
                    if not self._named_region:
                        unnamed_region = client.meta.region_name
                    return call(client)
            except (BotoCoreError, ClientError, ResponseParserError, KeyError, OSError, ValueError) as error:
                raise_interruption(error)  # botocore wraps whatever is raised while it waits
                return aws_problem(error, self.permission, unnamed_region)


def _region_of_arn(name: str) -> str | None:
    """The region that an ARN names: `arn:<partition>:<service>:<region>:<account>:<resource>`."""
    parts = name.split(":", 5)
    return parts[3] or None if parts[0] == "arn" and len(parts) == 6 else None
