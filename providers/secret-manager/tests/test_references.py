"""Malformed references are reported before any SDK is imported, and by `resolve`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import KeyLoadError, Reference
from kinetic_auth_secret_manager import KmsLoader, SecretManagerLoader

PLACES = "Write one of secret-manager://aws/..., secret-manager://aws-ssm/..., secret-manager://azure/...."

WRONG = [
    ("secret-manager://gcp/secret", f"'gcp' is not a source of secret-manager://. Remedy: {PLACES}"),
    (
        "secret-manager://azur/vault/secret",
        f"'azur' is not a source of secret-manager:// (did you mean 'azure'?). Remedy: {PLACES}",
    ),
    (
        "kms://aws-ssm/key",
        "'aws-ssm' is not a source of kms:// (did you mean 'aws'?). Remedy: Write one of kms://aws/..., kms://azure/....",
    ),
    ("secret-manager://aws", "nothing follows aws/. Remedy: Write secret-manager://aws/<secret>."),
    (
        "secret-manager://aws-ssm//",
        "nothing follows aws-ssm/. Remedy: Write secret-manager://aws-ssm/<parameter>.",
    ),
    (
        "secret-manager://azure/",
        "nothing follows azure/. Remedy: Write secret-manager://azure/<vault>/<secret>.",
    ),
    ("kms://azure/", "nothing follows azure/. Remedy: Write kms://azure/<vault>/<key>."),
    ("kms://aws/", "nothing follows aws/. Remedy: Write kms://aws/<key>."),
    (
        "secret-manager://aws/s?regoin=eu-west-1",
        (
            "aws has no option 'regoin' (did you mean 'region'?). "
            "Remedy: Its options are cache, endpoint, region, version."
        ),
    ),
    (
        "secret-manager://aws-ssm/s?label=3",
        "aws-ssm has no option 'label'. Remedy: Its options are cache, endpoint, region, version.",
    ),
    (
        "secret-manager://aws-ssm/s:2?version=3",
        "it names one version after the colon and another in version=. Remedy: Leave one of them out.",
    ),
    (
        "secret-manager://aws-ssm/arn:aws:ssm:eu-west-1:111122223333:parameter/s:2?version=3",
        "it names one version after the colon and another in version=. Remedy: Leave one of them out.",
    ),
    (
        "kms://azure/v/k?region=eu",
        "azure has no option 'region' (did you mean 'version'?). Remedy: Its options are cache, version.",
    ),
    ("secret-manager://aws/s?region=", "the option 'region' is empty. Remedy: Give it a value, or omit it."),
    (
        "kms://aws/k#field",
        "a key has no fields. Remedy: Omit #... at the end of the reference.",
    ),
    (
        "secret-manager://aws/s?endpoint=http://vault.example",
        (
            "its endpoint is plain http, which would send credentials in the clear: write https://vault.example. "
            "Remedy: Correct endpoint=, or omit it."
        ),
    ),
    (
        "secret-manager://aws/s?cache=soon",
        "cache=soon is not a number of seconds. Remedy: Write, for example, cache=60.",
    ),
    ("secret-manager://aws/s?cache=-1", "cache=-1 is not a number of seconds. Remedy: Write, for example, cache=60."),
    ("secret-manager://aws/s?cache=inf", "cache=inf is not a number of seconds. Remedy: Write, for example, cache=60."),
    (
        "secret-manager://azure/vault",
        (
            "it names a vault but no secret. "
            "Remedy: Write secret-manager://azure/<vault>/<secret>; a version goes into ?version=."
        ),
    ),
    (
        "kms://azure/vault/",
        "it names a vault but no key. Remedy: Write kms://azure/<vault>/<key>; a version goes into ?version=.",
    ),
    (
        "secret-manager://azure/vault/secret/0123",
        (
            "'secret/0123' is not a valid name of a secret: use letters, digits and hyphens. "
            "Remedy: Write secret-manager://azure/<vault>/<secret>; a version goes into ?version=."
        ),
    ),
    (
        "kms://azure/user@evil.example/key",
        (
            "'user@evil.example' is neither the name of a vault nor a host. "
            "Remedy: Write kms://azure/<vault>/<key>; a version goes into ?version=."
        ),
    ),
]


@pytest.mark.parametrize(("uri", "message"), WRONG, ids=[uri for uri, _ in WRONG])
def test_a_malformed_reference_is_reported_with_its_correction(
    uri: str, message: str, reference: Callable[..., Reference]
) -> None:
    loader = KmsLoader() if uri.startswith("kms") else SecretManagerLoader()
    looks: list[Callable[[Reference], Any]] = [loader.check_reference, loader.load_key]
    for look in looks:
        with pytest.raises(KeyLoadError) as caught:
            look(reference(uri))
        assert str(caught.value) == f"{uri}: {message}"


RIGHT = [
    "secret-manager://aws/prod/sf?region=eu-west-1&version=AWSPREVIOUS&endpoint=https://vpce.example&cache=0#key",
    "secret-manager://aws/arn:aws:secretsmanager:eu-west-1:111122223333:secret:sf-AbCdEf",
    "secret-manager://aws-ssm/prod/sf?version=3",
    "secret-manager://aws-ssm/prod/sf:label",
    "secret-manager://azure/acme-prod/sf?version=0123#key",
    "secret-manager://azure/acme.vault.azure.cn/sf",
    "kms://aws/alias/salesforce?region=eu-west-1",
    "kms://azure/acme.managedhsm.azure.net/sf?version=0123",
]


@pytest.mark.parametrize("uri", RIGHT)
def test_a_valid_reference_passes_the_check(uri: str, reference: Callable[..., Reference]) -> None:
    loader = KmsLoader() if uri.startswith("kms") else SecretManagerLoader()
    loader.check_reference(reference(uri))


CONFIG = """
[environments.prod]
provider = "jwt-bearer"
client_idd = "misspelt"
username = "integration@acme.com"
private_key = "secret-manager://azure/acme-prod"
passphrase = "secret-manager://aws/sf?regoin=eu-west-1"
proxy = "kms://gcp/key"
"""


def test_resolve_reports_all_malformed_references_with_their_source() -> None:
    Path("kinetic-auth.toml").write_text(CONFIG)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="prod")
    file = f"from {Path.cwd()}/kinetic-auth.toml:environments.prod"
    printed = caught.value.problems
    assert [problem.partition(": ")[0] for problem in printed if "client_id" not in problem] == [
        f"private_key ({file}.private_key)",
        f"proxy ({file}.proxy)",
        f"passphrase ({file}.passphrase)",
    ]
    assert "secret-manager://azure/acme-prod: it names a vault but no secret. Remedy: Write " in str(caught.value)
    assert "aws has no option 'regoin' (did you mean 'region'?)" in str(caught.value)
    assert "'gcp' is not a source of kms://" in str(caught.value)
    assert any(problem.startswith("client_idd (") for problem in printed)


def test_resolving_imports_the_sdks_of_its_references_so_that_no_login_does() -> None:
    sdks = {"boto3", "botocore", "azure.identity", "azure.keyvault.secrets"}
    references = {"private_key": RIGHT[-2], "passphrase": RIGHT[-4], "proxy": RIGHT[2]}
    script = (
        "import sys, kinetic_auth_core\n"
        f"kinetic_auth_core.resolve('jwt-bearer', client_id='c', username='u', **{references!r})\n"
        f"print(sorted({sdks!r} - set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
