"""Real plugins for the tests: small distributions on `sys.path`, and environments with only the core."""

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import kinetic_auth_core

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder on `sys.path`; its modules are removed from `sys.modules` afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def install(site: Path) -> Install:
    """Install a distribution: its module, and its entry points as `group -> name -> target`."""

    def install(
        distribution: str, source: str = "", groups: Mapping[str, Mapping[str, str]] | None = None, version: str = "1.0"
    ) -> Path:
        module = distribution.replace("-", "_")
        (site / f"{module}.py").write_text(f"import attrs\nimport kinetic_auth_core as kinetic\n\n{source}")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        points = "".join(
            f"[kinetic_auth.{group}]\n" + "".join(f"{name} = {target}\n" for name, target in names.items())
            for group, names in (groups or {}).items()
        )
        (info / "entry_points.txt").write_text(points)
        importlib.invalidate_caches()
        return info

    return install


def _needed_by_the_core() -> set[str]:
    """The core's direct and indirect dependencies, without extras."""
    found: set[str] = set()
    queue = ["kinetic-auth-core"]
    while queue:
        for requirement in importlib.metadata.requires(queue.pop()) or ():
            name, _, marker = requirement.partition(";")
            match = re.match(r"[\w.-]+", name)
            if "extra ==" in marker or match is None or match[0] in found:
                continue
            try:
                importlib.metadata.distribution(match[0])
            except importlib.metadata.PackageNotFoundError:  # its marker is for other Pythons
                continue
            found.add(match[0])
            queue.append(match[0])
    return found


@pytest.fixture(scope="session")
def link_dependencies() -> Callable[[Path], None]:
    """Link what the core depends on into a folder, so that pip and Python find it installed there."""

    def link(folder: Path) -> None:
        for name in _needed_by_the_core():
            distribution = importlib.metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
                target = folder / top
                if not target.exists():
                    target.symlink_to(Path(str(distribution.locate_file(top))))

    return link


@pytest.fixture(scope="session")
def only_the_core(tmp_path_factory: pytest.TempPathFactory, link_dependencies: Callable[[Path], None]) -> Path:
    """A folder of packages as after `pip install kinetic-auth-core`: the core and its dependencies, no provider."""
    folder = tmp_path_factory.mktemp("only-the-core")
    link_dependencies(folder)
    (folder / "kinetic_auth_core").symlink_to(Path(kinetic_auth_core.__file__).parent)
    core = importlib.metadata.distribution("kinetic-auth-core")
    info = next(file.parts[0] for file in core.files or () if file.name == "METADATA")
    (folder / info).symlink_to(Path(str(core.locate_file(info))))
    return folder
