"""Faults of files, environments, plugins and settings."""

import importlib
import sys

from doctor_rows.row import Bench, Row, variable

_CONFIG = """
[environments.prod]
provider = "jwt-bearer"
[environments.test]
provider = "jwt-bearer"
"""


def misspelt_environment(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", _CONFIG)
    bench.args[:] = ["-e", "prdo"]


def misspelt_environment_of_variables(bench: Bench) -> None:
    bench.env |= {f"PROD_{name}": bench.env.pop(name) for name in list(bench.env) if name.startswith("SF_")}
    bench.args += ["-e", "prdo"]


def passed_over(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", f'{_CONFIG}[defaults]\nusername = "{bench.sf.default.username}"\n')
    bench.env["SF_USERNAME"] = "other@acme.example"
    bench.args[:] = ["-e", "prod"]


def passed_over_and_refused(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", f'{_CONFIG}[defaults]\nusername = "other@acme.example"\n')
    bench.args[:] = ["-e", "prod"]


def two_files(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", _CONFIG)
    bench.write("pyproject.toml", '[tool.kinetic-auth.environments.prod]\nprovider = "password"\n')
    bench.args[:] = ["-e", "prod"]


def open_env_file(bench: Bench) -> None:
    bench.write(".env", "SF_USERNAME=ada@acme.example\n", 0o666)


def open_config(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", _CONFIG, 0o666)
    bench.args[:] = ["-e", "prod"]


def broken_config(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", "[environments.prod\n")


def unset_variable(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", f'{_CONFIG}client_id = "${{CONSUMER_KEY}}"\n')
    bench.args[:] = ["-e", "test"]


def unknown_setting(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", f'{_CONFIG}consumer_key = "abc"\n')
    bench.args[:] = ["-e", "test"]


def not_allowed(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", f'allowed_plugins = ["kinetic-auth-password"]\n{_CONFIG}')
    bench.args[:] = ["-e", "prod"]


def foreign_host_in_a_found_file(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", f'{_CONFIG}login_url = "https://login.attacker.example"\n')
    bench.unset("SF_LOGIN_URL")
    bench.args[:] = ["-e", "test"]


def both_keys(bench: Bench) -> None:
    bench.env["SF_PRIVATE_KEY"] = bench.sf.default.private_key_pem


def missing(bench: Bench) -> None:
    bench.unset("SF_CLIENT_ID")


def misspelt_variable(bench: Bench) -> None:
    bench.env["SF_USERNMAE"] = bench.env.pop("SF_USERNAME")


def misspelt_prefix(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", _CONFIG)
    bench.env["PRDO_SF_CLIENT_ID"] = bench.env.pop("SF_CLIENT_ID")
    bench.args[:] = ["prod"]


def other_case(bench: Bench) -> None:
    bench.env["sf_username"] = bench.env.pop("SF_USERNAME")


def unquoted_text(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", "[environments.prod]\nprovider = jwt-bearer\n")
    bench.args[:] = ["prod"]


def misspelt_host_in_a_found_file(bench: Bench) -> None:
    bench.write("kinetic-auth.toml", f'{_CONFIG}login_url = "https://login.saleforce.com"\n')
    bench.unset("SF_LOGIN_URL")
    bench.args[:] = ["test"]


def broken_line(bench: Bench) -> None:
    bench.write(".env", "SF_API_VERSION : 62.0\n")


def misspelt_group(bench: Bench) -> None:
    """A package whose provider stands in a group that nobody reads."""
    info = bench.folder / "site" / "acme_sso-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sso\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[kinetic_auth.authenticator]\nacme-sso = acme_sso:Sso\n")
    sys.path.insert(0, str(info.parent))
    bench.stack.callback(sys.path.remove, str(info.parent))
    importlib.invalidate_caches()
    bench.args[:] = ["acme-sso"]


def sf_command(bench: Bench) -> None:
    bench.args[:] = ["sf-cli"]
    bench.env["SF_COMMAND"] = "no-such-sf"


ROWS = [
    Row("configuration", "the environment is misspelt", misspelt_environment, "environment", "'prdo'"),
    Row(
        "configuration",
        "the environment of the variables is misspelt",
        misspelt_environment_of_variables,
        "environment",
        "did you mean 'PROD'?",
    ),
    Row("configuration", "the config file is not TOML", broken_config, "config file", "kinetic-auth.toml"),
    Row(
        "configuration",
        "the config file that is named does not exist",
        variable("KINETIC_AUTH_CONFIG", "/nowhere/kinetic-auth.toml"),
        "config file",
        "/nowhere/kinetic-auth.toml",
    ),
    Row("configuration", "no provider is named", lambda bench: bench.args.clear(), "provider", "no provider was named"),
    Row("configuration", "others can write the config file", open_config, "config file", "chmod"),
    Row("configuration", "others can write the .env file", open_env_file, ".env file", "chmod"),
    Row("configuration", "two config files", two_files, "config file", "pyproject.toml", code=0),
    Row("configuration", "a variable is set and passed over", passed_over, "settings", "SF_USERNAME", "username", 0),
    Row(
        "configuration",
        "a variable is passed over, and what counts is refused",
        passed_over_and_refused,
        "login",
        "SF_USERNAME",
        "username",
        4,
        logs_in=True,
    ),
    Row("configuration", "a variable of the file is not set", unset_variable, "settings", "CONSUMER_KEY", "client_id"),
    Row(
        "configuration",
        "a setting is called otherwise",
        unknown_setting,
        "settings",
        "did you mean 'client_id'?",
        "consumer_key",
    ),
    Row("configuration", "a setting is missing", missing, "settings", "SF_CLIENT_ID", "client_id"),
    Row("configuration", "a variable is misspelt", misspelt_variable, "settings", "SF_USERNMAE"),
    Row("configuration", "the prefix of a variable is misspelt", misspelt_prefix, "settings", "PRDO_SF_", "client_id"),
    Row("configuration", "a variable in lower case", other_case, "settings", "sf_username is set", "username"),
    Row("configuration", "a line of .env is not NAME=value", broken_line, ".env file", "NAME=value", code=0),
    Row("configuration", "text without quotes in the config file", unquoted_text, "config file", "Correct line 2"),
    Row(
        "configuration",
        "a secret on the command line",
        lambda bench: bench.args.extend(["--set", "passphrase=abc"]),
        "settings",
        "SF_PASSPHRASE",
        "passphrase",
    ),
    Row(
        "configuration",
        "a misspelt host in a found file",
        misspelt_host_in_a_found_file,
        "settings",
        "Set login_url to https://login.salesforce.com",
        "login_url",
    ),
    Row(
        "configuration",
        "the username has no @",
        variable("SF_USERNAME", "ada"),
        "settings",
        "form of an email address",
        "username",
    ),
    Row("configuration", "key and path of a key", both_keys, "settings", "exclude each other", "private_key"),
    Row(
        "configuration",
        "a found file sends secrets to a foreign host",
        foreign_host_in_a_found_file,
        "settings",
        "found by searching",
        "login_url",
    ),
    Row(
        "configuration",
        "the username ends in a blank",
        variable("SF_USERNAME", "ada@acme.example "),
        "settings",
        "blank",
        "username",
    ),
    Row(
        "plugin",
        "the provider is misspelt",
        lambda bench: bench.args.__setitem__(0, "jwt-baerer"),
        "provider",
        "jwt-bearer",
    ),
    Row(
        "plugin",
        "nobody has such a provider",
        lambda bench: bench.args.__setitem__(0, "kerberos"),
        "provider",
        "install the package",
    ),
    Row("plugin", "its package misspells the group", misspelt_group, "provider", "did you mean kinetic_auth."),
    Row("plugin", "allowed_plugins leaves it out", not_allowed, "provider", "allowed_plugins"),
    Row("plugin", "the command sf is not installed", sf_command, "command", "no-such-sf", "command"),
    Row(
        "plugin",
        "the package of the store is not installed",
        variable("SF_STORE", "dynamo"),
        "settings",
        "'dynamo'",
        "store",
    ),
    Row(
        "API version",
        "the API version is retired",
        variable("SF_API_VERSION", "v30.0"),
        "API version",
        "retired",
        "api_version",
    ),
    Row(
        "API version",
        "the API version ends soon",
        variable("SF_API_VERSION", "v35.0"),
        "API version",
        "Summer '28",
        "api_version",
        0,
    ),
    Row(
        "API version",
        "the instance has no such API version",
        variable("SF_API_VERSION", "v99.0"),
        "REST API",
        "v99.0",
        "api_version",
        logs_in=True,
    ),
]
