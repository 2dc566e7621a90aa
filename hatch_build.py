"""Build hooks of the core: its extras, and the module with its version and the plugin names of this project.

The names are read from `providers/*/pyproject.toml`, so a new provider is a new folder and no list has to name it.
An sdist of the core has no `providers`: there the extras come from its PKG-INFO, and the module is already in place.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

TABLE = "kinetic_auth_core/_published.py"
_GROUP = "kinetic_auth."


def _projects(root: str) -> list[Mapping[str, Any]]:
    """The `project` table of each provider, by folder name."""
    return [
        tomllib.loads(path.read_text("utf-8"))["project"]
        for path in sorted(Path(root).glob("providers/*/pyproject.toml"))
    ]


def _range(project: Mapping[str, Any]) -> str:
    """The versions that the core works with: from the released minor version to the next major one."""
    major, minor = project["version"].split(".")[:2]
    return f">={major}.{minor},<{int(major) + 1}"


def extras_of(projects: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The extras of the core that install our other packages.

    One for each plugin name (`jwt-bearer`, `redis`), and one for each extra that a package has itself (`aws`).

    Raises:
        ValueError: Two packages would give an extra the same name.
    """
    extras: dict[str, list[str]] = {}
    for project in projects:
        wanted = {name: "" for group in project.get("entry-points", {}).values() for name in group}
        wanted |= {name: f"[{name}]" for name in project.get("optional-dependencies", {})}
        for name, own_extra in wanted.items():
            if name in extras:
                raise ValueError(f"two packages in providers/ claim the extra {name!r} of kinetic-auth-core")
            extras[name] = [f"{project['name']}{own_extra}{_range(project)}"]
    return extras


class ExtrasHook(MetadataHookInterface):
    """Adds the derived extras to those of `[tool.hatch.metadata.hooks.custom.extras]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `optional-dependencies`; hatchling calls this for wheels, sdists and editable installs."""
        own = dict(self.config["extras"])
        extras = {**own, **extras_of(_projects(self.root))}
        extras["all"] = [f"{metadata['name']}[{','.join(sorted(extras))}]"]
        metadata["optional-dependencies"] = dict(sorted(extras.items()))


class PublishedTableHook(BuildHookInterface[Any]):
    """Writes the version and the published names into the package, where `kinetic_auth_core` reads them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's signature
        """Write the module if the checkout has providers; an sdist contains it already."""
        projects = _projects(self.root)
        if not projects:
            return
        names: dict[str, dict[str, str]] = {}
        for project in projects:
            for group, points in project.get("entry-points", {}).items():
                if group.startswith(_GROUP):
                    names.setdefault(group, {}).update(dict.fromkeys(points, project["name"]))
        extras = {project["name"]: sorted(project.get("optional-dependencies", {})) for project in projects}
        text = (
            '"""Written by hatch_build.py from pyproject.toml and providers/*; not in version control."""\n\n'
            f"VERSION = {self.metadata.version!r}\n\n"
            "#: Entry-point group -> plugin name -> the distribution of ours that has it.\n"
            f"NAMES: dict[str, dict[str, str]] = {names!r}\n\n"
            "#: Distribution -> its extras.\n"
            f"EXTRAS: dict[str, list[str]] = {extras!r}\n"
        )
        path = Path(self.root, TABLE)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
