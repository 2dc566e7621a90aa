"""The stages of the doctor's examination, in the order of dependency."""

from kinetic_auth_core.cli.doctor.configuration import (
    check_api_version,
    check_files,
    check_plugins,
    check_provider,
    check_settings,
)
from kinetic_auth_core.cli.doctor.examination import Examination, Stage, examine
from kinetic_auth_core.cli.doctor.host import check_login_host
from kinetic_auth_core.cli.doctor.login import AFTER_LOGIN, check_login, check_session
from kinetic_auth_core.cli.doctor.machine import check_callback_port, check_command
from kinetic_auth_core.cli.doctor.network import CONNECTION, check_answer, check_clock, check_connection
from kinetic_auth_core.cli.doctor.secrets import check_certificate, check_key, check_secrets
from kinetic_auth_core.cli.doctor.store import check_pauses, check_store

__all__ = ["STAGES", "Examination", "examine"]

_CONFIGURED = (".env file", "config file", "environment", "provider", "settings")

STAGES = (
    Stage((".env file", "config file"), check_files),
    Stage(("environment", "provider"), check_provider, (".env file", "config file")),
    Stage(("plugins",), check_plugins, (".env file", "config file")),
    Stage(("settings",), check_settings, _CONFIGURED[:4]),
    Stage(("API version",), check_api_version, _CONFIGURED),
    Stage(("login host",), check_login_host, _CONFIGURED),
    Stage(("secrets",), check_secrets, _CONFIGURED),
    Stage(("certificate",), check_certificate, _CONFIGURED),
    Stage(("key",), check_key, (*_CONFIGURED, "secrets")),
    Stage(("command",), check_command, (*_CONFIGURED, "secrets")),
    Stage(("store",), check_store, _CONFIGURED),
    Stage(("pauses",), check_pauses, (*_CONFIGURED, "secrets", "store")),
    Stage((), check_callback_port, (*_CONFIGURED, "secrets", "pauses")),
    Stage(CONNECTION, check_connection, _CONFIGURED),
    Stage(("host",), check_answer, (*_CONFIGURED, *CONNECTION)),
    Stage(("clock",), check_clock, (*_CONFIGURED, *CONNECTION)),
    Stage(
        ("login", *AFTER_LOGIN),
        check_login,
        (*_CONFIGURED, "secrets", "key", "command", "pauses", "refresh token", "callback port", *CONNECTION),
    ),
    Stage((), check_session),
)
