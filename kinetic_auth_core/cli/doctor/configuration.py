"""Checks of files, environment, provider, plugins and settings: what `resolve` reads, asked in its order."""

import re

from kinetic_auth_core.cli.doctor.examination import Examination
from kinetic_auth_core.cli.doctor.log_warnings import warn_of, warnings_captured
from kinetic_auth_core.cli.exit_codes import OK, USAGE
from kinetic_auth_core.cli.plugins import KINDS, NOT_WANTED, examined
from kinetic_auth_core.cli.source import OWN_STORE, inspect_choice, refuse_secrets
from kinetic_auth_core.config.environment import Configuration, Variables, quoted_values
from kinetic_auth_core.config.files import config_candidates, load_config
from kinetic_auth_core.errors import ConfigurationError, suggest
from kinetic_auth_core.login.spec import SourceOptions
from kinetic_auth_core.registry.discovery import misspelt_groups
from kinetic_auth_core.session import (
    DEFAULT_API_VERSION,
    FIRST_LASTING_API_VERSION,
    is_retired,
    normal_api_version,
    retires_soon,
)
from kinetic_auth_core.settings.schema import schema

_OF_AN_ENVIRONMENT = re.compile(r"([A-Z][A-Z0-9_]*)_SF_[A-Z]")


def check_files(examination: Examination) -> None:
    """The `.env` file and the config file: found, readable and trusted."""
    report, choice = examination.report, examination.choice
    variables = None
    with warnings_captured() as warnings:
        try:
            variables = Variables.load(choice.env_file)
        except ConfigurationError as error:
            report.problems(".env file", error)
    if variables is None:
        report.skip("config file", "not checked: .env file comes first.")
        return
    layer = variables.layers[-1]
    how = "found by searching" if layer.how_to_name_it else "named"
    none = "none here or above." if choice.env_file is None else "none."
    report.add(".env file", "ok", f"{layer.path} ({how})." if layer.path else none)
    lines = [each for each in warnings if each.startswith("python-dotenv ")]
    for each in lines:
        remedy = "Write NAME=value in that line; a value of several lines needs quotes around it."
        report.add(".env file", "warning", f"{layer.path}: {each}.", remedy)
    warn_of(report, ".env file", [each for each in warnings if each not in lines])
    with warnings_captured() as warnings:
        try:
            file = load_config(choice.config, variables)
        except ConfigurationError as error:
            report.problems("config file", error)
            return
    examination.configuration = configuration = Configuration(variables, file)
    report.variables = tuple(_variables(configuration))
    how = "found by searching" if file.how_to_name_it else "named"
    report.add("config file", "ok", f"{file.path} ({how})." if file.path else "none.")
    warn_of(report, "config file", warnings)
    if file.path is not None and file.how_to_name_it is not None:
        others = [str(path) for path in dict.fromkeys(config_candidates()) if path != file.path]
        if others:
            report.add(
                "config file",
                "warning",
                f"{', '.join(others)}: passed over, as {file.path} is found first; files are not merged.",
                "Name the file that counts: --config FILE, or KINETIC_AUTH_CONFIG.",
            )


def check_provider(examination: Examination) -> None:
    """The environment, the provider and its plugin."""
    report, choice = examination.report, examination.choice
    with warnings_captured() as examination.warnings:
        examination.found = found = inspect_choice(choice, examination.settings, OWN_STORE, examination.configuration)
    report.rows = found.rows
    configuration, error = found.configuration, found.error
    if not configuration.provider and error is not None and error.message.startswith("the environment"):
        report.problem("environment", error.message, error.remedy)
        report.moot("provider", "environment")
        return
    _check_environment(examination)
    if found.cls is not None:
        owner = f" of {found.spec.distribution}" if found.spec else ""
        report.add("provider", "ok", f"{configuration.provider}{owner}.")
    elif error is not None:
        unseen = [each for each in misspelt_groups() if f" registers {configuration.provider} in " in each]
        report.problem("provider", "; ".join([error.message, *unseen]), error.remedy)


def _check_environment(examination: Examination) -> None:
    """Which environment was chosen; without a file, one that no variable belongs to is misspelt."""
    found, report = examination.found, examination.report
    configuration = found.configuration
    name, prefix = configuration.environment, configuration.variable_prefix
    if name is None:
        report.add("environment", "ok", "none.")
    elif configuration.file.path is not None or _variables(configuration, prefix):
        report.add("environment", "ok", f"{name}.")
    else:
        others = {match[1] for each in _variables(configuration) if (match := _OF_AN_ENVIRONMENT.match(each))}
        report.add(
            "environment",
            "failure" if found.error is not None else "warning",
            f"the environment {name!r}: there is no config file, and no variable begins with {prefix}SF_"
            f"{suggest(name.upper(), sorted(others))}. The plain SF_* are used.",
            f"Correct the name, or set the variables {prefix}SF_..., or leave it out (--environment, "
            "KINETIC_AUTH_ENVIRONMENT).",
            code=OK if found.error is None else USAGE,
        )
    if configuration.passed_over:
        report.add(
            "environment", "warning", f"{configuration.passed_over}.", "Unset it, or name the one that is meant."
        )


