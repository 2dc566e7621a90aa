"""A token that Kubernetes projects into a pod: read at each login, bounded, and with the pod's spec where it is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core import KeyLoadError
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_token_exchange import OidcLoader

AUDIENCE = "https://acme.my.salesforce.com"


def failure(reference: Any, uri: str) -> KeyLoadError:
    with pytest.raises(KeyLoadError) as caught:
        OidcLoader().load_key(reference(uri))
    return caught.value


def test_a_file_is_read_at_each_load(pod: Callable[..., str], reference: Any) -> None:
    first = OidcLoader().load_key(reference(pod()))
    second = OidcLoader().load_key(reference(pod(aud=[AUDIENCE])))
    assert first != second


def test_the_identity_is_issuer_subject_and_audience(
    pod: Callable[..., str], sf: SalesforceEmulator, reference: Any
) -> None:
    loader = OidcLoader()
    first = loader.identity(reference(pod("a")))
    assert first == f'["{sf.identity_provider.issuer}", "a", "{AUDIENCE}"]'
    assert loader.identity(reference(pod("a", aud=[AUDIENCE]))) == first
    assert loader.identity(reference(pod("b"))) != first
    assert loader.identity(reference(pod("a", iss="https://other.example"))) != first


@pytest.mark.parametrize(
    ("claims", "what"),
    [
        ({"exp": 1_000_000_000}, "the token expired "),
        ({"nbf": 9_999_999_999, "exp": 9_999_999_999}, "the token is not valid for another "),
        ({"aud": ["https://kubernetes.default.svc"]}, "the token is for 'https://kubernetes.default.svc', not for"),
    ],
    ids=["expired", "not yet valid", "the cluster's own"],
)
def test_a_stale_early_or_misdirected_token_does_not_leave(
    claims: dict[str, Any], what: str, pod: Callable[..., str], reference: Any
) -> None:
    uri = pod(**claims)
    error = failure(reference, uri)
    assert error.message.startswith(f"{uri}: {what}")
    if "aud" in claims:
        assert f"audience: '{AUDIENCE}'" in error.remedy


def test_a_missing_file_says_what_to_write_into_the_pods_spec(reference: Any) -> None:
    error = failure(reference, f"oidc://file/var/run/secrets/tokens/sf?audience={AUDIENCE}")
    assert "/var/run/secrets/tokens/sf cannot be read: No such file or directory." in error.message
    assert error.remedy == (
        "In the pod's spec write the volume {name: salesforce-token, projected: {sources: [{serviceAccountToken: "
        f"{{path: sf, audience: '{AUDIENCE}', expirationSeconds: 3600}}}}]}}}} and in the container's volumeMounts "
        "{name: salesforce-token, mountPath: /var/run/secrets/tokens, readOnly: true}."
    )


def test_what_is_not_a_small_file_is_refused(tmp_path: Path, reference: Any) -> None:
    def what(name: str) -> str:
        return failure(reference, f"oidc://file{tmp_path / name}?audience={AUDIENCE}").message.partition(name + " ")[2]

    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_text("\n")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1024 * 1024 + 1)
    os.mkfifo(tmp_path / "pipe")
    assert "Is a directory" in what("folder") or "is not a file" in what("folder")
    assert what("empty") == "is empty."
    assert what("large") == "is larger than 1048576 bytes."
    assert what("pipe") == "is not a file."
    assert failure(reference, f"oidc://file/dev/zero?audience={AUDIENCE}").message.endswith("/dev/zero is not a file.")


def test_a_file_with_a_nul_in_its_path_is_a_typed_error(reference: Any) -> None:
    assert "cannot be read" in failure(reference, f"oidc://file/a\0b?audience={AUDIENCE}").message


def test_a_token_in_a_file_is_not_shown(
    pod: Callable[..., str], tmp_path: Path, reference: Any, leaked: Callable[..., list[str]]
) -> None:
    uri = pod(exp=1)
    token = (tmp_path / "sf").read_text()
    assert leaked(failure(reference, uri), token, token.split(".")[1]) == []
