"""The pytest fixtures, for a `conftest.py` that names them; pytest finds them without it as well."""

from kinetic_auth_core.pytest_plugin import (
    leaked_secrets,
    no_ambient_settings,
    salesforce_clock,
    salesforce_emulator,
    salesforce_login,
)

__all__ = ["leaked_secrets", "no_ambient_settings", "salesforce_clock", "salesforce_emulator", "salesforce_login"]
