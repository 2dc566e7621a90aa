"""`kinetic-auth new-plugin`: packages that build, install and pass their tests."""

import ast
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import kinetic_auth_core

PROGRAM = "from kinetic_auth_core.cli import main; main()"
Run = Callable[..., Any]  # the fixture `run`: what came out, as `conftest` describes it

KINDS = {
    "provider": "authenticators",
    "key-loader": "key_loaders",
    "session-store": "session_stores",
    "observer": "observers",
}


def process(*command: str | Path, cwd: Path, site: Path) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_builds_installs_and_passes_its_tests(
    full_tier: None, run: Run, kind: str, tmp_path: Path
) -> None:
    outcome = run("new-plugin", "sso", "--kind", kind, "--vendor", "acme", "--output", "made")
    assert outcome.code == 0, outcome.err
    folder, module = Path("made").absolute(), "acme_sso_kinetic_auth"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {
        *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "tests/test_contract.py"),
        *(f"{module}/__init__.py", f"{module}/py.typed"),
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert list(project["entry-points"]) == [f"kinetic_auth.{KINDS[kind]}"]
    assert list(project["entry-points"][f"kinetic_auth.{KINDS[kind]}"]) == ["acme-sso"]

    from hatchling.builders.wheel import WheelBuilder

    [wheel] = WheelBuilder(str(folder)).build(directory=str(tmp_path / "wheels"), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert f"{module}/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    site = tmp_path / "installed"
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    process("-m", "pip", "install", *options, "--target", site, wheel, cwd=tmp_path, site=site)
    tests = tmp_path / "copied"  # the installed module is tested, not the one beside the tests
    (folder / "tests").rename(tests)
    process("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", tests, cwd=tmp_path, site=site)
    listed = json.loads(process("-c", PROGRAM, "plugins", "--json", cwd=tmp_path, site=site))
    [row] = [row for row in listed["plugins"] if row["name"] == "acme-sso"]
    assert (row["kind"], row["fits"], row["distribution"]) == (kind, True, "acme-sso-kinetic-auth")


def test_what_is_written_is_typed_and_in_style(full_tier: None, run: Run, tmp_path: Path) -> None:
    for kind in KINDS:
        made = Path("made", kind)
        run("new-plugin", "acme-sso", "--kind", kind, "--output", str(made))
        for path in made.rglob("*.py"):
            text = path.read_text()
            assert ast.get_docstring(ast.parse(text))
            assert max(map(len, text.splitlines())) <= 120
        options = ("--strict", "--cache-dir", str(tmp_path / "mypy"))  # one cache: most of the time is the library's
        process("-m", "mypy", *options, "acme_sso_kinetic_auth", cwd=made, site=tmp_path)


SETTINGS = "    path: str = kinetic.setting(help='The file.')\n\n    @kinetic.hookimpl\n"


@pytest.mark.parametrize(("kind", "hook"), [("observer", "def session_issued"), ("key-loader", "def load_key")])
def test_the_tests_of_a_package_work_for_a_plugin_with_a_required_setting(
    full_tier: None, run: Run, kind: str, hook: str, tmp_path: Path
) -> None:
    run("new-plugin", "acme-sso", "--kind", kind, "--output", "made")
    module, tests = Path("made/acme_sso_kinetic_auth/__init__.py"), Path("made/tests/test_contract.py")
    source = module.read_text().replace("\nclass ", "\nimport attrs\n\n@attrs.frozen\nclass ")
    module.write_text(source.replace(f"    @kinetic.hookimpl\n    {hook}", f"{SETTINGS}    {hook}"))
    tests.write_text(
        tests.read_text().replace('SETTINGS = ""', "SETTINGS = \"path = 'x'\"").replace("Loader()", "Loader('x')")
    )
    info = Path("made/acme_sso_kinetic_auth-0.1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sso-kinetic-auth\nVersion: 0.1.0\n")
    points = tomllib.loads(Path("made/pyproject.toml").read_text())["project"]["entry-points"]
    [(group, names)] = points.items()
    (info / "entry_points.txt").write_text(f"[{group}]\nacme-sso = {names['acme-sso']}\n")
    process("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests", cwd=Path("made"), site=Path("made"))
    listed = json.loads(
        process("-c", PROGRAM, "plugins", "acme-sso", "--json", cwd=tmp_path, site=Path("made").absolute())
    )
    assert [row["state"] for row in listed["plugins"]] == ["needs settings"]


def test_the_printed_steps_install_the_core_from_where_it_is_from(run: Run) -> None:
    steps = run("new-plugin", "acme-sso", "--kind", "provider").out.partition("Next:\n")[2].splitlines()
    origin = distribution("kinetic-auth-core").read_text("direct_url.json")
    folder = urlsplit(json.loads(origin)["url"]).path if origin else None
    assert [step.strip() for step in steps] == [
        "cd acme-sso-kinetic-auth",
        "python -m venv .venv && . .venv/bin/activate",
        *([f'pip install "{folder}[cli,testing]"'] if folder else []),
        'pip install -e ".[test]"',
        "pytest",
        "kinetic-auth plugins acme-sso",
    ]


def test_the_readme_says_what_to_do_before_the_core_is_published(run: Run) -> None:
    run("new-plugin", "acme-sso", "--kind", "observer", "--output", "made")
    readme = Path("made/README.md").read_text()
    assert readme.startswith("# acme-sso-kinetic-auth\n\nAn observer for ")
    assert '`pip install "/path/to/kinetic-auth[cli,testing]"`' in readme
    assert "$" not in readme
    project = tomllib.loads(Path("made/pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["test"][0] == "kinetic-auth-core[cli,testing]"  # `plugins` is a step of it
    assert project["description"].startswith("An observer ")


def test_the_secret_of_a_new_provider_may_change_without_a_new_login(run: Run) -> None:
    run("new-plugin", "acme-sso", "--kind", "provider", "--output", "made")
    assert "secret=True, identity=False" in Path("made/acme_sso_kinetic_auth/__init__.py").read_text()


def test_json_says_what_was_written(run: Run) -> None:
    document = json.loads(run("new-plugin", "acme-sso", "--kind", "provider", "--json").out)
    files = document.pop("files")
    assert document == {
        "name": "acme-sso",
        "kind": "provider",
        "distribution": "acme-sso-kinetic-auth",
        "module": "acme_sso_kinetic_auth",
        "class": "AcmeSsoAuthenticator",
        "folder": "acme-sso-kinetic-auth",
    }
    assert all(Path("acme-sso-kinetic-auth", path).is_file() for path in files)


def test_a_prefix_is_put_in_front_once(run: Run) -> None:
    run("new-plugin", "acme-sso", "--kind", "observer", "--vendor", "acme", "--output", "made")
    assert 'acme-sso = "acme_sso_kinetic_auth:AcmeSsoObserver"' in Path("made/pyproject.toml").read_text()


@pytest.mark.parametrize(
    "name", ["Acme", "acme_sso", "1acme", "acme--sso", "-acme", "acme-", "acme sso", "äcme", "a/b"]
)
def test_a_name_that_users_could_not_write_is_refused(run: Run, name: str) -> None:
    outcome = run("new-plugin", "--kind", "provider", "--", name)
    assert outcome.code == 2
    assert "cannot be the name of a plugin" in outcome.message
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [("provider", "password"), ("key-loader", "env"), ("key-loader", "kms"), ("session-store", "memory")],
)
def test_a_name_of_ours_is_refused(run: Run, kind: str, name: str) -> None:
    outcome = run("new-plugin", name, "--kind", kind)
    assert outcome.code == 2
    assert f"--vendor acme gives acme-{name}" in outcome.message
    assert run("new-plugin", name, "--kind", kind, "--vendor", "acme").code == 0


def test_nothing_is_overwritten(run: Run) -> None:
    Path("made").mkdir()
    Path("made/mine").write_text("mine")
    outcome = run("new-plugin", "acme-sso", "--kind", "provider", "--output", "made")
    assert outcome.code == 2
    assert "made exists and is not an empty folder" in outcome.message
    assert [path.name for path in Path("made").iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_written_is_an_error(run: Run) -> None:
    Path("file").write_text("")
    outcome = run("new-plugin", "acme-sso", "--kind", "provider", "--output", "file/made")
    assert outcome.code == 2
    assert "cannot be written" in outcome.message


def test_a_name_that_is_too_long_for_a_folder_is_an_error(run: Run) -> None:
    outcome = run("new-plugin", "a" * 300, "--kind", "observer")
    assert outcome.code == 2
    assert outcome.message.endswith("cannot be written: File name too long.")


def test_the_printed_steps_work_for_a_folder_with_a_space(run: Run) -> None:
    assert "  cd 'my plugin'" in run("new-plugin", "acme-sso", "--kind", "observer", "--output", "my plugin").out


def test_the_templates_are_part_of_the_package() -> None:
    folder = Path(kinetic_auth_core.__file__).parent / "cli" / "templates"
    assert {path.name for path in folder.iterdir()} == {"common", *KINDS}
