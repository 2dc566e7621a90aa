"""The public names: fixed, so that none is added or removed by accident."""

import importlib.metadata
import itertools
import subprocess
import sys
from types import ModuleType

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import plugins

PUBLIC = [
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

FOR_PLUGINS = [
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


def test_the_versions_are_there() -> None:
    assert kinetic.CONTRACT_VERSION == plugins.CONTRACT_VERSION == 2
    assert kinetic.__version__ == importlib.metadata.version("kinetic-auth-core")
    with pytest.raises(AttributeError, match="no attribute '__nothing__'"):
        getattr(kinetic, "__nothing__")  # noqa: B009 - mypy knows that it is not there


def test_the_public_names_match_the_list() -> None:
    assert kinetic.__all__ == PUBLIC
    assert plugins.__all__ == FOR_PLUGINS
    assert sorted(kinetic._MODULES, key=str.casefold) == sorted(PUBLIC, key=str.casefold)
    assert sorted(itertools.chain(*plugins._NAMES.values())) == sorted(FOR_PLUGINS)


@pytest.mark.usefixtures("full_tier")
def test_importing_the_package_loads_none_of_its_modules() -> None:
    code = "import sys, kinetic_auth_core; print([x for x in sys.modules if x.startswith('kinetic_auth_core.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_public_name_is_loaded_once_and_listed() -> None:
    assert kinetic.SalesforceSession is plugins.SalesforceSession
    assert "SalesforceSession" in vars(kinetic)
    assert {"resolve", "__version__", "FileStore"} <= {*dir(kinetic), "__version__"}


@pytest.mark.parametrize("module", [kinetic, plugins], ids=["kinetic_auth_core", "plugins"])
def test_all_public_names_exist(module: ModuleType) -> None:
    for name in module.__all__:
        assert getattr(module, name) is not None
