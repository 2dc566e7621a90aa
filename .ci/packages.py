"""The packages of this repository, found in their folders, and what the checks do with all of them.

    python .ci/packages.py list                   folder, distribution and module of each
    python .ci/packages.py build [FOLDER]         sdists, and wheels made from them, of those that have changed
    python .ci/packages.py contents [FOLDER]      check what the built files hold
    python .ci/packages.py install [CONSTRAINTS]  install all wheels with all extras into the Python that runs this
    python .ci/packages.py floors FILE            the lowest versions that the packages allow, as constraints
    python .ci/packages.py coverage FILE          coverage's configuration
    python .ci/packages.py contracts FILE         import-linter's configuration
    python .ci/packages.py imports                import-linter with that configuration
    python .ci/packages.py types                  mypy over packages and tests

A package is the repository's root or a folder of `providers` with a `pyproject.toml`; no list names them.
"""

import concurrent.futures
import fcntl
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUILT = ROOT / ".tox" / "packages"
_BESIDE_THE_MODULE = {
    "CHANGELOG.md",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    ".gitignore",
    "hatch_build.py",
}
#: A package of ours has metadata for the org beside its module.
_FOLDERS_OF_AN_SDIST = ("salesforce/",)
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[.*?\])?\s*>=\s*(?P<floor>[\w.]+)(?:,.*)?")


class Package:
    """One package of the repository.

    Attributes:
        folder: Where its `pyproject.toml` is.
        name: The distribution's name.
        module: The name of its import package.
        pyproject: The parsed `pyproject.toml`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pyproject = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
        self.name: str = self.pyproject["project"]["name"]
        self.module = self.name.replace("-", "_") if folder != ROOT else "kinetic_auth_core"

    @property
    def is_core(self) -> bool:
        """Whether it is the core."""
        return self.folder == ROOT

    @property
    def extras(self) -> Mapping[str, list[str]]:
        """Its extras, without those of the core that install other packages of ours."""
        if self.is_core:
            return dict(self.pyproject["tool"]["hatch"]["metadata"]["hooks"]["custom"]["extras"])
        return dict(self.pyproject["project"].get("optional-dependencies", {}))

    @property
    def wanted(self) -> str:
        """The distribution with all its extras, as pip wants it."""
        return f"{self.name}[{','.join(self.extras)}]" if self.extras else self.name

    def is_newer_than(self, built: Path) -> bool:
        """Whether a source of the package, or of what its build reads, has changed since a file was built."""
        sources = [self.folder / name for name in _BESIDE_THE_MODULE]
        sources += (self.folder / self.module).rglob("*")
        if self.is_core:
            sources += ROOT.glob("providers/*/pyproject.toml")
        return any(
            path.stat().st_mtime > built.stat().st_mtime
            for path in sources
            if path.is_file() and "__pycache__" not in path.parts and path.name != "_published.py"
        )


def packages() -> list[Package]:
    """All packages: the core first."""
    return [
        Package(path.parent) for path in [ROOT / "pyproject.toml", *sorted(ROOT.glob("providers/*/pyproject.toml"))]
    ]


def run(*command: str | Path, **variables: str) -> int:
    """Run a command in the repository's root; returns its exit code."""
    return subprocess.run(list(command), cwd=ROOT, env={**os.environ, **variables}, check=False).returncode


def source_path() -> str:
    """What PYTHONPATH and MYPYPATH need so that the sources of all packages are found."""
    return os.pathsep.join(str(package.folder) for package in packages())


def list_() -> None:
    """Print each package's folder, distribution and module."""
    for package in packages():
        print(package.folder.relative_to(ROOT), package.name, package.module)


def _wheel(package: Package, folder: Path) -> Path | None:
    return next(iter(folder.glob(f"{package.module}-*.whl")), None)


def build(folder: str | Path = BUILT) -> None:
    """Build the sdist of each package that has changed, and a wheel from it."""
    folder = Path(folder)

    def build_one(package: Package) -> int:
        wheel = _wheel(package, folder)
        if wheel is not None and not package.is_newer_than(wheel):
            return 0
        for old in folder.glob(f"{package.module}-*"):
            old.unlink()
        return run("uv", "build", "--quiet", "--out-dir", folder, package.folder)

    folder.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock, concurrent.futures.ThreadPoolExecutor(4) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)  # environments that tox runs in parallel find each other's wheels
        if any(pool.map(build_one, packages())):
            sys.exit("packages: a build failed")


def contents(folder: str | Path = BUILT) -> None:
    """Each built file holds its own module, licence and type marker, and nothing of the others."""
    found = [problem for package in packages() for problem in _stray_or_missing(package, Path(folder))]
    sys.exit("\n".join(found) or 0)


def _stray_or_missing(package: Package, folder: Path) -> Iterator[str]:
    module = package.module
    [sdist], [wheel] = folder.glob(f"{module}-*.tar.gz"), folder.glob(f"{module}-*.whl")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    dist_info = f"{wheel.name.split('-py3')[0]}.dist-info/"
    yield from (
        f"{sdist.name}: stray {n}"
        for n in in_sdist
        if not n.startswith((f"{module}/", *_FOLDERS_OF_AN_SDIST)) and n not in _BESIDE_THE_MODULE
    )
    yield from (f"{wheel.name}: stray {n}" for n in in_wheel if not n.startswith((f"{module}/", dist_info)))
    yield from (f"{sdist.name}: no {n}" for n in (f"{module}/py.typed", "LICENSE", "CHANGELOG.md") if n not in in_sdist)
    yield from (
        f"{wheel.name}: no {n}" for n in (f"{module}/py.typed", f"{dist_info}licenses/LICENSE") if n not in in_wheel
    )


