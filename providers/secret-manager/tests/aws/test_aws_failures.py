"""Every failure of AWS has a message that a user understands."""

from __future__ import annotations

import errno
import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core import KeyLoadError
from kinetic_auth_secret_manager.aws_client import ATTEMPTS
from kinetic_auth_secret_manager.aws_failures import aws_problem

Load = Callable[..., Any]
Aws = Callable[[str], Any]

CREDENTIALS = "Give boto3 credentials: a role for this machine or container, AWS_PROFILE, or `aws sso login`."
REACH = "Check region and endpoint, and that this machine can reach AWS (DNS, proxy, VPC endpoint)."
NAME = "Check the name, the region and the account."

ANSWERS = [
    (
        (400, "AccessDeniedException", "User is not authorized to perform: secretsmanager:GetSecretValue"),
        "access is denied. Remedy: Allow secretsmanager:GetSecretValue on it for the role or user of this process.",
    ),
    (
        (400, "AccessDeniedException", "Access to KMS is not allowed"),
        (
            "access to the KMS key that encrypts the secret is denied. "
            "Remedy: Allow kms:Decrypt on that key for this role."
        ),
    ),
    (
        (400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        f"there is nothing of that name. Remedy: {NAME}",
    ),
    (
        (400, "ResourceNotFoundException", "can't find the specified secret value for staging label: X"),
        "the secret has no version with that stage. Remedy: Correct version=; the default is AWSCURRENT.",
    ),
    (
        (400, "InvalidRequestException", "You can't perform this operation: it was marked for deletion."),
        "it is marked for deletion. Remedy: Restore it, or name another.",
    ),
    (
        (400, "InvalidRequestException", "You can't do that now."),
        "AWS refused the request (InvalidRequestException). Remedy: Look that code up in the AWS API reference.",
    ),
    (
        (400, "KMSInvalidStateException", "arn:aws:kms:... is pending deletion."),
        "it is marked for deletion. Remedy: Restore it, or name another.",
    ),
    (
        (400, "KMSInvalidStateException", "arn:aws:kms:... is unavailable."),
        "the state of the key prevents its use. Remedy: See aws kms describe-key.",
    ),
    (
        (400, "DisabledException", "arn:aws:kms:... is disabled."),
        "the key is disabled. Remedy: Enable it (aws kms enable-key), or name another.",
    ),
    (
        (400, "DecryptionFailure", "can't decrypt"),
        (
            "it cannot be decrypted with its KMS key. "
            "Remedy: Check that the key is enabled, and allow kms:Decrypt on it for this role."
        ),
    ),
    (
        (400, "ExpiredTokenException", "The security token included in the request is expired"),
        "AWS refuses the credentials of this process (ExpiredTokenException). Remedy: Renew them. " + CREDENTIALS,
    ),
    (
        (400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        "AWS refuses the credentials of this process (MissingAuthenticationTokenException). Remedy: Renew them. "
        + CREDENTIALS,
    ),
    (
        (400, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z"),
        "AWS refuses the time of the request (InvalidSignatureException). Remedy: Set this machine's clock by NTP.",
    ),
    (
        (400, "ValidationException", "Invalid name."),
        f"AWS does not accept that name (ValidationException). Remedy: {NAME}",
    ),
    (
        (400, "ThrottlingException", "Rate exceeded"),
        "AWS throttles the requests. Remedy: Send fewer requests, or request a higher quota.",
    ),
    (
        (500, "InternalServiceError", "An error occurred on the server side."),
        "AWS cannot answer now (InternalServiceError). Remedy: Try again; see the AWS health page.",
    ),
]


@pytest.mark.parametrize(("answer", "message"), ANSWERS, ids=[f"{a[1]}-{a[2][:12]}" for a, _ in ANSWERS])
def test_a_rejection_is_reported_with_its_remedy(
    answer: tuple[int, str, str], message: str, load: Load, at: str, relay: Any
) -> None:
    relay.refusals["GetSecretValue"] = answer
    uri = f"secret-manager://aws/refused?{at}#field"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: {message}"
    assert answer[1] in str(caught.value.__cause__)  # the message of AWS, as text
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_secret_is_reported_by_moto_as_by_aws(load: Load, at: str) -> None:
    with pytest.raises(KeyLoadError, match="there is nothing of that name"):
        load(f"secret-manager://aws/absent?{at}")


def test_the_region_that_was_asked_is_named_where_the_reference_does_not_name_it(
    load: Load, relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/absent?endpoint={relay.url}")
    assert caught.value.remedy == f"{NAME} The region was eu-north-1."


def test_a_version_of_a_missing_secret_is_reported(aws: Aws, load: Load, at: str) -> None:
    aws("secretsmanager").create_secret(Name="one-version", SecretString="canary")
    uri = f"secret-manager://aws/one-version?version=01234567-89ab-cdef-0123-456789abcdef&{at}"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == (
        f"{uri}: the secret has no version with that id. "
        "Remedy: Correct version= (aws secretsmanager list-secret-version-ids), or omit it."
    )


def test_a_deleted_secret_is_reported(aws: Aws, load: Load, at: str) -> None:
    client = aws("secretsmanager")
    client.create_secret(Name="deleted", SecretString="canary")
    client.delete_secret(SecretId="deleted")
    with pytest.raises(KeyLoadError, match="it is marked for deletion"):
        load(f"secret-manager://aws/deleted?{at}")


def test_a_missing_parameter_is_reported(load: Load, at: str) -> None:
    with pytest.raises(KeyLoadError, match="there is nothing of that name"):
        load(f"secret-manager://aws-ssm/absent?{at}")


@pytest.mark.parametrize("version", ["7", "no-such-label"])
@pytest.mark.parametrize("form", [":{}?", "?version={}&"])
def test_a_missing_version_of_a_parameter_is_reported(version: str, form: str, aws: Aws, load: Load, at: str) -> None:
    aws("ssm").put_parameter(Name="/one/version", Value="canary", Type="SecureString", Overwrite=True)
    uri = f"secret-manager://aws-ssm/one/version{form.format(version)}{at}"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == (
        f"{uri}: the parameter has no such version. Remedy: Correct version=, or what follows the colon in its name."
    )


def test_a_version_of_a_missing_parameter_is_reported_as_a_missing_parameter(load: Load, at: str) -> None:
    with pytest.raises(KeyLoadError, match="there is nothing of that name"):
        load(f"secret-manager://aws-ssm/absent?version=blue&{at}")


def test_a_missing_key_is_reported(load: Load, at: str) -> None:
    with pytest.raises(KeyLoadError, match="there is nothing of that name"):
        load(f"kms://aws/alias/absent?{at}")


def test_an_answer_that_is_not_json_is_an_outage(load: Load, at: str, relay: Any) -> None:
    relay.refusals["GetSecretValue"] = "<html>a proxy's login page</html>"
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?{at}")
    assert str(caught.value).endswith(f": what answered was not AWS: the answer is incomplete. Remedy: {REACH}")


def test_a_dead_host_is_reported(load: Load, relay: Any, at: str) -> None:
    relay.down()
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?{at}")
    assert str(caught.value) == f"secret-manager://aws/secret?{at}: AWS cannot be reached. Remedy: {REACH}"


def test_an_endpoint_that_speaks_no_tls_is_reported(load: Load, relay: Any) -> None:
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?region=eu-west-1&endpoint=https://127.0.0.1:{relay.port}")
    assert str(caught.value).endswith(
        f": no TLS connection to AWS. Remedy: Set AWS_CA_BUNDLE if a proxy has its own CA. {REACH}"
    )


@pytest.mark.usefixtures("full_tier")
def test_a_host_that_never_answers_is_given_up_after_three_tries(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kinetic_auth_secret_manager.aws_client.READ_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(KeyLoadError, match="AWS cannot be reached"):
            load(f"secret-manager://aws/secret?region=eu-west-1&endpoint={endpoint}")
        silent.setblocking(False)
        for _ in range(ATTEMPTS):
            silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_without_credentials_the_message_says_how_to_give_some(
    load: Load, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?{at}")
    assert str(caught.value).endswith(f": no AWS credentials were found. Remedy: {CREDENTIALS}")


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("web identity", "no AWS credentials were found: /no/such/thing cannot be used (No such file or directory)"),
        (
            "credential_process = /no/such/thing",
            "no AWS credentials were found: /no/such/thing cannot be used (No such file or directory)",
        ),
        (
            "credential_process = echo no-json",
            "no AWS credentials were found: what credential_process prints is not JSON",
        ),
        ("role_arn = arn:aws:iam::1:role/x\nsource_profile = gone", "the AWS profile or its file cannot be read"),
    ],
    ids=["file of a web identity", "command", "what a command prints", "profile of a profile"],
)
def test_credentials_that_cannot_be_had_are_reported(
    file: str, what: str, load: Load, at: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    if file == "web identity":
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/thing")
    else:
        (tmp_path / "config").write_text(f"[default]\n{file}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?{at}")
    assert f": {what}. Remedy: " in str(caught.value)


def test_a_command_for_credentials_that_cannot_be_started_is_reported_without_a_name() -> None:
    error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # as fork() has it: it names no file
    assert aws_problem(error, "kms:Sign").what == (
        f"no AWS credentials were found: what gives them cannot be used ({os.strerror(errno.EAGAIN)})"
    )


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidIdentityToken"])
def test_a_role_that_may_not_be_assumed_is_reported_as_such(
    code: str, load: Load, at: str, relay: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "token").write_text("canary-web-identity")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", relay.url)
    relay.refusals[""] = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>No.</Message></Error></ErrorResponse>"
    )
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?{at}")
    assert str(caught.value).endswith(
        f": AWS gives this process no credentials (AssumeRoleWithWebIdentity: {code}). "
        f"Remedy: Check the role and who may assume it (its trust policy). {CREDENTIALS}"
    )


def test_without_a_region_the_message_says_how_to_give_one(load: Load, relay: Any) -> None:
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?endpoint={relay.url}")
    assert str(caught.value).endswith(
        ": no AWS region is set. Remedy: Add ?region=... to the reference, or set AWS_DEFAULT_REGION."
    )


def test_the_region_is_read_from_the_places_that_the_message_names(
    load: Load, relay: Any, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws("secretsmanager").create_secret(Name="aws-region", SecretString="canary")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert load(f"secret-manager://aws/aws-region?endpoint={relay.url}") == b"canary"


def test_a_missing_profile_is_reported(load: Load, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?{at}")
    assert str(caught.value).endswith(
        ": the AWS profile or its file cannot be read. Remedy: Correct AWS_PROFILE or ~/.aws/config."
    )


def test_an_invalid_region_is_reported(load: Load) -> None:
    with pytest.raises(KeyLoadError) as caught:
        load("secret-manager://aws/secret?region=not/a/region")
    assert str(caught.value) == (
        "secret-manager://aws/secret?region=not/a/region: boto3 does not accept the name, region or endpoint. "
        f"Remedy: Correct the reference. {NAME}"
    )


def test_an_unreadable_tls_key_is_reported_by_its_type(
    load: Load, at: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nretry_mode = never-heard-of\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "never-heard-of")
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://aws/secret?{at}")
    assert ": boto3 failed (" in str(caught.value)
    assert str(caught.value).endswith("). Remedy: See the cause.")
