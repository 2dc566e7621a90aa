"""The lowest versions that the packages say they work with, as constraints for pip: a line `name==version` each.

    python .ci/floors.py floors.txt
    uv pip install -c floors.txt ".[cli,testing]" ./providers/jwt-bearer ...

Whatever they depend on themselves stays the newest that fits: only what we promise is to be tried.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[.*?\])?\s*>=\s*(?P<floor>[\w.]+)(?:,.*)?")


def floors(pyproject: Path) -> Iterator[tuple[str, str]]:
    """Name and floor of each package that one of ours depends on, those of its extras too.

    Args:
        pyproject: The package's file.
    """
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    for requirements in (project.get("dependencies", []), *project.get("optional-dependencies", {}).values()):
        for requirement in requirements:
            match = _REQUIREMENT.fullmatch(requirement)
            if requirement.startswith("kinetic-auth-"):
                continue
            if match is None:
                sys.exit(f"{pyproject}: {requirement}: a dependency has to say from which version on it will do")
            yield match["name"].lower(), match["floor"]


def main() -> None:
    """Write them; a package that two of ours depend on has to have one floor."""
    found: dict[str, str] = {}
    for pyproject in [ROOT / "pyproject.toml", *sorted(ROOT.glob("providers/*/pyproject.toml"))]:
        for name, floor in floors(pyproject):
            if found.setdefault(name, floor) != floor:
                sys.exit(f"{pyproject}: {name}>={floor}, but another of our packages has {name}>={found[name]}")
    Path(sys.argv[1]).write_text("".join(f"{name}=={floor}\n" for name, floor in sorted(found.items())), "utf-8")


if __name__ == "__main__":
    main()
