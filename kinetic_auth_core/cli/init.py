"""`kinetic-auth init`: asks a few questions and writes a config file, `.env.example` and the line of `.gitignore`.

What it asks and writes is read off the schema of the provider, so that other people's providers are treated alike.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.completers import complete_providers
from kinetic_auth_core.cli.config_text import Answers, config_text, env_example_text, variables_of
from kinetic_auth_core.cli.new_files import refuse_to_overwrite, write_file
from kinetic_auth_core.cli.options import environment_option, json_option, settings_option
from kinetic_auth_core.cli.output import emit, emit_json, note, wrapped
from kinetic_auth_core.config.construct import refusals
from kinetic_auth_core.config.files import FILE_NAME
from kinetic_auth_core.errors import ConfigurationError, suggest
from kinetic_auth_core.locations import BUILTIN_SCHEMES, parse_reference
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, KEY_LOADERS, installed
from kinetic_auth_core.registry.hookspecs import may_ask_a_person
from kinetic_auth_core.registry.loading import load_authenticator
from kinetic_auth_core.settings.schema import Setting, exactly_one_of, schema

_ENVIRONMENT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_IGNORED = ".env"
_IN_VARIABLES = "variables"


@click.command(cls=Command)
@click.option(
    "--provider",
    metavar="NAME",
    shell_complete=complete_providers,
    help="Which login is yours: `kinetic-auth providers` lists them.",
)
@environment_option("The environment's name. Default: prod.")
@click.option("--login-url", metavar="URL", help="The address that logs in, such as the org's My Domain.")
@click.option(
    "--secrets",
    metavar="WHERE",
    help="Where secrets live: variables, file, or the scheme of a key loader such as secret-manager. "
    "Default: variables, which a .env file may set.",
)
@settings_option("A setting, or the reference of a secret; may be repeated. Not for secrets.")
@click.option("--output", metavar="FOLDER", default=".", help="The folder to write. Default: the current one.")
@click.option("--force", is_flag=True, help="Replace the files if they exist.")
@json_option
def init(  # noqa: PLR0917 - the options of the command
    provider: str | None,
    environment: str | None,
    login_url: str | None,
    secrets: str | None,
    pairs: list[tuple[str, str]],
    output: str,
    force: bool,
    as_json: bool,
) -> None:
    """Write kinetic-auth.toml, .env.example and the line of .gitignore that keeps .env out of version control.

    On a terminal it asks for what the options leave open: which login is yours, the address, where secrets live. Else
    it asks nothing, and what is open becomes a ${VARIABLE}. It writes no secret. Existing files stay without --force;
    .gitignore only gets a line.

    \b
    --json prints
      {"provider", "environment", "files": [...], "variables": [...]}
    where "variables" are those to set, before `config check` finds nothing to complain about.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    folder = Path(output)
    files = [folder / FILE_NAME, folder / ".env.example"]
    if not force:
        refuse_to_overwrite(files, "Name another folder with --output")
    ask = _Questions(is_terminal=may_ask_a_person() and sys.stdin.isatty())
    given = dict(pairs) | ({"login_url": login_url} if login_url is not None else {})
    answers = _answers(ask, provider, environment, secrets, given)
    write_file(files[0], config_text(answers).encode(), 0o644, "Name another folder with --output.")
    write_file(files[1], env_example_text(answers).encode(), 0o644, "Name another folder with --output.")
    written = [*files, *_ignore(folder / ".gitignore")]
    variables = [each.name for each in variables_of(answers) if each.is_needed]
    if as_json:
        facts = {"provider": answers.provider, "environment": answers.environment}
        emit_json({**facts, "files": [str(path) for path in written], "variables": variables})
        return
    emit("\n".join(str(path) for path in written))
    fill = ["cp .env.example .env   # and fill it in"] if variables else []
    steps = [*([f"cd {folder}"] if output != "." else []), *fill]
    emit("\nNext:\n" + "\n".join(f"  {step}" for step in [*steps, "kinetic-auth config check", "kinetic-auth login"]))


@attrs.frozen
class _Questions:
    """Asks on the terminal, on stderr; without one every answer is the default.

    Attributes:
        is_terminal: Whether there is a terminal.
    """

    is_terminal: bool

    def ask(self, text: str, default: str | None, check: Callable[[str], str]) -> str | None:
        """Ask until the answer passes.

        Args:
            text: The question.
            default: The answer of Enter; None: the setting stays open.
            check: Returns the answer in its final form; raises `click.UsageError` with what is wrong with it.
        """
        if not self.is_terminal:
            return default if default is None else check(default)

        def accepted(answer: str) -> str:
            return check(answer) if answer else ""

        about, _, name = text.rpartition(". ")
        if about:
            note(wrapped(f"\n{about}."))
        hint = default is not None
        found: str = click.prompt(name, default=default or "", show_default=hint, value_proc=accepted, err=True)
        return found or None


