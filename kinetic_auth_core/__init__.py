"""kinetic-auth: pluggable Salesforce authentication.

    import kinetic_auth_core as kinetic

    source = kinetic.resolve("jwt-bearer")     # or kinetic.resolve(environment="prod")
    session = source.session()                 # logged in once, shared by all threads

This module re-exports the public names and defines nothing itself; each is loaded when it is first used.
`__version__` is the version of its package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinetic_auth_core.concurrency import Once
    from kinetic_auth_core.errors import (
        AuthenticationError,
        ConfigurationError,
        CredentialsRejectedError,
        InteractionRequiredError,
        KeyLoadError,
        KineticAuthError,
        LoginBudgetError,
        PrivateKeyNotFoundError,
        ProviderLoadError,
        RateLimitedError,
        ServiceUnavailableError,
        SessionRejectedError,
        StoreUnavailableError,
        TransientAuthenticationError,
        TransportError,
        UnknownProviderError,
    )
    from kinetic_auth_core.locations import Reference
    from kinetic_auth_core.login.grant import GrantAuthenticator
    from kinetic_auth_core.logs import configure_logging
    from kinetic_auth_core.registry.hookspecs import CONTRACT_VERSION, LoginEvent, LoginRequest, Signer, hookimpl
    from kinetic_auth_core.resolution.resolver import resolve
    from kinetic_auth_core.resolution.source_pool import SourcePool
    from kinetic_auth_core.session import Introspection, SalesforceSession
    from kinetic_auth_core.sessions.source import SessionSource
    from kinetic_auth_core.settings.fields import setting, single_line
    from kinetic_auth_core.settings.hosts import login_url_setting, url_setting
    from kinetic_auth_core.settings.schema import ExplainedSetting
    from kinetic_auth_core.stores.base import MemoryStore, SessionStore, StoredValue
    from kinetic_auth_core.stores.file import FileStore
    from kinetic_auth_core.transport.connections import current_tally

    # kinetic-core's two names; where the provider is not installed, a type checker takes them for Any.
    from kinetic_auth_jwt_bearer import JWTAuthenticator as JWTAuthenticator
    from kinetic_auth_password import OAuthAuthenticator as OAuthAuthenticator

    __version__: str

__all__ = [
    "CONTRACT_VERSION",
    "AuthenticationError",
    "ConfigurationError",
    "CredentialsRejectedError",
    "ExplainedSetting",
    "FileStore",
    "GrantAuthenticator",
    "InteractionRequiredError",
    "Introspection",
    "KeyLoadError",
    "KineticAuthError",
    "LoginBudgetError",
    "LoginEvent",
    "LoginRequest",
    "MemoryStore",
    "Once",
    "PrivateKeyNotFoundError",
    "ProviderLoadError",
    "RateLimitedError",
    "Reference",
    "SalesforceSession",
    "ServiceUnavailableError",
    "SessionRejectedError",
    "SessionSource",
    "SessionStore",
    "Signer",
    "SourcePool",
    "StoreUnavailableError",
    "StoredValue",
    "TransientAuthenticationError",
    "TransportError",
    "UnknownProviderError",
    "configure_logging",
    "current_tally",
    "hookimpl",
    "login_url_setting",
    "resolve",
    "setting",
    "single_line",
    "url_setting",
]

# The module of each public name (PEP 562).
_MODULES = {
    "Once": "concurrency",
    "AuthenticationError": "errors",
    "ConfigurationError": "errors",
    "CredentialsRejectedError": "errors",
    "InteractionRequiredError": "errors",
    "KeyLoadError": "errors",
    "KineticAuthError": "errors",
    "LoginBudgetError": "errors",
    "PrivateKeyNotFoundError": "errors",
    "ProviderLoadError": "errors",
    "RateLimitedError": "errors",
    "ServiceUnavailableError": "errors",
    "SessionRejectedError": "errors",
    "StoreUnavailableError": "errors",
    "TransientAuthenticationError": "errors",
    "TransportError": "errors",
    "UnknownProviderError": "errors",
    "LoginEvent": "registry.hookspecs",
    "LoginRequest": "registry.hookspecs",
    "current_tally": "transport.connections",
    "GrantAuthenticator": "login.grant",
    "configure_logging": "logs",
    "CONTRACT_VERSION": "registry.hookspecs",
    "Signer": "registry.hookspecs",
    "hookimpl": "registry.hookspecs",
    "Reference": "locations",
    "resolve": "resolution.resolver",
    "SourcePool": "resolution.source_pool",
    "Introspection": "session",
    "SalesforceSession": "session",
    "SessionSource": "sessions.source",
    "ExplainedSetting": "settings.schema",
    "setting": "settings.fields",
    "login_url_setting": "settings.hosts",
    "single_line": "settings.fields",
    "url_setting": "settings.hosts",
    "SessionStore": "stores.base",
    "StoredValue": "stores.base",
    "FileStore": "stores.file",
    "MemoryStore": "stores.base",
}
# kinetic-core's two names, for code that only changes its import. Not in __all__: a provider need not be installed.
_KINETIC_CORE_NAMES = {"JWTAuthenticator": "jwt-bearer", "OAuthAuthenticator": "password"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used; kinetic-core's through the registry."""
        if name in _MODULES:
            value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        elif name == "__version__":
            value = import_module(f"{__name__}._published").VERSION
        elif name in _KINETIC_CORE_NAMES:
            return _provider_class(name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _provider_class(name: str) -> Any:
    from kinetic_auth_core.errors import ProviderNotInstalledError, UnknownProviderError
    from kinetic_auth_core.registry.loading import load_authenticator

    try:
        return load_authenticator(_KINETIC_CORE_NAMES[name])[1]
    except UnknownProviderError as error:
        raise ProviderNotInstalledError(f"{name}: {error.message}", remedy=error.remedy) from error
