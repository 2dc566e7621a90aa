"""truststore, which puts a class of its own in place of `ssl.SSLContext`: logins obey their limits there too."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping

import pytest

from kinetic_auth_core.testing import Dribble, SalesforceEmulator

pytestmark = pytest.mark.usefixtures("full_tier")

APPLICATION = """
import json, sys
import truststore

truststore.inject_into_ssl()

import kinetic_auth_core as kinetic

settings = json.load(sys.stdin)
try:
    kinetic.resolve("jwt-bearer", **settings).session()
    print("logged in")
except kinetic.TransportError as error:
    print(error.message)
"""


def run(settings: Mapping[str, object], ca: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", APPLICATION],
        input=json.dumps(settings),
        env={**os.environ, "SSL_CERT_FILE": ca},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.strip()


def test_a_login_trusts_the_certificates_of_the_machine_and_ends_at_its_deadline() -> None:
    with SalesforceEmulator(tls=True) as sf:
        settings = sf.settings("jwt-bearer")
        ca = str(settings.pop("ca_bundle"))
        assert run(settings, ca) == "logged in"
        sf.break_transport(Dribble(0.05, endless=True), times=None)
        began = time.monotonic()
        message = run({**settings, "deadline": 1.5}, ca)
        assert message.endswith("no complete answer from localhost within the deadline of 1.5 s.")
        assert time.monotonic() - began < 10
