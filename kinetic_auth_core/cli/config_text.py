"""The text of a config file and of `.env.example`, for the settings of any provider."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from kinetic_auth_core.config.files import variable_prefix
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.settings.schema import Setting, exactly_one_of, schema

_WIDTH = 100


@attrs.frozen
class Answers:
    """The answers to the questions of `init`.

    Attributes:
        provider: The provider's entry-point name.
        environment: The environment's name.
        cls: The provider's class.
        secrets: Where secrets live: `variables`, `file`, or the scheme of a key loader.
        values: The values of settings, none of them a secret; what else is needed becomes a variable.
    """

    provider: str
    environment: str
    cls: type
    secrets: str
    values: Mapping[str, str]


@attrs.frozen
class Variable:
    """A variable that the config file reads.

    Attributes:
        name: Its name.
        help: What it holds.
        is_needed: Whether the login needs it; it is in a comment otherwise.
    """

    name: str
    help: str
    is_needed: bool = True


@attrs.frozen
class _Line:
    """A setting in the file: the value as it is written, and the variable in it."""

    setting: Setting
    value: str
    variable: Variable | None = None
    is_needed: bool = True


def config_text(answers: Answers) -> str:
    """The config file, with a comment for each setting."""
    lines = [
        "# Who logs in to Salesforce, and how. This file holds no secret: it belongs in version control.",
        "# `kinetic-auth config check` finds mistakes, `kinetic-auth config show` says where each value comes from.",
        f"default_environment = {_toml(answers.environment)}",
        "",
        f"[environments.{answers.environment}]",
        f"provider = {_toml(answers.provider)}",
    ]
    for each in _lines(answers):
        mark = "" if each.is_needed else "# "
        lines += ["", *textwrap.wrap(each.setting.help, _WIDTH, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"{mark}{each.setting.name} = {_toml(each.value)}")
    lines += [
        "",
        "# Processes that share a store share one session, instead of one login each.",
        f"# [environments.{answers.environment}.store]",
        '# name = "file"',
    ]
    return "\n".join(lines) + "\n"


def env_example_text(answers: Answers) -> str:
    """`.env.example`: the variables that the config file reads, without values."""
    lines = [
        "# Copy this file to .env and fill in the copy, which version control ignores. Secrets do not belong here.",
    ]
    for each in variables_of(answers):
        lines += ["", *textwrap.wrap(each.help, _WIDTH, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"{'' if each.is_needed else '# '}{each.name}=")
    return "\n".join(lines) + "\n"


def variables_of(answers: Answers) -> list[Variable]:
    """The variables that the config file reads."""
    return [each.variable for each in _lines(answers) if each.variable is not None]


def _lines(answers: Answers) -> Iterator[_Line]:
    settings = schema(answers.cls)
    chosen = _chosen_of_groups(answers)
    common = {each.name for each in schema(GrantAuthenticator)} - {"login_url"}
    optional = []
    for each in settings:
        is_needed = each.required or each.name in chosen
        if each.name in answers.values:
            yield _Line(each, answers.values[each.name])
        elif is_needed:
            yield _with_variable(each, answers)
        elif each.secret and each.name not in common and not _is_grouped(each, answers.cls):
            optional.append(attrs.evolve(_with_variable(each, answers), is_needed=False))
    yield from optional


def _with_variable(setting: Setting, answers: Answers) -> _Line:
    name = f"{variable_prefix(answers.environment)}{setting.env}"
    is_needed = setting.required or setting.name in _chosen_of_groups(answers)
    if not setting.secret or answers.secrets == "variables":
        return _Line(setting, f"${{{name}}}", Variable(name, setting.help, is_needed))
    if answers.secrets == "file":
        name += "_FILE"
        what = f"The file that holds this, readable by its user alone: {setting.help}"
        return _Line(setting, f"file://${{{name}}}", Variable(name, what, is_needed))
    what = f"The reference {answers.secrets}://... of this secret: {setting.help}"
    return _Line(setting, f"${{{name}}}", Variable(name, what, is_needed))


def _chosen_of_groups(answers: Answers) -> set[str]:
    """The one of each group of settings that exclude each other: what was given, else what fits the secrets' place."""
    settings = {each.name: each for each in schema(answers.cls)}
    chosen = set()
    for group in exactly_one_of(answers.cls):
        if any(name in answers.values for name in group):
            continue
        wants_path = answers.secrets == "file"
        fitting = [name for name in group if (settings[name].is_path and not settings[name].secret) == wants_path]
        chosen.add((fitting or list(group))[0])
    return chosen


def _is_grouped(setting: Setting, cls: type) -> bool:
    return any(setting.name in group for group in exactly_one_of(cls))


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
