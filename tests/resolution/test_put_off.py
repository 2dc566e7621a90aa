"""A module whose source is made at the first use, with the line of the docs, can be imported without settings."""

import importlib.util
import re
import threading
from pathlib import Path
from types import ModuleType

import pytest

import kinetic_auth_core as kinetic

ROOT = Path(__file__).parents[2]


def application(tmp_path: Path) -> ModuleType:
    """A module with the line that docs/getting-started.md shows."""
    page = (ROOT / "docs" / "getting-started.md").read_text("utf-8")
    line = re.search(r"^get_source = .*$", page, re.MULTILINE)
    assert line
    path = tmp_path / "application_that_logs_in.py"
    path.write_text(f"import functools\nimport kinetic_auth_core as kinetic\n\n{line[0]}\n")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_importable_without_settings_and_resolves_once_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = application(tmp_path)
    with pytest.raises(kinetic.ConfigurationError):
        module.get_source()
    config = tmp_path / "kinetic-auth.toml"
    config.write_text(
        '[environments.prod]\nprovider = "password"\nclient_id = "c"\nclient_secret = "env://X"\n'
        'username = "a@acme.example"\npassword = "env://X"\n'
    )
    found: list[kinetic.SessionSource] = []
    threads = [threading.Thread(target=lambda: found.append(module.get_source())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert {id(each) for each in found} == {id(module.get_source())}
    found[0].close()
