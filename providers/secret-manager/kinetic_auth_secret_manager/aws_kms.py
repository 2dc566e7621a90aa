"""`kms://aws/<key id, ARN or alias>`: AWS KMS signs, and the private key never leaves it."""

from typing import TYPE_CHECKING

import attrs

from kinetic_auth_secret_manager.aws_client import AwsClient
from kinetic_auth_secret_manager.per_process import PerProcess
from kinetic_auth_secret_manager.problems import Problem
from kinetic_auth_secret_manager.remote_signer import (
    MIN_BITS,
    RemoteSigner,
    not_for_signing,
    not_rsa,
    too_short,
)
from kinetic_auth_secret_manager.targets import Target

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.literals import SigningAlgorithmSpecType
    from mypy_boto3_kms.type_defs import KeyMetadataTypeDef

_SIGNING_ALGORITHM: "SigningAlgorithmSpecType" = "RSASSA_PKCS1_V1_5_SHA_256"
#: `Sign` accepts at most this many raw bytes; an assertion has some hundreds.
MAX_MESSAGE_BYTES = 4096


@attrs.frozen
class AwsKmsSigner(RemoteSigner):
    """Signs with RSASSA_PKCS1_V1_5_SHA_256, which JWS calls RS256 (RFC 7518, section 3.3).

    An alias is resolved when the signer is made, so that every signature belongs to `key_id`.
    """

    _aws: AwsClient = attrs.field(repr=False, eq=False)
    _client: "PerProcess[KMSClient]" = attrs.field(repr=False, eq=False)

    def sign(self, message: bytes) -> bytes:
        """Let KMS hash and sign `message`.

        Args:
            message: At most 4096 bytes.

        Raises:
            KeyLoadError: KMS does not sign.
        """

        def call(client: "KMSClient") -> bytes:
            return client.sign(
                KeyId=self.version, Message=message, MessageType="RAW", SigningAlgorithm=_SIGNING_ALGORITHM
            )["Signature"]

        if len(message) > MAX_MESSAGE_BYTES:
            what = f"KMS signs at most {MAX_MESSAGE_BYTES} bytes, and the message has {len(message)}"
            raise Problem(what, "Shorten the message.").error(self.reference)
        signature = self._aws.ask(call, self._client)
        if isinstance(signature, Problem):
            raise signature.error(self.reference)
        return signature


def read(target: Target) -> AwsKmsSigner | Problem:
    """Check a key (DescribeKey), read its public half (GetPublicKey), and make its signer."""
    aws = AwsClient(target, "kms", "kms:DescribeKey, kms:GetPublicKey and kms:Sign")

    def call(client: "KMSClient") -> AwsKmsSigner | Problem:
        described = client.describe_key(KeyId=target.name)["KeyMetadata"]
        if problem := _unusable(described):
            return problem
        version = described.get("Arn") or described["KeyId"]
        spki = client.get_public_key(KeyId=version)["PublicKey"]
        return AwsKmsSigner(target.reference, version, spki, aws, PerProcess(aws.connect))

    return aws.ask(call)


def _unusable(described: "KeyMetadataTypeDef") -> Problem | None:
    state = described.get("KeyState", "Enabled")
    usage = described.get("KeyUsage", "")
    spec = described.get("KeySpec", "")
    if "Deletion" in state:
        what = "the key is marked for deletion"
        return Problem(what, "Cancel the deletion (aws kms cancel-key-deletion) and enable it, or name another.")
    if state == "Disabled":
        return Problem("the key is disabled", "Enable it (aws kms enable-key), or name another.")
    if state != "Enabled":
        return Problem(f"the key is in the state {state}", "Wait until it is Enabled, or name another.")
    if usage != "SIGN_VERIFY":
        return not_for_signing(usage)
    if not spec.startswith("RSA_"):
        return not_rsa(spec)
    bits = int(spec.removeprefix("RSA_"))
    return too_short(bits) if bits < MIN_BITS else None
