"""References that are written wrong are told before any SDK is imported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kinetic_auth_core import KeyLoadError, Reference
from kinetic_auth_secret_manager import KmsLoader, SecretManagerLoader

PLACES = "Write one of secret-manager://aws/..., secret-manager://aws-ssm/..., secret-manager://azure/...."

WRONG = [
    ("secret-manager://gcp/secret", f"'gcp' is no place that secret-manager:// knows. Remedy: {PLACES}"),
    (
        "secret-manager://azur/vault/secret",
        f"'azur' is no place that secret-manager:// knows (did you mean 'azure'?). Remedy: {PLACES}",
    ),
    (
        "kms://aws-ssm/key",
        "'aws-ssm' is no place that kms:// knows (did you mean 'aws'?). Remedy: Write one of kms://aws/..., kms://azure/....",
    ),
    ("secret-manager://aws", "it names nothing behind aws/. Remedy: Write secret-manager://aws/<secret>."),
    (
        "secret-manager://aws-ssm//",
        "it names nothing behind aws-ssm/. Remedy: Write secret-manager://aws-ssm/<parameter>.",
    ),
    (
        "secret-manager://azure/",
        "it names nothing behind azure/. Remedy: Write secret-manager://azure/<vault>/<secret>.",
    ),
    ("kms://azure/", "it names nothing behind azure/. Remedy: Write kms://azure/<vault>/<key>."),
    ("kms://aws/", "it names nothing behind aws/. Remedy: Write kms://aws/<key>."),
    (
        "secret-manager://aws/s?regoin=eu-west-1",
        (
            "aws takes no option 'regoin' (did you mean 'region'?). "
            "Remedy: Its options are cache, endpoint, region, version."
        ),
    ),
    (
        "secret-manager://aws-ssm/s?label=3",
        "aws-ssm takes no option 'label'. Remedy: Its options are cache, endpoint, region, version.",
    ),
    (
        "secret-manager://aws-ssm/s:2?version=3",
        "it names a version behind the colon and another in version=. Remedy: Leave one of them out.",
    ),
    (
        "secret-manager://aws-ssm/arn:aws:ssm:eu-west-1:111122223333:parameter/s:2?version=3",
        "it names a version behind the colon and another in version=. Remedy: Leave one of them out.",
    ),
    (
        "kms://azure/v/k?region=eu",
        "azure takes no option 'region' (did you mean 'version'?). Remedy: Its options are cache, version.",
    ),
    ("secret-manager://aws/s?region=", "the option 'region' is empty. Remedy: Give it a value, or leave it out."),
    (
        "kms://aws/k#field",
        "a key that signs has no fields. Remedy: Leave out #... at the end of the reference.",
    ),
    (
        "secret-manager://aws/s?endpoint=http://vault.example",
        (
            "its endpoint is plain http, which would send credentials in the clear: write https://vault.example. "
            "Remedy: Correct endpoint=, or leave it out."
        ),
    ),
    ("secret-manager://aws/s?cache=soon", "cache=soon is no number of seconds. Remedy: Write, for example, cache=60."),
    ("secret-manager://aws/s?cache=-1", "cache=-1 is no number of seconds. Remedy: Write, for example, cache=60."),
    ("secret-manager://aws/s?cache=inf", "cache=inf is no number of seconds. Remedy: Write, for example, cache=60."),
    (
        "secret-manager://azure/vault",
        (
            "it names a vault, but no secret. "
            "Remedy: Write secret-manager://azure/<vault>/<secret>; a version goes into ?version=."
        ),
    ),
    (
        "kms://azure/vault/",
        "it names a vault, but no key. Remedy: Write kms://azure/<vault>/<key>; a version goes into ?version=.",
    ),
    (
        "secret-manager://azure/vault/secret/0123",
        (
            "'secret/0123' is no name that a secret can have: letters, digits and hyphens. "
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
def test_what_is_wrong_and_what_to_write_is_told(uri: str, message: str, reference: Callable[..., Reference]) -> None:
    loader = KmsLoader() if uri.startswith("kms") else SecretManagerLoader()
    with pytest.raises(KeyLoadError) as caught:
        loader.load_key(reference(uri))
    assert str(caught.value) == f"{uri}: {message}"
