"""The parts of the docs that are read off the code, so that they can't drift: tables and help texts, as Markdown.

Each function gives one piece; how it gets onto a page is in `kinetic_docs`.
"""  # noqa: INP001 - not a package: conf.py puts this folder on the path

import ast
import csv
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Final

import click

import kinetic_auth_core
from kinetic_auth_core import GrantAuthenticator, errors
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.cli.exit_codes import MEANINGS, exit_code_of
from kinetic_auth_core.config.merge import merge
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.login.spec import SourceOptions
from kinetic_auth_core.oauth.error_codes import ERROR_CODES, Kind
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, PUBLISHED
from kinetic_auth_core.registry.loading import load_authenticator, load_session_store
from kinetic_auth_core.settings.schema import Setting, exactly_one_of, schema

_DOCTOR = Path(__file__).parents[1] / "doctor.csv"
_FAULTS = Path(__file__).parents[1] / "faults.csv"
_AGAIN = {
    Kind.REJECTED: "no",
    Kind.TRANSIENT: "yes",
    Kind.RATE_LIMITED: "after minutes",
    Kind.OTHER: "not at once",
}
_RAISED = {
    Kind.REJECTED: "CredentialsRejectedError",
    Kind.TRANSIENT: "TransientAuthenticationError",
    Kind.RATE_LIMITED: "RateLimitedError",
    Kind.OTHER: "AuthenticationError",
}


def settings_table(provider: str) -> str:
    """A provider's own settings, in the order of its constructor.

    Args:
        provider: Its entry-point name.
    """
    cls = load_authenticator(provider)[1]
    common = {each.name for each in schema(GrantAuthenticator)} - {"login_url"}
    return _settings(cls, [each for each in schema(cls) if each.name not in common])


def providers_table() -> str:
    """The published providers, each with a link to its page and what its package says of itself."""
    rows = []
    for name, distribution in sorted(PUBLISHED[AUTHENTICATORS].items()):
        page = distribution.removeprefix("kinetic-auth-")
        rows.append((f"[`{name}`](providers/{page}.md)", f"`{distribution}`", metadata(distribution)["Summary"]))
    return _table(("provider", "distribution", "purpose"), rows)


def common_settings_table() -> str:
    """The settings that every provider has whose login is one request to the token endpoint."""
    return _settings(GrantAuthenticator, [each for each in schema(GrantAuthenticator) if each.name != "login_url"])


def source_settings_table() -> str:
    """The settings of a source, whatever its provider."""
    return _settings(SourceOptions, schema(SourceOptions))


def store_settings_table(store: str) -> str:
    """The settings of a session store.

    Args:
        store: Its entry-point name.
    """
    cls = load_session_store(store)[1]
    return _settings(cls, [each.of_store() for each in schema(cls)])


def fault_table(group: str) -> str:
    """The faults of a group, as the last run of `tests/faults` wrote them.

    Args:
        group: A value of the column `group`.
    """
    with _FAULTS.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["group"] == group]
    rows = [
        (
            line["what"],
            f"`{line['raised']}`",
            line["message"],
            *(line[provider] or "-" for provider in ("jwt-bearer", "password")),
            line["at most"],
        )
        for line in lines
    ]
    if not rows:
        raise ValueError(f"no faults of the group {group!r}")
    return _table(("what goes wrong", "raised as", "message", "jwt-bearer", "password", "at most"), rows)


def doctor_table(group: str) -> str:
    """The planted faults of a group, with what `kinetic-auth doctor` says, as the last run of the tests wrote them.

    Args:
        group: A value of the column `group`.
    """
    with _DOCTOR.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["group"] == group]
    rows = [
        (
            line["what"],
            f"`{line['check']}`" + (f", `{line['setting']}`" if line["setting"] else ""),
            line["exit code"] if line["status"] == "failure" else line["status"],
            _escaped(line["message"]),
            _escaped(line["remedy"]),
        )
        for line in lines
    ]
    if not rows:
        raise ValueError(f"no planted faults of the group {group!r}")
    return _table(("what is wrong", "check, setting", "exit code", "message", "remedy"), rows)


def _escaped(text: str) -> str:
    """Text in which Markdown finds no markup."""
    return re.sub(r"([\\`*_{}\[\]<>$#])", r"\\\1", text)


