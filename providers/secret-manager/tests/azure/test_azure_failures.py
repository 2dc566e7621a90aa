"""Every failure of Azure has a message that a user understands."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import AzureError

from kinetic_auth_core import KeyLoadError, Reference
from kinetic_auth_secret_manager.azure_failures import azure_problem
from kinetic_auth_secret_manager.azure_names import VaultName
from kinetic_auth_secret_manager.targets import target_of

Load = Callable[..., Any]

CREDENTIALS = (
    "Set up credentials for DefaultAzureCredential: a managed identity, workload identity, AZURE_CLIENT_ID and related "
    "variables, or `az login`."
)
REACH = "Check the vault's name, and that this machine can reach it (DNS, proxy, private endpoint)."

ANSWERS = [
    (
        (403, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource."),
        "access is denied. Remedy: Assign the role 'Key Vault Secrets User' on the vault to this process's identity.",
    ),
    (
        (403, "Forbidden", "AccessDenied", "The user does not have secrets get permission on key vault."),
        "access is denied. Remedy: Assign the role 'Key Vault Secrets User' on the vault to this process's identity.",
    ),
    (
        (403, "Forbidden", "ForbiddenByFirewall", "Client address is not authorized."),
        (
            "the vault does not admit this network. "
            "Remedy: Allow this network in the vault's firewall, or connect through its private endpoint."
        ),
    ),
    (
        (403, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret."),
        "it is disabled. Remedy: Enable it, or name another version.",
    ),
    (
        (403, "Forbidden", "SecretExpired", "Operation get is not allowed on an expired secret."),
        "it is expired or not valid yet. Remedy: Change its dates, or name another version.",
    ),
    (
        (401, "Unauthorized", "", "AKV10032: Invalid issuer."),
        (
            "the vault refuses the credentials of this process. "
            f"Remedy: Check that they belong to the vault's tenant. {CREDENTIALS}"
        ),
    ),
    (
        (400, "BadParameter", "", "The request URI contains an invalid name."),
        "the vault refused the request (HTTP 400). Remedy: See the cause.",
    ),
    (
        (429, "Throttled", "", "Too many requests."),
        "the vault throttles the requests. Remedy: Send fewer requests, or use more vaults.",
    ),
    (
        (503, "ServiceUnavailable", "", "Try later."),
        "the vault cannot answer now (HTTP 503). Remedy: Try again; see Azure's status page.",
    ),
]


@pytest.mark.parametrize(("answer", "message"), ANSWERS, ids=[f"{a[0]}-{a[2] or a[1]}" for a, _ in ANSWERS])
def test_a_rejection_is_reported_with_its_remedy(
    answer: tuple[int, str, str, str], message: str, load: Load, vault: Any
) -> None:
    vault.refusal = answer
    uri = f"secret-manager://azure/{vault.host}/refused#field"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: {message}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_secret_is_reported(load: Load, vault: Any) -> None:
    uri = f"secret-manager://azure/{vault.host}/absent"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: the vault has no secret of that name. Remedy: Check the vault and the name."


def test_a_missing_version_is_reported(load: Load, vault: Any) -> None:
    vault.set_secret("one-version", "canary")
    uri = f"secret-manager://azure/{vault.host}/one-version?version=0123"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == (
        f"{uri}: the vault has no such version of a secret of that name. Remedy: Correct version=, or omit it."
    )


def test_an_answer_that_cannot_be_read_is_reported(load: Load, vault: Any) -> None:
    vault.garbage = "<html>a proxy's login page</html>"
    uri = f"secret-manager://azure/{vault.host}/secret"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: what answered was not a vault: the answer cannot be parsed. Remedy: {REACH}"


def test_an_unknown_sdk_error_is_reported_by_its_type() -> None:
    problem = azure_problem(AzureError("never seen"), "reader")
    assert (problem.what, problem.remedy) == ("the Azure SDK failed (AzureError)", "See the cause.")
    assert problem.cause == "azure.core.exceptions.AzureError: never seen"


def test_a_deleted_secret_is_reported(load: Load, vault: Any) -> None:
    vault.set_secret("deleted", "canary")
    vault.delete("secrets", "deleted")
    uri = f"secret-manager://azure/{vault.host}/deleted"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == (
        f"{uri}: the secret is deleted. Remedy: Recover it (az keyvault secret recover), or name another."
    )


def test_a_disabled_secret_is_reported(load: Load, vault: Any) -> None:
    vault.set_secret("disabled", "canary", enabled=False)
    with pytest.raises(KeyLoadError, match="it is disabled. Remedy: Enable it, or name another version."):
        load(f"secret-manager://azure/{vault.host}/disabled")


def test_a_dead_vault_is_reported(load: Load, vault: Any) -> None:
    vault.down()
    uri = f"secret-manager://azure/{vault.host}/secret"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: the vault cannot be reached. Remedy: {REACH}"


def test_a_retry_after_of_an_hour_is_not_awaited(load: Load, vault: Any) -> None:
    vault.refusal = (429, "Throttled", "", "Too many requests.")
    vault.headers = {"Retry-After": "3600"}
    with pytest.raises(KeyLoadError, match="the vault throttles the requests"):
        load(f"secret-manager://azure/{vault.host}/secret")
    assert len(vault.calls) == 3


def test_a_host_that_is_not_a_vault_gets_no_token(load: Load, vault: Any) -> None:
    vault.challenges = False
    uri = f"secret-manager://azure/{vault.host}/secret"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert "canary" not in str(caught.value)
    assert vault.calls == []


def test_a_host_that_asks_for_a_token_of_another_domain_does_not_get_it(load: Load, vault: Any) -> None:
    vault.resource = "https://vault.azure.net"
    uri = f"secret-manager://azure/{vault.host}/secret"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == (
        f"{uri}: the host does not answer like an Azure Key Vault, so no token was sent. "
        "Remedy: Correct the vault's host."
    )
    assert vault.calls == []


def test_without_credentials_the_message_says_how_to_give_some(
    load: Load, vault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")  # the only link of the chain to be tried
    uri = f"secret-manager://azure/{vault.host}/secret"
    with pytest.raises(KeyLoadError) as caught:
        load(uri)
    assert str(caught.value) == f"{uri}: no Azure credentials were found. Remedy: {CREDENTIALS}"


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("acme-prod", "https://acme-prod.vault.azure.net"),
        ("acme.vault.azure.cn", "https://acme.vault.azure.cn"),
        ("acme.managedhsm.azure.net", "https://acme.managedhsm.azure.net"),
        ("localhost:8443", "https://localhost:8443"),
    ],
)
def test_a_name_without_a_dot_is_a_vault_of_the_public_cloud(
    written: str, url: str, reference: Callable[..., Reference]
) -> None:
    target = target_of(reference(f"secret-manager://azure/{written}/secret"), {"azure": ()})
    assert VaultName.of(target).url == url


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"AZURE_CLIENT_CERTIFICATE_PATH": "/no/such.pem"}, "FileNotFoundError: [Errno 2] No such file or directory"),
        ({"AZURE_CLIENT_SECRET": "canary-secret", "AZURE_TENANT_ID": "no tenant!"}, "ValueError: Invalid tenant ID"),
        ({"AZURE_TOKEN_CREDENTIALS": "never-heard-of"}, "ValueError: Invalid value for AZURE_TOKEN_CREDENTIALS"),
    ],
    ids=["certificate", "tenant", "chain"],
)
def test_credentials_that_cannot_be_made_are_not_blamed_on_the_reference(
    variables: dict[str, str], why: str, load: Load, vault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KeyLoadError) as caught:
        load(f"secret-manager://azure/{vault.host}/secret")
    assert f": no Azure credentials can be made ({why}" in str(caught.value)
    assert caught.value.remedy == "Correct the variables that begin with AZURE_."
    assert "canary" not in str(caught.value)
