"""The two key loaders. The modules of a cloud are imported when a source has a reference that names it."""

import importlib
import json
from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any

import attrs

from kinetic_auth_core import KeyLoadError, Reference, Signer, hookimpl
from kinetic_auth_secret_manager.aws_names import ParameterName
from kinetic_auth_secret_manager.azure_names import VaultName
from kinetic_auth_secret_manager.cache import Cache
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.targets import Target, target_of


@attrs.frozen
class _Place:
    """A service that values are read from.

    Attributes:
        module: The module that reads them.
        extra: The extra that installs the SDK of the module.
        options: The options allowed after `?`.
        check: Raises a `KeyLoadError` for an invalid name; None if every name is valid.
    """

    module: str
    extra: str
    options: Collection[str]
    check: Callable[[Target], object] | None = None


_SECRETS = {
    "aws": _Place("aws_secrets", "aws", ("region", "version", "endpoint")),
    "aws-ssm": _Place("aws_ssm", "aws", ("region", "version", "endpoint"), ParameterName.of),
    "azure": _Place("azure_vault", "azure", ("version",), VaultName.of),
}
_KEYS = {
    "aws": _Place("aws_kms", "aws", ("region", "endpoint")),
    "azure": _Place("azure_keys", "azure", ("version",), VaultName.of),
}

_FAMILIES = {"aws": {"boto3", "botocore"}, "azure": {"azure", "cryptography", "msal"}}
_WHOLE = "or omit #... to use the whole secret"

#: One for the process, so that a hundred sources of the same secret read it once.
_cache: Cache[Any] = Cache()


def _checked(reference: Reference, places: Mapping[str, _Place]) -> Target:
    """Parse and check a reference without a request; raises a `KeyLoadError`."""
    target = target_of(reference, {name: place.options for name, place in places.items()})
    if (check := places[target.source].check) is not None:
        check(target)
    return target


def _import(target: Target, places: Mapping[str, _Place]) -> ModuleType:
    """The module that reads a target, with its SDK."""
    place = places[target.source]
    return import_sdk(f"kinetic_auth_secret_manager.{place.module}", place.extra, target.reference)


def _load(reference: Reference, places: Mapping[str, _Place], cache: Cache[Any]) -> Any:
    target = _checked(reference, places)
    module = _import(target, places)
    return cache.get(
        target.key,
        lambda: module.read(target),
        lifetime_s=target.lifetime_s,
        fresh=reference.fresh,
        label=target.label,
    )


@attrs.frozen
class SecretManagerLoader:
    """Resolves `secret-manager://aws/...`, `secret-manager://aws-ssm/...` and `secret-manager://azure/...`.

    Args:
        cache: Where values are kept; default: the one of the process.
    """

    _cache: Cache[Any] = attrs.field(default=_cache, repr=False)

    @hookimpl
    def load_key(self, reference: Reference) -> bytes:
        """The secret, or the field of it that `#` names.

        Raises:
            KeyLoadError: It could not be read; the message says why, and what to do.
        """
        secret: Secret | Problem = _load(reference, _SECRETS, self._cache)
        if isinstance(secret, Secret):
            secret = field_of(secret, reference.field)
        if isinstance(secret, Problem):
            raise secret.error(reference)
        return secret.value

    @hookimpl
    def check_reference(self, reference: Reference) -> None:
        """Check a reference without any SDK.

        Raises:
            KeyLoadError: The service or an option is unknown, or a part is missing or malformed.
        """
        _checked(reference, _SECRETS)

    @hookimpl
    def import_modules(self, reference: Reference) -> None:
        """Import the SDK that a reference needs.

        Raises:
            KeyLoadError: It is not installed, or the reference is not valid.
        """
        _import(_checked(reference, _SECRETS), _SECRETS)


@attrs.frozen
class KmsLoader:
    """Resolves `kms://aws/...` and `kms://azure/...` to signers.

    Args:
        cache: Where signers are kept; default: the one of the process.
    """

    _cache: Cache[Any] = attrs.field(default=_cache, repr=False)

    @hookimpl
    def load_key(self, reference: Reference) -> Signer:
        """A signer for the key, which can sign assertions for Salesforce.

        Raises:
            KeyLoadError: The key could not be read, or is unusable; the message says why, and what to do.
        """
        signer: Signer | Problem = _load(reference, _KEYS, self._cache)
        if isinstance(signer, Problem):
            raise signer.error(reference)
        return signer

    @hookimpl
    def check_reference(self, reference: Reference) -> None:
        """Check a reference without any SDK.

        Raises:
            KeyLoadError: The service or an option is unknown, or a part is missing or malformed.
        """
        _checked(reference, _KEYS)

    @hookimpl
    def import_modules(self, reference: Reference) -> None:
        """Import the SDK that a reference needs.

        Raises:
            KeyLoadError: It is not installed, or the reference is not valid.
        """
        _import(_checked(reference, _KEYS), _KEYS)


def import_sdk(module: str, extra: str, reference: Reference) -> ModuleType:
    """Import a module of ours that needs an SDK.

    Args:
        module: Its full name.
        extra: The extra of this package that installs the SDK.
        reference: The reference, for the message.

    Raises:
        KeyLoadError: The SDK is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _FAMILIES[extra]:
            raise
        raise KeyLoadError(
            f"{reference}: {error.name} is not installed.",
            remedy=f'pip install "kinetic-auth-secret-manager[{extra}]"',
        ) from error


def field_of(secret: Secret, field: str | None) -> Secret | Problem:
    """Extract a field of a secret.

    Args:
        secret: As the vault gave it.
        field: The name after `#` in the reference; None for the whole secret.

    Returns:
        The field's text, or the problem. Not raised: the secret would be among a traceback's locals.
    """
    if field is None:
        return secret
    try:
        parsed = json.loads(secret.value)
    except (ValueError, RecursionError):
        return Problem("the secret is not JSON, so it has no fields", f"Store a JSON object there, {_WHOLE}.")
    if not isinstance(parsed, dict):
        return Problem("the secret is JSON but not an object with fields", f"Store a JSON object there, {_WHOLE}.")
    if field not in parsed:
        # Only their number: if name and value were swapped, the name is the secret.
        return Problem(
            f"the secret has no field {field!r} among its {len(parsed)}", f"Correct the name after #, {_WHOLE}."
        )
    text = parsed[field]
    if not isinstance(text, str):
        return Problem(f"the field {field!r} of the secret is not text", "Store it as a JSON string.")
    try:
        return Secret(text.encode())
    except UnicodeEncodeError:
        return Problem(f"the field {field!r} of the secret is not valid text", "Store it again.")
