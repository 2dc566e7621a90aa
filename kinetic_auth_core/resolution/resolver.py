"""From arguments and configuration to sources: `resolve` gives one, `SourcePool` many, which share connections."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self

import attrs

from kinetic_auth_core.concurrency import notice_fork, reset_after_fork
from kinetic_auth_core.config.configuration import Configuration
from kinetic_auth_core.config.merge import keyword_layer
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.spec import LoginSpec, SharedResources, spec_for
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.registry.hookspecs import LoginRequest
from kinetic_auth_core.registry.loading import Observers, given_observers
from kinetic_auth_core.resolution.inspection import check_arguments, inspect
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.settings.fields import setting
from kinetic_auth_core.transport import connections
from kinetic_auth_core.transport.connections import Redirection


@secret_boundary
def resolve(
    provider: str | None = None,
    /,
    *,
    environment: str | None = None,
    config: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    observers: Iterable[object] = (),
    **settings: Any,
) -> SessionSource:
    """Choose provider and settings, check them, and return the source of sessions. Nothing is sent; no key is read.

        source = kinetic_auth_core.resolve("jwt-bearer")
        source = kinetic_auth_core.resolve(environment="prod")

    Args:
        provider: The provider's entry-point name; `<distribution>:<name>` where two distributions claim the name.
            Default: the one that the environment names.
        environment: A table `[environments.<name>]` of the config file. Default: `KINETIC_AUTH_ENVIRONMENT`, else
            `ENVIRONMENT` if there is a config file, else the file's `default_environment`.
        config: The config file. Default: `KINETIC_AUTH_CONFIG`, else `kinetic-auth.toml` in the working directory or a
            parent, else `[tool.kinetic-auth]` of a `pyproject.toml` there, else the user's config folder.
        env_file: The `.env` file. Default: the nearest in the working directory or a parent, if any.
        observers: Observers of its logins, beside those that are installed: instances.
        **settings: Settings of the provider, of the source and `store`; they win over everything else. None counts as
            not given.

    Returns:
        A source that has not logged in yet.

    Raises:
        UnknownProviderError: The provider is not installed.
        ProviderLoadError: It is installed, but does not import or does not fit the hookspec.
        ConfigurationError: Settings are missing, unknown, of the wrong type or contradictory, or observers that the
            config file requires cannot be loaded; all of them are named.
    """
    keywords = keyword_layer(settings)
    found = inspect(
        provider,
        environment=environment,
        config=config,
        env_file=env_file,
        keywords=keywords,
        observers=observers,
    )
    if found.spec is None:
        assert found.error is not None  # noqa: S101 - one or the other is there
        raise found.error
    return SessionSource._of(redirected_spec(found.spec))  # noqa: SLF001 - the one other place that makes sources


@attrs.frozen
class EmulatorLogin(GrantAuthenticator):
    """Logs in at an emulator, instead of a provider that starts a program or a browser, or is not known to it."""

    client_id: str = setting(help="Consumer Key of the emulator's app.")
    client_secret: str = setting(help="Consumer Secret of the emulator's app.", secret=True)

    def grant(self, _request: LoginRequest) -> Mapping[str, str]:
        """The fields of the client credentials grant."""
        fields = {"client_id": self.client_id, "client_secret": self.client_secret}
        return {"grant_type": "client_credentials", **fields}


def redirected_spec(spec: LoginSpec) -> LoginSpec:
    """The spec to log in with: the one that was configured, or while logins are redirected, one for the emulator.

    That one has the emulator's credentials and keeps its session in memory. Of what was configured it has the name of
    the provider and its kind of login where the emulator has credentials for it, the API version, the observers that
    the application gave, and the options of the source but those that would refuse the emulator's org.

    Args:
        spec: What was configured.
    """
    target = connections.current_redirection()
    if target is None:
        return spec
    options = attrs.evolve(spec.options, expected_org_id=None, allowed_instance_hosts=None)
    replaced = spec_for(_authenticator(target, spec), options)
    return attrs.evolve(
        replaced,
        provider=spec.provider,
        environment=spec.environment,
        rows=tuple(attrs.evolve(row, source="redirect_logins") for row in replaced.rows),
        observers=Observers(given=spec.observers.given),
        allowed=spec.allowed,  # whose tables name the observers to leave out
    )


def _authenticator(target: Redirection, spec: LoginSpec) -> object:
    version = spec.displayed("api_version")
    more: dict[str, Any] = {} if version is None else {"api_version": version}
    cls = spec.cls
    is_own = cls is not None and cls.__module__.startswith("kinetic_auth_") and not spec.is_single_use
    if cls is not None and is_own:
        try:
            return cls(**target.settings(spec.provider), **more)
        except ValueError:  # the emulator has no credentials for this provider
            pass
    return EmulatorLogin(**target.settings("client-credentials"), **more)


#: The number of sources that a pool keeps by default.
DEFAULT_SIZE = 1000

_ARGUMENTS = ("provider", "environment")


def _check_size(size: Any) -> None:
    if type(size) is not int or size < 1:
        raise ConfigurationError("size: must be a number of sources, 1 or more")


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
        ConfigurationError: `size` is not a positive number, an observer does not fit, or the config file cannot be
            used.
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
        _check_size(size)
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
            key: The environment's name, or the tenant's key.

        Raises:
            ConfigurationError: As for `resolve`; it names the key.
        """
        notice_fork()
        with self._lock:
            if (found := self._sources.get(key)) is not None:
                self._sources.move_to_end(key)
                return found
        source = self._make(key)  # outside of the lock: it may query a database for the tenant's settings
        evicted: list[SessionSource] = []
        with self._lock:
            found = self._sources.setdefault(key, source)
            self._sources.move_to_end(key)
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
            source = self._sources.pop(key, None)
        if source is not None:
            source.close()

    def close(self) -> None:
        """Close all sources and their connections. The pool stays usable."""
        notice_fork()
        with self._lock:
            sources, self._sources = list(self._sources.values()), OrderedDict()
        for source in sources:
            source.close()
        self._resources.transports.close()

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