def _variables(configuration: Configuration, prefix: str = "") -> list[str]:
    return [name for layer in configuration.variables.layers for name in layer.values if name.startswith(prefix)]


def check_plugins(examination: Examination) -> None:
    """What is installed and whose it is. What a login uses and does not fit is a failure of another check."""
    report, allowed = examination.report, examination.configuration.allowed
    said = {check.message for check in report.checks}
    with warnings_captured():
        rows = [examined(kind, plugin, allowed) for kind in KINDS for plugin in allowed.search(kind.group)]
    fitting = [row.plugin.name for row in rows if row.fits]
    left_out = [row.plugin.name for row in rows if row.state in NOT_WANTED]
    unused = f" Left out by the config file: {', '.join(left_out)}." if left_out else ""
    report.add("plugins", "ok", f"{', '.join(fitting) or 'none'}.{unused}")
    unfit = [row for row in rows if row.error and not row.fits and row.state not in NOT_WANTED]
    errors = {(row.kind.name, row.plugin.name, row.state): row.error for row in unfit if row.error}
    for (kind, name, _), error in errors.items():
        if error.message not in said:  # by the check of the provider
            report.add("plugins", "warning", f"the {kind} {name}: {error.message}", error.remedy)
    for sentence in misspelt_groups():
        report.add("plugins", "warning", sentence, "Report this to the plugin's authors.")


def check_settings(examination: Examination) -> None:
    """All settings: where they come from, and what is wrong with them."""
    found, report = examination.found, examination.report
    try:
        refuse_secrets(examination.settings, found)
    except ConfigurationError as error:
        report.problems("settings", error)
        return
    if found.error is not None:
        report.problems("settings", found.error)
    else:
        listed = [f"{row.name} ({row.source})" for row in found.rows if row.source != "default"]
        report.add("settings", "ok", f"{', '.join(listed) or 'all at their defaults'}.")
    for row in found.rows:
        if "passed over" in row.note and row.name != "environment":
            variables = row.note.partition("passed over: ")[2] or row.note
            report.add(
                "settings",
                "warning",
                f"{row.name} comes from {row.source}; {row.note}.",
                f"Unset {variables}; or, if that value is meant, {_removal(row.source)}.",
                row.name,
            )
    username = next((row for row in found.rows if row.name == "username" and row.value), None)
    if found.error is None and username is not None and "@" not in str(username.value):
        what = f"the username {username.value} has no @: a username of Salesforce has the form of an email address."
        remedy = "Set username as Setup, Users shows it."
        report.add("settings", "failure", what, remedy, username.name, code=USAGE, is_suspicion=True)
    quoted = _check_quotes(examination)
    said = (*quoted, "api_version: ", "environment ")  # by these and other checks
    warn_of(report, "settings", [each for each in examination.warnings if not each.startswith(said)])


def _removal(source: str) -> str:
    return f"unset {source}" if source.isidentifier() else f"remove the one in {source}"


def _check_quotes(examination: Examination) -> list[str]:
    """Values in quotes that the shell or Docker has left there; the sentences of the log about them."""
    found, report = examination.found, examination.report
    if found.spec is None or found.cls is None:
        return []
    settings, values = schema(found.cls), found.spec.values
    quoted = quoted_values([*settings, *schema(SourceOptions)], found.rows, values)
    for sentence in quoted:
        name = sentence.partition(" ")[0]
        report.add(
            "settings",
            "failure",
            f"{sentence}.",
            f"Remove the quotes around {name}.",
            name,
            code=USAGE,
            is_suspicion=True,
        )
    return quoted


def check_api_version(examination: Examination) -> None:
    """The API version of the sessions, as far as its end is known."""
    report = examination.report
    row = next((row for row in examination.found.rows if row.name == "api_version"), None)
    if row is None:
        report.skip("API version", "the provider has no setting api_version.")
        return
    version = normal_api_version(str(row.value))
    remedy = f"Set api_version to v{FIRST_LASTING_API_VERSION}.0 or newer, such as {DEFAULT_API_VERSION}."
    if is_retired(version):
        what = f"Salesforce has retired the API version {version}: each REST call is answered by HTTP 410."
        report.add("API version", "failure", what, remedy, row.name, code=USAGE)
    elif retires_soon(version):
        report.add(
            "API version", "warning", f"Salesforce ends the API version {version} with Summer '28.", remedy, row.name
        )
    else:
        report.add("API version", "ok", f"{version}.", "", row.name)
