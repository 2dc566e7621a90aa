"""From arguments and configuration to a source; while tests redirect logins, to one that logs in at the emulator."""

import functools
import os
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from kinetic_auth_core.config.merge import keyword_layer
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.spec import LoginSpec, spec_for
from kinetic_auth_core.redaction import secret_boundary
from kinetic_auth_core.registry.hookspecs import LoginRequest
from kinetic_auth_core.registry.loading import Observers
from kinetic_auth_core.resolution.inspection import inspect
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


@functools.cache  # made where logins are redirected only: it takes a millisecond of every start otherwise
def _emulator_login() -> type:
    """Logs in at an emulator, instead of a provider that starts a program or a browser, or is not known to it."""

    @attrs.frozen
    class EmulatorLogin(GrantAuthenticator):
        client_id: str = setting(help="Consumer Key of the emulator's app.")
        client_secret: str = setting(help="Consumer Secret of the emulator's app.", secret=True)

        def grant(self, _request: LoginRequest) -> Mapping[str, str]:
            fields = {"client_id": self.client_id, "client_secret": self.client_secret}
            return {"grant_type": "client_credentials", **fields}

    return EmulatorLogin


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
    return _emulator_login()(**target.settings("client-credentials"), **more)
