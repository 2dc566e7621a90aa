"""`kinetic-auth new-plugin`: writes a package with a plugin that passes the test suite of its kind."""

import datetime as dt
import importlib.metadata
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import json_option
from kinetic_auth_core.cli.output import emit, emit_json
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import BUILTIN_SCHEMES
from kinetic_auth_core.package_metadata import CORE
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, KEY_LOADERS, OBSERVERS, PUBLISHED, SESSION_STORES

_TEMPLATES = Path(__file__).parent / "templates"
_SUFFIX = ".tmpl"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@attrs.frozen
class _Kind:
    """What a kind of plugin is called, where it is registered, how its users name it, and what its tests are."""

    group: str
    noun: str
    class_suffix: str
    usage: str
    tests: str = "The tests are those that each $noun has to pass; add your own."


_KINDS: Mapping[str, _Kind] = {
    "provider": _Kind(
        AUTHENTICATORS,
        "provider",
        "Authenticator",
        'Use it with `kinetic.resolve("${entry}")`; `kinetic-auth providers ${entry}` lists its settings.',
    ),
    "key-loader": _Kind(
        KEY_LOADERS, "key loader", "Loader", "Any secret setting may then be `${entry}://path/of/the/secret`."
    ),
    "session-store": _Kind(
        SESSION_STORES, "session store", "Store", 'Use it with `store = { name = "${entry}" }` in the config file.'
    ),
    "observer": _Kind(
        OBSERVERS,
        "observer",
        "Observer",
        "Once it is installed, it is notified of each login.",
        "The tests log in by a provider of their own, with the observer's table of a config file; add your own.",
    ),
}

#: Names that the core and the packages of this project have.
_TAKEN: Mapping[str, frozenset[str]] = {
    AUTHENTICATORS: frozenset(PUBLISHED.get(AUTHENTICATORS, ())),
    KEY_LOADERS: frozenset({*PUBLISHED.get(KEY_LOADERS, ()), *BUILTIN_SCHEMES, "http", "https"}),
    SESSION_STORES: frozenset({*PUBLISHED.get(SESSION_STORES, ()), "file", "memory"}),
    OBSERVERS: frozenset(PUBLISHED.get(OBSERVERS, ())),
}


@click.command("new-plugin", cls=Command)
@click.argument("name")
@click.option("--kind", type=click.Choice(list(_KINDS)), required=True, help="What the plugin is.")
@click.option("--vendor", metavar="PREFIX", help="Your prefix, which goes in front of NAME: acme gives acme-NAME.")
@click.option("--output", metavar="FOLDER", help="The folder to write. Default: the name of the package.")
@json_option
def new_plugin(name: str, kind: str, vendor: str | None, output: str | None, as_json: bool) -> None:
    """Write a package with a plugin called NAME, which is complete: it passes the test suite of its kind.

    NAME is what users will write, such as acme-sso: lower-case letters and digits, in words divided by hyphens. Nothing
    is overwritten.

    \b
    --json prints {"name", "kind", "distribution", "module", "class", "folder", "files": [...]}
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    entry = _entry_name(name, vendor, _KINDS[kind].group)
    words = _words(entry, _KINDS[kind])
    folder = Path(output or words["distribution"])
    files = []
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"{folder} exists and is not an empty folder.", remedy="Give another --output.")
        for path, text in _files(kind, words):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
            files.append(path)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}.") from error
    if as_json:
        facts = {"name": entry, "kind": kind, "distribution": words["distribution"], "module": words["module"]}
        emit_json({**facts, "class": words["cls"], "folder": str(folder), "files": files})
        return
    emit("\n".join(str(folder / path) for path in files))
    emit("\nNext:\n" + "\n".join(f"  {step}" for step in _next_steps(entry, folder)))


def _next_steps(entry: str, folder: Path) -> list[str]:
    """The commands that install the package and run its tests; the core comes from where this one is from."""
    origin = importlib.metadata.distribution(CORE).read_text("direct_url.json")  # PEP 610: not there, if from an index
    url = urlsplit(json.loads(origin)["url"] if origin else "")
    core = [f'pip install "{unquote(url.path)}[cli,testing]"'] if url.scheme == "file" else []
    enter = [f"cd {shlex.quote(str(folder))}", "python -m venv .venv && . .venv/bin/activate"]
    return [*enter, *core, 'pip install -e ".[test]"', "pytest", f"kinetic-auth plugins {entry}"]


def _entry_name(name: str, vendor: str | None, group: str) -> str:
    entry = name if not vendor or name.startswith(f"{vendor}-") else f"{vendor}-{name}"
    if not _NAME.fullmatch(entry):
        raise ConfigurationError(
            f"{entry!r} cannot be the name of a plugin.",
            remedy="Use lower-case letters and digits, in words divided by single hyphens, such as acme-sso. The first "
            "character is a letter.",
        )
    if entry in _TAKEN[group]:
        raise ConfigurationError(
            f"the name {entry!r} in {group} belongs to kinetic-auth itself.",
            remedy=f"Put a prefix of yours in front: --vendor acme gives acme-{entry}.",
        )
    return entry


def _words(entry: str, kind: _Kind) -> dict[str, str]:
    """What stands for what in the templates."""
    distribution = f"{entry}-kinetic-auth"
    major, minor = importlib.metadata.version(CORE).split(".")[:2]
    camel = "".join(part.capitalize() for part in entry.split("-"))
    return {
        "entry": entry,
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
        "cls": camel if camel.endswith(kind.class_suffix) else camel + kind.class_suffix,
        "group": kind.group,
        "noun": kind.noun,
        "a_noun": f"An {kind.noun}" if kind.noun[0] in "aeiou" else f"A {kind.noun}",
        "env": entry.replace("-", "_").upper(),
        "core": f">={major}.{minor},<{int(major) + 1}",
        "year": str(dt.datetime.now(dt.UTC).year),
        "usage": Template(kind.usage).substitute(entry=entry),
        "tests": Template(kind.tests).safe_substitute(noun=kind.noun),
    }


def _files(kind: str, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path and text of each file."""
    for folder in (_TEMPLATES / "common", _TEMPLATES / kind):
        for path in sorted(folder.rglob(f"*{_SUFFIX}")):
            name = path.relative_to(folder).as_posix().removesuffix(_SUFFIX)
            if name.startswith("module/"):
                name = words["module"] + name.removeprefix("module")
            yield name, Template(path.read_text("utf-8")).substitute(words)
