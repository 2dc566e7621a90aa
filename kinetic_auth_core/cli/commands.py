"""The program `kinetic-auth`: its commands, each with its exit codes and examples. No command is imported here."""

import click

from kinetic_auth_core.cli.application import Application, Entry, Group
from kinetic_auth_core.cli.exit_codes import (
    CANNOT_RUN,
    EXPIRES_SOON,
    MEANINGS,
    NO_KEY,
    NO_SESSION,
    NOT_FOUND,
    REFUSED,
    TRY_LATER,
    UNFIT_CERTIFICATE,
    USAGE,
)
from kinetic_auth_core.cli.run import current_run

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

_CONFIG = (USAGE,)
_LOGIN = (USAGE, NO_KEY, REFUSED, TRY_LATER)
_KEY = (USAGE, NO_KEY)

_OF_CONFIG = (
    Entry(
        "show",
        "config_show:show",
        "Show what is set, and where it comes from.",
        _CONFIG,
        ("kinetic-auth config show", "kinetic-auth config show -e prod --all"),
    ),
    Entry(
        "check",
        "config_check:check",
        "Check every setting of an environment, or of all, without a request.",
        _CONFIG,
        ("kinetic-auth config check -e prod", "kinetic-auth config check --all-environments"),
    ),
)

_OF_CERT = (
    Entry(
        "new",
        "cert.commands:new",
        "Make a key and its certificate.",
        _KEY,
        (
            'kinetic-auth cert new --out keys --name "ACME integration"',
            "kinetic-auth cert new --p12",
            "kinetic-auth cert new --key kms://aws/alias/salesforce",
        ),
    ),
    Entry("show", "cert.commands:show", "Show a certificate.", _KEY, ("kinetic-auth cert show keys/server.crt",)),
    Entry(
        "check",
        "cert.commands:check",
        "Check a certificate and its key.",
        (*_KEY, EXPIRES_SOON, UNFIT_CERTIFICATE),
        ("kinetic-auth cert check --cert keys/server.crt --key keys/server.key --warn-days 14",),
    ),
)

_COMMANDS = (
    Entry(
        "init",
        "init:init",
        "Write a config file to begin with.",
        _CONFIG,
        (
            "kinetic-auth init",
            "kinetic-auth init --provider client-credentials --login-url https://acme.my.salesforce.com",
            "kinetic-auth init --provider jwt-bearer --set private_key=secret-manager://aws/prod#private_key",
        ),
    ),
    Entry(
        "doctor",
        "doctor.command:doctor",
        "Find out why a login fails, and what to do about it.",
        _LOGIN,
        (
            "kinetic-auth doctor -e prod",
            "kinetic-auth doctor -e prod --login",
            "kinetic-auth doctor jwt-bearer --set login_url=https://acme.my.salesforce.com --json",
        ),
    ),
    Entry(
        "login",
        "login:login",
        "Log in and keep the session in the store.",
        _LOGIN,
        (
            "kinetic-auth login",
            "kinetic-auth login -e prod --fresh",
            "kinetic-auth login jwt-bearer --set login_url=https://acme.my.salesforce.com",
        ),
    ),
    Entry(
        "token",
        "token:token",
        "Print the live access token.",
        _LOGIN,
        (
            "kinetic-auth token -e prod",
            'curl -H "$(kinetic-auth token -e prod --format header)" "$URL"',
            'eval "$(kinetic-auth token -e prod --format env)"',
        ),
    ),
    Entry(
        "exec",
        "exec:exec_command",
        "Run a command with the live session in its environment.",
        (*_LOGIN, CANNOT_RUN, NOT_FOUND),
        (
            "kinetic-auth exec -e prod -- python nightly.py",
            (
                "kinetic-auth exec -- sh -c "
                """'curl -H "Authorization: Bearer $SF_ACCESS_TOKEN" "$SF_INSTANCE_URL/services/data"'"""
            ),
        ),
    ),
    Entry(
        "status",
        "stored_session:status",
        "Show the stored session, and whether it is alive.",
        (USAGE, NO_KEY, TRY_LATER, NO_SESSION),
        ("kinetic-auth status", "kinetic-auth status -e prod --json"),
    ),
    Entry(
        "logout",
        "stored_session:logout",
        "Revoke the stored session and the refresh token.",
        (USAGE, NO_KEY, TRY_LATER),
        ("kinetic-auth logout", "kinetic-auth logout -e prod --shared", "kinetic-auth logout --local"),
    ),
    Entry(
        "environments",
        "environments:environments",
        "List the environments of the config file.",
        _CONFIG,
        ("kinetic-auth environments", "kinetic-auth environments --json"),
    ),
    Entry(
        "providers",
        "providers:providers",
        "List the providers, or the settings of one.",
        _CONFIG,
        ("kinetic-auth providers", "kinetic-auth providers jwt-bearer"),
    ),
    Entry(
        "plugins",
        "plugins:plugins",
        "List the plugins of all kinds, and whether they fit.",
        _CONFIG,
        ("kinetic-auth plugins", "kinetic-auth plugins acme-sso --json"),
    ),
    Entry(
        "new-plugin",
        "new_plugin:new_plugin",
        "Write a package for a plugin of your own.",
        _CONFIG,
        (
            "kinetic-auth new-plugin acme-sso --kind provider",
            "kinetic-auth new-plugin vault --kind key-loader --vendor acme --output acme-vault",
        ),
    ),
    Entry(
        "emulator",
        "emulator:emulator",
        "Emulate a Salesforce org on this machine, for tests.",
        _CONFIG,
        (
            (
                "kinetic-auth emulator --env-file .env &      # the file appears once the org answers\n"
                "until [ -s .env ]; do sleep 0.1; done\n"
                "kinetic-auth login password\n"
                "kill %1"
            ),
            "kinetic-auth emulator --port 8443 --tls",
        ),
    ),
    Entry(
        "completion",
        "completion:completion",
        "Print the script that completes this command in a shell.",
        _CONFIG,
        ('eval "$(kinetic-auth completion bash)"', "kinetic-auth completion fish | source"),
    ),
    Entry("demo", "demo:demo", "See it work: config, logins, REST calls, errors.", _CONFIG, ("kinetic-auth demo",)),
)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from kinetic_auth_core._published import VERSION
    from kinetic_auth_core.cli.output import emit, emit_json

    if current_run().as_json:
        emit_json({"version": VERSION})
    else:
        emit(f"kinetic-auth {VERSION}")
    ctx.exit()


_GROUPS = (
    Group(
        "config",
        _OF_CONFIG,
        help="Show and check the configuration.",
        examples=("kinetic-auth config show -e prod", "kinetic-auth config check --all-environments"),
    ),
    Group("cert", _OF_CERT, help="Make and check certificates.", examples=("kinetic-auth cert new --out keys",)),
)

cli = Application(
    "kinetic-auth",
    _COMMANDS,
    help="Salesforce logins from the command line: sessions for scripts, the configuration, an org for tests.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    commands=_GROUPS,
    examples=("kinetic-auth login -e prod", 'curl -H "$(kinetic-auth token -e prod --format header)" "$URL"'),
    hidden_options=False,
    params=[
        click.Option(
            ["-V", "--version"],
            is_flag=True,
            expose_value=False,
            callback=_print_version,
            help="Show the version.",
        )
    ],
)
