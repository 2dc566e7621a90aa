"""The commands and files that the package's page prints work: a login without an org, a job's and a pod's settings."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

from kinetic_auth_core.plugins import load_key_loader, parse_reference

PAGE = (Path(__file__).parents[1] / "docs.md").read_text("utf-8")


@pytest.mark.usefixtures("full_tier")
def test_the_first_steps_of_the_page_log_in(tmp_path: Path) -> None:
    steps = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    script = re.sub(r"^python -m pip install .*\n", "", "".join(steps), flags=re.MULTILINE)
    path = f"export PATH={shlex.quote(sysconfig.get_path('scripts'))}:$PATH\n"
    ran = subprocess.run(
        ["bash", "-e", "-c", f"{path}{script}\nwait"],
        capture_output=True, text=True, check=False, timeout=90, cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^org_id +00D", ran.stdout, re.MULTILINE), ran.stdout


def test_the_references_of_the_examples_are_valid() -> None:
    found = set(re.findall(r"oidc://(?:github|file/\S+)\?audience=https?://[\w.-]+", PAGE))
    assert len(found) == 2
    for uri in found:
        reference = parse_reference(uri, {"oidc"})
        assert reference is not None
        load_key_loader("oidc").check_reference(reference)


def test_the_pod_of_the_page_is_that_of_the_remedy() -> None:
    assert "serviceAccountToken: {path: sf, audience: " in PAGE
    assert "mountPath: /var/run/secrets/tokens" in PAGE
