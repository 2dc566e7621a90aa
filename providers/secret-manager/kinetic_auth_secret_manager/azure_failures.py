"""What the Azure SDK's errors mean.

Source: "Azure Key Vault REST API error codes" and "Authentication, requests and responses" of Microsoft's
documentation. A refusal carries `error.code`, and often a more telling `error.innererror.code`.
"""

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from kinetic_auth_secret_manager.problems import Problem

_CREDENTIALS = (
    "Give DefaultAzureCredential something to find: a managed identity, workload identity, AZURE_CLIENT_ID and its "
    "companions, or `az login`."
)
_REACH = "Check the vault's name, and that this machine can reach it (DNS, proxy, private endpoint)."
_NETWORK = "Let the vault's firewall admit this network, or connect through its private endpoint."


def azure_problem(error: Exception, role: str) -> Problem:
    """Say what an error of the Azure SDK means.

    Args:
        error: What was raised.
        role: The role that a reader needs.
    """
    return _explained(error, role).caused_by(error)


def _explained(error: Exception, role: str) -> Problem:
    if isinstance(error, DecodeError):
        what = "what answered was not a vault: it cannot be read"
        return Problem(what, _REACH, outage=True)
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _answered(error, error.status_code, role)
    if isinstance(error, ClientAuthenticationError):
        # An outage: who had credentials before lost their source. Whose access was taken away is told so by the vault.
        return Problem("no Azure credentials were found", _CREDENTIALS, outage=True)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return Problem("the vault cannot be reached", _REACH, outage=True)
    if isinstance(error, AzureError):
        return Problem(f"the Azure SDK failed ({type(error).__name__})", "See the cause.")
    if "challenge" in str(error):
        what = "the host does not answer like an Azure Key Vault, so it was given no token"
        return Problem(what, "Correct the vault's host.")
    return Problem(
        f"the Azure SDK does not take that ({type(error).__name__})", "Correct the reference; see the cause."
    )


def _answered(error: HttpResponseError, status: int, role: str) -> Problem:
    codes = _codes(error)
    if status in (408, 429):
        return Problem("the vault throttles the requests", "Ask less often, or spread over more vaults.", outage=True)
    if status >= 500:
        what = f"the vault cannot answer now (HTTP {status})"
        return Problem(what, "Try again; see Azure's status page.", outage=True)
    if status == 404:
        return Problem("there is nothing of that name in the vault", "Check the vault and the name.")
    if status == 401:
        what = "the vault refuses the credentials of this process"
        return Problem(what, f"Check that they belong to the vault's tenant. {_CREDENTIALS}")
    if codes & {"SecretDisabled", "KeyDisabled"} or "disabled" in str(error).lower():
        return Problem("it is disabled", "Enable it, or name another version.")
    if codes & {"ForbiddenByFirewall", "ForbiddenByConnection"}:
        return Problem("the vault does not admit this network", _NETWORK)
    if "expired" in str(error).lower() or "not yet valid" in str(error).lower():
        return Problem("it is outside of the time for which it is valid", "Change its dates, or name another version.")
    if status == 403:
        return Problem("access is denied", f"Assign the role {role!r} on the vault to this process's identity.")
    return Problem(f"the vault refused the request (HTTP {status})", "See the cause.")


def _codes(error: HttpResponseError) -> set[str]:
    """All the codes that a refusal carries, the outer and the inner ones."""
    found = {str(getattr(error.error, "code", ""))}
    inner = getattr(error.error, "innererror", None)
    while isinstance(inner, dict):
        found.add(str(inner.get("code", "")))
        inner = inner.get("innererror")
    return found
