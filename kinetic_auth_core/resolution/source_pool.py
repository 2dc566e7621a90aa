"""Sources for many orgs or users in one process: made on demand, bounded in number, sharing connections."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self

from kinetic_auth_core.concurrency import notice_fork, reset_after_fork
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import keyword_layer
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.login.spec import SharedResources
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.registry.loading import given_observers
from kinetic_auth_core.resolution.inspection import check_arguments, inspect
from kinetic_auth_core.resolution.resolver import redirected_spec
from kinetic_auth_core.sessions.source import SessionSource

#: The number of sources that a pool keeps by default.
DEFAULT_SIZE = 1000

_ARGUMENTS = ("provider", "environment")


def _check(size: Any, tenants: Any) -> None:
    if type(size) is not int or size < 1:
        raise ConfigurationError("size: must be a number of sources, 1 or more")
    if tenants is not None and not callable(tenants):
        raise ConfigurationError(f"tenants: must be a function of a tenant's key, not {type(tenants).__name__}")


class SourcePool:
    """Returns one source for each environment of a config file, or for each tenant.

        pool = SourcePool("kinetic-auth.toml")
        session = pool.source("prod").session()

        pool = SourcePool(tenants=lambda key: {"environment": "prod", "username": f"integration@{key}.example"})
        session = pool.source("acme").session()

    The config file and `.env` are read once, when the pool is made. Safe for threads and after `fork`.

    Args:
        config: The config file, as for `resolve`.
        tenants: Returns the arguments of `resolve` for a tenant's key: `provider`, `environment` and settings. It may
            query a database; it is called when the tenant's source is made. Default: keys are environments.
        size: The number of sources that are kept. Beyond it, the least recently used one is closed, and made again when
            it is requested. Code that still holds the closed one can continue to use it.
        env_file: The `.env` file, as for `resolve`.
        observers: Observers of the logins of all its sources, beside those that are installed: instances.
        **settings: Settings for all sources; a tenant's own settings win.

    Raises:
        ConfigurationError: `size` is not a positive number, `tenants` not a function, an observer does not fit, or the
            config file cannot be used.
    """

    @secret_boundary
    def __init__(
        self,
        config: str | os.PathLike[str] | None = None,
        *,
        tenants: Callable[[str], Mapping[str, Any]] | None = None,
        size: int = DEFAULT_SIZE,
        env_file: str | os.PathLike[str] | None = None,
        observers: Iterable[object] = (),
        **settings: Any,
    ) -> None:
        _check(size, tenants)
        check_arguments(config=config, env_file=env_file)
        self._configuration = Configuration.load(config, env_file)
        self._observers = [named for _, named in given_observers(observers)]
        self._tenants = tenants
        self._size = size
        self._settings = settings
        self._resources = SharedResources()
        self._sources: OrderedDict[str, SessionSource] = OrderedDict()
        self._lock = threading.RLock()
        reset_after_fork(self)

    @secret_boundary
    def source(self, key: str) -> SessionSource:
        """The source for an environment or a tenant; made if there is none yet. Nothing is sent.

        Args:
            key: The environment's name, in any case, or the tenant's key.

        Raises:
            ConfigurationError: As for `resolve`; it names the key.
        """
        notice_fork()
        name = self._name(key)
        with self._lock:
            if (found := self._sources.get(name)) is not None:
                self._sources.move_to_end(name)
                return found
        source = self._make(key)  # outside of the lock: it may query a database for the tenant's settings
        evicted: list[SessionSource] = []
        with self._lock:
            found = self._sources.setdefault(name, source)
            self._sources.move_to_end(name)
            while len(self._sources) > self._size:
                evicted.append(self._sources.popitem(last=False)[1])
        for each in evicted:
            each.close()
        return found

    def discard(self, key: str) -> None:
        """Remove a source, so that the next one is made from the tenant's current settings.

        Args:
            key: As for `source`; an unknown key is ignored.
        """
        notice_fork()
        with self._lock:
            source = self._sources.pop(self._name(key), None)
        if source is not None:
            source.close()

    def close(self) -> None:
        """Close all sources and their connections. The pool stays usable."""
        notice_fork()
        with self._lock:
            sources, self._sources = list(self._sources.values()), OrderedDict()
        for source in sources:
            source.close()
        self._resources.stores.close_all()  # also of sources that were closed before, and used again
        self._resources.transports.close()

    def _name(self, key: str) -> str:
        """What a key is kept under: environments compare without regard to case, tenants as they are."""
        return key.casefold() if self._tenants is None and isinstance(key, str) else key

    def _make(self, key: str) -> SessionSource:
        tenant = {"environment": key} if self._tenants is None else self._tenants(key)
        if not isinstance(tenant, Mapping):
            raise ConfigurationError(
                f"No source for {key!r}: tenants() returned {type(tenant).__name__}, not a mapping."
            )
        wanted = {**self._settings, **tenant}
        arguments = {name: wanted.pop(name, None) for name in _ARGUMENTS}
        keywords = keyword_layer(wanted)
        found = inspect(**arguments, keywords=keywords, configuration=self._configuration, observers=self._observers)
        if found.spec is None:
            assert found.error is not None  # noqa: S101 - one or the other is there
            raise ConfigurationError.of(f"No source for {key!r}", found.error.problems) from found.error
        return SessionSource._of(redirected_spec(found.spec), self._resources)  # noqa: SLF001 - as in resolve

    def __len__(self) -> int:
        """The number of sources."""
        return len(self._sources)

    def __enter__(self) -> Self:
        """The pool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """The number of sources; nothing about them."""
        return f"SourcePool({len(self)} of {self._size} sources)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds secrets and connections."""
        raise TypeError("a SourcePool holds secrets and connections and is not pickled; make one in the worker")

    def _after_fork(self) -> None:
        """In the child, the thread that held the lock does not exist."""
        self._lock = threading.RLock()
