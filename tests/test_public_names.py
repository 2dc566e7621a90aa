"""The public names: pinned, so that none comes or goes by accident."""

import kinetic_auth_core as kinetic

PUBLIC = [
    "AuthenticationError",
    "ConfigurationError",
    "CredentialsRejectedError",
    "ExplainedSetting",
    "FileStore",
    "GrantAuthenticator",
    "Introspection",
    "KeyLoadError",
    "KineticAuthError",
    "LoginBudgetError",
    "LoginEvent",
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


def test_the_public_names_are_these() -> None:
    assert kinetic.__all__ == PUBLIC


def test_they_are_sorted_and_all_there() -> None:
    assert sorted(kinetic.__all__) == kinetic.__all__
    for name in kinetic.__all__:
        assert getattr(kinetic, name) is not None
