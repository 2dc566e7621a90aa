"""Key loaders that keep the contract, and key loaders that break one rule each; see `planted_providers`."""

import logging
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

import kinetic_auth_core as kinetic
from kinetic_auth_core.plugins import read_private_key
from kinetic_auth_core.testing import KeyLoaderContract, new_key_pair

VAULT: dict[str, bytes] = {}
KEYS = new_key_pair(), new_key_pair()


def missing(reference: kinetic.Reference) -> kinetic.KeyLoadError:
    return kinetic.KeyLoadError(f"{reference}: the secret does not exist.")


@attrs.frozen
class Sound:
    @kinetic.hookimpl
    def load_key(self, reference: kinetic.Reference) -> bytes:
        if reference.rest not in VAULT:
            raise missing(reference)
        return VAULT[reference.rest]


class SoundSigners:
    @kinetic.hookimpl
    def load_key(self, reference: kinetic.Reference) -> Any:
        if reference.rest != "team/prod":
            raise missing(reference)
        return read_private_key(KEYS[0].private_key_pem)


class _Suite(KeyLoaderContract):
    loader: type = Sound
    reference = "acme://team/prod"
    missing_reference = "acme://team/nothing"
    breaks: tuple[str, ...] = ()

    def make_key_loader(self) -> Any:
        return self.loader()

    def setup_method(self) -> None:
        VAULT["team/prod"] = b"canary-secret"

    def change_secret(self) -> None:
        VAULT["team/prod"] = b"canary-changed"


class TestSound(_Suite):
    pass


class TestSoundSigners(_Suite):
    loader = SoundSigners

    def change_secret(self) -> Any:
        return NotImplemented


# One rule broken each


class TestReturnsText(_Suite):
    breaks = ("a_reference_gives_bytes_or_a_signer",)

    class loader(Sound):
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> Any:
            return super().load_key(reference).decode()


class TestUntypedException(_Suite):
    breaks = ("a_missing_reference_is_a_typed_error", "threads_get_what_they_ask_for")

    class loader:
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            return VAULT[reference.rest]


class TestNothingForAMissingSecret(_Suite):
    breaks = ("a_missing_reference_is_a_typed_error",)

    class loader:
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes | None:
            return VAULT.get(reference.rest)


class TestSecretInAnError(_Suite):
    breaks = ("no_secret_is_in_an_error",)

    class loader(Sound):
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            if reference.rest not in VAULT:
                raise kinetic.KeyLoadError(f"{reference} is none of {VAULT}")
            return VAULT[reference.rest]


class TestSecretInTheChainOfAnError(_Suite):
    breaks = ("no_secret_is_in_an_error",)

    class loader(Sound):
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            try:
                return VAULT[reference.rest]
            except KeyError:
                raise missing(reference) from LookupError(VAULT)


class TestSecretInTheLog(_Suite):
    breaks = ("no_secret_is_logged",)

    class loader(Sound):
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            secret = super().load_key(reference)
            logging.getLogger("acme").debug("%s: %r", reference, secret)
            return secret


class TestSecretInTheRepr(_Suite):
    breaks = ("no_secret_is_shown",)

    @attrs.define
    class loader(Sound):
        cache: dict[str, bytes] = attrs.field(factory=dict)

        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            self.cache[reference.rest] = super().load_key(reference)
            return self.cache[reference.rest]


class TestIgnoresFresh(_Suite):
    breaks = ("fresh_is_honoured",)

    class loader(Sound):
        def __init__(self) -> None:
            self.cache: dict[str, bytes] = {}

        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            return self.cache.setdefault(reference.rest, super().load_key(reference))


class TestKeepsAFile(_Suite):
    """That the secret was not read again is seen even if the suite cannot change it."""

    breaks = ("fresh_is_honoured",)

    class loader(Sound):
        def __init__(self) -> None:
            self.cache: dict[str, bytes] = {}

        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            if reference.rest not in self.cache:
                super().load_key(reference)
                self.cache[reference.rest] = Path("/dev/null").read_bytes() + b"canary"
            return self.cache[reference.rest]

    def change_secret(self) -> Any:
        return NotImplemented


class TestRemembersAFailure(_Suite):
    breaks = ("a_failure_does_not_stay",)

    class loader(Sound):
        failed = False

        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            self.failed = self.failed or reference.rest not in VAULT
            if self.failed:
                raise missing(reference)
            return super().load_key(reference)


class TestStateSharedBetweenThreads(_Suite):
    breaks = ("threads_get_what_they_ask_for",)

    class loader(Sound):
        asked: Any = None

        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> bytes:
            self.asked = reference
            time.sleep(0.002)
            return super().load_key(self.asked)


class TestNetworkInTheConstructor(_Suite):
    breaks = ("its_constructor_sends_nothing",)

    class loader(Sound):
        def __init__(self) -> None:
            with suppress(OSError):
                socket.getaddrinfo("127.0.0.1", 80)


class TestNetworkInCheckReference(_Suite):
    breaks = ("check_reference_sends_nothing",)

    class loader(Sound):
        @kinetic.hookimpl
        def check_reference(self, reference: kinetic.Reference) -> None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", 1), 1)


class TestUntypedExceptionInCheckReference(_Suite):
    breaks = ("check_reference_sends_nothing",)

    class loader(Sound):
        @kinetic.hookimpl
        def check_reference(self, reference: kinetic.Reference) -> None:
            if reference.rest not in VAULT:
                raise ValueError("no")


class TestSignatureOfAnotherKey(_Suite):
    breaks = ("a_signature_verifies_with_the_public_key",)

    class loader(SoundSigners):
        @kinetic.hookimpl
        def load_key(self, reference: kinetic.Reference) -> Any:
            return Mixed(super().load_key(reference))


@attrs.frozen
class Mixed:
    signer: Any
    algorithm = "RS256"
    key_id = "key"

    def sign(self, message: bytes) -> bytes:
        signature: bytes = self.signer.sign(message)
        return signature

    def public_key(self) -> bytes:
        return read_private_key(KEYS[1].private_key_pem).public_key()


class TestMisspeltHook(_Suite):
    breaks = ("it_fits_the_contract_of_key_loaders",)

    class loader:
        @kinetic.hookimpl
        def loadkey(self, reference: kinetic.Reference) -> bytes:
            return b""
