"""kinetic-auth: pluggable Salesforce authentication.

    import kinetic_auth_core as kinetic

    source = kinetic.resolve("jwt-bearer")     # or kinetic.resolve(environment="prod")
    session = source.session()                 # logged in once, shared by all threads

This module re-exports the public names and defines nothing itself. `__version__` is the version of its package.
"""

from typing import TYPE_CHECKING, Any

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
    TransientAuthenticationError,
    TransportError,
    UnknownProviderError,
)
from kinetic_auth_core.events import LoginEvent, LoginRequest, current_tally
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.logs import configure_logging
from kinetic_auth_core.registry.discovery import installed_version
from kinetic_auth_core.registry.hookspecs import CONTRACT_VERSION, Signer, hookimpl
from kinetic_auth_core.registry.references import Reference
from kinetic_auth_core.resolution.resolver import resolve
from kinetic_auth_core.resolution.source_pool import SourcePool
from kinetic_auth_core.session import Introspection, SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.settings.schema import ExplainedSetting, setting
from kinetic_auth_core.settings.validators import login_url_setting, single_line, url_setting
from kinetic_auth_core.stores.base import SessionStore, StoredValue
from kinetic_auth_core.stores.file import FileStore
from kinetic_auth_core.stores.memory import MemoryStore

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

# kinetic-core's two names, for code that only changes its import. Not in __all__: a provider need not be installed.
_KINETIC_CORE_NAMES = {"JWTAuthenticator": "jwt-bearer", "OAuthAuthenticator": "password"}

if TYPE_CHECKING:
    JWTAuthenticator: Any
    OAuthAuthenticator: Any
    __version__: str
else:

    def __getattr__(name: str) -> Any:
        """Load kinetic-core's names through the registry, and read the version, when they are asked for."""
        if name == "__version__":
            return installed_version()
        if name not in _KINETIC_CORE_NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from kinetic_auth_core.errors import ProviderNotInstalledError
        from kinetic_auth_core.registry.loading import load_authenticator

        try:
            return load_authenticator(_KINETIC_CORE_NAMES[name])[1]
        except UnknownProviderError as error:
            raise ProviderNotInstalledError(f"{name}: {error.message}", remedy=error.remedy) from error
