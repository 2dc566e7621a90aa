"""From a name and the deployment's config to a source: `resolve`."""

import os
from typing import Any

from kinetic_auth_core.config.merge import keyword_layer
from kinetic_auth_core.examination import examine
from kinetic_auth_core.sessions.source import SessionSource


def resolve(
    provider: str | None = None,
    /,
    *,
    environment: str | None = None,
    config: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> SessionSource:
    """Choose provider and settings, check them, and give the source of sessions. Nothing is sent; no key is read.

        source = kinetic_auth_core.resolve("jwt-bearer")
        source = kinetic_auth_core.resolve(environment="prod")

    Args:
        provider: The provider's entry-point name. Left out: the one that the environment names.
        environment: A table `[environments.<name>]` of the config file. Left out: `KINETIC_AUTH_ENVIRONMENT`, else
            `ENVIRONMENT` when there is a config file, else the file's `default_environment`.
        config: The config file. Left out: `KINETIC_AUTH_CONFIG`, else `kinetic-auth.toml` in the working directory or a
            parent, else `[tool.kinetic-auth]` of a `pyproject.toml` there, else the user's config folder.
        env_file: The `.env` file. Left out: the nearest in the working directory or a parent, if any.
        **settings: Settings of the provider; they win over everything else. None counts as not given.

    Returns:
        A source that has not logged in yet.

    Raises:
        UnknownProviderError: No such provider is installed.
        ProviderLoadError: It is installed, but does not import or does not fit the hookspec.
        ConfigurationError: Settings are missing, unknown, of the wrong type or contradictory; all of them are named.
    """
    keywords = keyword_layer(settings)
    del settings  # secrets: not among the locals of a traceback
    found = examine(provider, environment=environment, config=config, env_file=env_file, keywords=keywords)
    if found.plan is None:
        assert found.error is not None  # noqa: S101 - one or the other is there
        raise found.error
    return SessionSource._of(found.plan)  # noqa: SLF001 - the one other place that makes sources
