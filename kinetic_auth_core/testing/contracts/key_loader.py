"""A test suite for key loaders: the behaviour that `kinetic_auth_core` and its users rely on."""

from __future__ import annotations

import abc
import functools
import os
from typing import Any

import attrs
import pluggy

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing.contracts.checks import (
    at_once,
    everything_said,
    expect,
    often_switched,
    text_of_a_child,
    watched,
)
from kinetic_auth_core.testing.leaks import secrets_in

expected = functools.partial(expect, subject="key loader")

_MESSAGE = b"header.payload"


class KeyLoaderContract(abc.ABC):
    """Subclass it with a name that pytest collects, define three members, inherit every test.

        class TestMyLoader(KeyLoaderContract):
            reference = "my-vault://team/prod"
            missing_reference = "my-vault://team/nothing"

            def make_key_loader(self):
                return MyLoader()

    What is behind the references is for a fixture; it may set them as attributes of `self`.

    Attributes:
        reference: A reference, as text or as a `Reference`, whose secret the loader finds.
        missing_reference: A reference whose secret is not there.
    """

    reference: Any
    missing_reference: Any

    @abc.abstractmethod
    def make_key_loader(self) -> Any:
        """Return what the entry point gives: an instance, or the module."""

    def change_secret(self) -> Any:
        """Change the secret behind `reference`, so that `fresh` is tested. Optional.

        Returns:
            `NotImplemented` if it cannot be changed, as here.
        """
        return NotImplemented

    # The contract of a plugin

    def test_it_fits_the_contract_of_key_loaders(self) -> None:
        expected(self._hooks().load_key.get_hookimpls(), "no load_key() is marked with @kinetic_auth_core.hookimpl")

    def test_its_constructor_sends_nothing(self) -> None:
        self.make_key_loader()
        with watched() as activity:
            self.make_key_loader()
        expected(not activity.sent, f"the constructor uses the network or a process ({', '.join(activity.sent)})")

    # What it loads

    def test_a_reference_gives_bytes_or_a_signer(self) -> None:
        _checked(self._load())

    def test_a_second_load_gives_the_same(self) -> None:
        expected(self._identity() == self._identity(), "two loads of one reference differ")

    def test_fresh_is_honoured(self) -> None:
        hooks = self._hooks()
        with watched() as first:
            before = self._identity(hooks)
        with watched() as again:
            same = self._identity(hooks, fresh=True)
        expected(same == before, "a load with fresh=True differs although nothing has changed")
        if first.asked_this_machine:
            expected(again.asked_this_machine, "a load with fresh=True did not read the secret again")
        if self.change_secret() is not NotImplemented:
            after = self._identity(hooks, fresh=True)
            expected(after != before, "a load with fresh=True gave an old value: it must ask again")

    def test_a_signature_verifies_with_the_public_key(self) -> None:
        loaded = self._load()
        if isinstance(loaded, bytes):
            return
        signature = loaded.sign(_MESSAGE)
        expected(isinstance(signature, bytes) and signature, "sign() does not return the bytes of a signature")
        expected(isinstance(loaded.key_id, str) and loaded.key_id, "key_id is not text, or empty")
        if getattr(loaded, "public_key", None) is not None and loaded.algorithm == "RS256":
            expected(_verifies(loaded.public_key(), signature), "a signature does not verify with public_key()")

    # Errors

    def test_a_missing_reference_is_a_typed_error(self) -> None:
        for fresh in (False, True):
            error = self._error(fresh=fresh)
            expected(
                isinstance(error, kinetic.KeyLoadError),
                f"a missing secret raises {type(error).__name__}; raise a kinetic_auth_core.KeyLoadError",
            )

    def test_a_failure_does_not_stay(self) -> None:
        hooks = self._hooks()
        self._error(hooks)
        _checked(self._load(hooks))

    # Secrets

    def test_no_secret_is_shown(self) -> None:
        loader = self.make_key_loader()
        loaded = self._load(self._hooks(loader))
        shown = f"{loader!r} {loader}" + ("" if isinstance(loaded, bytes) else f" {loaded!r} {loaded}")
        expected(not _leaked(shown, loaded), "the repr of the loader or of its signer shows the secret")
        expected("PRIVATE KEY-----" not in shown, "the repr of the loader or of its signer shows a private key")

    def test_no_secret_is_logged(self) -> None:
        with everything_said() as said:
            hooks = self._hooks()
            loaded = self._load(hooks)
            self._load(hooks, fresh=True)
            self._error(hooks)
            if not isinstance(loaded, bytes):
                loaded.sign(_MESSAGE)
        expected(not _leaked(said.getvalue() or "nothing", loaded), "the log or the output shows the secret")

    def test_no_secret_is_in_an_error(self) -> None:
        hooks = self._hooks()
        loaded = self._load(hooks)
        for error in (self._error(hooks), self._error(hooks, fresh=True)):
            expected(not _leaked(error.with_traceback(None), loaded), "the error of a missing secret shows another one")

    # check_reference

    def test_check_reference_sends_nothing(self) -> None:
        hooks = self._hooks()
        with watched() as activity:
            hooks.check_reference(reference=_parsed(self.reference))
            try:
                hooks.check_reference(reference=_parsed(self.missing_reference))
            except kinetic.KeyLoadError:
                pass
            except Exception as error:  # noqa: BLE001 - the contract names one
                expected(False, f"check_reference() raises {type(error).__name__} instead of a KeyLoadError")
        expected(not activity.sent, f"check_reference() uses the network or a process ({', '.join(activity.sent)})")

    # Threads and processes

    def test_threads_get_what_they_ask_for(self) -> None:
        hooks = self._hooks()
        wanted = self._identity(hooks)

        def ask(number: int) -> None:
            for turn in range(3):
                if (number + turn) % 2:
                    found = self._identity(hooks, fresh=turn == 1)
                    expected(found == wanted, "a thread got another secret than it asked for")
                else:
                    found_error = isinstance(self._error(hooks), kinetic.KeyLoadError)
                    expected(found_error, "a thread got no KeyLoadError for a missing secret")

        with often_switched():
            at_once(ask)

    def test_the_child_of_a_fork_loads_and_the_parent_goes_on(self) -> None:
        if not hasattr(os, "fork"):
            return
        hooks = self._hooks()
        wanted = self._identity(hooks)
        same = text_of_a_child(lambda: str(self._identity(hooks, fresh=True) == wanted))
        expected(same == "True", "the child of a fork does not load the secret")
        expected(self._identity(hooks, fresh=True) == wanted, "the parent of a fork does not load the secret")

    # How the tests do it

    def _hooks(self, loader: Any = None) -> Any:
        """The hooks of a new loader, called as the core calls them."""
        from kinetic_auth_core.plugins import KeyLoader

        manager = pluggy.PluginManager("kinetic_auth")
        manager.add_hookspecs(KeyLoader)
        manager.register(self.make_key_loader() if loader is None else loader)
        manager.check_pending()
        return manager.hook

    def _load(self, hooks: Any = None, *, fresh: bool = False) -> Any:
        return (hooks or self._hooks()).load_key(reference=_parsed(self.reference, fresh=fresh))

    def _identity(self, hooks: Any = None, *, fresh: bool = False) -> Any:
        """What is the same at each load: whom the reference names, where the loader has that hook; else what it gives.

        The values of a loader with the hook `identity` may differ at each load.
        """
        hooks = hooks or self._hooks()
        loaded = _identity(self._load(hooks, fresh=fresh))
        return hooks.identity(reference=_parsed(self.reference, fresh=fresh)) or loaded

    def _error(self, hooks: Any = None, *, fresh: bool = False) -> BaseException:
        try:
            (hooks or self._hooks()).load_key(reference=_parsed(self.missing_reference, fresh=fresh))
        except Exception as error:  # noqa: BLE001 - judged by the tests
            return error
        raise AssertionError("the key loader violates its contract: a missing secret raises nothing")


