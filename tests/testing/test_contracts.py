"""The suites for plugins catch planted breaks by the right test, and pass what keeps the contract."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("full_tier")

HERE = Path(__file__).parent
PROVIDERS = sorted(path.parent for path in HERE.parents[1].glob("providers/*/pyproject.toml"))
SUITES = {
    "kinetic_auth.authenticators": "ProviderContract",
    "kinetic_auth.key_loaders": "KeyLoaderContract",
    "kinetic_auth.session_stores": "SessionStoreContract",
}

# Of a broken plugin, the tests that have to fail; of a sound one, all.
SELECTION = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if any(name in item.name for name in getattr(item.cls, "breaks", ()) or ("",))]
"""


def planted(file: str) -> dict[str, set[str]]:
    """The classes of a file, with the tests that have to fail."""
    found = {}
    for node in ast.parse((HERE / file).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            named = [
                ast.literal_eval(line.value)
                for line in node.body
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "breaks"
            ]
            found[node.name] = {f"test_{name}" for names in named for name in names}
    return found


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bool]]:
    """By class and test: whether it passed."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copy(HERE / request.param, folder)
    (folder / "conftest.py").write_text(SELECTION)
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder, "--junitxml", folder / "out.xml"]
    command = [sys.executable, "-m", "pytest", *options, folder / request.param]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[str, dict[str, bool]] = {}
    for case in ET.parse(folder / "out.xml").iter("testcase"):
        passed = case.find("failure") is None and case.find("error") is None
        found.setdefault(case.attrib["classname"].rpartition(".")[2], {})[case.attrib["name"]] = passed
    return found


@pytest.mark.parametrize("outcomes", ["planted_providers.py", "planted_key_loaders.py"], indirect=True)
def test_each_planted_break_fails_its_test_and_what_is_sound_passes(
    outcomes: dict[str, dict[str, bool]], request: pytest.FixtureRequest
) -> None:
    expected = planted(request.node.callspec.params["outcomes"])
    assert len(expected) > 8
    failed = {name: {test for test, passed in tests.items() if not passed} for name, tests in outcomes.items()}
    assert failed == expected
    assert all(len(tests) > 10 for name, tests in outcomes.items() if not expected[name])


@pytest.mark.parametrize("folder", PROVIDERS, ids=lambda folder: folder.name)
def test_each_package_of_ours_runs_the_suites_of_its_plugins(folder: Path) -> None:
    groups = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    tests = "".join(path.read_text("utf-8") for path in folder.glob("tests/**/test_*.py"))
    for group in set(groups) & set(SUITES):
        assert f"({SUITES[group]})" in tests, f"no test of {folder.name} subclasses {SUITES[group]}"
