"""What the Azure SDK's errors mean.

Source: "Azure Key Vault REST API error codes" and "Authentication, requests and responses" of Microsoft's
documentation. A rejection has `error.code`, and often a more specific `error.innererror.code`.
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
    "Set up credentials for DefaultAzureCredential: a managed identity, workload identity, AZURE_CLIENT_ID and "
    "related variables, or `az login`."
)
_REACH = "Check the vault's name, and that this machine can reach it (DNS, proxy, private endpoint)."
_NETWORK = "Allow this network in the vault's firewall, or connect through its private endpoint."


class CredentialSettingsError(AzureError):
    """The variables of `DefaultAzureCredential` have a value that it refuses, or name a file that cannot be read."""


def azure_problem(error: Exception, role: str) -> Problem:
    """Translate an error of the Azure SDK.

    Args:
        error: The error.
        role: The role that a reader needs.
    """
    return _translate(error, role).caused_by(error)


def _translate(error: Exception, role: str) -> Problem:
    if isinstance(error, DecodeError):
        what = "what answered was not a vault: the answer cannot be parsed"
        return Problem(what, _REACH, outage=True)
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _answered(error, error.status_code, role)
    if isinstance(error, ClientAuthenticationError):
        # An outage: a process that had credentials lost their source. Where access was revoked, the vault says so.
        return Problem("no Azure credentials were found", _CREDENTIALS, outage=True)
    if isinstance(error, CredentialSettingsError):
        return Problem(f"no Azure credentials can be made ({error})", "Correct the variables that begin with AZURE_.")
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return Problem("the vault cannot be reached", _REACH, outage=True)
    if isinstance(error, AzureError):
        return Problem(f"the Azure SDK failed ({type(error).__name__})", "See the cause.")
    if "challenge" in str(error):
        what = "the host does not answer like an Azure Key Vault, so no token was sent"
        return Problem(what, "Correct the vault's host.")
    return Problem(
        f"the Azure SDK does not accept the reference ({type(error).__name__})", "Correct the reference; see the cause."
    )


def _answered(error: HttpResponseError, status: int, role: str) -> Problem:
    codes = _codes(error)
    if status in (408, 429):
        return Problem("the vault throttles the requests", "Send fewer requests, or use more vaults.", outage=True)
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
        return Problem("it is expired or not valid yet", "Change its dates, or name another version.")
    if status == 403:
        return Problem("access is denied", f"Assign the role {role!r} on the vault to this process's identity.")
    return Problem(f"the vault refused the request (HTTP {status})", "See the cause.")


def _codes(error: HttpResponseError) -> set[str]:
    """All codes of a rejection, outer and inner ones."""
    found = {str(getattr(error.error, "code", ""))}
    inner = getattr(error.error, "innererror", None)
    while isinstance(inner, dict):
        found.add(str(inner.get("code", "")))
        inner = inner.get("innererror")
    return found
