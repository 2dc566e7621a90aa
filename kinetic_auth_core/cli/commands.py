"""The program `kinetic-auth`: all commands."""

import click

from kinetic_auth_core.cli.application import Application, Group
from kinetic_auth_core.cli.cert import commands as certificates
from kinetic_auth_core.cli.config_show import show
from kinetic_auth_core.cli.demo import demo
from kinetic_auth_core.cli.doctor.command import doctor
from kinetic_auth_core.cli.emulator import emulator
from kinetic_auth_core.cli.exec import exec_command
from kinetic_auth_core.cli.exit_codes import MEANINGS
from kinetic_auth_core.cli.login import login
from kinetic_auth_core.cli.new_plugin import new_plugin
from kinetic_auth_core.cli.plugins import plugins
from kinetic_auth_core.cli.providers import providers
from kinetic_auth_core.cli.stored_session import logout, status
from kinetic_auth_core.cli.token import token

_EPILOG = "\n".join(
    [
        "\b",
        "Exit codes:",
        *(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items()),
        "",
        "\b",
        "Variables: LOG_LEVEL and LOG_DIR for the log, SF_API_VERSION, NO_COLOR.",
        "Results go to stdout, everything else to stderr.",
    ]
)

config = Group("config", help="Show the configuration.", commands=[show])

cert = Group(
    "cert", help="Make and check certificates.", commands=[certificates.new, certificates.show, certificates.check]
)

cli = Application(
    "kinetic-auth",
    help="Salesforce logins from the command line: sessions for scripts, the configuration, an org for tests.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    commands=[
        doctor,
        providers,
        plugins,
        new_plugin,
        config,
        login,
        token,
        exec_command,
        status,
        logout,
        cert,
        emulator,
        demo,
    ],
)
click.version_option(package_name="kinetic-auth-core", prog_name="kinetic-auth", message="%(prog)s %(version)s")(cli)
