"""urllib3-future, which puts itself in the place of urllib3 when niquests is installed: `resolve` says what to do."""

import subprocess
import sys

APPLICATION = """
import urllib3

urllib3.AsyncPoolManager = object  # as in urllib3-future

import kinetic_auth_core as kinetic

settings = {"access_token": "00D000000000001!x", "instance_url": "https://acme.my.salesforce.com"}
source = kinetic.resolve("access-token", **settings)
for ask in (
    lambda: kinetic.resolve("password", client_id="id", client_secret="s", username="u", password="p"),
    lambda: source.is_alive(source.session()),
):
    try:
        ask()
    except kinetic.ConfigurationError as error:
        print(error)
"""


def test_a_package_in_the_place_of_urllib3_is_named_when_the_source_is_made() -> None:
    ended = subprocess.run([sys.executable, "-c", APPLICATION], capture_output=True, text=True, timeout=60, check=True)
    first, second = ended.stdout.splitlines()
    assert first == second
    assert "urllib3-future, which niquests installs, has replaced it" in first
    assert "Remedy: pip uninstall urllib3-future, or to keep it: URLLIB3_NO_OVERRIDE=1 pip install" in first
