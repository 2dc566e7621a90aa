"""The key loaders keep the contract of all key loaders: secrets, parameters and keys of AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kinetic_auth_core.testing import KeyLoaderContract
from kinetic_auth_secret_manager import KmsLoader, SecretManagerLoader
from kinetic_auth_secret_manager.cache import Cache

pytestmark = pytest.mark.usefixtures("full_tier")


class _AwsContract(KeyLoaderContract):
    """With a cache of the test's own."""

    aws: Callable[[str], Any]
    loader: type = SecretManagerLoader

    @pytest.fixture(autouse=True)
    def _vault(self, aws: Callable[[str], Any], at: str, request: pytest.FixtureRequest) -> None:
        self.aws, self.at, self.name = aws, at, request.node.name
        self.cache: Cache[Any] = Cache()
        self.fill("canary-secret")

    def fill(self, value: str) -> None:
        raise NotImplementedError

    def make_key_loader(self) -> Any:
        return self.loader(self.cache)


class TestSecret(_AwsContract):
    def fill(self, value: str) -> None:
        self.aws("secretsmanager").create_secret(Name=f"contract/{self.name}", SecretString=value)
        self.reference = f"secret-manager://aws/contract/{self.name}?{self.at}"
        self.missing_reference = f"secret-manager://aws/contract/nothing?{self.at}"

    def change_secret(self) -> None:
        self.aws("secretsmanager").put_secret_value(SecretId=f"contract/{self.name}", SecretString="canary-changed")


class TestFieldOfASecret(_AwsContract):
    def fill(self, value: str) -> None:
        text = f'{{"key": "{value}", "other": "canary-other"}}'
        self.aws("secretsmanager").create_secret(Name=f"field/{self.name}", SecretString=text)
        self.reference = f"secret-manager://aws/field/{self.name}?{self.at}#key"
        self.missing_reference = f"secret-manager://aws/field/{self.name}?{self.at}#nothing"


class TestParameter(_AwsContract):
    def fill(self, value: str) -> None:
        name = f"/contract/{self.name}"
        self.aws("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
        self.reference = f"secret-manager://aws-ssm{name}?{self.at}"
        self.missing_reference = f"secret-manager://aws-ssm/contract/nothing?{self.at}"

    def change_secret(self) -> None:
        self.fill("canary-changed")


class TestKey(_AwsContract):
    loader = KmsLoader

    @pytest.fixture(autouse=True)
    def _key(self, signing_key: str, at: str) -> None:
        self.reference = f"kms://aws/{signing_key}?{at}"
        self.missing_reference = f"kms://aws/00000000-0000-0000-0000-000000000000?{at}"

    def fill(self, value: str) -> None:
        """The key is there."""
