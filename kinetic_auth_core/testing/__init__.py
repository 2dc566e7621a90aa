"""For tests: `SalesforceEmulator`, a strict emulation of a Salesforce org, and the test suites for plugins.

Needs the extra `testing`. The emulator uses nothing else of `kinetic_auth_core`, so that a mistake in one is not
repeated in the other. The suites (`ProviderContract`, `KeyLoaderContract`, `SessionStoreContract`) use its public
names, as an application does.
"""

try:
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
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in {"cryptography", "jwt", "lark", "trustme", "werkzeug"}:
        raise
    raise ImportError(
        f'kinetic_auth_core.testing needs {error.name}: pip install "kinetic-auth-core[testing]"', name=error.name
    ) from error

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
