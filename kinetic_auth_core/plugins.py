"""The public names for authors of plugins: providers, key loaders, session stores and observers.

    from kinetic_auth_core.plugins import GrantAuthenticator, setting

A plugin imports only these names and those of `kinetic_auth_core`; its tests import `kinetic_auth_core.testing` as
well. This module re-exports and defines nothing itself; each name is loaded when it is first used. So a plugin imports
them at the top of its module, where no login is under way yet.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from kinetic_auth_core.registry.loading import (
        load_authenticator,
        load_key_loader,
        load_observer,
        load_session_store,
    )
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
    from kinetic_auth_core.stores.sealing import HOW_TO_MAKE_A_KEY, FernetSealer, PlainSealer, Sealer, keys_of
    from kinetic_auth_core.transport.connections import LoginTally, current_tally, http_get, tallied

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

#: Module of the core -> the names that it has.
_NAMES: dict[str, tuple[str, ...]] = {
    "concurrency": ("Once", "raise_interruption", "reset_after_fork"),
    "errors": (
        "AuthenticationError",
        "ConfigurationError",
        "CredentialsRejectedError",
        "InteractionRequiredError",
        "KeyLoadError",
        "KineticAuthError",
        "PrivateKeyNotFoundError",
        "ServiceUnavailableError",
        "SessionRejectedError",
        "StoreUnavailableError",
        "TransientAuthenticationError",
        "TransportError",
        "suggest",
    ),
    "keys.signer": ("LocalSigner", "read_certificate", "read_private_key"),
    "locations": ("Reference", "parse_reference", "url_problem"),
    "login.grant": ("ConnectionOptions", "GrantAuthenticator"),
    "oauth.error_codes": ("known_error",),
    "registry.hookspecs": (
        "CONTRACT_VERSION",
        "Authenticator",
        "KeyLoader",
        "LoginEvent",
        "LoginRequest",
        "ProviderState",
        "SessionObserver",
        "Signer",
        "hookimpl",
    ),
    "registry.loading": ("load_authenticator", "load_key_loader", "load_observer", "load_session_store"),
    "registry.validation": ("ValidatedMeta", "frozen"),
    "session": ("SalesforceSession",),
    "settings.fields": (
        "api_version_setting",
        "ca_bundle_setting",
        "check_seconds",
        "command_setting",
        "setting",
        "single_line",
    ),
    "settings.hosts": ("check_url", "login_url_setting", "url_setting"),
    "settings.schema": ("Setting", "schema"),
    "stores.base": ("SessionStore", "StoredValue"),
    "stores.sealing": ("HOW_TO_MAKE_A_KEY", "FernetSealer", "PlainSealer", "Sealer", "keys_of"),
    "transport.connections": ("LoginTally", "current_tally", "http_get", "tallied"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used."""
        module = next((module for module, names in _NAMES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"kinetic_auth_core.{module}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
