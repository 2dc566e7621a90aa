"""What the built packages hold: its own module, licence and type marker each, and nothing of the others."""

import sys
import tarfile
import zipfile
from pathlib import Path

MODULES = (
    "kinetic_auth_core",
    "kinetic_auth_jwt_bearer",
    "kinetic_auth_password",
    "kinetic_auth_redis_store",
    "kinetic_auth_secret_manager",
)
BESIDE_THE_MODULE = {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}


def problems(folder: Path, module: str) -> list[str]:
    """Compares one package's two files with what they should hold; returns what is wrong, a line each."""
    [sdist], [wheel] = folder.glob(f"{module}-*.tar.gz"), folder.glob(f"{module}-*.whl")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    dist_info = f"{wheel.name.split('-py3')[0]}.dist-info/"
    strays = [f"{sdist.name}: {n}" for n in in_sdist if not n.startswith(f"{module}/") and n not in BESIDE_THE_MODULE]
    strays += [f"{wheel.name}: {n}" for n in in_wheel if not n.startswith((f"{module}/", dist_info))]
    missing = [f"{sdist.name}: no {n}" for n in (f"{module}/py.typed", "LICENSE", "CHANGELOG.md") if n not in in_sdist]
    missing += [
        f"{wheel.name}: no {n}" for n in (f"{module}/py.typed", f"{dist_info}licenses/LICENSE") if n not in in_wheel
    ]
    return strays + missing


if __name__ == "__main__":
    found = [line for module in MODULES for line in problems(Path(sys.argv[1]), module)]
    sys.exit("\n".join(found) or 0)
