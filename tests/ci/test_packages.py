"""A provider is a folder: everything derived from `providers/*` finds an added one in a copy of the repository."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_COPIED = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "tox.ini", ".ci")

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with a provider `telepathy` that is in no list."""
    copy = tmp_path_factory.mktemp("checkout")
    no_caches = shutil.ignore_patterns("__pycache__", "_published.py")
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=no_caches)
        else:
            shutil.copy(ROOT / name, copy)
    for name in ("kinetic_auth_core", "providers", "fuzz"):
        shutil.copytree(ROOT / name, copy / name, ignore=no_caches)
    folder = copy / "providers" / "telepathy"
    shutil.copytree(copy / "providers" / "password", folder)
    (folder / "kinetic_auth_password").rename(folder / "kinetic_auth_telepathy")
    for path in [folder / "pyproject.toml", *folder.rglob("*.py")]:
        text = path.read_text("utf-8")
        text = text.replace("kinetic_auth_password", "kinetic_auth_telepathy")
        path.write_text(text.replace("kinetic-auth-password", "kinetic-auth-telepathy"), "utf-8")
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text("utf-8").replace('password = "kinetic_auth', 'telepathy = "kinetic_auth')
    text = text.replace('"attrs>=24.2",', '"attrs>=24.2",\n    "spoon-bending>=3.1",')
    text += '\n[project.optional-dependencies]\nmoon = ["crystal>=2"]\n'
    pyproject.write_text(text, "utf-8")
    (folder / "fuzz").mkdir()
    (folder / "fuzz" / "thoughts.py").write_text("def seeds(): return [b'']\ndef check(data): pass\n")
    return copy


@pytest.fixture
def script(checkout: Path) -> Script:
    """Runs `.ci/packages.py` of the copy."""

    def call(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, checkout / ".ci" / "packages.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    return call


def test_the_checks_find_it(script: Script) -> None:
    assert "providers/telepathy kinetic-auth-telepathy kinetic_auth_telepathy\n" in script("list").stdout


def test_coverage_measures_it(script: Script, tmp_path: Path) -> None:
    script("coverage", tmp_path / "coverage.toml")
    config = tomllib.loads((tmp_path / "coverage.toml").read_text("utf-8"))["tool"]["coverage"]
    assert "kinetic_auth_telepathy" in config["run"]["source_pkgs"]
    assert "providers/telepathy/kinetic_auth_telepathy" in config["paths"]["kinetic-auth-telepathy"]
    assert config["report"]["fail_under"] >= 97


def test_the_lowest_versions_include_those_of_its_dependencies(script: Script, tmp_path: Path) -> None:
    script("floors", tmp_path / "floors.txt")
    lines = (tmp_path / "floors.txt").read_text("utf-8").splitlines()
    assert {"spoon-bending==3.1", "crystal==2"} <= set(lines)
    assert not any(line.startswith("kinetic-auth") for line in lines)


def test_the_import_contracts_hold_for_it(script: Script, tmp_path: Path) -> None:
    script("contracts", tmp_path / "importlinter.toml")
    config = tomllib.loads((tmp_path / "importlinter.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert "kinetic_auth_telepathy" in config["root_packages"]
    for name in ("The core imports no provider", "Providers do not import each other"):
        [contract] = [each for each in config["contracts"] if each["name"] == name]
        assert "kinetic_auth_telepathy" in json.dumps(contract)


def test_make_installs_it(checkout: Path) -> None:
    command = ["make", "--dry-run", "--no-print-directory", "demo"]
    dry = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True, timeout=60)
    assert "./providers/telepathy" in dry.stdout


def test_fuzzing_runs_its_targets(checkout: Path) -> None:
    spec = importlib.util.spec_from_file_location("fuzz_run_of_the_copy", checkout / "fuzz" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.targets()["thoughts"] == checkout / "providers" / "telepathy" / "fuzz" / "thoughts.py"


def test_pytest_and_ruff_find_it_by_a_pattern() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    assert "providers/*/tests" in tools["pytest"]["ini_options"]["testpaths"]
    assert "kinetic_auth_*" in tools["ruff"]["lint"]["isort"]["known-first-party"]


@pytest.mark.usefixtures("full_tier")
def test_the_core_gets_its_extras_and_knows_how_to_install_it(checkout: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(tmp_path)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(checkout)]
    subprocess.run(command, check=True, capture_output=True, timeout=120, env=environment)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith("METADATA")]
        head = HeaderParser().parsestr(archive.read(metadata).decode())
        table: dict[str, Any] = {}
        exec(archive.read("kinetic_auth_core/_published.py"), table)  # noqa: S102 - written by the build just now
    assert {"telepathy", "moon", "jwt-bearer", "redis", "aws", "all", "cli"} <= set(head.get_all("Provides-Extra", []))
    required = head.get_all("Requires-Dist", [])
    assert "kinetic-auth-telepathy<1,>=0.1; extra == 'telepathy'" in required
    assert "kinetic-auth-telepathy[moon]<1,>=0.1; extra == 'moon'" in required
    assert "kinetic-auth-telepathy<1,>=0.1; extra == 'all'" in required
    assert table["NAMES"]["kinetic_auth.authenticators"]["telepathy"] == "kinetic-auth-telepathy"
    assert table["EXTRAS"]["kinetic-auth-telepathy"] == ["moon"]


def test_no_file_outside_of_its_folder_names_the_packages_of_another() -> None:
    """What a list would look like: two modules of providers in one file that the checks or the build read."""
    modules = [path.name.replace("-", "_") for path in (ROOT / "providers").iterdir() if path.is_dir()]
    named = [ROOT / name for name in ("tox.ini", "Makefile", "pyproject.toml", "hatch_build.py")]
    for path in [*named, *(each for each in (ROOT / ".ci").iterdir() if each.is_file())]:
        text = path.read_text("utf-8")
        assert [module for module in modules if f"kinetic_auth_{module}" in text] == [], path.name
