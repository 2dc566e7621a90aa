"""The example in JavaScript on the page about the emulator works."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kinetic_auth_core.testing import SalesforceEmulator

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "node" / "report.test.mjs"


@pytest.mark.usefixtures("full_tier")
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js; make clients always runs such")
def test_the_node_example_drives_the_emulator() -> None:
    with SalesforceEmulator() as sf:
        command = ["node", "--test", str(EXAMPLE)]
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=os.environ | sf.env()
        )
    assert ran.returncode == 0, ran.stdout