def install(constraints: str | None = None) -> None:
    """Install the wheels of all packages, with all extras, into the Python that runs this."""
    build()
    wheels = [f"{each.wanted} @ {path.as_uri()}" for each in packages() if (path := _wheel(each, BUILT))]
    options = ["--constraint", constraints] if constraints else []
    sys.exit(run("uv", "pip", "install", "--quiet", "--python", sys.executable, *options, *wheels))


def floors(file: str) -> None:
    """Write the lowest versions that the packages say they work with, as constraints: `name==version` lines.

    What those depend on themselves stays the newest that fits: only our own promises are tried.
    """
    found: dict[str, str] = {}
    for package in packages():
        for requirements in (package.pyproject["project"].get("dependencies", []), *package.extras.values()):
            for requirement in requirements:
                if requirement.startswith("kinetic-auth-"):
                    continue
                match = _REQUIREMENT.fullmatch(requirement)
                if match is None:
                    sys.exit(f"{package.name}: {requirement}: a dependency needs a lowest version, as name>=1.2")
                floor = found.setdefault(match["name"].lower(), match["floor"])
                if floor != match["floor"]:
                    sys.exit(f"{package.name}: {requirement}: another package of ours has >={floor}; use one floor")
    Path(file).write_text("".join(f"{name}=={floor}\n" for name, floor in sorted(found.items())), "utf-8")


def coverage(file: str) -> None:
    """Write coverage's configuration: that of the root's pyproject.toml, for the modules of all packages."""
    config = Package(ROOT).pyproject["tool"]["coverage"]
    config["run"]["source_pkgs"] = [package.module for package in packages()]
    config["paths"] = {
        package.name: [
            str((package.folder / package.module).relative_to(ROOT)),
            f"*/site-packages/{package.module}",
        ]
        for package in packages()
    }
    tables = {f"tool.coverage.{name}": table for name, table in config.items()}
    Path(file).write_text(_toml(tables), "utf-8")


def contracts(file: str) -> None:
    """Write import-linter's configuration: contracts of the root, of each provider, and those for all providers."""
    config = Package(ROOT).pyproject["tool"]["importlinter"]
    providers = [package for package in packages() if not package.is_core]
    modules = [package.module for package in providers]
    config["root_packages"] = ["kinetic_auth_core", *modules]
    rules: list[dict[str, Any]] = config.pop("contracts")
    for package in providers:
        rules += package.pyproject["tool"].get("importlinter", {}).get("contracts", [])
    rules += [
        {
            "name": "The core imports no provider",
            "type": "forbidden",
            "source_modules": ["kinetic_auth_core"],
            "forbidden_modules": modules,
        },
        {"name": "Providers do not import each other", "type": "independence", "modules": modules},
        {
            "name": "Providers import the public names of the core, as plugins of others do",
            "type": "forbidden",
            "source_modules": modules,
            "forbidden_modules": ["kinetic_auth_core.*"],
            "ignore_imports": [f"{module}.** -> kinetic_auth_core.plugins" for module in modules],
            "unmatched_ignore_imports_alerting": "none",
            # Directly: the public modules import the rest.
            "allow_indirect_imports": True,
        },
    ]
    for rule in rules:
        for key in ("allowed_importers", "source_modules"):
            if "kinetic_auth_*" in rule.get(key, []):
                rule[key] = [each for each in rule[key] if each != "kinetic_auth_*"] + modules
    text = _toml({"tool.importlinter": config}) + "".join(
        _toml({"[tool.importlinter.contracts]": each}) for each in rules
    )
    Path(file).write_text(text, "utf-8")


def imports() -> None:
    """Run import-linter with that configuration."""
    with tempfile.TemporaryDirectory() as folder:
        contracts(f"{folder}/importlinter.toml")
        command = ("lint-imports", "--no-logo", "--no-cache", "--config", f"{folder}/importlinter.toml")
        sys.exit(run(*command, PYTHONPATH=source_path()))


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of texts, numbers, booleans and lists of texts as TOML, whose notation for those is JSON's."""
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


def types() -> None:
    """Run mypy over the packages, then over each folder of tests, since test modules share names; two at a time.

    `typing_tests` has calls that are errors, each with a comment that expects it.
    """
    targets = [
        [str(package.folder / package.module) for package in packages()],
        [str(ROOT / "typing_tests")],
        *([str(package.folder / "tests")] for package in packages() if (package.folder / "tests").is_dir()),
    ]

    def check(numbered: tuple[int, list[str]]) -> subprocess.CompletedProcess[str]:
        number, paths = numbered
        command = ["mypy", "--no-error-summary", f"--cache-dir=.mypy_cache/{number}", *paths]
        env = {**os.environ, "MYPYPATH": source_path()}
        return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = list(pool.map(check, enumerate(targets)))
    print("".join(each.stdout + each.stderr for each in done), end="")
    sys.exit(any(each.returncode for each in done))


COMMANDS = {
    "list": list_,
    "build": build,
    "contents": contents,
    "install": install,
    "floors": floors,
    "coverage": coverage,
    "contracts": contracts,
    "imports": imports,
    "types": types,
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
