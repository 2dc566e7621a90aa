"""What was read of the installed packages is kept only while nothing has changed."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core import ProviderLoadError, UnknownProviderError
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, find, installed

GROUP = "acme.things"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def write(site: Path, distribution: str, *names: str, group: str = GROUP, version: str = "1.0") -> Path:
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    points = "".join(f"{name} = acme:Thing\n" for name in names)
    (info / "entry_points.txt").write_text(f"[{group}]\n{points}")
    return info


def names(group: str = GROUP) -> list[str]:
    return [plugin.name for plugin in installed(group)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The distributions whose files are read from now on."""
    found: list[str] = []
    read_text = importlib.metadata.PathDistribution.read_text

    def noted(self: importlib.metadata.PathDistribution, filename: str) -> str | None:
        found.append(filename)
        return read_text(self, filename)

    monkeypatch.setattr(importlib.metadata.PathDistribution, "read_text", noted)
    return found


def test_a_second_search_reads_no_file(site: Path, reads: list[str]) -> None:
    write(site, "acme-one", "one")
    assert names() == ["one"]
    reads.clear()
    assert names() == ["one"]
    assert reads == []


def test_the_metadata_of_the_named_plugin_alone_is_read(site: Path, reads: list[str]) -> None:
    for number in range(20):
        write(site, f"acme-{number}", f"thing-{number}")
    assert [plugin.distribution for plugin in installed(GROUP, "thing-7")] == ["acme-7"]
    assert reads.count("METADATA") == 1


def test_a_package_that_is_installed_meanwhile_is_found(site: Path) -> None:
    write(site, "acme-one", "one")
    assert names() == ["one"]
    write(site, "acme-two", "two")
    assert names() == ["one", "two"]


def test_a_package_that_is_removed_meanwhile_is_not_found(site: Path) -> None:
    info = write(site, "acme-one", "one")
    assert names() == ["one"]
    for file in info.iterdir():
        file.unlink()
    info.rmdir()
    assert names() == []


def test_an_entry_point_that_is_edited_in_its_place_is_noticed(site: Path) -> None:
    write(site, "acme-one", "one")
    assert names() == ["one"]
    write(site, "acme-one", "one", "another")
    assert names() == ["another", "one"]


def test_a_second_look_for_a_name_looks_at_the_file_of_its_package_alone(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        write(site, f"acme-{number}", f"thing-{number}")
    assert [plugin.owner for plugin in installed(GROUP, "thing-7")] == ["acme-7 1.0"]
    stat, looked_at = os.stat, []

    def noted(path: object, *args: Any, **more: Any) -> os.stat_result:
        looked_at.append(str(path))
        return stat(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", noted)
    assert [plugin.owner for plugin in installed(GROUP, "thing-7")] == ["acme-7 1.0"]
    files = {Path(path).parent.name for path in looked_at if path.endswith("entry_points.txt")}
    assert files == {"acme_7-1.0.dist-info"}


def test_a_name_that_is_added_to_a_file_in_its_place_is_found(site: Path) -> None:
    write(site, "acme-one", "one")
    assert [plugin.name for plugin in installed(GROUP, "one")] == ["one"]
    write(site, "acme-one", "another", "one")
    assert [plugin.name for plugin in installed(GROUP, "another")] == ["another"]


def test_a_name_that_a_second_package_claims_meanwhile_is_an_error(site: Path) -> None:
    write(site, "acme-one", "acme-sso", group=AUTHENTICATORS)
    assert find(AUTHENTICATORS, "acme-sso").distribution == "acme-one"
    write(site, "acme-two", "acme-sso", group=AUTHENTICATORS)
    with pytest.raises(ProviderLoadError, match=r"acme-one 1\.0 .* and acme-two 1\.0"):
        find(AUTHENTICATORS, "acme-sso")


def test_a_package_that_is_renamed_in_its_place_has_its_new_name(site: Path) -> None:
    info = write(site, "acme-one", "one")
    assert [plugin.owner for plugin in installed(GROUP)] == ["acme-one 1.0"]
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-renamed\nVersion: 2.0\n")
    assert [plugin.owner for plugin in installed(GROUP)] == ["acme-renamed 2.0"]


def test_a_folder_that_leaves_the_path_is_not_searched(site: Path) -> None:
    write(site, "acme-one", "one")
    assert names() == ["one"]
    sys.path.remove(str(site))
    assert names() == []
    sys.path.insert(0, str(site))
    assert names() == ["one"]


def test_a_package_in_an_archive_is_found(site: Path) -> None:
    folder = write(site, "acme-one", "one")
    archive = site.parent / "packages.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in folder.iterdir():
            packed.write(file, f"{folder.name}/{file.name}")
            file.unlink()
    folder.rmdir()
    sys.path.insert(0, str(archive))
    try:
        assert names() == ["one"]
        assert names() == ["one"]
    finally:
        sys.path.remove(str(archive))


def test_an_unknown_name_lists_what_is_installed(site: Path) -> None:
    write(site, "acme-one", "acme-sso", group=AUTHENTICATORS)
    with pytest.raises(UnknownProviderError, match="installed: .*acme-sso"):
        find(AUTHENTICATORS, "acme-ss")


def test_what_another_module_has_put_in_the_place_of_importlib_metadata_is_asked(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(site, "acme-one", "one")
    assert names() == ["one"]
    monkeypatch.setattr(importlib.metadata, "entry_points", importlib.metadata.EntryPoints)
    assert names() == []
