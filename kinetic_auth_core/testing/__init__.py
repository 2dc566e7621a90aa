"""For tests: `SalesforceEmulator`, a strict emulation of a Salesforce org, and the test suites for plugins.

Needs the extra `testing`. The emulator uses nothing else of `kinetic_auth_core`, so that a mistake in one is not
repeated in the other. The suites (`ProviderContract`, `KeyLoaderContract`, `SessionStoreContract`) use its public
names, as an application does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinetic_auth_core.testing.contracts.key_loader import KeyLoaderContract
    from kinetic_auth_core.testing.contracts.provider import ProviderContract
    from kinetic_auth_core.testing.contracts.store import SessionStoreContract
    from kinetic_auth_core.testing.emulator.default_login import DefaultLogin
    from kinetic_auth_core.testing.emulator.emulator import SalesforceEmulator
    from kinetic_auth_core.testing.emulator.exchange import TokenHandler
    from kinetic_auth_core.testing.emulator.faults import (
        Alter,
        Answer,
        Delay,
        Dribble,
        Fault,
        Html,
        Huge,
        NotJson,
        Raw,
        Redirect,
        Reset,
        Status,
        Truncated,
    )
    from kinetic_auth_core.testing.emulator.identity_provider import IdentityProvider
    from kinetic_auth_core.testing.emulator.keys import KeyPair, new_key_pair
    from kinetic_auth_core.testing.emulator.models import FLOWS, App, LoginRecord, Policy, RequestRecord, User
    from kinetic_auth_core.testing.emulator.oauth_errors import ERROR_ROWS
    from kinetic_auth_core.testing.emulator.tls import TlsProfile
    from kinetic_auth_core.testing.redirect import redirect_logins

__all__ = [
    "ERROR_ROWS",
    "FLOWS",
    "Alter",
    "Answer",
    "App",
    "DefaultLogin",
    "Delay",
    "Dribble",
    "Fault",
    "Html",
    "Huge",
    "IdentityProvider",
    "KeyLoaderContract",
    "KeyPair",
    "LoginRecord",
    "NotJson",
    "Policy",
    "ProviderContract",
    "Raw",
    "Redirect",
    "RequestRecord",
    "Reset",
    "SalesforceEmulator",
    "SessionStoreContract",
    "Status",
    "TlsProfile",
    "TokenHandler",
    "Truncated",
    "User",
    "new_key_pair",
    "redirect_logins",
]

# Loaded at first use: pytest imports this package for its fixtures, also where the extra is not installed.
_MODULES = {
    "KeyLoaderContract": "contracts.key_loader",
    "ProviderContract": "contracts.provider",
    "SessionStoreContract": "contracts.store",
    "DefaultLogin": "emulator.default_login",
    "SalesforceEmulator": "emulator.emulator",
    "TokenHandler": "emulator.exchange",
    "Alter": "emulator.faults",
    "Answer": "emulator.faults",
    "Delay": "emulator.faults",
    "Dribble": "emulator.faults",
    "Fault": "emulator.faults",
    "Html": "emulator.faults",
    "Huge": "emulator.faults",
    "NotJson": "emulator.faults",
    "Raw": "emulator.faults",
    "Redirect": "emulator.faults",
    "Reset": "emulator.faults",
    "Status": "emulator.faults",
    "Truncated": "emulator.faults",
    "IdentityProvider": "emulator.identity_provider",
    "KeyPair": "emulator.keys",
    "new_key_pair": "emulator.keys",
    "FLOWS": "emulator.models",
    "App": "emulator.models",
    "LoginRecord": "emulator.models",
    "Policy": "emulator.models",
    "RequestRecord": "emulator.models",
    "User": "emulator.models",
    "ERROR_ROWS": "emulator.oauth_errors",
    "TlsProfile": "emulator.tls",
    "redirect_logins": "redirect",
}
_EXTRA = {"cryptography", "jwt", "lark", "trustme", "werkzeug"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _EXTRA:
                raise
            raise ImportError(
                f'kinetic_auth_core.testing needs {error.name}: pip install "kinetic-auth-core[testing]"',
                name=error.name,
            ) from error
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
