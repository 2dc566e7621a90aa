"""Nothing that a user can reach is missing from the docs: names, hooks, settings, commands, errors, decisions."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import plugins, testing
from kinetic_auth_core.adapters import httpx, kinetic_core, requests, simple_salesforce
from kinetic_auth_core.cli.commands import cli
from kinetic_auth_core.oauth.error_codes import known_error
from kinetic_auth_core.registry import hookspecs
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, PUBLISHED
from kinetic_auth_core.registry.loading import load_authenticator
from kinetic_auth_core.registry.validation import RESERVED_NAMES
from kinetic_auth_core.settings.schema import exactly_one_of, schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROVIDERS = sorted(PUBLISHED[AUTHENTICATORS])


def folder_of(provider: str) -> Path:
    return ROOT / "providers" / PUBLISHED[AUTHENTICATORS][provider].removeprefix("kinetic-auth-")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text("utf-8")


def hooks() -> list[str]:
    """Every hook with the arguments that an implementation may take: `load_key(reference)`."""
    return [
        f"{name}({', '.join(list(inspect.signature(function).parameters)[1:])})"
        for spec in (hookspecs.Authenticator, hookspecs.KeyLoader, hookspecs.SessionObserver)
        for name, function in vars(spec).items()
        if hasattr(function, f"{hookspecs.PROJECT}_spec")
    ]


def commands(group: click.Group, path: str = "kinetic-auth") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield f"{path} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_has_a_heading_with_its_exact_arguments(hook: str) -> None:
    assert f"\n### `{hook}`\n" in page("write-a-provider")


def test_there_are_hooks_to_look_for() -> None:
    assert "authenticate(request)" in hooks()
    assert "load_key(reference)" in hooks()


@pytest.mark.parametrize("module", [kinetic, plugins, httpx, kinetic_core, requests, simple_salesforce, testing])
def test_every_public_name_is_in_the_api(module: object) -> None:
    documented = re.findall(r"^\.\. (?:auto\w+|data):: (\S+)$", page("api"), re.MULTILINE)
    assert set(module.__all__) <= set(documented)  # type: ignore[attr-defined]
    assert f".. currentmodule:: {module.__name__}\n" in page("api")  # type: ignore[attr-defined]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_setting_of_a_provider_has_a_help_text_and_is_in_a_table(provider: str) -> None:
    cls = load_authenticator(provider)[1]
    assert [each.name for each in schema(cls) if not each.help.endswith(".")] == []
    assert f"```{{provider-settings}} {provider}\n" in (folder_of(provider) / "docs.md").read_text("utf-8")
    assert "```{common-settings}\n" in page("providers")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_providers_readme_lists_its_own_settings_with_their_variables(provider: str) -> None:
    readme = (folder_of(provider) / "README.md").read_text("utf-8")
    readme = readme.partition(f"\n## {provider}\n")[2].partition("\n## ")[0] or readme  # a package of two providers
    table = re.findall(r"^\| (`.*?`) \| (`.*?`) \|", readme, re.MULTILINE)
    listed = [pair for names, variables in table for pair in zip(names.split(", "), variables.split(", "), strict=True)]
    cls = load_authenticator(provider)[1]
    common = {each.name for each in schema(kinetic.GrantAuthenticator)} - {"login_url"}
    assert sorted(listed) == sorted(
        (f"`{each.name}`", f"`{each.env}`") for each in schema(cls) if each.name not in common
    )


def test_mutually_exclusive_settings_and_reserved_names_are_documented() -> None:
    for group in exactly_one_of(load_authenticator("jwt-bearer")[1]):
        assert all(f"`{name}`" in page("configuration") for name in group)
    assert all(f"`{name}`" in page("write-a-provider") for name in RESERVED_NAMES)


@pytest.mark.parametrize("command", list(commands(cli)))
def test_every_command_has_a_heading_and_its_help(command: str) -> None:
    assert re.search(rf"^##+ {command}$", page("cli"), re.MULTILINE)
    if command not in {"kinetic-auth config", "kinetic-auth cert"}:  # groups: their commands have headings
        assert f"```{{command-help}} {command.removeprefix('kinetic-auth ')}\n" in page("cli")


def test_the_catalogue_and_the_tree_are_on_the_page_of_errors() -> None:
    assert "```{error-catalogue}\n" in page("errors")
    assert "```{error-tree}\n" in page("errors")


def test_every_refusal_that_troubleshooting_names_is_in_the_catalogue() -> None:
    headings = re.findall(r"^### `(\w+)(?:: (.*))?`$", page("errors"), re.MULTILINE)
    assert len(headings) > 5
    assert [pair for pair in headings if known_error(*pair) is None] == []


def test_every_module_of_the_core_has_its_place_in_the_architecture() -> None:
    package = Path(kinetic.__file__).parent
    modules = {path.stem for path in package.glob("[!_]*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    missing = [name for name in modules if not re.search(rf"\b{name}\b", page("architecture"))]
    assert missing == []


def generated_parts() -> list[tuple[str, str]]:
    """The parts of the pages that Sphinx has made from the code: the directive and its argument."""
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("providers/*/docs.md")]
    parts = re.compile(r"^```{(?!include|literalinclude)([\w-]+)} ?(.*)\n```$", re.MULTILINE)
    return sorted({part for path in pages for part in parts.findall(path.read_text("utf-8"))})


@pytest.mark.parametrize(("directive", "argument"), generated_parts())
def test_every_generated_part_of_a_page_can_be_made(
    directive: str, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(DOCS / "_ext")
    made = import_module("generated").MAKERS[directive](*([argument] if argument else []))
    assert len(made.splitlines()) > 2


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((DOCS / "adr").glob("0*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    for path in (DOCS / "adr").glob("0*.md"):
        text = path.read_text("utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. ")
        assert all(f"**{part}.**" in text for part in ("Context", "Choice", "Given up"))


def test_every_claim_of_the_threat_model_names_an_existing_test() -> None:
    model = page("security").partition("## Threat model")[2].partition("## What stays with you")[0]
    rows = re.findall(r"^\|(?! threat |---)[^|]+\|[^|]+\|([^|]+)\|$", model, re.MULTILINE)
    assert len(rows) > 25
    files = [path for folder in ("tests", "providers") for path in (ROOT / folder).rglob("test_*.py")]
    defined = {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)}
    for row in rows:
        named = re.findall(r"`([^`]+)`", row)
        assert named
        for name in named:
            where = [ROOT / name, ROOT / "tests" / name]
            assert any(path.is_file() for path in where) if name.endswith(".py") else name in defined, name


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda page: page.name)
def test_no_page_has_two_versions_of_a_passage(page: Path) -> None:
    assert not re.search(r"^(<<<<<<<|>>>>>>>) ", page.read_text("utf-8"), re.MULTILINE)