def _parsed(reference: Any, *, fresh: bool = False) -> Any:
    """A reference as the core makes it from text."""
    from kinetic_auth_core.plugins import Reference, parse_reference

    if isinstance(reference, str):
        text, reference = reference, parse_reference(reference, {reference.partition("://")[0]})
        expected(isinstance(reference, Reference), f"{text!r} is not a reference: write scheme://...")
    return attrs.evolve(reference, fresh=fresh)


def _checked(loaded: Any) -> None:
    from kinetic_auth_core.plugins import Signer

    is_bytes = isinstance(loaded, bytes)
    is_right = is_bytes or isinstance(loaded, Signer)
    expected(is_right, f"load_key() returns {type(loaded).__name__} instead of bytes or a Signer")
    expected(loaded or not is_bytes, "load_key() returns no bytes: raise a KeyLoadError for a missing secret")


def _identity(loaded: Any) -> Any:
    """What is compared: the bytes, or which key a signer signs with."""
    _checked(loaded)
    return loaded if isinstance(loaded, bytes) else (loaded.algorithm, loaded.key_id)


def _leaked(shown: BaseException | str, loaded: Any) -> bool:
    text = loaded.decode(errors="replace").strip() if isinstance(loaded, bytes) else "PRIVATE KEY-----"
    return bool(secrets_in(shown, text, is_test=lambda _: True))


def _verifies(public_pem: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public_pem)
    expected(isinstance(key, rsa.RSAPublicKey), "public_key() is not an RSA key in PEM, and the algorithm is RS256")
    if isinstance(key, rsa.RSAPublicKey):
        try:
            key.verify(signature, _MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
    return True
