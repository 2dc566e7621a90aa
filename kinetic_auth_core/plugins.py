"""The public names for authors of plugins: providers, key loaders, session stores and observers.

    from kinetic_auth_core.plugins import GrantAuthenticator, setting

A plugin imports only these names and those of `kinetic_auth_core`; its tests import `kinetic_auth_core.testing` as
well. This module re-exports and defines nothing itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kinetic_auth_core.concurrency import Once, raise_interruption, reset_after_fork
from kinetic_auth_core.errors import (
    AuthenticationError,
    ConfigurationError,
    CredentialsRejectedError,
    InteractionRequiredError,
    KeyLoadError,
    KineticAuthError,
    PrivateKeyNotFoundError,
    ServiceUnavailableError,
    SessionRejectedError,
    StoreUnavailableError,
    TransientAuthenticationError,
    TransportError,
    suggest,
)
from kinetic_auth_core.keys.signer import LocalSigner, read_certificate, read_private_key
from kinetic_auth_core.locations import Reference, parse_reference, url_problem
from kinetic_auth_core.login.grant import ConnectionOptions, GrantAuthenticator
from kinetic_auth_core.oauth.error_codes import known_error
from kinetic_auth_core.registry.hookspecs import (
    CONTRACT_VERSION,
    Authenticator,
    KeyLoader,
    LoginEvent,
    LoginRequest,
    ProviderState,
    SessionObserver,
    Signer,
    hookimpl,
)
from kinetic_auth_core.registry.loading import load_authenticator, load_key_loader, load_observer, load_session_store
from kinetic_auth_core.registry.validation import ValidatedMeta, frozen
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.fields import (
    api_version_setting,
    ca_bundle_setting,
    check_seconds,
    command_setting,
    setting,
    single_line,
)
from kinetic_auth_core.settings.hosts import check_url, login_url_setting, url_setting
from kinetic_auth_core.settings.schema import Setting, schema
from kinetic_auth_core.stores.base import SessionStore, StoredValue
from kinetic_auth_core.transport.connections import LoginTally, current_tally, http_get, tallied

if TYPE_CHECKING:
    from kinetic_auth_core.stores.sealing import HOW_TO_MAKE_A_KEY, FernetSealer, PlainSealer, Sealer, keys_of

__all__ = [
    "CONTRACT_VERSION",
    "HOW_TO_MAKE_A_KEY",
    "AuthenticationError",
    "Authenticator",
    "ConfigurationError",
    "ConnectionOptions",
    "CredentialsRejectedError",
    "FernetSealer",
    "GrantAuthenticator",
    "InteractionRequiredError",
    "KeyLoadError",
    "KeyLoader",
    "KineticAuthError",
    "LocalSigner",
    "LoginEvent",
    "LoginRequest",
    "LoginTally",
    "Once",
    "PlainSealer",
    "PrivateKeyNotFoundError",
    "ProviderState",
    "Reference",
    "SalesforceSession",
    "Sealer",
    "ServiceUnavailableError",
    "SessionObserver",
    "SessionRejectedError",
    "SessionStore",
    "Setting",
    "Signer",
    "StoreUnavailableError",
    "StoredValue",
    "TransientAuthenticationError",
    "TransportError",
    "ValidatedMeta",
    "api_version_setting",
    "ca_bundle_setting",
    "check_seconds",
    "check_url",
    "command_setting",
    "current_tally",
    "frozen",
    "hookimpl",
    "http_get",
    "keys_of",
    "known_error",
    "load_authenticator",
    "load_key_loader",
    "load_observer",
    "load_session_store",
    "login_url_setting",
    "parse_reference",
    "raise_interruption",
    "read_certificate",
    "read_private_key",
    "reset_after_fork",
    "schema",
    "setting",
    "single_line",
    "suggest",
    "tallied",
    "url_problem",
    "url_setting",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load what stores seal values with when it is first used: no other plugin needs it."""
        if name in __all__:
            return getattr(import_module("kinetic_auth_core.stores.sealing"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
