"""The public names: fixed, so that none is added or removed by accident."""

from types import ModuleType

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import plugins

PUBLIC = [
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

FOR_PLUGINS = [
    "AuthenticationError",
    "Authenticator",
    "ConfigurationError",
    "CredentialsRejectedError",
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
    "PrivateKeyNotFoundError",
    "Reference",
    "SalesforceSession",
    "ServiceUnavailableError",
    "SessionObserver",
    "SessionRejectedError",
    "SessionStore",
    "Setting",
    "Signer",
    "StoredValue",
    "TransientAuthenticationError",
    "TransportError",
    "ValidatedMeta",
    "check_seconds",
    "check_url",
    "current_tally",
    "hookimpl",
    "known_error",
    "load_authenticator",
    "load_key_loader",
    "load_observer",
    "load_session_store",
    "login_url_setting",
    "parse_reference",
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


def test_the_public_names_are_these() -> None:
    assert kinetic.__all__ == PUBLIC
    assert plugins.__all__ == FOR_PLUGINS


@pytest.mark.parametrize("module", [kinetic, plugins], ids=["kinetic_auth_core", "plugins"])
def test_all_public_names_exist(module: ModuleType) -> None:
    for name in module.__all__:
        assert getattr(module, name) is not None
