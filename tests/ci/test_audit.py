"""How `.ci/audit.py` reports pip-audit's answers. A module that prints a given report takes the place of pip-audit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit.py"
CLEAN = {"name": "attrs", "version": "26.1", "vulns": []}
UNKNOWN = {"name": "kinetic-auth-core", "skip_reason": "not found"}


def finding(name: str, *aliases: str) -> dict[str, Any]:
    return {"id": name, "aliases": list(aliases), "fix_versions": [], "description": "It breaks."}


def audited(tmp_path: Path, stdout: str, stderr: str = "") -> subprocess.CompletedProcess[str]:
    """A run of the script where pip-audit says this."""
    (tmp_path / "pip_audit.py").write_text(
        f"import sys; sys.stdout.write({stdout!r}); sys.stderr.write({stderr!r}); sys.exit(1)"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    env.pop("PYTHONSAFEPATH", None)
    return subprocess.run([sys.executable, AUDIT], capture_output=True, text=True, check=False, env=env)


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_finding_fails_and_is_named(tmp_path: Path) -> None:
    done = audited(tmp_path, report(CLEAN, {**CLEAN, "name": "requests", "vulns": [finding("PYSEC-1", "CVE-1")]}))
    assert done.returncode == 1
    assert done.stderr.strip() == "requests 26.1: PYSEC-1"


@pytest.mark.parametrize("names", [["GHSA-wj6h-64fc-37mp"], ["PYSEC-2026-1325", "GHSA-wj6h-64fc-37mp"]])
def test_an_accepted_finding_passes_with_its_reason(tmp_path: Path, names: list[str]) -> None:
    done = audited(tmp_path, report({"name": "ecdsa", "version": "0.19.2", "vulns": [finding(*names)]}))
    assert done.returncode == 0
    assert f"left: ecdsa 0.19.2: {names[0]}: ecdsa takes a time that tells of its key" in done.stdout


def test_it_prints_how_many_packages_it_checked(tmp_path: Path) -> None:
    done = audited(tmp_path, report(CLEAN, UNKNOWN))
    assert (done.returncode, done.stdout) == (0, "audit: no finding; 1 packages audited, 1 not known there\n")


def test_with_no_known_package_it_says_that_nothing_was_checked(tmp_path: Path) -> None:
    done = audited(tmp_path, report(UNKNOWN))
    assert (done.returncode, done.stdout) == (
        0,
        "audit: the service knows none of 1 packages; nothing was audited\n",
    )


def test_without_the_service_it_passes_and_says_that_nothing_was_checked(tmp_path: Path) -> None:
    done = audited(tmp_path, "", "requests.exceptions.ConnectionError: Max retries exceeded")
    assert (done.returncode, done.stdout) == (
        0,
        "audit: the advisories' service cannot be reached; nothing was audited\n",
    )


def test_a_broken_audit_fails(tmp_path: Path) -> None:
    done = audited(tmp_path, "", "Traceback: KeyError")
    assert done.returncode == 1
    assert "KeyError" in done.stderr
