"""The two key loaders: which module reads which place. The modules of a cloud are imported when it is first named."""

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from kinetic_auth_core import Reference, Signer, hookimpl
from kinetic_auth_secret_manager.cache import Cache
from kinetic_auth_secret_manager.json_field import field_of
from kinetic_auth_secret_manager.problems import Problem, Secret
from kinetic_auth_secret_manager.sdks import sdk
from kinetic_auth_secret_manager.targets import target_of


@attrs.frozen
class _Place:
    """Where something is read: which module reads it, which extra brings its SDK, which options it takes."""

    module: str
    extra: str
    options: Collection[str]


_SECRETS = {
    "aws": _Place("aws_secrets", "aws", ("region", "version", "endpoint")),
    "aws-ssm": _Place("aws_ssm", "aws", ("region", "version", "endpoint")),
    "azure": _Place("azure_vault", "azure", ("version",)),
}
_KEYS = {
    "aws": _Place("aws_kms", "aws", ("region", "endpoint")),
    "azure": _Place("azure_keys", "azure", ("version",)),
}

#: One for the process: a hundred sources that name the same secret ask the vault once.
_cache: Cache[Any] = Cache()


def _load(reference: Reference, places: Mapping[str, _Place], cache: Cache[Any]) -> Any:
    target = target_of(reference, {name: place.options for name, place in places.items()})
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
