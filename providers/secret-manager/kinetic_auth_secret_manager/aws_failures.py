"""What boto3's errors mean. The codes are those of the services' API references.

Sources: the lists of errors of GetSecretValue (Secrets Manager), GetParameter (Systems Manager), DescribeKey,
GetPublicKey and Sign (KMS), and "Common errors" of each API reference.
"""

from json import JSONDecodeError

import attrs
import botocore.exceptions as boto
from botocore.parsers import ResponseParserError

from kinetic_auth_secret_manager.problems import Problem

_CREDENTIALS = "Give boto3 credentials: a role for this machine or container, AWS_PROFILE, or `aws sso login`."
_REACH = "Check region and endpoint, and that this machine can reach AWS (DNS, proxy, VPC endpoint)."
_NAME = "Check the name, the region and the account."

NO_SUCH_PARAMETER_VERSION = Problem(
    "the parameter has no such version", "Correct version=, or what follows the colon in its name."
)

_THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "TooManyRequestsException", "LimitExceededException", "RequestLimitExceeded"}
)
_DOWN = frozenset(
    {
        "DependencyTimeoutException",
        "InternalServerError",
        "InternalServiceError",
        "KMSInternalException",
        "KeyUnavailableException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
_MISSING = frozenset({"NotFoundException", "ParameterNotFound", "ResourceNotFoundException"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_REFUSED_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
#: What boto3 asks for credentials, where they are those of a role.
_FOR_CREDENTIALS = frozenset(
    {"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetCredentialsForIdentity", "GetRoleCredentials"}
)
#: How a message about a signature says that this machine's clock is wrong.
_WRONG_CLOCK = ("Signature expired", "Signature not yet current")


def aws_problem(error: Exception, permission: str, region: str | None = None) -> Problem:
    """Translate an error of boto3.

    Args:
        error: The error.
        permission: The IAM action that was needed.
        region: The region that was asked, where the reference does not say it.
    """
    found = _answered(error, permission) if isinstance(error, boto.ClientError) else _unanswered(error)
    if found.remedy == _NAME and region:
        found = attrs.evolve(found, remedy=f"{_NAME} The region was {region}.")
    return found.caused_by(error)


def _answered(error: boto.ClientError, permission: str) -> Problem:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED or status == 429:
        return Problem("AWS throttles the requests", "Send fewer requests, or request a higher quota.", outage=True)
    if code in _DOWN or status >= 500:
        return Problem(f"AWS cannot answer now ({code or status})", "Try again; see the AWS health page.", outage=True)
    if message.startswith(_WRONG_CLOCK) or code == "RequestExpired":
        return Problem(f"AWS refuses the time of the request ({code})", "Set this machine's clock by NTP.")
    if error.operation_name in _FOR_CREDENTIALS:
        what = f"AWS gives this process no credentials ({error.operation_name}: {code})"
        return Problem(what, f"Check the role and who may assume it (its trust policy). {_CREDENTIALS}")
    return _denied(code, message, permission) or _absent(code, message) or _unusable(code, message)


def _denied(code: str, message: str, permission: str) -> Problem | None:
    """This process may not read it."""
    if code in _DENIED and "KMS" in message:
        what = "access to the KMS key that encrypts the secret is denied"
        return Problem(what, "Allow kms:Decrypt on that key for this role.")
    if code in _DENIED:
        return Problem("access is denied", f"Allow {permission} on it for the role or user of this process.")
    if code in _REFUSED_CREDENTIALS:
        return Problem(f"AWS refuses the credentials of this process ({code})", f"Renew them. {_CREDENTIALS}")
    return None


def _absent(code: str, message: str) -> Problem | None:
    """It does not exist, or not in that version."""
    if code == "ResourceNotFoundException" and "staging label" in message:
        what = "the secret has no version with that stage"
        return Problem(what, "Correct version=; the default is AWSCURRENT.")
    if code == "ResourceNotFoundException" and "VersionId" in message:
        what = "the secret has no version with that id"
        return Problem(what, "Correct version= (aws secretsmanager list-secret-version-ids), or omit it.")
    if code == "ParameterVersionNotFound":
        return NO_SUCH_PARAMETER_VERSION
    if code in _MISSING:
        return Problem("there is nothing of that name", _NAME)
    return None


def _unusable(code: str, message: str) -> Problem:
    """It exists, but its state prevents reading or using it."""
    if code in ("InvalidRequestException", "KMSInvalidStateException") and "delet" in message.lower():
        return Problem("it is marked for deletion", "Restore it, or name another.")
    if code == "DisabledException":
        return Problem("the key is disabled", "Enable it (aws kms enable-key), or name another.")
    if code == "KMSInvalidStateException":
        return Problem("the state of the key prevents its use", "See aws kms describe-key.")
    if code in ("DecryptionFailure", "InvalidKeyId"):
        what = "it cannot be decrypted with its KMS key"
        return Problem(what, "Check that the key is enabled, and allow kms:Decrypt on it for this role.")
    if code in ("ValidationException", "InvalidParameterException", "InvalidArnException"):
        return Problem(f"AWS does not accept that name ({code})", _NAME)
    return Problem(f"AWS refused the request ({code or 'no code'})", "Look that code up in the AWS API reference.")


_UNREACHABLE = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ReadTimeoutError,
    boto.ConnectionClosedError,
    boto.ProxyConnectionError,
    boto.HTTPClientError,
    ResponseParserError,
)
#: First match wins: NoRegionError and SSLError are subclasses of others below them.
_ROWS: tuple[tuple[tuple[type[Exception], ...], Problem], ...] = (
    (
        (boto.NoRegionError,),
        Problem("no AWS region is set", "Add ?region=... to the reference, or set AWS_DEFAULT_REGION."),
    ),
    (
        (boto.ProfileNotFound, boto.ConfigNotFound, boto.ConfigParseError, boto.InvalidConfigError),
        Problem("the AWS profile or its file cannot be read", "Correct AWS_PROFILE or ~/.aws/config."),
    ),
    (
        (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.MetadataRetrievalError,
            boto.SSOError,
            boto.TokenRetrievalError,
            getattr(boto, "LoginError", boto.SSOError),  # of `aws login`, which older versions do not know
        ),
        # An outage: a process that had credentials lost their source. Where access was revoked, the vault says so.
        Problem("no AWS credentials were found", _CREDENTIALS, outage=True),
    ),
    (
        (boto.SSLError,),
        Problem("no TLS connection to AWS", f"Set AWS_CA_BUNDLE if a proxy has its own CA. {_REACH}", True),
    ),
    (
        (KeyError,),
        Problem("what answered was not AWS: the answer is incomplete", _REACH, outage=True),
    ),
    (_UNREACHABLE, Problem("AWS cannot be reached", _REACH, outage=True)),
    (
        (JSONDecodeError,),
        Problem("no AWS credentials were found: what credential_process prints is not JSON", _CREDENTIALS, outage=True),
    ),
    (
        (boto.MissingDependencyException,),
        Problem("the AWS credentials need a package that is not installed", 'pip install "botocore[crt]"'),
    ),
    (
        (boto.ParamValidationError, boto.InvalidRegionError, boto.UnknownEndpointError, ValueError),
        Problem("boto3 does not accept the name, region or endpoint", f"Correct the reference. {_NAME}"),
    ),
)


def _unanswered(error: Exception) -> Problem:
    for kinds, problem in _ROWS:
        if isinstance(error, kinds):
            return problem
    if isinstance(error, OSError):  # of AWS_WEB_IDENTITY_TOKEN_FILE, or the command of credential_process
        place = error.filename or "what gives them"  # a process that cannot be started has no name here
        what = f"no AWS credentials were found: {place} cannot be used ({error.strerror or type(error).__name__})"
        return Problem(what, _CREDENTIALS, outage=True)
    return Problem(f"boto3 failed ({type(error).__name__})", "See the cause.")