def _settings(cls: type, settings: Sequence[Setting]) -> str:
    defaults = {row.name: row.value for row in merge(schema(cls), (), []).rows}
    groups = {name: group for group in exactly_one_of(cls) for name in group}
    rows = [
        (
            f"`{each.name}`",
            f"`{each.env}`",
            _default(each, groups.get(each.name, ()), defaults.get(each.name)),
            "yes" if each.secret else "",
            each.help,
        )
        for each in settings
    ]
    return _table(("setting", "environment variable", "default", "secret", "meaning"), rows)


def _default(setting: Setting, group: Sequence[str], default: object) -> str:
    if setting.required:
        return "required"
    if group:
        return f"one of {', '.join(f'`{name}`' for name in group)}"
    if setting.derived is not None:
        return "derived"
    return "" if default in (None, "") else f"`{default}`"


def catalogue_table() -> str:
    """What the token endpoint is known to answer, with the class that is raised and the remedy."""
    rows = [
        (
            f"`{row.error}`",
            f"`{row.description}` ..." if row.description else "any",
            f"`{_RAISED[row.kind]}`",
            _AGAIN[row.kind],
            row.remedy,
        )
        for row in ERROR_CODES
    ]
    return _table(("error", "description begins with", "raised as", "retryable", "remedy"), rows)


def error_tree() -> str:
    """The tree of errors, as it is drawn in the module's docstring."""
    drawing = inspect.getdoc(errors) or ""
    return f"```text\n{drawing.split('```')[1].strip()}\n```"


def exit_codes_table() -> str:
    """Each exit code of the command line, and the errors that end with it."""
    kinds: dict[int, list[str]] = {}
    for kind in _kinds(KineticAuthError):
        kinds.setdefault(exit_code_of(kind("")), []).append(f"`{kind.__name__}`")
    rows = [(f"`{code}`", meaning, ", ".join(kinds.get(code, []))) for code, meaning in MEANINGS.items()]
    return _table(("code", "meaning", "errors"), rows)


def _kinds(kind: type[KineticAuthError]) -> list[type[KineticAuthError]]:
    below = [each for child in kind.__subclasses__() for each in _kinds(child)]
    public = [kind] if kind is not KineticAuthError and kind.__module__ == errors.__name__ else []
    return list(dict.fromkeys([*public, *below]))


def modules_table() -> str:
    """Each module of the core with the first line of its docstring; the emulator and the command as a whole."""
    root = Path(kinetic_auth_core.__file__).parent
    rows = []
    for path in sorted(root.rglob("*.py"), key=lambda path: (len(path.relative_to(root).parts) > 1, path)):
        name = path.relative_to(root)
        is_inside = name.parts[0] in {"cli", "testing"} and name.name != "__init__.py"
        if (path.name.startswith("_") and name.parent == Path()) or is_inside or len(name.parts) > 2:
            continue
        doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        label = f"**{name.parent}**" if path.name == "__init__.py" else f"`{name}`"
        rows.append((label, doc.splitlines()[0]))
    return _table(("file", "purpose"), rows)


def command_help(path: str = "") -> str:
    """What a command of `kinetic-auth` prints for `--help`.

    Args:
        path: Its words behind `kinetic-auth`, such as `config show`; none for the program itself.
    """
    command: click.Command = cli
    ctx = click.Context(cli, info_name="kinetic-auth", terminal_width=90, **cli.context_settings)
    for word in path.split():
        found = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        if found is None:
            raise ValueError(f"kinetic-auth has no command {path!r}")
        command, ctx = found, click.Context(found, info_name=word, parent=ctx, terminal_width=90)
    return f"```text\n{command.get_help(ctx)}\n```"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


#: By the name of the directive that a page has it by.
MAKERS: Final[dict[str, Callable[..., str]]] = {
    "providers": providers_table,
    "provider-settings": settings_table,
    "common-settings": common_settings_table,
    "source-settings": source_settings_table,
    "store-settings": store_settings_table,
    "fault-table": fault_table,
    "doctor-table": doctor_table,
    "error-catalogue": catalogue_table,
    "error-tree": error_tree,
    "exit-codes": exit_codes_table,
    "modules": modules_table,
    "command-help": command_help,
}
