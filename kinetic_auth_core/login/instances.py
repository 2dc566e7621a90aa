"""A provider's instances: made from a login's values and kept while those stay the same, so a key is prepared once."""

import logging
import threading
from typing import Any

import attrs

from kinetic_auth_core.concurrency import reset_after_fork
from kinetic_auth_core.login.credentials import Values
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.limits import Credential, SharedResources
from kinetic_auth_core.login.spec import LoginSpec, make_instance
from kinetic_auth_core.registry.hookspecs import LoginHooks
from kinetic_auth_core.registry.loading import are_loading, load_observers

logger = logging.getLogger(__name__)


@attrs.define(eq=False)
class ProviderInstance:
    """A provider's instance as a source uses it.

    Attributes:
        values: What it was made from.
        instance: The instance.
        hooks: The observers, around it.
        credential: What the guard against lockouts knows it by.
        first_try: A lock, held by the thread that makes the first login with it; None once that has ended.
    """

    values: Values
    instance: Any
    hooks: LoginHooks
    credential: Credential = attrs.field(
        init=False, default=attrs.Factory(lambda self: Credential(self.instance), takes_self=True)
    )
    first_try: Any = attrs.field(init=False, repr=False, factory=threading.RLock)

    def __attrs_post_init__(self) -> None:
        reset_after_fork(self)

    def _after_fork(self) -> None:
        """In the child: the thread that was trying may not be here."""
        if self.first_try is not None:
            self.first_try = threading.RLock()


class ProviderInstances:
    """The instance for each set of credentials.

    Args:
        spec: What class they are of, and with which settings.
        resources: What they may share with other sources.
    """

    def __init__(self, spec: LoginSpec, resources: SharedResources) -> None:
        self._spec = spec
        self._resources = resources
        self._by_number: dict[int, ProviderInstance] = {}
        self._lock = threading.RLock()  # a provider whose constructor asks its own source fails, and does not hang
        reset_after_fork(self)

    def get(self, number: int, values: Values) -> ProviderInstance:
        """The instance for a set of credentials; one that was made for other values is closed.

        Args:
            number: Which set, from 0.
            values: The set's values, as they are now.
        """
        observers = self._observers()  # not under the lock: one that logs in while it is made may wait for it
        with self._lock:
            before = self._by_number.get(number)
            if before is not None and before.values == values:
                return before
            instance = self._spec.instances[number] if self._spec.instances else make_instance(self._spec, values)
            if isinstance(instance, GrantAuthenticator) and not self._spec.is_by_hand:
                instance.share(self._resources.transports)
            provider = ProviderInstance(values, instance, LoginHooks(instance, observers))
            if are_loading():
                return provider  # not to be kept, as it is without its observers
            self._by_number[number] = provider
        if before is not None:
            _close_quietly(before.instance)
        return provider

    def hooks(self, instance: Any) -> LoginHooks:
        """The observers, around an instance.

        Args:
            instance: The provider's instance; None where it could not even be made.
        """
        return LoginHooks(instance, self._observers())

    def _observers(self) -> list[tuple[str, object]]:
        if are_loading():
            return []
        return self._resources.observers.get(lambda: load_observers(self._spec.allowed))

    def close(self) -> None:
        """Close the provider's connections, if it has a `close`."""
        for provider in list(self._by_number.values()):
            _close_quietly(provider.instance)

    def _after_fork(self) -> None:
        """In the child: no thread holds the lock that a thread of the parent may have held."""
        self._lock = threading.RLock()


def _close_quietly(instance: Any) -> None:
    """Call a provider's `close`, if it has one. One that raises breaks nothing."""
    close = getattr(instance, "close", None)
    if close is not None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - a plugin's class
            logger.warning("close() of %s raised %s", type(instance).__name__, type(error).__name__)
