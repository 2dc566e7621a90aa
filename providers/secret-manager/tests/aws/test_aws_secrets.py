"""AWS Secrets Manager and Parameter Store, with boto3 against a moto server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Load = Callable[..., Any]
Aws = Callable[[str], Any]


def test_a_text_secret_is_returned_unchanged(aws: Aws, load: Load, at: str) -> None:
    aws("secretsmanager").create_secret(Name="text/whole", SecretString="canary\nvalue ü")
    assert load(f"secret-manager://aws/text/whole?{at}") == "canary\nvalue ü".encode()


def test_an_empty_text_secret_is_empty(aws: Aws, load: Load, at: str, relay: Any) -> None:
    relay.refusals["GetSecretValue"] = json.dumps({"SecretString": ""})
    assert load(f"secret-manager://aws/text/empty?{at}") == b""


def test_a_binary_secret_is_returned_unchanged(aws: Aws, load: Load, at: str) -> None:
    aws("secretsmanager").create_secret(Name="binary", SecretBinary=b"\x00\xffcanary")
    assert load(f"secret-manager://aws/binary?{at}") == b"\x00\xffcanary"


def test_a_field_of_a_json_secret_is_taken(aws: Aws, load: Load, at: str) -> None:
    aws("secretsmanager").create_secret(Name="json", SecretString=json.dumps({"private_key": "canary", "other": "x"}))
    assert load(f"secret-manager://aws/json?{at}#private_key") == b"canary"


def test_a_field_of_a_binary_json_secret_is_taken(aws: Aws, load: Load, at: str) -> None:
    aws("secretsmanager").create_secret(Name="json-binary", SecretBinary=b'{"key": "canary"}')
    assert load(f"secret-manager://aws/json-binary?{at}#key") == b"canary"


def test_an_arn_works_like_an_id_and_determines_the_region(aws: Aws, load: Load, relay: Any) -> None:
    arn = aws("secretsmanager").create_secret(Name="by-arn", SecretString="canary")["ARN"]
    assert load(f"secret-manager://aws/{arn}?endpoint={relay.url}") == b"canary"


def test_the_region_may_come_from_the_environment(
    aws: Aws, load: Load, relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws("secretsmanager").create_secret(Name="regional", SecretString="canary")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert load(f"secret-manager://aws/regional?endpoint={relay.url}") == b"canary"


def test_a_version_is_named_by_its_stage(aws: Aws, load: Load, at: str) -> None:
    client = aws("secretsmanager")
    client.create_secret(Name="staged", SecretString="old")
    client.put_secret_value(SecretId="staged", SecretString="new")
    assert load(f"secret-manager://aws/staged?{at}") == b"new"
    assert load(f"secret-manager://aws/staged?version=AWSPREVIOUS&{at}") == b"old"


def test_a_version_is_named_by_a_custom_label(aws: Aws, load: Load, at: str) -> None:
    client = aws("secretsmanager")
    client.create_secret(Name="labelled", SecretString="new")
    client.put_secret_value(SecretId="labelled", SecretString="next", VersionStages=["AWSPENDING", "blue"])
    assert load(f"secret-manager://aws/labelled?version=AWSPENDING&{at}") == b"next"
    assert load(f"secret-manager://aws/labelled?version=blue&{at}") == b"next"
    assert load(f"secret-manager://aws/labelled?{at}") == b"new"


def test_a_version_is_named_by_its_id(aws: Aws, load: Load, at: str) -> None:
    client = aws("secretsmanager")
    old = client.create_secret(Name="by-id", SecretString="old")["VersionId"]
    new = client.put_secret_value(SecretId="by-id", SecretString="new")["VersionId"]
    assert load(f"secret-manager://aws/by-id?version={old}&{at}") == b"old"
    assert load(f"secret-manager://aws/by-id?version={new}&{at}") == b"new"


def test_a_parameter_is_decrypted(aws: Aws, load: Load, at: str) -> None:
    aws("ssm").put_parameter(Name="plain-name", Value="canary", Type="SecureString")
    assert load(f"secret-manager://aws-ssm/plain-name?{at}") == b"canary"


@pytest.mark.parametrize("written", ["prod/sf/key", "/prod/sf/key"])
def test_a_parameter_in_a_hierarchy_is_found_with_and_without_its_slash(
    written: str, aws: Aws, load: Load, at: str
) -> None:
    aws("ssm").put_parameter(Name="/prod/sf/key", Value='{"key": "canary"}', Type="SecureString", Overwrite=True)
    assert load(f"secret-manager://aws-ssm/{written}?{at}#key") == b"canary"


def test_a_parameter_is_found_by_its_arn(aws: Aws, load: Load, relay: Any) -> None:
    client = aws("ssm")
    client.put_parameter(Name="/by/arn", Value="canary", Type="SecureString")
    arn = client.get_parameter(Name="/by/arn")["Parameter"]["ARN"]
    assert load(f"secret-manager://aws-ssm/{arn}?endpoint={relay.url}") == b"canary"


def test_a_version_of_a_parameter_is_a_number_or_label_as_option_or_after_a_colon(
    aws: Aws, load: Load, at: str
) -> None:
    client = aws("ssm")
    client.put_parameter(Name="versioned", Value="old", Type="SecureString")
    client.put_parameter(Name="versioned", Value="new", Type="SecureString", Overwrite=True)
    client.label_parameter_version(Name="versioned", ParameterVersion=1, Labels=["blue"])
    for old in (
        f"versioned:1?{at}",
        f"versioned?version=1&{at}",
        f"versioned:blue?{at}",
        f"versioned?version=blue&{at}",
    ):
        assert load(f"secret-manager://aws-ssm/{old}") == b"old"
    assert load(f"secret-manager://aws-ssm/versioned?version=2&{at}") == b"new"


def test_a_parameter_in_a_hierarchy_and_one_by_its_arn_have_versions_too(
    aws: Aws, load: Load, at: str, relay: Any
) -> None:
    client = aws("ssm")
    for value in ("old", "new"):
        client.put_parameter(Name="/deep/versioned", Value=value, Type="SecureString", Overwrite=True)
    assert load(f"secret-manager://aws-ssm/deep/versioned?version=1&{at}") == b"old"
    arn = client.get_parameter(Name="/deep/versioned")["Parameter"]["ARN"]
    assert load(f"secret-manager://aws-ssm/{arn}?version=1&endpoint={relay.url}") == b"old"


def test_two_fields_of_a_secret_cost_one_request(aws: Aws, load: Load, at: str, relay: Any) -> None:
    aws("secretsmanager").create_secret(Name="two-fields", SecretString='{"a": "1", "b": "2"}')
    assert load(f"secret-manager://aws/two-fields?{at}#a") == b"1"
    assert load(f"secret-manager://aws/two-fields?{at}#b") == b"2"
    assert relay.calls == ["GetSecretValue"]
