"""The two key loaders: which module reads which place. The modules of a cloud are imported when it is first named."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from kinetic_auth_core import Reference, Signer, hookimpl
from kinetic_auth_secret_manager.aws_names import ParameterName
from kinetic_auth_secret_manager.azure_names import VaultName
from kinetic_auth_secret_manager.cache import Cache
from kinetic_auth_secret_manager.json_field import field_of
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.sdks import sdk
from kinetic_auth_secret_manager.targets import Target, target_of


@attrs.frozen
class _Place:
    """Where something is read.

    Attributes:
        module: Reads it.
        extra: Brings the SDK that the module needs.
        options: What may stand behind `?`.
        check: Raises a `KeyLoadError` for a name that cannot be one there; None where every name can.
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

#: One for the process: a hundred sources that name the same secret ask the vault once.
_cache: Cache[Any] = Cache()


def _checked(reference: Reference, places: Mapping[str, _Place]) -> Target:
    """What a reference asks for. All that can be told without asking for it is told here, by a `KeyLoadError`."""
    target = target_of(reference, {name: place.options for name, place in places.items()})
    if (check := places[target.source].check) is not None:
        check(target)
    return target


def _load(reference: Reference, places: Mapping[str, _Place], cache: Cache[Any]) -> Any:
    target = _checked(reference, places)
    place = places[target.source]
    module = sdk(f"kinetic_auth_secret_manager.{place.module}", place.extra, reference)
    return cache.get(
        target.key,
        lambda: module.read(target),
        lifetime_s=target.lifetime_s,
        fresh=reference.fresh,
        called=target.called,
    )


@attrs.frozen
class SecretManagerLoader:
    """Resolves `secret-manager://aws/...`, `secret-manager://aws-ssm/...` and `secret-manager://azure/...`.

    Args:
        cache: Where values are kept; left out, the one that the whole process shares.
    """

    _cache: Cache[Any] = attrs.field(default=_cache, repr=False)

    @hookimpl
    def load_key(self, reference: Reference) -> bytes:
        """The secret, or the field of it that `#` names.

        Raises:
            KeyLoadError: It could not be had; the message says why, and what to do.
        """
        secret: Secret | Problem = _load(reference, _SECRETS, self._cache)
        if isinstance(secret, Secret):
            secret = field_of(secret, reference.field)
        if isinstance(secret, Problem):
            raise secret.error(reference)
        return secret.value

    @hookimpl
    def check_reference(self, reference: Reference) -> None:
        """Look at a reference without any SDK.

        Raises:
            KeyLoadError: There is no such place or option, or a part is missing or malformed.
        """
        _checked(reference, _SECRETS)


@attrs.frozen
class KmsLoader:
    """Resolves `kms://aws/...` and `kms://azure/...` to signers.

    Args:
        cache: Where signers are kept; left out, the one that the whole process shares.
    """

    _cache: Cache[Any] = attrs.field(default=_cache, repr=False)

    @hookimpl
    def load_key(self, reference: Reference) -> Signer:
        """A signer for the key, which is fit to sign Salesforce's assertions.

        Raises:
            KeyLoadError: The key could not be had, or is unfit; the message says why, and what to do.
        """
        signer: Signer | Problem = _load(reference, _KEYS, self._cache)
        if isinstance(signer, Problem):
            raise signer.error(reference)
        return signer

    @hookimpl
    def check_reference(self, reference: Reference) -> None:
        """Look at a reference without any SDK.

        Raises:
            KeyLoadError: There is no such place or option, or a part is missing or malformed.
        """
        _checked(reference, _KEYS)