def _answers(
    ask: _Questions, provider: str | None, environment: str | None, secrets: str | None, given: Mapping[str, str]
) -> Answers:
    provider = _provider(ask, provider)
    cls = load_authenticator(provider)[1]
    settings = {each.name: each for each in schema(cls)}
    environment = environment or ask.ask("Name of the environment", "prod", _environment) or "prod"
    _environment(environment)
    _check_names(given, settings, provider)
    values = {name: _checked(cls, settings[name], value) for name, value in given.items()}
    grouped = {name for group in exactly_one_of(cls) for name in group}
    for each in settings.values():
        is_open = each.name not in values and each.name not in grouped and not each.secret
        if is_open and (each.required or each.name == "login_url"):
            default = None if each.required else str(each.default)
            if (answer := ask.ask(f"{each.help} {each.name}", default, _checker(cls, each))) is not None:
                values[each.name] = answer
    open_secrets = [each for each in settings.values() if each.secret and (each.required or each.name in grouped)]
    where = secrets
    if where is None and open_secrets:
        where = ask.ask(f"Where secrets live ({', '.join(_places())})", _IN_VARIABLES, _place)
    where = _place(where or _IN_VARIABLES)
    if where not in {_IN_VARIABLES, "file"} and ask.is_terminal:
        for each in open_secrets:
            is_chosen = any(each.name in group and {*group} & {*values} for group in exactly_one_of(cls))
            if each.name in values or is_chosen:
                continue
            if found := ask.ask(f"{each.help} Its reference, {where}://...", None, _checker(cls, each)):
                values[each.name] = found
    return Answers(provider, environment, cls, where, values)


def _provider(ask: _Questions, name: str | None) -> str:
    names = sorted({each.name for each in installed(AUTHENTICATORS)})
    if name is not None:
        load_authenticator(name)  # says which are installed, and what to install
        return name
    if not names:
        raise ConfigurationError("no provider is installed.", remedy="kinetic-auth providers lists those to install.")
    if len(names) == 1:
        return names[0]
    if not ask.is_terminal:
        raise ConfigurationError(
            f"which login? Installed are: {', '.join(names)}.", remedy="Name it: kinetic-auth init --provider NAME."
        )
    note("Which login is yours?")
    for number, each in enumerate(names, 1):
        note(wrapped(_summary(each), f"{number:>4}  {each:<20}"))

    def chosen(answer: str) -> str:
        if answer.isdecimal() and 0 < int(answer) <= len(names):
            return names[int(answer) - 1]
        if answer not in names:
            raise click.UsageError(f"{answer!r} is not one of them{suggest(answer, names)}.")
        return answer

    while (found := ask.ask("Its number or name", None, chosen)) is None:
        pass
    return found


def _summary(provider: str) -> str:
    """The first line of a provider's docstring, as far as it can be loaded."""
    try:
        return (inspect.getdoc(load_authenticator(provider)[1]) or "").partition("\n")[0]
    except ConfigurationError as error:
        return error.message


def _environment(name: str) -> str:
    if not _ENVIRONMENT.fullmatch(name):
        raise click.UsageError("the name of an environment has letters, digits, - and _, and begins with a letter.")
    return name


def _places() -> list[str]:
    loaders = {each.name for each in installed(KEY_LOADERS)}
    return [_IN_VARIABLES, "file", *sorted(loaders - BUILTIN_SCHEMES)]


def _place(where: str) -> str:
    places = _places()
    if where not in places:
        raise click.UsageError(f"secrets live in one of: {', '.join(places)}{suggest(where, places)}.")
    return where


def _check_names(given: Iterable[str], settings: Mapping[str, Setting], provider: str) -> None:
    problems = [
        f"{name}: {provider!r} has no such setting{suggest(name, settings)}" for name in given if name not in settings
    ]
    if problems:
        raise ConfigurationError.of("Cannot write the configuration", problems)


def _checked(cls: type, setting: Setting, value: str) -> str:
    """The value of a setting as it goes into the file.

    Raises:
        ConfigurationError: It does not fit; or it is a secret instead of the reference of one, which is not quoted.
    """
    if "${" in value:
        return value
    if setting.secret:
        schemes = {each.name for each in installed(KEY_LOADERS)}
        if parse_reference(value, schemes) is None:
            raise ConfigurationError(
                f"{setting.name}: is secret, and only the reference of a secret is written into the file.",
                remedy="Give a reference such as env://NAME or that of a key loader; or leave it out.",
            )
        return value
    try:
        found = setting.accept(value, text=True)
    except ValueError as error:
        raise ConfigurationError(f"{setting.name}: {getattr(error, 'message', None) or error}") from None
    others = {each.name for each in schema(cls)} - {setting.name}
    if problem := refusals(cls, {setting.name: found}, others).get(setting.name):
        raise ConfigurationError(f"{setting.name}: {problem}")
    converted: Any = setting.converted(found)
    return converted if isinstance(converted, str) else value


def _checker(cls: type, setting: Setting) -> Callable[[str], str]:
    def check(answer: str) -> str:
        try:
            return _checked(cls, setting, answer)
        except ConfigurationError as error:
            raise click.UsageError(error.message) from None

    return check


def _ignore(path: Path) -> list[Path]:
    """Have version control ignore `.env`; the file, if a line was added."""
    try:
        text = path.read_text("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        note(f"{path} cannot be read; add the line {_IGNORED} to it: {getattr(error, 'strerror', None) or error}.")
        return []
    if _IGNORED in (line.strip().lstrip("/") for line in text.splitlines()):
        return []
    gap = "" if not text or text.endswith("\n") else "\n"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{gap}{_IGNORED}\n")
    except OSError as error:
        note(f"{path} cannot be written; add the line {_IGNORED} to it: {error.strerror or error}.")
        return []
    return [path]
