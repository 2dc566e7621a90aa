"""No value of a secret in a log, even at DEBUG, nor in anything that an error shows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core import KeyLoadError

Load = Callable[..., Any]
Aws = Callable[[str], Any]
Leaked = Callable[..., list[str]]

VALUE = "canary-7331"
CREDENTIAL = "canary-aws-credential"
TOKEN = "canary-aws-token"


def test_the_debug_log_of_botocore_has_no_value(
    aws: Aws, signing_key: str, load: Load, at: str, leaked: Leaked, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    aws("secretsmanager").create_secret(Name="logged", SecretString=f'{{"k": "{VALUE}"}}')
    aws("ssm").put_parameter(Name="logged", Value=VALUE, Type="SecureString")
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    with caplog.at_level(logging.DEBUG):
        load(f"secret-manager://aws/logged?{at}#k")
        load(f"secret-manager://aws-ssm/logged?{at}")
        load(f"kms://aws/{signing_key}?{at}").sign(b"message")
    assert "botocore.hooks" in {record.name for record in caplog.records}
    assert leaked(caplog.text, VALUE, CREDENTIAL, TOKEN) == []


def test_the_debug_log_of_botocore_has_no_token_of_a_web_identity(
    load: Load, at: str, relay: Any, leaked: Leaked, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", relay.url)
    relay.refusals[""] = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>No.</Message></Error></ErrorResponse>"
    with caplog.at_level(logging.DEBUG), pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/absent?{at}")
    assert leaked(caplog.text, TOKEN) == []
    assert leaked(caught.value, TOKEN) == []


def test_other_use_of_boto3_logs_as_before(aws: Aws, load: Load, at: str, caplog: pytest.LogCaptureFixture) -> None:
    client = aws("secretsmanager")
    client.create_secret(Name="logged-by-others", SecretString=VALUE)
    load(f"secret-manager://aws/logged-by-others?{at}")
    with caplog.at_level(logging.DEBUG, "botocore.parsers"):
        client.get_secret_value(SecretId="logged-by-others")
    assert VALUE in caplog.text


@pytest.mark.parametrize("field", ["absent", VALUE[:-1]])
def test_an_error_about_a_field_shows_no_value(field: str, aws: Aws, load: Load, at: str, leaked: Leaked) -> None:
    name = f"fields-{field}"
    aws("secretsmanager").create_secret(Name=name, SecretString=f'{{"k": "{VALUE}", "{VALUE}": 1}}')
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/{name}?{at}#{field}")
    assert leaked(caught.value, VALUE, CREDENTIAL) == []


def test_an_error_about_a_secret_that_is_not_json_shows_no_value(aws: Aws, load: Load, at: str, leaked: Leaked) -> None:
    aws("secretsmanager").create_secret(Name="no-json", SecretString=VALUE)
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/no-json?{at}#k")
    assert leaked(caught.value, VALUE, CREDENTIAL) == []


def test_a_refusal_after_a_value_was_read_shows_neither_value_nor_credential(
    aws: Aws, load: Load, at: str, leaked: Leaked, relay: Any
) -> None:
    aws("secretsmanager").create_secret(Name="then-refused", SecretString=VALUE)
    uri = f"secret-manager://aws/then-refused?{at}"
    load(uri)
    relay.refusals["GetSecretValue"] = (400, "AccessDeniedException", "no longer")
    with pytest.raises(KeyLoadError) as caught:
        load(uri, fresh=True)
    assert leaked(caught.value, VALUE, CREDENTIAL) == []
